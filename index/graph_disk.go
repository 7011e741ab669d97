package index

import (
	"context"
	"fmt"
)

// vectorReader reads the vectors of points from where they are kept, as they are when it is called.
type vectorReader interface {
	// eachVector calls use for every point; the vector is in row then.
	eachVector(ctx context.Context, row []float32, use func(id string) error) error
}

// onDisk is what a graph needs whose vectors are not in memory.
type onDisk struct {
	vectorReader
	rows *rowFile
}

// spareReads is how many vectors more than asked for are read at least: they tell how far codes are from the truth.
const spareReads = 2

// distanceTo is the true distance of w's query to a row.
func (g *graph) distanceTo(w *walk, row []float32) float32 {
	g.distances(w.query, row, blockRows[:1], w.dist, nil)
	return w.dist[0]
}

// trueDistance reads the vector of a slot.
func (g *graph) trueDistance(w *walk, slot uint32) (float32, error) {
	if err := g.disk.rows.read(slot, w.row); err != nil {
		return 0, fmt.Errorf("vector of point %q: %w", g.owner[slot].id, err)
	}
	return g.distanceTo(w, w.row), nil
}

// measure gives the slots of pool, nearest first, their true distances, and cuts off those that cannot be among the k nearest
// any more: they are farther than the k-th by more than twice the worst error of a code so far.
func (g *graph) measure(ctx context.Context, w *walk, pool []key, k int) ([]key, error) {
	w.nearest.reset(k, func(i uint32) string { return g.owner[pool[i].slot()].id })
	worst := float32(0)
	for i, key := range pool {
		if i%scanBlock == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if i >= k+spareReads && len(w.nearest.dist) == k && key.distance() > w.nearest.dist[0]+2*worst {
			return pool[:i], nil
		}
		d, err := g.trueDistance(w, key.slot())
		if err != nil {
			return nil, err
		}
		worst = max(worst, d-key.distance(), key.distance()-d)
		if w.nearest.accepts(d) {
			w.nearest.add(uint32(i), d)
		}
		pool[i] = makeKey(d, key.slot())
	}
	return pool, nil
}

// exactFromDisk compares the query with all points as they are in the store. The caller holds mu, which is let go meanwhile: it
// may take seconds.
func (g *graph) exactFromDisk(ctx context.Context, w *walk, k int) ([]Hit, error) {
	g.mu.RUnlock()
	defer g.mu.RLock()
	var ids []string // of the heap's rows
	w.nearest.reset(k, func(row uint32) string { return ids[row] })
	err := g.disk.eachVector(ctx, w.row, func(id string) error {
		if d := g.distanceTo(w, w.row); w.nearest.accepts(d) && g.has(id) {
			ids = append(ids, id)
			w.nearest.add(uint32(len(ids)-1), d)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return g.hitsOf(&w.nearest), nil
}

// nearestOnDisk compares the query with the points of a selection. The caller holds mu.
func (g *graph) nearestOnDisk(ctx context.Context, w *walk, k int, s *selection) ([]Hit, error) {
	w.nearest.reset(k, func(ord uint32) string { return s.ids[ord] })
	var failed error
	n := 0
	s.each(func(ord uint32) {
		if failed != nil || int(ord) >= len(g.slotAt) || g.slotAt[ord] == noSlot {
			return
		}
		if n%scanBlock == 0 {
			if failed = ctx.Err(); failed != nil {
				return
			}
		}
		n++
		var d float32
		if d, failed = g.trueDistance(w, g.slotAt[ord]); failed == nil && w.nearest.accepts(d) {
			w.nearest.add(ord, d)
		}
	})
	if failed != nil {
		return nil, failed
	}
	return g.hitsOf(&w.nearest), nil
}

// hitsOf returns what is in a heap, nearest first.
func (g *graph) hitsOf(h *nearest) []Hit {
	hits := make([]Hit, len(h.rows))
	for i, row := range h.rows {
		hits[i] = g.hit(h.id(row), h.dist[i])
	}
	sortHits(hits)
	return hits
}
