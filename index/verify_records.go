package index

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/dgraph-io/badger/v4"
)

// records checks every key of the database.
func (v *verifier) records(ctx context.Context, s *Store, txn *badger.Txn) error {
	numbers := map[uint32]bool{}
	it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{prefixConfig}})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		key := it.Item().KeyCopy(nil)
		c := &Collection{store: s, name: string(key[1:]), catalogue: newCatalogue()}
		content, err := getSealed(txn, key, kindConfig)
		if err == nil {
			err = json.Unmarshal(content, &c.record)
		}
		o := c.record.Config.options(v.opt.Threads)
		o.SetDefaults()
		if err == nil {
			err = o.Validate()
		}
		if err != nil {
			v.lose(Finding{Collection: c.name, What: fmt.Sprintf("its configuration cannot be read: %v", err)}, key)
			continue
		}
		numbers[c.record.Number] = true
		if err := v.collection(ctx, c, o, txn); err != nil {
			return fmt.Errorf("collection %q: %w", c.name, err)
		}
	}
	return v.strays(txn, numbers)
}

// lose notes damage that DropDamaged leaves out with some keys.
func (v *verifier) lose(f Finding, keys ...[]byte) {
	f.Mended, f.Mend = v.opt.DropDamaged, mendDrop
	if f.Mended {
		f.Mend = "left out"
	}
	for _, key := range keys {
		v.drop[string(key)] = true
	}
	v.found(f)
}

// strays finds keys that belong to no collection.
func (v *verifier) strays(txn *badger.Txn, numbers map[uint32]bool) error {
	it := txn.NewIterator(badger.IteratorOptions{})
	defer it.Close()
	n := 0
	for it.Rewind(); it.Valid(); it.Next() {
		key := it.Item().Key()
		switch {
		case string(key) == keyFormat || key[0] == prefixConfig:
		case string(key) == keyNext:
			if _, err := getSealed(txn, key, kindSequence); err != nil {
				v.found(Finding{What: fmt.Sprintf("the number of the next collection cannot be read: %v", err), Mend: mendBackup})
			}
		case len(key) >= 5 && slices.Contains(recordsOfCollection, key[0]) && key[0] != recordChunk && numbers[binary.BigEndian.Uint32(key[1:])]:
		default:
			v.sweep = append(v.sweep, it.Item().KeyCopy(nil))
			n++
		}
	}
	if n > 0 {
		v.found(Finding{What: fmt.Sprintf("%d records belong to no collection", n), Mended: true, Mend: "deleted"})
	}
	return nil
}

// collection checks what belongs to a collection.
func (v *verifier) collection(ctx context.Context, c *Collection, o Options, txn *badger.Txn) error {
	number := c.record.Number
	report := CollectionReport{Name: c.name}
	sequence, points, err := c.readSequence(txn)
	if err != nil {
		v.lose(Finding{Collection: c.name, What: fmt.Sprintf("the number of its last write cannot be read: %v", err)}, numberKey(recordSequence, number))
		sequence, points = math.MaxUint64, -1
	}
	c.sequence = sequence
	if err := c.loadDetector(txn); err != nil {
		v.lose(Finding{Collection: c.name, What: fmt.Sprintf("its detector cannot be read: %v", err)}, numberKey(recordDetector, number))
	}
	v.aside(c, txn)
	if _, err := getSealed(txn, numberKey(recordCurve, number), kindCurve); err != nil {
		v.remake(c, "its curve of recall cannot be read", err, recordCurve)
	}
	watched, err := getSealed(txn, numberKey(recordWatch, number), kindWatch)
	if err == nil && watched != nil {
		_, err = readWatch(watched)
	}
	if err != nil {
		v.sweep = append(v.sweep, numberKey(recordWatch, number))
		v.found(Finding{Collection: c.name, What: fmt.Sprintf("what is known of its verdicts cannot be read: %v", err), Mended: true, Mend: "deleted; counting begins anew"})
	}
	var g *graph
	if o.Engine == EngineGraph {
		if g, err = c.readSnapshot(txn, o); err != nil {
			v.remake(c, "its snapshot cannot be used", err, recordManifest)
			g = nil
		}
	}
	damaged := len(v.drop)
	matched := 0
	var differs error
	raws := map[string]bool{}
	err = v.points(ctx, c, txn, func(id string, p *pointRecord) {
		report.Points++
		if p.hasRaw {
			raws[id] = true
		}
		if p.seq > sequence && differs == nil {
			differs = fmt.Errorf("point %q is of write %d, after the last one %d", id, p.seq, sequence)
		}
		if g == nil || p.seq > c.saved.Sequence {
			return
		}
		if matched++; differs == nil {
			differs = g.agrees(id, p)
		}
	})
	if err != nil {
		return err
	}
	read := report.Points + len(v.drop) - damaged
	if points >= 0 && read != points {
		v.lose(Finding{Collection: c.name, What: fmt.Sprintf("%d point records are there, the last write left %d", read, points)}, numberKey(recordSequence, number))
	}
	if g != nil && differs == nil && c.saved.Sequence == sequence && matched != g.Len() && len(v.drop) == damaged {
		differs = fmt.Errorf("it has %d points, %d of them are stored", g.Len(), matched)
	}
	if g != nil && differs != nil {
		v.remake(c, "its snapshot is not of its points", differs, recordManifest)
	}
	if err := v.raws(ctx, c, txn, raws, &report); err != nil {
		return err
	}
	v.report.Collections = append(v.report.Collections, report)
	return nil
}

