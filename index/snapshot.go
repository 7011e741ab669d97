package index

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// chunkSize is what a snapshot is cut into, in bytes. With its seal and its key a chunk stays below inlineSize: badger's tree
// drops old generations as it compacts, its value log would keep them for long.
const chunkSize = 60 << 10

// chunksPerTxn chunks fit into one transaction.
const chunksPerTxn = 32

// manifest says which snapshot of the graph is the current one. It is written after all chunks, so that a crash leaves the
// manifest before it, and the chunks of that one.
type manifest struct {
	Generation uint64 `json:"generation"` // of the chunks' keys; 0 means no snapshot
	Sequence   uint64 `json:"sequence"`   // the last write that the graph holds
	Chunks     int    `json:"chunks"`
	Bytes      int    `json:"bytes"`
}

// Snapshot stores the links of the graph, so that the next Open need not build them again. Close does it too; call it after a
// large import, or now and then, to spare the next start after a crash. Writes wait while the graph is copied, searches do
// not. It does nothing when no write came since the last one, and for engines other than EngineGraph.
func (c *Collection) Snapshot(ctx context.Context) error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.store.gate.leave()
	if err := c.writeSnapshot(ctx); err != nil {
		return fmt.Errorf("collection %q: snapshot: %w", c.name, err)
	}
	return nil
}

func (c *Collection) writeSnapshot(ctx context.Context) error {
	g, ok := c.engine.(*graph)
	if !ok {
		return nil
	}
	c.snapshots.Lock()
	defer c.snapshots.Unlock()
	c.mu.Lock()
	next := manifest{Generation: c.saved.Generation + 1, Sequence: c.sequence}
	if c.dropped.Load() || next.Sequence == c.saved.Sequence {
		c.mu.Unlock()
		return nil
	}
	image := g.image(c.imageOwner())
	c.mu.Unlock()

	next.Bytes = len(image)
	for len(image) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := c.store.db.Update(func(txn *badger.Txn) error {
			for i := 0; i < chunksPerTxn && len(image) > 0; i++ {
				n := min(len(image), chunkSize)
				key := chunkKey(c.record.Number, next.Generation, next.Chunks)
				if err := txn.Set(key, seal(append(newRecord(kindChunk, n), image[:n]...), string(key))); err != nil {
					return err
				}
				image = image[n:]
				next.Chunks++
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	content, err := json.Marshal(next)
	if err != nil {
		return err
	}
	key := numberKey(recordManifest, c.record.Number)
	record := seal(append(newRecord(kindManifest, len(content)), content...), string(key))
	if err := c.store.db.Update(func(txn *badger.Txn) error { return txn.Set(key, record) }); err != nil {
		return err
	}
	c.saved = next
	if err := c.deleteChunks(); err != nil {
		return err
	}
	return c.store.reclaim()
}

// imageOwner ties an image to its collection.
func (c *Collection) imageOwner() string { return string(numberKey(recordChunk, c.record.Number)) }

// deleteChunks deletes the chunks of all snapshots but the current one: older ones, and those that a crash cut short.
func (c *Collection) deleteChunks() error {
	current := binary.BigEndian.AppendUint64(numberKey(recordChunk, c.record.Number), c.saved.Generation)
	return deletePrefix(c.store.db, numberKey(recordChunk, c.record.Number), func(key []byte) bool {
		return bytes.HasPrefix(key, current)
	})
}

// readSnapshot returns the graph of the current snapshot, without its points; nil when there is no snapshot.
func (c *Collection) readSnapshot(txn *badger.Txn, o Options) (*restorer, error) {
	content, err := getSealed(txn, numberKey(recordManifest, c.record.Number), kindManifest)
	if content == nil {
		return nil, err
	}
	var m manifest
	if err := json.Unmarshal(content, &m); err != nil {
		return nil, fmt.Errorf("manifest: %w: %w", ErrCorrupt, err)
	}
	// A new snapshot gets another generation, whatever becomes of this one.
	c.saved.Generation = m.Generation
	var image []byte
	for i := range m.Chunks {
		part, err := getSealed(txn, chunkKey(c.record.Number, m.Generation, i), kindChunk)
		if err != nil {
			return nil, err
		}
		if part == nil {
			return nil, fmt.Errorf("chunk %d of %d is missing: %w", i, m.Chunks, ErrCorrupt)
		}
		image = append(image, part...)
	}
	if len(image) != m.Bytes {
		return nil, fmt.Errorf("image of %d bytes, want %d: %w", len(image), m.Bytes, ErrCorrupt)
	}
	r, err := readImage(image, c.imageOwner(), o)
	if err == nil {
		c.saved = m
	}
	return r, err
}
