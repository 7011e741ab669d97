package index

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// A write is one transaction, and so atomic, up to these limits; a larger one is a row of them.
const (
	MaxAtomicPoints = 1000    // points of one Upsert, or ids of one Delete
	MaxAtomicBytes  = 4 << 20 // vectors, labels, payloads and raw inputs of one Upsert
)

// Upsert stores points and replaces those with the same id. When it returns nil, all are on disk and searches find them: they
// survive a crash and a power cut.
//
// Up to MaxAtomicPoints points and MaxAtomicBytes bytes are stored all or none. A larger call is stored in parts, each durable
// before the next; an error then says how many points were stored before it, the first of points. All is validated before
// anything is stored. Where an id stands twice, the last one wins.
func (c *Collection) Upsert(ctx context.Context, points []Point) error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.store.gate.leave()
	w, err := c.checked(points)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.upsert(ctx, points, w)
}

// Relabel gives a known point another label, and leaves it otherwise as it is stored then. One that is not known is ErrNotFound.
func (c *Collection) Relabel(ctx context.Context, id, label string) error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.store.gate.leave()
	c.mu.Lock()
	defer c.mu.Unlock()
	points, err := c.stored(id)
	if err != nil || points[0].Label == label {
		return err
	}
	points[0].Label = label
	w, err := c.checked(points)
	if err != nil {
		return err
	}
	return c.upsert(ctx, points, w)
}

// toWrite is what is made of points before they are written.
type toWrite struct {
	space
	rows     []float32
	payloads [][]byte
	entries  [][]entry
	values   int
}

// checked checks points and prepares them.
func (c *Collection) checked(points []Point) (w toWrite, err error) {
	s := newSpace(c.record.Config.Metric, c.record.Config.Dimension)
	rows, payloads := make([]float32, len(points)*s.stride), make([][]byte, len(points))
	entries, values := make([][]entry, len(points)), 0
	for i := range points {
		if payloads[i], err = points[i].check(); err != nil {
			return w, err
		}
		if entries[i], err = entriesOf(points[i].Label, payloads[i]); err != nil {
			return w, err
		}
		values += len(entries[i])
		if err := s.prepare(rows[i*s.stride:(i+1)*s.stride], points[i].Vector); err != nil {
			return w, fmt.Errorf("id %q: %w", points[i].ID, err)
		}
	}
	return toWrite{s, rows, payloads, entries, values}, nil
}

// upsert writes what checked made. The caller holds c.mu.
func (c *Collection) upsert(ctx context.Context, points []Point, w toWrite) error {
	s, rows, payloads, entries := w.space, w.rows, w.payloads, w.entries
	defer c.drifted()
	defer c.changed()
	if err := c.fillCatalogue(); err != nil {
		return fmt.Errorf("collection %q: %w", c.name, err)
	}
	if err := c.makeRoom(points, w.values); err != nil {
		return fmt.Errorf("collection %q: %w", c.name, err)
	}
	for first := 0; first < len(points); {
		part := 0
		for size := 0; first+part < len(points) && part < MaxAtomicPoints; part++ {
			p := &points[first+part]
			size += 4*s.dim + len(p.ID) + len(p.Label) + len(payloads[first+part]) + len(p.Raw)
			if size > MaxAtomicBytes && part > 0 {
				break
			}
		}
		end := first + part
		err := ctx.Err()
		if err == nil {
			err = c.upsertPart(points[first:end], payloads[first:end], entries[first:end], rows[first*s.stride:end*s.stride], s)
		}
		if err != nil {
			return fmt.Errorf("collection %q: %d of %d points stored: %w", c.name, first, len(points), err)
		}
		first = end
	}
	return nil
}

