package index

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/table"
)

// VerifyOptions tunes Verify.
type VerifyOptions struct {
	// DropDamaged gives up what cannot be read, and what was written after damage to a log: the rest is copied to a fresh store
	// in the directory's place, and the damaged one is kept beside it.
	DropDamaged bool
	Threads     int          // workers, default GOMAXPROCS
	Logger      *slog.Logger // what badger says; nil discards
}

// VerifyReport says what Verify looked at and what it found.
type VerifyReport struct {
	Collections []CollectionReport `json:"collections"`
	Findings    []Finding          `json:"findings"`
	// Kept is where the damaged store lies after DropDamaged.
	Kept string `json:"kept,omitempty"`
}

// Damaged counts the findings that were not mended.
func (r *VerifyReport) Damaged() int {
	n := 0
	for _, f := range r.Findings {
		if !f.Mended {
			n++
		}
	}
	return n
}

// CollectionReport is what was looked at in a collection.
type CollectionReport struct {
	Name   string `json:"name"`
	Points int    `json:"points"` // whose records are sound
	Raws   int    `json:"raws"`   // raw inputs that are
	// Of a graph: links that were followed, points whom no walk can reach, and how many of the sample searches found.
	Links       int `json:"links,omitempty"`
	Unreachable int `json:"unreachable,omitempty"`
	Sampled     int `json:"sampled,omitempty"`
	Found       int `json:"found,omitempty"`
}

// Finding is one thing that was not as it should be.
type Finding struct {
	Collection string `json:"collection,omitempty"`
	Point      string `json:"point,omitempty"`
	What       string `json:"what"`
	Mended     bool   `json:"mended"`
	Mend       string `json:"mend"` // what was done, or what can be
}

// Mends that a user has to choose.
const (
	mendDrop   = "akin verify --drop-damaged leaves it out, so that the rest opens; or restore a backup"
	mendBackup = "restore a backup"
)

// verifier is the state of one Verify.
type verifier struct {
	dir    string
	opt    VerifyOptions
	report VerifyReport
	drop   map[string]bool // keys that the copy of DropDamaged leaves out
	bare   map[string]bool // keys of points that lose their raw inputs there
	copied bool            // a copy is needed
	again  bool            // a graph has to be built anew
	sweep  [][]byte        // keys that belong to nothing
}

func (v *verifier) found(f Finding) { v.report.Findings = append(v.report.Findings, f) }

// Verify checks everything in the directory of a store that no process has open: badger's files, every record, raw input and
// snapshot, and that the graphs hold the points. What can be made again is mended: snapshots, curves of recall, and leftovers of
// a crash. Damage that cannot be mended is a finding; the error is about Verify itself. ErrLocked: the store is open.
func Verify(ctx context.Context, dir string, o VerifyOptions) (*VerifyReport, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	v := &verifier{dir: dir, opt: o, drop: map[string]bool{}, bare: map[string]bool{}, report: VerifyReport{Collections: []CollectionReport{}, Findings: []Finding{}}}
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("store %q: %w: %w", dir, ErrNotFound, err)
	}
	readable, err := v.files()
	if err == nil && readable {
		err = v.store(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("store %q: %w", dir, err)
	}
	if v.report.Damaged() > 0 {
		return &v.report, nil
	}
	if err := v.graphs(ctx); err != nil {
		return nil, err
	}
	return &v.report, nil
}

// files checks badger's files, and reports whether badger may see them.
func (v *verifier) files() (readable bool, err error) {
	unlock, err := lockDir(v.dir)
	if err != nil {
		return false, fmt.Errorf("%w: stop the process that has it open (%w)", ErrLocked, err)
	}
	defer unlock()
	for range 1 << 10 { // each round cuts off a damaged log
		err := checkFiles(v.dir, false)
		var f *fileError
		if err == nil || !errors.As(err, &f) {
			return err == nil, v.blocks(err)
		}
		if f.keep < 0 || !v.opt.DropDamaged {
			v.found(Finding{What: f.Error(), Mend: map[bool]string{true: mendDrop, false: mendBackup}[f.keep >= 0]})
			return false, nil
		}
		kept := f.path + ".damaged"
		content, err := os.ReadFile(f.path)
		if err == nil {
			err = os.WriteFile(kept, bytes.TrimRight(content, "\x00"), 0o600)
		}
		if err == nil {
			err = os.Truncate(f.path, f.keep)
		}
		if err != nil {
			return false, err
		}
		v.found(Finding{What: fmt.Sprintf("file %s %s", filepath.Base(f.path), f.what), Mended: true, Mend: "cut off there; the whole file is kept as " + filepath.Base(kept)})
	}
	return false, fmt.Errorf("%w: too many damaged files", ErrCorrupt)
}

