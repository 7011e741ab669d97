package index

import (
	"context"
	"math"
	"math/rand/v2"
)

// clusterCounts are the numbers of clusters that a class may be given.
var clusterCounts = [...]int{1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64}

const (
	countRows   = 2048 // rows of a class that its number of clusters is chosen on
	countRounds = 10   // k-means rounds of each number
	countFew    = 4    // rows that a cluster needs on average
)

// mostClusters are what the number of clusters of a class is bounded by in turn, to see which bound tells left-out classes best:
// the criterion describes the known, and more clusters than its purpose needs reach out to the strange. The first of equals is
// taken; usualMost where too few are known to tell.
var mostClusters = [...]int{2, 8, 32}

const usualMost = 8

// count chooses how many clusters the rows of a class fall into: the number with the highest Bayesian information criterion of
// spherical Gaussians of one variance (Pelleg & Moore, X-means, ICML 2000). It is judged on a sample: the criterion takes all
// components for independent, and with many rows would pay for ever more clusters. The number is at most most.
func (s space) count(ctx context.Context, rows []float32, most int, r *rand.Rand) (int, error) {
	n := len(rows) / s.stride
	if n > countRows {
		sample := make([]float32, 0, countRows*s.stride)
		for _, i := range r.Perm(n)[:countRows] {
			sample = append(sample, rows[i*s.stride:(i+1)*s.stride]...)
		}
		rows, n = sample, countRows
	}
	best, highest, worse := 1, math.Inf(-1), 0
	for _, k := range clusterCounts {
		if k > most || k > 1 && k*countFew > n || worse == 2 {
			break
		}
		centers, err := s.cluster(ctx, rows, k, countRounds, r)
		if err != nil {
			return 0, err
		}
		score, exact := s.information(rows, centers)
		if exact { // every row is its center
			return len(centers) / s.stride, nil
		}
		if score > highest {
			best, highest, worse = k, score, 0
		} else {
			worse++
		}
	}
	return best, nil
}

// information is the criterion of centers: Σ n_c·log(n_c/n) − n·d/2·log(2πσ²) − d·(n−k)/2 − p/2·log n with σ² = cost/(d·(n−k))
// and p = k·(d+1) parameters. With Cosine the cost is the squared chord, 2·(1−cos). exact: there is no cost.
func (s space) information(rows, centers []float32) (score float64, exact bool) {
	of, cost := s.assign(rows, centers)
	if cost == 0 {
		return 0, true
	}
	n, k, d := float64(len(of)), float64(len(centers)/s.stride), float64(s.dim)
	sizes := make([]float64, int(k))
	for _, c := range of {
		sizes[c]++
	}
	for _, size := range sizes {
		if size > 0 {
			score += size * math.Log(size/n)
		}
	}
	free := max(1, n-k)
	variance := cost / (d * free)
	return score - n*d/2*math.Log(2*math.Pi*variance) - d*free/2 - k*(d+1)/2*math.Log(n), false
}

// assign returns the nearest center of each row, and the sum of the squared distances to them.
func (s space) assign(rows, centers []float32) (of []int, cost float64) {
	k := len(centers) / s.stride
	of = make([]int, len(rows)/s.stride)
	out := make([]float32, k)
	for i := range of {
		s.distances(rows[i*s.stride:(i+1)*s.stride], centers, blockRows[:k], out, nil)
		of[i] = argMin(out)
		cost += float64(out[of[i]])
	}
	if s.metric == Cosine {
		cost *= 2
	}
	return of, cost
}
