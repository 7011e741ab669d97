package train

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/akin-search/akin/encoder/kernel"
)

// zero is an objective that learns nothing.
func zero() Objective {
	return Stateless(func(_ kernel.Matrix, _ []int, grad kernel.Matrix) float32 { clear(grad.Data); return 0 })
}

// seen returns confusions that have seen all items, with their embeddings.
func seenConfusions(t *testing.T, items, anchors int) (*confusions, kernel.Matrix) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 31))
	emb, labels := unitRows(rng, items, 8, 3), make([]int, items)
	for i := range labels {
		labels[i] = i % 5
	}
	c, err := newConfusions(zero(), labels, 8, 20, 1000, anchors, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	c.Loss(&Batch{Items: integers(items), Labels: labels}, emb, kernel.NewMatrix(items, 8))
	return c, emb
}

// What the index finds against a comparison with all items.
func TestConfusionsAgainstExactSearch(t *testing.T) {
	const items = 800
	c, emb := seenConfusions(t, items, items)
	table, err := c.find(1)
	if err != nil {
		t.Fatal(err)
	}
	if len(table.anchors) < items*9/10 || len(table.near) != len(table.anchors)*confusionsKept {
		t.Fatalf("%d anchors of random rows in 5 classes, %d confusions", len(table.anchors), len(table.near))
	}
	agree, all := 0, 0
	for at, anchor := range table.anchors {
		order := integers(items)
		similarity := func(i int) (s float32) {
			for k, x := range emb.Row(anchor) {
				s += x * emb.Row(i)[k]
			}
			return s
		}
		slices.SortFunc(order, func(a, b int) int { return cmp.Compare(similarity(b), similarity(a)) })
		order = slices.DeleteFunc(order[:confusionNeighbours], func(i int) bool { return c.labels[i] == c.labels[anchor] })
		for i, item := range table.of(at) {
			if c.labels[item] == c.labels[anchor] {
				t.Fatalf("item %d and its confusion %d are of one class", anchor, item)
			}
			if all++; i < len(order) && order[i] == item {
				agree++
			}
		}
	}
	if float64(agree) < 0.9*float64(all) {
		t.Errorf("%d of %d confusions are those of an exact search", agree, all)
	}
	few, _ := seenConfusions(t, items, 50)
	if table, err = few.find(1); err != nil || len(table.anchors) > 50 || len(table.anchors) < 30 {
		t.Errorf("%d anchors, asked for 50: %v", len(table.anchors), err)
	}
}

