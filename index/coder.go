package index

import (
	"context"
	"fmt"
	"math/rand"
	"slices"
	"sync"

	"github.com/coder/hnsw"

	"github.com/akin-search/akin/index/distance"
)

// coder is github.com/coder/hnsw behind guards, beside an exact index that holds the truth.
//
//	flaw of v0.6.1                                       guard
//	adding a key again panics                            every vector gets a key that was never used before
//	Delete leaves dangling edges and panics later        never called: dead keys are filtered, many make a rebuild
//	empty graph, wrong dimension panic                   checked before
//	concurrent use crashes                               a lock
//	results bounded by k, unsorted, without distances    ef are asked for, compared anew, sorted, cut to k
//	nodes that no edge leads to                          where fewer than k are found, all are compared
//	a panic not listed here                              becomes an error
//
// What no guard mends: low recall, and graphs that differ from run to run (it walks maps).
type coder struct {
	flat  *flat
	opt   Options
	mu    sync.RWMutex // the graph and its keys; taken before flat.mu
	graph *hnsw.Graph[uint64]
	next  uint64
	keyOf map[string]uint64
	idOf  map[uint64]string // live keys
}

func newCoder(o Options) *coder {
	c := &coder{flat: newFlat(o), opt: o}
	c.clear()
	return c
}

func (c *coder) clear() {
	s := c.flat.space
	c.graph = &hnsw.Graph[uint64]{
		M: c.opt.M, Ml: 1 / float64(c.opt.M), EfSearch: c.opt.EfConstruction,
		Rng: rand.New(rand.NewSource(int64(c.opt.Seed))), Distance: s.between,
	}
	c.next, c.keyOf, c.idOf = 0, map[string]uint64{}, map[uint64]string{}
}

// between is the distance of two rows.
func (s space) between(a, b []float32) float32 {
	switch s.metric {
	case L2:
		return distance.SquaredL2(a, b)
	case Dot:
		return -distance.Dot(a, b)
	}
	return 1 - distance.Dot(a, b)
}

func (c *coder) Upsert(ids []string, vectors [][]float32) error {
	return c.put(ids, vectors, nil)
}

func (c *coder) put(ids []string, vectors [][]float32, tags []tag) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.flat.put(ids, vectors, tags); err != nil {
		return err
	}
	for _, id := range ids {
		if key, ok := c.keyOf[id]; ok {
			delete(c.idOf, key)
			delete(c.keyOf, id)
		}
	}
	return c.addAll(ids)
}

// addAll adds the ids that have no key, and rebuilds the graph when most of it is dead.
func (c *coder) addAll(ids []string) error {
	if dead := c.graph.Len() - len(c.idOf); dead > minDead && float64(dead) > deadPerSlot*float64(c.graph.Len()) {
		c.clear()
		ids = c.flat.ids
	}
	for _, id := range ids {
		if _, ok := c.keyOf[id]; ok {
			continue
		}
		v := slices.Clone(c.flat.row(c.flat.rowOf[id]))
		if err := guard(func() { c.graph.Add(hnsw.MakeNode(c.next, v)) }); err != nil {
			return err
		}
		c.keyOf[id], c.idOf[c.next] = c.next, id
		c.next++
	}
	return nil
}

func (c *coder) Delete(ids []string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		if key, ok := c.keyOf[id]; ok {
			delete(c.idOf, key)
			delete(c.keyOf, id)
		}
	}
	if err := c.flat.Delete(ids); err != nil {
		return err
	}
	return c.addAll(nil)
}

func (c *coder) Search(ctx context.Context, q []float32, k int, p Params) ([]Hit, error) {
	if p.ScoreThreshold != nil {
		return within(c.flat.metric, k, p, func(k int, p Params) ([]Hit, error) { return c.Search(ctx, q, k, p) })
	}
	ef, err := p.candidates(k)
	if err != nil {
		return nil, err
	}
	if err := p.compiled(); err != nil {
		return nil, err
	}
	row := make([]float32, c.flat.stride)
	if err := c.flat.prepare(row, q); err != nil {
		return nil, err
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	if p.Exact || p.chosen != nil || len(c.idOf) <= ef {
		return c.flat.exact(ctx, row, k, p.chosen)
	}
	var nodes []hnsw.Node[uint64]
	if err := guard(func() { nodes = c.graph.Search(row, ef) }); err != nil {
		return nil, err
	}
	var h nearest
	h.reset(k, func(r uint32) string { return c.flat.ids[r] })
	var out [1]float32
	for _, n := range nodes {
		if id, ok := c.idOf[n.Key]; ok {
			r := c.flat.rowOf[id]
			c.flat.distances(row, c.flat.rows, []uint32{r}, out[:], nil)
			h.add(r, out[0])
		}
	}
	if len(h.rows) < min(k, len(c.idOf)) {
		return c.flat.exact(ctx, row, k, nil)
	}
	return c.flat.hits(&h), nil
}

// guard turns a panic of the library into an error.
func guard(f func()) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("engine coder: github.com/coder/hnsw panicked: %v: use engine graph", r)
		}
	}()
	f()
	return nil
}

func (c *coder) Len() int { return c.flat.Len() }

func (c *coder) has(id string) bool { return c.flat.has(id) }

// Bytes counts the vectors twice, as they are kept, and a key and a pointer for each link.
func (c *coder) Bytes() int64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return 2*c.flat.Bytes() + int64(c.graph.Len()*c.opt.M)*16
}
