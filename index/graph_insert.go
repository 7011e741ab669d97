package index

import (
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"unsafe"

	"github.com/akin-search/akin/index/distance"
)

// newPoint is a point to insert, with its prepared row.
type newPoint struct {
	member
	row []float32
}

// plan is what becomes of one point, or of one slot that the sweep repairs, in a round.
type plan struct {
	newPoint
	level  int
	slot   uint32
	twin   bool    // slot is another point's, whose vector is equal
	layers [][]key // neighbours of each layer, nearest first; candidates until they are chosen
	spare  []key   // near slots that are no neighbours, for edge codes
	redo   uint32  // bit l: the list of layer l is to be written
}

// setLayers makes n empty lists.
func (p *plan) setLayers(n int) {
	for len(p.layers) < n {
		p.layers = append(p.layers, nil)
	}
	p.layers = p.layers[:n]
	for l := range p.layers {
		p.layers[l] = p.layers[l][:0]
	}
	p.redo = 0
}

// rounds is the writer's scratch.
type rounds struct {
	plans   []plan
	fresh   []*plan  // those that get a slot, or whose links are repaired
	peers   []uint32 // their slots
	back    []backLink
	group   []int // where the targets begin in back, and its end
	seed    maphash.Seed
	first   map[uint64]int // first plan of the round with a vector of this hash
	mu      sync.Mutex
	orphans []uint32 // slots that lost a link, guarded by mu
}

// start returns n plans.
func (r *rounds) start(n int) []plan {
	if r.plans == nil {
		r.plans = make([]plan, roundSize)
		r.seed = maphash.MakeSeed()
		r.first = map[uint64]int{}
	}
	r.fresh, r.peers = r.fresh[:0], r.peers[:0]
	return r.plans[:n]
}

// insertRound inserts up to roundSize points of different ids. The writer only.
func (g *graph) insertRound(points []newPoint) {
	points = g.changed(points)
	if len(points) == 0 {
		return
	}
	if g.lives == 0 {
		g.mu.Lock()
		g.reset()
		if g.codes != nil {
			g.codes.fit(rowsOf(points), g.stride)
		}
		g.mu.Unlock()
	}
	plans := g.rounds.start(len(points))
	for i := range plans {
		plans[i].newPoint, plans[i].level, plans[i].twin = points[i], g.drawLevel(), false
	}
	g.parallel(len(plans), func(w *walk, i int) { g.lookAround(w, &plans[i]) })
	g.seat(plans)
	fresh := g.rounds.fresh
	if g.codes != nil {
		g.parallel(len(fresh), func(w *walk, i int) {
			w.code.put(fresh[i].slot, fresh[i].row)
			if g.disk != nil {
				g.disk.rows.write(fresh[i].slot, fresh[i].row[:g.dim], w.row)
			}
		})
	}
	g.parallel(len(fresh), func(w *walk, i int) { g.chooseAmongPeers(w, i) })
	g.link(fresh)

	g.mu.Lock()
	defer g.mu.Unlock()
	if g.packed != nil {
		g.packed.settle()
	}
	for _, p := range fresh {
		if p.level > g.top {
			g.entry, g.top = p.slot, p.level
		}
	}
	for i := range plans {
		p := &plans[i]
		if old, ok := g.slotOf[p.id]; ok {
			g.disown(old, p.id)
		}
		g.own(p.slot, p.member)
	}
}

// rowsOf returns the rows of points, one after the other.
func rowsOf(points []newPoint) (rows []float32) {
	for _, p := range points {
		rows = append(rows, p.row...)
	}
	return rows
}

// changed drops the points whose vector is stored already.
func (g *graph) changed(points []newPoint) []newPoint {
	var same []newPoint
	points = slices.DeleteFunc(points, func(p newPoint) bool {
		slot, ok := g.slotOf[p.id]
		if ok = ok && g.holds(slot, p.row[:g.dim]); ok {
			same = append(same, p)
		}
		return ok
	})
	if len(same) > 0 {
		g.mu.Lock()
		defer g.mu.Unlock()
		for _, p := range same {
			g.find(g.slotOf[p.id], p.id).tag = p.tag
		}
	}
	return points
}

// holds reports whether a slot has this vector. One that cannot be read from disk is equal to none.
func (g *graph) holds(slot uint32, v []float32) bool {
	if g.disk == nil {
		return slices.Equal(g.vector(slot)[:g.dim], v)
	}
	w := g.getWalk()
	defer g.walks.Put(w)
	return g.disk.rows.read(slot, w.row) == nil && slices.Equal(w.row[:g.dim], v)
}

// lookAround finds the candidates of a new point in the graph as it is (algorithm 1, first half), and a slot with an equal
// vector. Equal vectors share a slot: as slots of their own they would link to nobody else and become an island.
func (g *graph) lookAround(w *walk, p *plan) {
	p.setLayers(p.level + 1)
	if g.top < 0 {
		return
	}
	g.ask(w, p.row)
	g.enter(w)
	for layer := g.top; layer > p.level; layer-- {
		g.descend(w, layer)
	}
	for layer := min(p.level, g.top); layer >= 0; layer-- {
		g.collect(w, layer)
		for _, k := range w.pool {
			if g.state[k.slot()] == live {
				p.layers[layer] = append(p.layers[layer], k&^expanded)
			}
		}
	}
	self := g.self(w)
	for _, k := range w.pool {
		if k.distance() > self {
			return
		}
		if k.distance() == self && g.state[k.slot()] != condemned && g.holds(k.slot(), p.row[:g.dim]) {
			p.slot, p.twin = k.slot(), true
			return
		}
	}
}

