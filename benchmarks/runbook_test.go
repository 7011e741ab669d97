package benchmarks

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/akin-search/akin/index"
)

// runbookOptions are quick ones, with stores in a folder of the test.
func runbookOptions(t testing.TB) RunbookOptions {
	t.Helper()
	return RunbookOptions{Rounds: 2, Phase: 30 * time.Millisecond, Threads: 2, Seed: 4, Folder: t.TempDir()}
}

type runbookReport interface{ WriteTable(io.Writer) error }

// runAny runs a runbook by name.
func runAny(ctx context.Context, r Runbook, d Data, o RunbookOptions) (runbookReport, error) {
	switch r {
	case RunbookChurn:
		return Churn(ctx, d, o)
	case RunbookFilter:
		return Filtered(ctx, d, o)
	case RunbookMixed:
		return Mixed(ctx, d, o)
	}
	return ColdStart(ctx, d, o, AskCold)
}

func TestParseRunbook(t *testing.T) {
	for _, r := range Runbooks() {
		if got, err := ParseRunbook(string(r)); got != r || err != nil {
			t.Errorf("%q: %q, %v", r, got, err)
		}
	}
	if _, err := ParseRunbook("chrun"); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "use churn, filter, cold-start, mixed") {
		t.Error(err)
	}
}

func TestRunbooksRefuse(t *testing.T) {
	d := smallMixture(t)
	tiny := d
	tiny.Base = d.Base[:39]
	for _, r := range Runbooks() {
		for _, c := range []struct {
			data     Data
			change   func(o *RunbookOptions)
			sentinel error
			want     string
		}{
			{d, func(o *RunbookOptions) { o.K = -1 }, ErrInvalid, "k -1"},
			{d, func(o *RunbookOptions) { o.EF = index.MaxEF + 1 }, ErrInvalid, "ef 100001"},
			{d, func(o *RunbookOptions) { o.Rounds = 1001 }, ErrInvalid, "rounds 1001"},
			{d, func(o *RunbookOptions) { o.Threads = -1 }, ErrInvalid, "threads -1"},
			{d, func(o *RunbookOptions) { o.Phase = -1 }, ErrInvalid, "use 1 ms to 1 h"},
			{d, func(o *RunbookOptions) { o.Quantization = "int1" }, index.ErrInvalid, `quantization "int1"`},
			{tiny, func(*RunbookOptions) {}, ErrData, "39 points for k 10; a runbook wants 40 or more"},
			{Data{Name: "none"}, func(*RunbookOptions) {}, ErrData, "0 points"},
		} {
			o := runbookOptions(t)
			o.Progress = func(line string) { t.Errorf("%q: was not refused up front", line) }
			c.change(&o)
			if _, err := runAny(context.Background(), r, c.data, o); !errors.Is(err, c.sentinel) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %q", r, err, c.want)
			}
		}
	}
	o := runbookOptions(t)
	o.Folder += "/nowhere"
	if _, err := Mixed(context.Background(), d, o); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// An interruption at any line of progress ends a runbook with context.Canceled, and its store is deleted.
func TestRunbooksCancelled(t *testing.T) {
	d := smallMixture(t)
	for _, r := range Runbooks() {
		run := func(stopAt int) (lines int, err error) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			o := runbookOptions(t)
			o.Progress = func(string) {
				if lines++; lines == stopAt {
					cancel()
				}
			}
			_, err = runAny(ctx, r, d, o)
			left, readErr := os.ReadDir(o.Folder)
			if readErr != nil || len(left) > 0 {
				t.Errorf("%s left %v behind, %v", r, left, readErr)
			}
			return lines, err
		}
		total, err := run(-1)
		if err != nil || total < 2 {
			t.Fatalf("%s: %d lines, %v", r, total, err)
		}
		for stop := 1; stop < total; stop++ {
			if lines, err := run(stop); !errors.Is(err, context.Canceled) || lines != stop {
				t.Errorf("%s stopped at line %d: %d lines, %v", r, stop, lines, err)
			}
		}
	}
}

