package train

import (
	"context"
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
			continue // Decode reports it
		}
		if p.Size.Channels > 0 && (s.Height != p.Size.Height || s.Width != p.Size.Width) {
			same = false
		}
		p.Size = encoder.Size{Height: s.Height, Width: s.Width, Channels: max(s.Channels, p.Size.Channels)}
	}
	if p.Size.Channels == 0 {
		return p, fmt.Errorf("%w: none of the items looked at is a picture", ErrDataset)
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
			continue // Decode reports it
		}
		for j, v := range f.Data {
			sum[j%c] += float64(v)
			square[j%c] += float64(v) * float64(v)
		}
		n += len(f.Data) / c
	}
	if n == 0 {
		return fmt.Errorf("%w: none of the items looked at can be decoded", ErrDataset)
	}
	for i := range c {
		mean := sum[i] / float64(n)
		p.Mean[i] = float32(mean)
		p.Deviation[i] = float32(math.Sqrt(max(square[i]/float64(n)-mean*mean, 1e-4))) // a blank set keeps a finite scale
	}
	return nil
}

// Decode decodes every item, on all cores, and returns those that could be decoded with their features; skip, which may be nil, is
// told of the others. It is an error, which wraps ErrDataset, when more than half are left out.
func Decode(ctx context.Context, decoder encoder.Decoder, d Dataset, skip func(Skipped)) (Dataset, []encoder.Features, error) {
	features, failed := make([]encoder.Features, d.Len()), make([]error, d.Len())
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= d.Len() {
					return
				}
				features[i], failed[i] = decoder.Decode(d.Raw[i])
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return Dataset{}, nil, err
	}
	var items []int
	var kept []encoder.Features
	var first error
	for i, err := range failed {
		if err == nil {
			items, kept = append(items, i), append(kept, features[i])
			continue
		}
		if first == nil {
			first = fmt.Errorf("item %s: %w", d.IDs[i], err)
		}
		if skip != nil {
			skip(Skipped{Path: d.IDs[i], Reason: err.Error()})
		}
	}
	if len(items) == d.Len() {
		return d, features, nil
	}
	if 2*len(items) < d.Len() {
		return Dataset{}, nil, fmt.Errorf("%w: %d of %d items cannot be decoded, the first: %w", ErrDataset, d.Len()-len(items), d.Len(), first)
	}
	return d.Subset(items), kept, nil
}
