package kernel

import "math"

// MomentumStep is one step of stochastic gradient descent with momentum, the rate inside the velocity:
//
//	d = g + Decay·w
//	v = Momentum·v + Rate·d
//	w = w − v                          plain (Polyak 1964; with a rate a layer: You, Gitman & Ginsburg 2017, algorithm 1)
//	w = w − (Momentum·v + Rate·d)      Nesterov (Sutskever et al. 2013, equations 3 and 4, at the point looked ahead to)
type MomentumStep struct {
	Rate, Momentum, Decay float64
	Nesterov              bool
}

// Momentum updates the weights w and their velocity v by the gradient g.
func (d *cpuDevice) Momentum(w, g, v Buffer, s MomentumStep) {
	wf, gf, vf := floats(w), floats(g), floats(v)
	if len(gf) != len(wf) || len(vf) != len(wf) {
		panic("kernel: Momentum buffers differ in length")
	}
	rate, momentum, decay := float32(s.Rate), float32(s.Momentum), float32(s.Decay)
	for i, x := range wf {
		step := rate * (gf[i] + decay*x)
		vf[i] = flushed(momentum*vf[i] + step) // as in adamReference
		if s.Nesterov {
			wf[i] = x - (momentum*vf[i] + step)
		} else {
			wf[i] = x - vf[i]
		}
	}
}

// Accumulate adds src to dst.
func (d *cpuDevice) Accumulate(dst, src Buffer) {
	a, b := floats(dst), floats(src)
	if len(a) != len(b) {
		panic("kernel: Accumulate buffers differ in length")
	}
	d.tier.add(a, b)
}

// Average computes dst = keep·dst + (1−keep)·src.
func (d *cpuDevice) Average(dst, src Buffer, keep float64) {
	a, b := floats(dst), floats(src)
	if len(a) != len(b) {
		panic("kernel: Average buffers differ in length")
	}
	rest := float32(1 - keep)
	for i, x := range a {
		a[i] = x + rest*(b[i]-x)
	}
}

// Norm returns the Euclidean length of b, summed in float64 in an order that depends on nothing but its length.
func (d *cpuDevice) Norm(b Buffer) float64 {
	f := floats(b)
	var sum [4]float64 // four chains of additions, side by side
	i := 0
	for ; i+4 <= len(f); i += 4 {
		x, y, z, w := float64(f[i]), float64(f[i+1]), float64(f[i+2]), float64(f[i+3])
		sum[0] += x * x
		sum[1] += y * y
		sum[2] += z * z
		sum[3] += w * w
	}
	for ; i < len(f); i++ {
		sum[0] += float64(f[i]) * float64(f[i])
	}
	return math.Sqrt(sum[0] + sum[1] + sum[2] + sum[3])
}
