package index

import (
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

// TestDriftAlarmsAreRare counts false alarms on even p-values: 24 streams of 100 000, begun anew after each alarm, with the
// default mean time of 100 000. At least 100 000 are to pass on average, so that at most 24 alarms come on average.
func TestDriftAlarmsAreRare(t *testing.T) {
	const streams, items = 24, 100_000
	alarms := 0
	for seed := range uint64(streams) {
		r := rand.New(rand.NewPCG(seed, 31))
		d := drift{limit: DefaultDriftTime}
		for range items {
			d.step((float64(r.Uint64()>>12) + 0.5) * 0x1p-52)
			if d.alarmAt > 0 {
				alarms++
				d = drift{limit: DefaultDriftTime}
			}
		}
	}
	t.Logf("%d alarms in %d items", alarms, streams*items)
	// The 99.9 % quantile of as many alarms by chance.
	if most := streams + int(3.3*math.Sqrt(streams)); alarms > most {
		t.Errorf("%d false alarms, at most %d are to be expected", alarms, most)
	}
	// With a mean time of 1000 there have to be some: the procedure is not asleep.
	r, short := rand.New(rand.NewPCG(1, 32)), 0
	for d := (drift{limit: 1000}); d.seen < items; {
		d.step((float64(r.Uint64()>>12) + 0.5) * 0x1p-52)
		if d.alarmAt > 0 {
			short++
			d = drift{limit: 1000, seen: d.seen}
		}
	}
	if short < 10 || short > 130 {
		t.Errorf("%d false alarms in %d items at a mean time of 1000", short, items)
	}
}

// TestDriftIsNoticed streams 100 000 healthy scores and then shifted ones, through ranks among 500 calibration scores.
func TestDriftIsNoticed(t *testing.T) {
	for name, c := range map[string]struct {
		shift, scale float64
		within       int
	}{
		"half a deviation up": {0.5, 1, 1500}, "a deviation up": {1, 1, 300}, "a deviation down": {-1, 1, 300}, "another world": {9, 1, 40},
	} {
		worst, early := 0, 0
		for seed := range uint64(3) {
			r := rand.New(rand.NewPCG(seed, 33))
			scores := make([]float64, 500)
			for i := range scores {
				scores[i] = r.NormFloat64()
			}
			slices.Sort(scores)
			ranks, d := newRanked(scores), drift{limit: DefaultDriftTime}
			feed := func(x float64) {
				greater, equal := ranks.rank(x)
				d.step((float64(greater) + r.Float64()*float64(equal+1)) / float64(ranks.n+1))
				ranks.add(x)
			}
			for range 100_000 {
				feed(r.NormFloat64())
			}
			if d.alarmAt > 0 { // 1 in 1 or fewer
				early++
				continue
			}
			for d.alarmAt == 0 && d.seen < 110_000 {
				feed(c.shift + c.scale*r.NormFloat64())
			}
			worst = max(worst, int(d.seen)-100_000)
		}
		t.Logf("%s: noticed within %d items, %d false alarms", name, worst, early)
		if early > 2 || worst > c.within {
			t.Errorf("%s: noticed after %d items, want %d; %d of 3 streams had a false alarm", name, worst, c.within, early)
		}
	}
}

func TestRanked(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 34))
	for _, start := range []int{0, 1, 700} {
		var all []float64
		for range start {
			all = append(all, float64(r.IntN(60)))
		}
		slices.Sort(all)
		ranks := newRanked(all)
		for i := range 3000 {
			x := float64(r.IntN(60)) + float64(r.IntN(2))/2
			greater, equal := 0, 0
			for _, y := range all {
				if y > x {
					greater++
				}
				if y == x {
					equal++
				}
			}
			if g, e := ranks.rank(x); g != greater || e != equal {
				t.Fatalf("start %d, number %d: %d greater and %d equal, want %d and %d", start, i, g, e, greater, equal)
			}
			all = append(all, x)
			ranks.add(x)
		}
		if ranks.n != len(all) {
			t.Errorf("%d numbers, want %d", ranks.n, len(all))
		}
	}
	full := &ranked{n: maxRanked, blocks: [][]float64{{1}}}
	if full.add(2); full.n != maxRanked || len(full.blocks[0]) != 1 {
		t.Error("it grows beyond its bound")
	}
}

