package train

import (
	"fmt"

	"github.com/akin-search/akin/encoder"
)

// quarterTurns of a picture: none, 90, 180 and 270 degrees.
const quarterTurns = 4

// turned returns d four times over, for training with turned pictures as classes of their own: item q·n+i is picture i of n turned by q
// quarters, and its class q·classes+c. With few classes that makes four times as many to tell apart, which is how characters of unseen
// alphabets are learned from a few (Santoro et al. 2016, "Meta-learning with memory-augmented neural networks", section 4.1). Items
// without a label stay so.
func (d Dataset) turned() Dataset {
	n, classes := d.Len(), len(d.Classes)
	t := Dataset{IDs: make([]string, 0, quarterTurns*n), Raw: make([][]byte, 0, quarterTurns*n), Labels: make([]int, 0, quarterTurns*n)}
	for q := range quarterTurns {
		name := func(s string) string {
			if q > 0 {
				s = fmt.Sprintf("%s@%d", s, 90*q)
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

// picture returns the features of an item that the sampler drew. Those of turned pictures are written to scratch.
func (r *run) picture(item int, scratch []float32) []float32 {
	n := len(r.features)
	if item < n {
		return r.features[item].Data
	}
	turn(scratch, r.features[item%n].Data, r.pre.Size, item/n)
	return scratch
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
