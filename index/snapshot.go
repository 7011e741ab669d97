package index

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/dgraph-io/badger/v4"
)

// A snapshot is a file beside badger's with all that the graph needs to answer, and a manifest in badger that says which file is
// the current one. The manifest is written when the file is whole and on disk, so that a crash leaves the manifest before it and
// the file of that one. The points stay the truth: a file that is missing or damaged costs the time of a rebuild.
//
// It is a file and not a row of values because badger would write every byte four times, and keep old generations until it
// compacts; and because the graph is read where it has to lie, by all threads (docs/decisions/0008-durability.md).
type manifest struct {
	Generation uint64    `json:"generation"` // in the file's name; 0 means no snapshot
	Sequence   uint64    `json:"sequence"`   // the last write that the graph holds
	Body       int64     `json:"body"`       // bytes of the image
	Sum        uint32    `json:"sum"`        // CRC-32C of the sums of its blocks
	Image      imageHead `json:"image"`
}

// snapshotName matches names of snapshot files: NUMBER and GENERATION.
var snapshotName = regexp.MustCompile(`^snapshot-(\d{1,10})-(\d{1,20})\.graph$`)

func (s *Store) snapshotPath(number uint32, generation uint64) string {
	return filepath.Join(s.dir, fmt.Sprintf("snapshot-%d-%d.graph", number, generation))
}

// rowsPath is where the vectors of a collection lie that are in no snapshot and not in memory either (graph_rows.go).
func (s *Store) rowsPath(number uint32) string {
	return filepath.Join(s.dir, fmt.Sprintf("vectors-%d.rows", number))
}

// Snapshot stores the graph, so that the next Open need not build it again. Close does it too; call it after a large import, or
// now and then, to spare the next start after a crash. Writes wait while the graph is written, searches do not. It does nothing
// when no write came since the last one, and for engines other than EngineGraph.
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
	path := c.store.snapshotPath(c.record.Number, next.Generation)
	f, err := os.Create(path)
	if err != nil {
		c.mu.Unlock()
		return err
	}
	w := &sumWriter{ctx: ctx, w: f}
	next.Image, err = g.writeImage(w)
	c.mu.Unlock()

	if err == nil {
		next.Body = w.bytes
		next.Sum, err = w.finish()
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = syncDir(c.store.dir)
	}
	if err == nil {
		err = c.setManifest(next)
	}
	if err != nil {
		return errors.Join(err, os.Remove(path))
	}
	c.saved = next
	if err := g.rebase(path, next); err != nil {
		return err
	}
	if err := c.store.removeSnapshots(func(number uint32, generation uint64) bool {
		return number == c.record.Number && generation != next.Generation
	}); err != nil {
		return err
	}
	return c.store.reclaim()
}

// rebase reads the vectors that are not in memory from the snapshot at path.
func (g *graph) rebase(path string, m manifest) error {
	if g.disk == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	rows := g.disk.rows
	return rows.rebase(path, m.Body-int64(m.Image.Slots)*rows.size())
}

func (c *Collection) setManifest(m manifest) error {
	content, err := json.Marshal(m)
	if err != nil {
		return err
	}
	key := numberKey(recordManifest, c.record.Number)
	record := seal(append(newRecord(kindManifest, len(content)), content...), string(key))
	return c.store.update(func(txn *badger.Txn) error { return txn.Set(key, record) })
}

// removeSnapshots deletes the snapshot files that match: older ones, and those that a crash cut short.
func (s *Store) removeSnapshots(match func(number uint32, generation uint64) bool) error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := snapshotName.FindStringSubmatch(e.Name())
		if name == nil {
			continue
		}
		number, err := strconv.ParseUint(name[1], 10, 32)
		if err != nil {
			continue // not ours: Open would never read it
		}
		generation, err := strconv.ParseUint(name[2], 10, 64)
		if err != nil || !match(uint32(number), generation) {
			continue
		}
		if err := os.Remove(filepath.Join(s.dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// readSnapshot returns the graph of the current snapshot; nil when there is no snapshot.
func (c *Collection) readSnapshot(txn *badger.Txn, o Options) (*graph, error) {
	content, err := getSealed(txn, numberKey(recordManifest, c.record.Number), kindManifest)
	if content == nil {
		return nil, err
	}
	var m manifest
	d := json.NewDecoder(bytes.NewReader(content))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return nil, fmt.Errorf("manifest: %w: %w", ErrCorrupt, err)
	}
	// A new snapshot gets another generation, whatever becomes of this one.
	c.saved.Generation = m.Generation
	if m.Sequence > c.sequence {
		return nil, fmt.Errorf("snapshot of write %d, the last write is %d: %w", m.Sequence, c.sequence, ErrCorrupt)
	}
	if err := c.wouldFit(o, m.Image.Slots, m.Image.Points, m.Image.IDs+m.Image.Twins); err != nil {
		return nil, err
	}
	f, err := os.Open(c.store.snapshotPath(c.record.Number, m.Generation))
	if err != nil {
		return nil, err
	}
	defer f.Close() // nothing was written
	r, err := newSumReader(f, m.Body, m.Sum, o.Threads)
	if err != nil {
		return nil, err
	}
	g, err := readImage(context.Background(), m.Image, r, o, c.onDisk())
	if err == nil {
		err = g.rebase(f.Name(), m)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(f.Name()), err)
	}
	c.saved = m
	return g, nil
}
