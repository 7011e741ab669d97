package index

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// diskUse is what the files of a directory take, holes not counted, by the ends of their names.
func diskUse(t testing.TB, dir string) map[string]int64 {
	t.Helper()
	use := map[string]int64{}
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		must(t, err)
		use[filepath.Ext(e.Name())] += int64(len(strings.TrimRight(string(content), "\x00")))
	}
	return use
}

// TestCompactGivesSpaceBack replaces and deletes large raw inputs.
func TestCompactGivesSpaceBack(t *testing.T) {
	const n, size = 120, 1 << 20
	dir := t.TempDir()
	s := openStore(t, dir)
	c, err := s.Create("c", Config{Dimension: 4})
	must(t, err)
	r := rand.NewChaCha8([32]byte{7})
	write := func(version int) map[string]Point {
		model := map[string]Point{}
		for i := range n {
			p := Point{ID: fmt.Sprint("p", i), Vector: []float32{1, float32(i), float32(version), 0}, Raw: make([]byte, size)}
			_, _ = r.Read(p.Raw) // it cannot fail
			must(t, c.Upsert(ctx, []Point{p}))
			model[p.ID] = p
		}
		return model
	}
	write(0)
	model := write(1)
	if s.garbage.Load() != n*size {
		t.Errorf("%d bytes are counted as garbage, want %d", s.garbage.Load(), n*size)
	}
	for i := range n / 2 {
		id := fmt.Sprint("p", i)
		must(t, c.Delete(ctx, []string{id}))
		delete(model, id)
	}
	before := diskUse(t, dir)[".vlog"]
	must(t, s.Compact(ctx))
	after := diskUse(t, dir)[".vlog"]
	// What is left, the file that is being written, and half garbage in the others.
	if limit := int64(2*len(model)*size + valueLogFile); before < 2*n*size || after > limit || s.garbage.Load() != 0 {
		t.Errorf("%d bytes became %d, want at most %d", before, after, limit)
	}
	checkCollection(t, c, model)
	s = reopen(t, s, dir)
	checkCollection(t, collectionOf(t, s, "c"), model)
	must(t, s.Drop("c"))
	must(t, s.Compact(ctx))
	if after := diskUse(t, dir)[".vlog"]; after > valueLogFile {
		t.Errorf("%d bytes are left of a dropped collection", after)
	}
}

// TestWritesBesideCompact: no write may fail while badger blocks its own.
func TestWritesBesideCompact(t *testing.T) {
	s := openStore(t, t.TempDir())
	c, err := s.Create("c", Config{Dimension: 4})
	must(t, err)
	done := make(chan error)
	go func() {
		var err error
		for range 10 {
			if err = s.Compact(ctx); err != nil {
				break
			}
		}
		done <- err
	}()
	for i := 0; ; i++ {
		select {
		case err := <-done:
			must(t, err)
			return
		default:
			must(t, c.Upsert(ctx, []Point{somePoint(i%50, i, 4)}))
			must(t, c.Delete(ctx, []string{somePoint(i*7%50, 0, 4).ID}))
			if i%10 == 0 {
				must(t, c.Snapshot(ctx))
			}
		}
	}
}

// TestCloseLeavesNothing: neither goroutines nor open files.
func TestCloseLeavesNothing(t *testing.T) {
	files := func() []string {
		var names []string
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("open files cannot be counted here:", err)
		}
		for _, e := range entries {
			if name, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
				names = append(names, name)
			}
		}
		return names
	}
	open := func() {
		dir := t.TempDir()
		s, err := Open(dir, StoreOptions{ShadowRate: 1})
		must(t, err)
		c, err := s.Create("c", Config{Dimension: 4})
		must(t, err)
		must(t, c.Upsert(ctx, manyPoints(300, 4)))
		_, err = c.Search(ctx, []float32{1, 2, 3, 4}, 3, Params{})
		must(t, err)
		s.litter(garbageLimit)
		must(t, s.Close())
		for _, name := range files() {
			if strings.HasPrefix(name, dir) {
				t.Errorf("%s is open", name)
			}
		}
	}
	open() // what is started once
	before := runtime.NumGoroutine()
	for range 3 {
		open()
	}
	for range 100 { // goroutines that have been told end soon
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	stacks := make([]byte, 1<<20)
	t.Errorf("%d goroutines were %d:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
}
