package train

import (
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/akin-search/akin/encoder"
)

const (
	inspected   = 200  // items looked at to choose the size
	measured    = 2000 // items looked at for mean and deviation
	largestSide = 64   // pictures of one size up to this are taken as they are; others are fitted into a square of it
)

// inspect chooses the size of the features: that of the pictures where they are small and alike, else a square of 64 pixels; one
// channel where every picture is grey, else three.
func inspect(d Dataset) (encoder.Preprocessing, error) {
	p := encoder.Preprocessing{Modality: encoder.ModalityImage}
	step := max(1, d.Len()/inspected)
	same := true
	for i := 0; i < d.Len(); i += step {
		s, err := encoder.Probe(d.Raw[i])
		if err != nil {
			return p, fmt.Errorf("train: item %s: %w", d.IDs[i], err)
		}
		if i > 0 && (s.Height != p.Size.Height || s.Width != p.Size.Width) {
			same = false
		}
		p.Size = encoder.Size{Height: s.Height, Width: s.Width, Channels: max(s.Channels, p.Size.Channels)}
	}
	if !same || p.Size.Height > largestSide || p.Size.Width > largestSide {
		p.Size.Height, p.Size.Width = largestSide, largestSide
	}
	return p, nil
}

// measure sets the mean and deviation of each channel from a sample of the data.
func measure(p *encoder.Preprocessing, d Dataset) error {
	c := p.Size.Channels
	p.Mean, p.Deviation = make([]float32, c), make([]float32, c)
	for i := range c {
		p.Deviation[i] = 1
	}
	decoder, err := p.Decoder()
	if err != nil {
		return err
	}
	sum, square, n := make([]float64, c), make([]float64, c), 0
	step := max(1, d.Len()/measured)
	for i := 0; i < d.Len(); i += step {
		f, err := decoder.Decode(d.Raw[i])
		if err != nil {
			return fmt.Errorf("train: item %s: %w", d.IDs[i], err)
		}
		for j, v := range f.Data {
			sum[j%c] += float64(v)
			square[j%c] += float64(v) * float64(v)
		}
		n += len(f.Data) / c
	}
	for i := range c {
		mean := sum[i] / float64(n)
		p.Mean[i] = float32(mean)
		p.Deviation[i] = float32(math.Sqrt(max(square[i]/float64(n)-mean*mean, 1e-4))) // a blank set keeps a finite scale
	}
	return nil
}

// decodeAll decodes every item, on all cores.
func decodeAll(decoder encoder.Decoder, d Dataset) ([]encoder.Features, error) {
	out := make([]encoder.Features, d.Len())
	var next atomic.Int64
	var once sync.Once
	var failed error
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= d.Len() {
					return
				}
				f, err := decoder.Decode(d.Raw[i])
				if err != nil {
					once.Do(func() { failed = fmt.Errorf("train: item %s: %w", d.IDs[i], err) })
					next.Store(int64(d.Len()))
					return
				}
				out[i] = f
			}
		})
	}
	wg.Wait()
	return out, failed
}
