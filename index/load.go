package index

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// loaded is a point on its way from the store into the engine; the catalogue has it already.
type loaded struct {
	member
	vector []float32
}

// load reads the collection's state and makes its engine: the graph of the snapshot with the points of the store put back and
// later ones inserted, or, where the snapshot is missing or unsound, an engine built from the points alone.
func (c *Collection) load(txn *badger.Txn) error {
	began := time.Now()
	log := c.store.opt.Logger.With("collection", c.name)
	content, err := getSealed(txn, numberKey(recordSequence, c.record.Number), kindSequence)
	if err != nil {
		return err
	}
	if content != nil {
		r := reader{b: content}
		c.sequence = r.uint64()
	}
	if err := c.loadDetector(txn); err != nil {
		return err
	}
	o := c.record.Config.options(c.store.opt.Threads)
	o.SetDefaults()
	if err := o.Validate(); err != nil {
		return fmt.Errorf("config: %w: %w", ErrCorrupt, err)
	}
	if o.Engine == EngineGraph {
		built, lost, err := c.loadSnapshot(txn, o)
		switch {
		case err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrFormat):
			return err
		case err != nil:
			log.Warn("snapshot cannot be used, the graph is built from the points", "error", err)
		case c.engine != nil:
			log.Debug("graph loaded from its snapshot", "points", c.Len(), "inserted", built, "lost", lost, "time", time.Since(began))
			return nil
		}
		c.saved.Sequence = 0
	}
	if c.engine, err = newEngine(o); err != nil {
		return err
	}
	points, err := c.readPoints(txn, func(member, *pointRecord) (bool, error) { return true, nil })
	if err != nil {
		return err
	}
	if err := c.insert(points); err != nil {
		return err
	}
	log.Info("index built from the points", "points", c.Len(), "time", time.Since(began))
	return nil
}

// loadSnapshot sets the engine if there is a snapshot. built points are newer than it, lost ones are in it and no more in the
// store.
func (c *Collection) loadSnapshot(txn *badger.Txn, o Options) (built, lost int, err error) {
	r, err := c.readSnapshot(txn, o)
	if r == nil || err != nil {
		return 0, 0, err
	}
	row := make([]float32, c.record.Config.Dimension)
	later, err := c.readPoints(txn, func(m member, p *pointRecord) (bool, error) {
		if p.seq > c.saved.Sequence {
			return true, nil
		}
		found, err := r.place(m, p.vector(row))
		if err == nil && !found {
			err = fmt.Errorf("point %q, write %d, is not in the snapshot of write %d: %w", m.id, p.seq, c.saved.Sequence, ErrCorrupt)
		}
		return false, err
	})
	if err != nil {
		return 0, 0, err
	}
	lost = r.finish()
	c.engine = r.graph
	return len(later), lost, c.insert(later)
}

// readPoints enters all points in the catalogue and returns those that pick picks, in the order in which they were written.
func (c *Collection) readPoints(txn *badger.Txn, pick func(m member, p *pointRecord) (bool, error)) ([]loaded, error) {
	var points []loaded
	err := c.eachItem(txn, func(id string, item *badger.Item) error {
		return item.Value(func(b []byte) error {
			p, err := decodePoint(b, id, c.record.Config.Dimension)
			if err != nil {
				return err
			}
			entries, err := p.entries()
			if err != nil {
				return fmt.Errorf("point %q: %w", id, err)
			}
			m := member{id, tag{p.seq, c.catalogue.put([]string{id}, [][]entry{entries})[0]}}
			picked, err := pick(m, &p)
			if picked && err == nil {
				points = append(points, loaded{m, p.vector(make([]float32, c.record.Config.Dimension))})
			}
			return err
		})
	})
	slices.SortFunc(points, func(a, b loaded) int { return cmp.Compare(a.seq, b.seq) })
	return points, err
}

func (c *Collection) insert(points []loaded) error {
	ids, vectors, tags := make([]string, len(points)), make([][]float32, len(points)), make([]tag, len(points))
	for i, p := range points {
		ids[i], vectors[i], tags[i] = p.id, p.vector, p.tag
	}
	return c.engine.put(ids, vectors, tags)
}

func (c *Collection) loadDetector(txn *badger.Txn) error {
	item, err := txn.Get(numberKey(recordDetector, c.record.Number))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	d := &Detector{}
	if err := item.Value(d.UnmarshalBinary); err != nil {
		return fmt.Errorf("detector: %w", err)
	}
	if err := c.fits(d); err != nil {
		return err
	}
	c.detector.Store(d)
	return nil
}
