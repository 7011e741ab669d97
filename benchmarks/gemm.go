package benchmarks

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/akin-search/akin/encoder/kernel"
)

// Defaults and limits of GemmOptions.
const (
	DefaultGemmSize = 512
	MaxGemmSize     = 4096
)

// GemmOptions tunes Gemm. Zero means the default.
type GemmOptions struct {
	Size   int    // rows and columns of all three matrices, default DefaultGemmSize
	Rounds int    // each of at least 100 ms, default DefaultRounds
	Seed   uint64 // of the values
}

// SetDefaults fills the zero fields.
func (o *GemmOptions) SetDefaults() {
	if o.Size == 0 {
		o.Size = DefaultGemmSize
	}
	if o.Rounds == 0 {
		o.Rounds = DefaultRounds
	}
}

// Validate reports the first field outside its limits.
func (o GemmOptions) Validate() error {
	switch {
	case o.Size < 1 || o.Size > MaxGemmSize:
		return fmt.Errorf("size %d: it must be 1 to %d", o.Size, MaxGemmSize)
	case o.Rounds < 1 || o.Rounds > 1000:
		return fmt.Errorf("%d rounds: it must be 1 to 1000", o.Rounds)
	}
	return nil
}

// GemmReport is the result of Gemm.
type GemmReport struct {
	Size           int     `json:"size"`
	Device         string  `json:"device"`
	GFLOPS         float64 `json:"gflops"` // over the time of the processor, median of the rounds
	PeakGFLOPS     float64 `json:"peak_gflops"`
	FractionOfPeak float64 `json:"fraction_of_peak"`
}

// WriteTable writes the report for people.
func (r GemmReport) WriteTable(w io.Writer) error {
	_, err := fmt.Fprintf(w, "product of two %d×%d matrices, one thread, %s: %.1f GFLOP/s, %.0f %% of the peak of %.1f\n", r.Size, r.Size, r.Device, r.GFLOPS, 100*r.FractionOfPeak, r.PeakGFLOPS)
	return err
}

// Gemm measures the product of two square matrices on one thread, by the time it takes of the processor.
func Gemm(ctx context.Context, o GemmOptions) (r GemmReport, err error) {
	o.SetDefaults()
	if err := o.Validate(); err != nil {
		return r, err
	}
	device, err := kernel.NewCPU(1)
	if err != nil {
		return r, err
	}
	r.Size, r.Device = o.Size, device.Name()
	if err := device.Close(); err != nil {
		return r, err
	}
	rng := rand.New(rand.NewPCG(o.Seed, 0x67656d6d)) // "gemm"
	n := o.Size
	a, b, c := make([]float32, n*n), make([]float32, n*n), make([]float32, n*n)
	for i := range a {
		a[i], b[i] = rng.Float32()-0.5, rng.Float32()-0.5
	}
	peak, err := kernel.PeakFlops()
	if err != nil {
		return r, err
	}
	var rates []float64
	for round := range o.Rounds + 1 { // the first one warms up
		before, err := cpuTime()
		if err != nil {
			return r, err
		}
		products := 0
		for start := time.Now(); time.Since(start) < minTiming; products++ {
			if ctx.Err() != nil {
				return r, context.Cause(ctx)
			}
			kernel.Gemm(false, false, n, n, n, a, n, b, n, c, n, false)
		}
		after, err := cpuTime()
		if err != nil {
			return r, err
		}
		if round > 0 {
			rates = append(rates, 2*float64(n)*float64(n)*float64(n)*float64(products)/(after-before).Seconds()/1e9)
		}
	}
	r.GFLOPS, r.PeakGFLOPS = rounded(median(rates), 2), rounded(peak/1e9, 1)
	r.FractionOfPeak = rounded(r.GFLOPS/r.PeakGFLOPS, 4)
	return r, nil
}
