package index

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"

	"github.com/akin-search/akin/index/distance"
)

// Collection is a set of points of one model: their records in the store and the index of their vectors, kept together. All
// methods are safe for concurrent use; searches run beside writes.
type Collection struct {
	store   *Store
	name    string
	record  collectionRecord
	engine  engine
	dropped atomic.Bool

	catalogue *catalogue
	filing    sync.Mutex  // one fillCatalogue at a time; taken after mu
	filed     atomic.Bool // the catalogue is filled; no write comes before

	mu       sync.Mutex // one write at a time: record first, then index
	sequence uint64     // of the last write; guarded by mu
	idBytes  int        // of all ids; guarded by mu
	detector atomic.Pointer[Detector]
	curve    atomic.Pointer[curve] // replaced by holders of mu
	drift    atomic.Bool           // writes made some of it stale
	shadow   shadow

	watch     watch
	aside     aside
	writes    atomic.Uint64 // since the start
	following atomic.Bool   // a fit of the detector is on its way
	fitTook   atomic.Int64  // nanoseconds of the last one in the background
	fitting   sync.Mutex    // one at a time; taken before mu

	snapshots sync.Mutex // one snapshot at a time; taken before mu
	saved     manifest   // the last snapshot; guarded by snapshots
}

type collectionRecord struct {
	Number uint32 `json:"number"`
	Config Config `json:"config"`
}

// engine is an Index with what a collection needs besides.
type engine interface {
	Index
	has(id string) bool
	// put is Upsert with a tag for each id; with nil for none.
	put(ids []string, vectors [][]float32, tags []tag) error
	// footprint is the memory that it has, in bytes, when so many vectors have come.
	footprint(more int) int64
}

func (c *Collection) newEngine(o Options) (engine, error) {
	if o.Quantization == QuantizationInt8Disk {
		return newGraph(o, c.onDisk()), distance.Err()
	}
	ix, err := New(o)
	if err != nil {
		return nil, err
	}
	return ix.(engine), nil
}

func (c *Config) options(threads int) Options {
	return Options{Engine: c.Engine, Metric: c.Metric, Dimension: c.Dimension, M: c.M, EfConstruction: c.EfConstruction,
		Seed: c.Seed, Threads: threads, Quantization: c.Quantization}
}

// Name returns the collection's name.
func (c *Collection) Name() string { return c.name }

// Config returns what Create was given, defaults filled in.
func (c *Collection) Config() Config { return c.record.Config }

// ModelID returns the model whose vectors these are.
func (c *Collection) ModelID() string { return c.record.Config.ModelID }

// CheckModel returns ErrModel unless the collection holds vectors of that model.
func (c *Collection) CheckModel(id string) error {
	if id != c.ModelID() {
		return fmt.Errorf("collection %q holds vectors of model %q, not of %q: %w: use its model, or a collection of your own",
			c.name, c.ModelID(), id, ErrModel)
	}
	return nil
}

// Len returns the number of points.
func (c *Collection) Len() int { return c.engine.Len() }

// Bytes returns the memory of vectors, codes and links in bytes, ids and what filters need not counted.
func (c *Collection) Bytes() int64 { return c.engine.(Sized).Bytes() }

// enter lets a call in while the store is open and the collection exists.
func (c *Collection) enter() error {
	if err := c.store.gate.enter(); err != nil {
		return err
	}
	if c.dropped.Load() {
		c.store.gate.leave()
		return fmt.Errorf("collection %q was dropped: %w", c.name, ErrNotFound)
	}
	return nil
}

// Search returns the k nearest points that pass p.Filter, as Index.Search does.
func (c *Collection) Search(ctx context.Context, q []float32, k int, p Params) ([]Hit, error) {
	if err := c.enter(); err != nil {
		return nil, err
	}
	defer c.store.gate.leave()
	return c.search(ctx, q, k, p)
}

// search is Search for callers inside the gate.
func (c *Collection) search(ctx context.Context, q []float32, k int, p Params) ([]Hit, error) {
	plan, err := c.Plan(k, p)
	if err != nil {
		return nil, err
	}
	hits, err := c.find(ctx, q, k, plan.Params)
	if err == nil {
		c.shadowed(q, k, plan.Params, hits)
	}
	return hits, err
}

