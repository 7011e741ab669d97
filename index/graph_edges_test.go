package index

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/akin-search/akin/index/distance"
)

// TestEdgeEstimates compares estimates with true distances: without bias, and with the error that theorem 3.2 of the RaBitQ
// paper gives, √(1−o²)/o · |d||q−c|/√(D−1) with o = s·d/(√D|d|), for standard deviation.
func TestEdgeEstimates(t *testing.T) {
	const n, queries = 300, 40
	for _, dim := range []int{256, 300, 784} {
		for _, metric := range []Metric{Cosine, L2, Dot} {
			var sum, squares, count, far float64
			for seed := range uint64(4) {
				r := rand.New(rand.NewPCG(seed, uint64(dim)))
				v := clusters(r, n+queries, dim, 10, 0.7)
				g := graphOf(t, Options{Dimension: dim, Metric: metric, Seed: seed, Quantization: QuantizationBinary})
				must(t, g.Upsert(numbered(n), v[:n]))
				w := g.getWalk()
				for i, q := range v[n:] {
					slot := uint32(i)
					must(t, g.prepare(w.query, q))
					g.ask(w, w.query)
					at := w.edges.table(w.code.rotated())
					g.distances(w.query, g.vectors, []uint32{slot}, w.dist, nil)
					at.Base = w.dist[0]
					mask := distance.Scan(g.edges.record(slot), w.edges.lut, &at, &w.edges.est)
					used := int(g.edges.used[slot])
					if want := uint32(1<<used - 1); used < 2*g.opt.M-1 || mask != want {
						t.Fatalf("dim %d: %d neighbours, mask %032b", dim, used, mask)
					}
					toQuery := math.Sqrt(float64(distance.SquaredL2(w.query[:dim], g.vector(slot)[:dim])))
					for place, to := range g.list(slot, 0)[1 : 1+used] {
						g.distances(w.query, g.vectors, []uint32{to}, w.dist, nil)
						d := math.Sqrt(float64(distance.SquaredL2(g.vector(slot)[:dim], g.vector(to)[:dim])))
						b := math.Float32frombits(g.edges.record(slot)[distance.ScanWidth+place])
						scale := 1.0
						if metric == L2 {
							scale = 2
						}
						// B = −scale·d²/(s·d), so o = s·d/(√D·d) = scale·d/(√D·|B|).
						o := scale * d / math.Sqrt(float64(dim)) / math.Abs(float64(b))
						sigma := scale * math.Sqrt(1-o*o) / o * d * toQuery / math.Sqrt(float64(dim-1))
						err := float64(w.edges.est[place]-w.dist[0]) / sigma
						sum, squares, count = sum+err, squares+err*err, count+1
						if math.Abs(err) > 3.5 {
							far++
						}
					}
				}
			}
			mean, deviation := sum/count, math.Sqrt(squares/count)
			t.Logf("%v, %d components: bias %.4f, deviation %.3f, beyond 3.5: %.5f", metric, dim, mean, deviation, far/count)
			// Estimates of one query share its rounding: some hundred are independent.
			if math.Abs(mean) > 0.1 || deviation < 0.8 || deviation > 1.2 || far/count > 0.002 {
				t.Errorf("%v, %d components: bias %.4f, deviation %.3f of the theorem's, %.5f beyond 3.5", metric, dim, mean, deviation, far/count)
			}
		}
	}
}

// checkEdges checks the records of a graph between two writes: they are what they would be if they were made anew.
func checkEdges(t *testing.T, g *graph) {
	t.Helper()
	w := g.getWalk()
	for i, s := range g.state {
		slot := uint32(i)
		list, used := g.list(slot, 0), int(g.edges.used[i])
		if s == free {
			continue
		}
		if used < int(list[0]) || used >= len(list) {
			t.Fatalf("slot %d has %d links and %d codes", slot, list[0], used)
		}
		for _, v := range g.fills(slot) {
			if v == slot || g.state[v] == free || g.state[v] == condemned && s != condemned && i < g.sweepAt {
				t.Fatalf("slot %d is near %d in state %d", slot, v, g.state[v])
			}
		}
		got := slices.Clone(g.edges.record(slot))
		g.encodeEdges(w, slot)
		want := g.edges.record(slot)
		for place := range distance.ScanWidth {
			if place >= used {
				if got[place] != noEdge {
					t.Fatalf("slot %d: place %d of %d is in use", slot, place, used)
				}
				continue
			}
			word, shift := nibblePlace(place)
			same := got[place] == want[place] && got[distance.ScanWidth+place] == want[distance.ScanWidth+place]
			for ; same && word < len(got); word += 4 {
				same = (got[word]^want[word])>>shift&15 == 0
			}
			if !same {
				t.Fatalf("slot %d, state %d: the code of place %d of %d, links %d, is not that of slot %d", slot, s, place, used, list[0], list[1+place])
			}
		}
	}
}

