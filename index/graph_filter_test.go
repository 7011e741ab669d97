package index

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// chosenOf makes a selection of ordinals.
func chosenOf(ids []string, choose func(ord int) bool) *selection {
	s := &selection{bitmap: make(bitmap, (len(ids)+63)/64), ids: ids}
	for i := range ids {
		if choose(i) {
			s.set(uint32(i))
			s.count++
		}
	}
	return s
}

// TestFilteredRecall filters by chance, and by the cluster of the points: near the queries, or far from all of them.
func TestFilteredRecall(t *testing.T) {
	const dim, centers, queries = 24, 20, 40
	n := smaller(5000)
	for _, o := range []Options{{Metric: Cosine}, {Metric: L2}, {Metric: Dot}, {Metric: Cosine, Quantization: QuantizationInt8}} {
		metric := o.Metric
		o.Dimension = dim
		r := rand.New(rand.NewPCG(9, uint64(metric)))
		byCluster := make([][][]float32, centers)
		for i := range byCluster {
			byCluster[i] = clusters(r, n/centers+queries, dim, 1, 0.6)
		}
		var v [][]float32
		var clusterOf []int
		for c, list := range byCluster {
			for _, x := range list[queries:] {
				v, clusterOf = append(v, x), append(clusterOf, c)
			}
		}
		g := graphOf(t, o)
		ids, tags := numbered(len(v)), make([]tag, len(v))
		for i := range tags {
			tags[i] = tag{uint64(i + 1), uint32(i)}
		}
		must(t, g.put(ids, v, tags))
		for _, share := range []float64{0.5, 0.1, 0.01, 0.001} {
			luck := make([]float64, len(v)) // per cluster the same share of points, but in a few clusters only
			for i := range luck {
				luck[i] = r.Float64()
			}
			for name, s := range map[string]*selection{
				"by chance": chosenOf(ids, func(i int) bool { return luck[i] < share }),
				"near":      chosenOf(ids, func(i int) bool { return clusterOf[i] < centers/2 && luck[i] < 2*share }),
				"far":       chosenOf(ids, func(i int) bool { return clusterOf[i] >= centers/2 && luck[i] < 2*share }),
			} {
				var chosen, walked, gaveUp float64
				want := enough(10, DefaultEF, share)
				if g.codes != nil {
					want = max(want, rescored(10, DefaultEF))
				}
				for i := range queries { // in the first half of the clusters
					q := byCluster[i%(centers/2)][i]
					exact, err := g.Search(ctx, q, 10, Params{Exact: true, chosen: s})
					must(t, err)
					hits, err := g.Search(ctx, q, 10, Params{chosen: s})
					must(t, err)
					chosen += overlap(t, hits, exact, s)
					w := g.getWalk()
					must(t, g.prepare(w.query, q))
					done, err := g.walkChosen(ctx, w, DefaultEF, want, n, s, share)
					must(t, err)
					if done {
						if g.codes != nil {
							must(t, g.rescore(ctx, w, 10, DefaultEF))
						}
						walked += overlap(t, g.hits(w, 10, s), exact, s)
					} else {
						gaveUp++
					}
				}
				walks := queries - gaveUp
				t.Logf("%v %s, %g of the points %s: recall@10 %.4f, of walks alone %.4f, %v gave up", metric, o.Quantization, share, name, chosen/queries, walked/walks, gaveUp)
				if chosen < 0.97*queries || walked < 0.97*walks {
					t.Errorf("%v %s, %g of the points %s: recall@10 %.4f, of walks alone %.4f, want 0.97", metric, o.Quantization, share, name, chosen/queries, walked/walks)
				}
				if plenty := share * float64(n); plenty > 8*float64(want) && name == "far" != (gaveUp > queries/2) {
					t.Errorf("%v %s, %g of the points %s: %v of %d walks gave up", metric, o.Quantization, share, name, gaveUp, queries)
				}
			}
		}
	}
}

// overlap returns the recall of hits, all of which have to be chosen.
func overlap(t *testing.T, hits, exact []Hit, s *selection) float64 {
	t.Helper()
	if len(exact) != min(10, s.count) || len(hits) != len(exact) {
		t.Fatalf("%d hits, exactly %d, of %d points", len(hits), len(exact), s.count)
	}
	if len(exact) == 0 {
		return 1
	}
	near := 0
	for _, h := range hits {
		if i, _ := slices.BinarySearch(s.ids, h.ID); !s.has(uint32(i)) {
			t.Fatalf("hit %v was not chosen", h)
		}
		if h.Distance <= exact[len(exact)-1].Distance {
			near++
		}
	}
	return float64(near) / float64(len(exact))
}

