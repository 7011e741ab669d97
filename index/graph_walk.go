package index

import (
	"context"
	"math"
	"slices"
	"sync/atomic"

	"github.com/akin-search/akin/index/distance"
)

// key is a candidate of a search, a distance.Key of its slot: keys sort by distance, then slot. Bit 0 says that its neighbours
// have been looked at.
type key uint64

const expanded key = 1

func makeKey(d float32, slot uint32) key { return distance.Key[key](d, slot) }

func (k key) slot() uint32 { return uint32(k) >> 1 }

func (k key) distance() float32 {
	b := uint32(k >> 32)
	if b>>31 != 0 {
		return math.Float32frombits(b ^ 1<<31)
	}
	return math.Float32frombits(^b)
}

// walk is the scratch of one search.
type walk struct {
	query   []float32 // prepared row of a search
	asked   []float32 // row to compare with
	code    codeQuery // in its place where the graph has codes
	pool    []key     // candidates, nearest first
	front   []key     // of a walk with a filter: a heap of slots whose neighbours are to be looked at
	visited []uint16  // slot was seen in this generation
	gen     uint16
	without uint32    // 1 + a slot of layer 0 that is not walked, 0 for none
	near    []uint32  // slots of one kernel call
	links   []uint32  // of one slot, unpacked
	dist    []float32 // and their distances
	cands   []key     // of choose
	nearest nearest   // of an exact search
	edges   *edgeScratch
	found   []key // measured by a walk by edge codes
	spare   []key // near slots that choose did not choose
	hits    []Hit
	// where vectors are on disk:
	row []float32 // the one just read
}

func (g *graph) getWalk() *walk {
	if w, ok := g.walks.Get().(*walk); ok {
		return w
	}
	n := max(2*g.opt.M, roundSize) + 1
	w := &walk{query: make([]float32, g.stride), near: make([]uint32, n), dist: make([]float32, n), links: make([]uint32, 2*g.opt.M+1)}
	if g.edges != nil {
		w.edges = g.edges.scratch()
	}
	if g.codes != nil {
		w.code = g.codes.query()
	}
	if g.disk != nil {
		w.row = rowBuffer(g.space)
	}
	return w
}

// begin forgets what was visited. The caller holds mu.
func (w *walk) begin(slots int) {
	if len(w.visited) < slots {
		w.visited = make([]uint16, max(slots, 2*len(w.visited)))
		w.gen = 0
	}
	w.gen++
	if w.gen == 0 {
		clear(w.visited)
		w.gen = 1
	}
	if w.without > 0 {
		w.visited[w.without-1] = w.gen
	}
}

// walkDown leaves the ef live slots nearest to w.query in w.pool, tombstones among them. The caller holds mu.
func (g *graph) walkDown(ctx context.Context, w *walk, ef int) error {
	if g.top < 0 {
		w.pool = w.pool[:0]
		return nil
	}
	g.ask(w, w.query)
	g.enter(w)
	for layer := g.top; layer > 0; layer-- {
		g.descend(w, layer)
	}
	if g.edges != nil {
		return g.walkEdges(ctx, w, ef)
	}
	return g.walkLayer(ctx, w, 0, ef)
}

// enter puts the entry into w.pool.
func (g *graph) enter(w *walk) {
	w.near[0] = g.entry
	g.compare(w, w.near[:1], nil)
	w.pool = append(w.pool[:0], makeKey(w.dist[0], g.entry))
}

// descend walks from w.pool[0] to the nearest slot of the layer and leaves it there alone (algorithm 2 with ef = 1).
func (g *graph) descend(w *walk, layer int) {
	best := w.pool[0] &^ expanded
	for from := key(0); from != best; {
		from = best
		list := g.list(best.slot(), layer)
		n := int(atomic.LoadUint32(&list[0]))
		for i := range n {
			w.near[i] = atomic.LoadUint32(&list[1+i])
		}
		g.compare(w, w.near[:n], nil)
		for i, slot := range w.near[:n] {
			best = min(best, makeKey(w.dist[i], slot))
		}
	}
	w.pool = append(w.pool[:0], best)
}

// walkLayer widens w.pool to the ef live slots of the layer that are nearest to what w asks for (algorithm 2). Tombstones on
// the way stand among them and are not counted.
func (g *graph) walkLayer(ctx context.Context, w *walk, layer, ef int) error {
	w.begin(cap(g.state))
	w.pool = slices.Grow(w.pool, max(0, ef-len(w.pool)))
	pool, visited, gen := w.pool, w.visited, w.gen
	filter := g.hidden > 0
	count := 0 // live slots in the pool
	for i, k := range pool {
		pool[i] = k &^ expanded
		visited[k.slot()] = gen
		if !filter || g.state[k.slot()] == live {
			count++
		}
	}
	for at, hops := 0, 1; at < len(pool); hops++ {
		if hops%1024 == 0 && ctx.Err() != nil {
			w.pool = pool
			return ctx.Err()
		}
		slot := pool[at].slot()
		pool[at] |= expanded
		near := w.near
		near = near[:distance.Unseen(g.neighbours(slot, layer, w.links), visited, gen, near)]
		at = distance.Open(pool, at+1)
		var next *uint32
		if at < len(pool) {
			next = g.firstLink(pool[at].slot(), layer)
		}
		g.compare(w, near, next)
		if !filter {
			var low int
			pool, low = distance.Insert(pool, ef, near, w.dist)
			at = min(at, low)
			continue
		}
		var low int
		pool, count, low = g.insertLive(w, pool, count, near, ef)
		at = min(at, low)
	}
	w.pool = pool
	return nil
}

// insertLive is distance.Insert where tombstones stand in a pool with count live slots: it ends with the ef-th live one.
func (g *graph) insertLive(w *walk, pool []key, count int, near []uint32, ef int) (_ []key, lives, low int) {
	low = math.MaxInt
	for i, v := range near {
		k := makeKey(w.dist[i], v)
		if count >= ef && k >= pool[len(pool)-1] {
			continue
		}
		at, _ := slices.BinarySearch(pool, k)
		pool = slices.Insert(pool, at, k)
		low = min(low, at)
		if g.state[v] == live {
			count++
		}
		pool, count = g.trim(pool, count, ef)
	}
	return pool, count, low
}

// trim cuts the end of a pool in which tombstones stand: it ends with the ef-th of its count live slots.
func (g *graph) trim(pool []key, count, ef int) ([]key, int) {
	if count < ef {
		return pool, count
	}
	for {
		last := g.state[pool[len(pool)-1].slot()] == live
		if last && count == ef {
			return pool, count
		}
		if last {
			count--
		}
		pool = pool[:len(pool)-1]
	}
}
