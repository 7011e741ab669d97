package index

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// backLink is the link back from a neighbour to the plan that chose it, made so that links sort by layer and target:
//
//	bits 63…59 layer   bits 58…28 target slot   bits 27…16 plan   bits 15…0 place of the target in the plan's list
type backLink uint64

func (b backLink) layer() int     { return int(b >> 59) }
func (b backLink) target() uint32 { return uint32(b>>28) & (1<<31 - 1) }
func (b backLink) plan() int      { return int(b>>16) & (1<<12 - 1) }
func (b backLink) place() int     { return int(b & (1<<16 - 1)) }

// link writes the chosen neighbours of the plans and the links back (algorithm 1, second half). Each target is the work of
// one goroutine, its new links in the order of the plans: threads change nothing in the result.
func (g *graph) link(plans []*plan) {
	r := &g.rounds
	r.back, r.group, r.orphans = r.back[:0], r.group[:0], r.orphans[:0]
	w := g.getWalk()
	for i, p := range plans {
		for layer, keys := range p.layers {
			if p.redo&(1<<layer) == 0 {
				continue
			}
			g.setList(w, p.slot, layer, keys, p.spare)
			for j, k := range keys {
				r.back = append(r.back, backLink(layer)<<59|backLink(k.slot())<<28|backLink(i)<<16|backLink(j))
			}
		}
	}
	g.walks.Put(w)
	slices.Sort(r.back)
	for i, b := range r.back {
		if i == 0 || b>>28 != r.back[i-1]>>28 {
			r.group = append(r.group, i)
		}
	}
	r.group = append(r.group, len(r.back))
	targets := len(r.group) - 1
	g.parallel((targets+linkChunk-1)/linkChunk, func(w *walk, chunk int) {
		for i := chunk * linkChunk; i < min((chunk+1)*linkChunk, targets); i++ {
			g.linkBack(w, plans, r.back[r.group[i]:r.group[i+1]])
		}
	})
	for _, p := range plans {
		r.orphans = append(r.orphans, p.slot)
	}
	g.adopt(r.orphans)
	if g.edges != nil {
		g.parallel(len(plans), func(w *walk, i int) {
			if plans[i].redo&1 != 0 {
				g.encodeEdges(w, plans[i].slot)
			}
		})
	}
}

// linkBack adds links to one target. A list that overflows is chosen anew.
func (g *graph) linkBack(w *walk, plans []*plan, back []backLink) {
	layer, target := back[0].layer(), back[0].target()
	links := g.neighbours(target, layer, w.links)
	keys := w.cands[:0]
	for _, b := range back {
		p := plans[b.plan()]
		if !slices.Contains(links, p.slot) {
			keys = append(keys, makeKey(p.layers[layer][b.place()].distance(), p.slot))
		}
	}
	w.cands = keys
	if len(links)+len(keys) <= g.room(layer) {
		g.addLinks(target, layer, links, keys)
		return
	}
	near := w.near[:0]
	for _, slot := range links {
		if g.state[slot] != condemned {
			near = append(near, slot)
		}
	}
	g.askSlot(w, target)
	g.compare(w, near, nil)
	for i, slot := range near {
		keys = append(keys, makeKey(w.dist[i], slot))
	}
	w.cands = keys
	slices.Sort(keys)
	g.setList(w, target, layer, g.choose(w, keys, g.room(layer)), w.spare)
	if layer == 0 && g.edges != nil {
		g.encodeEdges(w, target)
	}
}

// addLinks appends to the links of a slot, which has room, beside searches.
func (g *graph) addLinks(slot uint32, layer int, links []uint32, keys []key) {
	packed := layer == 0 && g.packed != nil
	for _, k := range keys {
		to := k.slot()
		if packed {
			links = append(links, to)
		} else {
			list := g.list(slot, layer)
			atomic.StoreUint32(&list[1+list[0]], to)
			atomic.StoreUint32(&list[0], list[0]+1)
		}
		if layer == 0 {
			atomic.AddInt32(&g.inLinks[to], 1)
		}
		if layer == 0 && g.edges != nil {
			g.addEdge(slot, int(g.list(slot, 0)[0])-1)
		}
	}
	if packed {
		g.packed.set(slot, links)
	}
}

