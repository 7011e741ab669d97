package kernel

import "math"

// normalizeFloor keeps the length of a zero row above zero.
const normalizeFloor = 1e-12

type cpuNormalize struct {
	NormalizeShape
	sizes sizes
}

func inverseLength(x []float32) float64 {
	var s float64
	for _, v := range x {
		s += float64(v) * float64(v)
	}
	return 1 / math.Sqrt(s+normalizeFloor)
}

func (l cpuNormalize) Forward(n int, x Buffer, params []Buffer, y Buffer) {
	l.sizes.checkForward(n, x, params, y)
	xs, ys := floats(x), floats(y)
	for i := range n {
		row, out := xs[i*l.Cols:(i+1)*l.Cols], ys[i*l.Cols:(i+1)*l.Cols]
		s := inverseLength(row)
		for j, v := range row {
			out[j] = float32(float64(v) * s)
		}
	}
}

// Backward computes dx = (dy - y·(y·dy)) / ‖x‖.
func (l cpuNormalize) Backward(n int, x Buffer, params []Buffer, y, dy, dx Buffer, grads []Buffer) {
	l.sizes.checkBackward(n, x, params, y, dy, dx, grads)
	for i := range n {
		lo, hi := i*l.Cols, (i+1)*l.Cols
		row, u, g, out := floats(x)[lo:hi], floats(y)[lo:hi], floats(dy)[lo:hi], floats(dx)[lo:hi]
		s := inverseLength(row)
		var dot float64
		for j := range u {
			dot += float64(u[j]) * float64(g[j])
		}
		for j := range out {
			out[j] = float32((float64(g[j]) - float64(u[j])*dot) * s)
		}
	}
}