// TestWatch: what is judged is counted, data like the known raises no alarm, strangers do, and calibrating forgets.
func TestWatch(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	c, centers, r := calibratedCollection(t, s)
	see := func(p []Labeled) {
		d := c.Detector()
		for _, x := range p {
			v, err := d.Verdict(ctx, x.Vector, 0.1)
			must(t, err)
			c.Watch(d, v)
		}
	}
	if w := c.Watched(); w.Judged != 0 || len(w.Alarms) != 0 || w.Drift.Alarm || w.Drift.MeanTime != DefaultDriftTime {
		t.Errorf("before: %+v", w)
	}
	see(labeled(r, centers, 4, 1000, 0.4))
	w := c.Watched()
	if w.Judged != 1000 || len(w.Alarms) != 3 || w.Drift.Alarm {
		t.Fatalf("%+v", w)
	}
	for _, a := range w.Alarms {
		if spread := 4 * math.Sqrt(a.Alpha*(1-a.Alpha)*(1.0/120+1.0/1000)); math.Abs(a.Rate-a.Alpha) > spread || a.Low > a.Rate || a.High < a.Rate {
			t.Errorf("%+v, ± %v", a, spread)
		}
	}
	old := c.Detector()
	must(t, c.Delete(ctx, []string{"known 3"}))
	settled(t, c)
	c.Watch(old, Verdict{PValue: 1})
	if w := c.Watched(); w.Judged != 1000 {
		t.Errorf("after a fit: %+v", w)
	}
	strangers := make([]Labeled, 60)
	for i := range strangers {
		strangers[i].Vector = slices.Repeat([]float32{-1}, 16)
		strangers[i].Vector[i%16] = 5
	}
	see(strangers)
	if w := c.Watched(); !w.Drift.Alarm || w.Judged != 1060 || w.Drift.After < 1001 || w.Alarms[0].Alarms < 55 {
		t.Errorf("strangers: %+v", w)
	}
	must(t, c.Calibrate(ctx))
	if w := c.Watched(); w.Judged != 0 || w.Drift.Alarm {
		t.Errorf("after calibrating: %+v", w)
	}
	see(strangers)
	want := c.Watched()
	must(t, s.Close())
	s = openStore(t, dir)
	c = collectionOf(t, s, "c")
	if w := c.Watched(); !w.Drift.Alarm || !reflect.DeepEqual(w, want) {
		t.Errorf("after a restart: %+v, want %+v", w, want)
	}
	must(t, c.Calibrate(ctx))
	see(labeled(r, centers, 4, 500, 0.4))
	ranks := slices.Concat(c.watch.ranks.blocks...)
	want = c.Watched()
	must(t, s.Close())
	s = openStore(t, dir)
	c = collectionOf(t, s, "c")
	if w := c.Watched(); w.Judged != 500 || w.Drift.Alarm || !reflect.DeepEqual(w, want) {
		t.Errorf("after calibrating and a restart: %+v, want %+v", w, want)
	}
	if c.watch.ranks == nil || !slices.Equal(slices.Concat(c.watch.ranks.blocks...), ranks) || len(ranks) != 620 {
		t.Errorf("the scores of before are not among the ranks, of %d", len(ranks))
	}
	must(t, s.Close())
	for _, bad := range []float64{-1, 1, math.NaN(), math.Inf(1)} {
		if _, err := Open(dir, StoreOptions{DriftTime: bad}); !errors.Is(err, ErrInvalid) {
			t.Errorf("drift time %v: %v", bad, err)
		}
	}
}

