package index

import (
	"errors"
	"fmt"
	"sync"
	"testing"
)

// TestRelabelLosesNothing: a point that gets other labels while it is written keeps what was written last, and its payload and raw input.
func TestRelabelLosesNothing(t *testing.T) {
	s, err := Open(t.TempDir(), StoreOptions{})
	must(t, err)
	defer func() { must(t, s.Close()) }()
	c, err := s.Create("c", Config{Dimension: 2, ModelID: "m"})
	must(t, err)
	if err := c.Relabel(ctx, "p", "a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a point that is not there: %v", err)
	}
	if err := c.MoveAside(ctx, RoleAnomaly, []Point{{ID: "p", Label: "a"}}); !errors.Is(err, ErrNotFound) {
		t.Errorf("a point that is not there, aside: %v", err)
	}
	point := func(i int) Point {
		return Point{ID: "p", Vector: []float32{1, float32(i)}, Label: "a", Payload: map[string]any{"n": float64(i)}, Raw: []byte{byte(i)}}
	}
	must(t, c.Upsert(ctx, []Point{point(0)}))
	stop := make(chan struct{})
	var other sync.WaitGroup
	other.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				if err := c.Relabel(ctx, "p", fmt.Sprint(i%2)); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	for i := range 100 {
		must(t, c.Upsert(ctx, []Point{point(i)}))
		got, err := c.Get("p")
		must(t, err)
		if got[0].Payload["n"] != float64(i) || got[0].Raw[0] != byte(i) {
			t.Fatalf("after write %d the point has %v and %v", i, got[0].Payload, got[0].Raw)
		}
	}
	close(stop)
	other.Wait()
	must(t, c.Upsert(ctx, []Point{{ID: "p", Vector: []float32{3, 4}, Label: "a"}}))
	must(t, c.MoveAside(ctx, RoleAnomaly, []Point{{ID: "p", Label: "b", Vector: []float32{9, 9}}}))
	kept, err := c.Kept("p")
	must(t, err)
	if kept.Label != "b" || kept.Vector[0] == kept.Vector[1] || c.Len() != 0 {
		t.Errorf("aside is %+v, %d points are left", kept, c.Len())
	}
}
