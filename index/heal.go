package index

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dgraph-io/badger/v4"
)

// openBadger opens the database and mends what a kill at a bad moment does to it.
//
// badger makes a log by creating an empty file and then giving it its size. Killed in between, it finds the empty file at the
// next start and takes it for an error (v4.9.6: "Create a new file"): once with a .mem file, which that start gives its size,
// for ever with a .vlog file. An empty file holds nothing: it is deleted.
func openBadger(dir string, o badger.Options) (db *badger.DB, err error) {
	defer guardReads(&err)
	// Files that another process has open change while they are read: badger.Open says who has the lock.
	if unlock, err := lockDir(dir); err == nil {
		err = checkFiles(dir, false)
		unlock()
		if err != nil {
			return nil, err
		}
	}
	db, err = badger.Open(o)
	if errors.Is(err, badger.ErrEncryptionKeyMismatch) { // akin does not encrypt: the registry of keys says nothing
		o.Logger.Warningf("the registry of keys is damaged; making it anew")
		if err := os.Remove(filepath.Join(dir, badger.KeyRegistryFileName)); err != nil {
			return nil, err
		}
		db, err = badger.Open(o)
	}
	if err == nil || !strings.Contains(err.Error(), "Create a new file") {
		return db, err
	}
	removed, healErr := removeEmptyLogs(dir)
	if healErr != nil {
		return nil, fmt.Errorf("%w (the last process was killed while it made a log file; deleting the empty one: %w)", err, healErr)
	}
	o.Logger.Warningf("opening again: a killed process left an empty log file; deleted %q", removed)
	return badger.Open(o)
}

// guardReads makes an error of a panic in badger: it trusts the bytes of a block. It is deferred where badger reads.
func guardReads(err *error) {
	if p := recover(); p != nil {
		if p, ok := p.(callersPanic); ok {
			panic(p.value)
		}
		*err = fmt.Errorf("reading failed (%v): %w: akin verify says what is damaged", p, ErrCorrupt)
	}
}

// callersPanic is a panic of a function that a caller of this package gave, which goes back to the caller.
type callersPanic struct{ value any }

// view runs a reading transaction.
func (s *Store) view(f func(txn *badger.Txn) error) (err error) {
	defer guardReads(&err)
	return s.db.View(f)
}

// update runs a writing transaction.
func (s *Store) update(f func(txn *badger.Txn) error) (err error) {
	defer guardReads(&err)
	s.writing.RLock()
	defer s.writing.RUnlock()
	return s.db.Update(f)
}

// removeEmptyLogs deletes empty logs under the lock that badger takes too: in the hands of a living process an empty log is
// one that is about to be written.
func removeEmptyLogs(dir string) (removed []string, err error) {
	unlock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); ext != ".vlog" && ext != ".mem" {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return removed, err
		}
		if info.Size() > 0 {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return removed, err
		}
		removed = append(removed, e.Name())
	}
	return removed, nil
}