// Other programs read these, and people the tables.
func TestRunbookReports(t *testing.T) {
	setup := []string{"runbook", "dataset", "k", "ef", "queries", "points", "dimension", "metric", "cpu", "threads", "seed", "quantization"}
	for r, c := range map[Runbook]struct{ keys, text []string }{
		RunbookChurn:     {[]string{"build_seconds", "fresh_recall", "fresh_qps", "rounds", "bar"}, []string{"fresh", "before inserts", "recall lost in 2 rounds"}},
		RunbookFilter:    {[]string{"build_seconds", "recall", "qps", "filters", "bar"}, []string{"50 %", "near", "far", "random", "the worst filter"}},
		RunbookMixed:     {[]string{"build_seconds", "idle", "writing", "rounds", "final_recall", "bar"}, []string{"idle", "writing", "median", "after"}},
		RunbookColdStart: {[]string{"build_seconds", "close_seconds", "store_bytes", "dropped", "seconds", "median_seconds", "bar"}, []string{"median s", "first right answer"}},
	} {
		report, err := runAny(context.Background(), r, smallMixture(t), runbookOptions(t))
		if err != nil {
			t.Fatalf("%s: %v", r, err)
		}
		b, err := json.Marshal(report)
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		for _, key := range append(slices.Clone(setup), c.keys...) {
			if _, ok := got[key]; !ok {
				t.Errorf("%s: no key %q in %s", r, key, b)
			}
		}
		if want := len(setup) + len(c.keys); len(got) != want || got["runbook"] != string(r) || got["metric"] != "l2" || got["ef"] != 48.0 {
			t.Errorf("%s: %d keys, want %d: %s", r, len(got), want, b)
		}
		var table strings.Builder
		if err := report.WriteTable(&table); err != nil {
			t.Fatal(err)
		}
		for _, want := range append(c.text, string(r)+" on gmm: 1500 points × 16, l2, float32, k = 10, ef = 48") {
			if !strings.Contains(table.String(), want) {
				t.Errorf("%s: no %q in\n%s", r, want, table.String())
			}
		}
	}
}

func TestBar(t *testing.T) {
	if b := bar("loss", 0.003, 0.003); !b.Passed || b.String() != "loss: 0.003, at most 0.003: passed" {
		t.Error(b)
	}
	if b := bar("loss", 0.0031, 0.003); b.Passed || b.String() != "loss: 0.0031, at most 0.003: MISSED" {
		t.Error(b)
	}
}

func TestChurn(t *testing.T) {
	d, o := smallMixture(t), runbookOptions(t)
	run := func() ChurnReport {
		r, err := Churn(context.Background(), d, o)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := run()
	if len(r.Rounds) != 2 || r.FreshRecall < 0.98 || !r.Bar.Passed {
		t.Errorf("%+v", r)
	}
	again := run()
	for i, c := range r.Rounds {
		if c.Deleted != 450 || c.Recall < 0.98 || c.RecallDeleted < 0.98 || c.QPS <= 0 {
			t.Errorf("%+v", c)
		}
		if a := again.Rounds[i]; a.Recall != c.Recall || a.RecallDeleted != c.RecallDeleted {
			t.Errorf("the same seed gave %+v and %+v", c, a)
		}
	}
}

// careless is an index that does not do all it is told.
type careless struct {
	index.Index
	deletes bool
	keep    int // of so many points inserted after a delete one is kept; 0 for all
	deleted bool
}

func (c *careless) Delete(ids []string) error {
	if c.deleted = true; !c.deletes {
		return nil
	}
	return c.Index.Delete(ids)
}

func (c *careless) Upsert(ids []string, vectors [][]float32) error {
	if n := len(ids); c.deleted && c.keep > 0 {
		ids, vectors = ids[:n/c.keep], vectors[:n/c.keep]
	}
	return c.Index.Upsert(ids, vectors)
}

func TestChurnFindsFaults(t *testing.T) {
	d, o := smallMixture(t), runbookOptions(t)
	if err := o.check(d); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		index  careless
		passed bool
		want   string
	}{
		{careless{deletes: true}, true, ""},
		{careless{deletes: true, keep: 2}, false, ""},
		{careless{}, false, "is no point of those that should answer"},
	} {
		ix, _, err := build(context.Background(), d, index.Options{}, o.Progress)
		if err != nil {
			t.Fatal(err)
		}
		c.index.Index = ix
		var r ChurnReport
		err = r.run(context.Background(), d, o, &c.index)
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%+v: %v, want %q", c.index, err, c.want)
			}
			continue
		}
		if err != nil || r.Bar.Passed != c.passed {
			t.Errorf("%+v: %v, %v", c.index, r.Bar, err)
		}
	}
}

