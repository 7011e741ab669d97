package index

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// Config says what a collection holds. It is fixed by Create and kept as JSON.
type Config struct {
	Dimension      int    `json:"dimension"`
	Metric         Metric `json:"metric"`
	Engine         Engine `json:"engine"`
	ModelID        string `json:"model_id"` // of the encoder whose vectors these are; "" for none
	M              int    `json:"m"`
	EfConstruction int    `json:"ef_construction"`
	Seed           uint64 `json:"seed"`
	// Quantization of EngineGraph; absent, as in collections of before, it is float32. Create writes down what auto picks.
	Quantization Quantization `json:"quantization,omitempty"`
}

// StoreOptions tunes Open; zero means the default.
type StoreOptions struct {
	Threads int          // workers for building graphs, default GOMAXPROCS
	Logger  *slog.Logger // rebuilds and repairs are told here; nil discards
	// ShadowRate is the share of the searches, in [0, 1], that are answered exactly, too, in the background, so that
	// Collection.Recall knows how much they find. 0, the default, is none.
	ShadowRate float64
	// MaxMemory bounds the memory of all collections, in bytes: vectors, links, codes, ids, and what filters are answered
	// from. A write that would exceed it is ErrFull before anything is stored, a store that exceeds it is not opened. While
	// arenas grow, up to two thirds come on top for a moment; badger takes up to 200 MiB besides. 0 means no limit.
	MaxMemory int64
	// DriftTime is how many verdicts pass on average, at least, between two false drift alarms (Collection.Watch), 100 or more;
	// default DefaultDriftTime. A longer time takes longer to notice a true drift.
	DriftTime float64
}

// Store is a directory of collections: one badger database, open in one process at a time. All methods are safe for
// concurrent use.
type Store struct {
	dir  string
	db   *badger.DB
	opt  StoreOptions
	gate gate

	budget budget

	writing sync.RWMutex // held shared by writes to badger
	garbage atomic.Int64 // bytes of large raw inputs that have gone since the last compact

	mu          sync.Mutex // creating, dropping, looking up
	collections map[string]*Collection

	measuring *background // of curves
	shadowing *background // searches that are asked exactly, too

	compacting *background
	fitting    *background // detectors, after their points
	watching   *background // storing what is known of verdicts
	fits       sync.Mutex  // held by the one that fits
}

const (
	storeFormat = "akin store"
	// Values up to inlineSize lie in badger's tree, larger ones in its value log: vectors of MaxDimension are inline.
	inlineSize = 64 << 10
	// valueLogFile is the size at which badger starts another file: space comes back by the file.
	valueLogFile = 64 << 20
	// memTable is what badger keeps in memory before it writes a table. A transaction is at most 15 % of it, which
	// MaxAtomicBytes has to respect.
	memTable = 32 << 20
)

var validName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Open opens the store in dir and makes it if there is none. All collections are loaded: from their snapshots where these
// are sound, else from their points. ErrLocked: it is open elsewhere. ErrFormat: another program or a newer akin wrote it.
func Open(dir string, o StoreOptions) (*Store, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Threads < 0 || o.Threads > MaxThreads {
		return nil, fmt.Errorf("threads %d: %w: use 1 to %d, or 0 for one a core", o.Threads, ErrInvalid, MaxThreads)
	}
	if !(o.ShadowRate >= 0 && o.ShadowRate <= 1) {
		return nil, fmt.Errorf("shadow rate %v: %w: use 0 (none) to 1 (every search), 0.001 for example", o.ShadowRate, ErrInvalid)
	}
	if o.DriftTime == 0 {
		o.DriftTime = DefaultDriftTime
	}
	if !(o.DriftTime >= 100 && o.DriftTime <= 1e12) {
		return nil, fmt.Errorf("drift time %v: %w: use 100 to 1e12 verdicts, %d for example", o.DriftTime, ErrInvalid, DefaultDriftTime)
	}
	if o.MaxMemory < 0 {
		return nil, fmt.Errorf("memory limit %d: %w: use a number of bytes, or 0 for none", o.MaxMemory, ErrInvalid)
	}
	db, err := openBadger(dir, badgerOptions(dir, o.Logger))
	if err != nil {
		if strings.Contains(err.Error(), "directory lock") { // badger has no sentinel for it
			return nil, fmt.Errorf("store %q: %w: another process has it open, or another Store of this one: close that or use another directory", dir, ErrLocked)
		}
		return nil, fmt.Errorf("store %q: %w", dir, err)
	}
	s := &Store{dir: dir, db: db, opt: o, collections: map[string]*Collection{}, measuring: newBackground(1), shadowing: newBackground(shadowWorkers),
		compacting: newBackground(1), fitting: newBackground(fitWaiting), watching: newBackground(fitWaiting),
		budget: budget{limit: o.MaxMemory, used: map[*Collection]int64{}}}
	if err := s.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("store %q: %w", dir, err), db.Close())
	}
	for _, c := range s.collections {
		if c.Stale() { // what came before could not follow its last writes
			c.follow()
		}
	}
	return s, nil
}

