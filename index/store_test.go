package index

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
)

var ctx = context.Background()

func openStore(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir, StoreOptions{})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// reopen closes the store and opens it again.
func reopen(t testing.TB, s *Store, dir string) *Store {
	t.Helper()
	must(t, s.Close())
	return openStore(t, dir)
}

func collectionOf(t testing.TB, s *Store, name string) *Collection {
	t.Helper()
	c, err := s.Collection(name)
	must(t, err)
	return c
}

// somePoint makes point number n in version v of its life, with all that a point can hold.
func somePoint(n, v, dim int) Point {
	r := rand.New(rand.NewPCG(uint64(n), uint64(v)))
	p := Point{ID: fmt.Sprintf("point %d ü", n), Vector: make([]float32, dim)}
	for i := range p.Vector {
		p.Vector[i] = float32(r.NormFloat64())
	}
	if r.IntN(3) > 0 {
		p.Label = fmt.Sprintf("class %d", r.IntN(5))
	}
	if r.IntN(3) > 0 {
		p.Payload = map[string]any{"version": float64(v), "tags": []any{"a", true, nil}, "deep": map[string]any{"x": 1.5}}
	}
	switch r.IntN(4) {
	case 0:
		p.Raw = []byte(fmt.Sprintf("raw %d/%d", n, v))
	case 1:
		p.Raw = bytes.Repeat([]byte{byte(n), byte(v)}, r.IntN(40_000)) // in badger's tree and in its value log
	}
	return p
}

// stored is how a point comes back.
func stored(t testing.TB, m Metric, p Point) Point {
	t.Helper()
	s := newSpace(m, len(p.Vector))
	row := make([]float32, s.stride)
	must(t, s.prepare(row, p.Vector))
	p.Vector = row[:s.dim]
	if len(p.Raw) == 0 {
		p.Raw = nil
	}
	return p
}

// samePoint compares what was stored with what came back.
func samePoint(t testing.TB, m Metric, want, got Point) {
	t.Helper()
	if want = stored(t, m, want); !reflect.DeepEqual(want, got) {
		want.Raw, got.Raw = want.Raw[:min(len(want.Raw), 9)], got.Raw[:min(len(got.Raw), 9)]
		t.Fatalf("stored\n%v\ngot\n%v", want, got)
	}
}

func TestStoreCollections(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	for _, name := range []string{"", "a b", "ü", "a/b", strings.Repeat("x", 65)} {
		if _, err := s.Create(name, Config{Dimension: 3}); !errors.Is(err, ErrInvalid) {
			t.Errorf("name %q: %v", name, err)
		}
	}
	for _, c := range []Config{{}, {Dimension: -1}, {Dimension: MaxDimension + 1}, {Dimension: 3, Metric: 9}, {Dimension: 3, Engine: "tree"}, {Dimension: 3, Quantization: "int3"},
		{Dimension: 3, M: 1}, {Dimension: 3, M: 20, EfConstruction: 10}, {Dimension: 3, ModelID: strings.Repeat("x", MaxLabel+1)}} {
		if _, err := s.Create("bad", c); !errors.Is(err, ErrInvalid) {
			t.Errorf("config %+v: %v", c, err)
		}
	}
	want := Config{Dimension: 3, Metric: L2, Engine: EngineFlat, ModelID: "m1", M: 8, EfConstruction: 77, Seed: 1 << 63, Quantization: QuantizationFloat32}
	a, err := s.Create("a", want)
	must(t, err)
	_, err = s.Create("b-B_9", Config{Dimension: 5})
	must(t, err)
	if _, err := s.Create("a", want); !errors.Is(err, ErrExists) {
		t.Errorf("second a: %v", err)
	}
	if _, err := s.Collection("c"); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), `"c"`) {
		t.Errorf("collection c: %v", err)
	}
	must(t, a.Upsert(ctx, []Point{somePoint(1, 0, 3)}))
	s = reopen(t, s, dir)
	if got := s.Names(); !slices.Equal(got, []string{"a", "b-B_9"}) {
		t.Errorf("names %q", got)
	}
	a = collectionOf(t, s, "a")
	if a.Config() != want || a.ModelID() != "m1" || a.Name() != "a" || a.Len() != 1 {
		t.Errorf("a came back as %q %+v with %d points", a.Name(), a.Config(), a.Len())
	}
	if err := a.CheckModel("m2"); !errors.Is(err, ErrModel) || a.CheckModel("m1") != nil {
		t.Errorf("model m2: %v", err)
	}
	if got, want := collectionOf(t, s, "b-B_9").Config(), (Config{Dimension: 5, Engine: EngineGraph, M: DefaultM, EfConstruction: DefaultEfConstruction, Quantization: QuantizationFloat32}); got != want {
		t.Errorf("defaults: %+v", got)
	}
	must(t, s.Drop("a"))
	if err := s.Drop("a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("dropped again: %v", err)
	}
	if _, err := a.Get("point 1 ü"); !errors.Is(err, ErrNotFound) {
		t.Errorf("get from a dropped collection: %v", err)
	}
	if err := a.Upsert(ctx, []Point{somePoint(1, 0, 3)}); !errors.Is(err, ErrNotFound) {
		t.Errorf("upsert into a dropped collection: %v", err)
	}
	a, err = s.Create("a", Config{Dimension: 3})
	must(t, err)
	if a.Len() != 0 {
		t.Errorf("new a has %d points", a.Len())
	}
	s = reopen(t, s, dir)
	if n := collectionOf(t, s, "a").Len(); n != 0 {
		t.Errorf("new a has %d points", n)
	}
	must(t, s.Close())
	must(t, s.Close())
	if _, err := s.Collection("a"); !errors.Is(err, ErrClosed) {
		t.Errorf("closed store: %v", err)
	}
	if _, err := a.Search(ctx, []float32{1, 2, 3}, 1, Params{}); !errors.Is(err, ErrClosed) {
		t.Errorf("search in a closed store: %v", err)
	}
}

