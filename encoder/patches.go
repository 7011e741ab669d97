package encoder

import (
	"context"
	"fmt"
	"math"
)

// Patches is the part of a model that finds what is wrong on a surface, however small: a network that was taught to tell patches of normal
// pictures from patches with made-up defects. A patch's score is the cosine of its embedding with Direction, which leads from the mean of
// the normal ones to that of the others, the mean of the patch as it is and mirrored left to right, and then of its neighbours. A picture can be odd in
// places or as a whole: its score is the sum of how hot its patches are and how far its layout is from the nearest known one, each in spreads above what is usual.
type Patches struct {
	Preprocessing Preprocessing `json:"preprocessing"` // of patches: PatchSide × PatchSide × PatchScales
	Network       Network       `json:"network"`
	Weights       [][]float32   `json:"-"`
	Scale         float64       `json:"scale"`     // pixels looked at to a picture's own, above 0 and at most 1
	Light         float64       `json:"light"`     // of 255, the mean that each picture is brought to: another exposure is no defect, and shows the same pattern stronger
	Direction     []float32     `json:"direction"` // of unit length
	Layout        Layout        `json:"layout"`
	Local         Usual         `json:"local"` // how hot pictures that taught are
	Whole         Usual         `json:"whole"` // how far they are from one another by their layouts
	Calibration   []float64     `json:"calibration"`
}

const (
	patchStep    = 8  // pixels between the middles of patches
	hotSharpness = 4  // see hotness
	leastWhole   = -2 // spreads that a layout can be below what is usual: being like another picture excuses no defect
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
		if !finite(s) {
			return fmt.Errorf("%w: a calibration score of %g", ErrSpec, s)
		}
	}
	if err := p.Local.Validate(); err != nil {
		return err
	}
	if err := p.Whole.Validate(); err != nil {
		return err
	}
	return p.Layout.Validate()
}

// Heat says how unlike normal pictures a picture is, place by place and as a whole.
type Heat struct {
	Score  float64   // of the picture: Local and Whole, added up
	Local  float64   // how hot Values are (see hotness), in spreads above what is usual
	Whole  float64   // the layout's Distance, the same; -2 at least
	Size   Size      // of the picture, in its own pixels
	Xs, Ys []int     // middles of the patches, in pixels looked at
	Values []float32 // [y][x] cosines, weighed with their neighbours: -1 is normal, 1 a defect
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
	var scale, offset [PatchScales]float32
	for c := range scale {
		scale[c] = 1 / (255 * p.Preprocessing.Deviation[c])
		offset[c] = -p.Preprocessing.Mean[c] / p.Preprocessing.Deviation[c]
	}
	n := len(h.Xs) * len(h.Ys)
	vectors, err := e.patches.encode(ctx, 2*n, func(i int) (Features, error) {
		mirror := i >= n
		i %= n
		f := Features{Data: make([]float32, PatchSide*PatchSide*PatchScales), Shape: []int{PatchSide, PatchSide, PatchScales}}
		s.patch(f.Data, h.Xs[i%len(h.Xs)], h.Ys[i/len(h.Xs)])
		if mirror {
			mirrorPatch(f.Data)
		}
		for at := f.Data; len(at) > 0; at = at[PatchScales:] {
			at := (*[PatchScales]float32)(at)
			for c, v := range at {
				at[c] = v*scale[c] + offset[c]
			}
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
	h.Values = smoothed(h.Values, len(h.Xs))
	h.Local, h.Whole = p.Local.of(hotness(h.Values)), max(p.Whole.of(p.Layout.Distance(s.Layout())), leastWhole)
	h.Score = h.Local + h.Whole
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

// smoothed weighs each value of a grid with those two places around along rows and columns, 1, 4, 6, 4 and 1: patches overlap. Borders are repeated.
func smoothed(v []float32, width int) []float32 {
	along := func(v []float32, n, step, others, step2 int) []float32 {
		out := make([]float32, len(v))
		for o := range others {
			at := func(i int) float32 { return v[o*step2+min(max(i, 0), n-1)*step] }
			for i := range n {
				out[o*step2+i*step] = (at(i-2) + 4*at(i-1) + 6*at(i) + 4*at(i+1) + at(i+2)) / 16
			}
		}
		return out
	}
	height := len(v) / width
	return along(along(v, width, 1, height, width), height, width, width, 1)
}

// hotness is the logarithm of the mean of e to the power of hotSharpness times each value: between what their mean and their highest tell.
func hotness(values []float32) float64 {
	var sum float64
	for _, v := range values {
		sum += math.Exp(hotSharpness * float64(v))
	}
	return math.Log(sum / float64(len(values)))
}
