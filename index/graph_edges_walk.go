package index

import (
	"context"
	"math/bits"
	"slices"
	"sync/atomic"

	"github.com/akin-search/akin/index/distance"
)

// estimates is how many estimates take the place of ef candidates for k hits: about as many hits are found then as by int8 codes
// with ef candidates.
func estimates(k, ef int) int { return max(ef, 2*k) * 3 / 2 }

// walkEdges leaves in w.pool, nearest first by their own codes, the nearest of the live slots that it looked at the neighbours
// of, on from w.pool[0] in layer 0. It looks at the nearest by estimate first. Each neighbour that they have in common is
// estimated anew, from another side, and can be in the pool more than once: one estimate of several is good, and such slots
// are worth a look. It goes on until the ef least estimates are of slots that it has looked at.
func (g *graph) walkEdges(ctx context.Context, w *walk, ef int) error {
	s := w.edges
	at := s.table(w.code.rotated())
	w.begin(cap(g.state))
	w.pool, w.found = slices.Grow(w.pool, ef), slices.Grow(w.found[:0], ef)
	pool, visited, gen, found := w.pool, w.visited, w.gen, w.found
	filter := g.hidden > 0
	count := 0 // live estimates in the pool
	pool[0] &^= expanded
	if !filter || g.state[pool[0].slot()] == live {
		count++
	}
	for i, hops := 0, 1; i < len(pool); hops++ {
		if hops%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		slot := pool[i].slot()
		pool[i] |= expanded
		visited[slot] = gen
		list := g.list(slot, 0)
		w.near[0] = slot
		g.compare(w, w.near[:1], &list[0])
		at.Base = w.dist[0]
		if !filter || g.state[slot] == live {
			found, _ = distance.Insert(found, ef, w.near[:1], w.dist)
		}
		n := 0
		for mask := distance.Scan(g.edges.record(slot), s.lut, &at, &s.est); mask != 0; mask &= mask - 1 {
			j := bits.TrailingZeros32(mask)
			if v := atomic.LoadUint32(&list[1+j]); visited[v] != gen {
				w.near[n], w.dist[n] = v, s.est[j]
				n++
			}
		}
		var low int
		if filter {
			pool, count, low = g.insertLive(w, pool, count, w.near[:n], ef)
		} else {
			pool, low = distance.Insert(pool, ef, w.near[:n], w.dist)
			count = len(pool)
		}
		i = min(i, low)
		if count >= ef {
			at.Limit = pool[len(pool)-1].distance()
		}
		for i < len(pool) && visited[pool[i].slot()] == gen {
			i++
		}
		if i < len(pool) {
			distance.Prefetch(g.edges.record(pool[i].slot()))
		}
	}
	w.pool, w.found = found, pool
	return nil
}
