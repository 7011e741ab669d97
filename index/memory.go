package index

import (
	"fmt"
	"sync"
)

// What a point takes in memory beside its slot of the engine, in bytes: its entries in the maps of engine and catalogue, with
// their usual slack, and two copies of its id; and a value of the catalogue, one in four of which is a string of its own.
const (
	pointBytes = 120
	valueBytes = 70
)

// budget is the memory of a store's collections: vectors, links, codes, ids and the catalogue, by capacity. Not in it is what
// comes for a moment, as while an arena grows, and what badger takes: up to 6 tables of memTable bytes and no caches.
type budget struct {
	limit int64 // 0: none
	mu    sync.Mutex
	used  map[*Collection]int64
}

// take lets a collection have so many bytes in all, or returns ErrFull.
func (b *budget) take(c *Collection, bytes int64) error {
	if b.limit == 0 {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	total := bytes
	for other, n := range b.used {
		if other != c {
			total += n
		}
	}
	if total > b.limit {
		return fmt.Errorf("%s of memory needed, %s by this collection: %w: the limit is %s: raise it (--max-memory, StoreOptions.MaxMemory), drop or delete what is not needed, or keep the vectors on disk (quantization %s)",
			size(total), size(bytes), ErrFull, size(b.limit), QuantizationInt8Disk)
	}
	b.used[c] = bytes
	return nil
}

// left is what a collection may grow to, in bytes; 0 where there is no limit.
func (b *budget) left(c *Collection) int64 {
	if b.limit == 0 {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	left := b.limit
	for other, n := range b.used {
		if other != c {
			left -= n
		}
	}
	return left
}

func (b *budget) drop(c *Collection) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.used, c)
}

func size(bytes int64) string {
	switch {
	case bytes >= 10<<30:
		return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
	case bytes >= 10<<20:
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	return fmt.Sprintf("%d bytes", bytes)
}

// makeRoom takes memory for points to come, or returns ErrFull. The caller holds mu and has filled the catalogue.
func (c *Collection) makeRoom(points []Point, values int) error {
	if c.store.budget.limit == 0 {
		return nil
	}
	fresh, ids := map[string]bool{}, 0
	for i := range points {
		if id := points[i].ID; !fresh[id] && !c.engine.has(id) {
			fresh[id] = true
			ids += len(id)
		}
	}
	beside := int64(c.Len()+len(fresh))*pointBytes + 2*int64(c.idBytes+ids) + int64(c.catalogue.values()+values)*valueBytes
	if err := c.store.budget.take(c, c.engine.footprint(len(points))+beside); err != nil {
		return fmt.Errorf("%d points: %w", len(points), err)
	}
	if g, ok := c.engine.(*graph); ok {
		g.setMost(c.store.budget.left(c) - beside)
	}
	return nil
}

// countMemory counts what the collection has: after it was loaded, and after points were deleted.
func (c *Collection) countMemory() error {
	return c.store.budget.take(c, c.engine.footprint(0)+int64(c.Len())*pointBytes+2*int64(c.idBytes)+int64(c.catalogue.values())*valueBytes)
}

// wouldFit returns ErrFull if an engine of so many slots is too large.
func (c *Collection) wouldFit(o Options, slots, points, ids int) error {
	if c.store.budget.limit == 0 {
		return nil
	}
	e, err := c.newEngine(o)
	if err != nil {
		return err
	}
	return c.store.budget.take(c, e.footprint(slots)+int64(points)*pointBytes+2*int64(ids))
}

// footprint is the memory of so many slots more than there are, by capacity.
func (g *graph) footprint(more int) int64 {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.memory(max(cap(g.state), len(g.state)+max(0, more-len(g.free))))
}

// memory is the memory of so many slots. One in M−1 has a list of an upper layer.
func (g *graph) memory(slots int) int64 {
	bytes := 4 + 4*(g.opt.M+2)/(g.opt.M-1) + 1 + 32 + 4 + 4
	if g.disk == nil {
		bytes += 4 * g.stride
	}
	n := int64(slots) * int64(bytes)
	if g.codes != nil {
		n += g.codes.bytes(slots)
	}
	if g.packed != nil {
		n += g.packed.memory(slots, g.opt.M)
	} else {
		n += int64(slots) * 4 * int64(2*g.opt.M+1)
	}
	if g.edges != nil {
		n += g.edges.bytes(slots)
	}
	return n
}

// setMost says how much memory the arenas may take in advance of what they need.
func (g *graph) setMost(bytes int64) {
	g.writing.Lock()
	defer g.writing.Unlock()
	g.most = max(1, int(bytes/max(1, g.memory(1<<10)>>10)))
}

// footprint: append makes room for up to three in ten in advance.
func (f *flat) footprint(more int) int64 {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return int64(len(f.ids)+more) * int64(4*f.stride+16+4+4) * 13 / 10
}

// footprint: coder/hnsw keeps vectors of its own, and maps of links.
func (c *coder) footprint(more int) int64 {
	return 2*c.flat.footprint(more) + int64(c.flat.Len()+more)*int64(c.opt.M)*64
}

// values is how many values are filed.
func (c *catalogue) values() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.filed
}
