package index

import (
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
func openBadger(dir string, o badger.Options) (*badger.DB, error) {
	db, err := badger.Open(o)
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
