package train

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/akin-search/akin/encoder/kernel"
	"github.com/akin-search/akin/index"
)

const (
	spreadColumns    = 32   // classes that are solved for together
	spreadRows       = 512  // rows of the graph that a worker takes at a time
	spreadTolerance  = 1e-6 // of the residual, against the right-hand side
	spreadIterations = 2000 // conjugate gradients need about log(2/tolerance)·√(1/(1−α)) of them
)

// links is the symmetric, normalised affinity S of Propagate as sparse rows: row i is joined to to[from[i]:from[i+1]].
type links struct {
	from    []int
	to      []int32
	weight  []float32
	threads int
}

// affinity finds the neighbours of all rows and weighs them.
func affinity(ctx context.Context, emb kernel.Matrix, o PropagateOptions) (*links, error) {
	n := emb.Rows
	k := min(o.Neighbours, n-1)
	near, err := neighbours(ctx, emb, k, o)
	if err != nil {
		return nil, err
	}
	// W = A + Aᵀ: each link is written into both rows; where both have it, the two become one.
	g := &links{from: make([]int, n+1), threads: o.Threads}
	rows := make([][]link, n)
	var farthest []float64 // distances that neighbourhoods end at
	for _, hits := range near {
		if len(hits) > 0 {
			farthest = append(farthest, float64(hits[len(hits)-1].Distance))
		}
	}
	slices.Sort(farthest)
	scale := 1.0
	if m := len(farthest) / 2; m < len(farthest) {
		scale = max(farthest[m], 1e-9) // equal rows keep a finite weight
	}
	for i, hits := range near {
		for _, h := range hits {
			w := math.Exp(-o.Sharpness * float64(h.Distance) / scale)
			if w == 0 {
				continue
			}
			j, err := strconv.Atoi(h.ID)
			if err != nil {
				return nil, fmt.Errorf("train: neighbour %q of row %d: %w", h.ID, i, err)
			}
			rows[i] = append(rows[i], link{int32(j), w})
			rows[j] = append(rows[j], link{int32(i), w})
		}
	}
	degree := make([]float64, n)
	for i, row := range rows {
		slices.SortFunc(row, func(a, b link) int { return int(a.to - b.to) })
		merged := row[:0]
		for _, l := range row {
			degree[i] += l.weight
			if last := len(merged) - 1; last >= 0 && merged[last].to == l.to {
				merged[last].weight += l.weight
				continue
			}
			merged = append(merged, l)
		}
		rows[i] = merged
	}
	for i, row := range rows {
		for _, l := range row {
			g.to = append(g.to, l.to)
			g.weight = append(g.weight, float32(l.weight/math.Sqrt(degree[i]*degree[l.to])))
		}
		g.from[i+1] = len(g.to)
	}
	return g, nil
}

type link struct {
	to     int32
	weight float64
}

// neighbours returns the k nearest rows of every row, itself left out, from a graph index that it builds.
func neighbours(ctx context.Context, emb kernel.Matrix, k int, o PropagateOptions) ([][]index.Hit, error) {
	ix, err := index.New(index.Options{Dimension: emb.Cols, Seed: o.Seed, Threads: o.Threads})
	if err != nil {
		return nil, err
	}
	ids, vectors := make([]string, emb.Rows), make([][]float32, emb.Rows)
	for i := range ids {
		ids[i], vectors[i] = strconv.Itoa(i), emb.Row(i)
	}
	if err := ix.Upsert(ids, vectors); err != nil {
		return nil, err
	}
	near := make([][]index.Hit, emb.Rows)
	err = inParallel(ctx, emb.Rows, o.Threads, func(i int) error {
		hits, err := ix.Search(ctx, vectors[i], k+1, index.Params{EF: 2 * (k + 1)})
		if err != nil {
			return err
		}
		hits = slices.DeleteFunc(hits, func(h index.Hit) bool { return h.ID == ids[i] })
		near[i] = hits[:min(k, len(hits))]
		return nil
	})
	return near, err
}

// inParallel calls f for 0 … n−1 on so many threads, 0 for one a core, and returns the first error, or why ctx ended.
func inParallel(ctx context.Context, n, threads int, f func(int) error) error {
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(threads, n) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := f(i); err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// spread solves (I − αS)F = Y for the classes of block by conjugate gradients (Hestenes, Stiefel 1952), all columns side by side: S is symmetric with
// eigenvalues of −1 to 1, so the matrix is positive definite. F is rows × len(block), row by row; rounding may leave values a little below 0.
func (g *links) spread(ctx context.Context, block [][]int, alpha float64) ([]float64, error) {
	n := len(block)
	size := (len(g.from) - 1) * n
	f, residual, direction, image := make([]float64, size), make([]float64, size), make([]float64, size), make([]float64, size)
	norm, goal := make([]float64, n), make([]float64, n) // squares of the residual's length
	for c, seeds := range block {
		for _, i := range seeds {
			residual[i*n+c], direction[i*n+c] = 1, 1
		}
		norm[c] = float64(len(seeds))
		goal[c] = norm[c] * spreadTolerance * spreadTolerance
	}
	step, along, fresh, keep := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	for range spreadIterations {
		left := 0
		for c := range n {
			if norm[c] > goal[c] {
				left++
			}
		}
		if left == 0 {
			return f, nil
		}
		if err := g.apply(ctx, image, direction, n, alpha); err != nil {
			return nil, err
		}
		columns(along, direction, image)
		for c := range n {
			step[c] = 0 // a column that is done stays
			if norm[c] > goal[c] {
				step[c] = norm[c] / along[c]
			}
		}
		for at := 0; at < size; at += n {
			for c, s := range step {
				f[at+c] += s * direction[at+c]
				residual[at+c] -= s * image[at+c]
			}
		}
		columns(fresh, residual, residual)
		for c := range n {
			if keep[c] = 0; norm[c] > 0 {
				keep[c] = fresh[c] / norm[c]
			}
		}
		for at := 0; at < size; at += n {
			for c, k := range keep {
				direction[at+c] = residual[at+c] + k*direction[at+c]
			}
		}
		copy(norm, fresh)
	}
	return nil, fmt.Errorf("train: label propagation: residuals %v after %d iterations, want %v", norm, spreadIterations, goal)
}

// columns sets sums to the products of a and b, column by column, in the order of the rows.
func columns(sums, a, b []float64) {
	clear(sums)
	for at := 0; at < len(a); at += len(sums) {
		for c := range sums {
			sums[c] += a[at+c] * b[at+c]
		}
	}
}

// apply sets out = (I − αS)·in, both of n columns.
func (g *links) apply(ctx context.Context, out, in []float64, n int, alpha float64) error {
	rows := len(g.from) - 1
	return inParallel(ctx, (rows+spreadRows-1)/spreadRows, g.threads, func(block int) error {
		sum := make([]float64, n)
		for i := block * spreadRows; i < min((block+1)*spreadRows, rows); i++ {
			clear(sum)
			for e := g.from[i]; e < g.from[i+1]; e++ {
				w := float64(g.weight[e])
				for c, x := range in[int(g.to[e])*n:][:n] {
					sum[c] += w * x
				}
			}
			for c, s := range sum {
				out[i*n+c] = in[i*n+c] - alpha*s
			}
		}
		return nil
	})
}
