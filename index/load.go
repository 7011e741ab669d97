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

// load reads the collection's state and makes its engine: the graph of the snapshot, brought up to the points where writes came
// after it, or, where the snapshot is missing or unsound, an engine built from the points alone.
func (c *Collection) load(txn *badger.Txn) error {
	began := time.Now()
	log := c.store.opt.Logger.With("collection", c.name)
	var points int
	var err error
	if c.sequence, points, err = c.readSequence(txn); err != nil {
		return err
	}
	if err := c.loadDetector(txn); err != nil {
		return err
	}
	if err := c.loadAside(txn); err != nil {
		return err
	}
	if err := c.loadCurve(txn); err != nil {
		return err
	}
	if err := c.loadWatch(txn); err != nil {
		return err
	}
	o := c.record.Config.options(c.store.opt.Threads)
	o.SetDefaults()
	if err := o.Validate(); err != nil {
		return fmt.Errorf("config: %w: %w", ErrCorrupt, err)
	}
	if o.Engine == EngineGraph {
		inserted, gone, err := c.loadSnapshot(txn, o, points)
		if err == nil && c.engine != nil {
			c.engine.(*graph).members(func(m member) { c.idBytes += len(m.id) })
			log.Debug("graph loaded from its snapshot", "points", c.Len(), "inserted", inserted, "gone", gone, "time", time.Since(began))
			return nil
		}
		if errors.Is(err, ErrFull) {
			return err
		}
		if err != nil {
			log.Warn("snapshot cannot be used, the graph is built from the points", "error", err)
			if err := c.store.deletePrefix(numberKey(recordChunk, c.record.Number)); err != nil {
				return err
			}
		}
		c.saved.Sequence = 0
	}
	if err := c.wouldFit(o, max(0, points), max(0, points), 0); err != nil {
		return err
	}
	c.catalogue = newCatalogue()
	if c.engine, err = c.newEngine(o); err != nil {
		return err
	}
	all, err := c.readPoints(txn, func(member, *pointRecord) (bool, error) { return true, nil })
	if err != nil {
		return err
	}
	if err := c.insert(all); err != nil {
		return err
	}
	for _, p := range all {
		c.idBytes += len(p.id)
	}
	c.filed.Store(true)
	log.Info("index built from the points", "points", c.Len(), "time", time.Since(began))
	return nil
}

// loadSnapshot sets the engine if there is a snapshot. A snapshot of the last write is complete. Of an older one, points that
// were written since are inserted and those that have gone since are deleted.
func (c *Collection) loadSnapshot(txn *badger.Txn, o Options, points int) (inserted, gone int, err error) {
	g, err := c.readSnapshot(txn, o)
	if g == nil || err != nil {
		return 0, 0, err
	}
	if c.saved.Sequence == c.sequence {
		if points >= 0 && g.Len() != points {
			return 0, 0, fmt.Errorf("the snapshot has %d points, the collection %d: %w", g.Len(), points, ErrCorrupt)
		}
		c.engine = g
		return 0, 0, nil
	}
	c.enterAll(g)
	there := make([]bool, g.Len()) // by ordinal
	row := make([]float32, g.dim)
	later, err := c.readPoints(txn, func(m member, p *pointRecord) (bool, error) {
		if int(m.ordinal) < len(there) {
			there[m.ordinal] = true
		}
		if p.seq > c.saved.Sequence {
			return true, nil
		}
		slot, ok := g.slotOf[m.id]
		if !ok || g.find(slot, m.id).tag != m.tag || !g.holds(slot, p.vector(row)) {
			return false, fmt.Errorf("point %q of write %d is not, or is another, in the snapshot of write %d: %w", m.id, p.seq, c.saved.Sequence, ErrCorrupt)
		}
		return false, nil
	})
	if err != nil {
		return 0, 0, err
	}
	var lost []string
	g.members(func(m member) {
		if !there[m.ordinal] {
			lost = append(lost, m.id)
		}
	})
	if err := g.Delete(lost); err != nil {
		return 0, 0, err
	}
	c.catalogue.delete(lost)
	c.engine = g
	c.filed.Store(true)
	return len(later), len(lost), c.insert(later)
}

// enterAll enters the points of a restored graph in the catalogue, under the ordinals that they have there.
func (c *Collection) enterAll(g *graph) {
	ids := make([]string, 0, g.Len())
	g.members(func(m member) { ids = append(ids, m.id) })
	c.catalogue.start(ids)
}

// fillCatalogue reads what filters are answered from. A collection whose snapshot is of its last write opens without it: the
// first filter, or the first write, reads it.
func (c *Collection) fillCatalogue() error {
	if c.filed.Load() {
		return nil
	}
	c.filing.Lock()
	defer c.filing.Unlock()
	if c.filed.Load() {
		return nil
	}
	began := time.Now()
	c.enterAll(c.engine.(*graph)) // no other engine has snapshots
	err := c.store.view(func(txn *badger.Txn) error {
		_, err := c.readPoints(txn, func(m member, _ *pointRecord) (bool, error) {
			if !c.engine.has(m.id) {
				return false, fmt.Errorf("point %q is not in the snapshot: %w", m.id, ErrCorrupt)
			}
			return false, nil
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("reading the points for filters: %w", err)
	}
	c.filed.Store(true)
	c.store.opt.Logger.Debug("catalogue filled", "collection", c.name, "points", c.Len(), "time", time.Since(began))
	return nil
}

// readSequence returns the number of the last write and of the points after it; −1 points where an earlier version wrote it.
func (c *Collection) readSequence(txn *badger.Txn) (sequence uint64, points int, err error) {
	content, err := getSealed(txn, numberKey(recordSequence, c.record.Number), kindSequence)
	if err != nil || content == nil {
		return 0, 0, err
	}
	r := reader{b: content}
	sequence, points = r.uint64(), -1
	if len(r.b) > 0 {
		points = int(r.uint64())
	}
	if r.bad || len(r.b) > 0 || points < -1 {
		return 0, 0, fmt.Errorf("sequence record of %d bytes: %w", len(content), ErrCorrupt)
	}
	return sequence, points, nil
}

// checkCount compares how many point records were read with how many there have to be: where badger cannot read a block it ends
// an iteration as if nothing came after.
func (c *Collection) checkCount(txn *badger.Txn, read int) error {
	_, points, err := c.readSequence(txn)
	if err == nil && points >= 0 && points != read {
		err = fmt.Errorf("%d of %d point records can be read: %w: akin verify says what is damaged", read, points, ErrCorrupt)
	}
	return err
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
