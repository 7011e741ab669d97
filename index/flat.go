package index

import (
	"context"
	"sync"
)

// flat compares a query with every vector.
type flat struct {
	space
	mu    sync.RWMutex
	rows  []float32
	ids   []string // of each row
	ords  []uint32 // ordinals of each row, or noOrdinal
	rowAt []uint32 // rows by ordinal; noSlot where there is none
	rowOf map[string]uint32
}

func newFlat(o Options) *flat {
	return &flat{space: newSpace(o.Metric, o.Dimension), rowOf: map[string]uint32{}}
}

func (f *flat) Upsert(ids []string, vectors [][]float32) error {
	return f.put(ids, vectors, nil)
}

func (f *flat) put(ids []string, vectors [][]float32, tags []tag) error {
	rows, err := f.prepareAll(ids, vectors)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, id := range ids {
		v := rows[i*f.stride : (i+1)*f.stride]
		if r, ok := f.rowOf[id]; ok {
			copy(f.row(r), v)
			continue
		}
		f.rowOf[id] = uint32(len(f.ids))
		f.ids, f.ords = append(f.ids, id), append(f.ords, noOrdinal)
		f.rows = append(f.rows, v...)
		if tags != nil {
			f.seat(uint32(len(f.ids)-1), tags[i].ordinal)
		}
	}
	return nil
}

// Delete fills the gap with the last row.
func (f *flat) Delete(ids []string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range ids {
		r, ok := f.rowOf[id]
		if !ok {
			continue
		}
		last := uint32(len(f.ids) - 1)
		copy(f.row(r), f.row(last))
		f.seat(noSlot, f.ords[r])
		f.ids[r] = f.ids[last]
		f.rowOf[f.ids[r]] = r
		if r != last {
			f.seat(r, f.ords[last])
		}
		delete(f.rowOf, id)
		f.ids[last] = ""
		f.ids, f.ords, f.rows = f.ids[:last], f.ords[:last], f.rows[:int(last)*f.stride]
	}
	return nil
}

// seat says that the point with an ordinal is in row r.
func (f *flat) seat(r, ord uint32) {
	if ord == noOrdinal {
		return
	}
	for len(f.rowAt) <= int(ord) {
		f.rowAt = append(f.rowAt, noSlot)
	}
	f.rowAt[ord] = r
	if r != noSlot {
		f.ords[r] = ord
	}
}

func (f *flat) Search(ctx context.Context, q []float32, k int, p Params) ([]Hit, error) {
	if p.ScoreThreshold != nil {
		p.Exact = true
		return within(f.metric, k, p, func(k int, p Params) ([]Hit, error) { return f.Search(ctx, q, k, p) })
	}
	if _, err := p.candidates(k); err != nil {
		return nil, err
	}
	if err := p.compiled(); err != nil {
		return nil, err
	}
	row := make([]float32, f.stride)
	if err := f.prepare(row, q); err != nil {
		return nil, err
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.exact(ctx, row, k, p.chosen)
}

// exact returns the k nearest of the prepared query, of those chosen or of all. The caller holds mu.
func (f *flat) exact(ctx context.Context, q []float32, k int, chosen *selection) ([]Hit, error) {
	var h nearest
	if chosen != nil {
		return f.nearestChosen(ctx, q, f.rows, k, chosen, f.rowAt, &h)
	}
	h.reset(k, func(r uint32) string { return f.ids[r] })
	if err := f.scan(ctx, q, f.rows, len(f.ids), nil, &h); err != nil {
		return nil, err
	}
	return f.hits(&h), nil
}

func (f *flat) hits(h *nearest) []Hit {
	hits := make([]Hit, len(h.rows))
	for i, r := range h.rows {
		hits[i] = f.hit(f.ids[r], h.dist[i])
	}
	sortHits(hits)
	return hits
}

func (f *flat) row(r uint32) []float32 {
	return f.rows[int(r)*f.stride : int(r+1)*f.stride]
}

func (f *flat) Len() int {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return len(f.ids)
}

func (f *flat) has(id string) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	_, ok := f.rowOf[id]
	return ok
}

func (f *flat) Bytes() int64 {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return int64(len(f.rows)) * 4
}
