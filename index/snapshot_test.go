package index

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"
)

// snapshotted makes a store with one collection and a current snapshot, closes it, and returns the points.
func snapshotted(t *testing.T, dir string, metric Metric) (c *Collection, model map[string]Point) {
	t.Helper()
	s, err := Open(dir, StoreOptions{})
	must(t, err)
	c, err = s.Create("c", Config{Dimension: 12, Metric: metric})
	must(t, err)
	model = map[string]Point{}
	var points []Point
	for i := range 900 {
		p := somePoint(i, 0, 12)
		p.Raw = nil
		if i%50 == 1 {
			p.Vector = points[0].Vector
		}
		points = append(points, p)
		model[p.ID] = p
	}
	must(t, c.Upsert(ctx, points))
	for _, p := range points[100:130] {
		must(t, c.Delete(ctx, []string{p.ID}))
		delete(model, p.ID)
	}
	must(t, s.Close())
	return c, model
}

// openWarned opens the store and returns its collection and what was logged as a warning.
func openWarned(t *testing.T, dir string) (*Store, *Collection, string) {
	t.Helper()
	var w warnings
	s, err := Open(dir, StoreOptions{Logger: w.logger()})
	must(t, err)
	return s, collectionOf(t, s, "c"), w.String()
}

func TestSnapshotRestoresTheGraph(t *testing.T) {
	for _, metric := range []Metric{Cosine, L2, Dot} {
		dir := t.TempDir()
		c, model := snapshotted(t, dir, metric)
		before := c.engine.(*graph)
		s, c, warned := openWarned(t, dir)
		after := c.engine.(*graph)
		if warned != "" || c.saved.Sequence != c.sequence {
			t.Errorf("snapshot of write %d, last write %d, warnings %q", c.saved.Sequence, c.sequence, warned)
		}
		// The radius of a Dot graph is that of its points, which may have become shorter.
		if metric != Dot && !slices.Equal(before.vectors, after.vectors) || !slices.EqualFunc(before.owner, after.owner, sameMember) ||
			before.entry != after.entry || before.draws != after.draws || before.lives != after.lives || before.hidden != after.hidden {
			t.Errorf("%v: the graph has changed", metric)
		}
		for i := range before.state {
			for layer := range before.level(uint32(i)) + 1 {
				a, b := before.list(uint32(i), layer), after.list(uint32(i), layer)
				if !slices.Equal(a[:1+a[0]], b[:1+b[0]]) {
					t.Fatalf("%v: slot %d layer %d: links %v became %v", metric, i, layer, a, b)
				}
			}
		}
		checkCollection(t, c, model)
		must(t, s.Close())
	}
}

// TestSnapshotBeforeTheLastWrites opens a store whose snapshot is older than its points, as after a crash.
func TestSnapshotBeforeTheLastWrites(t *testing.T) {
	dir := t.TempDir()
	_, model := snapshotted(t, dir, Cosine)
	s, c, _ := openWarned(t, dir)
	var later []Point
	for i := 850; i < 1000; i++ { // some new, some changed
		p := somePoint(i, 1, 12)
		later = append(later, p)
		model[p.ID] = p
	}
	must(t, c.Upsert(ctx, later))
	var gone []string
	for i := 200; i < 330; i++ {
		gone = append(gone, somePoint(i, 0, 12).ID)
		delete(model, gone[len(gone)-1])
	}
	must(t, c.Delete(ctx, gone))
	must(t, s.db.Close()) // no snapshot
	s, c, warned := openWarned(t, dir)
	if warned != "" || c.saved.Sequence == 0 || c.saved.Sequence == c.sequence {
		t.Errorf("snapshot of write %d, last write %d, warnings %q", c.saved.Sequence, c.sequence, warned)
	}
	checkCollection(t, c, model)
	must(t, s.Close())
	s, c, _ = openWarned(t, dir)
	if c.saved.Sequence != c.sequence {
		t.Error("Close wrote no snapshot")
	}
	checkCollection(t, c, model)
	must(t, s.Close())
}

