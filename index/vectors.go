package index

import (
	"context"

	"github.com/dgraph-io/badger/v4"
)

// A collection is the vectorReader of its graph.

// onDisk is where a graph of the collection has its vectors.
func (c *Collection) onDisk() *onDisk {
	return &onDisk{vectorReader: c, rows: &rowFile{
		dim:  c.record.Config.Dimension,
		path: c.store.rowsPath(c.record.Number),
		warn: func(err error) {
			c.store.opt.Logger.Warn("a vector stays in memory, it cannot be written to disk", "collection", c.name, "error", err)
		},
	}}
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

// closeRows closes the files with vectors that are not in memory.
func (c *Collection) closeRows() error {
	g, ok := c.engine.(*graph)
	if !ok || g.disk == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.disk.rows.close()
}