// Places of the tree are a permutation, and those of neighbours are close to each other.
func TestOrder(t *testing.T) {
	d := smallMixture(t)
	for _, d.Metric = range []index.Metric{index.L2, index.Cosine, index.Dot} {
		o := newOrder(d, rand.New(rand.NewPCG(3, 0)))
		for i, place := range slices.Sorted(slices.Values(o.placeOf)) {
			if place != i {
				t.Fatalf("%v: place %d is %d", d.Metric, i, place)
			}
		}
		same := 0
		for row, v := range d.Base {
			if at := o.place(v); at >= o.placeOf[row]-orderLeaf && at <= o.placeOf[row]+orderLeaf {
				same++
			}
		}
		if same < len(d.Base)*99/100 {
			t.Errorf("%v: %d of %d points are asked for where they are", d.Metric, same, len(d.Base))
		}
	}
}

func TestFiltered(t *testing.T) {
	o := runbookOptions(t)
	o.Quantization = index.QuantizationAuto
	r, err := Filtered(context.Background(), smallMixture(t), o)
	if err != nil {
		t.Fatal(err)
	}
	if want := index.QuantizationAuto.Pick(index.EngineGraph, 16); r.Quantization != want {
		t.Errorf("%s, want what auto stands for, %s", r.Quantization, want)
	}
	if len(r.Filters) != 12 || r.Recall < 0.98 || !r.Bar.Passed {
		t.Errorf("%+v", r)
	}
	for i := 0; i < 12; i += 3 {
		near, far, random := r.Filters[i], r.Filters[i+1], r.Filters[i+2]
		want := max(10, int(selectivities[i/3]*1500+0.5))
		if near.Correlation != NearQuery || far.Correlation != FarFromQuery || random.Correlation != Anywhere || near.Passing != want || random.Passing != want {
			t.Errorf("%+v %+v %+v", near, far, random)
		}
		if !(near.Overlap > random.Overlap && random.Overlap >= far.Overlap) || near.Overlap > 1 {
			t.Errorf("overlaps %v near, %v random, %v far", near.Overlap, random.Overlap, far.Overlap)
		}
		for _, f := range []FilterCell{near, far, random} {
			if f.Recall < 0.98 || f.QPS <= 0 || f.P50 <= 0 || f.P99 < f.P50 {
				t.Errorf("%+v", f)
			}
		}
	}
}

// deaf is a collection that searches without the filter, or finds only half.
type deaf struct {
	searcher
	filters bool
}

func (c deaf) Search(ctx context.Context, q []float32, k int, p index.Params) ([]index.Hit, error) {
	if p.Filter == nil {
		return c.searcher.Search(ctx, q, k, p)
	}
	if !c.filters {
		p.Filter = nil
		return c.searcher.Search(ctx, q, k, p)
	}
	hits, err := c.searcher.Search(ctx, q, k, p)
	return hits[:len(hits)/2], err
}

