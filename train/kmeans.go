package train

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/akin-search/akin/encoder/kernel"
)

const (
	kMeansStarts = 5
	kMeansRounds = 100
	kMeansBlock  = 1024 // rows
)

// kMeans parts unit rows into k ≤ rows clusters by spherical k-means (Dhillon and Modha 2001): a row belongs to the centre of the highest
// cosine, a centre is the mean direction of its rows. It starts from rows drawn with a chance that grows with the squared distance to the
// nearest centre so far (k-means++, Arthur and Vassilvitskii 2007), and of several starts keeps the one with the highest sum of cosines.
func kMeans(ctx context.Context, m kernel.Matrix, k int, o DownstreamOptions) ([]int, error) {
	var best []int
	most := math.Inf(-1)
	for start := range uint64(kMeansStarts) {
		c := clustering{m: m, of: slices.Repeat([]int{-1}, m.Rows), cosine: make([]float32, m.Rows), threads: o.Threads}
		c.centres = c.seed(k, rand.New(rand.NewPCG(o.Seed, 0x6b6d65616e73+start))) // "kmeans"
		for range kMeansRounds {
			moved, err := c.assign(ctx)
			if err != nil {
				return nil, err
			}
			if !moved {
				break
			}
			c.centre()
		}
		sum := 0.0
		for _, s := range c.cosine {
			sum += float64(s)
		}
		if sum > most {
			best, most = c.of, sum
		}
	}
	return best, nil
}

type clustering struct {
	m, centres kernel.Matrix
	of         []int     // cluster of each row
	cosine     []float32 // of each row to its centre
	threads    int
}

// seed draws the first centres. Rows that equal a centre are drawn only when there are no others.
func (c *clustering) seed(k int, rng *rand.Rand) kernel.Matrix {
	centres := kernel.NewMatrix(k, c.m.Cols)
	squared := make([]float64, c.m.Rows) // distance to the nearest centre: of unit vectors 2 − 2·cosine
	for i := range squared {
		squared[i] = math.Inf(1)
	}
	cosine := make([]float32, c.m.Rows)
	at := rng.IntN(c.m.Rows)
	for j := range k {
		copy(centres.Row(j), c.m.Row(at))
		kernel.Gemm(false, true, c.m.Rows, 1, c.m.Cols, c.m.Data, c.m.Cols, centres.Row(j), c.m.Cols, cosine, 1, false)
		sum := 0.0
		for i, s := range cosine {
			squared[i] = min(squared[i], max(0, 2-2*float64(s)))
			sum += squared[i]
		}
		if at = rng.IntN(c.m.Rows); sum > 0 {
			left := rng.Float64() * sum
			for i, d := range squared {
				if left -= d; d > 0 {
					if at = i; left < 0 {
						break
					}
				}
			}
		}
	}
	return centres
}

// assign gives every row to its centre, the first of equally near ones, and reports whether a row moved.
func (c *clustering) assign(ctx context.Context) (moved bool, err error) {
	k, dim := c.centres.Rows, c.m.Cols
	blocks := (c.m.Rows + kMeansBlock - 1) / kMeansBlock
	changed := make([]bool, blocks)
	err = eachBlock(ctx, c.threads, blocks, func() func(int) {
		sims := make([]float32, kMeansBlock*k)
		return func(block int) {
			from, to := block*kMeansBlock, min((block+1)*kMeansBlock, c.m.Rows)
			kernel.Gemm(false, true, to-from, k, dim, c.m.Data[from*dim:], dim, c.centres.Data, dim, sims, k, false)
			for i := from; i < to; i++ {
				best := 0
				row := sims[(i-from)*k : (i-from+1)*k]
				for j, s := range row {
					if s > row[best] {
						best = j
					}
				}
				changed[block] = changed[block] || best != c.of[i]
				c.of[i], c.cosine[i] = best, row[best]
			}
		}
	})
	for _, b := range changed {
		moved = moved || b
	}
	return moved, err
}

// centre moves the centres to their rows. One without rows takes the row that is farthest from its own centre.
func (c *clustering) centre() {
	rows := make([][]int, c.centres.Rows)
	for i, j := range c.of {
		rows[j] = append(rows[j], i)
	}
	for j := range rows {
		if len(rows[j]) > 0 {
			continue
		}
		far := 0
		for i, s := range c.cosine {
			if s < c.cosine[far] {
				far = i
			}
		}
		c.cosine[far] = 2 // not again
		rows[j] = []int{far}
	}
	c.centres = meanDirections(c.m, rows)
}
