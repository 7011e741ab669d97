package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/akin-search/akin/encoder/kernel"
)

// naiveKNN sorts all rows by similarity and votes.
func naiveKNN(base kernel.Matrix, baseLabels []int, queries kernel.Matrix, queryLabels []int, k int) float64 {
	correct := 0
	for q := range queries.Rows {
		order := integers(base.Rows)
		sims := make([]float32, base.Rows)
		for r := range sims {
			// One rounding per product, as in a matrix of small integers over one scale: exact in the test below.
			sims[r] = float32(dot(queries.Row(q), base.Row(r)))
		}
		slices.SortStableFunc(order, func(a, b int) int {
			switch {
			case sims[a] > sims[b]:
				return -1
			case sims[a] < sims[b]:
				return 1
			}
			return 0
		})
		votes := map[int]int{}
		for _, r := range order[:k] {
			votes[baseLabels[r]]++
		}
		best, most := -1, 0
		for _, r := range order[:k] {
			if n := votes[baseLabels[r]]; n > most {
				best, most = baseLabels[r], n
			}
		}
		if best == queryLabels[q] {
			correct++
		}
	}
	return float64(correct) / float64(queries.Rows)
}

// gridRows has small integer entries, so that dot products are exact in float32 in any order and ties are frequent.
func gridRows(rng *rand.Rand, rows, cols int) kernel.Matrix {
	m := kernel.NewMatrix(rows, cols)
	for i := range m.Data {
		m.Data[i] = float32(rng.IntN(5) - 2)
	}
	return m
}

func TestKNNAccuracyAgainstNaive(t *testing.T) {
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 21))
		rows := []int{1, 7, knnBase, knnBase + 1, 2500, 300, 5, 2*knnBase - 1}[seed]
		base, queries := gridRows(rng, rows, 6), gridRows(rng, []int{1, knnQueries, 130, 300, 257, 129, 3, 64}[seed], 6)
		baseLabels, queryLabels := make([]int, base.Rows), make([]int, queries.Rows)
		for i := range baseLabels {
			baseLabels[i] = rng.IntN(4) * 1000
		}
		for i := range queryLabels {
			queryLabels[i] = rng.IntN(4) * 1000
		}
		for _, k := range []int{1, 2, 5, 40, rows} {
			if k > rows {
				continue
			}
			got, err := KNNAccuracy(context.Background(), base, baseLabels, queries, queryLabels, k)
			if err != nil {
				t.Fatal(err)
			}
			if want := naiveKNN(base, baseLabels, queries, queryLabels, k); got != want {
				t.Errorf("seed %d, k %d: accuracy %v, want %v", seed, k, got, want)
			}
		}
	}
}

func TestKNNAccuracyTiesGoToTheNearest(t *testing.T) {
	base := kernel.Matrix{Rows: 4, Cols: 2, Data: []float32{0.6, 0.8, 1, 0, 0.8, 0.6, 0, 1}}
	query := kernel.Matrix{Rows: 1, Cols: 2, Data: []float32{1, 0}}
	for k, want := range map[int]int{1: 7, 2: 7, 3: 3, 4: 3} { // nearest first: 7, 3, 3, 9
		got, err := KNNAccuracy(context.Background(), base, []int{3, 7, 3, 9}, query, []int{want}, k)
		if err != nil || got != 1 {
			t.Errorf("k %d: accuracy %v, %v; want the vote for %d", k, got, err, want)
		}
	}
}

