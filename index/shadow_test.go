package index

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

// shadowed opens a store that checks a share of its searches, and fills a collection with hard data.
func shadowedCollection(t *testing.T, rate float64, n int) (*Store, *Collection) {
	t.Helper()
	s, err := Open(t.TempDir(), StoreOptions{ShadowRate: rate})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	c, err := s.Create("c", Config{Dimension: 24, M: 4, Seed: 9})
	must(t, err)
	fill(t, c, 0, spread(rand.New(rand.NewPCG(7, 7)), n, 24, false))
	return s, c
}

// idle reports whether no check runs. One is counted a moment before it makes room for the next.
func idle(s *Store) bool { return len(s.shadowing.slots) == 0 }

func TestShadow(t *testing.T) {
	s, c := shadowedCollection(t, 1, 1500)
	queries := spread(rand.New(rand.NewPCG(8, 8)), 120, 24, false)
	third := &Filter{Must: []Condition{{Key: "third", Match: 1.0}}}
	var want [len(recallBuckets)]tally
	for i, q := range queries {
		k, p := 1+i%12, Params{EF: 12}
		if i%10 == 0 {
			p.Filter = third
		}
		hits, err := c.Search(ctx, q, k, p)
		must(t, err)
		p.Exact = true
		nearest, err := c.Search(ctx, q, k, p) // not checked: it is exact
		must(t, err)
		want[recallBucket(k)].add(matches(hits, nearest), len(nearest))
		clear(q) // the caller's again
		clear(hits)
		waitFor(t, "the check", func() bool { r := c.Recall(); return r.Checked+r.Dropped == uint64(i+1) && idle(s) })
	}
	got := c.Recall()
	if got.Checked != 120 || got.Dropped != 0 || len(got.Live) != 4 || got.Rate != 1 {
		t.Fatalf("%+v", got)
	}
	missed := 0
	for i, l := range got.Live {
		w := &want[i]
		missed += w.wanted - w.found
		if l.K != recallBuckets[i] || l.Queries != w.queries || l.Recall != w.recall() || l.Low > l.Recall || l.High < l.Recall || l.Low <= 0 || l.High > 1 {
			t.Errorf("live %+v, want %+v", l, w)
		}
	}
	if missed < 20 {
		t.Errorf("only %d hits were missed: this data shows nothing", missed)
	}
}

// TestShadowShare: the same searches are checked for the same seed, about as many as asked for, and none that comes while
// another is checked.
func TestShadowShare(t *testing.T) {
	s, c := shadowedCollection(t, 0.25, 300)
	q := spread(rand.New(rand.NewPCG(9, 9)), 1, 24, false)[0]
	var want uint64
	for n := range uint64(200) {
		if drawn(9, n+1, 0.25) {
			want++
		}
		_, err := c.Search(ctx, q, 3, Params{})
		must(t, err)
		waitFor(t, "the check", func() bool { return c.Recall().Checked == want && idle(s) })
	}
	if want < 30 || want > 70 {
		t.Errorf("%d of 200 searches were checked", want)
	}
	s.shadowing.slots <- struct{}{} // somebody is at it
	for range 100 {
		_, err := c.Search(ctx, q, 3, Params{})
		must(t, err)
	}
	<-s.shadowing.slots
	if r := c.Recall(); r.Checked != want || r.Dropped < 10 || r.Dropped > 40 {
		t.Errorf("while one was checked: %+v", r)
	}
	for _, rate := range []float64{-0.1, 1.1, math.NaN()} {
		if _, err := Open(t.TempDir(), StoreOptions{ShadowRate: rate}); !errors.Is(err, ErrInvalid) {
			t.Errorf("shadow rate %v: %v", rate, err)
		}
	}
	_, off := shadowedCollection(t, 0, 50)
	_, err := off.Search(ctx, q, 3, Params{})
	must(t, err)
	if r := off.Recall(); r.Checked+r.Dropped != 0 || off.shadow.searches.Load() != 0 {
		t.Errorf("without a rate: %+v", r)
	}
}

// TestShadowEnds: Close waits for what runs, cancels it, and nothing starts after it.
func TestShadowEnds(t *testing.T) {
	s, c := shadowedCollection(t, 1, 1500)
	queries := spread(rand.New(rand.NewPCG(10, 10)), 50, 24, false)
	for _, q := range queries {
		_, err := c.Search(ctx, q, 10, Params{RecallTarget: 0.9})
		must(t, err)
		_, err = c.Search(ctx, q, 10, Params{})
		must(t, err)
	}
	must(t, s.Close())
	if n := len(s.shadowing.slots) + len(s.measuring.slots); n != 0 {
		t.Errorf("%d still run after Close", n)
	}
	if s.measuring.start(&s.gate, nil) {
		t.Error("something starts after Close")
	}
	if _, err := c.Search(ctx, queries[0], 10, Params{RecallTarget: 0.9}); !errors.Is(err, ErrClosed) {
		t.Errorf("search after Close: %v", err)
	}
}

func TestWindow(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 11))
	var w window
	var all []share
	for range 2*shadowWindow + 123 {
		s := share{wanted: 1 + r.Int32N(20)}
		s.found = r.Int32N(s.wanted + 1)
		all = append(all, s)
		w.see(int(s.found), int(s.wanted))
	}
	var want tally
	for _, s := range all[len(all)-shadowWindow:] {
		want.add(int(s.found), int(s.wanted))
	}
	if w.found != want.found || w.wanted != want.wanted || w.queries != shadowWindow || math.Abs(w.squares-want.squares) > 1e-6 {
		t.Errorf("window %+v, want %+v", w.tally, want)
	}
}
