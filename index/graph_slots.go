package index

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// grow makes room for n more slots. Searches go on in the old arenas meanwhile. The writer only.
func (g *graph) grow(n int) {
	old := len(g.state)
	if n <= 0 || old+n <= cap(g.state) {
		return
	}
	size := max(old+n, old+old/2, 64)
	if g.most > 0 {
		size = max(old+n, min(size, g.most))
	}
	vectors := g.vectors
	if g.disk == nil {
		vectors = append(newArena[float32](size*g.stride), g.vectors...)
	}
	links := g.links
	var at []uint32
	if g.packed == nil {
		links = append(newArena[uint32](size*(2*g.opt.M+1)), g.links...)
	} else {
		at = append(make([]uint32, 0, size), g.packed.at...)
	}
	upperAt := append(make([]uint32, 0, size), g.upperAt...)
	state := append(make([]slotState, 0, size), g.state...)
	owner := append(make([]member, 0, size), g.owner...)
	ordOf := append(make([]uint32, 0, size), g.ordOf...)
	g.inLinks = append(make([]int32, 0, size), g.inLinks...)
	swap := func() {}
	if g.codes != nil {
		swap = g.codes.grow(size, g.vectors, g.stride)
	}
	swapEdges := func() {}
	if g.edges != nil {
		swapEdges = g.edges.grow(size)
	}
	g.mu.Lock()
	swap()
	swapEdges()
	g.vectors, g.links, g.upperAt, g.state, g.owner, g.ordOf = vectors, links, upperAt, state, owner, ordOf
	if g.packed != nil {
		g.packed.at = at
	}
	g.mu.Unlock()
	if g.edges != nil && old <= refitSlots { // the codes were fitted anew
		g.parallel(old, func(w *walk, i int) { g.encodeEdges(w, uint32(i)) })
	}
}

// lift gives rows of Dot one more component, so that all have the length radius and the nearest by inner product is the
// nearest by angle: √(r² − |x|²) in stored rows, 0 in queries (Bachrach et al., RecSys 2014). Without it the long vectors
// would take all links, and the short ones none. The nearer the radius is to the longest vector the better are the links, so
// it grows in small steps. The writer only.
func (g *graph) lift(rows []float32) {
	if g.metric != Dot {
		return
	}
	old := g.radius
	for i := 0; i < len(rows); i += g.stride {
		if norm := length(rows[i : i+g.dim]); g.radius < norm {
			g.radius = max(norm, g.radius*17/16)
		}
	}
	g.liftTo(rows)
	if g.radius > old && len(g.state) > 0 {
		vectors := append(newArena[float32](cap(g.vectors)), g.vectors...)
		g.liftTo(vectors)
		swap := func() {}
		if g.codes != nil {
			swap = g.codes.relift(g.radius)
		}
		g.mu.Lock()
		g.vectors = vectors
		swap()
		g.mu.Unlock()
	}
}

func (g *graph) liftTo(rows []float32) {
	for i := 0; i < len(rows); i += g.stride {
		norm := length(rows[i : i+g.dim])
		rows[i+g.dim] = liftOf(g.radius, norm)
	}
}

// liftOf is what a vector of this length lacks to the radius.
func liftOf(radius, norm float64) float32 {
	return float32(math.Sqrt(max(0, radius*radius-norm*norm)))
}

func length(v []float32) float64 {
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	return math.Sqrt(sum)
}

// take returns a pending slot of the given level. The caller holds mu exclusively and has called grow and growUpper.
func (g *graph) take(level int) uint32 {
	var slot uint32
	if last := len(g.free) - 1; last >= 0 {
		slot, g.free = g.free[last], g.free[:last]
	} else {
		slot = uint32(len(g.state))
		g.state = append(g.state, free)
		g.owner = append(g.owner, member{})
		g.ordOf = append(g.ordOf, noOrdinal)
		g.upperAt = append(g.upperAt, 0)
		g.inLinks = append(g.inLinks, 0)
		if g.disk == nil {
			g.vectors = g.vectors[:len(g.vectors)+g.stride]
		}
		if g.packed == nil {
			g.links = g.links[:len(g.links)+2*g.opt.M+1]
		} else {
			g.packed.at = append(g.packed.at, 0)
		}
	}
	g.state[slot] = pending
	g.hidden++
	if g.disk != nil {
		g.disk.rows.take(slot)
	}
	if g.edges != nil {
		g.edges.reset(slot)
	}
	g.upperAt[slot] = g.takeBlock(level)
	return slot
}

