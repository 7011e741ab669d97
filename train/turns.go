package train

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/akin-search/akin/encoder"
)

// quarterTurns of a picture: none, 90, 180 and 270 degrees.
const quarterTurns = 4

// turned returns d four times over, for training with turned pictures as classes of their own: item q·n+i is picture i of n turned by q
// quarters, and its class q·classes+c. With few classes that makes four times as many to tell apart, which is how characters of unseen
// alphabets are learned from a few (Santoro et al. 2016, "Meta-learning with memory-augmented neural networks", section 4.1). Items
// without a label stay so.
func (d Dataset) turned() Dataset {
	return d.copied(quarterTurns, func(q int) string { return fmt.Sprintf("@%d", 90*q) })
}

// copied returns d so many times over: item q·n+i is copy q of item i of n, and its class q·classes+c. suffix tells copies by their names.
func (d Dataset) copied(copies int, suffix func(copy int) string) Dataset {
	n, classes := d.Len(), len(d.Classes)
	t := Dataset{IDs: make([]string, 0, copies*n), Raw: make([][]byte, 0, copies*n), Labels: make([]int, 0, copies*n)}
	for q := range copies {
		name := func(s string) string {
			if q > 0 {
				s += suffix(q)
			}
			return s
		}
		for i, l := range d.Labels {
			if l != Unlabelled {
				l += q * classes
			}
			t.IDs, t.Labels = append(t.IDs, name(d.IDs[i])), append(t.Labels, l)
		}
		t.Raw, t.Files = append(t.Raw, d.Raw...), append(t.Files, d.Files...)
		for _, c := range d.Classes {
			t.Classes = append(t.Classes, name(c))
		}
	}
	return t
}

// copier writes copy q, from 1, of an item's features to dst.
type copier func(dst, src []float32, q int, rng *rand.Rand)

// quarters makes copies of square pictures that are turned by q quarters.
func quarters(s encoder.Size) copier {
	return func(dst, src []float32, q int, _ *rand.Rand) { turn(dst, src, s, q) }
}

// item returns the features of an item that the sampler drew. Those of copies, as of turned pictures and warped sounds, are written to scratch,
// which is returned longer where it was too short.
func (r *run) item(item int, scratch []float32, rng *rand.Rand) (features, scratchAfter []float32) {
	n := len(r.features)
	src := r.features[item%n].Data
	if item < n {
		return src, scratch
	}
	scratch = slices.Grow(scratch[:0], len(src))[:len(src)]
	r.copier(scratch, src, item/n, rng)
	return scratch, scratch
}

// turn writes src, a square picture, to dst, turned clockwise by quarters.
func turn(dst, src []float32, s encoder.Size, quarters int) {
	side, c := s.Width, s.Channels
	for y := range side {
		for x := range side {
			fx, fy := x, y // where the pixel comes from
			for range quarters {
				fx, fy = fy, side-1-fx
			}
			copy(dst[(y*side+x)*c:][:c], src[(fy*side+fx)*c:][:c])
		}
	}
}
