package index

import (
	"context"
	"math/bits"
)

// scanBlock is how many rows one kernel call of a scan compares.
const scanBlock = 256

// blockRows are the rows of a block.
var blockRows = func() (rows [scanBlock]uint32) {
	for i := range rows {
		rows[i] = uint32(i)
	}
	return rows
}()

// nearest keeps the k nearest rows seen: a heap with the farthest on top. Equal distances are ordered by id.
type nearest struct {
	k    int
	id   func(row uint32) string
	rows []uint32
	dist []float32
}

func (h *nearest) reset(k int, id func(uint32) string) {
	h.k, h.id, h.rows, h.dist = k, id, h.rows[:0], h.dist[:0]
}

// worse reports whether element i is farther than element j.
func (h *nearest) worse(i, j int) bool {
	if h.dist[i] != h.dist[j] {
		return h.dist[i] > h.dist[j]
	}
	return h.id(h.rows[i]) > h.id(h.rows[j])
}

func (h *nearest) swap(i, j int) {
	h.rows[i], h.rows[j] = h.rows[j], h.rows[i]
	h.dist[i], h.dist[j] = h.dist[j], h.dist[i]
}

func (h *nearest) add(row uint32, d float32) {
	if len(h.rows) == h.k {
		if d > h.dist[0] || d == h.dist[0] && h.id(row) > h.id(h.rows[0]) {
			return
		}
		h.rows[0], h.dist[0] = row, d
		for i := 0; ; {
			far := i
			for c := 2*i + 1; c <= 2*i+2 && c < len(h.rows); c++ {
				if h.worse(c, far) {
					far = c
				}
			}
			if far == i {
				return
			}
			h.swap(i, far)
			i = far
		}
	}
	h.rows, h.dist = append(h.rows, row), append(h.dist, d)
	for i := len(h.rows) - 1; i > 0 && h.worse(i, (i-1)/2); i = (i - 1) / 2 {
		h.swap(i, (i-1)/2)
	}
}

// scan compares q with the first n rows of the arena and keeps the k nearest of those that use accepts, nil for all.
func (s space) scan(ctx context.Context, q, arena []float32, n int, use func(row uint32) bool, h *nearest) error {
	var out [scanBlock]float32
	for first := 0; first < n; first += scanBlock {
		if first%(64*scanBlock) == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		count := min(scanBlock, n-first)
		s.distances(q, arena[first*s.stride:], blockRows[:count], out[:], nil)
		for i, d := range out[:count] {
			if len(h.dist) == h.k && d > h.dist[0] {
				continue
			}
			if row := uint32(first + i); use == nil || use(row) {
				h.add(row, d)
			}
		}
	}
	return nil
}

// scanChosen compares q with the points of a selection and keeps the k nearest; h holds ordinals. rowOf are their rows in the
// arena, noSlot for those that have none.
func (s space) scanChosen(ctx context.Context, q, arena []float32, chosen *selection, rowOf []uint32, h *nearest) error {
	var rows, ords [scanBlock]uint32
	var out [scanBlock]float32
	n, blocks := 0, 0
	for i, word := range chosen.bitmap {
		for ; word != 0; word &= word - 1 {
			ord := uint32(i*64 + bits.TrailingZeros64(word))
			if int(ord) >= len(rowOf) || rowOf[ord] == noSlot {
				continue
			}
			rows[n], ords[n] = rowOf[ord], ord
			n++
			if n == scanBlock {
				if blocks++; blocks%64 == 0 && ctx.Err() != nil {
					return ctx.Err()
				}
				s.distances(q, arena, rows[:], out[:], nil)
				h.addAll(ords[:], out[:])
				n = 0
			}
		}
	}
	s.distances(q, arena, rows[:n], out[:], nil)
	h.addAll(ords[:n], out[:])
	return ctx.Err()
}

// accepts reports whether a row at this distance may be among the nearest.
func (h *nearest) accepts(d float32) bool { return len(h.dist) < h.k || d <= h.dist[0] }

func (h *nearest) addAll(rows []uint32, dist []float32) {
	for i, row := range rows {
		if h.accepts(dist[i]) {
			h.add(row, dist[i])
		}
	}
}

// nearestChosen is scanChosen with the hits of it, nearest first.
func (s space) nearestChosen(ctx context.Context, q, arena []float32, k int, chosen *selection, rowOf []uint32, h *nearest) ([]Hit, error) {
	h.reset(k, func(ord uint32) string { return chosen.ids[ord] })
	if err := s.scanChosen(ctx, q, arena, chosen, rowOf, h); err != nil {
		return nil, err
	}
	hits := make([]Hit, len(h.rows))
	for i, ord := range h.rows {
		hits[i] = s.hit(chosen.ids[ord], h.dist[i])
	}
	sortHits(hits)
	return hits, nil
}