func badgerOptions(dir string, log *slog.Logger) badger.Options {
	return badger.DefaultOptions(dir).
		WithSyncWrites(true). // an acknowledged write survives a power cut too
		WithDetectConflicts(false).
		WithCompression(options.None).WithBlockCacheSize(0). // vectors do not compress
		WithValueThreshold(inlineSize).WithValueLogFileSize(valueLogFile).
		WithMemTableSize(memTable).WithVerifyValueChecksum(true).
		WithNumCompactors(2).WithMetricsEnabled(false).
		WithLogger(badgerLog{log})
}

func (s *Store) load() error {
	if err := s.checkFormat(); err != nil {
		return err
	}
	if err := s.sweepDropped(); err != nil {
		return err
	}
	generations := map[uint32]uint64{}
	err := s.view(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{prefixConfig}})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			key := it.Item().KeyCopy(nil)
			content, err := getSealed(txn, key, kindConfig)
			if err != nil {
				return err
			}
			c := &Collection{store: s, name: string(key[1:]), catalogue: newCatalogue()}
			if err := json.Unmarshal(content, &c.record); err != nil {
				return fmt.Errorf("collection %q: %w: %w", c.name, ErrCorrupt, err)
			}
			if err := c.load(txn); err != nil {
				return fmt.Errorf("collection %q: %w", c.name, err)
			}
			c.drifted()
			if err := c.countMemory(); err != nil {
				return err
			}
			s.collections[c.name] = c
			generations[c.record.Number] = c.saved.Generation
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.removeSnapshots(func(number uint32, generation uint64) bool { return generation != generations[number] })
}

// checkFormat accepts an empty database and one of this format.
func (s *Store) checkFormat() error {
	return s.update(func(txn *badger.Txn) error {
		content, err := getSealed(txn, []byte(keyFormat), kindStore)
		switch {
		case err != nil:
			return err
		case content != nil && string(content) != storeFormat:
			return fmt.Errorf("its format is %q: %w: want %q", content, ErrFormat, storeFormat)
		case content != nil:
			return nil
		}
		it := txn.NewIterator(badger.IteratorOptions{})
		defer it.Close()
		if it.Rewind(); it.Valid() {
			return fmt.Errorf("it holds the data of another program: %w: use another directory", ErrFormat)
		}
		return txn.Set([]byte(keyFormat), seal(append(newRecord(kindStore, len(storeFormat)), storeFormat...), keyFormat))
	})
}

// Create makes an empty collection. ErrExists: there is one of that name.
func (s *Store) Create(name string, c Config) (*Collection, error) {
	if !validName.MatchString(name) {
		return nil, fmt.Errorf("collection name %q: %w: use 1 to 64 of A-Z a-z 0-9 _ -", name, ErrInvalid)
	}
	o := c.options(s.opt.Threads)
	o.SetDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if len(c.ModelID) > MaxLabel {
		return nil, fmt.Errorf("model id of %d bytes: %w: use up to %d", len(c.ModelID), ErrInvalid, MaxLabel)
	}
	c.Engine, c.M, c.EfConstruction, c.Quantization = o.Engine, o.M, o.EfConstruction, o.Quantization
	if err := s.gate.enter(); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.collections[name] != nil {
		return nil, fmt.Errorf("collection %q: %w", name, ErrExists)
	}
	col := &Collection{store: s, name: name, record: collectionRecord{Config: c}, catalogue: newCatalogue()}
	var err error
	if col.engine, err = col.newEngine(o); err != nil {
		return nil, err
	}
	err = s.update(func(txn *badger.Txn) error {
		number, err := getSealed(txn, []byte(keyNext), kindSequence)
		if err != nil {
			return err
		}
		if number != nil {
			r := reader{b: number}
			col.record.Number = r.uint32()
		}
		next := binary.LittleEndian.AppendUint32(newRecord(kindSequence, 4), col.record.Number+1)
		if err := txn.Set([]byte(keyNext), seal(next, keyNext)); err != nil {
			return err
		}
		content, err := json.Marshal(col.record)
		if err != nil {
			return err
		}
		key := configKey(name)
		return txn.Set(key, seal(append(newRecord(kindConfig, len(content)), content...), string(key)))
	})
	if err != nil {
		return nil, fmt.Errorf("creating collection %q: %w", name, err)
	}
	col.filed.Store(true)
	s.collections[name] = col
	return col, nil
}

