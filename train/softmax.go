package train

import (
	"fmt"
	"math"
)

// similaritySoftmax is the core of SupCon and NTXent: for every anchor i, the softmax of its similarities to all candidates but
// itself, s_ij / temperature, against the candidates that carry its label, P(i):
//
//	L = mean over the i with |P(i)| > 0 of −1/|P(i)| Σ_{p∈P(i)} log( exp(s_ip/τ) / Σ_{j≠i} exp(s_ij/τ) )
//	dL/ds_ij = ( softmax_ij − [j∈P(i)]/|P(i)| ) / (anchors·τ)
type similaritySoftmax struct {
	temperature float32
	positives   []int // of one row
}

func newSimilaritySoftmax(name string, temperature float32) *similaritySoftmax {
	if !(temperature > 0) {
		panic(fmt.Sprintf("train: %s: temperature %v, want more than 0", name, temperature))
	}
	return &similaritySoftmax{temperature: temperature}
}

// gradient implements pairwise. Rows without a positive become zero.
func (c *similaritySoftmax) gradient(s similarities) (loss, factor float32) {
	if cap(c.positives) < len(s.among) {
		c.positives = make([]int, 0, len(s.among))
	}
	inverse := 1 / c.temperature
	sum, anchors := 0.0, 0
	for i, label := range s.labels {
		row := s.row(i)
		c.positives = c.positives[:0]
		for j, l := range s.among {
			if l == label && !(s.self && j == i) {
				c.positives = append(c.positives, j)
			}
		}
		if len(c.positives) == 0 {
			clear(row)
			continue
		}
		anchors++
		share := 1 / float32(len(c.positives))

		if s.self {
			row[i] = float32(math.Inf(-1)) // a row is not compared with itself: exp makes this 0
		}
		top := maximum(row)
		positive := 0.0 // mean of (s_ip − top·inverse)
		for _, p := range c.positives {
			positive += float64((row[p] - top) * inverse)
		}
		total := expShifted(row, top, inverse)
		sum += math.Log(total) - positive*float64(share)

		scale := float32(1 / total)
		for j := range row {
			row[j] *= scale
		}
		for _, p := range c.positives {
			row[p] -= share
		}
	}
	if anchors == 0 {
		return 0, 0
	}
	return float32(sum / float64(anchors)), 1 / (float32(anchors) * c.temperature)
}

// maximum returns the largest value, in four chains so that they do not wait for each other. NaN is passed over; expShifted carries it on.
func maximum(v []float32) float32 {
	inf := float32(math.Inf(-1))
	a, b, c, d := inf, inf, inf, inf
	for ; len(v) >= 4; v = v[4:] {
		if v[0] > a {
			a = v[0]
		}
		if v[1] > b {
			b = v[1]
		}
		if v[2] > c {
			c = v[2]
		}
		if v[3] > d {
			d = v[3]
		}
	}
	for _, x := range v {
		if x > a {
			a = x
		}
	}
	return max(a, b, c, d)
}

// expShifted replaces every v by exp((v−top)·scale), where top is at least v and scale is positive, and returns the sum.
// Relative error below 3e-7 (Cephes' expf: x = n·ln 2 + r, |r| ≤ ½ ln 2, and a polynomial for exp r); results below 1e-38 become 0.
func expShifted(v []float32, top, scale float32) float64 {
	const (
		log2e = 1.44269504088896341
		ln2Hi = 0.693359375 // ln 2 in two parts: n·ln2Hi is exact
		ln2Lo = -2.12194440e-4
		least = -87 // exp is still a normal number
	)
	sum := 0.0
	for i, value := range v {
		x := (value - top) * scale
		if x < least {
			v[i] = 0
			continue
		}
		n := int32(x*log2e - 0.5) // rounds, since x ≤ 0
		f := float32(n)
		r := x - f*ln2Hi - f*ln2Lo
		p := ((((1.9875691500e-4*r+1.3981999507e-3)*r+8.3334519073e-3)*r+4.1665795894e-2)*r+1.6666665459e-1)*r + 5.0000001201e-1
		e := (p*r*r + r + 1) * math.Float32frombits(uint32(n+127)<<23)
		v[i] = e
		sum += float64(e)
	}
	return sum
}
