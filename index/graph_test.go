package index

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// clusters returns n vectors of length about 1 around centers.
func clusters(r *rand.Rand, n, dim, centers int, spread float64) [][]float32 {
	c := make([][]float32, centers)
	out := make([][]float32, n)
	scale := 1 / length(slices.Repeat([]float32{1}, dim))
	for i := range c {
		c[i] = make([]float32, dim)
		for j := range c[i] {
			c[i][j] = float32(r.NormFloat64() * scale)
		}
	}
	for i := range out {
		out[i] = slices.Clone(c[r.IntN(centers)])
		for j := range out[i] {
			out[i][j] += float32(r.NormFloat64() * scale * spread)
		}
	}
	return out
}

// raceEnabled: the race detector is on, which makes walks thirty times slower.
var raceEnabled = false

func smaller(n int) int {
	if raceEnabled {
		return n / 5
	}
	return n
}

func numbered(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("p%06d", i)
	}
	return ids
}

func graphOf(t testing.TB, o Options) *graph {
	t.Helper()
	o.Engine = EngineGraph
	ix, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return ix.(*graph)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// checkGraph checks everything that holds between two writes.
func checkGraph(t *testing.T, g *graph) {
	t.Helper()
	counts := map[slotState]int{}
	in, buf := make([]int32, len(g.state)), make([]uint32, g.room(0))
	ids := 0
	for i, s := range g.state {
		slot := uint32(i)
		counts[s]++
		if (g.owner[slot].id != "") != (s == live) || len(g.more[slot]) > 0 && s != live {
			t.Fatalf("slot %d in state %d is owned by %q", slot, s, g.owner[slot].id)
		}
		if s == live {
			owners := append([]member{g.owner[slot]}, g.more[slot]...)
			ids += len(owners)
			for j, m := range owners {
				if g.slotOf[m.id] != slot || j > 0 && owners[j-1].id >= m.id {
					t.Fatalf("slot %d: owners %v, slot of %q is %d", slot, owners, m.id, g.slotOf[m.id])
				}
			}
		}
		if s == free && (len(g.neighbours(slot, 0, buf)) != 0 || g.upperAt[slot] != 0) {
			t.Fatalf("free slot %d has links", slot)
		}
		for layer := range g.level(slot) + 1 {
			seen := map[uint32]bool{slot: true}
			for _, v := range g.neighbours(slot, layer, buf) {
				if seen[v] || g.state[v] == free || g.level(v) < layer || s != condemned && g.state[v] == condemned && i < g.sweepAt {
					t.Fatalf("slot %d (state %d) layer %d links to %d (state %d, level %d, seen %v)", slot, s, layer, v, g.state[v], g.level(v), seen[v])
				}
				seen[v] = true
				if layer == 0 {
					in[v]++
				}
			}
		}
	}
	if ids != len(g.slotOf) || counts[live] != g.lives || counts[dead]+counts[condemned] != g.hidden || counts[free] != len(g.free) {
		t.Fatalf("%d ids of %d, states %v, lives %d, hidden %d, free %d", ids, len(g.slotOf), counts, g.lives, g.hidden, len(g.free))
	}
	if !slices.Equal(in, g.inLinks) {
		t.Fatal("links in are miscounted")
	}
	lonely := 0
	for i, n := range in {
		if g.state[i] == live && n == 0 {
			lonely++
		}
	}
	if lonely > 1 || lonely == 1 && g.lives > 1 {
		t.Fatalf("%d slots have no link in", lonely)
	}
	if g.edges != nil {
		checkEdges(t, g)
	}
	if g.lives > 0 && (g.top < 0 || g.state[g.entry] == free || g.level(g.entry) != g.top) {
		t.Fatalf("entry %d of level %d, top %d", g.entry, g.level(g.entry), g.top)
	}
}

func TestGraphIsTheSameForAnyThreads(t *testing.T) {
	const dim = 16
	n := smaller(3000)
	build := func(seed uint64, threads int) *graph {
		g := graphOf(t, Options{Dimension: dim, Seed: seed, Threads: threads})
		v := clusters(rand.New(rand.NewPCG(1, 1)), n, dim, 20, 0.5)
		ids := numbered(n)
		must(t, g.Upsert(ids, v))
		must(t, g.Delete(ids[n/20:n/2]))
		must(t, g.Upsert(ids[n/20:n/3], v[n/2:n/2+n/3-n/20]))
		checkGraph(t, g)
		return g
	}
	a := build(1, 1)
	for _, threads := range []int{1, 2, 7} {
		b := build(1, threads)
		if !slices.Equal(a.links, b.links) || !slices.Equal(a.upper, b.upper) || !slices.Equal(a.upperAt, b.upperAt) || a.entry != b.entry || !slices.Equal(a.owner, b.owner) {
			t.Errorf("%d threads make another graph", threads)
		}
	}
	if slices.Equal(a.upper, build(2, 1).upper) {
		t.Error("another seed makes the same graph")
	}
}

// linksPerSlot is the mean length of the lists of layer 0.
func linksPerSlot(g *graph) float64 {
	sum := 0
	for i, s := range g.state {
		if s == live {
			sum += len(g.neighbours(uint32(i), 0, make([]uint32, g.room(0))))
		}
	}
	return float64(sum) / float64(g.lives)
}

// TestGraphChurn deletes and inserts again: memory does not grow, recall is that of a fresh graph, and so is the number of links.
func TestGraphChurn(t *testing.T) {
	const dim, rounds = 24, 6
	n := smaller(5000)
	for _, metric := range []Metric{Cosine, Dot} {
		r := rand.New(rand.NewPCG(2, 2))
		g := graphOf(t, Options{Dimension: dim, Metric: metric})
		ids, v := numbered(n), clusters(r, n*(1+rounds), dim, 40, 0.5)
		v, later := v[:n], v[n:]
		must(t, g.Upsert(ids, v))
		most := 0
		for range rounds {
			order := r.Perm(n)[:n*3/10]
			for len(order) > 0 {
				var some []string
				var vs [][]float32
				for _, i := range order[:min(150, len(order))] {
					some = append(some, ids[i])
					v[i], later = later[0], later[1:]
					vs = append(vs, v[i])
				}
				order = order[len(some):]
				must(t, g.Delete(some))
				checkGraph(t, g)
				must(t, g.Upsert(some, vs))
				checkGraph(t, g)
				most = max(most, len(g.state))
			}
		}
		fresh := graphOf(t, Options{Dimension: dim, Metric: metric})
		must(t, fresh.Upsert(ids, v))
		got, want := recallOf(t, g, v[:500], Params{}), recallOf(t, fresh, v[:500], Params{})
		links, freshLinks := linksPerSlot(g), linksPerSlot(fresh)
		t.Logf("%v: recall@10 %.4f, of a fresh graph %.4f; %d slots for %d points; %.2f links a slot, fresh %.2f", metric, got, want, most, n, links, freshLinks)
		if links < 0.8*freshLinks {
			t.Errorf("%v: churn left %.2f links a slot, a fresh graph has %.2f", metric, links, freshLinks)
		}
		if got < want-0.01 || most > n*3/2 {
			t.Errorf("%v: recall@10 %.4f, of a fresh graph %.4f; %d slots for %d points", metric, got, want, most, n)
		}
	}
}

func TestGraphMemoryOfOnePoint(t *testing.T) {
	g := graphOf(t, Options{Dimension: 4})
	for i := range 5000 {
		must(t, g.Upsert([]string{"a"}, [][]float32{{1, float32(i), 2, 3}}))
		must(t, g.Upsert([]string{"b"}, [][]float32{{1, 2, float32(i), 3}}))
		if i%3 == 0 {
			must(t, g.Delete([]string{"b"}))
		}
	}
	checkGraph(t, g)
	if len(g.state) > 3*minDead {
		t.Errorf("%d slots for two points", len(g.state))
	}
}

// TestGraphSweepsACluster leaves one point of each cluster, whose neighbours are all gone.
func TestGraphSweepsACluster(t *testing.T) {
	const dim, centers, each = 16, 30, 100
	r := rand.New(rand.NewPCG(3, 3))
	g := graphOf(t, Options{Dimension: dim})
	ids := numbered(centers * each)
	var v [][]float32
	for range centers {
		v = append(v, clusters(r, each, dim, 1, 0.1)...)
	}
	must(t, g.Upsert(ids, v))
	for i := range ids {
		if i%each != 0 {
			must(t, g.Delete(ids[i:i+1]))
		}
	}
	checkGraph(t, g)
	if g.hidden > minDead+len(ids)/sweepPace {
		t.Fatalf("%d tombstones are left", g.hidden)
	}
	w := g.getWalk()
	for i := 0; i < len(ids); i += each {
		must(t, g.prepare(w.query, v[i]))
		must(t, g.walkDown(context.Background(), w, 4))
		if hits := g.hits(w, 1, nil); len(hits) == 0 || hits[0].ID != ids[i] {
			t.Errorf("point %d is out of reach: %v", i, hits)
		}
	}
}

// recallOf returns the mean recall@10 of the walk against the scan.
func recallOf(t testing.TB, ix Index, queries [][]float32, p Params) float64 {
	t.Helper()
	found := 0
	for _, q := range queries {
		hits, err := ix.Search(context.Background(), q, 10, p)
		must(t, err)
		exact, err := ix.Search(context.Background(), q, 10, Params{Exact: true})
		must(t, err)
		for _, h := range hits {
			if h.Distance <= exact[len(exact)-1].Distance {
				found++
			}
		}
	}
	return float64(found) / float64(10*len(queries))
}

func TestGraphRecall(t *testing.T) {
	const dim = 64
	n := smaller(12_000)
	for _, metric := range []Metric{Cosine, L2} {
		v := clusters(rand.New(rand.NewPCG(4, 4)), n+500, dim, 60, 0.7)
		g := graphOf(t, Options{Dimension: dim, Metric: metric})
		ids := numbered(n)
		must(t, g.Upsert(ids, v[:n]))
		recall := recallOf(t, g, v[n:], Params{})
		t.Logf("%v: recall@10 %.4f", metric, recall)
		if recall < 0.99 {
			t.Errorf("%v: recall@10 is %.4f, want 0.99", metric, recall)
		}
		lost := 0
		for i := range n {
			if hits, err := g.Search(context.Background(), v[i], 1, Params{}); err != nil || hits[0].ID != ids[i] {
				lost++
			}
		}
		if lost > max(1, n/1000) {
			t.Errorf("%v: %d of %d points are not found by their own vector", metric, lost, n)
		}
	}
}

func TestGraphSearchAllocatesItsHitsOnly(t *testing.T) {
	if raceEnabled {
		t.Skip("sync.Pool drops at random under the race detector")
	}
	v := clusters(rand.New(rand.NewPCG(5, 5)), 2000, 16, 10, 1)
	for _, q := range []Quantization{QuantizationFloat32, QuantizationInt8} {
		searchAllocates(t, v, Options{Dimension: 16, Quantization: q})
	}
}

func searchAllocates(t *testing.T, v [][]float32, o Options) {
	g := graphOf(t, o)
	must(t, g.Upsert(numbered(len(v)), v))
	must(t, g.Delete(numbered(100)))
	ctx := context.Background()
	for _, p := range []Params{{}, {EF: 300}} {
		if _, err := g.Search(ctx, v[0], 10, p); err != nil {
			t.Fatal(err)
		}
		// The garbage collector may empty the pool of walks now and then.
		if n := testing.AllocsPerRun(500, func() { _, _ = g.Search(ctx, v[7], 10, p) }); n > 1 {
			t.Errorf("%s, %+v: %v allocations a search", o.Quantization, p, n)
		}
	}
}

func TestKeysSortLikeDistances(t *testing.T) {
	d := []float32{-3e38, -1, -1e-30, 0, 1e-45, 1e-30, 0.5, 1, 3e38}
	for i, a := range d {
		if got := makeKey(a, 9).distance(); got != a || makeKey(a, 9).slot() != 9 {
			t.Errorf("distance %v came back as %v", a, got)
		}
		for j, b := range d {
			if (makeKey(a, 1<<31-1) < makeKey(b, 0)) != (i < j) {
				t.Errorf("keys of %v and %v are in the wrong order", a, b)
			}
		}
	}
}