func TestCollectionRefusesBadPoints(t *testing.T) {
	s := openStore(t, t.TempDir())
	c, err := s.Create("c", Config{Dimension: 2})
	must(t, err)
	good := []float32{1, 2}
	for name, bad := range map[string]struct {
		p    Point
		want error
	}{
		"no id":        {Point{Vector: good}, ErrInvalid},
		"long id":      {Point{ID: strings.Repeat("x", MaxID+1), Vector: good}, ErrInvalid},
		"dimension":    {Point{ID: "x", Vector: good[:1]}, ErrDimension},
		"zero":         {Point{ID: "x", Vector: []float32{0, 0}}, ErrZeroVector},
		"long label":   {Point{ID: "x", Vector: good, Label: strings.Repeat("x", MaxLabel+1)}, ErrInvalid},
		"broken label": {Point{ID: "x", Vector: good, Label: "\xff"}, ErrInvalid},
		"payload":      {Point{ID: "x", Vector: good, Payload: map[string]any{"f": func() {}}}, ErrInvalid},
		"big payload":  {Point{ID: "x", Vector: good, Payload: map[string]any{"f": strings.Repeat("x", MaxPayload)}}, ErrInvalid},
		"big raw":      {Point{ID: "x", Vector: good, Raw: make([]byte, MaxRaw+1)}, ErrInvalid},
	} {
		err := c.Upsert(ctx, []Point{{ID: "fine", Vector: good}, bad.p})
		if !errors.Is(err, bad.want) || c.Len() != 0 {
			t.Errorf("%s: %v, and %d points", name, err, c.Len())
		}
	}
	p := Point{ID: strings.Repeat("x", MaxID), Vector: good, Label: strings.Repeat("y", MaxLabel), Raw: bytes.Repeat([]byte("z"), MaxRaw),
		Payload: map[string]any{"f": strings.Repeat("x", MaxPayload-8)}}
	must(t, c.Upsert(ctx, []Point{p, {ID: "two", Vector: good, Raw: p.Raw}}))
	got, err := c.Get(p.ID)
	must(t, err)
	samePoint(t, Cosine, p, got[0])
	if _, err := c.Get("two", "three"); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), `"three"`) {
		t.Errorf("get: %v", err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if err := c.Upsert(cancelled, []Point{p}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled upsert: %v", err)
	}
	if err := c.Delete(cancelled, []string{"two"}); !errors.Is(err, context.Canceled) || c.Len() != 2 {
		t.Errorf("cancelled delete: %v", err)
	}
	if err := c.Each(cancelled, func(Point) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled each: %v", err)
	}
}

// TestCollectionModel runs random writes on a collection and on a map, reopens in between, and compares.
func TestCollectionModel(t *testing.T) {
	for _, engine := range []Engine{EngineGraph, EngineFlat, EngineCoder} {
		for _, metric := range []Metric{Cosine, L2, Dot} {
			t.Run(fmt.Sprintf("%v-%v", engine, metric), func(t *testing.T) {
				const seed, dim = 5, 6
				t.Logf("seed %d", seed)
				r := rand.New(rand.NewPCG(seed, uint64(metric)))
				dir := t.TempDir()
				s := openStore(t, dir)
				c, err := s.Create("c", Config{Dimension: dim, Engine: engine, Metric: metric})
				must(t, err)
				model := map[string]Point{}
				for step := range 60 {
					switch n := r.IntN(10); {
					case n < 6:
						points := make([]Point, 1+r.IntN(30))
						for i := range points {
							points[i] = somePoint(r.IntN(150), step, dim)
							if r.IntN(5) == 0 {
								points[i].Vector = somePoint(0, 0, dim).Vector
							}
							model[points[i].ID] = points[i]
						}
						must(t, c.Upsert(ctx, points))
					case n < 8:
						ids := make([]string, r.IntN(10))
						for i := range ids {
							ids[i] = somePoint(r.IntN(150), 0, dim).ID
							delete(model, ids[i])
						}
						must(t, c.Delete(ctx, ids))
					case n == 8:
						must(t, c.Snapshot(ctx))
					default:
						s = reopen(t, s, dir)
						c = collectionOf(t, s, "c")
					}
					if step%6 == 0 {
						checkCollection(t, c, model)
					}
				}
				s = reopen(t, s, dir)
				checkCollection(t, collectionOf(t, s, "c"), model)
			})
		}
	}
}

// checkCollection compares all that a collection gives back with a model.
func checkCollection(t testing.TB, c *Collection, model map[string]Point) {
	t.Helper()
	if c.Len() != len(model) {
		t.Fatalf("%d points, want %d", c.Len(), len(model))
	}
	metric := c.Config().Metric
	var ids []string
	must(t, c.Each(ctx, func(p Point) error {
		want, ok := model[p.ID]
		if !ok || len(ids) > 0 && ids[len(ids)-1] >= p.ID {
			return fmt.Errorf("point %q is not in the model, or out of order", p.ID)
		}
		samePoint(t, metric, want, p)
		ids = append(ids, p.ID)
		return nil
	}))
	if len(ids) != len(model) {
		t.Fatalf("Each gave %d points, want %d", len(ids), len(model))
	}
	points, err := c.Get(ids...)
	must(t, err)
	efs := []Params{{}, {EF: 40}}
	if c.Config().Quantization == QuantizationBinary {
		efs = []Params{{EF: 400}} // noise in many dimensions is the hardest there is for one bit each
	}
	for _, p := range points {
		samePoint(t, metric, model[p.ID], p)
		for _, params := range efs {
			hits, err := c.Search(ctx, p.Vector, 40, params)
			must(t, err)
			found := slices.ContainsFunc(hits, func(h Hit) bool { return h.ID == p.ID }) ||
				len(hits) > 0 && hits[len(hits)-1].Distance == hits[0].Distance // more equal vectors than hits
			if len(hits) != min(40, len(model)) || metric != Dot && c.Config().Engine != EngineCoder && !found {
				t.Fatalf("%d points: a search for %q gives %d hits, found: %v", len(model), p.ID, len(hits), found)
			}
			for _, h := range hits {
				if _, ok := model[h.ID]; !ok {
					t.Fatalf("search found %q, which does not exist", h.ID)
				}
			}
		}
	}
	if g, ok := c.engine.(*graph); ok {
		if t, ok := t.(*testing.T); ok {
			checkGraph(t, g)
		}
	}
}

func TestBigUpsertIsSplit(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	c, err := s.Create("c", Config{Dimension: 3})
	must(t, err)
	points := make([]Point, 2*MaxAtomicPoints+10)
	for i := range points {
		points[i] = Point{ID: fmt.Sprint(i), Vector: []float32{1, float32(i), 2}}
		if i%500 == 0 {
			points[i].Raw = bytes.Repeat([]byte{byte(i)}, MaxAtomicBytes-i)
		}
	}
	must(t, c.Upsert(ctx, points))
	s = reopen(t, s, dir)
	c = collectionOf(t, s, "c")
	if c.Len() != len(points) {
		t.Fatalf("%d points", c.Len())
	}
	got, err := c.Get("0", "500", "2009")
	must(t, err)
	samePoint(t, Cosine, points[500], got[1])
	var ids []string
	for _, p := range points {
		ids = append(ids, p.ID)
	}
	must(t, c.Delete(ctx, append(ids[5:], "nobody")))
	if c.Len() != 5 {
		t.Fatalf("%d points are left", c.Len())
	}
}

func TestOpenTwiceIsRefused(t *testing.T) {
	dir := t.TempDir()
	openStore(t, dir)
	if _, err := Open(dir, StoreOptions{}); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), dir) {
		t.Errorf("second open: %v", err)
	}
}

