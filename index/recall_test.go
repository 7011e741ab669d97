package index

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// TestWilson checks the bounds against the equation that they solve, and one published interval.
func TestWilson(t *testing.T) {
	for _, c := range []struct{ share, trials, z float64 }{{0, 7, z95}, {0.5, 3, 1}, {0.9, 100, z95}, {0.999, 5000, z95lower}, {1, 40, z95}, {0.37, 1e6, 3}} {
		low, high := wilson(c.share, c.trials, c.z)
		for _, p := range []float64{low, high} {
			if off, want := math.Abs(p-c.share), c.z*math.Sqrt(p*(1-p)/c.trials); math.Abs(off-want) > 1e-9 {
				t.Errorf("%+v: bound %v is %v away, want %v", c, p, off, want)
			}
		}
		if low > c.share || high < c.share || low == high {
			t.Errorf("%+v: %v to %v", c, low, high)
		}
	}
	// 81 of 263 (Newcombe, Statistics in Medicine 17, 1998, table I).
	if low, high := wilson(81./263, 263, z95); math.Abs(low-0.2553) > 5e-5 || math.Abs(high-0.3662) > 5e-5 {
		t.Errorf("81 of 263: %.4f to %.4f", low, high)
	}
	if low, high := wilson(math.NaN(), 0, z95); low != 0 || high != 1 {
		t.Errorf("no trials: %v to %v", low, high)
	}
}

// TestTally: hits missed at random count one each, hits missed together as one.
func TestTally(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	const queries, k = 20_000, 10
	var alone, together tally
	for range queries {
		found := 0
		for range k {
			if r.IntN(10) > 0 {
				found++
			}
		}
		alone.add(found, k)
		together.add(k*min(1, r.IntN(10)), k)
	}
	if d := alone.design(99); math.Abs(d-1) > 0.05 {
		t.Errorf("design effect of independent hits: %v", d)
	}
	if d := together.design(99); math.Abs(d-k) > 1e-6 {
		t.Errorf("design effect of hits missed together: %v", d)
	}
	var few tally
	few.add(k, k)
	few.add(k-1, k)
	if d := few.design(7); d != 7 {
		t.Errorf("design effect where one hit was missed: %v", d)
	}
	want := few
	few.add(3, 8)
	few.remove(3, 8)
	if math.Abs(few.squares-want.squares) > 1e-12 || few.found != want.found || few.queries != 2 || few.wanted != want.wanted {
		t.Errorf("%+v after adding and removing, want %+v", few, want)
	}
	near := []Hit{{ID: "a", Distance: 1}, {ID: "b", Distance: 2}, {ID: "c", Distance: 2}}
	for want, hits := range map[int][]Hit{0: nil, 1: {{ID: "x", Distance: 2}}, 2: {{ID: "a", Distance: 1}, {ID: "c", Distance: 2.0001}, {ID: "y", Distance: 3}}} {
		if got := matches(hits, near); got != want {
			t.Errorf("%v match %d of %v, want %d", hits, got, near, want)
		}
	}
	if matches([]Hit{{ID: "a"}}, nil) != 0 {
		t.Error("a hit where there is none matches")
	}
}

// spread returns n vectors of a normal distribution, around 30 centres with clusters.
func spread(r *rand.Rand, n, dim int, clusters bool) [][]float32 {
	var centers [30][]float32
	for i := range centers {
		centers[i] = make([]float32, dim)
		for j := range centers[i] {
			centers[i][j] = float32(3 * r.NormFloat64())
		}
	}
	out := make([][]float32, n)
	for i := range out {
		out[i] = make([]float32, dim)
		c := centers[r.IntN(len(centers))]
		for j := range out[i] {
			out[i][j] = float32(r.NormFloat64())
			if clusters {
				out[i][j] += c[j]
			}
		}
	}
	return out
}

func fill(t testing.TB, c *Collection, first int, vectors [][]float32) {
	t.Helper()
	points := make([]Point, len(vectors))
	for i, v := range vectors {
		points[i] = Point{ID: fmt.Sprint(first + i), Vector: v, Payload: map[string]any{"third": (first + i) % 3}}
	}
	must(t, c.Upsert(ctx, points))
}