// aside checks the records of points that are kept aside.
func (v *verifier) aside(c *Collection, txn *badger.Txn) {
	it := txn.NewIterator(badger.IteratorOptions{Prefix: numberKey(recordAside, c.record.Number)})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		key := it.Item().KeyCopy(nil)
		err := it.Item().Value(func(b []byte) error {
			_, err := decodeAside(b, key, c.record.Config.Dimension)
			return err
		})
		if err != nil {
			v.lose(Finding{Collection: c.name, Point: string(key[5:]), What: err.Error()}, key)
		}
	}
}

// remake deletes what Open, or a search, makes again.
func (v *verifier) remake(c *Collection, what string, why error, prefix byte) {
	v.sweep = append(v.sweep, numberKey(prefix, c.record.Number))
	v.found(Finding{Collection: c.name, What: fmt.Sprintf("%s: %v", what, why), Mended: true, Mend: "deleted; it is made again of the points"})
}

// points checks all point records and calls use for the sound ones.
func (v *verifier) points(ctx context.Context, c *Collection, txn *badger.Txn, use func(id string, p *pointRecord)) error {
	prefix := numberKey(recordPoint, c.record.Number)
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		key := it.Item().KeyCopy(nil)
		id := string(key[len(prefix):])
		err := it.Item().Value(func(b []byte) error {
			p, err := decodePoint(b, id, c.record.Config.Dimension)
			if err != nil {
				return err
			}
			if _, err := p.entries(); err != nil {
				return err
			}
			for _, x := range p.vector(make([]float32, c.record.Config.Dimension)) {
				if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
					return fmt.Errorf("component %v: %w", x, ErrNotFinite)
				}
			}
			use(id, &p)
			return nil
		})
		if err != nil {
			v.lose(Finding{Collection: c.name, Point: id, What: fmt.Sprintf("its record cannot be read: %v", err)},
				key, pointKey(recordRaw, c.record.Number, id))
		}
	}
	return nil
}

// raws checks the raw inputs: those that points have, and those that belong to none.
func (v *verifier) raws(ctx context.Context, c *Collection, txn *badger.Txn, wanted map[string]bool, report *CollectionReport) error {
	prefix := numberKey(recordRaw, c.record.Number)
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	defer it.Close()
	strays := 0
	for it.Rewind(); it.Valid(); it.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		key := it.Item().KeyCopy(nil)
		if !wanted[string(key[len(prefix):])] && !v.drop[string(key)] {
			v.sweep = append(v.sweep, key)
			strays++
		}
	}
	if strays > 0 {
		v.found(Finding{Collection: c.name, What: fmt.Sprintf("%d raw inputs belong to no point", strays), Mended: true, Mend: "deleted"})
	}
	for id := range wanted {
		if err := ctx.Err(); err != nil {
			return err
		}
		records := make([]Record, 1)
		item, err := txn.Get(pointKey(recordPoint, c.record.Number, id))
		if err == nil {
			err = c.lookAt(txn, item, FieldRaw, id, &records[0])
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			v.lose(Finding{Collection: c.name, Point: id, What: err.Error()}, pointKey(recordRaw, c.record.Number, id))
			v.bare[string(pointKey(recordPoint, c.record.Number, id))] = true
			continue
		}
		report.Raws++
	}
	return nil
}

// agrees returns how a point of a restored graph differs from its record.
func (g *graph) agrees(id string, p *pointRecord) error {
	slot, ok := g.slotOf[id]
	switch row := p.vector(make([]float32, g.dim)); {
	case !ok:
		return fmt.Errorf("point %q is not in it", id)
	case g.find(slot, id).seq != p.seq:
		return fmt.Errorf("point %q is of write %d in it, and of write %d", id, g.find(slot, id).seq, p.seq)
	case !g.holds(slot, row):
		return fmt.Errorf("point %q has another vector in it", id)
	}
	return nil
}