// TestDamagedSnapshots damages snapshots in every way that leaves the points alone. All have to be noticed and mended.
func TestDamagedSnapshots(t *testing.T) {
	const seed = 11
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, seed))
	dir := t.TempDir()
	c, model := snapshotted(t, dir, Cosine)
	number := c.record.Number
	manifestKey := numberKey(recordManifest, number)
	change := func(key []byte, f func(record []byte) []byte) func(*badger.Txn) error {
		return func(txn *badger.Txn) error {
			item, err := txn.Get(key)
			if err != nil {
				return fmt.Errorf("key %q: %w", key, err)
			}
			record, err := item.ValueCopy(nil)
			if err != nil {
				return err
			}
			return txn.Set(key, f(record))
		}
	}
	flip := func(record []byte) []byte {
		record[r.IntN(len(record))] ^= 1 << r.IntN(8)
		return record
	}
	type damage struct {
		name string
		do   func(generation uint64) func(*badger.Txn) error
	}
	damages := []damage{
		{"chunk cut short", func(g uint64) func(*badger.Txn) error {
			return change(chunkKey(number, g, 0), func(b []byte) []byte { return b[:len(b)/2] })
		}},
		{"chunk empty", func(g uint64) func(*badger.Txn) error {
			return change(chunkKey(number, g, 0), func(b []byte) []byte { return nil })
		}},
		{"chunk missing", func(g uint64) func(*badger.Txn) error {
			return func(txn *badger.Txn) error { return txn.Delete(chunkKey(number, g, 1)) }
		}},
		{"chunks exchanged", func(g uint64) func(*badger.Txn) error {
			return func(txn *badger.Txn) error {
				var other []byte
				must(t, change(chunkKey(number, g, 1), func(b []byte) []byte { other = slices.Clone(b); return b })(txn))
				return change(chunkKey(number, g, 0), func([]byte) []byte { return other })(txn)
			}
		}},
		{"manifest empty", func(uint64) func(*badger.Txn) error {
			return change(manifestKey, func([]byte) []byte { return nil })
		}},
		{"manifest of another version", func(uint64) func(*badger.Txn) error {
			return change(manifestKey, func(b []byte) []byte {
				b[1]++
				return seal(b[:len(b)-4], string(manifestKey))
			})
		}},
		{"manifest of an earlier write", func(g uint64) func(*badger.Txn) error {
			return change(manifestKey, func(b []byte) []byte {
				content := strings.Replace(string(b[:len(b)-4]), `"sequence":`, `"sequence":9999`, 1)
				return seal([]byte(content), string(manifestKey))
			})
		}},
	}
	for range smaller(15) {
		damages = append(damages, damage{"bit of a chunk", func(g uint64) func(*badger.Txn) error {
			return change(chunkKey(number, g, r.IntN(2)), flip)
		}}, damage{"bit of the manifest", func(uint64) func(*badger.Txn) error { return change(manifestKey, flip) }})
	}
	generation := c.saved.Generation
	for i, d := range damages {
		tamper(t, dir, d.do(generation))
		s, c, warned := openWarned(t, dir)
		if !strings.Contains(warned, "snapshot cannot be used") && d.name != "manifest of an earlier write" {
			t.Errorf("seed %d, %s: nothing was logged: %q", seed, d.name, warned)
		}
		if i%5 == 0 {
			checkCollection(t, c, model)
		}
		if c.Len() != len(model) {
			t.Errorf("seed %d, %s: %d points of %d", seed, d.name, c.Len(), len(model))
		}
		// A write makes the next snapshot due.
		must(t, c.Upsert(ctx, []Point{model[somePoint(1, 0, 12).ID]}))
		must(t, s.Close())
		if c.saved.Generation <= generation && d.name != "manifest empty" && d.name != "bit of the manifest" && d.name != "manifest of another version" {
			t.Errorf("%s: generation %d after %d", d.name, c.saved.Generation, generation)
		}
		generation = c.saved.Generation
	}
}

func TestSnapshotsLeaveNoChunks(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	c, err := s.Create("c", Config{Dimension: 12})
	must(t, err)
	for i := range 5 {
		must(t, c.Upsert(ctx, []Point{somePoint(i, 0, 12)}))
		must(t, c.Snapshot(ctx))
		must(t, c.Snapshot(ctx)) // nothing to do
	}
	if c.saved.Generation != 5 {
		t.Errorf("generation %d after 5 snapshots", c.saved.Generation)
	}
	chunks := 0
	must(t, s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: numberKey(recordChunk, c.record.Number)})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			chunks++
		}
		return nil
	}))
	if chunks != c.saved.Chunks {
		t.Errorf("%d chunks are stored, %d are in use", chunks, c.saved.Chunks)
	}
}

// FuzzReadImage reads images whose checksum is right and whose content is not. What is accepted has to be a sound graph.
func FuzzReadImage(f *testing.F) {
	const dim = 3
	for _, metric := range []Metric{Cosine, Dot} {
		g := graphOf(f, Options{Dimension: dim, Metric: metric, M: 2, EfConstruction: 4})
		v := clusters(rand.New(rand.NewPCG(1, 1)), 60, dim, 3, 0.5)
		v = append(v, v[:5]...)
		tags := make([]tag, len(v))
		for i := range tags {
			tags[i] = tag{uint64(i + 1), uint32(i)}
		}
		must(f, g.put(numbered(len(v)), v, tags))
		must(f, g.Delete(numbered(20)))
		image := g.image("o")
		f.Add(image[2:len(image)-4], uint8(metric))
	}
	f.Fuzz(func(t *testing.T, content []byte, metric uint8) {
		if len(content) > 1<<16 {
			return
		}
		o := Options{Dimension: dim, Metric: Metric(metric % 3), M: 2, EfConstruction: 4, Threads: 1}
		o.SetDefaults()
		res, err := readImage(seal(append(newRecord(kindGraph, len(content)), content...), "o"), "o", o)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		for i, s := range res.seats {
			if i%3 == 0 {
				continue // lost
			}
			if _, err := res.place(member{fmt.Sprint(s.seq), tag{s.seq, uint32(s.seq)}}, []float32{1, float32(s.slot), 2}); err != nil {
				t.Fatal(err)
			}
		}
		res.finish()
		if _, err := res.Search(ctx, []float32{1, 2, 3}, 5, Params{EF: 1}); err != nil {
			t.Fatal(err)
		}
		must(t, res.Upsert([]string{"new"}, [][]float32{{3, 2, 1}}))
		w := res.getWalk()
		copy(w.query, []float32{1, 2, 3})
		must(t, res.walkDown(ctx, w, 3))
	})
}

func FuzzDecodePoint(f *testing.F) {
	p := somePoint(1, 1, 4)
	record := encodePoint(&p, []byte(`{"a":1}`), p.Vector, 77)
	f.Add(record, false)
	f.Add(record[2:len(record)-4], true)
	f.Fuzz(func(t *testing.T, b []byte, sealed bool) {
		if sealed {
			b = seal(append(newRecord(kindPoint, len(b)), b...), "id")
		}
		r, err := decodePoint(b, "id", 4)
		if err == nil {
			if len(r.vector(make([]float32, 4))) != 4 {
				t.Fatal("no vector")
			}
			_, err = r.point("id")
		}
		if err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrFormat) {
			t.Fatal(err)
		}
	})
}

// sameMember leaves out the ordinals: Open gives them anew.
func sameMember(a, b member) bool { return a.id == b.id && a.seq == b.seq }
