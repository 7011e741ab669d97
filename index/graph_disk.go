package index

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math"
)

// vectorReader reads the vectors of points from where they are kept. What it finds is the last write that is durable, which may
// be newer than what the graph knows.
type vectorReader interface {
	// readVectors calls use for the members whose ids are there, with the sequence number of their record; the vector is in
	// row then. It ends when use returns false.
	readVectors(ctx context.Context, members []member, row []float32, use func(i int, seq uint64) bool) error
	// eachVector calls use for every point; the vector is in row then.
	eachVector(ctx context.Context, row []float32, use func(id string) error) error
}

// onDisk is what a graph needs whose vectors are not in memory.
type onDisk struct {
	vectorReader
	digests [][16]byte // of each slot's vector: equal vectors share a slot; zero where it is not known
}

// spareReads is how many vectors more than asked for are read at least: they tell how far codes are from the truth.
const spareReads = 6

// digestOf tells vectors apart: no two with equal digests are known, nor can be found.
func digestOf(v []float32) (d [16]byte) {
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	sum := sha256.Sum256(b)
	copy(d[:], sum[:])
	return d
}

// movedPoint is a point that was replaced while a search ran, with its new distance.
type movedPoint struct {
	member
	distance float32
}

// distanceTo is the true distance of w's query to a row.
func (g *graph) distanceTo(w *walk, row []float32) float32 {
	g.distances(w.query, row, blockRows[:1], w.dist, nil)
	return w.dist[0]
}

// measure gives the slots of pool, nearest first, their true distances, and cuts off those that cannot be among the k nearest
// any more: they are farther than the k-th by more than twice the worst error of a code so far. A point may be just being
// replaced: its slot then has the distance it had before, if another point with this vector tells it, and the point the new
// distance otherwise.
func (g *graph) measure(ctx context.Context, w *walk, pool []key, k int) ([]key, error) {
	members, known := w.members[:0], w.known[:0]
	w.moved = w.moved[:0]
	for _, key := range pool {
		members, known = append(members, g.owner[key.slot()]), append(known, false)
	}
	w.members, w.known = members, known
	w.nearest.reset(k, func(i uint32) string { return members[i].id })
	worst, end := float32(0), len(pool)
	err := g.disk.readVectors(ctx, members, w.row, func(i int, seq uint64) bool {
		if seq == members[i].seq {
			d := g.distanceTo(w, w.row)
			worst = max(worst, d-pool[i].distance(), pool[i].distance()-d)
			if w.nearest.accepts(d) {
				w.nearest.add(uint32(i), d)
			}
			pool[i], known[i] = makeKey(d, pool[i].slot()), true
		}
		next := i + 1
		if next >= k+spareReads && len(w.nearest.dist) == k && next < end && pool[next].distance() > w.nearest.dist[0]+2*worst {
			end = next
		}
		return next < end
	})
	if err != nil {
		return nil, err
	}
	n := 0
	for i, key := range pool[:end] {
		if !known[i] {
			if key, known[i], err = g.measureMoving(ctx, w, key.slot()); err != nil {
				return nil, err
			}
		}
		if known[i] {
			pool[n] = key
			n++
		}
	}
	return pool[:n], nil
}

// measureMoving measures a slot whose owner has been written to. Where that is true of all its points, each goes to w.moved if
// it still exists.
func (g *graph) measureMoving(ctx context.Context, w *walk, slot uint32) (k key, known bool, err error) {
	members := append([]member{g.owner[slot]}, g.more[slot]...)
	moved := len(w.moved)
	err = g.disk.readVectors(ctx, members, w.row, func(i int, seq uint64) bool {
		d := g.distanceTo(w, w.row)
		if seq == members[i].seq {
			k, known = makeKey(d, slot), true
		}
		w.moved = append(w.moved, movedPoint{members[i], d})
		return true
	})
	if known {
		w.moved = w.moved[:moved]
	}
	return k, known, err
}

// exactFromDisk compares the query with all points as they are on disk. The caller holds mu, which is let go meanwhile.
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
	read := func() {
		if failed == nil {
			failed = g.disk.readVectors(ctx, w.members, w.row, func(i int, _ uint64) bool {
				if d := g.distanceTo(w, w.row); w.nearest.accepts(d) {
					w.nearest.add(w.members[i].ordinal, d)
				}
				return true
			})
		}
		w.members = w.members[:0]
	}
	w.members = w.members[:0]
	s.each(func(ord uint32) {
		if int(ord) >= len(g.slotAt) || g.slotAt[ord] == noSlot {
			return
		}
		w.members = append(w.members, member{s.ids[ord], tag{ordinal: ord}})
		if len(w.members) == scanBlock {
			read()
		}
	})
	if read(); failed != nil {
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