func configKey(name string) []byte { return append([]byte{prefixConfig}, name...) }

// Collection returns a collection by name. ErrNotFound names it.
func (s *Store) Collection(name string) (*Collection, error) {
	if err := s.gate.enter(); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.collections[name]; c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("collection %q: %w", name, ErrNotFound)
}

// Names returns the names of all collections, sorted.
func (s *Store) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.collections))
}

// Drop deletes a collection with all it holds. ErrNotFound names it.
func (s *Store) Drop(name string) error {
	if err := s.gate.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.collections[name]
	if c == nil {
		return fmt.Errorf("collection %q: %w", name, ErrNotFound)
	}
	c.snapshots.Lock()
	defer c.snapshots.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	// One transaction drops it for good; a crash after it leaves records that the next Open deletes.
	err := s.update(func(txn *badger.Txn) error {
		if err := txn.Set(numberKey(prefixDropped, c.record.Number), nil); err != nil {
			return err
		}
		return txn.Delete(configKey(name))
	})
	if err != nil {
		return fmt.Errorf("dropping collection %q: %w", name, err)
	}
	c.dropped.Store(true)
	delete(s.collections, name)
	s.budget.drop(c)
	if err := c.closeRows(); err != nil {
		return fmt.Errorf("dropping collection %q: %w", name, err)
	}
	if err := s.sweepDropped(); err != nil {
		return err
	}
	return s.removeSnapshots(func(number uint32, _ uint64) bool { return number == c.record.Number })
}

// sweepDropped deletes the records of dropped collections.
func (s *Store) sweepDropped() error {
	var numbers []uint32
	err := s.view(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{prefixDropped}})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			if key := it.Item().Key(); len(key) == 5 {
				numbers = append(numbers, binary.BigEndian.Uint32(key[1:]))
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("looking for dropped collections: %w", err)
	}
	for _, n := range numbers {
		for _, prefix := range recordsOfCollection {
			if err := s.deletePrefix(numberKey(prefix, n)); err != nil {
				return err
			}
		}
		if err := s.deletePrefix(numberKey(prefixDropped, n)); err != nil {
			return err
		}
	}
	return nil
}

// Close waits for running calls, writes the snapshots that are out of date and closes the store. Later calls give ErrClosed.
func (s *Store) Close() error {
	s.measuring.cancel()
	s.shadowing.cancel()
	s.compacting.cancel()
	s.fitting.cancel()
	s.watching.cancel()
	if !s.gate.close() {
		return nil
	}
	var errs []error
	for _, name := range s.Names() {
		c := s.collections[name]
		if err := c.storeWatch(); err != nil {
			errs = append(errs, fmt.Errorf("collection %q: %w", name, err))
		}
		if err := c.writeSnapshot(context.Background()); err != nil {
			errs = append(errs, fmt.Errorf("collection %q: %w", name, err))
		}
		if err := c.closeRows(); err != nil {
			errs = append(errs, fmt.Errorf("collection %q: %w", name, err))
		}
	}
	if err := s.db.Close(); err != nil {
		errs = append(errs, fmt.Errorf("closing the store: %w", err))
	}
	return errors.Join(errs...)
}

// gate lets calls in until it is closed; close waits for those inside.
type gate struct {
	mu     sync.Mutex
	calls  int
	closed bool
	empty  chan struct{}
}

func (g *gate) enter() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return ErrClosed
	}
	g.calls++
	return nil
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.calls--; g.calls == 0 && g.empty != nil {
		close(g.empty)
		g.empty = nil
	}
}

// close reports whether this call closed the gate.
func (g *gate) close() bool {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return false
	}
	g.closed = true
	var empty chan struct{}
	if g.calls > 0 {
		empty = make(chan struct{})
		g.empty = empty
	}
	g.mu.Unlock()
	if empty != nil {
		<-empty
	}
	return true
}

// badgerLog passes badger's warnings on; what it does all day is for debugging akin, what it does each write for badger's.
type badgerLog struct{ *slog.Logger }

func (l badgerLog) Errorf(f string, a ...any)   { l.Error("badger: " + text(f, a)) }
func (l badgerLog) Warningf(f string, a ...any) { l.Warn("badger: " + text(f, a)) }
func (l badgerLog) Infof(f string, a ...any)    { l.Debug("badger: " + text(f, a)) }
func (l badgerLog) Debugf(string, ...any)       {} // several lines a write

func text(f string, a []any) string { return strings.TrimSpace(fmt.Sprintf(f, a...)) }