// setList replaces a list beside searches. Edge codes are the caller's to make; spare is what they fill the list up with.
func (g *graph) setList(w *walk, slot uint32, layer int, keys, spare []key) {
	if layer == 0 {
		for _, k := range keys {
			atomic.AddInt32(&g.inLinks[k.slot()], 1)
		}
		g.unlink(g.neighbours(slot, 0, w.links))
		if g.packed != nil {
			links := w.links[:0]
			for _, k := range keys {
				links = append(links, k.slot())
			}
			g.packed.set(slot, links)
			return
		}
	}
	list := g.list(slot, layer)
	for i, k := range keys {
		atomic.StoreUint32(&list[1+i], k.slot())
	}
	atomic.StoreUint32(&list[0], uint32(len(keys)))
	if layer == 0 && g.edges != nil {
		g.edges.fill(slot, list, len(keys), spare)
	}
}

// unlink counts links of layer 0 that go away, and notes the slots that may have lost their last.
func (g *graph) unlink(slots []uint32) {
	for _, slot := range slots {
		if atomic.AddInt32(&g.inLinks[slot], -1) == 0 {
			g.rounds.mu.Lock()
			g.rounds.orphans = append(g.rounds.orphans, slot)
			g.rounds.mu.Unlock()
		}
	}
}

// adopt links to the slots that no link of layer 0 leads to, from the nearest of their neighbours that has room or a link to
// spare. Choosing neighbours alone leaves some points in ten thousand that no search finds.
func (g *graph) adopt(orphans []uint32) {
	w := g.getWalk()
	defer g.walks.Put(w)
	slices.Sort(orphans)
	for _, slot := range slices.Compact(orphans) {
		if s := g.state[slot]; g.inLinks[slot] > 0 || s != live && s != pending {
			continue
		}
		near := append(w.near[:0], g.neighbours(slot, 0, w.links)...)
		for _, from := range near {
			if g.state[from] != condemned && g.linkSomehow(w, from, slot) {
				break
			}
		}
	}
}

// linkSomehow links in layer 0, if need be in the place of the last neighbour that has other links.
func (g *graph) linkSomehow(w *walk, from, to uint32) bool {
	links := g.neighbours(from, 0, w.links)
	if len(links) < g.room(0) {
		g.addLinks(from, 0, links, []key{makeKey(0, to)})
		return true
	}
	for i := len(links) - 1; i >= 0; i-- {
		if g.inLinks[links[i]] > 1 {
			g.inLinks[links[i]]--
			g.inLinks[to]++
			if g.packed != nil {
				links[i] = to
				g.packed.set(from, links)
				return true
			}
			atomic.StoreUint32(&links[i], to)
			if g.edges != nil {
				g.addEdge(from, i)
			}
			return true
		}
	}
	return false
}

// linkChunk is how many targets a goroutine takes at once: one is little work.
const linkChunk = 16

// turn is how long a worker runs before it lets others run.
const turn = 200 * time.Microsecond

// parallel calls f for 0 to n−1 on the graph's threads, each with a walk of its own. Workers give way after every turn: where all
// processors are busy inserting, a search would else wait for one for 10 ms, the scheduler's time slice. A worker that has waited
// for its own next turn, because searches keep all processors busy, takes as long.
func (g *graph) parallel(n int, f func(w *walk, i int)) {
	var next atomic.Int64
	work := func() {
		w := g.getWalk()
		defer g.walks.Put(w)
		began, mine := time.Now(), turn
		for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
			f(w, int(i))
			if end := time.Now(); end.Sub(began) >= mine {
				runtime.Gosched()
				began = time.Now()
				mine = max(turn, began.Sub(end))
			}
		}
	}
	if min(g.opt.Threads, n) < 2 {
		work()
		return
	}
	var wg sync.WaitGroup
	for range min(g.opt.Threads, n) {
		wg.Go(work)
	}
	wg.Wait()
}