// tamper changes a closed store behind its back.
func tamper(t testing.TB, dir string, f func(txn *badger.Txn) error) {
	t.Helper()
	db, err := badger.Open(badger.DefaultOptions(dir).WithLogger(nil))
	must(t, err)
	must(t, db.Update(f))
	must(t, db.Close())
}

func TestOpenRefusesOtherFormats(t *testing.T) {
	for name, f := range map[string]func(txn *badger.Txn) error{
		"another program": func(txn *badger.Txn) error { return txn.Set([]byte("hello"), nil) },
		"newer version": func(txn *badger.Txn) error {
			return txn.Set([]byte(keyFormat), seal([]byte{byte(kindStore), kindStore.version() + 1}, keyFormat))
		},
		"another format": func(txn *badger.Txn) error {
			return txn.Set([]byte(keyFormat), seal(append(newRecord(kindStore, 0), "akin shop"...), keyFormat))
		},
	} {
		dir := t.TempDir()
		tamper(t, dir, f)
		if _, err := Open(dir, StoreOptions{}); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open(t.TempDir(), StoreOptions{Threads: -1}); !errors.Is(err, ErrInvalid) {
		t.Errorf("threads: %v", err)
	}
}

func TestOpenReportsDamagedPoints(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	c, err := s.Create("c", Config{Dimension: 3})
	must(t, err)
	must(t, c.Upsert(ctx, []Point{somePoint(1, 1, 3), somePoint(2, 1, 3)}))
	must(t, s.Close())
	key := pointKey(recordPoint, c.record.Number, somePoint(2, 1, 3).ID)
	tamper(t, dir, func(txn *badger.Txn) error {
		item, err := txn.Get(key)
		must(t, err)
		record, err := item.ValueCopy(nil)
		must(t, err)
		record[20] ^= 4
		return txn.Set(key, record)
	})
	// The snapshot has the vector: searches are right, and only who wants the point learns of it.
	s, err = Open(dir, StoreOptions{})
	must(t, err)
	if _, err := collectionOf(t, s, "c").Get(somePoint(2, 1, 3).ID); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "point 2 ü") {
		t.Errorf("get: %v", err)
	}
	must(t, s.Close())
	must(t, os.Remove(onlySnapshot(t, dir)))
	if _, err := Open(dir, StoreOptions{}); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "point 2 ü") {
		t.Errorf("open: %v", err)
	}
}