// TestWalkOrScan: many points make a walk, few a scan, and a walk among points that are all far away gives up in time.
func TestWalkOrScan(t *testing.T) {
	const dim, n = 64, 8000
	v := clusters(rand.New(rand.NewPCG(10, 10)), n, dim, 20, 0.5)
	g := graphOf(t, Options{Dimension: dim})
	ids, tags := numbered(n), make([]tag, n)
	for i := range tags {
		tags[i].ordinal = uint32(i)
	}
	must(t, g.put(ids, v, tags))
	w := g.getWalk()
	must(t, g.prepare(w.query, v[0]))
	all, err := g.Search(ctx, v[0], n/2, Params{Exact: true})
	must(t, err)
	near := map[string]bool{}
	for _, h := range all {
		near[h.ID] = true
	}
	half := chosenOf(ids, func(i int) bool { return i%2 == 0 })
	far := chosenOf(ids, func(i int) bool { return !near[ids[i]] })
	for name, c := range map[string]struct {
		chosen *selection
		want   bool
	}{"half of all": {half, true}, "the far half": {far, false}} {
		want, budget := enough(10, DefaultEF, 0.5), c.chosen.count/int(rowsPerHop+componentsPerHop/dim)
		if done, err := g.walkChosen(ctx, w, DefaultEF, want, budget, c.chosen, 0.5); err != nil || done != c.want {
			t.Errorf("%s: the walk of %d hops was done: %v, %v", name, budget, done, err)
		}
		hits, err := g.Search(ctx, v[0], 10, Params{chosen: c.chosen})
		must(t, err)
		exact, err := g.Search(ctx, v[0], 10, Params{chosen: c.chosen, Exact: true})
		must(t, err)
		if recall := overlap(t, hits, exact, c.chosen); recall < 0.9 {
			t.Errorf("%s: recall %.2f", name, recall)
		}
	}
}

// TestFilterConcurrently searches with filters that a point passes, or not, by its id, while points come and go and ordinals
// pass from one to another.
func TestFilterConcurrently(t *testing.T) {
	const dim, n = 8, 600
	s := openStore(t, t.TempDir())
	c, err := s.Create("c", Config{Dimension: dim})
	must(t, err)
	point := func(r *rand.Rand) Point {
		i := r.IntN(n)
		p := somePoint(i, r.IntN(3), dim)
		p.Label, p.Raw = fmt.Sprint("class ", i%3), nil
		p.Payload = map[string]any{"i": float64(i), "v": float64(r.IntN(100))}
		return p
	}
	var wg sync.WaitGroup
	var stop atomic.Bool
	run := func(seed uint64, f func(r *rand.Rand) error) {
		wg.Go(func() {
			for r := rand.New(rand.NewPCG(seed, 0)); !stop.Load(); {
				if err := f(r); err != nil {
					t.Errorf("seed %d: %v", seed, err)
					return
				}
			}
		})
	}
	run(1, func(r *rand.Rand) error {
		points := make([]Point, 1+r.IntN(50))
		for i := range points {
			points[i] = point(r)
		}
		return c.Upsert(ctx, points)
	})
	run(2, func(r *rand.Rand) error { return c.Delete(ctx, []string{point(r).ID, point(r).ID, point(r).ID}) })
	run(3, func(r *rand.Rand) error {
		low := float64(r.IntN(n))
		high := low + 20
		return c.DeleteWhere(ctx, &Filter{Must: []Condition{{Key: "i", Range: &Range{GTE: &low, LT: &high}}}})
	})
	var found atomic.Int64
	for seed := range uint64(2) {
		run(10+seed, func(r *rand.Rand) error {
			class, limit := r.IntN(3), float64(r.IntN(n))
			f := &Filter{Must: []Condition{{Key: LabelKey, Match: fmt.Sprint("class ", class)}}, MustNot: []Condition{{Key: "i", Range: &Range{GT: &limit}}}}
			hits, err := c.Search(ctx, somePoint(r.IntN(n), 0, dim).Vector, 20, Params{Filter: f, Exact: r.IntN(2) == 0})
			for _, h := range hits {
				var i int
				if _, err := fmt.Sscanf(h.ID, "point %d", &i); err != nil {
					return err
				}
				if i%3 != class || float64(i) > limit {
					return errors.New("found " + h.ID + ", which never passed")
				}
				found.Add(1)
			}
			return err
		})
	}
	time.Sleep(700 * time.Millisecond)
	stop.Store(true)
	wg.Wait()
	if found.Load() == 0 {
		t.Error("nothing was found")
	}
}
