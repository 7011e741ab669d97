package train

import (
	"fmt"
	"math/rand/v2"

	"github.com/akin-search/akin/encoder"
)

// Augmenter applies an Augmentation to pictures of one size. It keeps scratch memory, so it belongs to one goroutine.
type Augmenter struct {
	a            Augmentation
	h, w, c      int
	black, white []float32 // the values of no and of full light, a channel
	around       []float32 // what surrounds a picture
	scratch      []float32 // a picture, for blur
	taps         []float32 // of a blur
}

// NewAugmenter returns an augmenter of features as p makes them. The amounts must be valid.
func NewAugmenter(a Augmentation, p encoder.Preprocessing) *Augmenter {
	a.SetDefaults()
	g := &Augmenter{a: a, h: p.Size.Height, w: p.Size.Width, c: p.Size.Channels, black: p.Background()}
	g.around = g.black
	for c := range g.c {
		g.white = append(g.white, (1-p.Mean[c])/p.Deviation[c])
	}
	if a.Blur != 0 {
		g.scratch = make([]float32, g.h*g.w*g.c)
		g.taps = gaussianTaps(nil, a.Blur*float32(min(g.h, g.w)))
	}
	return g
}

// Around sets what pixels are that come from outside a picture, a value a channel, and returns g. Unset, they are black.
func (g *Augmenter) Around(values []float32) *Augmenter {
	if len(values) != g.c {
		panic(fmt.Sprintf("train: Augmenter.Around: %d values for %d channels", len(values), g.c))
	}
	g.around = values
	return g
}

// Apply writes a randomly changed copy of src to dst. Both hold the values of one picture, [y][x][c], and must not overlap. Pixels that
// come from outside src are what Around says. All channels move together. The result depends on the augmentation, src and the state of rng
// alone. It allocates nothing. It panics where a slice has another length.
func (g *Augmenter) Apply(dst, src []float32, rng *rand.Rand) {
	if n := g.h * g.w * g.c; len(dst) != n || len(src) != n {
		panic(fmt.Sprintf("train: Augmenter.Apply: %d and %d values for an image of %d×%d×%d", len(dst), len(src), g.h, g.w, g.c))
	}
	// The order of the draws is part of what a seed means.
	if g.a.warps() {
		var w warp
		w.draw(g.a, g.h, g.w, rng)
		w.apply(dst, src, g.h, g.w, g.c, g.around)
	} else {
		copy(dst, src)
	}
	if g.a.Flip != 0 && rng.Float32() < g.a.Flip {
		mirror(dst, g.h, g.w, g.c)
	}
	if g.a.Blur != 0 {
		sigma := rng.Float32() * g.a.Blur * float32(min(g.h, g.w))
		g.taps = gaussianTaps(g.taps, sigma)
		blur(dst, g.scratch, g.h, g.w, g.c, g.taps)
	}
	if g.a.lights() {
		g.light(dst, rng)
	}
	if g.a.Noise != 0 {
		g.noise(dst, rng.Float32()*g.a.Noise, rng)
	}
	if g.a.Erase != 0 && rng.Float32() < g.a.Erase {
		g.erase(dst, rng)
	}
}

// mirror turns a picture round left to right.
func mirror(img []float32, h, w, c int) {
	for y := range h {
		row := img[y*w*c : (y+1)*w*c]
		for i, j := 0, w-1; i < j; i, j = i+1, j-1 {
			for ch := range c {
				row[i*c+ch], row[j*c+ch] = row[j*c+ch], row[i*c+ch]
			}
		}
	}
}