func TestBinaryIsTheSameForAnyThreads(t *testing.T) {
	const dim = 256
	n := smaller(1500)
	build := func(threads int) *graph {
		g := graphOf(t, Options{Dimension: dim, Seed: 3, Threads: threads, Quantization: QuantizationBinary})
		v := clusters(rand.New(rand.NewPCG(1, 1)), n, dim, 20, 0.5)
		ids := numbered(n)
		must(t, g.Upsert(ids, v))
		must(t, g.Delete(ids[n/20:n/2]))
		must(t, g.Upsert(ids[n/20:n/3], v[n/2:n/2+n/3-n/20]))
		checkGraph(t, g)
		return g
	}
	a := build(1)
	for _, threads := range []int{2, 7} {
		b := build(threads)
		if !slices.Equal(a.links, b.links) || !slices.Equal(a.edges.used, b.edges.used) || !slices.Equal(a.edges.records, b.edges.records) {
			t.Errorf("%d threads make another graph", threads)
		}
	}
}

// TestBinaryChurn deletes and inserts again, over growth, refits and sweeps.
func TestBinaryChurn(t *testing.T) {
	const dim = 256
	n := smaller(1000)
	each := n / 40
	for _, metric := range []Metric{L2, Dot} {
		r := rand.New(rand.NewPCG(2, 2))
		g := graphOf(t, Options{Dimension: dim, Metric: metric, Quantization: QuantizationBinary})
		ids, v := numbered(n), clusters(r, 3*n, dim, 20, 0.5)
		for i := 0; i < n; i += 250 {
			must(t, g.Upsert(ids[i:min(i+250, n)], v[i:min(i+250, n)]))
		}
		checkGraph(t, g)
		sweeps := 0
		for i := range 20 {
			some := make([]string, 0, each)
			for _, j := range r.Perm(n)[:each] {
				some = append(some, ids[j])
			}
			must(t, g.Delete(some))
			if g.sweepAt >= 0 {
				sweeps++
			}
			checkGraph(t, g)
			must(t, g.Upsert(some, v[n+i*each:][:len(some)]))
			checkGraph(t, g)
		}
		if sweeps == 0 && !raceEnabled {
			t.Error("no sweep was met half-way")
		}
		if recall := recallOf(t, g, v[:200], Params{}); recall < 0.98 && metric == L2 {
			t.Errorf("recall@10 is %.4f", recall)
		}
	}
}

func TestBinaryOptions(t *testing.T) {
	for o, want := range map[Options]string{
		{Dimension: 255, Quantization: QuantizationBinary}:        "quantization binary of dimension 255: invalid value: use int8 below 256",
		{Dimension: 256, M: 17, Quantization: QuantizationBinary}: "quantization binary with m 17: invalid value: use at most 16",
	} {
		if _, err := New(o); fmt.Sprint(err) != want {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// TestBinaryImage reads back what was written, and refuses near slots that are nowhere.
func TestBinaryImage(t *testing.T) {
	const dim = 256
	for _, metric := range []Metric{L2, Dot} {
		r := rand.New(rand.NewPCG(5, 5))
		o := Options{Dimension: dim, Metric: metric, M: 4, EfConstruction: 40, Quantization: QuantizationBinary}
		g := graphOf(t, o)
		ids, v := numbered(600), clusters(r, 700, dim, 8, 0.5)
		must(t, g.Upsert(ids, v[:600]))
		must(t, g.Delete(ids[:50]))
		o.SetDefaults()
		read := func() (*graph, error) {
			head, body := imageOf(t, g)
			var h imageHead
			must(t, json.Unmarshal(head, &h))
			return readImage(ctx, h, readerOf(t, body), o, nil)
		}
		back, err := read()
		must(t, err)
		checkGraph(t, back)
		if n := len(g.state); !slices.Equal(back.links, g.links) || !slices.Equal(back.edges.used, g.edges.used[:n]) || !slices.Equal(back.edges.records, g.edges.records[:n*g.edges.words]) {
			t.Errorf("%v: the image reads as another graph", metric)
		}
		must(t, back.Upsert(ids[:50], v[650:]))
		checkGraph(t, back)

		for name, damage := range map[string]func(slot uint32) (undo func()){
			"too many": func(slot uint32) func() {
				g.edges.used[slot] += 8
				return func() { g.edges.used[slot] -= 8 }
			},
			"nowhere": func(slot uint32) func() {
				last := &g.list(slot, 0)[g.edges.used[slot]]
				was := *last
				*last = uint32(len(g.state))
				return func() { *last = was }
			},
		} {
			slot := uint32(slices.IndexFunc(g.state, func(s slotState) bool { return s == live }))
			for len(g.fills(slot)) == 0 {
				slot++
			}
			undo := damage(slot)
			if _, err := read(); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%v, %s: %v", metric, name, err)
			}
			undo()
		}
	}
}
