package index

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"
)

// verifyStore makes a closed store of one collection with raw inputs, and returns its points.
func verifyStore(t testing.TB, dir string, o Config) (*Collection, map[string]Point) {
	t.Helper()
	s, err := Open(dir, StoreOptions{})
	must(t, err)
	o.Dimension = 6
	c, err := s.Create("c", o)
	must(t, err)
	model := map[string]Point{}
	var points []Point
	for i := range 400 {
		p := somePoint(i, 0, 6)
		points = append(points, p)
		model[p.ID] = p
	}
	must(t, c.Upsert(ctx, points))
	must(t, s.Close())
	return c, model
}

func verify(t testing.TB, dir string, o VerifyOptions) *VerifyReport {
	t.Helper()
	r, err := Verify(ctx, dir, o)
	must(t, err)
	return r
}

func TestVerifySound(t *testing.T) {
	for _, o := range []Config{{}, {Metric: Dot}, {Engine: EngineFlat}, {Quantization: QuantizationInt8}, {Quantization: QuantizationInt8Disk}} {
		dir := t.TempDir()
		_, model := verifyStore(t, dir, o)
		r := verify(t, dir, VerifyOptions{})
		if len(r.Findings) > 0 || len(r.Collections) != 1 || r.Collections[0].Points != len(model) || r.Collections[0].Raws < 100 {
			t.Errorf("%+v: %+v", o, r)
		}
		if c := r.Collections[0]; o.Engine != EngineFlat && (c.Links < len(model) || c.Unreachable > 0 || c.Sampled != len(model)) {
			t.Errorf("%+v: %+v", o, c)
		}
		s := openStore(t, dir)
		checkCollection(t, collectionOf(t, s, "c"), model)
		if _, err := Verify(ctx, dir, VerifyOptions{}); !errors.Is(err, ErrLocked) {
			t.Errorf("of an open store: %v", err)
		}
	}
	if _, err := Verify(ctx, filepath.Join(t.TempDir(), "none"), VerifyOptions{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("of nothing: %v", err)
	}
}

// TestVerifyMends damages what can be made again.
func TestVerifyMends(t *testing.T) {
	for name, damage := range map[string]struct {
		do   func(dir string, c *Collection, txn *badger.Txn) error
		want string
	}{
		"snapshot file": {func(dir string, _ *Collection, _ *badger.Txn) error {
			return os.Truncate(onlySnapshot(t, dir), 1000)
		}, "its snapshot cannot be used"},
		"snapshot of other points": {func(_ string, c *Collection, txn *badger.Txn) error {
			p := somePoint(3, 0, 6)
			p.Vector = []float32{0, 0, 0, 0, 0, 1}
			p.Raw = nil
			key := pointKey(recordPoint, c.record.Number, p.ID)
			must(t, txn.Delete(pointKey(recordRaw, c.record.Number, p.ID)))
			return txn.Set(key, encodePoint(&p, nil, p.Vector, 4))
		}, "has another vector"},
		"raw input of nobody": {func(_ string, c *Collection, txn *badger.Txn) error {
			return txn.Set(pointKey(recordRaw, c.record.Number, "nobody"), []byte("x"))
		}, "1 raw inputs belong to no point"},
		"record of no collection": {func(_ string, _ *Collection, txn *badger.Txn) error {
			return txn.Set(pointKey(recordPoint, 77, "nobody"), []byte("x"))
		}, "1 records belong to no collection"},
		"half dropped": {func(_ string, _ *Collection, txn *badger.Txn) error {
			must(t, txn.Set(pointKey(recordPoint, 78, "nobody"), []byte("x")))
			return txn.Set(numberKey(prefixDropped, 78), nil)
		}, "dropped collections"},
		"curve": {func(_ string, c *Collection, txn *badger.Txn) error {
			return txn.Set(numberKey(recordCurve, c.record.Number), []byte("x"))
		}, "curve of recall"},
		"watch": {func(_ string, c *Collection, txn *badger.Txn) error {
			return txn.Set(numberKey(recordWatch, c.record.Number), []byte("x"))
		}, "known of its verdicts"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c, model := verifyStore(t, dir, Config{})
			tamper(t, dir, func(txn *badger.Txn) error { return damage.do(dir, c, txn) })
			r := verify(t, dir, VerifyOptions{})
			if r.Damaged() > 0 || len(r.Findings) != 1 || !strings.Contains(r.Findings[0].What, damage.want) {
				t.Errorf("%+v", r)
			}
			if r := verify(t, dir, VerifyOptions{}); len(r.Findings) > 0 {
				t.Errorf("the second time: %+v", r)
			}
			s := openStore(t, dir)
			if c := collectionOf(t, s, "c"); c.Len() != len(model) {
				t.Errorf("%d points", c.Len())
			}
		})
	}
}

