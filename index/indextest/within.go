package indextest

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/akin-search/akin/index"
)

// within searches with score thresholds around which between none and most of the points lie.
func (s suite) within(t *testing.T) {
	const dim, n, queries = 24, 3000, 20
	p := s.pair(t, dim)
	r := rand.New(rand.NewPCG(11, 11))
	v := Clustered(r, n+queries, dim, 12, 0.6)
	p.upsert(names("p", 0, n), v[:n])
	p.delete(names("p", 0, 200)...)
	var found, wanted [4]float64 // up to 10, 100, 1000 and more points within
	for _, q := range v[n:] {
		all := p.oracle.Search(q)
		for _, m := range []int{0, 1, 7, 60, 600, 2000} {
			// Halfway between two points, so that rounding moves none over the edge.
			edge := all[m].Distance - 1
			if m > 0 {
				edge = (all[m-1].Distance + all[m].Distance) / 2
			}
			limit := float32(Score(s.metric, edge))
			for _, k := range []int{5, 50, n} {
				for _, params := range []index.Params{{Exact: true}, {}, {EF: 100}} {
					params.ScoreThreshold = &limit
					hits, err := p.index.Search(context.Background(), q, k, params)
					if err != nil {
						t.Fatal(err)
					}
					want := min(k, m)
					near := 0
					for i, h := range hits {
						if d := Distance(s.metric, q, p.oracle.Vectors[h.ID]); d > edge+tolerance(d) || !isClose(float64(h.Distance), d) {
							t.Fatalf("k %d, threshold %v: hit %d is %+v at distance %v, beyond %v", k, limit, i, h, d, edge)
						} else if d <= all[max(want-1, 0)].Distance+tolerance(d) {
							near++
						}
					}
					if params.Exact && near < want || len(hits) > k {
						t.Fatalf("k %d, %+v: %d hits, %d of the %d nearest; %d points are within", k, params, len(hits), near, want, m)
					}
					bin := 0
					for m >= []int{10, 100, 1000, math.MaxInt}[bin] {
						bin++
					}
					found[bin] += float64(near)
					wanted[bin] += float64(want)
				}
			}
		}
	}
	for bin, w := range wanted {
		t.Logf("recall of those within, up to %.0g points: %.4f", math.Pow10(bin+1), found[bin]/w)
		if found[bin] < w*s.least(s.Recall) {
			t.Errorf("recall of those within is %.4f, want %.4f", found[bin]/w, s.Recall)
		}
	}
	p.noSearch(q0(dim), 1, index.Params{ScoreThreshold: new(float32(math.NaN()))}, "score threshold")
	p.noSearch(q0(dim), index.MaxK+1, index.Params{ScoreThreshold: new(float32(0))}, "10001")
	p.noSearch(q0(dim), 1, index.Params{ScoreThreshold: new(float32(0)), EF: -1}, "ef -1")
	for _, limit := range []float64{math.Inf(-1), math.Inf(1)} { // everything passes the one, nothing the other
		limit32 := float32(limit)
		hits, err := p.index.Search(context.Background(), v[n], index.MaxK, index.Params{ScoreThreshold: &limit32})
		want := 0
		if (limit > 0) == (s.metric == index.L2) {
			want = n - 200
		}
		if err != nil || len(hits) != want {
			t.Errorf("threshold %v: %d hits, want %d, %v", limit, len(hits), want, err)
		}
	}
}

// q0 is some vector.
func q0(dim int) []float32 {
	v := make([]float32, dim)
	v[0] = 1
	return v
}

// noSearch demands that a search is refused as invalid.
func (p pair) noSearch(q []float32, k int, params index.Params, text string) {
	p.t.Helper()
	_, err := p.index.Search(context.Background(), q, k, params)
	wantError(p.t, text, err, index.ErrInvalid, text)
}
