package kernel

import (
	"fmt"
	"math"
)

// StatisticsFloor is added to the variance, so that a channel that never changes has a gradient too.
const StatisticsFloor = 1e-5

// StatisticsShape is mean and deviation over all pixels of each channel, √(variance + 1e-5): x [Batch][Height][Width][Channels] to y
// [Batch][means, deviations], 2·Channels in all. It is the statistics pooling of x-vectors (Snyder et al. 2018, "X-vectors: robust DNN embeddings for
// speaker recognition", section 2.1).
type StatisticsShape struct{ Batch, Height, Width, Channels int }

// Validate reports the first value that no kernel can serve.
func (s StatisticsShape) Validate() error {
	if s.Batch < 1 || s.Height < 1 || s.Width < 1 || s.Channels < 1 {
		return shapeError("statistics pooling", s)
	}
	return nil
}

// Parameters are none.
func (s StatisticsShape) Parameters() []Parameter { return nil }

// Output returns 2·Channels.
func (s StatisticsShape) Output() int { return 2 * s.Channels }

// Differentiable is always true.
func (s StatisticsShape) Differentiable() bool { return true }

// Flops returns 0: there is no product.
func (s StatisticsShape) Flops() int { return 0 }

type cpuStatistics struct {
	StatisticsShape
	sizes          sizes
	dev            *cpuDevice
	sum, square    []float32 // scratch: of the distances to the mean
	scale, offset  []float32 // scratch: of the gradient, x·scale + offset
	floor          [1]float32
	pixels, values int // of an item
}

func newStatistics(d *cpuDevice, s StatisticsShape) *cpuStatistics {
	l := &cpuStatistics{StatisticsShape: s, dev: d, floor: [1]float32{float32(math.Inf(-1))}, pixels: s.Height * s.Width}
	l.values = l.pixels * s.Channels
	l.sizes = sizesOf(s, s.Batch, l.values)
	for _, v := range []*[]float32{&l.sum, &l.square, &l.scale, &l.offset} {
		*v = aligned(s.Channels)
	}
	return l
}

func (l *cpuStatistics) Forward(n int, x Buffer, params []Buffer, y Buffer) {
	l.sizes.checkForward(n, x, params, y)
	inverse := 1 / float64(l.pixels)
	for i := range n {
		img, out := floats(x)[i*l.values:][:l.values], floats(y)[i*2*l.Channels:][:2*l.Channels]
		mean, deviation := out[:l.Channels], out[l.Channels:]
		clear(mean)
		for p := 0; p < l.values; p += l.Channels {
			l.dev.tier.add(mean, img[p:][:l.Channels])
		}
		for c := range mean {
			mean[c] = float32(float64(mean[c]) * inverse)
		}
		clear(l.sum)
		clear(l.square)
		l.dev.tier.sumChannels(l.sum, l.square, img, mean)
		for c := range mean { // the sum is what rounding left of the mean
			off := float64(l.sum[c]) * inverse
			mean[c] += float32(off)
			deviation[c] = float32(math.Sqrt(max(float64(l.square[c])*inverse-off*off, 0) + StatisticsFloor))
		}
	}
}

// Backward computes dx = dmean/n + ddeviation·(x - mean)/(n·deviation).
func (l *cpuStatistics) Backward(n int, x Buffer, params []Buffer, y, dy, dx Buffer, grads []Buffer) {
	l.sizes.checkBackward(n, x, params, y, dy, dx, grads)
	inverse := 1 / float64(l.pixels)
	for i := range n {
		out, g := floats(y)[i*2*l.Channels:][:2*l.Channels], floats(dy)[i*2*l.Channels:][:2*l.Channels]
		for c := range l.Channels {
			scale := float64(g[l.Channels+c]) * inverse / float64(out[l.Channels+c])
			l.scale[c], l.offset[c] = float32(scale), float32(float64(g[c])*inverse-scale*float64(out[c]))
		}
		l.dev.tier.affine(floats(dx)[i*l.values:][:l.values], floats(x)[i*l.values:][:l.values], l.scale, l.offset, &l.floor)
	}
}

// BandsShape makes channels of the rows of an image, so that a layer behind it goes along the width alone:
//
//	x [Batch][Height][Width][Channels]
//	y [Batch][1+2·OutPad][Width+2·OutPad][Height·Channels]
type BandsShape struct {
	Batch, Height, Width, Channels int
	OutPad                         int
}

// Validate reports the first value that no kernel can serve.
func (s BandsShape) Validate() error {
	if s.Batch < 1 || s.Height < 1 || s.Width < 1 || s.Channels < 1 {
		return shapeError("bands", s)
	}
	if s.OutPad < 0 {
		return fmt.Errorf("kernel: bands with a border of %d: it must be at least 0", s.OutPad)
	}
	return nil
}

// Parameters are none.
func (s BandsShape) Parameters() []Parameter { return nil }

// Output returns the floats of one item of y.
func (s BandsShape) Output() int {
	return (1 + 2*s.OutPad) * (s.Width + 2*s.OutPad) * s.Height * s.Channels
}

// Differentiable is always true.
func (s BandsShape) Differentiable() bool { return true }

// Flops returns 0: there is no product.
func (s BandsShape) Flops() int { return 0 }

type cpuBands struct {
	BandsShape
	sizes sizes
}

// each calls use with the place of every pixel in x and in y.
func (l cpuBands) each(n int, use func(x, y int)) {
	bands := l.Height * l.Channels
	for i := range n {
		y := i*l.Output() + l.OutPad*((l.Width+2*l.OutPad)*bands+bands)
		for r := range l.Height {
			for q := range l.Width {
				use(((i*l.Height+r)*l.Width+q)*l.Channels, y+q*bands+r*l.Channels)
			}
		}
	}
}

func (l cpuBands) Forward(n int, x Buffer, params []Buffer, y Buffer) {
	l.sizes.checkForward(n, x, params, y)
	from, to := floats(x), floats(y)
	l.each(n, func(x, y int) { copy(to[y:][:l.Channels], from[x:]) })
}

func (l cpuBands) Backward(n int, x Buffer, params []Buffer, y, dy, dx Buffer, grads []Buffer) {
	l.sizes.checkBackward(n, x, params, y, dy, dx, grads)
	from, to := floats(dy), floats(dx)
	l.each(n, func(x, y int) { copy(to[x:][:l.Channels], from[y:]) })
}
