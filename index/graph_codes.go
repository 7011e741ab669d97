package index

// A graph can keep a short code of every vector beside, or instead of, the vectors. All links are chosen, and all walks go, by
// the distances of codes, which are near the true ones; then the best candidates of a walk get their true distances.
//
//	insert: row ──► codeStore.put ──► walks and choices ask a codeQuery
//	search: row ──► codeQuery.ask ──► walkLayer: codeQuery.compare a hop ──► pool ──► rescore by float32 ──► hits

// codeStore keeps the code of every slot. put and grow are the writer's; the rest runs beside searches.
type codeStore interface {
	// query returns the scratch of one walk.
	query() codeQuery
	// put makes the code of a slot. Different slots may be put at the same time.
	put(slot uint32, row []float32)
	// grow makes room for so many slots. The caller calls swap, which lets searches see it, while it holds mu exclusively.
	grow(slots int) (swap func())
	// bytes is the memory of the codes.
	bytes() int64
}

// codeQuery compares one vector with slots. The caller holds mu, or is the writer.
type codeQuery interface {
	// ask sets the vector to a prepared row, askSlot to that of a slot.
	ask(row []float32)
	askSlot(slot uint32)
	// compare fills out with the distances of slots, as space.distances has them but for the error of the codes. Two equal
	// vectors have the distance self. What is at next, which may be nil, is read next: it may be prefetched.
	compare(slots []uint32, out []float32, next *uint32)
	self() float32
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

// self is the distance that w finds to vectors equal to the one it asks for.
func (g *graph) self(w *walk) float32 {
	if g.codes != nil {
		return w.code.self()
	}
	g.distances(w.asked, w.asked, blockRows[:1], w.dist, nil)
	return w.dist[0]
}