// TestRecallTarget asks for recalls of data that is easy and of data that is hard, and counts what new queries find.
func TestRecallTarget(t *testing.T) {
	const n, queries, dim = 2500, 300, 32
	s := openStore(t, t.TempDir())
	efs := map[string][]int{}
	for name, clusters := range map[string]bool{"easy": true, "hard": false} {
		c, err := s.Create(name, Config{Dimension: dim, M: 8})
		must(t, err)
		v := spread(rand.New(rand.NewPCG(5, 5)), n+queries, dim, clusters)
		fill(t, c, 0, v[:n])
		for _, k := range []int{1, 10} {
			must(t, c.MeasureRecall(ctx, k))
			for _, target := range []float64{0.9, 0.99} {
				plan, err := c.Plan(k, Params{RecallTarget: target})
				must(t, err)
				if plan.Params.Exact || plan.Params.EF < k || plan.Recall < target || plan.Params.RecallTarget != 0 || plan.Reason != "" {
					t.Fatalf("%s, recall@%d of %v: plan %+v", name, k, target, plan)
				}
				var got tally
				for _, q := range v[n:] {
					hits, err := c.Search(ctx, q, k, Params{RecallTarget: target})
					must(t, err)
					nearest, err := c.Search(ctx, q, k, Params{Exact: true})
					must(t, err)
					got.add(matches(hits, nearest), k)
				}
				_, high := wilson(got.recall(), float64(got.wanted)/got.design(float64(k)), z95)
				t.Logf("%s, recall@%d of %v: ef %d, at least %.4f; new queries find %.4f, up to %.4f", name, k, target, plan.Params.EF, plan.Recall, got.recall(), high)
				if high < target {
					t.Errorf("%s, recall@%d of %v: ef %d finds %.4f", name, k, target, plan.Params.EF, got.recall())
				}
				efs[name] = append(efs[name], plan.Params.EF)
			}
		}
		plan, err := c.Plan(10, Params{RecallTarget: 0.999999})
		must(t, err)
		if !plan.Params.Exact || plan.Recall != 1 || !strings.Contains(plan.Reason, "no ef") {
			t.Errorf("%s, recall of 0.999999: plan %+v", name, plan)
		}
	}
	for i, ef := range efs["easy"] {
		if ef >= efs["hard"][i] {
			t.Errorf("ef of easy data %v, of hard data %v", efs["easy"], efs["hard"])
			break
		}
	}
}

// waitFor waits for what the background does.
func waitFor(t testing.TB, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not after a minute", what)
		}
	}
}

