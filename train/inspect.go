package train

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/akin-search/akin/encoder"
)

// Labelled pictures, fewLarge at most, are fitted into a square of large pixels where the median of their shorter sides is as much or more. What
// tells a few large pictures apart is often small, and with few there is time to look closely.
const (
	fewLarge = 1500
	large    = 128
)

// mostlyDrawn is the share of the pictures looked at that must be drawings for all to be trimmed.
const mostlyDrawn = 0.95

const (
	inspected   = 200  // about so many items are looked at to choose the size
	measured    = 2000 // about so many items are looked at for mean and deviation
	largestSide = 64   // pictures of one size up to this are taken as they are; others are fitted into a square of it
)

// inspectPictures chooses the size of the features: that of the pictures where they are small and alike, else a square of 64 pixels, or a larger one
// where there are few, labelled, and large; one
// channel where every picture is grey, else three. Drawings that must be fitted are trimmed: where on the sheet they stand says nothing.
func inspectPictures(d Dataset) (encoder.Preprocessing, error) {
	p := encoder.Preprocessing{Modality: encoder.ModalityImage}
	step := max(1, d.Len()/inspected)
	same := true
	var sides []int // the shorter ones
	var looked []int
	for i := 0; i < d.Len(); i += step {
		raw, err := d.Item(i)
		if err != nil {
			return p, err
		}
		s, err := encoder.Probe(raw)
		if err != nil {
			continue // Decode reports it
		}
		if p.Size.Channels > 0 && (s.Height != p.Size.Height || s.Width != p.Size.Width) {
			same = false
		}
		sides, looked = append(sides, min(s.Height, s.Width)), append(looked, i)
		p.Size = encoder.Size{Height: s.Height, Width: s.Width, Channels: max(s.Channels, p.Size.Channels)}
	}
	if p.Size.Channels == 0 {
		return p, fmt.Errorf("%w: none of the items looked at is a picture", ErrDataset)
	}
	if !same || p.Size.Height > largestSide || p.Size.Width > largestSide {
		p.Size.Height, p.Size.Width = largestSide, largestSide
		slices.Sort(sides)
		if classes, _ := itemsByClass(d.Labels); len(classes) > 1 && d.Len() <= fewLarge && sides[len(sides)/2] >= large {
			p.Size.Height, p.Size.Width = large, large
		}
		drawn, err := areDrawings(d, looked)
		if err != nil {
			return p, err
		}
		if drawn {
			p.Fit = encoder.FitTrim
		}
	}
	return p, nil
}

// areDrawings reports whether nearly all of the items are drawings. It looks no further than it must.
func areDrawings(d Dataset, items []int) (bool, error) {
	others := 0
	for _, i := range items {
		raw, err := d.Item(i)
		if err != nil {
			return false, err
		}
		if drawing, err := encoder.IsDrawing(raw); err != nil || !drawing { // Decode reports what cannot be decoded
			if others++; float64(others) > (1-mostlyDrawn)*float64(len(items)) {
				return false, nil
			}
		}
	}
	return true, nil
}

// measure sets the mean and deviation of each channel from a sample of features that are in units of 0 to 1.
func measure(p *encoder.Preprocessing, features []encoder.Features) {
	c := p.Size.Channels
	sum, square, n := make([]float64, c), make([]float64, c), 0
	for i := 0; i < len(features); i += max(1, len(features)/measured) {
		for j, v := range features[i].Data {
			sum[j%c] += float64(v)
			square[j%c] += float64(v) * float64(v)
		}
		n += len(features[i].Data) / c
	}
	p.Mean, p.Deviation = make([]float32, c), make([]float32, c)
	for i := range c {
		mean := sum[i] / float64(n)
		p.Mean[i] = float32(mean)
		p.Deviation[i] = float32(math.Sqrt(max(square[i]/float64(n)-mean*mean, 1e-4))) // a blank set keeps a finite scale
	}
}

// aroundPictures returns what surrounds the pictures, a value a channel: the median of the pixels at their borders, from a sample of features that
// are in units of 0 to 1, brought to the units of p. Warped pictures are filled up with it: black beside MNIST's digits, white beside
// ink on paper.
func aroundPictures(p encoder.Preprocessing, features []encoder.Features) []float32 {
	h, w, c := p.Size.Height, p.Size.Width, p.Size.Channels
	values := make([][]float32, c)
	for i := 0; i < len(features); i += max(1, len(features)/measured) {
		for y := range h {
			step := max(1, w-1)
			if y == 0 || y == h-1 {
				step = 1
			}
			for x := 0; x < w; x += step {
				for ch := range c {
					values[ch] = append(values[ch], features[i].Data[(y*w+x)*c+ch])
				}
			}
		}
	}
	out := make([]float32, c)
	for ch, v := range values {
		slices.Sort(v)
		out[ch] = (v[len(v)/2] - p.Mean[ch]) / p.Deviation[ch]
	}
	return out
}

// inUnits returns p with values of 0 to 1, before they are measured.
func inUnits(p encoder.Preprocessing) encoder.Preprocessing {
	p.Mean, p.Deviation = make([]float32, p.Size.Channels), make([]float32, p.Size.Channels)
	for c := range p.Deviation {
		p.Deviation[c] = 1
	}
	return p
}

// standardize brings features in units of 0 to 1 to those of p, in place. The bits are those that p's decoder makes.
func standardize(p encoder.Preprocessing, features []encoder.Features) {
	c := p.Size.Channels
	for _, f := range features {
		for j, v := range f.Data {
			f.Data[j] = (v - p.Mean[j%c]) / p.Deviation[j%c]
		}
	}
}

// Decode decodes every item, on all cores, and returns those that could be decoded with their features; skip, which may be nil, is
// told of the others. It is an error, which wraps ErrDataset, when all are left out.
func Decode(ctx context.Context, decoder encoder.Decoder, d Dataset, skip func(Skipped)) (Dataset, []encoder.Features, error) {
	return newCache("", math.MaxInt64).decode(ctx, decoder, d, skip)
}

// decode is Decode, with the features in c.
func (c *cache) decode(ctx context.Context, decoder encoder.Decoder, d Dataset, skip func(Skipped)) (Dataset, []encoder.Features, error) {
	decoded, failed := make([]kept, d.Len()), make([]error, d.Len())
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= d.Len() {
					return
				}
				raw, err := d.Item(i)
				if err != nil {
					failed[i] = err
					continue
				}
				f, err := decoder.Decode(raw)
				if err != nil {
					failed[i] = err
					continue
				}
				if decoded[i], err = c.keep(f); err != nil {
					stop(err)
				}
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return Dataset{}, nil, err
	}
	var items []int
	var good []kept
	var first error
	for i, err := range failed {
		if err == nil {
			items, good = append(items, i), append(good, decoded[i])
			continue
		}
		if first == nil {
			first = fmt.Errorf("item %s: %w", d.IDs[i], err)
		}
		if skip != nil {
			skip(Skipped{Path: d.IDs[i], Reason: err.Error()})
		}
	}
	if len(items) == 0 {
		return Dataset{}, nil, fmt.Errorf("%w: none of %d items can be decoded, the first: %w", ErrDataset, d.Len(), first)
	}
	features, err := c.place(good)
	if err != nil || len(items) == d.Len() {
		return d, features, err
	}
	return d.Subset(items), features, nil
}
