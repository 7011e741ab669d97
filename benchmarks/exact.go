package benchmarks

import (
	"container/heap"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/akin-search/akin/index"
	"github.com/akin-search/akin/index/distance"
)

const (
	truthQueries = 64  // queries that share one pass over the base
	truthRows    = 256 // rows of the base that stay in the cache meanwhile

	// rounding is how far apart, relative to their size, two distances may be that float32 does not tell apart.
	rounding = 1e-6
)

// truth knows how far the k-th nearest point is from every query.
type truth struct {
	data    Data
	k       int
	edge    []float64 // per query; rounding included
	nearest [][]int32 // per query the k nearest rows, in no order
	norms   []float64 // lengths of the points, for Cosine and Dot
	longest float64   // of norms
	// passes says whether a row may be a hit of a query; nil where all may.
	passes func(query, row int) bool
}

// newTruth returns a truth that knows distances, and no edges yet.
func newTruth(d Data, k int) *truth {
	t := &truth{data: d, k: k, edge: make([]float64, len(d.Queries)), nearest: make([][]int32, len(d.Queries))}
	if d.Metric != index.L2 {
		t.norms = make([]float64, len(d.Base))
		for i, v := range d.Base {
			t.norms[i] = norm(v)
		}
		t.longest = slices.Max(t.norms)
	}
	return t
}

// findTruth compares every query with every point in float32, and decides between the nearest in float64. Where the data comes with
// a truth it compares only the first queries with every point, to see whether that truth is this data's.
func findTruth(ctx context.Context, d Data, k, threads int) (*truth, error) {
	t := newTruth(d, k)
	scanned := len(d.Queries)
	if d.Truth != nil {
		scanned = min(scanned, truthQueries)
	}
	chunks := (scanned + truthQueries - 1) / truthQueries
	var next atomic.Int64
	var wait sync.WaitGroup
	for range min(threads, chunks) {
		wait.Go(func() {
			for ctx.Err() == nil {
				chunk := int(next.Add(1)) - 1
				if chunk >= chunks {
					return
				}
				t.scan(ctx, chunk*truthQueries, min((chunk+1)*truthQueries, scanned))
			}
		})
	}
	wait.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for i, rows := range d.Truth {
		if len(rows) < k {
			return nil, fmt.Errorf("%s: %w: the truth of query %d names %d rows, k is %d: ask for less, or leave the truth file out", d.Name, ErrData, i, len(rows), k)
		}
		edge := t.edgeOf(i, rows[:k])
		if i < scanned && math.Abs(edge-t.edge[i]) > t.slack(i, edge) {
			return nil, fmt.Errorf("%s: %w: the truth file puts neighbour %d of query %d at %.9g by %v, a scan at %.9g: it belongs to other data or another metric; leave it out",
				d.Name, ErrData, k, i, edge, d.Metric, t.edge[i])
		}
		t.edge[i], t.nearest[i] = edge, rows[:k]
	}
	return t, nil
}

// edgeOf returns how far a hit of a query may be when these are its nearest rows: as far as the farthest, and what rounding hides.
func (t *truth) edgeOf(query int, rows []int32) float64 {
	edge := math.Inf(-1)
	for _, row := range rows {
		edge = max(edge, t.distance(query, int(row)))
	}
	return edge + t.slack(query, edge)
}

// slack is how far apart two distances about d from a query may be that float32 does not tell apart.
func (t *truth) slack(query int, d float64) float64 {
	switch t.data.Metric {
	case index.L2:
		return d * rounding
	case index.Dot:
		return rounding * norm(t.data.Queries[query]) * t.longest
	}
	return rounding
}

// scan finds the edges of the queries from … to−1.
func (t *truth) scan(ctx context.Context, from, to int) {
	near := make([]farthestFirst, to-from)
	for first := 0; first < len(t.data.Base); first += truthRows {
		if ctx.Err() != nil {
			return
		}
		last := min(first+truthRows, len(t.data.Base))
		for i := range near {
			near[i].addAll(t, t.data.Queries[from+i], first, last)
		}
	}
	for i, h := range near {
		rows := make([]int32, len(h))
		for j, c := range h {
			rows[j] = int32(c.row)
		}
		t.edge[from+i], t.nearest[from+i] = t.edgeOf(from+i, rows), rows
	}
}

// distance is that of index.Hit, in float64.
func (t *truth) distance(query, row int) float64 {
	q, v := t.data.Queries[query], t.data.Base[row]
	sum := 0.0
	if t.data.Metric == index.L2 {
		for i, x := range q {
			d := float64(x) - float64(v[i])
			sum += d * d
		}
		return math.Sqrt(sum)
	}
	for i, x := range q {
		sum += float64(x) * float64(v[i])
	}
	if t.data.Metric == index.Cosine {
		return 1 - sum/(norm(q)*t.norms[row])
	}
	return -sum
}

// recall returns the share of k that the hits of a query have in common with its k nearest points. It refuses hits that are no
// points and hits that come twice.
func (t *truth) recall(query int, hits []index.Hit) (float64, error) {
	if len(hits) > t.k {
		return 0, fmt.Errorf("query %d: %d hits where %d were asked for", query, len(hits), t.k)
	}
	seen := make(map[int]bool, t.k)
	good := 0
	for _, h := range hits {
		row, err := strconv.Atoi(h.ID)
		if err != nil || row < 0 || row >= len(t.data.Base) || seen[row] {
			return 0, fmt.Errorf("query %d: hit %q is no point, or came twice", query, h.ID)
		}
		if t.passes != nil && !t.passes(query, row) {
			return 0, fmt.Errorf("query %d: hit %q does not pass its filter", query, h.ID)
		}
		seen[row] = true
		if t.distance(query, row) <= t.edge[query] {
			good++
		}
	}
	return float64(good) / float64(t.k), nil
}

// candidate is a point and something that sorts like its distance.
type candidate struct {
	distance float32
	row      int
}

// farthestFirst is a heap of the k nearest points seen.
type farthestFirst []candidate

func (h farthestFirst) Len() int           { return len(h) }
func (h farthestFirst) Less(i, j int) bool { return h[i].distance > h[j].distance }
func (h farthestFirst) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *farthestFirst) Push(x any)        { *h = append(*h, x.(candidate)) }
func (h *farthestFirst) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// addAll compares q with the points from first to last−1.
func (h *farthestFirst) addAll(t *truth, q []float32, first, last int) {
	for row := first; row < last; row++ {
		v := t.data.Base[row]
		var d float32
		switch t.data.Metric {
		case index.L2:
			d = distance.SquaredL2(q, v)
		case index.Cosine:
			d = -distance.Dot(q, v) / float32(t.norms[row])
		case index.Dot:
			d = -distance.Dot(q, v)
		}
		switch {
		case len(*h) < t.k:
			heap.Push(h, candidate{d, row})
		case d < (*h)[0].distance:
			(*h)[0] = candidate{d, row}
			heap.Fix(h, 0)
		}
	}
}

func norm(v []float32) float64 {
	sum := 0.0
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	return math.Sqrt(sum)
}