// TestCurveLife: a curve is measured when it is asked for, kept, drawn again when the collection has changed, and never
// believed when it is damaged.
func TestCurveLife(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	c, err := s.Create("c", Config{Dimension: 12, Metric: L2, M: 6, Seed: 3})
	must(t, err)
	v := spread(rand.New(rand.NewPCG(6, 6)), 1500, 12, false)
	fill(t, c, 0, v[:800])

	target := Params{RecallTarget: 0.9}
	plan, err := c.Plan(10, target)
	must(t, err)
	if !plan.Params.Exact || plan.Reason != "recall@10 is being measured" {
		t.Fatalf("the first plan is %+v", plan)
	}
	planned := func(k int) bool {
		p, err := c.Plan(k, target)
		must(t, err)
		return !p.Params.Exact
	}
	waitFor(t, "the first curve", func() bool { return planned(7) })
	must(t, c.MeasureRecall(ctx, 2))
	first := c.curve.Load()
	if len(first.Buckets) != 2 || first.Buckets[0].K != 3 || first.Buckets[1].K != 10 || first.Buckets[1].Points != 800 || first.Buckets[1].Queries < 500 {
		t.Fatalf("curve %+v", first)
	}
	if stats := c.Recall(); len(stats.Curve) != 2 || stats.Curve[1].K != 10 || stats.Curve[1].Low < 0.9 || stats.Curve[1].EF < 10 || len(stats.Live) != 0 {
		t.Errorf("stats %+v", stats)
	}

	// The same points in the same order, the same curve.
	twin, err := s.Create("twin", c.Config())
	must(t, err)
	fill(t, twin, 0, v[:800])
	must(t, twin.MeasureRecall(ctx, 3))
	must(t, twin.MeasureRecall(ctx, 10))
	if !reflect.DeepEqual(twin.curve.Load(), first) {
		t.Errorf("twins have the curves\n%+v\n%+v", twin.curve.Load(), first)
	}

	s = reopen(t, s, dir)
	c = collectionOf(t, s, "c")
	if !reflect.DeepEqual(c.curve.Load(), first) {
		t.Errorf("after opening again the curve is\n%+v, was\n%+v", c.curve.Load(), first)
	}
	fill(t, c, 800, v[800:850]) // a sixteenth: nothing happens
	if stale := c.stale(); stale != nil {
		t.Errorf("stale %v after 50 more of 800", stale)
	}
	fill(t, c, 850, v[850:1100])
	measured := func(n int) func() bool {
		return func() bool {
			planned(10) // a search asks, a measurement comes
			return !slices.ContainsFunc(c.curve.Load().Buckets, func(b curveBucket) bool { return b.Points != n })
		}
	}
	waitFor(t, "the curve of the grown collection", measured(1100))
	fill(t, c, 0, v[1100:1400]) // replaced: as many points, other ones
	waitFor(t, "the curve of other points", func() bool { return planned(10) && c.curve.Load().Buckets[1].Sequence == 1400 && c.stale() == nil })
	var gone []string
	for i := range 700 {
		gone = append(gone, fmt.Sprint(i))
	}
	must(t, c.Delete(ctx, gone))
	waitFor(t, "the curve of what is left", measured(400))

	key := numberKey(recordCurve, c.record.Number)
	must(t, s.db.Update(func(txn *badger.Txn) error { return txn.Set(key, []byte("no curve")) }))
	s = reopen(t, s, dir)
	c = collectionOf(t, s, "c")
	if c.curve.Load() != nil || c.Len() != 400 {
		t.Errorf("a damaged curve is read as %+v", c.curve.Load())
	}
	if planned(10) {
		t.Error("a plan without a curve is not exact")
	}
}

func TestPlan(t *testing.T) {
	for k, want := range map[int]int{1: 1, 2: 3, 3: 3, 4: 10, 10: 10, 11: 10, 12: 30, 3300: 3000, 3301: MaxK, MaxK: MaxK} {
		if got := recallBuckets[recallBucket(k)]; got != want {
			t.Errorf("k %d falls into the bucket of %d, want %d", k, got, want)
		}
	}
	s := openStore(t, t.TempDir())
	c, err := s.Create("c", Config{Dimension: 4})
	must(t, err)
	flat, err := s.Create("flat", Config{Dimension: 4, Engine: EngineFlat})
	must(t, err)
	for text, p := range map[string]Params{
		"between 0 and 1":  {RecallTarget: 1},
		"target -0.1":      {RecallTarget: -0.1},
		"target NaN":       {RecallTarget: math.NaN()},
		"give one of them": {RecallTarget: 0.9, EF: 10},
	} {
		if _, err := c.Search(ctx, []float32{1, 0, 0, 0}, 3, p); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), text) {
			t.Errorf("%+v: %v", p, err)
		}
	}
	if _, err := c.Plan(0, Params{RecallTarget: 0.9}); !errors.Is(err, ErrInvalid) {
		t.Errorf("k 0: %v", err)
	}
	if err := c.MeasureRecall(ctx, MaxK+1); !errors.Is(err, ErrInvalid) {
		t.Errorf("k above MaxK: %v", err)
	}
	must(t, c.MeasureRecall(ctx, MaxK)) // of nothing
	must(t, flat.MeasureRecall(ctx, 10))
	if _, err := c.engine.Search(ctx, []float32{1, 0, 0, 0}, 3, Params{RecallTarget: 0.9}); !errors.Is(err, ErrInvalid) {
		t.Errorf("an index by itself: %v", err)
	}
	for reason, have := range map[string]struct {
		c *Collection
		p Params
	}{
		"engine flat":  {flat, Params{RecallTarget: 0.9}},
		"few enough":   {c, Params{RecallTarget: 0.9}},
		"without a fi": {c, Params{RecallTarget: 0.9, Filter: &Filter{}}},
		"":             {c, Params{RecallTarget: 0.9, Exact: true}},
	} {
		plan, err := have.c.Plan(10, have.p)
		if err != nil || !plan.Params.Exact || plan.Recall != 1 || !strings.Contains(plan.Reason, reason) || (plan.Reason == "") != (reason == "") {
			t.Errorf("want %q: %+v, %v", reason, plan, err)
		}
	}
	if plan, err := c.Plan(10, Params{EF: 7}); err != nil || plan.Params.EF != 7 || plan.Params.Exact || plan.Recall != 0 {
		t.Errorf("without a target: %+v, %v", plan, err)
	}
}

