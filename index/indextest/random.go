package indextest

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/akin-search/akin/index"
)

// model runs random operations on the index and on the oracle and compares.
func (s suite) model(t *testing.T) {
	const seed, steps, dim = 20, 400, 12
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, seed))
	p := s.pair(t, dim)
	v := Clustered(r, 3000, dim, 25, 0.5)
	id := func() string { return names("p", r.IntN(1500), 1)[0] }
	var sum float64
	searches := 0
	for step := range steps {
		switch n := r.IntN(10); {
		case n < 5:
			count := 1 + r.IntN(12)
			if r.IntN(20) == 0 {
				count = 600
			}
			ids, vectors := make([]string, count), make([][]float32, count)
			for i := range ids {
				ids[i], vectors[i] = id(), v[r.IntN(len(v))]
				if r.IntN(4) == 0 {
					vectors[i] = v[r.IntN(4)] // many equal ones
				}
			}
			p.upsert(ids, vectors)
		case n < 7:
			ids := make([]string, r.IntN(30))
			if r.IntN(40) == 0 {
				ids = make([]string, 1200)
			}
			for i := range ids {
				ids[i] = id()
			}
			p.delete(ids...)
		default:
			q := v[r.IntN(len(v))]
			_, recall := p.search(q, 1+r.IntN(20), index.Params{EF: r.IntN(2) * 32})
			sum += recall
			searches++
			if step%4 == 0 {
				p.exact(q, 1+r.IntN(200))
			}
		}
	}
	if mean := sum / float64(searches); mean < s.Recall-0.01 {
		t.Errorf("seed %d: recall %.4f, want %.4f", seed, mean, s.Recall-0.01)
	}
}

// concurrent searches while points come, change and go. The race detector is the judge of the rest.
func (s suite) concurrent(t *testing.T) {
	const dim, n = 8, 1200
	p := s.pair(t, dim)
	v := Clustered(rand.New(rand.NewPCG(8, 8)), n, dim, 10, 0.5)
	ids := names("p", 0, n)
	p.upsert(ids[:600], v[:600]) // 300 to 599 stay for good
	stop := make(chan struct{})
	var searchers, writers sync.WaitGroup
	for i := range 2 {
		searchers.Go(func() {
			r := rand.New(rand.NewPCG(9, uint64(i)))
			for {
				select {
				case <-stop:
					return
				default:
				}
				at := 300 + r.IntN(300)
				hits, err := p.index.Search(context.Background(), v[at], 10, index.Params{Exact: r.IntN(4) == 0})
				if err != nil || len(hits) != 10 || !slices.IsSortedFunc(hits, byDistance) {
					t.Errorf("search beside writes: %d hits, %v", len(hits), err)
					return
				}
				p.index.Len()
			}
		})
	}
	for i := range 2 {
		writers.Go(func() {
			r := rand.New(rand.NewPCG(10, uint64(i)))
			for range 40 {
				from := r.IntN(300)
				if r.IntN(2) == 0 {
					from = 600 + r.IntN(500)
				}
				to := min(from+1+r.IntN(80), n)
				if from < 300 {
					to = min(to, 300)
				}
				var err error
				if r.IntN(3) == 0 {
					err = p.index.Delete(ids[from:to])
				} else {
					err = p.index.Upsert(ids[from:to], v[from:to])
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	searchers.Wait()
	// Writes settled: bring the index to a known state.
	if err := p.index.Delete(ids); err != nil {
		t.Fatal(err)
	}
	p.upsert(ids, v)
	for i := 0; i < n; i += 97 {
		p.exact(v[i], 20)
	}
}

func byDistance(a, b index.Hit) int {
	switch {
	case a.Distance < b.Distance:
		return -1
	case a.Distance > b.Distance:
		return 1
	}
	return 0
}
