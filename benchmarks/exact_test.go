package benchmarks

import (
	"cmp"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/akin-search/akin/index"
)

// rows draws n vectors of the given dimension.
func rows(rng *rand.Rand, n, dim int) [][]float32 {
	v := make([][]float32, n)
	for i := range v {
		v[i] = make([]float32, dim)
		for j := range v[i] {
			v[i][j] = float32(rng.NormFloat64())
		}
	}
	return v
}

func hitsOf(rows ...int) []index.Hit {
	hits := make([]index.Hit, len(rows))
	for i, r := range rows {
		hits[i].ID = strconv.Itoa(r)
	}
	return hits
}

// On the number line the neighbours can be seen: points 0, 1, 2, 3, 3, 10.
func TestRecallByHand(t *testing.T) {
	d := Data{
		Name: "line", Metric: index.L2,
		Base:    [][]float32{{0}, {1}, {2}, {3}, {3}, {10}},
		Queries: [][]float32{{0.1}, {1.5}, {3}},
	}
	for _, c := range []struct {
		name     string
		k, query int
		hits     []index.Hit
		want     float64
	}{
		{"both", 2, 0, hitsOf(0, 1), 1},
		{"order does not matter", 2, 0, hitsOf(1, 0), 1},
		{"one of two", 2, 0, hitsOf(0, 2), 0.5},
		{"none", 2, 0, hitsOf(5, 4), 0},
		{"too few", 2, 0, hitsOf(0), 0.5},
		{"no hits", 2, 0, nil, 0},
		{"a tie, left", 1, 1, hitsOf(1), 1},
		{"a tie, right", 1, 1, hitsOf(2), 1},
		{"two of three at the edge", 3, 1, hitsOf(1, 2, 0), 1},
		{"two others of three at the edge", 3, 1, hitsOf(1, 2, 4), 1},
		{"equal points, one", 1, 2, hitsOf(3), 1},
		{"equal points, other", 1, 2, hitsOf(4), 1},
		{"equal points, neither", 1, 2, hitsOf(2), 0},
	} {
		exact, err := findTruth(context.Background(), d, c.k, 2)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := exact.recall(c.query, c.hits); err != nil || got != c.want {
			t.Errorf("%s: recall %v, %v, want %v", c.name, got, err, c.want)
		}
	}

	exact, err := findTruth(context.Background(), d, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	for name, hits := range map[string][]index.Hit{
		"twice": hitsOf(0, 0), "no point": hitsOf(6), "negative": hitsOf(-1), "no number": {{ID: "x"}}, "too many": hitsOf(0, 1, 2),
	} {
		if _, err := exact.recall(0, hits); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// The edges against sorting all distances in float64.
func TestTruthAgainstSorting(t *testing.T) {
	const seed = 7
	rng := rand.New(rand.NewPCG(seed, 0))
	for _, metric := range []index.Metric{index.Cosine, index.L2, index.Dot} {
		for _, c := range []struct{ n, queries, dim, k int }{
			{1, 1, 1, 1}, {300, 70, 3, 10}, {600, 130, 65, 1}, {257, 64, 16, 257}, {255, 5, 130, 100},
		} {
			d := Data{Name: "random", Metric: metric, Base: rows(rng, c.n, c.dim), Queries: rows(rng, c.queries, c.dim)}
			exact, err := findTruth(context.Background(), d, c.k, 2)
			if err != nil {
				t.Fatal(err)
			}
			for q := range d.Queries {
				order := make([]int, c.n)
				for i := range order {
					order[i] = i
				}
				slices.SortFunc(order, func(a, b int) int {
					return cmp.Compare(exact.distance(q, a), exact.distance(q, b))
				})
				edge := exact.distance(q, order[c.k-1])
				if got := exact.edge[q]; got < edge || got-edge > 5e-4 {
					t.Fatalf("seed %d, %v, %+v, query %d: edge %v, want hardly more than %v", seed, metric, c, q, got, edge)
				}
				if r, err := exact.recall(q, hitsOf(order[:c.k]...)); err != nil || r != 1 {
					t.Fatalf("seed %d, %v, %+v, query %d: recall of the truth %v, %v", seed, metric, c, q, r, err)
				}
			}
		}
	}
}

func TestTruthCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	rng := rand.New(rand.NewPCG(1, 0))
	d := Data{Base: rows(rng, 1000, 8), Queries: rows(rng, 200, 8)}
	if _, err := findTruth(ctx, d, 5, 2); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestQuantiles(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(i + 1)
	}
	for _, c := range []struct {
		values []float64
		p      float64
		want   float64
	}{{hundred, 0.5, 50}, {hundred, 0.99, 99}, {hundred, 1, 100}, {hundred, 0, 1}, {[]float64{3}, 0.99, 3}, {[]float64{1, 2}, 0.99, 2}} {
		if got := quantile(c.values, c.p); got != c.want {
			t.Errorf("quantile %v of %d values: %v, want %v", c.p, len(c.values), got, c.want)
		}
	}
	if got := median([]float64{9, 1, 5}); got != 5 {
		t.Error(got)
	}
	if got := median([]float64{9, 1, 5, 2}); got != 3.5 {
		t.Error(got)
	}
}

func TestDataValidate(t *testing.T) {
	ok := [][]float32{{1, 2}, {3, 4}}
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	for want, d := range map[string]Data{
		"0 points":                   {Queries: ok},
		"0 queries":                  {Base: ok},
		"query 1 has 1 components":   {Base: ok, Queries: [][]float32{{1, 2}, {3}}},
		"point 1 has 3 components":   {Base: [][]float32{{1, 2}, {3, 4, 5}}, Queries: ok},
		"point 1, component 0 is Na": {Base: [][]float32{{1, 2}, {nan, 4}}, Queries: ok},
		"query 0, component 1 is -I": {Base: ok, Queries: [][]float32{{1, inf}}},
		"vectors of 0 components":    {Base: [][]float32{{}}, Queries: ok},
		"vectors of 4097 components": {Base: [][]float32{make([]float32, 4097)}, Queries: ok},
	} {
		err := d.Validate()
		if !errors.Is(err, ErrData) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want ErrData with %q", err, want)
		}
	}
	if err := (Data{Base: ok, Queries: ok}).Validate(); err != nil {
		t.Error(err)
	}
}