func TestFilteredFindsFaults(t *testing.T) {
	d, o := smallMixture(t), runbookOptions(t)
	if err := o.check(d); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 0))
	order := newOrder(d, rng)
	numbers := map[string][]int{fieldPlace: order.placeOf, fieldRandom: rng.Perm(len(d.Base))}
	err := o.inCollection(d, func(c *index.Collection) error {
		if _, err := o.fill(context.Background(), c, len(d.Base), func(i int) index.Point {
			return index.Point{ID: numbered(i + 1)[i], Vector: d.Base[i], Payload: map[string]any{fieldPlace: numbers[fieldPlace][i], fieldRandom: numbers[fieldRandom][i]}}
		}); err != nil {
			return err
		}
		var r FilterReport
		if err := r.run(context.Background(), d, o, deaf{c, false}, order, numbers, rng); err == nil || !strings.Contains(err.Error(), "does not pass its filter") {
			t.Errorf("without filters: %v", err)
		}
		if err := r.run(context.Background(), d, o, deaf{c, true}, order, numbers, rng); err != nil || r.Bar.Passed || r.Bar.Figure < 0.4 {
			t.Errorf("half of the hits: %v, %v", r.Bar, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestMixed(t *testing.T) {
	r, err := Mixed(context.Background(), smallMixture(t), runbookOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Rounds) != 2 || r.FinalRecall < 0.98 || r.Bar.Limit != 3 || r.Bar.Figure <= 0 {
		t.Errorf("%+v", r)
	}
	for _, m := range r.Rounds {
		if m.Idle.Writes != 0 || m.Writing.Writes <= 0 || min(m.Idle.Recall, m.Writing.Recall) < 0.98 || m.Writing.Searches < 1 || m.Idle.P99 < m.Idle.P50 {
			t.Errorf("%+v", m)
		}
	}
}

// sloppy is a collection that keeps what it should delete, loses what it should keep, or is slow beside writes.
type sloppy struct {
	mixedCollection
	deletes bool
	lose    bool
	slow    time.Duration
	writing atomic.Int32
}

func (c *sloppy) Upsert(ctx context.Context, points []index.Point) error {
	c.writing.Add(1)
	defer c.writing.Add(-1)
	return c.mixedCollection.Upsert(ctx, points)
}

func (c *sloppy) Delete(ctx context.Context, ids []string) error {
	c.writing.Add(1)
	defer c.writing.Add(-1)
	if !c.deletes {
		return nil
	}
	return c.mixedCollection.Delete(ctx, ids)
}

func (c *sloppy) Search(ctx context.Context, q []float32, k int, p index.Params) ([]index.Hit, error) {
	if c.writing.Load() > 0 {
		time.Sleep(c.slow)
	}
	if !c.lose {
		return c.mixedCollection.Search(ctx, q, k, p)
	}
	hits, err := c.mixedCollection.Search(ctx, q, 2*k, p)
	for i := range k {
		hits[i] = hits[2*i]
	}
	return hits[:k], err
}

func TestMixedFindsFaults(t *testing.T) {
	for _, c := range []struct {
		name   string
		faults *sloppy
		check  func(r MixedReport, err error) bool
	}{
		{"keeps what is deleted", &sloppy{}, func(_ MixedReport, err error) bool {
			return err != nil && strings.Contains(err.Error(), "before the search began")
		}},
		{"loses neighbours", &sloppy{deletes: true, lose: true}, func(r MixedReport, err error) bool {
			return err == nil && r.Writing.Recall < 0.7 && r.FinalRecall < 0.7
		}},
		{"is slow", &sloppy{deletes: true, slow: 300 * time.Millisecond}, func(r MixedReport, err error) bool {
			return err == nil && !r.Bar.Passed
		}},
	} {
		var r MixedReport
		var fault error
		// A phase of a busy machine may be over before a fault has shown: the next one is longer.
		for phase, found := 250*time.Millisecond, false; !found && phase <= 4*time.Second; phase *= 2 {
			d, o := smallMixture(t), runbookOptions(t)
			o.Phase = phase
			if err := o.check(d); err != nil {
				t.Fatal(err)
			}
			m := newMixed(d, o)
			err := o.inCollection(d, func(col *index.Collection) error {
				if _, err := o.fill(context.Background(), col, m.stay+m.width, m.point); err != nil {
					return err
				}
				c.faults.mixedCollection = col
				m.c, r = c.faults, MixedReport{}
				fault = m.run(context.Background(), &r)
				found = c.check(r, fault)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if !found && phase == 4*time.Second {
				t.Errorf("%s: %+v, %v", c.name, r, fault)
			}
		}
	}
}

func TestColdStart(t *testing.T) {
	d, o := smallMixture(t), runbookOptions(t)
	for _, d.Metric = range []index.Metric{index.L2, index.Cosine, index.Dot} {
		o.EF = 200 // the nearest by inner product is hard to find
		r, err := ColdStart(context.Background(), d, o, AskCold)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Seconds) != 2 || r.Median <= 0 || r.StoreBytes < 1500*16*4 || !r.Bar.Passed {
			t.Errorf("%+v", r)
		}
	}
	for want, answer := range map[string]func(*ColdAnswer){
		`point "77777" is not the nearest`: func(a *ColdAnswer) { a.ID = "77777" },
		`point "" is not the nearest`:      func(a *ColdAnswer) { a.ID = "" },
		"stored were 1500":                 func(a *ColdAnswer) { a.Points = 1499 },
		"slow":                             func(a *ColdAnswer) { a.Seconds += 1 },
	} {
		r, err := ColdStart(context.Background(), d, o, func(ctx context.Context, q ColdQuestion) (ColdAnswer, error) {
			a, err := AskCold(ctx, q)
			answer(&a)
			return a, err
		})
		if want == "slow" {
			if err != nil || r.Bar.Passed {
				t.Errorf("%v, %v", r.Bar, err)
			}
		} else if !errors.Is(err, ErrWrong) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