// Overlaid batches hold items and their confusions, true labels, and dissimilar pairs; before anything is found they are plain.
func TestConfusedBatches(t *testing.T) {
	const items = 300
	for _, pairs := range []bool{false, true} {
		c, _ := seenConfusions(t, items, items)
		make2 := func() (plain, s Sampler) {
			var err error
			for _, to := range []*Sampler{&plain, &s} {
				if pairs {
					*to, err = NewPairs(c.labels, 40, 1)
				} else {
					*to, err = NewPK(c.labels, 5, 8, 1)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			return plain, newConfused(s, c, c.labels, pairs)
		}
		table, err := c.find(1)
		if err != nil {
			t.Fatal(err)
		}
		c.tables = []confusionTable{table}
		near := map[[2]int]bool{}
		for at, anchor := range table.anchors {
			for _, item := range table.of(at) {
				near[[2]int{anchor, item}] = true
			}
		}
		plain, s := make2()
		want, got := NewBatch(40), NewBatch(40)
		for step := range 60 {
			plain.Next(want)
			s.Next(got)
			changed, confusions := 0, 0
			for row, item := range got.Items {
				if got.Labels[row] != c.labels[item] {
					t.Fatalf("item %d of class %d is labelled %d", item, c.labels[item], got.Labels[row])
				}
				if item != want.Items[row] {
					changed++
				}
				if row > 1 && near[[2]int{got.Items[row-2], item}] || row > 0 && near[[2]int{got.Items[row-1], item}] {
					confusions++
				}
				if pairs && row%4 == 3 && (got.Labels[row] == got.Labels[row-1] || step >= 20 && step < 40 && !near[[2]int{got.Items[row-1], item}]) {
					t.Fatalf("step %d: rows %d and %d are no confused pair: %v", step, row-1, row, got)
				}
			}
			if inPeriod := step >= 20 && step < 40; inPeriod != (changed >= 15) || !inPeriod && changed > 0 || inPeriod && confusions < 4 {
				t.Fatalf("pairs %v, step %d: %d rows changed, %d are confusions of the anchor before", pairs, step, changed, confusions)
			}
		}
	}
}

// A step of a later period waits until its confusions are found, or until it is told to stop.
func TestConfusionsAreAwaited(t *testing.T) {
	c, emb := seenConfusions(t, 100, 100)
	ctx, cancel := context.WithCancel(context.Background())
	if !c.await(ctx, 19) {
		t.Error("the first period needs no confusions")
	}
	done := make(chan bool)
	go func() { done <- c.await(ctx, 20) }()
	for range 14 {
		c.Loss(&Batch{Items: integers(100), Labels: c.labels}, emb, kernel.NewMatrix(100, 8))
	}
	select {
	case <-done:
		t.Fatal("step 20 did not wait")
	case <-time.After(20 * time.Millisecond):
	}
	c.Loss(&Batch{Items: integers(100), Labels: c.labels}, emb, kernel.NewMatrix(100, 8)) // the 16th: four before
	if !<-done {
		t.Error("step 20 was stopped")
	}
	go func() { done <- c.await(ctx, 40) }()
	cancel()
	if <-done {
		t.Error("step 40 has its confusions")
	}
}

// A run whose objective keeps state ends in the same bits on any number of threads, and interrupted or not.
func TestStatefulRunsAreDeterministic(t *testing.T) {
	d, v := stripes(200, 1), stripes(30, 2)
	objectives := [][2]string{{"supcon", "index"}, {"moco", "batch"}, {"contrastive", "index"}, {"supcon", "memory"}, {"arcface", "batch"}}
	if raceDetector { // which takes sixteen times as long: what has goroutines of its own, and what has a network of its own
		objectives = objectives[:2]
	}
	for _, c := range objectives {
		o := quick(c[0])
		o.Negatives = c[1]
		want := modelBytes(t, mustRun(t, d, v, o))
		o.Threads = 3
		checkResumes(t, d, v, o, want, 3)
	}
}

func TestConfusionsRestore(t *testing.T) {
	c, _ := seenConfusions(t, 100, 100)
	table, err := c.find(1)
	if err != nil {
		t.Fatal(err)
	}
	c.tables = []confusionTable{table}
	state := c.State()
	again, _ := seenConfusions(t, 100, 100)
	if err := again.Restore(state); err != nil {
		t.Fatal(err)
	}
	if got, ok := again.table(20); !ok || !slices.Equal(got.near, table.near) || !slices.Equal(got.anchors, table.anchors) {
		t.Error("another table after restoring")
	}
	change := func(i int, v []float32) [][]float32 {
		s := slices.Clone(state)
		s[i] = v
		return s
	}
	for name, bad := range map[string][][]float32{
		"nothing": nil, "other data": change(0, make([]float32, 8)), "tables": change(1, numbers(3, 9)), "steps": change(1, numbers(-1, 1)),
		"cut": state[:3], "an item": change(4, numbers(slices.Repeat([]int{100}, len(table.near))...)), "an anchor": change(3, numbers(slices.Repeat([]int{-1}, len(table.anchors))...)),
		"fewer anchors": change(3, numbers(1)), "a period": change(2, nil), "more": append(slices.Clone(state), numbers(1)),
	} {
		if err := again.Restore(bad); !errors.Is(err, ErrCheckpoint) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