// TestWithout: a walk that is kept from a point does not find it, with any codes, and finds about as much of the rest as before.
func TestWithout(t *testing.T) {
	for _, q := range []Quantization{QuantizationFloat32, QuantizationInt8} {
		ix, err := New(Options{Dimension: 16, M: 8, Quantization: q})
		must(t, err)
		g := ix.(*graph)
		v := spread(rand.New(rand.NewPCG(15, 15)), 1500, 16, true)
		ids := numbered(len(v))
		must(t, g.Upsert(ids, v))
		sample := g.sample(rand.New(rand.NewPCG(1, 1)), 200)
		if len(sample) != 200 {
			t.Fatalf("%d points drawn", len(sample))
		}
		var rest tally
		for _, id := range sample {
			at := slices.Index(ids, id)
			hits, err := g.Search(ctx, v[at], 10, Params{EF: 64, without: id})
			must(t, err)
			nearest, err := g.Search(ctx, v[at], 11, Params{Exact: true})
			must(t, err)
			for _, h := range hits {
				if h.ID == id {
					t.Fatalf("%v: the walk without %s finds it", q, id)
				}
			}
			if len(hits) != 10 || nearest[0].ID != id {
				t.Fatalf("%v: %d hits; nearest to %s is %s", q, len(hits), id, nearest[0].ID)
			}
			rest.add(matches(hits, nearest[1:]), 10)
			if with, err := g.Search(ctx, v[at], 1, Params{}); err != nil || with[0].ID != id {
				t.Fatalf("%v: the next search does not find %s: %v, %v", q, id, with, err)
			}
		}
		if rest.recall() < 0.98 {
			t.Errorf("%v: %.4f of the rest is found", q, rest.recall())
		}
	}
}

// TestProbes compares the pass for all probes with an exact search for each.
func TestProbes(t *testing.T) {
	s := openStore(t, t.TempDir())
	for _, m := range []Metric{Cosine, L2, Dot} {
		for _, q := range []Quantization{QuantizationFloat32, QuantizationInt8Disk} {
			c, err := s.Create(fmt.Sprintf("%v-%v", m, q), Config{Dimension: 17, Metric: m, Quantization: q})
			must(t, err)
			v := spread(rand.New(rand.NewPCG(16, 16)), 700, 17, true)
			copy(v[600:], v[:50]) // equal vectors
			fill(t, c, 0, v)
			for _, k := range []int{1, 10, 699, 1000} {
				probes, err := c.probes(ctx, c.engine.(*graph), 20, k)
				must(t, err)
				if len(probes) != 20 {
					t.Fatalf("%s: %d probes", c.Name(), len(probes))
				}
				for _, p := range probes {
					want, err := c.Search(ctx, p.vector, k+1, Params{Exact: true})
					must(t, err)
					want = slices.DeleteFunc(want, func(h Hit) bool { return h.ID == p.id })
					want = want[:min(k, len(want))]
					if len(p.nearest) != len(want) || matches(p.nearest, want) != len(want) || !slices.IsSortedFunc(p.nearest, compareHits) {
						t.Fatalf("%s, k %d: %d nearest to %s, %d of them right, want %d", c.Name(), k, len(p.nearest), p.id, matches(p.nearest, want), len(want))
					}
					for i, h := range p.nearest {
						if math.Abs(float64(h.Distance-want[i].Distance)) > 1e-3 || math.Abs(float64(h.Score-want[i].Score)) > 1e-3 {
							t.Fatalf("%s, k %d: hit %d of %s is %+v, want %+v", c.Name(), k, i, p.id, h, want[i])
						}
					}
				}
			}
		}
	}
}