// TestWatchScore: verdicts of another judge than the detector are counted with the detector's, by their own p-values and ranks, beyond a
// restart; other calibration scores begin new ranks; records of before are read.
func TestWatchScore(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	c, centers, r := calibratedCollection(t, s)
	scores := make([]float64, 23)
	for i := range scores {
		scores[i] = r.NormFloat64()
	}
	by := NewConformal(scores)
	d := c.Detector()
	for _, x := range labeled(r, centers, 4, 5, 0.4) {
		v, err := d.Verdict(ctx, x.Vector, 0.1)
		must(t, err)
		c.Watch(d, v)
	}
	alarms := c.Watched().Alarms[2].Alarms
	c.WatchScore(by, 9)
	c.WatchScore(by, -9)
	w := c.Watched()
	if w.Judged != 7 || len(w.Alarms) != 2 || w.Alarms[0].Alpha != 0.05 || w.Alarms[1].Alarms != alarms+1 {
		t.Errorf("one high score of two: %+v, want %d alarms and one at 0.1, and no rate at 0.01, which 23 scores do not support", w, alarms)
	}
	if n := c.watch.other.ranks.n; n != 25 || c.watch.ranks.n != 125 {
		t.Errorf("%d and %d ranks, want 25 and 125", n, c.watch.ranks.n)
	}
	must(t, s.Close())
	s = openStore(t, dir)
	c = collectionOf(t, s, "c")
	if after := c.Watched(); !reflect.DeepEqual(after, w) || c.watch.other.ranks.n != 25 || c.watch.ranks.n != 125 {
		t.Errorf("after a restart: %+v, want %+v", after, w)
	}
	if c.WatchScore(by, 0); c.watch.other.ranks.n != 26 {
		t.Errorf("after a restart: %d ranks, want 26", c.watch.other.ranks.n)
	}
	if c.WatchScore(NewConformal(scores[:22]), 0); c.watch.other.ranks.n != 23 || c.Watched().Judged != 9 {
		t.Errorf("of other calibration scores: %d ranks, want 23", c.watch.other.ranks.n)
	}
	many := make([]float64, 500)
	for i := range many {
		many[i] = r.NormFloat64()
	}
	for range 60 {
		c.WatchScore(NewConformal(many), 9)
	}
	if !c.Watched().Drift.Alarm {
		t.Error("nothing but high scores is no drift")
	}
	must(t, c.Calibrate(ctx))
	if w := c.Watched(); w.Judged != 0 || c.watch.other.ranks != nil {
		t.Errorf("after calibrating: %+v", w)
	}
	must(t, s.Close())

	whole := (&watch{judged: 3, sequence: 4, ranks: newRanked([]float64{1, 2}), other: otherRanks{5, 1, newRanked([]float64{7, 8})}}).content(nil)
	if got, err := readWatch(whole); err != nil || got.judged != 3 || got.ranks.n != 2 || got.other.mark != 5 || got.other.n != 1 || got.other.ranks.n != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	before := slices.Concat(whole[:13*8], whole[13*8+4:13*8+20]) // version 1
	if got, err := readWatch(before); err != nil || got.judged != 3 || got.sequence != 4 || got.ranks.n != 2 || got.other.ranks != nil {
		t.Errorf("version 1: %+v, %v", got, err)
	}
	for _, n := range []int{5, 13*8 + 4, 13*8 + 12, 13*8 + 28, len(whole) - 3, len(whole) - 16} {
		if _, err := readWatch(whole[:n]); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%d bytes of %d: %v", n, len(whole), err)
		}
	}
}

