package index

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// checkDistances searches for every point and compares the distance of every hit with that of the vector the point has now.
func checkDistances(t *testing.T, c *Collection, model map[string]Point) {
	t.Helper()
	for id, p := range model {
		hits, err := c.Search(ctx, p.Vector, 5, Params{EF: 20})
		must(t, err)
		if len(hits) != min(5, len(model)) {
			t.Fatalf("%d hits of %d points", len(hits), len(model))
		}
		found := false
		for _, h := range hits {
			other, ok := model[h.ID]
			if !ok {
				t.Fatalf("search found %q, which does not exist", h.ID)
			}
			var sum float64
			for i, x := range p.Vector {
				d := float64(x - other.Vector[i])
				sum += d * d
			}
			if want := math.Sqrt(sum); math.Abs(want-float64(h.Distance)) > 1e-4*(1+want) {
				t.Fatalf("%q is %v from %q, want %v", h.ID, h.Distance, id, want)
			}
			found = found || h.ID == id
		}
		if !found {
			t.Fatalf("%q was not found by its own vector", id)
		}
	}
}

// TestRowsFollowWrites replaces and deletes points between snapshots, with a directory in which vectors can be written and
// without one: no hit may ever have the distance of a vector that its point had before, or of another's.
func TestRowsFollowWrites(t *testing.T) {
	const dim = 12
	for _, full := range []bool{false, true} {
		t.Run(fmt.Sprint("full=", full), func(t *testing.T) {
			r := rand.New(rand.NewPCG(8, 8))
			dir := t.TempDir()
			s := openStore(t, dir)
			c, err := s.Create("c", Config{Dimension: dim, Metric: L2, Quantization: QuantizationInt8Disk})
			must(t, err)
			rows := c.engine.(*graph).disk.rows
			kept := func() (n int) {
				rows.kept.Range(func(any, any) bool { n++; return true })
				return n
			}
			warned := 0
			if full {
				rows.path, rows.warn = filepath.Join(dir, "none", "rows"), func(error) { warned++ }
			}
			model := map[string]Point{}
			for round := range 12 {
				points := make([]Point, 120)
				for i := range points {
					points[i] = Point{ID: fmt.Sprint("p", r.IntN(400)), Vector: make([]float32, dim)}
					for j := range points[i].Vector {
						points[i].Vector[j] = float32(r.NormFloat64())
					}
					if i%10 == 3 {
						points[i].Vector = points[i-1].Vector // they share a slot
					}
					model[points[i].ID] = points[i]
				}
				must(t, c.Upsert(ctx, points))
				var gone []string
				for i := range 60 {
					gone = append(gone, fmt.Sprint("p", (round*31+i)%400))
					delete(model, gone[i])
				}
				must(t, c.Delete(ctx, gone))
				checkDistances(t, c, model)
				if full == (kept() == 0) || full == (warned == 0) {
					t.Fatalf("%d vectors are kept in memory, %d warnings", kept(), warned)
				}
				if round%3 == 1 {
					must(t, c.Snapshot(ctx))
					if kept() > 0 || rows.fresh.count() > 0 {
						t.Fatalf("after a snapshot %d vectors are kept in memory, %d lie beside it", kept(), rows.fresh.count())
					}
					checkDistances(t, c, model)
				}
				if round == 7 && !full {
					s = reopen(t, s, dir)
					c = collectionOf(t, s, "c")
					rows = c.engine.(*graph).disk.rows
					checkDistances(t, c, model)
				}
			}
			checkGraph(t, c.engine.(*graph))
		})
	}
}

// TestRowsWrittenBesideASnapshot: what is written while a snapshot comes to the disk is not read from it.
func TestRowsWrittenBesideASnapshot(t *testing.T) {
	const n = 40
	r := &rowFile{dim: 3, path: filepath.Join(t.TempDir(), "rows"), warn: func(err error) { t.Error(err) }}
	tmp := make([]float32, 16)
	put := func(slot uint32, x float32) {
		r.take(slot)
		r.write(slot, []float32{x, x + 1, x + 2}, tmp)
	}
	r.open()
	for i := range uint32(n) {
		put(i, float32(i))
	}
	path := filepath.Join(t.TempDir(), "snapshot")
	f, err := os.Create(path)
	must(t, err)
	_, err = f.WriteString("head")
	must(t, err)
	must(t, r.copyTo(f, n, func(slot uint32) bool { return slot != 7 }))
	must(t, f.Close())
	put(5, 500)
	put(n, 900)
	must(t, r.rebase(path, 4))
	if r.fresh.count() != 2 {
		t.Errorf("%d rows beside the snapshot, want 2", r.fresh.count())
	}
	for i := range uint32(n + 1) {
		want := map[uint32]float32{5: 500, n: 900}[i]
		if want == 0 {
			want = float32(i)
		}
		if err := r.read(i, tmp); err != nil || tmp[0] != want || tmp[2] != want+2 || tmp[3] != 0 {
			t.Errorf("slot %d: %v, %v, want %v", i, tmp[:4], err, want)
		}
	}
	if _, err := os.Stat(r.path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file still has its name: %v", err)
	}
	must(t, r.close())
	if err := r.read(1, tmp); !errors.Is(err, ErrCorrupt) {
		t.Errorf("after close: %v", err)
	}
}

// TestRowDamaged flips a byte of each file that rows are read from: searches say so instead of giving a wrong distance, and what
// opens the store again answers.
func TestRowDamaged(t *testing.T) {
	const dim = 6
	dir := t.TempDir()
	s := openStore(t, dir)
	c, err := s.Create("c", Config{Dimension: dim, Metric: L2, Quantization: QuantizationInt8Disk})
	must(t, err)
	points := manyPoints(900, dim)
	model := map[string]Point{}
	for _, p := range points {
		model[p.ID] = p
	}
	must(t, c.Upsert(ctx, points))
	rows := c.engine.(*graph).disk.rows
	damaged := func(f *os.File, at int64) {
		t.Helper()
		b := make([]byte, 1)
		_, err := f.ReadAt(b, at)
		must(t, err)
		b[0] ^= 4
		_, err = f.WriteAt(b, at)
		must(t, err)
		slot := uint32(0)
		_, err = c.Search(ctx, model[c.engine.(*graph).owner[slot].id].Vector, 1, Params{EF: 20})
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), c.engine.(*graph).owner[slot].id) || !strings.Contains(err.Error(), "akin verify") {
			t.Fatalf("a search for a damaged vector: %v", err)
		}
	}
	damaged(rows.own, 9)
	if err := s.Close(); !errors.Is(err, ErrCorrupt) { // there is no snapshot to make of it
		t.Fatalf("closing: %v", err)
	}
	s = openStore(t, dir)
	c = collectionOf(t, s, "c")
	checkDistances(t, c, model)
	must(t, c.Snapshot(ctx))
	rows = c.engine.(*graph).disk.rows
	f, err := os.OpenFile(rows.base.Name(), os.O_RDWR, 0)
	must(t, err)
	damaged(f, rows.at+9)
	must(t, f.Close())
	s = reopen(t, s, dir)
	checkDistances(t, collectionOf(t, s, "c"), model)
}
