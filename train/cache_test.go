package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/akin-search/akin/encoder"
)

// stripeFiles writes pictures of stripes in two classes, and returns their folder.
func stripeFiles(t *testing.T, n int) string {
	t.Helper()
	dir, rng := t.TempDir(), rand.New(rand.NewPCG(1, 2))
	for i := range n {
		m := image.NewGray(image.Rect(0, 0, 12, 12))
		for p := range 144 {
			at := p / 12
			if i%2 == 1 {
				at = p % 12
			}
			m.SetGray(p%12, p/12, color.Gray{uint8(at%3*90 + rng.IntN(60))})
		}
		var b bytes.Buffer
		if err := png.Encode(&b, m); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, fmt.Sprint("class", i%2), fmt.Sprintf("%03d.png", i)), b.Bytes())
	}
	return dir
}

// TestBeyondMemory: data of which neither the files nor the features may stay in memory give the same hash, split and model.
func TestBeyondMemory(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files cannot be mapped on windows here")
	}
	dir := stripeFiles(t, 80)
	load := func(limit int64) (rest, held Dataset) {
		before := mostHeld
		mostHeld = limit
		defer func() { mostHeld = before }()
		d, skipped, err := Folder(dir)
		if err != nil || len(skipped) > 0 || d.Len() != 80 {
			t.Fatalf("%d items, skipped %v, error %v", d.Len(), skipped, err)
		}
		n := 0
		for _, raw := range d.Raw {
			if raw != nil {
				n++
			}
		}
		if limit < 1<<20 && !(n > 0 && n < 20) || limit >= 1<<20 && n != 80 {
			t.Fatalf("limit %d: %d items are held", limit, n)
		}
		if err := d.Validate(); err != nil {
			t.Fatal(err)
		}
		if rest, held, err = d.Split(0.2, 1); err != nil {
			t.Fatal(err)
		}
		return rest, held
	}
	o := Options{Epochs: 2, Batch: 16, Dimension: 8, Threads: 2, Seed: 1}
	rest, held := load(1 << 20)
	want := modelBytes(t, mustRun(t, rest, held, o))
	fewRest, fewHeld := load(2000)
	if hashOf(t, fewRest) != hashOf(t, rest) {
		t.Error("items that are not held hash otherwise")
	}
	beside := t.TempDir()
	o.Checkpoint = filepath.Join(beside, "model.ckpt")
	for _, memory := range []int64{1, 20_000} { // nothing, and a part, stays in memory
		o.Memory = memory
		o.Begin = func(Options) {
			if files, err := os.ReadDir(beside); err != nil || len(files) > 0 {
				t.Errorf("features have a name on disk: %v, %v", files, err)
			}
		}
		if got := modelBytes(t, mustRun(t, fewRest, fewHeld, o)); !bytes.Equal(got, want) {
			t.Errorf("memory %d: another model", memory)
		}
		if err := os.Remove(o.Checkpoint); err != nil {
			t.Fatal(err)
		}
	}
	o.Checkpoint = filepath.Join(beside, "no such folder", "model.ckpt")
	if _, err := Run(context.Background(), fewRest, fewHeld, o); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "raise the limit") {
		t.Errorf("no folder for the file: error %v", err)
	}
	o.Checkpoint, o.Memory = "", -1
	if _, err := Run(context.Background(), rest, held, o); !errors.Is(err, ErrOptions) {
		t.Errorf("memory -1: error %v", err)
	}
	if err := os.Remove(fewRest.Files[fewRest.Len()-1]); err != nil {
		t.Fatal(err)
	}
	if _, err := fewRest.Hash(); !errors.Is(err, ErrDataset) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is gone: error %v", err)
	}
}

// steady decodes to as many numbers as it says, so that nothing else takes memory.
type steady int

func (s steady) Decode(raw []byte) (encoder.Features, error) {
	f := encoder.Features{Data: make([]float32, s), Shape: []int{1, int(s), 1}}
	f.Data[0], f.Data[s-1] = float32(raw[0]), float32(raw[1])
	return f, nil
}

// TestCacheMemory: features beyond the limit do not stay in the heap, and come back as they were.
func TestCacheMemory(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files cannot be mapped on windows here")
	}
	const n, size = 200, 50_000 // 40 MB
	d := Dataset{Labels: make([]int, n)}
	for i := range n {
		d.IDs, d.Raw = append(d.IDs, fmt.Sprint(i)), append(d.Raw, []byte{byte(i), byte(i / 2)})
	}
	heap := func() float64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	for limit, most := range map[int64]float64{0: 1e6, 20e6: 21e6} {
		before := heap()
		c := newCache(t.TempDir(), limit)
		_, features, err := c.decode(context.Background(), steady(size), d, nil)
		if err != nil {
			t.Fatal(err)
		}
		if grown := heap() - before; grown > most || math.IsNaN(grown) {
			t.Errorf("limit %d: the heap grew by %.0f bytes", limit, grown)
		}
		for i, f := range features {
			if len(f.Data) != size || f.Data[0] != float32(byte(i)) || f.Data[size-1] != float32(byte(i/2)) || f.Data[1] != 0 {
				t.Fatalf("limit %d: item %d came back otherwise", limit, i)
			}
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}
