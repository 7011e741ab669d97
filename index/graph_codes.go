package index

import (
	"context"
	"slices"
)

// A graph can keep a short code of every vector beside, or instead of, the vectors. All links are chosen, and all walks go, by
// the distances of codes, which are near the true ones; then the best candidates of a walk get their true distances.
//
//	insert: row ──► codeQuery.put ──► walks and choices ask a codeQuery
//	search: row ──► codeQuery.ask ──► walkLayer: codeQuery.compare a hop ──► pool ──► rescore by float32 ──► hits

// codeStore keeps the code of every slot. The swap functions let searches see a change; they are called while mu is held
// exclusively.
type codeStore interface {
	// query returns the scratch of one walk.
	query() codeQuery
	// fit adapts codes to rows that are typical. The graph is empty, and mu is held exclusively.
	fit(rows []float32, stride int)
	// grow makes room for so many slots. vectors are the rows of all slots that there are; nil where these are not in memory.
	grow(slots int, vectors []float32, stride int) (swap func())
	// relift follows a change of the radius of Dot (graph.lift).
	relift(radius float64) (swap func())
	// bytes is the memory of the codes of so many slots.
	bytes(slots int) int64
	// sections is the memory of the codes of so many slots: what an image holds, and what it is read into after grow.
	sections(slots int) [][]byte
}

// codeQuery compares one vector with slots. The caller holds mu, or is the writer.
type codeQuery interface {
	// put makes the code of a slot. The writer only, on slots that no link leads to yet.
	put(slot uint32, row []float32)
	// ask sets the vector to a prepared row, askSlot to that of a slot.
	ask(row []float32)
	askSlot(slot uint32)
	// compare fills out with the distances of slots, as space.distances has them but for the error of the codes. Two equal
	// vectors have the distance self. What is at next, which may be nil, is read next: it may be prefetched.
	compare(slots []uint32, out []float32, next *uint32)
	self() float32
	// rotated is the vector that ask was given, as codes see it.
	rotated() []float32
}

// ask makes a prepared row what w compares with.
func (g *graph) ask(w *walk, row []float32) {
	if g.codes != nil {
		w.code.ask(row)
		return
	}
	w.asked = row
}

// askSlot makes the vector of a slot what w compares with.
func (g *graph) askSlot(w *walk, slot uint32) {
	if g.codes != nil {
		w.code.askSlot(slot)
		return
	}
	w.asked = g.vector(slot)
}

// compare fills w.dist with the distances of slots, by their codes where there are some.
func (g *graph) compare(w *walk, slots []uint32, next *uint32) {
	if g.codes != nil {
		w.code.compare(slots, w.dist, next)
		return
	}
	g.distances(w.asked, g.vectors, slots, w.dist, next)
}

// rescored is how many candidates of a walk by codes get their true distances for k hits: 2k+20 are enough where neighbours
// lie apart by more than the error of the codes. Where they do not, more are: a greater ef helps there, too.
func rescored(k, ef int) int { return max(2*k+20, ef/2) }

// rescore leaves the nearest live slots of w.pool there, rescored(k, ef) at most, with their true distances. The caller holds mu.
func (g *graph) rescore(ctx context.Context, w *walk, k, ef int) error {
	most := rescored(k, ef)
	pool, n := w.pool, 0
	for _, key := range pool {
		if n == most {
			break
		}
		if g.state[key.slot()] == live {
			pool[n] = key
			n++
		}
	}
	pool = pool[:n]
	if g.disk != nil {
		var err error
		if pool, err = g.measure(ctx, w, pool, k); err != nil {
			return err
		}
		slices.Sort(pool)
		w.pool = pool
		return nil
	}
	for i := 0; i < n; i += scanBlock {
		part := pool[i:min(i+scanBlock, n)]
		for j, key := range part {
			w.near[j] = key.slot()
		}
		g.distances(w.query, g.vectors, w.near[:len(part)], w.dist, nil)
		for j, d := range w.dist[:len(part)] {
			part[j] = makeKey(d, w.near[j])
		}
	}
	slices.Sort(pool)
	w.pool = pool
	return nil
}

// self is the distance that w finds to vectors equal to the one it asks for.
func (g *graph) self(w *walk) float32 {
	if g.codes != nil {
		return w.code.self()
	}
	g.distances(w.asked, w.asked, blockRows[:1], w.dist, nil)
	return w.dist[0]
}
