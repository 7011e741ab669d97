package index

import (
	"context"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// garbageLimit is how many bytes of large raw inputs may be replaced or deleted before the store compacts by itself.
const garbageLimit = 256 << 20

// Compact gives space back that deleted and replaced raw inputs take on disk. The store does it by itself after garbageLimit
// bytes of them; small values, vectors among them, come back as badger compacts its tree, and snapshots at once. Writes wait
// while badger writes out what it has in memory, for some tenths of a second; all else goes on.
//
// badger knows what is garbage in its value log from compactions of the tree, and these begin when much has been written to the
// tree, where a large value is only a pointer. So the tree is written out and compacted first.
func (s *Store) Compact(ctx context.Context) error {
	if err := s.gate.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	return s.compact(ctx)
}

// compact is Compact for callers inside the gate.
func (s *Store) compact(ctx context.Context) error {
	garbage := s.garbage.Load()
	for _, step := range []func() error{s.flush, func() error { return s.db.Flatten(1) }, s.reclaim} {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := step(); err != nil {
			return fmt.Errorf("compacting: %w", err)
		}
	}
	s.garbage.Add(-garbage)
	return nil
}

// flush makes badger write its memory tables to the tree. It has no call for that, but dropping a prefix that is there does it.
func (s *Store) flush() error {
	if err := s.update(func(txn *badger.Txn) error { return txn.Set([]byte(keyFlush), nil) }); err != nil {
		return err
	}
	s.writing.Lock() // badger refuses writes meanwhile
	defer s.writing.Unlock()
	return s.db.DropPrefix([]byte(keyFlush))
}

// reclaim rewrites files of the value log that are half garbage, until none is.
func (s *Store) reclaim() error {
	s.writing.RLock()
	defer s.writing.RUnlock()
	for {
		switch err := s.db.RunValueLogGC(0.5); {
		case errors.Is(err, badger.ErrNoRewrite) || errors.Is(err, badger.ErrRejected): // nothing to do, or another call does it
			return nil
		case err != nil:
			return fmt.Errorf("reclaiming space: %w", err)
		}
	}
}

// litter counts bytes of raw inputs that are garbage now, and compacts in the background when they are many.
func (s *Store) litter(bytes int) {
	if bytes == 0 || s.garbage.Add(int64(bytes)) < garbageLimit {
		return
	}
	s.compacting.start(&s.gate, func(ctx context.Context) {
		if err := s.compact(ctx); err != nil && ctx.Err() == nil {
			s.opt.Logger.Error("space is not given back", "error", err)
		}
	})
}