func TestClassify(t *testing.T) {
	// Class distances of held-out points, by hand: clusters at 0 and 10 on a line.
	at := func(x float32) []float32 { return []float32{x, 0} }
	known := []Labeled{{at(0), "a"}, {at(10), "b"}}
	var heldOut []Labeled
	for i := range 9 {
		heldOut = append(heldOut, Labeled{at(float32(i+1) / 10), "a"}, Labeled{at(10 + float32(i+1)/5), "b"})
	}
	d, err := FitDetector(ctx, L2, known, heldOut, DetectorOptions{Score: ScoreCluster})
	must(t, err)
	for _, c := range []struct {
		x      float32
		a, b   float64
		anomal bool
		set    []string
	}{
		{0.05, 1, 0.1, false, []string{"a"}}, {0.45, 0.6, 0.1, false, []string{"a"}}, {9, 0.1, 0.6, false, []string{"b"}}, {5, 0.1, 0.1, true, nil},
	} {
		got, err := d.Classify(at(c.x), nil, 0.1)
		must(t, err)
		p, set := map[string]float64{}, []string(nil)
		for _, f := range got.Classes {
			p[f.Class] = f.PValue
			if got.In(f) {
				set = append(set, f.Class)
			}
			if f.Calibration != 9 {
				t.Errorf("%+v", f)
			}
		}
		if math.Abs(p["a"]-c.a) > 1e-9 || math.Abs(p["b"]-c.b) > 1e-9 || got.Anomaly != c.anomal || !slices.Equal(set, c.set) {
			t.Errorf("%v: %+v", c.x, got)
		}
	}
	// The set holds the true class for all but the share alpha.
	const alpha, seeds, tests = 0.1, 30, 200
	missed := 0.0
	for seed := range uint64(seeds) {
		d, centers, r := fitted(t, Cosine, seed+100, 300, 399)
		for _, p := range labeled(r, centers, 4, tests, 0.4) {
			near, err := d.neighbors(ctx, p.Vector)
			must(t, err)
			got, err := d.Classify(p.Vector, near, alpha)
			must(t, err)
			for _, f := range got.Classes {
				if f.Class == p.Label && !got.In(f) {
					missed += 1.0 / seeds / tests
				}
			}
		}
	}
	err4 := 4 * math.Sqrt(alpha*(1-alpha)*(4.0/400+1.0/tests)/seeds)
	t.Logf("true class missed by %.4f, %v ± %.4f", missed, alpha, err4)
	if missed > alpha+err4 || missed < alpha-err4-0.01 { // ⌊α(n+1)⌋/(n+1) with about 100 a class
		t.Errorf("the true class is not in the set for %.4f of the points, want %v ± %.4f", missed, alpha, err4)
	}
}

func TestDeviations(t *testing.T) {
	s := openStore(t, t.TempDir())
	c, err := s.Create("c", Config{Dimension: 3, Metric: L2})
	must(t, err)
	var points []Point
	for i := range 20 { // means 0, 10, 5; deviations 1, 2, 0
		sign := float32(i%2*2 - 1)
		points = append(points, Point{ID: string(rune('a' + i)), Vector: []float32{sign, 10 + 2*sign, 5}})
	}
	must(t, c.Upsert(ctx, points))
	got, err := c.Deviations(ctx, []float32{3, 8, 5}, 2)
	must(t, err)
	want := []Deviation{{0, 3, 0, 3}, {1, 8, 10, -1}}
	if !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got, err := c.Deviations(ctx, []float32{0, 10, 6}, 9); err != nil || len(got) != 3 || got[0].Component != 2 || got[0].Z < 100 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestWatchRecord: a damaged record is refused, whatever is wrong with it, and a killed process has what was stored before.
func TestWatchRecord(t *testing.T) {
	w := &watch{judged: 5, alarms: [3]uint64{1, 2, 5}, sequence: 9, ranks: newRanked([]float64{-1, 0, 0, 2})}
	w.drift.seen, w.drift.alarmAt, w.drift.r[3] = 4, 3, 0.25
	content := w.content(nil)
	got, err := readWatch(content)
	must(t, err)
	if got.judged != 5 || got.alarms != w.alarms || got.sequence != 9 || got.drift != w.drift || !slices.Equal(got.ranks.blocks[0], []float64{-1, 0, 0, 2}) {
		t.Errorf("%+v", got)
	}
	scores := len(content) - 32
	for what, change := range map[string]func(b []byte) []byte{
		"cut":                    func(b []byte) []byte { return b[:scores-1] },
		"a score cut":            func(b []byte) []byte { return b[:len(b)-3] },
		"more alarms than seen":  func(b []byte) []byte { b[8] = 6; return b },
		"watched but not judged": func(b []byte) []byte { b[32] = 6; return b },
		"alarm after the end":    func(b []byte) []byte { b[40] = 5; return b },
		"negative statistic":     func(b []byte) []byte { b[48+7] = 0x80; b[48] = 1; return b },
		"scores out of order":    func(b []byte) []byte { return append(b, make([]byte, 8)...) },
		"not a number":           func(b []byte) []byte { return append(b, 1, 0, 0, 0, 0, 0, 0xf8, 0x7f) },
	} {
		if _, err := readWatch(change(slices.Clone(content))); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: error %v", what, err)
		}
	}
}
