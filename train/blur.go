package train

import (
	"math"
	"slices"
)

// gaussianTaps returns the weights of a Gaussian of standard deviation sigma, in pixels, cut at 3σ: an odd number that sum to 1.
// They lie in taps where that has room.
func gaussianTaps(taps []float32, sigma float32) []float32 {
	reach := int(math.Ceil(3 * float64(sigma)))
	taps = slices.Grow(taps[:0], 2*reach+1)[:2*reach+1]
	sum := 0.0
	for i := range taps {
		d := float64(i - reach)
		v := 1.0
		if d != 0 {
			v = math.Exp(-d * d / (2 * float64(sigma) * float64(sigma)))
		}
		taps[i] = float32(v)
		sum += v
	}
	for i := range taps {
		taps[i] /= float32(sum)
	}
	return taps
}

// blur convolves a picture with taps along both sides, in place. Pixels beyond an edge are those of the edge. scratch holds a picture.
func blur(img, scratch []float32, h, w, c int, taps []float32) {
	if len(taps) == 1 {
		return
	}
	reach := len(taps) / 2
	row := w * c
	for y := range h { // along x, into scratch
		in, out := img[y*row:(y+1)*row], scratch[y*row:(y+1)*row]
		for i := range out {
			x, ch, sum := i/c, i%c, float32(0)
			if x >= reach && x+reach < w {
				at := i - reach*c
				for _, t := range taps {
					sum += t * in[at]
					at += c
				}
			} else {
				for k, t := range taps {
					sum += t * in[min(max(x+k-reach, 0), w-1)*c+ch]
				}
			}
			out[i] = sum
		}
	}
	for y := range h { // along y, back: whole rows at a time
		out := img[y*row : (y+1)*row]
		clear(out)
		for k, t := range taps {
			from := min(max(y+k-reach, 0), h-1)
			for i, v := range scratch[from*row : (from+1)*row] {
				out[i] += t * v
			}
		}
	}
}