// release makes a condemned slot free. The caller holds mu exclusively.
func (g *graph) release(slot uint32) {
	g.state[slot] = free
	g.hidden--
	g.dropBlock(slot)
	if g.packed == nil {
		g.list(slot, 0)[0] = 0
	} else {
		g.packed.set(slot, nil)
	}
	g.free = append(g.free, slot)
}

// reset drops everything, as if the graph were new but for the levels drawn. The caller holds mu exclusively.
func (g *graph) reset() {
	clear(g.links)
	clear(g.freeUpper[:])
	if g.packed != nil {
		g.packed.clear()
	}
	g.vectors, g.links, g.upper, g.upperAt = g.vectors[:0], g.links[:0], g.upper[:1], g.upperAt[:0]
	g.state, g.owner = g.state[:0], g.owner[:0]
	g.ordOf, g.inLinks = g.ordOf[:0], g.inLinks[:0]
	clear(g.more)
	clear(g.slotOf)
	g.free, g.sweepAt, g.top, g.lives, g.hidden = g.free[:0], -1, -1, 0, 0
}

// drawLevel draws from the exponential distribution of the paper's algorithm 1. Draw number n depends on the seed and n.
func (g *graph) drawLevel() int {
	r := rand.New(rand.NewPCG(g.opt.Seed, g.draws))
	g.draws++
	return min(int(r.ExpFloat64()*g.perLink), maxLevel)
}

// own gives a pending, live or dead slot to a point. The caller holds mu exclusively.
func (g *graph) own(slot uint32, m member) {
	g.slotOf[m.id] = slot
	if m.ordinal != noOrdinal {
		for len(g.slotAt) <= int(m.ordinal) {
			g.slotAt = append(g.slotAt, noSlot)
		}
		g.slotAt[m.ordinal] = slot
	}
	if g.state[slot] != live {
		g.state[slot] = live
		g.lives++
		g.hidden--
		g.owner[slot], g.ordOf[slot] = m, m.ordinal
		return
	}
	g.ordOf[slot] = severalOwners
	if m.id < g.owner[slot].id {
		m, g.owner[slot] = g.owner[slot], m
	}
	more := g.more[slot]
	i, _ := slices.BinarySearchFunc(more, m.id, compareMember)
	g.more[slot] = slices.Insert(more, i, m)
}

// disown takes a point from its slot; a slot without points is dead. The caller holds mu exclusively.
func (g *graph) disown(slot uint32, id string) {
	delete(g.slotOf, id)
	if ord := g.find(slot, id).ordinal; ord != noOrdinal {
		g.slotAt[ord] = noSlot
	}
	more := g.more[slot]
	switch {
	case len(more) == 0:
		g.owner[slot], g.ordOf[slot] = member{}, noOrdinal
		g.state[slot] = dead
		g.lives--
		g.hidden++
		return
	case g.owner[slot].id == id:
		g.owner[slot] = more[0]
		more = slices.Delete(more, 0, 1)
	default:
		i, _ := slices.BinarySearchFunc(more, id, compareMember)
		more = slices.Delete(more, i, i+1)
	}
	if len(more) == 0 {
		delete(g.more, slot)
		g.ordOf[slot] = g.owner[slot].ordinal
	} else {
		g.more[slot] = more
	}
}

func compareMember(m member, id string) int { return cmp.Compare(m.id, id) }

// find returns where a slot keeps the point.
func (g *graph) find(slot uint32, id string) *member {
	if g.owner[slot].id == id {
		return &g.owner[slot]
	}
	more := g.more[slot]
	i, _ := slices.BinarySearchFunc(more, id, compareMember)
	return &more[i]
}
