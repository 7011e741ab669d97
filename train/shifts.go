package train

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/akin-search/akin/encoder"
)

// shift changes an item so that it is no longer like the normal ones, but made of the same stuff: what one-class training holds against them.
type shift struct {
	name  string
	whole bool                                     // it moves all of the item, which may look the same after: see alike
	apply func(dst, src []float32, rng *rand.Rand) // as Augmenter.Apply
}

// Amounts of the shifts of pictures.
const (
	leastCut, mostCut         = 0.25, 0.65 // of a side, of a rectangle
	shiftBend                 = 0.45       // as Augmentation.Elastic
	leastSqueeze, mostSqueeze = 0.35, 0.6  // of a side
)

// pictureShifts are those of Tack et al. 2020, "CSI: novelty detection via contrastive learning on distributionally shifted instances", section
// 2.2 (turned by quarters; quarters of the picture in another order), and made-up defects: a part pasted elsewhere (Li et al. 2021, "CutPaste:
// self-supervised learning for anomaly detection and localization"), a part that is missing, and strong bending and squeezing. Turns are of
// square pictures.
func pictureShifts(p encoder.Preprocessing, around []float32) []shift {
	s := p.Size
	var all []shift
	for q := 1; q < quarterTurns; q++ {
		if s.Height == s.Width {
			all = append(all, shift{fmt.Sprintf("turn%d", 90*q), true, func(dst, src []float32, _ *rand.Rand) { turn(dst, src, s, q) }})
		}
	}
	bend := NewAugmenter(Augmentation{Elastic: shiftBend}, p).Around(around)
	return append(all,
		shift{"permute", true, func(dst, src []float32, rng *rand.Rand) { permute(dst, src, s, rng) }},
		shift{"cutpaste", false, func(dst, src []float32, rng *rand.Rand) { cutPaste(dst, src, s, rng) }},
		shift{"blank", false, func(dst, src []float32, rng *rand.Rand) { blank(dst, src, around, s, rng) }},
		shift{"squeeze", false, func(dst, src []float32, rng *rand.Rand) { squeeze(dst, src, around, s, rng) }},
		shift{"bend", false, bend.Apply})
}

// permute puts the quarters of a picture in another order. Of an odd side the middle line stays.
func permute(dst, src []float32, s encoder.Size, rng *rand.Rand) {
	copy(dst, src)
	var order [4]int
	for same := true; same; same = slices.IsSorted(order[:]) {
		for i := range order { // Fisher–Yates, inside out
			j := rng.IntN(i + 1)
			order[i], order[j] = order[j], i
		}
	}
	h, w := s.Height/2, s.Width/2
	corner := func(q int) int { return (q/2*(s.Height-h)*s.Width + q%2*(s.Width-w)) * s.Channels }
	for to, from := range order {
		for y := range h {
			row := y * s.Width * s.Channels
			copy(dst[corner(to)+row:][:w*s.Channels], src[corner(from)+row:])
		}
	}
}

// cutPaste pastes a rectangle of the picture at another place of it.
func cutPaste(dst, src []float32, s encoder.Size, rng *rand.Rand) {
	copy(dst, src)
	h, w := drawSide(s.Height, rng), drawSide(s.Width, rng)
	from, to := drawCorner(s, h, w, rng), drawCorner(s, h, w, rng)
	for y := range h {
		row := y * s.Width * s.Channels
		copy(dst[to+row:][:w*s.Channels], src[from+row:])
	}
}

// blank paints a rectangle over as what surrounds the picture.
func blank(dst, src, around []float32, s encoder.Size, rng *rand.Rand) {
	copy(dst, src)
	h, w := drawSide(s.Height, rng), drawSide(s.Width, rng)
	at := drawCorner(s, h, w, rng)
	for y := range h {
		row := dst[at+y*s.Width*s.Channels:][:w*s.Channels]
		for i := range row {
			row[i] = around[i%s.Channels]
		}
	}
}

// squeeze makes the picture narrower or lower.
func squeeze(dst, src, around []float32, s encoder.Size, rng *rand.Rand) {
	var w warp
	w.affine(0, 1, 0, 0, 0)
	across, down := 1.0, 1.0
	by := 1 / (leastSqueeze + (mostSqueeze-leastSqueeze)*rng.Float64())
	if rng.IntN(2) == 0 {
		across = by
	} else {
		down = by
	}
	w.crop(across, down, 0, 0)
	w.apply(dst, src, s.Height, s.Width, s.Channels, around)
}

// drawSide draws a side of a rectangle.
func drawSide(all int, rng *rand.Rand) int {
	return max(1, int(math.Round((leastCut+(mostCut-leastCut)*rng.Float64())*float64(all))))
}

// drawCorner draws where a rectangle of h×w pixels lies, as the place of its first value.
func drawCorner(s encoder.Size, h, w int, rng *rand.Rand) int {
	return (rng.IntN(s.Height-h+1)*s.Width + rng.IntN(s.Width-w+1)) * s.Channels
}

const (
	alikeItems  = 200  // that alike looks at, at most
	alikeAmong  = 1000 // items that it compares them with, at most
	alikeItself = 0.5  // share of the items
)

// alike reports whether items look the same under a shift: whether half of them and more are nearer to their own copy than to any other item, by
// Euclidean distance of what the network sees of them. To hold such copies against the items would be to hold the items against themselves.
func alike(s shift, items []encoder.Features, see func(encoder.Features) []float32, seed uint64) bool {
	some := func(n int) (part [][]float32) {
		for i := range min(n, len(items)) {
			part = append(part, see(items[i*len(items)/min(n, len(items))]))
		}
		return part
	}
	among, itself, asked := some(alikeAmong), 0, 0
	for i, item := range some(alikeItems) {
		moved := make([]float32, len(item))
		s.apply(moved, item, rand.New(rand.NewPCG(seed, uint64(i))))
		own, nearest := squaredDistance(moved, item), math.Inf(1)
		for _, other := range among {
			if d := squaredDistance(item, other); d > 0 { // not itself, or the same again
				nearest = min(nearest, d)
			}
		}
		if asked++; own < nearest {
			itself++
		}
	}
	return float64(itself) >= alikeItself*float64(asked)
}
