package index

import (
	"context"
	"errors"

	"github.com/dgraph-io/badger/v4"
)

// A collection is the vectorReader of its graph.

func (c *Collection) readVectors(ctx context.Context, members []member, row []float32, use func(i int, seq uint64) bool) error {
	return c.store.db.View(func(txn *badger.Txn) error {
		var key []byte
		for i, m := range members {
			if err := ctx.Err(); err != nil {
				return err
			}
			key = append(appendNumber(key[:0], recordPoint, c.record.Number), m.id...)
			item, err := txn.Get(key)
			if errors.Is(err, badger.ErrKeyNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			more := true
			err = item.Value(func(b []byte) error {
				p, err := decodePoint(b, m.id, c.record.Config.Dimension)
				if err == nil {
					p.vector(row)
					more = use(i, p.seq)
				}
				return err
			})
			if err != nil || !more {
				return err
			}
		}
		return nil
	})
}

func (c *Collection) eachVector(ctx context.Context, row []float32, use func(id string) error) error {
	return c.store.db.View(func(txn *badger.Txn) error {
		return c.eachItem(txn, func(id string, item *badger.Item) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return item.Value(func(b []byte) error {
				p, err := decodePoint(b, id, c.record.Config.Dimension)
				if err != nil {
					return err
				}
				p.vector(row)
				return use(id)
			})
		})
	})
}
