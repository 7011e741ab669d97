package encoder

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// Patches is the part of a model that finds what is wrong on a surface, however small: a network that was taught to tell patches of normal
// pictures from patches with made-up defects. A patch's score is the cosine of its embedding with Direction, which leads from the mean of
// the normal ones to that of the others, the mean of the patch as it is and mirrored left to right; a picture's score is the mean of its highest patches.
type Patches struct {
	Preprocessing Preprocessing `json:"preprocessing"` // of patches: PatchSide × PatchSide × PatchScales
	Network       Network       `json:"network"`
	Weights       [][]float32   `json:"-"`
	Scale         float64       `json:"scale"`     // pixels looked at to a picture's own, above 0 and at most 1
	Light         float64       `json:"light"`     // of 255, the mean that each picture is brought to: another exposure is no defect, and shows the same pattern stronger
	Direction     []float32     `json:"direction"` // of unit length
	Calibration   []float64     `json:"calibration"`
}

const (
	patchStep    = 8    // pixels between the middles of patches
	patchHighest = 0.03 // share of the patches that make the picture's score
)

// Validate reports the first part that does not fit the others.
func (p *Patches) Validate() error {
	m := Model{Network: p.Network, Preprocessing: p.Preprocessing, Weights: p.Weights}
	if err := m.Validate(); err != nil {
		return fmt.Errorf("patches: %w", err)
	}
	if want := (Size{PatchSide, PatchSide, PatchScales}); p.Network.Input != want {
		return fmt.Errorf("%w: patches of %+v: they are of %+v", ErrSpec, p.Network.Input, want)
	}
	if !(p.Scale > 0 && p.Scale <= 1) {
		return fmt.Errorf("%w: patches at scale %g: it must be above 0 and at most 1", ErrSpec, p.Scale)
	}
	if !(p.Light > 0 && p.Light <= 255) {
		return fmt.Errorf("%w: patches at a light of %g: it must be above 0 and at most 255; patches of an older akin have none: train them anew", ErrSpec, p.Light)
	}
	var length float64
	for _, v := range p.Direction {
		length += float64(v) * float64(v)
	}
	if d, err := p.Network.Dimension(); err != nil || len(p.Direction) != d || !(math.Abs(length-1) < 1e-3) {
		return fmt.Errorf("%w: a direction of %d components and squared length %g for embeddings of %d: it must be as long as these and of unit length", ErrSpec, len(p.Direction), length, d)
	}
	for _, s := range p.Calibration {
		if !(s >= -1.001 && s <= 1.001) {
			return fmt.Errorf("%w: a calibration score of %g: scores are cosines, -1 to 1", ErrSpec, s)
		}
	}
	return nil
}

// Heat says how unlike normal pictures a picture is, place by place.
type Heat struct {
	Score  float64   // of the picture: the mean of the highest 3 % of Values
	Size   Size      // of the picture, in its own pixels
	Xs, Ys []int     // middles of the patches, in pixels looked at
	Values []float32 // [y][x] cosines: -1 is normal, 1 a defect
	seen   Size      // of the picture as it is looked at
	half   int       // of what a place stands for, in pixels looked at
}

// HasPatches reports whether Heat can be asked.
func (e *Encoder) HasPatches() bool { return e.patches != nil }

// Heat scores a picture patch by patch. The model must have patches; an error of raw wraps ErrInput.
func (e *Encoder) Heat(ctx context.Context, raw []byte) (*Heat, error) {
	if e.patches == nil {
		return nil, fmt.Errorf("%w: the model has no patches: train it with --patches", ErrSpec)
	}
	p := e.model.Patches
	s, err := NewSurface(raw, p.Scale, p.Light)
	if err != nil {
		return nil, err
	}
	h := &Heat{Size: s.own, Xs: patchGrid(s.Width), Ys: patchGrid(s.Height), seen: Size{Height: s.Height, Width: s.Width}, half: patchStep / 2}
	n := len(h.Xs) * len(h.Ys)
	vectors, err := e.patches.encode(ctx, 2*n, func(i int) (Features, error) {
		mirror := i >= n
		i %= n
		f := Features{Data: make([]float32, PatchSide*PatchSide*PatchScales), Shape: []int{PatchSide, PatchSide, PatchScales}}
		s.patch(f.Data, h.Xs[i%len(h.Xs)], h.Ys[i/len(h.Xs)])
		if mirror {
			mirrorPatch(f.Data)
		}
		for j, v := range f.Data {
			c := j % PatchScales
			f.Data[j] = (v/255 - p.Preprocessing.Mean[c]) / p.Preprocessing.Deviation[c]
		}
		return f, nil
	})
	if err != nil {
		return nil, err
	}
	for i, v := range vectors[:n] {
		var sum float64
		for j, x := range v {
			sum += (float64(x) + float64(vectors[n+i][j])) * float64(p.Direction[j])
		}
		h.Values = append(h.Values, float32(sum/2))
	}
	h.Score = highest(h.Values)
	return h, nil
}

// mirrorPatch turns a patch round left to right.
func mirrorPatch(p []float32) {
	const row = PatchSide * PatchScales
	for y := range PatchSide {
		for a, b := y*row, (y+1)*row-PatchScales; a < b; a, b = a+PatchScales, b-PatchScales {
			for c := range PatchScales {
				p[a+c], p[b+c] = p[b+c], p[a+c]
			}
		}
	}
}

// patchGrid returns the middles of patches along a side of n pixels, multiples of 4 that leave as much at either end.
func patchGrid(n int) (at []int) {
	for p := (n - 1) % patchStep / 2 / patchAlign * patchAlign; p < n; p += patchStep {
		at = append(at, p)
	}
	return at
}

// highest is the mean of the highest patchHighest of values, and of one at least.
func highest(values []float32) float64 {
	s := slices.Sorted(slices.Values(values))
	n := max(1, int(patchHighest*float64(len(s))))
	var sum float64
	for _, v := range s[len(s)-n:] {
		sum += float64(v)
	}
	return sum / float64(n)
}
