package index

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"
)

// snapshotted makes a store with one collection and a current snapshot, closes it, and returns the points.
func snapshotted(t *testing.T, dir string, metric Metric) (c *Collection, model map[string]Point) {
	t.Helper()
	return snapshottedAs(t, dir, Config{Dimension: 12, Metric: metric})
}

func snapshottedAs(t *testing.T, dir string, config Config) (c *Collection, model map[string]Point) {
	t.Helper()
	s, err := Open(dir, StoreOptions{})
	must(t, err)
	c, err = s.Create("c", config)
	must(t, err)
	model = map[string]Point{}
	var points []Point
	for i := range 900 {
		p := somePoint(i, 0, config.Dimension)
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

// dimensionFor returns a small dimension that the quantization takes.
func dimensionFor(q Quantization) int {
	if q == QuantizationBinary {
		return MinBinaryDimension
	}
	return 12
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
	for i := range 3 * len(quantizations) {
		metric, quantization := Metric(i%3), quantizations[i/3]
		dir := t.TempDir()
		c, model := snapshottedAs(t, dir, Config{Dimension: dimensionFor(quantization), Metric: metric, Quantization: quantization})
		before := c.engine.(*graph)
		s, c, warned := openWarned(t, dir)
		after := c.engine.(*graph)
		if warned != "" || c.saved.Sequence != c.sequence {
			t.Errorf("snapshot of write %d, last write %d, warnings %q", c.saved.Sequence, c.sequence, warned)
		}
		if !slices.Equal(before.vectors, after.vectors) || !slices.EqualFunc(before.owner, after.owner, sameMember) || before.radius != after.radius ||
			!maps.Equal(before.slotOf, after.slotOf) || !slices.Equal(before.inLinks, after.inLinks) || !slices.Equal(before.state, after.state) ||
			before.entry != after.entry || before.draws != after.draws || before.lives != after.lives || before.hidden != after.hidden {
			t.Errorf("%v %v: the graph has changed", metric, quantization)
		}
		if before.codes != nil && !slices.EqualFunc(before.codeSections(), after.codeSections(), bytes.Equal) {
			t.Errorf("%v %v: the codes have changed", metric, quantization)
		}
		for i := range before.state {
			for layer := range before.level(uint32(i)) + 1 {
				a := before.neighbours(uint32(i), layer, make([]uint32, before.room(0)))
				b := after.neighbours(uint32(i), layer, make([]uint32, after.room(0)))
				if !slices.Equal(a, b) {
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
	for _, q := range quantizations {
		t.Run(q.String(), func(t *testing.T) { snapshotBeforeTheLastWrites(t, q) })
	}
}

func snapshotBeforeTheLastWrites(t *testing.T, q Quantization) {
	dir := t.TempDir()
	_, model := snapshottedAs(t, dir, Config{Dimension: dimensionFor(q), Quantization: q})
	s, c, _ := openWarned(t, dir)
	var later []Point
	for i := 850; i < 1000; i++ { // some new, some changed
		p := somePoint(i, 1, dimensionFor(q))
		later = append(later, p)
		model[p.ID] = p
	}
	must(t, c.Upsert(ctx, later))
	var gone []string
	for i := 200; i < 330; i++ {
		gone = append(gone, somePoint(i, 0, dimensionFor(q)).ID)
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
	key := numberKey(recordManifest, c.record.Number)
	manifests := func(f func(record []byte) []byte) func() {
		return func() {
			tamper(t, dir, func(txn *badger.Txn) error {
				item, err := txn.Get(key)
				must(t, err)
				record, err := item.ValueCopy(nil)
				must(t, err)
				return txn.Set(key, f(record))
			})
		}
	}
	files := func(f func(body []byte) []byte) func() {
		return func() {
			path := onlySnapshot(t, dir)
			body, err := os.ReadFile(path)
			must(t, err)
			must(t, os.WriteFile(path, f(body), 0o644))
		}
	}
	flip := func(b []byte) []byte {
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		return b
	}
	replace := func(from, to string) func() {
		return manifests(func(b []byte) []byte {
			content := strings.Replace(string(b[:len(b)-4]), from, to, 1)
			if content == string(b[:len(b)-4]) {
				t.Fatalf("no %q in %q", from, content)
			}
			return seal([]byte(content), string(key))
		})
	}
	older, err := os.ReadFile(onlySnapshot(t, dir))
	must(t, err)
	type damage struct {
		name string
		do   func()
	}
	damages := []damage{
		{"file cut short", files(func(b []byte) []byte { return b[:len(b)/2] })},
		{"file cut by a byte", files(func(b []byte) []byte { return b[:len(b)-1] })},
		{"file too long", files(func(b []byte) []byte { return append(b, 0) })},
		{"file empty", files(func([]byte) []byte { return nil })},
		{"file of zeros", files(func(b []byte) []byte { clear(b); return b })},
		{"file missing", func() { must(t, os.Remove(onlySnapshot(t, dir))) }},
		{"file of another snapshot", files(func([]byte) []byte { return older })},
		{"manifest empty", manifests(func([]byte) []byte { return nil })},
		{"manifest of the first version", manifests(func(b []byte) []byte {
			b[1] = 1
			return seal(b[:len(b)-4], string(key))
		})},
		{"manifest of a later write", replace(`"sequence":`, `"sequence":9999`)},
		{"manifest of another body", replace(`"body":`, `"body":1`)},
		{"manifest with an unknown field", replace(`"sequence":`, `"x":1,"sequence":`)},
		{"manifest of another byte order", replace(`"order":`, `"order":1`)},
		{"manifest of another metric", replace(`"metric":"cosine"`, `"metric":"dot"`)},
		{"manifest with more slots", replace(`"slots":`, `"slots":9`)},
		{"manifest with fewer points", replace(`"points":8`, `"points":7`)},
		{"manifest with another entry", replace(`"entry":`, `"entry":9999`)},
	}
	for range smaller(8) {
		damages = append(damages, damage{"bit of the file", files(flip)}, damage{"bit of the manifest", manifests(flip)})
	}
	generation := c.saved.Generation
	for i, d := range damages {
		d.do()
		s, c, warned := openWarned(t, dir)
		if !strings.Contains(warned, "snapshot cannot be used") {
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
		if c.saved.Generation <= generation && !strings.Contains(d.name, "manifest") {
			t.Errorf("%s: generation %d after %d", d.name, c.saved.Generation, generation)
		}
		generation = c.saved.Generation
	}
}

// onlySnapshot returns the path of the one snapshot file.
func onlySnapshot(t testing.TB, dir string) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "snapshot-*"))
	must(t, err)
	if len(paths) != 1 {
		t.Fatalf("snapshot files %q, want one", paths)
	}
	return paths[0]
}

func TestSnapshotsLeaveNoFiles(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	c, err := s.Create("c", Config{Dimension: 12})
	must(t, err)
	for i := range 5 {
		must(t, c.Upsert(ctx, []Point{somePoint(i, 0, 12)}))
		must(t, c.Snapshot(ctx))
		must(t, c.Snapshot(ctx)) // nothing to do
		onlySnapshot(t, dir)
	}
	if c.saved.Generation != 5 {
		t.Errorf("generation %d after 5 snapshots", c.saved.Generation)
	}
	// A cancelled one and one that a crash cut short.
	must(t, c.Upsert(ctx, []Point{somePoint(7, 0, 12)}))
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if err := c.Snapshot(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	onlySnapshot(t, dir)
	must(t, s.Close())
	must(t, os.WriteFile(s.snapshotPath(c.record.Number, 77), []byte("half"), 0o644))
	must(t, os.WriteFile(s.snapshotPath(99, 1), []byte("of nobody"), 0o644))
	s = openStore(t, dir)
	onlySnapshot(t, dir)
	must(t, s.Drop("c"))
	if left, err := filepath.Glob(filepath.Join(dir, "snapshot-*")); err != nil || len(left) > 0 {
		t.Errorf("after the drop: %q, %v", left, err)
	}
}

// TestFirstSnapshotsAreRebuilt opens what the first version of snapshots left in badger.
func TestFirstSnapshotsAreRebuilt(t *testing.T) {
	dir := t.TempDir()
	c, model := snapshotted(t, dir, Cosine)
	manifestKey, sequenceKey := numberKey(recordManifest, c.record.Number), numberKey(recordSequence, c.record.Number)
	chunk := append(numberKey(recordChunk, c.record.Number), "0123456789ab"...)
	tamper(t, dir, func(txn *badger.Txn) error {
		first := append([]byte{byte(kindManifest), 1}, `{"generation":3,"sequence":930,"chunks":1,"bytes":99}`...)
		must(t, txn.Set(manifestKey, seal(first, string(manifestKey))))
		must(t, txn.Set(sequenceKey, seal(binary.LittleEndian.AppendUint64([]byte{byte(kindSequence), 1}, c.sequence), string(sequenceKey))))
		return txn.Set(chunk, []byte("anything"))
	})
	s, c, warned := openWarned(t, dir)
	if !strings.Contains(warned, "version 1") {
		t.Errorf("warnings %q", warned)
	}
	checkCollection(t, c, model)
	must(t, s.db.View(func(txn *badger.Txn) error {
		if _, err := txn.Get(chunk); !errors.Is(err, badger.ErrKeyNotFound) {
			t.Errorf("the old chunk: %v", err)
		}
		return nil
	}))
	must(t, s.Close())
	s, c, warned = openWarned(t, dir)
	if warned != "" || c.saved.Sequence != c.sequence {
		t.Errorf("the second time: %q", warned)
	}
	must(t, s.Close())
}

// imageOf returns the head and the body of a graph's image.
func imageOf(t testing.TB, g *graph) (head, body []byte) {
	t.Helper()
	var b bytes.Buffer
	h, err := g.writeImage(&b)
	must(t, err)
	head, err = json.Marshal(h)
	must(t, err)
	return head, b.Bytes()
}

// readerOf reads a body whose sums are right.
func readerOf(t testing.TB, body []byte) *sumReader {
	t.Helper()
	var b bytes.Buffer
	w := &sumWriter{ctx: ctx, w: &b}
	_, err := w.Write(body)
	must(t, err)
	_, err = w.finish()
	must(t, err)
	return &sumReader{f: bytes.NewReader(b.Bytes()), bytes: w.bytes, sums: w.sums, threads: 2}
}

// FuzzReadImage reads images whose checksum is right and whose content is not. What is accepted has to be a sound graph.
func FuzzReadImage(f *testing.F) {
	const dim = 3
	for i := range uint8(4) {
		metric := Metric(i % 2 * 2)
		g := graphOf(f, Options{Dimension: dim, Metric: metric, M: 2, EfConstruction: 4, Quantization: quantizations[i/2]})
		v := clusters(rand.New(rand.NewPCG(1, 1)), 60, dim, 3, 0.5)
		v = append(v, v[:5]...)
		tags := make([]tag, len(v))
		for i := range tags {
			tags[i] = tag{uint64(i + 1), uint32(i)}
		}
		must(f, g.put(numbered(len(v)), v, tags))
		must(f, g.Delete(numbered(20)))
		head, body := imageOf(f, g)
		f.Add(head, body, uint8(metric)+i/2*3)
	}
	f.Fuzz(func(t *testing.T, head, body []byte, metric uint8) {
		var h imageHead
		if len(body) > 1<<16 || json.Unmarshal(head, &h) != nil {
			return
		}
		o := Options{Dimension: dim, Metric: Metric(metric % 3), M: 2, EfConstruction: 4, Threads: 1, Quantization: quantizations[metric/3%2]}
		o.SetDefaults()
		g, err := readImage(ctx, h, readerOf(t, body), o, nil)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrFormat) {
				t.Fatal(err)
			}
			return
		}
		var lost []string
		n := 0
		g.members(func(m member) {
			if n++; n%3 == 0 {
				lost = append(lost, m.id)
			}
		})
		if n != g.Len() {
			t.Fatalf("%d points, Len %d", n, g.Len())
		}
		must(t, g.Delete(lost))
		if _, err := g.Search(ctx, []float32{1, 2, 3}, 5, Params{EF: 1}); err != nil {
			t.Fatal(err)
		}
		must(t, g.Upsert([]string{"new"}, [][]float32{{3, 2, 1}}))
		w := g.getWalk()
		copy(w.query, []float32{1, 2, 3})
		must(t, g.walkDown(ctx, w, 3))
	})
}

// TestSumReader reads bodies of many lengths in parts of many lengths, and flips every bit of small ones.
func TestSumReader(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for _, n := range []int{0, 1, 5, snapshotBlock - 1, snapshotBlock, snapshotBlock + 1, 3*snapshotBlock + 17} {
		body := make([]byte, n)
		for i := range body {
			body[i] = byte(r.Uint32())
		}
		reader := readerOf(t, body)
		got := make([]byte, n)
		for at := 0; at < n; {
			a := at + r.IntN(n-at+1)
			b := a + r.IntN(n-a+1)
			must(t, reader.read(ctx, got[at:a], nil, got[a:b]))
			if at = b; r.IntN(4) == 0 {
				must(t, reader.read(ctx, got[at:]))
				at = n
			}
		}
		if !bytes.Equal(got, body) {
			t.Fatalf("%d bytes came back otherwise", n)
		}
		if err := reader.read(ctx, make([]byte, 1)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("a byte after the end: %v", err)
		}
		for range min(n, 40) {
			reader, i := readerOf(t, body), r.IntN(n)
			reader.f = bytes.NewReader(append(append(bytes.Clone(body[:i]), body[i]^1<<r.IntN(8)), body[i+1:]...))
			if err := reader.read(ctx, got); !errors.Is(err, ErrCorrupt) {
				t.Errorf("byte %d of %d flipped: %v", i, n, err)
			}
		}
	}
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
