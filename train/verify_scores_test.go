package train

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
)

// TestScorePairs: the scores of items kept aside are sorted, tell classes apart that were learned, and are the same on any number of threads;
// those of sounds that are alone in their class come of their halves.
func TestScorePairs(t *testing.T) {
	data, held := chirps(24, 1), chirps(8, 2)
	o := Options{Epochs: 8, Batch: 24, Dimension: 16, Seed: 3}
	m, err := Run(t.Context(), data, held, o)
	if err != nil {
		t.Fatal(err)
	}
	scored := func(data, held Dataset, threads int) *PairScores {
		c, o := *m, o
		o.Threads = threads
		if err := ScorePairs(t.Context(), &c, data, held, o); err != nil {
			t.Fatal(err)
		}
		var rec Record
		if err := json.Unmarshal(c.Record, &rec); err != nil {
			t.Fatal(err)
		}
		if rec.Pairs != nil && (!slices.IsSorted(rec.Pairs.Same) || !slices.IsSorted(rec.Pairs.Different) || len(rec.Pairs.Same) == 0 || len(rec.Pairs.Different) == 0) {
			t.Errorf("%d and %d scores, want some of each, sorted", len(rec.Pairs.Same), len(rec.Pairs.Different))
		}
		return rec.Pairs
	}
	p := scored(data, held, 1)
	if p.EER > 0.1 || p.AUROC < 0.95 || p.Unknown || p.Halves || p.Classes != 3 {
		t.Errorf("EER %g, AUROC %g, unknown %v, halves %v, %d classes", p.EER, p.AUROC, p.Unknown, p.Halves, p.Classes)
	}
	if q := scored(data, held, 3); !slices.Equal(p.Same, q.Same) || !slices.Equal(p.Different, q.Different) {
		t.Error("other scores on three threads")
	}
	some, single := data.Subset([]int{0, 1, 2}), held.Subset([]int{8, 16})
	if q := scored(some, single, 1); !q.Halves || !q.Unknown || q.Classes != 2 {
		t.Errorf("one sound a class: halves %v, unknown %v, %d classes", q.Halves, q.Unknown, q.Classes)
	}
	for name, d := range map[string]Dataset{"nothing": {Classes: held.Classes}, "one class": held.Subset([]int{0, 1}), "one item": held.Subset([]int{0})} {
		if q := scored(data, d, 1); q != nil {
			t.Errorf("%s kept aside is scored: %+v", name, q)
		}
	}
}

// TestDistinctPairs: all pairs where they are few, and else pairScores of each kind, none twice.
func TestDistinctPairs(t *testing.T) {
	for _, rows := range []int{24, 200, 2 * pairRows} {
		emb, labels := kernel.NewMatrix(rows, 2), make([]int, rows)
		for i := range labels {
			labels[i] = i % 4
			emb.Row(i)[labels[i]%2] = 1
		}
		count, seen := [2]int{}, map[[2]int]bool{}
		pairs := distinctPairs(emb, labels, 1)
		for i, p := range pairs {
			kind := 0
			if p.same {
				kind = 1
			}
			count[kind]++
			if p.a <= p.b || seen[[2]int{p.a, p.b}] || p.same != (labels[p.a] == labels[p.b]) || p.score != dot(emb.Row(p.a), emb.Row(p.b)) || i > 0 && p.score > pairs[i-1].score {
				t.Fatalf("%d rows: pair %+v", rows, p)
			}
			seen[[2]int{p.a, p.b}] = true
		}
		same := 4 * (rows / 4) * (rows/4 - 1) / 2
		if want := [2]int{min(pairScores, rows*(rows-1)/2-same), min(pairScores, same)}; count != want {
			t.Errorf("%d rows: %v pairs, want %v", rows, count, want)
		}
	}
}

func TestCutSounds(t *testing.T) {
	f := []encoder.Features{{Data: []float32{1, 2, 3, 4, 5, 6}, Shape: []int{2, 3, 1}}, {Data: []float32{7, 8}, Shape: []int{2, 1, 1}}}
	parts, of := CutSounds(f, []int{4, 5}, 2, 0)
	if len(parts) != 2 || !slices.Equal(of, []int{4, 4}) || !slices.Equal(parts[0].Data, []float32{1, 4}) || !slices.Equal(parts[1].Data, []float32{2, 3, 5, 6}) || !slices.Equal(parts[1].Shape, []int{2, 2, 1}) {
		t.Errorf("%+v of %v", parts, of)
	}
	f[1] = encoder.Features{Data: []float32{1, 2, 3, 4, 5, 6, 7, 8}, Shape: []int{1, 8, 1}}
	parts, of = CutSounds(f, []int{4, 5}, 3, 4)
	if len(parts) != 3 || !slices.Equal(of, []int{5, 5, 5}) || !slices.Equal(parts[0].Data, []float32{1, 2, 3, 4}) || !slices.Equal(parts[1].Data, []float32{3, 4, 5, 6}) || !slices.Equal(parts[2].Data, []float32{5, 6, 7, 8}) {
		t.Errorf("overlapping: %+v of %v", parts, of)
	}
}

func TestSplitClasses(t *testing.T) {
	d := speakers(0, 0, 0, 1)
	for i, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		d.Classes = append(d.Classes, name)
		for _, n := range []string{"1", "2"} {
			d.IDs, d.Raw, d.Labels = append(d.IDs, name+n), append(d.Raw, []byte{1}), append(d.Labels, i)
		}
	}
	rest, part, err := d.SplitClasses(0.5, 1)
	if err != nil || rest.Len()+part.Len() != d.Len() || part.Len()%2 != 0 {
		t.Fatalf("%d and %d items, %v", rest.Len(), part.Len(), err)
	}
	for _, l := range part.Labels {
		if slices.Contains(rest.Labels, l) {
			t.Errorf("class %s is on both sides", d.Classes[l])
		}
	}
	if _, again, _ := d.SplitClasses(0.5, 1); !slices.Equal(again.IDs, part.IDs) {
		t.Errorf("%v, then %v", part.IDs, again.IDs)
	}
	if _, _, err := d.SplitClasses(0.01, 1); !errors.Is(err, ErrDataset) {
		t.Errorf("hardly any: %v, want ErrDataset", err)
	}
	if _, _, err := d.SplitClasses(1, 1); err == nil {
		t.Error("a share of 1 was accepted")
	}
}
