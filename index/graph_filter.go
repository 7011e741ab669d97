package index

import (
	"context"
	"math"
	"slices"

	"github.com/akin-search/akin/index/distance"
)

// A search with a filter goes one of two ways, whichever is cheaper.
//
//	scan   compares with the chosen points, one by one
//	walk   goes through the graph as without a filter, also past points that were not chosen, until it has found enough
//	       that were; never less far than without a filter
//
// A walk finds the nearest chosen points if they lie where any points may: then every hop leads to a chosen one as often as they
// are in the graph. If they are all far from the query, a walk comes to their edge first, and what it has found there is not
// the nearest (recall 0.6 was measured). So one that meets less than half as many as it should gives up, and the scan is done;
// as well when it has cost as much as the scan. No filter costs more than two scans, and recall does not depend on where the
// chosen points lie.
const (
	// A hop of a walk takes as long as a scan takes for rowsPerHop rows and componentsPerHop components: 36 rows of 64
	// components, 18 of 784.
	rowsPerHop       = 16.0
	componentsPerHop = 1280.0
	// diskRowsPerHop is the same where rows are read from disk.
	diskRowsPerHop = 0.4
	// A walk that should have met n chosen slots, n above patience, gives up with less than n/2 − badLuck. Of filters by
	// chance that stops one walk in a hundred.
	patience = 8
	badLuck  = 3
	// spareMatches is how many chosen slots a walk finds for each hit, at least, before it trusts the nearest.
	spareMatches = 2
)

// enough returns how many chosen slots a walk has to find: fewer than ef, because they lie apart, and what lies between them
// was seen, too.
func enough(k, ef int, share float64) int {
	return max(spareMatches*k, int(float64(ef)*math.Sqrt(share)))
}

// searchChosen is Search with a selection. The caller holds mu.
func (g *graph) searchChosen(ctx context.Context, w *walk, k, ef int, p Params) ([]Hit, error) {
	s := p.chosen
	share := min(1, float64(s.count)/float64(max(len(g.slotOf), 1)))
	want, pace := enough(k, ef, share), rowsPerHop+componentsPerHop/float64(g.stride)
	if g.codes != nil {
		want = max(want, rescored(k, ef))
	}
	if g.disk != nil {
		pace = diskRowsPerHop
	}
	affordable := int(float64(s.count) / pace)
	if !p.Exact && g.top >= 0 && max(float64(ef), float64(want)/share) < float64(affordable) {
		done, err := g.walkChosen(ctx, w, ef, want, affordable, s, share)
		if err != nil {
			return nil, err
		}
		if done {
			if g.codes != nil {
				if err := g.rescore(ctx, w, k, ef); err != nil {
					return nil, err
				}
			}
			if hits := g.hits(w, k, s); len(hits) >= min(k, s.count) {
				return hits, nil
			}
		}
	}
	if g.disk != nil {
		return g.nearestOnDisk(ctx, w, k, s)
	}
	return g.nearestChosen(ctx, w.query, g.vectors, k, s, g.slotAt, &w.nearest)
}

// passes reports whether a slot has a point that was chosen.
func (g *graph) passes(slot uint32, s *selection) bool {
	ord := g.ordOf[slot]
	if ord != severalOwners {
		return s.has(ord)
	}
	if s.has(g.owner[slot].ordinal) {
		return true
	}
	for _, m := range g.more[slot] {
		if s.has(m.ordinal) {
			return true
		}
	}
	return false
}

// walkChosen leaves in w.pool, nearest first, the slots of chosen points that it met: it looks at the neighbours of at least
// ef slots, and goes on until the want nearest chosen ones are nearer than all that is left. It reports false if that takes
// more than so many hops, or if the chosen are too few on its way for the share that they have in the graph.
func (g *graph) walkChosen(ctx context.Context, w *walk, ef, want, hops int, s *selection, share float64) (done bool, err error) {
	g.ask(w, w.query)
	g.enter(w)
	for layer := g.top; layer > 0; layer-- {
		g.descend(w, layer)
	}
	w.begin(cap(g.state))
	w.front = append(w.front[:0], w.pool[0])
	w.visited[w.pool[0].slot()] = w.gen
	if !g.passes(w.pool[0].slot(), s) {
		w.pool = w.pool[:0]
	}
	w.pool = slices.Grow(w.pool, max(0, want-len(w.pool)))
	worst := ^key(0) // the last of w.pool, once there are want
	met := 0         // chosen slots whose neighbours were looked at
	for hop := 0; len(w.front) > 0; hop++ {
		if due := float64(hop) * share; hop == hops || due > patience && float64(met) < due/2-badLuck {
			return false, nil
		}
		if hop%1024 == 1023 && ctx.Err() != nil {
			return false, ctx.Err()
		}
		at := popKey(&w.front)
		if at > worst && hop >= ef {
			return true, nil
		}
		if g.passes(at.slot(), s) {
			met++
		}
		near := w.near[:distance.Unseen(g.neighbours(at.slot(), 0, w.links), w.visited, w.gen, w.near)]
		var next *uint32
		if len(w.front) > 0 {
			next = g.firstLink(w.front[0].slot(), 0)
		}
		g.compare(w, near, next)
		found := 0
		for i, v := range near {
			k := makeKey(w.dist[i], v)
			if k < worst || hop < ef {
				pushKey(&w.front, k)
			}
			near[found], w.dist[found] = v, w.dist[i]
			if k < worst && g.passes(v, s) {
				found++
			}
		}
		if w.pool, _ = distance.Insert(w.pool, want, near[:found], w.dist); len(w.pool) == want {
			worst = w.pool[want-1]
		}
	}
	return true, nil
}

// pushKey and popKey keep a heap with the smallest key on top.
func pushKey(heap *[]key, k key) {
	h := append(*heap, k)
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 2
		if h[up] <= k {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = k
	*heap = h
}

func popKey(heap *[]key) key {
	h := *heap
	top, last := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	for i := 0; len(h) > 0; {
		c := 2*i + 1
		if c >= len(h) {
			h[i] = last
			break
		}
		if c+1 < len(h) && h[c+1] < h[c] {
			c++
		}
		if last <= h[c] {
			h[i] = last
			break
		}
		h[i] = h[c]
		i = c
	}
	*heap = h
	return top
}
