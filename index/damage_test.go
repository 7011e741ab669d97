package index

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var (
	damageFlips = flag.Int("damage.flips", 1, "how many bytes TestFlippedBytes flips in each kind of file")
	damageSeed  = flag.Uint64("damage.seed", 1, "seed of TestFlippedBytes")
)

// envDamageDir makes this test binary open a store and look at everything in it: badger may end the process.
const envDamageDir = "INDEX_TEST_DAMAGE_DIR"

// damageModel is what the stores of TestFlippedBytes hold.
func damageModel() map[string]Point {
	model := map[string]Point{}
	for i := range 300 {
		p := somePoint(i, 0, crashDim())
		if i%60 == 7 { // in the value log
			r := rand.NewChaCha8([32]byte{byte(i)})
			p.Raw = make([]byte, inlineSize+1000)
			_, _ = r.Read(p.Raw) // it cannot fail
		}
		model[p.ID] = p
	}
	return model
}

// damageChild opens a damaged store. Right are an error that says what to do, or right answers; a record or raw input that
// cannot be read may say so.
func damageChild(dir string) error {
	model := damageModel()
	s, err := Open(dir, StoreOptions{})
	if err != nil {
		if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrFormat) {
			return fmt.Errorf("error without a sentinel: %w", err)
		}
		fmt.Println("refused:", err)
		return nil
	}
	c, err := s.Collection("c")
	if err != nil {
		return err
	}
	if c.Len() != len(model) {
		return fmt.Errorf("%d points of %d", c.Len(), len(model))
	}
	unread := 0
	for id, want := range model {
		got, err := c.Get(id)
		switch {
		case errors.Is(err, ErrCorrupt):
			unread++
		case err != nil:
			return fmt.Errorf("point %q: %w", id, err)
		case got[0].Label != want.Label || string(got[0].Raw) != string(want.Raw):
			return fmt.Errorf("point %q came back otherwise", id)
		}
		hits, err := c.Search(ctx, want.Vector, 1, Params{})
		if err != nil || len(hits) != 1 || hits[0].ID != id {
			return fmt.Errorf("searching point %q: %v, %v", id, hits, err)
		}
	}
	seen := 0
	err = c.Each(ctx, func(p Point) error {
		if want := model[p.ID]; string(want.Raw) != string(p.Raw) || want.Label != p.Label {
			return fmt.Errorf("Each gives another point %q", p.ID)
		}
		seen++
		return nil
	})
	if err != nil && !errors.Is(err, ErrCorrupt) || err == nil && seen != len(model) {
		return fmt.Errorf("Each: %d points, %w", seen, err)
	}
	if err := c.Upsert(ctx, []Point{somePoint(1, 0, crashDim())}); err != nil && !errors.Is(err, ErrCorrupt) {
		return err
	}
	if err := s.Close(); err != nil && !errors.Is(err, ErrCorrupt) {
		return err
	}
	fmt.Println("opened; records that cannot be read:", unread)
	return nil
}

// TestFlippedBytes flips single bytes of all files of a store, one at a time: of one that was closed, and of one whose process
// was killed. Open has to work and give right answers, or to say what to do.
func TestFlippedBytes(t *testing.T) {
	t.Logf("seed %d (-damage.seed)", *damageSeed)
	r := rand.New(rand.NewPCG(*damageSeed, 0))
	closed, killed := filepath.Join(t.TempDir(), "closed"), filepath.Join(t.TempDir(), "killed")
	s, err := Open(closed, StoreOptions{})
	must(t, err)
	c, err := s.Create("c", Config{Dimension: crashDim()})
	must(t, err)
	model := damageModel()
	points := make([]Point, 0, len(model))
	for i := range len(model) {
		points = append(points, model[somePoint(i, 0, crashDim()).ID])
	}
	for i := 0; i < len(points); i += 50 {
		must(t, c.Upsert(ctx, points[i:i+50]))
	}
	copySparse(t, killed, closed)
	must(t, s.Close())
	outcomes := map[string]int{}
	for _, dir := range []string{closed, killed} {
		for _, pattern := range []string{"*.sst", "*.mem", "*.vlog", "MANIFEST", "KEYREGISTRY", "DISCARD", "snapshot-*"} {
			paths, err := filepath.Glob(filepath.Join(dir, pattern))
			must(t, err)
			for range *damageFlips {
				if len(paths) == 0 {
					break
				}
				name := filepath.Base(paths[r.IntN(len(paths))])
				content, err := os.ReadFile(filepath.Join(dir, name))
				must(t, err)
				used := len(strings.TrimRight(string(content), "\x00"))
				if used == 0 {
					continue
				}
				at, bit := r.IntN(used), r.IntN(8)
				if r.IntN(3) == 0 { // where lengths are
					at = max(0, used-1-r.IntN(64))
				}
				damaged := filepath.Join(t.TempDir(), "damaged")
				copySparse(t, damaged, dir)
				content[at] ^= 1 << bit
				must(t, os.WriteFile(filepath.Join(damaged, name), content, 0o644))
				cmd := exec.Command(os.Args[0])
				cmd.Env = append(os.Environ(), envDamageDir+"="+damaged)
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Errorf("%s %s, byte %d of %d (%d in use), bit %d: %v\n%s", filepath.Base(dir), name, at, len(content), used, bit, err, head(out))
				}
				word, _, _ := strings.Cut(string(out), ":")
				outcomes[filepath.Base(dir)+" "+pattern+" "+word]++
				must(t, os.RemoveAll(damaged))
			}
		}
	}
	t.Log(outcomes)
}

func head(b []byte) []byte { return b[:min(len(b), 1500)] }