// blocks checks every block of every table and every value log. A record in a damaged one is read all the same, and judged by its
// own checksum.
func (v *verifier) blocks(err error) error {
	if err != nil {
		return err
	}
	tables, err := checkManifest(v.dir)
	if err != nil {
		return err
	}
	logs, err := filepath.Glob(filepath.Join(v.dir, "*.vlog"))
	if err != nil {
		return err
	}
	checks := make([]func() error, 0, len(tables)+len(logs))
	for _, t := range tables {
		checks = append(checks, func() error { return checkTable(table.NewFilename(t.id, v.dir), t.plain, true) })
	}
	for _, path := range logs {
		checks = append(checks, func() error { return checkLog(path, true) })
	}
	for _, check := range checks {
		err := check()
		var f *fileError
		if errors.As(err, &f) {
			v.copied = true
			v.found(Finding{What: fmt.Sprintf("file %s %s", filepath.Base(f.path), f.what), Mended: v.opt.DropDamaged,
				Mend: map[bool]string{true: "what could be read of it was copied", false: mendDrop}[v.opt.DropDamaged]})
		} else if err != nil {
			return err
		}
	}
	return nil
}

// store opens the database, checks its records and mends.
func (v *verifier) store(ctx context.Context) (err error) {
	db, err := openBadger(v.dir, badgerOptions(v.dir, v.opt.Logger))
	if err != nil {
		return err
	}
	s := &Store{dir: v.dir, db: db, opt: StoreOptions{Threads: v.opt.Threads, Logger: v.opt.Logger}}
	defer func() {
		if s.db != nil {
			err = errors.Join(err, s.db.Close())
		}
	}()
	if err := s.checkFormat(); err != nil {
		return err
	}
	if err := v.dropped(s); err != nil {
		return err
	}
	if err := s.view(func(txn *badger.Txn) error { return v.records(ctx, s, txn) }); err != nil {
		return err
	}
	if err := v.removeKeys(s); err != nil {
		return err
	}
	if (len(v.drop) == 0 && !v.copied) || !v.opt.DropDamaged {
		return nil
	}
	return v.copyRest(s)
}

// dropped finishes collections that a crash left half dropped.
func (v *verifier) dropped(s *Store) error {
	n := 0
	err := s.view(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{prefixDropped}})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			n++
		}
		return nil
	})
	if err != nil || n == 0 {
		return err
	}
	if err := s.sweepDropped(); err != nil {
		return err
	}
	v.found(Finding{What: fmt.Sprintf("%d dropped collections still had records", n), Mended: true, Mend: "deleted"})
	return nil
}

// removeKeys deletes what belongs to nothing.
func (v *verifier) removeKeys(s *Store) error {
	if len(v.sweep) == 0 {
		return nil
	}
	batch := s.db.NewWriteBatch()
	defer batch.Cancel()
	for _, key := range v.sweep {
		if err := batch.Delete(key); err != nil {
			return err
		}
	}
	return batch.Flush()
}

// copyRest copies all but what is to be dropped to a fresh store in this one's place.
func (v *verifier) copyRest(s *Store) error {
	fresh := v.dir + ".mending"
	if err := os.RemoveAll(fresh); err != nil { // of a Verify that was killed
		return err
	}
	to, err := openBadger(fresh, badgerOptions(fresh, v.opt.Logger))
	if err != nil {
		return err
	}
	err = errors.Join(s.view(func(txn *badger.Txn) error { return v.copyKeys(s, txn, to) }), to.Close(), s.db.Close())
	s.db = nil
	if err != nil {
		return err
	}
	for i := 1; v.report.Kept == ""; i++ {
		kept := fmt.Sprintf("%s.damaged-%d", v.dir, i)
		if _, err := os.Stat(kept); errors.Is(err, fs.ErrNotExist) {
			v.report.Kept = kept
		}
	}
	if err := os.Rename(v.dir, v.report.Kept); err != nil {
		return err
	}
	if err := os.Rename(fresh, v.dir); err != nil {
		return err
	}
	return syncDir(filepath.Dir(v.dir))
}

// copyKeys copies the records that are kept. Snapshots are made again; the sequence records count what there is.
func (v *verifier) copyKeys(s *Store, txn *badger.Txn, to *badger.DB) error {
	batch := to.NewWriteBatch()
	defer batch.Cancel()
	points := map[uint32]uint64{}
	it := txn.NewIterator(badger.IteratorOptions{})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		key := it.Item().KeyCopy(nil)
		if v.drop[string(key)] || len(key) > 4 && slices.Contains([]byte{recordManifest, recordCurve, recordChunk, recordSequence}, key[0]) {
			continue
		}
		value, err := it.Item().ValueCopy(nil)
		if err != nil {
			return err
		}
		if v.bare[string(key)] {
			value[2] &^= flagRaw
			value = seal(value[:len(value)-4], string(key[5:]))
		}
		if err := batch.Set(key, value); err != nil {
			return err
		}
		if key[0] == recordPoint && len(key) > 5 {
			points[binary.BigEndian.Uint32(key[1:])]++
		}
	}
	for number, n := range points {
		c := &Collection{store: s, record: collectionRecord{Number: number}}
		sequence, _, err := c.readSequence(txn)
		if err != nil {
			sequence = 1 << 48 // above that of any point: no write is as new
		}
		key, record := sequenceRecord(number, sequence+1, int(n))
		if err := batch.Set(key, record); err != nil {
			return err
		}
	}
	return batch.Flush()
}