// collect widens w.pool to EfConstruction candidates.
func (g *graph) collect(w *walk, layer int) {
	// Only a cancelled context makes a walk fail.
	_ = g.walkLayer(context.Background(), w, layer, g.opt.EfConstruction)
}

// seat gives every plan its slot: that of an equal vector, in the graph or earlier in the round, or one of its own.
func (g *graph) seat(plans []plan) {
	r := &g.rounds
	g.grow(len(plans) - len(g.free))
	words := 0
	for i := range plans {
		words += g.blockWords(plans[i].level)
	}
	g.growUpper(words)
	clear(r.first)
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range plans {
		p := &plans[i]
		if p.twin {
			continue
		}
		h := maphash.Bytes(r.seed, unsafe.Slice((*byte)(unsafe.Pointer(&p.row[0])), 4*len(p.row)))
		if j, ok := r.first[h]; ok && slices.Equal(plans[j].row, p.row) {
			p.slot, p.twin = plans[j].slot, true
			continue
		}
		r.first[h] = i
		p.slot = g.take(p.level)
		if g.disk == nil {
			copy(g.vector(p.slot), p.row)
		}
		r.fresh = append(r.fresh, p)
		r.peers = append(r.peers, p.slot)
	}
}

// chooseAmongPeers adds the other slots of the round to the candidates of its plan number i, and chooses the neighbours.
func (g *graph) chooseAmongPeers(w *walk, i int) {
	p, peers, ef := g.rounds.fresh[i], g.rounds.peers, g.opt.EfConstruction
	g.askSlot(w, p.slot)
	g.compare(w, peers, nil)
	for layer, keys := range p.layers {
		keys = slices.Grow(keys, max(0, ef-len(keys)))
		if layer == 0 {
			keys, _ = distance.Insert(keys, ef, peers[:i], w.dist)
			keys, _ = distance.Insert(keys, ef, peers[i+1:], w.dist[i+1:])
		} else {
			for j, slot := range peers {
				if j != i && g.level(slot) >= layer {
					keys, _ = distance.Insert(keys, ef, peers[j:j+1], w.dist[j:])
				}
			}
		}
		p.layers[layer] = keys
	}
	for layer := range p.layers {
		p.layers[layer] = g.choose(w, p.layers[layer], g.opt.M)
		if layer == 0 {
			p.spare = append(p.spare[:0], w.spare...)
		}
		p.redo |= 1 << layer
	}
}

// chooseBlock is how many keys are compared with a slot at once: enough to keep the kernel busy, and few that are compared for
// nothing because enough are kept before their turn.
const chooseBlock = 64

// choose keeps at most m of the keys, nearest first: a key that is nearer to one kept than to the query leads nowhere new
// (algorithm 4, without keeping the pruned). For edge codes the nearest of the others are left in w.spare.
func (g *graph) choose(w *walk, keys []key, m int) []key {
	return g.chooseBeside(w, keys, 0, m)
}

// chooseBeside is choose where the first n keys stay, whatever they are near to.
func (g *graph) chooseBeside(w *walk, keys []key, n, m int) []key {
	kept := keys[:n] // never more than have been looked at
	keys = keys[n:]
	if g.edges != nil { // of so many, 2M are left
		w.spare = append(w.spare[:0], keys[:min(len(keys), m+2*g.opt.M)]...)
	}
	for len(keys) > 0 && len(kept) < m {
		block := keys[:min(chooseBlock, len(keys))]
		keys = keys[len(block):]
		for _, k := range kept {
			block = g.outside(w, k.slot(), block)
		}
		for len(block) > 0 && len(kept) < m {
			k := block[0] &^ expanded
			kept = append(kept, k)
			block = g.outside(w, k.slot(), block[1:])
		}
	}
	if g.edges != nil {
		w.spare = withoutKeys(w.spare, kept[n:])
	}
	return kept
}

// withoutKeys takes from sorted keys those that others, sorted too, has.
func withoutKeys(keys, others []key) []key {
	n := 0
	for _, k := range keys {
		k &^= expanded
		for len(others) > 0 && others[0] < k {
			others = others[1:]
		}
		if len(others) == 0 || others[0] != k {
			keys[n] = k
			n++
		}
	}
	return keys[:n]
}

// outside keeps the keys that are not nearer to slot than their distance.
func (g *graph) outside(w *walk, slot uint32, keys []key) []key {
	if len(keys) == 0 {
		return keys
	}
	near := w.near[:len(keys)]
	for i, k := range keys {
		near[i] = k.slot()
	}
	g.askSlot(w, slot)
	g.compare(w, near, nil)
	n := 0
	for i, d := range w.dist[:len(keys)] {
		k := keys[i]
		keys[n] = k
		if d >= k.distance() {
			n++
		}
	}
	return keys[:n]
}