// find is search without a plan.
func (c *Collection) find(ctx context.Context, q []float32, k int, p Params) ([]Hit, error) {
	if p.Filter == nil {
		return c.engine.Search(ctx, q, k, p)
	}
	if err := p.Filter.Validate(); err != nil {
		return nil, err
	}
	if err := c.fillCatalogue(); err != nil {
		return nil, fmt.Errorf("collection %q: %w", c.name, err)
	}
	c.catalogue.mu.RLock()
	defer c.catalogue.mu.RUnlock()
	var err error
	if p.chosen, err = c.catalogue.choose(p.Filter, c.entries); err != nil {
		return nil, fmt.Errorf("collection %q: %w", c.name, err)
	}
	defer c.catalogue.drop(p.chosen.bitmap)
	return c.engine.Search(ctx, q, k, p)
}

// Get returns whole points in the order of the ids; Look is cheaper where parts of them do. ErrNotFound names the first id
// that does not exist.
func (c *Collection) Get(ids ...string) ([]Point, error) {
	if err := c.enter(); err != nil {
		return nil, err
	}
	defer c.store.gate.leave()
	return c.stored(ids...)
}

// stored is Get within the gate.
func (c *Collection) stored(ids ...string) ([]Point, error) {
	points := make([]Point, len(ids))
	err := c.store.view(func(txn *badger.Txn) error {
		for i, id := range ids {
			item, err := txn.Get(pointKey(recordPoint, c.record.Number, id))
			if errors.Is(err, badger.ErrKeyNotFound) {
				return fmt.Errorf("point %q: %w", id, ErrNotFound)
			}
			if err == nil {
				points[i], err = c.read(txn, item, id)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("collection %q: %w", c.name, err)
	}
	return points, nil
}

// Each calls f for every point in the order of the ids, as they were when it was called, until f returns an error.
func (c *Collection) Each(ctx context.Context, f func(Point) error) error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.store.gate.leave()
	call := func(p Point) error {
		defer func() {
			if p := recover(); p != nil {
				panic(callersPanic{p})
			}
		}()
		return f(p)
	}
	return c.store.view(func(txn *badger.Txn) error {
		return c.eachItem(txn, func(id string, item *badger.Item) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			p, err := c.read(txn, item, id)
			if err != nil {
				return fmt.Errorf("collection %q: %w", c.name, err)
			}
			return call(p)
		})
	})
}

// eachItem goes through the point records, and fails when some cannot be read.
func (c *Collection) eachItem(txn *badger.Txn, f func(id string, item *badger.Item) error) error {
	prefix := numberKey(recordPoint, c.record.Number)
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	defer it.Close()
	n := 0
	for it.Rewind(); it.Valid(); it.Next() {
		if err := f(string(it.Item().Key()[len(prefix):]), it.Item()); err != nil {
			return err
		}
		n++
	}
	return c.checkCount(txn, n)
}

// read makes a point of its record and its raw input.
func (c *Collection) read(txn *badger.Txn, item *badger.Item, id string) (p Point, err error) {
	var record pointRecord
	err = item.Value(func(b []byte) error {
		if record, err = decodePoint(b, id, c.record.Config.Dimension); err == nil {
			p, err = record.point(id)
		}
		return err
	})
	if err != nil || !record.hasRaw {
		return p, err
	}
	p.Raw, err = c.readRaw(txn, id, record.bareRaw)
	return p, err
}

// entries reads what a point can be filtered by from its record.
func (c *Collection) entries(id string) (out []entry, err error) {
	err = c.store.view(func(txn *badger.Txn) error {
		item, err := txn.Get(pointKey(recordPoint, c.record.Number, id))
		if errors.Is(err, badger.ErrKeyNotFound) { // a Delete is on its way from the store to the catalogue
			return nil
		}
		if err != nil {
			return err
		}
		return item.Value(func(b []byte) error {
			p, err := decodePoint(b, id, c.record.Config.Dimension)
			if err == nil {
				out, err = p.entries()
			}
			return err
		})
	})
	return out, err
}
