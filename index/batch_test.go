package index

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
)

// batchOf makes queries of all kinds.
func batchOf(n, dim int) []Query {
	r := rand.New(rand.NewPCG(3, 4))
	queries := make([]Query, n)
	for i := range queries {
		v := make([]float32, dim)
		for j := range v {
			v[j] = float32(r.NormFloat64())
		}
		queries[i] = Query{v, 1 + r.IntN(20), Params{EF: r.IntN(2) * 100, Exact: r.IntN(3) == 0}}
		if r.IntN(3) == 0 {
			queries[i].Params.ScoreThreshold = new(float32(0.2))
		}
	}
	return queries
}

func TestSearchBatch(t *testing.T) {
	const dim, n = 8, 1500
	s := openStore(t, t.TempDir())
	c, err := s.Create("c", Config{Dimension: dim})
	must(t, err)
	points := make([]Point, n)
	for i := range points {
		points[i] = Point{ID: fmt.Sprint(i), Vector: somePoint(i, 0, dim).Vector}
	}
	must(t, c.Upsert(ctx, points))
	queries := batchOf(300, dim)
	want := make([][]Hit, len(queries))
	for i, q := range queries {
		want[i], err = c.Search(ctx, q.Vector, q.K, q.Params)
		must(t, err)
	}
	got, err := c.SearchBatch(ctx, queries)
	must(t, err)
	if !reflect.DeepEqual(got, want) {
		t.Error("a batch differs from its searches one by one")
	}
	for _, threads := range []int{1, 7, MaxThreads} {
		got, err := SearchBatch(ctx, c.engine, queries, threads)
		must(t, err)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("a batch on %d threads differs from its searches one by one", threads)
		}
	}
	if got, err := c.SearchBatch(ctx, nil); err != nil || len(got) != 0 {
		t.Errorf("an empty batch: %v, %v", got, err)
	}

	// The first of several bad queries is named, always.
	for range 50 {
		bad := batchOf(40, dim)
		bad[39].Vector, bad[17].Vector, bad[23].Vector = nil, make([]float32, dim), bad[0].Vector[:3]
		_, err := SearchBatch(ctx, c.engine, bad, 5)
		var e *BatchError
		if !errors.As(err, &e) || e.Place != 17 || !errors.Is(err, ErrZeroVector) || !strings.Contains(err.Error(), "query 17: ") {
			t.Fatalf("bad queries 17, 23 and 39: %v", err)
		}
	}
	many := make([]Query, 11)
	for i := range many {
		many[i] = Query{Vector: queries[0].Vector, K: MaxK}
	}
	badK, badEF := batchOf(3, dim), batchOf(3, dim)
	badK[1].K, badEF[2].Params.EF = 0, -1
	for text, f := range map[string]func() ([][]Hit, error){
		"use up to 1000":        func() ([][]Hit, error) { return c.SearchBatch(ctx, batchOf(MaxBatch+1, dim)) },
		"ask for up to 100000":  func() ([][]Hit, error) { return c.SearchBatch(ctx, many) },
		"query 1: k 0":          func() ([][]Hit, error) { return c.SearchBatch(ctx, badK) },
		"query 2: ef -1":        func() ([][]Hit, error) { return c.SearchBatch(ctx, badEF) },
		"threads 0":             func() ([][]Hit, error) { return SearchBatch(ctx, c.engine, queries, 0) },
		"threads 1025: invalid": func() ([][]Hit, error) { return SearchBatch(ctx, c.engine, queries, MaxThreads+1) },
	} {
		if hits, err := f(); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), text) || hits != nil {
			t.Errorf("want %q: %v", text, err)
		}
	}
}

// slowIndex counts the searches that run at once, and cancels in the middle.
type slowIndex struct {
	Index
	running, most, asked atomic.Int64
	cancel               func()
}

func (s *slowIndex) Search(ctx context.Context, q []float32, k int, p Params) ([]Hit, error) {
	now := s.running.Add(1)
	defer s.running.Add(-1)
	for most := s.most.Load(); now > most && !s.most.CompareAndSwap(most, now); most = s.most.Load() {
	}
	switch n := s.asked.Add(1); {
	case n == 20:
		s.cancel()
	case n > 20: // is under way
		<-ctx.Done()
	}
	return nil, nil
}

func TestSearchBatchStops(t *testing.T) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &slowIndex{cancel: cancel}
	_, err := SearchBatch(ctx, s, batchOf(MaxBatch, 4), 3)
	if !errors.Is(err, context.Canceled) || s.most.Load() > 3 || s.asked.Load() > 22 {
		t.Errorf("%v after %d searches, %d at once", err, s.asked.Load(), s.most.Load())
	}
}
