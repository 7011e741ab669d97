package benchmarks

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"image"
	"image/png"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
)

// Defaults and limits of EncodeOptions.
const (
	DefaultItems       = 2000
	DefaultEncodeBatch = 4096

	MaxItems = 1 << 20
)

// encodePool is how many different images there are.
const encodePool = 256

// EncodeOptions tunes Encode. Zero means the default.
type EncodeOptions struct {
	Network string // one of NetworkNames, default DefaultNetwork
	Threads int    // of a batch, default one a core; a single image is encoded by one
	Items   int    // single images timed in each format, default DefaultItems
	Batch   int    // images a call for the throughput, default DefaultEncodeBatch
	Rounds  int    // of the throughput, default DefaultRounds
	Seed    uint64 // of weights and images
}

// SetDefaults fills the zero fields.
func (o *EncodeOptions) SetDefaults() {
	if o.Network == "" {
		o.Network = DefaultNetwork
	}
	if o.Threads == 0 {
		o.Threads = min(runtime.GOMAXPROCS(0), kernel.MaxThreads)
	}
	if o.Items == 0 {
		o.Items = DefaultItems
	}
	if o.Batch == 0 {
		o.Batch = DefaultEncodeBatch
	}
	if o.Rounds == 0 {
		o.Rounds = DefaultRounds
	}
}

// Validate reports the first field outside its limits.
func (o EncodeOptions) Validate() error {
	if _, err := NetworkOf(o.Network); err != nil {
		return err
	}
	switch {
	case o.Threads < 1 || o.Threads > kernel.MaxThreads:
		return fmt.Errorf("%d threads: it must be 1 to %d", o.Threads, kernel.MaxThreads)
	case o.Items < 1 || o.Items > MaxItems:
		return fmt.Errorf("%d items: it must be 1 to %d", o.Items, MaxItems)
	case o.Batch < 1 || o.Batch > MaxItems:
		return fmt.Errorf("batch of %d: it must be 1 to %d", o.Batch, MaxItems)
	case o.Rounds < 1 || o.Rounds > 1000:
		return fmt.Errorf("%d rounds: it must be 1 to 1000", o.Rounds)
	}
	return nil
}

// EncodeReport is the result of Encode.
type EncodeReport struct {
	Network         string  `json:"network"`
	Device          string  `json:"device"`
	Items           int     `json:"items"`
	P50             float64 `json:"p50_us"` // microseconds of one image, raw IDX bytes to embedding
	P99             float64 `json:"p99_us"`
	PNGP50          float64 `json:"png_p50_us"` // the same of a PNG
	PNGP99          float64 `json:"png_p99_us"`
	Threads         int     `json:"threads"`
	Batch           int     `json:"batch"`
	ImagesPerSecond float64 `json:"images_per_second"` // raw IDX, median of the rounds
	GFLOPS          float64 `json:"gflops"`            // of the products at that speed, padding taps counted
	PeakGFLOPS      float64 `json:"peak_gflops"`       // kernel.PeakFlops times threads
	FractionOfPeak  float64 `json:"fraction_of_peak"`
}

// WriteTable writes the report for people.
func (r EncodeReport) WriteTable(w io.Writer) error {
	_, err := fmt.Fprintf(w, `%s on 28×28 images, %s

one image, IDX   p50 %8.1f µs   p99 %8.1f µs
one image, PNG   p50 %8.1f µs   p99 %8.1f µs
batches of %d on %d threads: %.0f images a second, %.1f GFLOP/s, %.0f %% of the peak
`, r.Network, r.Device, r.P50, r.P99, r.PNGP50, r.PNGP99, r.Batch, r.Threads, r.ImagesPerSecond, r.GFLOPS, 100*r.FractionOfPeak)
	return err
}

