package train

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/akin-search/akin/encoder"
)

// dealer deals a sound out to the views of it that a batch has: cut into pieces of equal length, each view gets others, in their order in the sound,
// and crops what it got. Two views of a voice then never hold the same words, however short the recording, and yet each is of all of it; what they
// have in common is who speaks.
type dealer struct {
	piece int // frames
	least int // that a view gets, where the sound has as many: views of a short sound share some
	order []int
	sound []float32
}

// newDealer returns nil where sounds are not dealt out.
func newDealer(s Sound, input encoder.Size) *dealer {
	piece := int(math.Round(float64(s.Pieces) * encoder.SoundRate / encoder.SoundHop))
	if piece == 0 {
		return nil
	}
	return &dealer{piece: piece, least: input.Width}
}

// deal returns what view part of so many gets of src, [filter][frame]. The order is drawn from the source, which must be at the same place for all views
// of the sound. The result is valid until the next call.
func (d *dealer) deal(src []float32, filters, part, views int, rng *rand.Rand) []float32 {
	frames := len(src) / filters
	pieces := frames / d.piece
	n := max(pieces/max(1, views), min(pieces, (d.least+d.piece-1)/d.piece)) // that a view gets
	if n == 0 || n == pieces || views < 2 {
		return src
	}
	first := rng.IntN(frames - pieces*d.piece + 1)
	d.order = slices.Grow(d.order[:0], 2*pieces)[:pieces]
	for i := range d.order {
		d.order[i] = i
	}
	rng.Shuffle(pieces, func(i, j int) { d.order[i], d.order[j] = d.order[j], d.order[i] })
	d.order = append(d.order, d.order...) // round and round
	mine := d.order[part*n%pieces:][:n]
	slices.Sort(mine)
	d.sound = d.sound[:0]
	for y := range filters {
		row := src[y*frames+first:]
		for _, p := range mine {
			d.sound = append(d.sound, row[p*d.piece:(p+1)*d.piece]...)
		}
	}
	return d.sound
}

// viewOf returns which view of its item a row of a batch is, from 0, and how many there are.
func viewOf(items []int, row int) (part, views int) {
	for i, item := range items {
		if item == items[row] {
			if i < row {
				part++
			}
			views++
		}
	}
	return part, views
}