func (c *Collection) upsertPart(points []Point, payloads [][]byte, entries [][]entry, rows []float32, s space) error {
	if c.dropped.Load() {
		return ErrNotFound
	}
	number := c.record.Number
	fresh := map[string]bool{} // ids that are not stored yet
	garbage := 0
	ids, vectors, tags := make([]string, len(points)), make([][]float32, len(points)), make([]tag, len(points))
	for i := range points {
		ids[i] = points[i].ID
	}
	known := c.aside.among(ids) // from now on
	err := c.store.update(func(txn *badger.Txn) error {
		if err := c.deleteAside(txn, known); err != nil {
			return err
		}
		for i := range points {
			p := &points[i]
			vectors[i], tags[i].seq = rows[i*s.stride:i*s.stride+s.dim], c.sequence+uint64(i)+1
			if !c.engine.has(p.ID) {
				fresh[p.ID] = true
			}
			key, rawKey := pointKey(recordPoint, number, p.ID), pointKey(recordRaw, number, p.ID)
			if len(p.Raw) > 0 {
				if err := txn.Set(rawKey, seal(append(newRecord(kindRaw, len(p.Raw)), p.Raw...), p.ID)); err != nil {
					return err
				}
				if len(p.Raw) > inlineSize && !fresh[p.ID] {
					garbage += len(p.Raw) // about as much as it replaces
				}
			} else if n, err := c.deleteRaw(txn, key, rawKey, p.ID); err != nil {
				return err
			} else {
				garbage += n
			}
			if err := txn.Set(key, encodePoint(p, payloads[i], vectors[i], tags[i].seq)); err != nil {
				return err
			}
		}
		return c.setSequence(txn, c.sequence+uint64(len(points)), c.engine.Len()+len(fresh))
	})
	if err != nil {
		return err
	}
	c.aside.drop(known)
	c.store.litter(garbage)
	c.sequence += uint64(len(points))
	for id := range fresh {
		c.idBytes += len(id)
	}
	for i, ord := range c.catalogue.put(ids, entries) {
		tags[i].ordinal = ord
	}
	return c.engine.put(ids, vectors, tags)
}

// deleteRaw deletes the raw input of a point that is in the store, if it has one, and returns how much of the value log that
// makes garbage.
func (c *Collection) deleteRaw(txn *badger.Txn, key, rawKey []byte, id string) (garbage int, err error) {
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var old pointRecord
	err = item.Value(func(b []byte) error {
		old, err = decodePoint(b, id, c.record.Config.Dimension)
		return err
	})
	if err == nil && !old.hasRaw {
		return 0, nil
	}
	if raw, err := txn.Get(rawKey); err == nil {
		garbage = large(raw)
	}
	// A record that cannot be read is about to go: what may belong to it goes too.
	return garbage, txn.Delete(rawKey)
}

// large is the size of a value in the value log, 0 of one that is not there.
func large(item *badger.Item) int {
	if n := int(item.ValueSize()); n > inlineSize {
		return n
	}
	return 0
}

// setSequence stores the number of the last write and of the points after it.
func (c *Collection) setSequence(txn *badger.Txn, n uint64, points int) error {
	return txn.Set(sequenceRecord(c.record.Number, n, points))
}

func sequenceRecord(number uint32, n uint64, points int) (key, record []byte) {
	key = numberKey(recordSequence, number)
	content := binary.LittleEndian.AppendUint64(newRecord(kindSequence, 16), n)
	return key, seal(binary.LittleEndian.AppendUint64(content, uint64(points)), string(key))
}

// Delete removes points, known ones and those that are kept aside; ids that do not exist are ignored. When it returns nil the points are gone from the disk and from
// searches. Up to MaxAtomicPoints ids are deleted all or none, more in parts like those of Upsert.
func (c *Collection) Delete(ctx context.Context, ids []string) error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.store.gate.leave()
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.drifted()
	defer c.changed()
	return c.deleteParts(ctx, ids)
}

