package train

import "math"

func (c *Corrupter) gaussianNoise(dst, src []float32) {
	for i, v := range src {
		dst[i] = clip(v + c.amount*float32(c.rng.NormFloat64()))
	}
}

// shotNoise draws the photons that arrive (Knuth's way: as many uniform numbers as keep their product above e^-mean).
func (c *Corrupter) shotNoise(dst, src []float32) {
	for i, v := range src {
		least, photons := math.Exp(-float64(v*c.amount)), 0
		for left := c.rng.Float64(); left > least; left *= c.rng.Float64() {
			photons++
		}
		dst[i] = min(float32(photons)/c.amount, 1)
	}
}

func (c *Corrupter) impulseNoise(dst, src []float32) {
	copy(dst, src)
	for p := 0; p < len(dst); p += c.c {
		at, white := c.rng.Float32(), float32(c.rng.Uint32()&1)
		if at >= c.amount {
			continue
		}
		for ch := range c.c {
			dst[p+ch] = white
		}
	}
}

func (c *Corrupter) contrast(dst, src []float32) {
	for ch := range c.c {
		mean := 0.0
		for i := ch; i < len(src); i += c.c {
			mean += float64(src[i])
		}
		m := float32(mean / float64(c.h*c.w))
		for i := ch; i < len(src); i += c.c {
			dst[i] = m + c.amount*(src[i]-m)
		}
	}
}

func (c *Corrupter) brighten(dst, src []float32) {
	for i, v := range src {
		dst[i] = min(v+c.amount, 1)
	}
}

func (c *Corrupter) occlude(dst, src []float32) {
	copy(dst, src)
	side := max(1, int(c.amount*c.side()+0.5))
	top, left := int(c.rng.Float64()*float64(c.h-side+1)), int(c.rng.Float64()*float64(c.w-side+1))
	for ch := range c.c {
		paint(dst, c.w, c.c, ch, top, left, side, side, c.rng.Float32())
	}
}
