package index

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/dgraph-io/badger/v4"
)

// Fields says which parts of points Look reads: a sum of the constants below.
type Fields uint8

const (
	FieldLabel Fields = 1 << iota
	FieldVector
	FieldPayload
	FieldRaw
)

// Record is a point as it is stored, in those parts that Look was asked for.
type Record struct {
	ID      string // "" where there is no such point
	Label   string
	Vector  []float32
	Payload json.RawMessage // a JSON object, nil for none
	Raw     []byte
}

// Look reads parts of points, a record for each of the ids. It is what a search wants for its hits: Get decodes payloads and
// reads raw inputs as well, which takes several times as long. A point that does not exist, because it was deleted since the
// search perhaps, gives a Record without an ID.
func (c *Collection) Look(what Fields, ids ...string) ([]Record, error) {
	if err := c.enter(); err != nil {
		return nil, err
	}
	defer c.store.gate.leave()
	return c.look(what, ids...)
}

// look is Look for callers inside the gate.
func (c *Collection) look(what Fields, ids ...string) ([]Record, error) {
	records := make([]Record, len(ids))
	err := c.store.view(func(txn *badger.Txn) error {
		var key []byte
		for i, id := range ids {
			key = append(appendNumber(key[:0], recordPoint, c.record.Number), id...)
			item, err := txn.Get(key)
			if errors.Is(err, badger.ErrKeyNotFound) {
				continue
			}
			if err == nil {
				err = c.lookAt(txn, item, what, id, &records[i])
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
	return records, nil
}

func (c *Collection) lookAt(txn *badger.Txn, item *badger.Item, what Fields, id string, out *Record) error {
	hasRaw, bare := false, false
	err := item.Value(func(b []byte) error {
		p, err := decodePoint(b, id, c.record.Config.Dimension)
		if err != nil {
			return err
		}
		out.ID, hasRaw, bare = id, p.hasRaw, p.bareRaw
		if what&FieldLabel != 0 {
			out.Label = string(p.label)
		}
		if what&FieldVector != 0 {
			out.Vector = p.vector(make([]float32, c.record.Config.Dimension))
		}
		if what&FieldPayload != 0 && len(p.payload) > 0 {
			out.Payload = slices.Clone(p.payload) // b is badger's
		}
		return nil
	})
	if err != nil || what&FieldRaw == 0 || !hasRaw {
		return err
	}
	out.Raw, err = c.readRaw(txn, id, bare)
	return err
}

// readRaw returns the raw input of a point that has one.
func (c *Collection) readRaw(txn *badger.Txn, id string, bare bool) ([]byte, error) {
	wrong := func(err error) error { return fmt.Errorf("point %q: raw input: %w: %w", id, ErrCorrupt, err) }
	item, err := txn.Get(pointKey(recordRaw, c.record.Number, id))
	if err != nil {
		return nil, wrong(err)
	}
	// Where the value log is damaged badger gives nothing, and no error.
	b, err := item.ValueCopy(nil)
	if err != nil || bare {
		return b, err
	}
	if b, err = unseal(b, kindRaw, id); err != nil {
		return nil, wrong(err)
	}
	return b, nil
}
