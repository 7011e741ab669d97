package encoder

import (
	"fmt"
	"math"

	"github.com/akin-search/akin/encoder/kernel"
)

// thumbSide is how many cells a picture is told by along a side, at most.
const thumbSide = 8

// Thumb is what comes beside what the network makes of a picture in its embedding: where light and colours lie in it, told by principal directions of the pictures
// that taught. A constant behind keeps distances as they are, nearly, when all of it is brought to unit length.
//
//	[ network's embedding | Directions·(Cells − Mean) | Constant ] / length
type Thumb struct {
	Mean       []float32   `json:"mean"`       // of Cells
	Directions [][]float32 `json:"directions"` // weighed against the network's part
	Constant   float32     `json:"constant"`   // above 0
}

// Cells returns means of a picture's features over 8×8 equal cells of each channel, or as many as it has rows and columns where these are fewer, less the mean
// of all: how light a picture is as a whole says nothing.
func (s Size) Cells(features []float32) []float32 {
	rows, columns := s.thumbCells()
	out := make([]float32, rows*columns*s.Channels)
	for i := range rows * columns {
		y0, y1 := i/columns*s.Height/rows, (i/columns+1)*s.Height/rows
		x0, x1 := i%columns*s.Width/columns, (i%columns+1)*s.Width/columns
		for c := range s.Channels {
			var sum float64
			for y := y0; y < y1; y++ {
				for x := x0; x < x1; x++ {
					sum += float64(features[(y*s.Width+x)*s.Channels+c])
				}
			}
			out[i*s.Channels+c] = float32(sum / float64((y1-y0)*(x1-x0)))
		}
	}
	var mean float64
	for _, v := range out {
		mean += float64(v) / float64(len(out))
	}
	for i := range out {
		out[i] -= float32(mean)
	}
	return out
}

func (s Size) thumbCells() (rows, columns int) {
	return min(thumbSide, s.Height), min(thumbSide, s.Width)
}

// dimension is how many components it adds to an embedding; 0 for none.
func (t *Thumb) dimension() int {
	if t == nil {
		return 0
	}
	return len(t.Directions) + 1
}

// add writes its components behind the first n of an embedding, and brings all to unit length.
func (t *Thumb) add(embedding []float32, n int, cells []float32) {
	all := make([]float64, len(embedding))
	for i, v := range embedding[:n] {
		all[i] = float64(v)
	}
	for i, d := range t.Directions {
		for j, w := range d {
			all[n+i] += float64(w) * float64(cells[j]-t.Mean[j])
		}
	}
	all[len(all)-1] = float64(t.Constant)
	kernel.Unit(embedding, all)
}

// validate reports what does not belong to pictures of p beside embeddings of n components.
func (t *Thumb) validate(p Preprocessing, n int) error {
	if p.Modality != ModalityImage {
		return fmt.Errorf("%w: a thumb of modality %q: it is of pictures", ErrSpec, p.Modality)
	}
	rows, columns := p.Size.thumbCells()
	want := rows * columns * p.Size.Channels
	if len(t.Mean) != want || len(t.Directions) < 1 || n+t.dimension() > MaxDimension {
		return fmt.Errorf("%w: a thumb of %d cells and %d directions beside %d components: it takes %d cells, and one direction to %d", ErrSpec, len(t.Mean), len(t.Directions), n, want, MaxDimension-n-1)
	}
	if c := float64(t.Constant); !(c > 0) || math.IsInf(c, 0) {
		return fmt.Errorf("%w: a thumb with the constant %g: it must be above 0", ErrSpec, c)
	}
	for _, d := range append([][]float32{t.Mean}, t.Directions...) {
		if len(d) != want {
			return fmt.Errorf("%w: a direction of %d components of a thumb: it takes %d", ErrSpec, len(d), want)
		}
		for _, v := range d {
			if !finite(float64(v)) {
				return fmt.Errorf("%w: a thumb with %g", ErrSpec, v)
			}
		}
	}
	return nil
}