// Encode measures an encoder with random weights from raw bytes to embeddings: one 28×28 image at a time, as IDX and as PNG, and
// batches on all threads.
func Encode(ctx context.Context, o EncodeOptions) (r EncodeReport, err error) {
	o.SetDefaults()
	if err := o.Validate(); err != nil {
		return r, err
	}
	network, err := NetworkOf(o.Network)
	if err != nil {
		return r, err
	}
	rng := rand.New(rand.NewPCG(o.Seed, 0x656e636f)) // "enco"
	weights, err := network.Initialize(rng)
	if err != nil {
		return r, err
	}
	e, err := encoder.NewEncoder(&encoder.Model{Network: network, Weights: weights,
		Preprocessing: encoder.Preprocessing{Modality: encoder.ModalityImage, Size: digit, Mean: []float32{0.1307}, Deviation: []float32{0.3081}}}, "", o.Threads)
	if err != nil {
		return r, err
	}
	blobs, pngs, err := drawDigits(rng, encodePool)
	if err != nil {
		return r, err
	}
	device, err := kernel.NewCPU(1)
	if err != nil {
		return r, err
	}
	r.Network, r.Device, r.Items, r.Threads, r.Batch = o.Network, device.Name(), o.Items, o.Threads, o.Batch
	if err := device.Close(); err != nil {
		return r, err
	}
	if r.P50, r.P99, err = latency(ctx, e, blobs, o.Items); err != nil {
		return r, err
	}
	if r.PNGP50, r.PNGP99, err = latency(ctx, e, pngs, o.Items); err != nil {
		return r, err
	}
	perSecond, err := throughput(ctx, e, blobs, o)
	if err != nil {
		return r, err
	}
	peak, err := kernel.PeakFlops()
	if err != nil {
		return r, err
	}
	forward, _, err := network.Flops()
	if err != nil {
		return r, err
	}
	r.ImagesPerSecond = rounded(perSecond, 0)
	r.GFLOPS = rounded(perSecond*float64(forward)/1e9, 2)
	r.PeakGFLOPS = rounded(peak*float64(o.Threads)/1e9, 1)
	r.FractionOfPeak = rounded(r.GFLOPS/r.PeakGFLOPS, 4)
	return r, nil
}

// latency encodes single items one after the other, in turn, and returns microseconds.
func latency(ctx context.Context, e *encoder.Encoder, raw [][]byte, n int) (p50, p99 float64, err error) {
	took := make([]float64, 0, n)
	for i := -encodePool; i < n; i++ { // the first ones warm up
		start := time.Now()
		if _, err := e.Encode(ctx, raw[(i+encodePool)%len(raw)]); err != nil {
			return 0, 0, err
		}
		if i >= 0 {
			took = append(took, float64(time.Since(start).Nanoseconds())/1e3)
		}
	}
	slices.Sort(took)
	return rounded(quantile(took, 0.50), 2), rounded(quantile(took, 0.99), 2), nil
}

// throughput encodes batches and returns images a second, the median of the rounds.
func throughput(ctx context.Context, e *encoder.Encoder, raw [][]byte, o EncodeOptions) (float64, error) {
	batch := make([][]byte, o.Batch)
	for i := range batch {
		batch[i] = raw[i%len(raw)]
	}
	var rates []float64
	for round := range o.Rounds + 1 { // the first one warms up
		start, n := time.Now(), 0
		for time.Since(start) < minTiming {
			if _, err := e.Encode(ctx, batch...); err != nil {
				return 0, err
			}
			n += len(batch)
		}
		if round > 0 {
			rates = append(rates, float64(n)/time.Since(start).Seconds())
		}
	}
	return median(rates), nil
}

// drawDigits draws n grey images of three soft strokes on black, as compressible as a digit, as one-image IDX blobs and as PNG.
func drawDigits(rng *rand.Rand, n int) (blobs, pngs [][]byte, err error) {
	for range n {
		img := image.NewGray(image.Rect(0, 0, digit.Width, digit.Height))
		for range 3 {
			x, y := 8+12*rng.Float64(), 8+12*rng.Float64()
			turn, length := math.Pi*rng.Float64(), 3+5*rng.Float64()
			sin, cos := math.Sincos(turn)
			for i := range img.Pix {
				dx, dy := float64(i%digit.Width)-x, float64(i/digit.Width)-y
				along, across := dx*cos+dy*sin, dy*cos-dx*sin
				past := max(math.Abs(along)-length, 0)
				img.Pix[i] = max(img.Pix[i], uint8(255*math.Exp(-(past*past+across*across)/2)))
			}
		}
		blob := binary.BigEndian.AppendUint32([]byte{0, 0, 8, 2}, uint32(digit.Height))
		blob = binary.BigEndian.AppendUint32(blob, uint32(digit.Width))
		blobs = append(blobs, append(blob, img.Pix...))
		var b bytes.Buffer
		if err := png.Encode(&b, img); err != nil {
			return nil, nil, err
		}
		pngs = append(pngs, b.Bytes())
	}
	return blobs, pngs, nil
}
