package train

import (
	"context"
	"fmt"
	"math"

	"github.com/akin-search/akin/encoder/kernel"
)

const (
	knnQueries = 128  // rows of a block of queries
	knnBase    = 1024 // rows of a block of the base: the block of similarities is 512 KB
)

// KNNAccuracy returns the share of the queries whose label is that of most of their k nearest rows of base, by cosine and exactly.
// Both matrices hold unit rows of one width. Where labels tie, the one with the nearest row wins; among equally near rows, the first
// of base is the nearer. It wants 1 ≤ k ≤ rows of base, labels for all, and finite values. It uses all processors, and stops at the
// next block when ctx ends.
func KNNAccuracy(ctx context.Context, base kernel.Matrix, baseLabels []int, queries kernel.Matrix, queryLabels []int, k int) (float64, error) {
	if err := checkSearch(base, baseLabels, queries, queryLabels); err != nil {
		return 0, err
	}
	e := evaluation{ctx: ctx, base: base, queries: queries, baseLabels: baseLabels, queryLabels: queryLabels}
	right, _, err := e.nearest(k)
	if err != nil {
		return 0, err
	}
	return mean(right), nil
}

// nearest tells of each query whether the vote of its k nearest rows of base is right (1) or wrong (0), and whether the first alone is.
func (e *evaluation) nearest(k int) (vote, first []float64, err error) {
	if k < 1 || k > e.base.Rows {
		return nil, nil, fmt.Errorf("%w: k is %d, want 1 to the %d rows of base", ErrEvaluate, k, e.base.Rows)
	}
	vote, first = make([]float64, e.queries.Rows), make([]float64, e.queries.Rows)
	err = eachBlock(e.ctx, e.Threads, (e.queries.Rows+knnQueries-1)/knnQueries, func() func(int) {
		v := newVoter(e.base, e.baseLabels, k)
		return func(block int) {
			from, to := block*knnQueries, min((block+1)*knnQueries, e.queries.Rows)
			v.search(e.queries, from, to)
			for q := from; q < to; q++ {
				vote[q] = hit(v.vote(q-from) == e.queryLabels[q])
				first[q] = hit(e.baseLabels[v.near[(q-from)*k].row] == e.queryLabels[q])
			}
		}
	})
	return vote, first, err
}

// checkSearch refuses a base and queries of different widths, without rows or without labels.
func checkSearch(base kernel.Matrix, baseLabels []int, queries kernel.Matrix, queryLabels []int) error {
	if err := checkRows("base", base, baseLabels); err != nil {
		return err
	}
	if err := checkRows("queries", queries, queryLabels); err != nil {
		return err
	}
	if base.Cols != queries.Cols {
		return fmt.Errorf("%w: base rows have %d columns, queries %d", ErrEvaluate, base.Cols, queries.Cols)
	}
	if queries.Rows == 0 {
		return fmt.Errorf("%w: no queries", ErrEvaluate)
	}
	for name, labels := range map[string][]int{"base": baseLabels, "queries": queryLabels} {
		for i, l := range labels {
			if l == Unlabelled {
				return fmt.Errorf("%w: %s, row %d has no label", ErrEvaluate, name, i)
			}
		}
	}
	return nil
}

// voter searches one block of queries at a time and lets the neighbours vote.
type voter struct {
	base   kernel.Matrix
	labels []int
	k      int
	sims   []float32 // knnQueries×knnBase
	near   []neighbour
	votes  map[int]int
}

// neighbour is one of the k nearest rows of base of a query.
type neighbour struct {
	similarity float32
	row        int
}

func newVoter(base kernel.Matrix, labels []int, k int) *voter {
	return &voter{
		base: base, labels: labels, k: k,
		sims:  make([]float32, knnQueries*min(knnBase, base.Rows)),
		near:  make([]neighbour, knnQueries*k),
		votes: map[int]int{},
	}
}

// search fills near with the neighbours of the queries from … to−1, nearest first.
func (v *voter) search(queries kernel.Matrix, from, to int) {
	n, dim := to-from, queries.Cols
	for i := range v.near {
		v.near[i] = neighbour{similarity: float32(math.Inf(-1))}
	}
	for first := 0; first < v.base.Rows; first += knnBase {
		rows := min(knnBase, v.base.Rows-first)
		kernel.Gemm(false, true, n, rows, dim, queries.Data[from*dim:], dim, v.base.Data[first*dim:], dim, v.sims, rows, false)
		for q := range n {
			near := v.near[q*v.k : (q+1)*v.k]
			worst := near[v.k-1].similarity
			for j, s := range v.sims[q*rows : (q+1)*rows] {
				if s > worst {
					insert(near, neighbour{s, first + j})
					worst = near[v.k-1].similarity
				}
			}
		}
	}
}

// insert puts x, which is nearer than the last, into its place and drops the last. Of equals, the one inserted first stays in front.
func insert(near []neighbour, x neighbour) {
	i := len(near) - 1
	for i > 0 && near[i-1].similarity < x.similarity {
		near[i] = near[i-1]
		i--
	}
	near[i] = x
}

// vote returns the label that most neighbours of query q of the block have, of ties that of the nearest.
func (v *voter) vote(q int) int {
	near := v.near[q*v.k : (q+1)*v.k]
	clear(v.votes)
	for _, x := range near {
		v.votes[v.labels[x.row]]++
	}
	best, most := 0, 0
	for _, x := range near {
		if label := v.labels[x.row]; v.votes[label] > most {
			best, most = label, v.votes[label]
		}
	}
	return best
}
