package index

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
)

// cluster returns at most k centers of the rows, one row after the other: k-means (Lloyd) from k-means++ seeds (Arthur &
// Vassilvitskii, SODA 2007). With Cosine it is spherical (Dhillon & Modha, Machine Learning 2001): centers have unit length
// too. Fewer than k come back where fewer rows differ. The same rows and random source give the same centers.
func (s space) cluster(ctx context.Context, rows []float32, k, rounds int, r *rand.Rand) ([]float32, error) {
	centers := s.seeds(rows, k, r)
	k = len(centers) / s.stride
	n := len(rows) / s.stride
	of := slices.Repeat([]int{-1}, n)
	out := make([]float32, k)
	for range rounds {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		moved := false
		for i := range n {
			s.distances(rows[i*s.stride:(i+1)*s.stride], centers, blockRows[:k], out, nil)
			if c := argMin(out); c != of[i] {
				of[i], moved = c, true
			}
		}
		if !moved {
			break
		}
		s.center(rows, of, centers)
	}
	return centers, nil
}

// seeds draws the first center evenly and each further one with a probability that grows with the squared distance to the
// nearest center before it: for unit vectors that is 2·(1−cos).
func (s space) seeds(rows []float32, k int, r *rand.Rand) []float32 {
	n := len(rows) / s.stride
	weight := slices.Repeat([]float64{math.Inf(1)}, n)
	var centers []float32
	var out [scanBlock]float32
	for pick := r.IntN(n); ; {
		c := rows[pick*s.stride : (pick+1)*s.stride]
		centers = append(centers, c...)
		if len(centers) == k*s.stride {
			return centers
		}
		var total float64
		for first := 0; first < n; first += scanBlock {
			count := min(scanBlock, n-first)
			s.distances(c, rows[first*s.stride:], blockRows[:count], out[:], nil)
			for i, d := range out[:count] {
				if slices.Equal(rows[(first+i)*s.stride:(first+i+1)*s.stride], c) {
					d = 0 // not the rounding of 1−cos
				}
				weight[first+i] = min(weight[first+i], float64(d))
				total += weight[first+i]
			}
		}
		if total == 0 {
			return centers
		}
		at := r.Float64() * total
		pick = -1
		for i, w := range weight {
			if w > 0 {
				pick = i
			}
			if at -= w; at < 0 && w > 0 {
				break
			}
		}
	}
}

// center moves every center to the mean of its rows. One without rows, or whose rows cancel out, stays.
func (s space) center(rows []float32, of []int, centers []float32) {
	sums, counts := make([]float64, len(centers)), make([]int, len(centers)/s.stride)
	for i, c := range of {
		counts[c]++
		sum := sums[c*s.stride : (c+1)*s.stride]
		for j, x := range rows[i*s.stride : (i+1)*s.stride] {
			sum[j] += float64(x)
		}
	}
	for c, count := range counts {
		sum := sums[c*s.stride : (c+1)*s.stride]
		scale := 1 / float64(count)
		if s.metric == Cosine {
			var square float64
			for _, x := range sum {
				square += x * x
			}
			scale = 1 / math.Sqrt(square)
		}
		if math.IsInf(scale, 0) {
			continue
		}
		for j, x := range sum {
			centers[c*s.stride+j] = float32(x * scale)
		}
	}
}

func argMin(d []float32) int {
	best := 0
	for i, x := range d {
		if x < d[best] {
			best = i
		}
	}
	return best
}
