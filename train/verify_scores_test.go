package train

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/akin-search/akin/encoder"
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
		if rec.Pairs != nil && (!slices.IsSorted(rec.Pairs.Same) || !slices.IsSorted(rec.Pairs.Different) || len(rec.Pairs.Same) != pairScores || len(rec.Pairs.Different) != pairScores) {
			t.Errorf("%d and %d scores, want %d of each, sorted", len(rec.Pairs.Same), len(rec.Pairs.Different), pairScores)
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

func TestHalves(t *testing.T) {
	f := []encoder.Features{{Data: []float32{1, 2, 3, 4, 5, 6}, Shape: []int{2, 3, 1}}, {Data: []float32{7, 8}, Shape: []int{2, 1, 1}}}
	parts, of := halves(f, []int{4, 5})
	if len(parts) != 2 || !slices.Equal(of, []int{4, 4}) || !slices.Equal(parts[0].Data, []float32{1, 4}) || !slices.Equal(parts[1].Data, []float32{2, 3, 5, 6}) || !slices.Equal(parts[1].Shape, []int{2, 2, 1}) {
		t.Errorf("%+v of %v", parts, of)
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