func TestKNNAccuracyErrors(t *testing.T) {
	ctx := context.Background()
	m := kernel.NewMatrix
	bad := m(2, 2)
	bad.Data[3] = float32(math.Inf(1))
	two := []int{0, 1}
	for want, f := range map[string]func() (float64, error){
		"k is 0, want 1 to the 2":                func() (float64, error) { return KNNAccuracy(ctx, m(2, 2), two, m(2, 2), two, 0) },
		"k is 3, want 1 to the 2":                func() (float64, error) { return KNNAccuracy(ctx, m(2, 2), two, m(2, 2), two, 3) },
		"2 columns, queries 3":                   func() (float64, error) { return KNNAccuracy(ctx, m(2, 2), two, m(2, 3), two, 1) },
		"no queries":                             func() (float64, error) { return KNNAccuracy(ctx, m(2, 2), two, m(0, 2), nil, 1) },
		"queries 2×2 with 4 values and 1 labels": func() (float64, error) { return KNNAccuracy(ctx, m(2, 2), two, m(2, 2), two[:1], 1) },
		"base, row 1, column 1 is +Inf":          func() (float64, error) { return KNNAccuracy(ctx, bad, two, m(2, 2), two, 1) },
		"queries, row 0 has no label":            func() (float64, error) { return KNNAccuracy(ctx, m(2, 2), two, m(2, 2), []int{-1, 0}, 1) },
	} {
		if _, err := f(); !errors.Is(err, ErrEvaluate) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := KNNAccuracy(ended, m(2, 2), two, m(2, 2), two, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("ended context: %v", err)
	}
}

func TestAUROCAgainstAllPairs(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 22))
		draw := func(n int) []float64 {
			v := make([]float64, n)
			for i := range v {
				v[i] = float64(rng.IntN(1 + int(seed))) // few values: many ties
			}
			return v
		}
		neg, pos := draw(1+rng.IntN(30)), draw(1+rng.IntN(30))
		want := 0.0
		for _, n := range neg {
			for _, p := range pos {
				switch {
				case p > n:
					want++
				case p == n:
					want += 0.5
				}
			}
		}
		want /= float64(len(neg) * len(pos))
		got, err := AUROC(neg, pos)
		if err != nil || math.Abs(got-want) > 1e-12 {
			t.Fatalf("seed %d: %v, want %v (%v)", seed, got, want, err)
		}
		turned, err := AUROC(pos, neg)
		if err != nil || math.Abs(turned-(1-want)) > 1e-12 {
			t.Fatalf("seed %d: turned round %v, want %v (%v)", seed, turned, 1-want, err)
		}
	}
	inf := math.Inf(1)
	if got, err := AUROC([]float64{-inf, 1}, []float64{2, inf}); err != nil || got != 1 {
		t.Errorf("infinite scores: %v, %v", got, err)
	}
	for want, lists := range map[string][2][]float64{
		"0 negative and 1 positive": {{}, {1}}, "1 negative and 0 positive": {{1}, nil},
		"negative score 1 is NaN": {{1, math.NaN()}, {1}}, "positive score 0 is NaN": {{1}, {math.NaN()}},
	} {
		if _, err := AUROC(lists[0], lists[1]); !errors.Is(err, ErrEvaluate) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestRecallAtK(t *testing.T) {
	exact := [][]string{{"a", "b", "c"}, {"d", "e", "f"}, {"g"}, {}}
	found := [][]string{{"c", "x", "a"}, {"e", "d", "f"}, {}, {"z"}}
	for k, want := range map[int]float64{
		1: (0 + 0 + 0) / 3.0,         // c≠a, e≠d
		2: (0 + 1 + 0) / 3.0,         // {c,x}∩{a,b}, {e,d}, {}
		3: (2.0/3 + 1 + 0) / 3,       //
		9: (2.0/3 + 1.0 + 0.0) / 3.0, // all there are
	} {
		if got := RecallAtK(found, exact, k); math.Abs(got-want) > 1e-12 {
			t.Errorf("k %d: %v, want %v", k, got, want)
		}
	}
	if got := RecallAtK([][]string{{"a", "a"}}, [][]string{{"a", "b"}}, 2); got != 0.5 {
		t.Errorf("an id found twice: %v, want 0.5", got)
	}
	if got := RecallAtK(nil, nil, 5); got != 0 {
		t.Errorf("no queries: %v", got)
	}
}

func BenchmarkKNN(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	const base, queries, dim, k = 54000, 900, 64, 5 // a tenth of the queries of the demo
	x, q := unitRows(rng, base, dim, 2), unitRows(rng, queries, dim, 2)
	labels := make([]int, base)
	for i := range labels {
		labels[i] = i % 9
	}
	b.Run(fmt.Sprintf("%dx%d-queries=%d", base, dim, queries), func(b *testing.B) {
		for b.Loop() {
			if _, err := KNNAccuracy(context.Background(), x, labels, q, labels[:queries], k); err != nil {
				b.Fatal(err)
			}
		}
	})
}