// TestDroppedRecordsAreDeleted plays a crash between dropping a collection and deleting its records.
func TestDroppedRecordsAreDeleted(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	c, err := s.Create("c", Config{Dimension: 3})
	must(t, err)
	must(t, c.Upsert(ctx, []Point{somePoint(1, 1, 3), somePoint(4, 1, 3)}))
	must(t, s.Close())
	tamper(t, dir, func(txn *badger.Txn) error {
		must(t, txn.Set(numberKey(prefixDropped, c.record.Number), nil))
		return txn.Delete(configKey("c"))
	})
	s = openStore(t, dir)
	if names := s.Names(); len(names) > 0 {
		t.Errorf("collections %q", names)
	}
	must(t, s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{})
		defer it.Close()
		var keys []string
		for it.Rewind(); it.Valid(); it.Next() {
			keys = append(keys, string(it.Item().KeyCopy(nil)))
		}
		if !slices.Equal(keys, []string{keyFormat, keyNext}) {
			t.Errorf("keys %q are left", keys)
		}
		return nil
	}))
}

func TestCollectionConcurrently(t *testing.T) {
	const dim, n = 8, 400
	dir := t.TempDir()
	s := openStore(t, dir)
	c, err := s.Create("c", Config{Dimension: dim})
	must(t, err)
	closed := func(err error) bool { return errors.Is(err, ErrClosed) }
	var wg sync.WaitGroup
	run := func(f func(r *rand.Rand) error) {
		seed := rand.Uint64()
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, 0))
			for {
				if err := f(r); closed(err) {
					return
				} else if err != nil && !errors.Is(err, ErrNotFound) {
					t.Errorf("seed %d: %v", seed, err)
					return
				}
			}
		})
	}
	run(func(r *rand.Rand) error {
		return c.Upsert(ctx, []Point{somePoint(r.IntN(n), r.IntN(9), dim), somePoint(r.IntN(n), 0, dim)})
	})
	run(func(r *rand.Rand) error { return c.Upsert(ctx, []Point{somePoint(r.IntN(n), 1, dim)}) })
	run(func(r *rand.Rand) error { return c.Delete(ctx, []string{somePoint(r.IntN(n), 0, dim).ID}) })
	run(func(r *rand.Rand) error {
		_, err := c.Search(ctx, somePoint(r.IntN(n), 0, dim).Vector, 5, Params{})
		return err
	})
	run(func(r *rand.Rand) error { _, err := c.Get(somePoint(r.IntN(n), 0, dim).ID); return err })
	run(func(*rand.Rand) error { return c.Snapshot(ctx) })
	run(func(*rand.Rand) error { return c.Each(ctx, func(Point) error { return nil }) })
	run(func(*rand.Rand) error {
		d, err := s.Create("d", Config{Dimension: 2})
		if err != nil {
			return err
		}
		if err := d.Upsert(ctx, []Point{somePoint(1, 1, 2)}); err != nil {
			return err
		}
		return s.Drop("d")
	})
	time.Sleep(700 * time.Millisecond)
	must(t, s.Close())
	wg.Wait()

	s = openStore(t, dir)
	c = collectionOf(t, s, "c")
	model := map[string]Point{}
	must(t, c.Each(ctx, func(p Point) error { model[p.ID] = p; return nil }))
	checkCollection(t, c, model)
}

