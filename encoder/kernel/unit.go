package kernel

import "math"

// Unit writes v at length 1 to dst, or zeros where v is zero.
func Unit(dst []float32, v []float64) {
	square := 0.0
	for _, x := range v {
		square += x * x
	}
	scale := 0.0
	if square > 0 {
		scale = 1 / math.Sqrt(square)
	}
	for i, x := range v {
		dst[i] = float32(x * scale)
	}
}