// TestVerifyDrops damages what is nowhere else: Verify names it, changes nothing, and leaves it out when it is told to.
func TestVerifyDrops(t *testing.T) {
	id := somePoint(5, 0, 6).ID
	flip := func(key []byte) func(txn *badger.Txn) error {
		return func(txn *badger.Txn) error {
			item, err := txn.Get(key)
			must(t, err)
			b, err := item.ValueCopy(nil)
			must(t, err)
			b[len(b)/2] ^= 1
			return txn.Set(key, b)
		}
	}
	for name, damage := range map[string]struct {
		do   func(dir string, c *Collection)
		lost int
	}{
		"point": {func(dir string, c *Collection) { tamper(t, dir, flip(pointKey(recordPoint, c.record.Number, id))) }, 1},
		"raw input": {func(dir string, c *Collection) {
			tamper(t, dir, flip(pointKey(recordRaw, c.record.Number, somePoint(2, 0, 6).ID)))
		}, 0},
		"sequence": {func(dir string, c *Collection) { tamper(t, dir, flip(numberKey(recordSequence, c.record.Number))) }, 0},
		"point missing": {func(dir string, c *Collection) {
			tamper(t, dir, func(txn *badger.Txn) error { return txn.Delete(pointKey(recordPoint, c.record.Number, id)) })
		}, 1},
		"a byte of a table": {func(dir string, _ *Collection) {
			tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
			must(t, err)
			b, err := os.ReadFile(tables[0])
			must(t, err)
			at := strings.Index(string(b), "class ") // in a label
			b[at] ^= 1
			must(t, os.WriteFile(tables[0], b, 0o644))
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "db")
			c, model := verifyStore(t, dir, Config{})
			damage.do(dir, c)
			for range 2 {
				r := verify(t, dir, VerifyOptions{})
				if r.Damaged() == 0 || r.Kept != "" || !strings.Contains(r.Findings[0].Mend, "--drop-damaged") {
					t.Fatalf("%+v", r)
				}
			}
			r := verify(t, dir, VerifyOptions{DropDamaged: true})
			if r.Damaged() > 0 || r.Kept == "" {
				t.Fatalf("%+v", r)
			}
			if _, err := os.Stat(r.Kept); err != nil {
				t.Error(err)
			}
			if r := verify(t, dir, VerifyOptions{}); len(r.Findings) > 0 || r.Collections[0].Points != len(model)-damage.lost {
				t.Errorf("afterwards: %+v", r)
			}
			s := openStore(t, dir)
			c = collectionOf(t, s, "c")
			must(t, c.Each(ctx, func(p Point) error {
				want := model[p.ID]
				if name == "raw input" && p.ID == somePoint(2, 0, 6).ID {
					want.Raw = nil
				}
				samePoint(t, Cosine, want, p)
				return nil
			}))
			must(t, c.Upsert(ctx, []Point{somePoint(5, 0, 6), somePoint(2, 0, 6)}))
		})
	}
}
