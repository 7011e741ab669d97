package index

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestMaxMemory fills stores until they are full: nothing of a refused write may be there, what fits has to stay below the limit
// by the store's own count, and a smaller limit has to keep it closed.
func TestMaxMemory(t *testing.T) {
	const dim = 48
	for _, c := range []Config{{Engine: EngineGraph}, {Engine: EngineFlat}, {Engine: EngineGraph, Quantization: QuantizationInt8, Metric: Dot},
		{Engine: EngineGraph, Quantization: QuantizationInt8Disk}} {
		c.Dimension = dim
		t.Run(fmt.Sprint(c.Engine, c.Quantization), func(t *testing.T) {
			const limit = 1 << 20
			dir := t.TempDir()
			s, err := Open(dir, StoreOptions{MaxMemory: limit})
			must(t, err)
			other, err := s.Create("other", Config{Dimension: 3})
			must(t, err)
			must(t, other.Upsert(ctx, []Point{somePoint(1, 0, 3)}))
			col, err := s.Create("c", c)
			must(t, err)
			n := 0
			for ; ; n++ {
				points := make([]Point, 100)
				for i := range points {
					points[i] = somePoint(100*n+i, 0, dim)
					points[i].Raw = nil
				}
				if err = col.Upsert(ctx, points); err != nil {
					break
				}
			}
			if !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), size(limit)) || !strings.Contains(err.Error(), "--max-memory") {
				t.Fatalf("after %d points: %v", 100*n, err)
			}
			if col.Len() != 100*n || n < 5 {
				t.Errorf("%d points after %d writes", col.Len(), n)
			}
			_, err = col.Get(somePoint(100*n, 0, dim).ID)
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("a point of the refused write: %v", err)
			}
			var used int64
			for _, b := range s.budget.used {
				used += b
			}
			if used > limit || used < limit/3 {
				t.Errorf("%d bytes of %d are in use", used, limit)
			}
			if sized := col.engine.(Sized).Bytes(); sized > used {
				t.Errorf("the engine has %d bytes, %d are counted", sized, used)
			}
			// Another collection is full too; what is dropped or deleted makes room.
			if err := other.Upsert(ctx, manyPoints(20_000, 3)); !errors.Is(err, ErrFull) {
				t.Errorf("the other collection: %v", err)
			}
			must(t, s.Close())
			if _, err := Open(dir, StoreOptions{MaxMemory: used / 2}); !errors.Is(err, ErrFull) {
				t.Errorf("open with half the memory: %v", err)
			}
			s, err = Open(dir, StoreOptions{MaxMemory: limit})
			must(t, err)
			must(t, s.Drop("c"))
			must(t, collectionOf(t, s, "other").Upsert(ctx, manyPoints(900, 3)))
			must(t, s.Close())
		})
	}
	if _, err := Open(t.TempDir(), StoreOptions{MaxMemory: -1}); !errors.Is(err, ErrInvalid) {
		t.Errorf("a negative limit: %v", err)
	}
}

func manyPoints(n, dim int) []Point {
	points := make([]Point, n)
	for i := range points {
		points[i] = somePoint(i, 0, dim)
		points[i].Raw = nil
	}
	return points
}