func TestEachMayCallTheCollection(t *testing.T) {
	s := openStore(t, t.TempDir())
	c, err := s.Create("c", Config{Dimension: 2})
	must(t, err)
	must(t, c.Upsert(ctx, []Point{somePoint(1, 1, 2), somePoint(2, 1, 2), somePoint(3, 1, 2)}))
	stop := errors.New("stop")
	seen := 0
	err = c.Each(ctx, func(p Point) error {
		seen++
		must(t, c.Upsert(ctx, []Point{somePoint(10+seen, 1, 2)}))
		if seen == 2 {
			return stop
		}
		return c.Delete(ctx, []string{p.ID})
	})
	if !errors.Is(err, stop) || seen != 2 || c.Len() != 4 {
		t.Errorf("%v after %d, %d points", err, seen, c.Len())
	}
}

// warnings collects what a store logs.
type warnings struct{ bytes.Buffer }

func (w *warnings) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(&w.Buffer, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// TestLook compares with Get, part by part.
func TestLook(t *testing.T) {
	s := openStore(t, t.TempDir())
	c, err := s.Create("c", Config{Dimension: 5, Metric: L2})
	must(t, err)
	points := make([]Point, 60)
	ids := make([]string, len(points))
	for i := range points {
		points[i] = somePoint(i, 1, 5)
		ids[i] = points[i].ID
	}
	must(t, c.Upsert(ctx, points))
	want, err := c.Get(ids...)
	must(t, err)
	for what := range Fields(16) {
		got, err := c.Look(what, append([]string{"nobody"}, ids...)...)
		must(t, err)
		if len(got) != len(ids)+1 || !reflect.DeepEqual(got[0], Record{}) {
			t.Fatalf("a point that does not exist gives %+v", got[0])
		}
		for i, p := range want {
			r := Record{ID: p.ID}
			if what&FieldLabel != 0 {
				r.Label = p.Label
			}
			if what&FieldVector != 0 {
				r.Vector = p.Vector
			}
			if what&FieldPayload != 0 && p.Payload != nil {
				p.Payload = nil
				must(t, json.Unmarshal(got[i+1].Payload, &p.Payload))
				r.Payload = got[i+1].Payload
				if !reflect.DeepEqual(p.Payload, want[i].Payload) {
					t.Fatalf("payload %s is not %v", r.Payload, want[i].Payload)
				}
			}
			if what&FieldRaw != 0 {
				r.Raw = p.Raw
			}
			if !reflect.DeepEqual(got[i+1], r) {
				t.Fatalf("fields %b of\n%+v\nare\n%+v", what, r, got[i+1])
			}
		}
	}
}
