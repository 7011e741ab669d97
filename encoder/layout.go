package encoder

import (
	"fmt"
	"math"
)

const (
	layoutSide = 8 // cells
	// LayoutCells is the length of a layout.
	LayoutCells   = layoutSide * layoutSide
	leastDistance = 1e-3 // that is told from none
)

// Layout tells how far a picture as a whole, whatever its size and aspect, is from the nearest of the pictures that taught: by where light and dark lie,
// with what varies much among those counting less, as it does for their Mahalanobis distance.
type Layout struct {
	Mean    []float32   `json:"mean"`    // of Surface.Layout, of pictures that taught
	Inverse []float32   `json:"inverse"` // L⁻¹, where L·Lᵀ is the covariance: its lower triangle, row by row
	Known   [][]float32 `json:"known"`   // White of pictures that taught
}

// Layout returns the means of the surface's values over LayoutCells equal cells, row by row.
func (s *Surface) Layout() []float32 {
	const border = PatchContext / 2
	out, l := make([]float32, LayoutCells), s.levels[0]
	for i := range out {
		x0, x1 := i%layoutSide*s.Width/layoutSide, (i%layoutSide+1)*s.Width/layoutSide
		y0, y1 := i/layoutSide*s.Height/layoutSide, (i/layoutSide+1)*s.Height/layoutSide
		var sum float64
		for y := y0; y < y1; y++ {
			for _, v := range l.v[(y+border)*l.width+border:][x0:x1] {
				sum += float64(v)
			}
		}
		out[i] = float32(sum / float64((x1-x0)*(y1-y0)))
	}
	return out
}

// White returns a layout in coordinates in which those that taught vary alike in all directions, by 1.
func (l *Layout) White(layout []float32) []float32 {
	out, row := make([]float32, LayoutCells), l.Inverse
	for i := range out {
		var sum float64
		for j, w := range row[:i+1] {
			sum += float64(w) * float64(layout[j]-l.Mean[j])
		}
		out[i], row = float32(sum), row[i+1:]
	}
	return out
}

// Distance is the logarithm of how far a layout is from the nearest known one, as a quadratic mean over its components.
func (l *Layout) Distance(layout []float32) float64 {
	white, least := l.White(layout), math.Inf(1)
	for _, known := range l.Known {
		var sum float64
		for i, v := range known {
			d := float64(white[i] - v)
			sum += d * d
		}
		least = min(least, sum)
	}
	return math.Log(max(math.Sqrt(least/LayoutCells), leastDistance))
}

// Validate reports what is of another length, or no number.
func (l *Layout) Validate() error {
	if len(l.Mean) != LayoutCells || len(l.Inverse) != LayoutCells*(LayoutCells+1)/2 || len(l.Known) == 0 {
		return fmt.Errorf("%w: a layout of %d cells, %d weights and %d known pictures: it takes %d, %d and at least 1; patches of an older akin have none: train them anew",
			ErrSpec, len(l.Mean), len(l.Inverse), len(l.Known), LayoutCells, LayoutCells*(LayoutCells+1)/2)
	}
	for i, part := range append([][]float32{l.Mean, l.Inverse}, l.Known...) {
		if i > 1 && len(part) != LayoutCells {
			return fmt.Errorf("%w: a known layout of %d components: it takes %d", ErrSpec, len(part), LayoutCells)
		}
		for _, v := range part {
			if !finite(float64(v)) {
				return fmt.Errorf("%w: a layout with %g", ErrSpec, v)
			}
		}
	}
	return nil
}

// Usual is where a score of good pictures lies.
type Usual struct {
	Middle float64 `json:"middle"`
	Spread float64 `json:"spread"` // leastUsual or more
}

const leastUsual = 1e-6 // spread

// Validate reports a spread that is too small, and what is no number.
func (u Usual) Validate() error {
	if !finite(u.Middle) || !finite(u.Spread) || u.Spread < leastUsual {
		return fmt.Errorf("%w: usual scores of %g ± %g: the spread must be 0.000001 or more; patches of an older akin have none: train them anew", ErrSpec, u.Middle, u.Spread)
	}
	return nil
}

// of is how many spreads a score is above the middle.
func (u Usual) of(score float64) float64 { return (score - u.Middle) / u.Spread }

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