// DeleteWhere removes the points that pass a filter, in parts like those of Delete. A filter that lets all points pass is
// refused with ErrInvalid.
func (c *Collection) DeleteWhere(ctx context.Context, f *Filter) error {
	if f.isZero() {
		return fmt.Errorf("a filter without conditions: %w: it would delete every point, use Store.Drop for that", ErrInvalid)
	}
	if err := f.Validate(); err != nil {
		return err
	}
	if err := c.enter(); err != nil {
		return err
	}
	defer c.store.gate.leave()
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.drifted()
	defer c.changed()
	ids, err := c.matches(f)
	if err != nil {
		return fmt.Errorf("collection %q: %w", c.name, err)
	}
	return c.deleteParts(ctx, ids)
}

// matches returns the ids of the points that pass a filter.
func (c *Collection) matches(f *Filter) ([]string, error) {
	if err := c.fillCatalogue(); err != nil {
		return nil, err
	}
	c.catalogue.mu.RLock()
	defer c.catalogue.mu.RUnlock()
	s, err := c.catalogue.choose(f, c.entries)
	if err != nil {
		return nil, err
	}
	defer c.catalogue.drop(s.bitmap)
	ids := make([]string, 0, s.count)
	s.each(func(ord uint32) { ids = append(ids, s.ids[ord]) })
	return ids, nil
}

// deleteParts deletes ids. The caller holds mu.
func (c *Collection) deleteParts(ctx context.Context, ids []string) error {
	for first := 0; first < len(ids); first += MaxAtomicPoints {
		err := ctx.Err()
		if err == nil {
			err = c.deletePart(ids[first:min(first+MaxAtomicPoints, len(ids))])
		}
		if err != nil {
			return fmt.Errorf("collection %q: %d of %d ids deleted: %w", c.name, first, len(ids), err)
		}
	}
	return nil
}

func (c *Collection) deletePart(ids []string) error { return c.removePart(ids, nil) }

// deleteAside deletes points that are kept aside.
func (c *Collection) deleteAside(txn *badger.Txn, ids []string) error {
	for _, id := range ids {
		if err := txn.Delete(pointKey(recordAside, c.record.Number, id)); err != nil {
			return err
		}
	}
	return nil
}

// removePart deletes points by their ids, known ones and those kept aside, and writes what else belongs to it.
func (c *Collection) removePart(ids []string, also func(txn *badger.Txn) error) error {
	if c.dropped.Load() {
		return ErrNotFound
	}
	if err := c.fillCatalogue(); err != nil {
		return err
	}
	var gone []string
	garbage := 0
	seen := map[string]bool{}
	asideGone := c.aside.among(ids)
	wrote := false
	err := c.store.update(func(txn *badger.Txn) error {
		for _, id := range ids {
			if seen[id] || !c.engine.has(id) {
				continue
			}
			seen[id] = true
			gone = append(gone, id)
			key, rawKey := pointKey(recordPoint, c.record.Number, id), pointKey(recordRaw, c.record.Number, id)
			n, err := c.deleteRaw(txn, key, rawKey, id)
			if err != nil {
				return err
			}
			garbage += n
			if err := txn.Delete(key); err != nil {
				return err
			}
		}
		if err := c.deleteAside(txn, asideGone); err != nil {
			return err
		}
		if wrote = len(gone)+len(asideGone) > 0 || also != nil; !wrote {
			return nil
		}
		if also != nil {
			if err := also(txn); err != nil {
				return err
			}
		}
		return c.setSequence(txn, c.sequence+1, c.engine.Len()-len(gone))
	})
	if err != nil || !wrote {
		return err
	}
	c.aside.drop(asideGone)
	c.store.litter(garbage)
	c.sequence++
	if len(gone) == 0 {
		return nil
	}
	// The catalogue last: it gives ordinals to others, which searches of the engine must not meet before.
	err = c.engine.Delete(gone)
	c.catalogue.delete(gone)
	for _, id := range gone {
		c.idBytes -= len(id)
	}
	if err == nil {
		err = c.countMemory() // never more than before
	}
	return err
}
