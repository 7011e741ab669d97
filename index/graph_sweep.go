package index

import "slices"

// sweep works on getting rid of tombstones; it looks at n slots. The writer only.
//
// A sweep condemns all tombstones of its start, then goes through the slots in order and gives each that has a condemned
// neighbour other neighbours: those of the condemned, which lie nearby, or what a fresh search finds. New points never link
// to tombstones. So when all slots have been seen nothing leads to the condemned, and their slots are free. Spread over many
// writes, no write pays for all, and the memory of churn is bounded.
func (g *graph) sweep(n int) {
	if g.sweepAt < 0 {
		if g.hidden < minDead || float64(g.hidden) < deadPerSlot*float64(g.hidden+g.lives) {
			return
		}
		g.mu.Lock()
		for slot, s := range g.state {
			if s == dead {
				g.state[slot] = condemned
			}
		}
		g.mu.Unlock()
		g.sweepAt = 0
	}
	for n > 0 && g.sweepAt < len(g.state) {
		count := min(n, roundSize, len(g.state)-g.sweepAt)
		g.repairRound(g.sweepAt, count)
		g.sweepAt += count
		n -= count
	}
	if g.sweepAt == len(g.state) {
		g.endSweep()
	}
}

func (g *graph) repairRound(first, count int) {
	plans := g.rounds.start(count)
	g.parallel(count, func(w *walk, i int) {
		plans[i].slot = uint32(first + i)
		g.repair(w, &plans[i])
	})
	for i := range plans {
		if plans[i].redo != 0 {
			g.rounds.fresh = append(g.rounds.fresh, &plans[i])
		}
	}
	g.link(g.rounds.fresh)
	if g.packed != nil {
		g.mu.Lock()
		g.packed.settle()
		g.mu.Unlock()
	}
	if g.edges != nil {
		g.parallel(count, func(_ *walk, i int) { g.dropCondemned(uint32(first + i)) })
	}
}

// repair chooses other neighbours for the layers in which a slot has condemned ones. Those that may stay do: a list also holds slots
// that linked themselves to this one while there was room (linkBack), which choosing among all anew would leave out. It would thin the
// graph round after round: five rounds of deleting 30 % and inserting it again took the recall@10 of MNIST, at 64 dimensions and ef 48,
// from 0.9983 to 0.9961 and the links of a slot from 17.6 to 13.7; this way they take it to 0.9980 and 17.4.
func (g *graph) repair(w *walk, p *plan) {
	p.redo = 0
	if s := g.state[p.slot]; s != live && s != dead {
		return
	}
	p.setLayers(g.level(p.slot) + 1)
	for layer := range p.layers {
		if !slices.ContainsFunc(g.neighbours(p.slot, layer, w.links), func(v uint32) bool { return g.state[v] == condemned }) {
			continue
		}
		p.redo |= 1 << layer
		keys, stay := g.replacements(w, p.layers[layer], p.slot, layer)
		p.layers[layer] = g.chooseBeside(w, keys, stay, g.room(layer))
		slices.Sort(p.layers[layer])
		if layer == 0 {
			p.spare = append(p.spare[:0], w.spare...)
		}
	}
}

// replacements appends to keys the neighbours of a slot that may stay, and returns how many these are; then the live neighbours of
// those that may not. Both come nearest first. Where they are few, it searches.
func (g *graph) replacements(w *walk, keys []key, slot uint32, layer int) (_ []key, stay int) {
	w.begin(cap(g.state))
	w.visited[slot] = w.gen
	g.askSlot(w, slot)
	add := func(links []uint32, ok slotState) {
		near := w.near[:0]
		for _, v := range links {
			if g.state[v]&ok != 0 && w.visited[v] != w.gen {
				w.visited[v] = w.gen
				near = append(near, v)
			}
		}
		g.compare(w, near, nil)
		for i, v := range near {
			keys = append(keys, makeKey(w.dist[i], v))
		}
	}
	links := g.neighbours(slot, layer, w.links)
	add(links, live|dead)
	stay = len(keys)
	links = slices.DeleteFunc(slices.Clone(links), func(v uint32) bool { return g.state[v] != condemned })
	for _, v := range links {
		add(g.neighbours(v, layer, w.links), live)
	}
	if len(keys) < g.opt.M {
		g.enter(w)
		for l := g.top; l > layer; l-- {
			g.descend(w, l)
		}
		g.collect(w, layer)
		for _, k := range w.pool {
			if g.state[k.slot()] == live && k.slot() != slot && !slices.Contains(keys, k&^expanded) {
				keys = append(keys, k&^expanded)
			}
		}
	}
	slices.Sort(keys[:stay])
	slices.Sort(keys[stay:])
	return keys, stay
}

// endSweep frees the condemned.
func (g *graph) endSweep() {
	r := &g.rounds
	r.orphans = r.orphans[:0]
	buf := make([]uint32, g.room(0))
	for slot, s := range g.state {
		if s == condemned {
			g.unlink(g.neighbours(uint32(slot), 0, buf))
		}
	}
	g.adopt(r.orphans)
	g.mu.Lock()
	defer g.mu.Unlock()
	for slot, s := range g.state {
		if s == condemned {
			g.release(uint32(slot))
		}
	}
	if g.packed != nil {
		g.packed.settle()
	}
	g.sweepAt = -1
	if g.top < 0 || g.state[g.entry] != free {
		return
	}
	g.top = -1
	for slot, s := range g.state {
		if level := g.level(uint32(slot)); s != free && level > g.top {
			g.entry, g.top = uint32(slot), level
		}
	}
}
