package index

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// pointsOf makes points of labelled vectors.
func pointsOf(prefix string, all []Labeled) []Point {
	out := make([]Point, len(all))
	for i, p := range all {
		out[i] = Point{ID: fmt.Sprint(prefix, i), Vector: p.Vector, Label: p.Label}
	}
	return out
}

// calibratedCollection makes a collection of 300 points and 120 that are kept aside.
func calibratedCollection(t testing.TB, s *Store) (*Collection, [][]float32, *rand.Rand) {
	t.Helper()
	c, err := s.Create("c", Config{Dimension: 16, ModelID: "m", Seed: 3})
	must(t, err)
	r := rand.New(rand.NewPCG(21, 1))
	centers := clusters(r, 12, 16, 12, 0.5)
	must(t, c.Upsert(ctx, pointsOf("known ", labeled(r, centers, 4, 300, 0.4))))
	must(t, c.SetAside(ctx, RoleCalibration, pointsOf("held ", labeled(r, centers, 4, 120, 0.4))))
	must(t, c.Calibrate(ctx))
	return c, centers, r
}

// settled waits until the detector knows all writes.
func settled(t testing.TB, c *Collection) *Detector {
	t.Helper()
	for range 600 {
		if !c.Stale() {
			return c.Detector()
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("the detector does not follow")
	return nil
}

func recordOf(t testing.TB, d *Detector) []byte {
	t.Helper()
	b, err := d.MarshalBinary()
	must(t, err)
	return b
}

func TestCollectionKeepsItsDetector(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	c, centers, _ := calibratedCollection(t, s)
	d := c.Detector()
	if d.Calibration() != 120 || c.Aside(RoleCalibration) != 120 || c.Aside(RoleAnomaly) != 0 || c.Len() != 300 || c.Stale() {
		t.Fatalf("%d calibration scores, %d points", d.Calibration(), c.Len())
	}
	verdict, err := d.Verdict(ctx, centers[0], 0.1)
	must(t, err)
	s = reopen(t, s, dir)
	c = collectionOf(t, s, "c")
	if got := c.Detector(); got == nil || !reflect.DeepEqual(bare(got), bare(d)) || c.Stale() || c.Aside(RoleCalibration) != 120 {
		t.Error("the detector did not come back")
	}
	again, err := c.Detector().Verdict(ctx, centers[0], 0.1)
	must(t, err)
	if !reflect.DeepEqual(verdict, again) {
		t.Errorf("verdict %+v became %+v", verdict, again)
	}
	// Calibrating again changes nothing; with the same points in another order of writing, neither.
	before := recordOf(t, c.Detector())
	must(t, c.Calibrate(ctx))
	if !slices.Equal(before, recordOf(t, c.Detector())) {
		t.Error("the same points gave another detector")
	}
	report, err := Verify(ctx, dir, VerifyOptions{})
	if !errors.Is(err, ErrLocked) {
		t.Errorf("%+v, %v", report, err)
	}
	must(t, s.Close())
	report, err = Verify(ctx, dir, VerifyOptions{})
	must(t, err)
	if len(report.Findings) != 0 {
		t.Errorf("findings %+v", report.Findings)
	}
	tamper(t, dir, func(txn *badger.Txn) error {
		return txn.Set(pointKey(recordAside, c.record.Number, "held 3"), []byte("Hx"))
	})
	if _, err := Open(dir, StoreOptions{}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a damaged calibration item: %v", err)
	}
	report, err = Verify(ctx, dir, VerifyOptions{})
	must(t, err)
	if len(report.Findings) != 1 || report.Findings[0].Point != "held 3" {
		t.Errorf("findings %+v", report.Findings)
	}
}

func TestDetectorRefusesOtherVectors(t *testing.T) {
	s := openStore(t, t.TempDir())
	d, _, _ := fitted(t, Cosine, 7, 300, 120)
	for name, bad := range map[string]struct {
		c    Config
		want error
	}{
		"model":     {Config{Dimension: 16, ModelID: "other"}, ErrModel},
		"dimension": {Config{Dimension: 17, ModelID: "m"}, ErrDimension},
		"metric":    {Config{Dimension: 16, ModelID: "m", Metric: L2}, ErrInvalid},
	} {
		c, err := s.Create(name, bad.c)
		must(t, err)
		if err := c.setDetector(d); !errors.Is(err, bad.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c, err := s.Create("dot", Config{Dimension: 16, ModelID: "m", Metric: Dot})
	must(t, err)
	p := Point{ID: "1", Vector: make([]float32, 16)}
	must(t, c.Upsert(ctx, []Point{p}))
	p.ID = "2"
	must(t, c.SetAside(ctx, RoleCalibration, []Point{p}))
	if err := c.Calibrate(ctx); !errors.Is(err, ErrInvalid) {
		t.Errorf("dot: %v", err)
	}
}

// TestDetectorFollows: points and classes that come and go, points kept aside and back, without a call of Calibrate.
func TestDetectorFollows(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	c, centers, r := calibratedCollection(t, s)
	stranger := slices.Repeat([]float32{-1}, 16)
	if v, err := c.Detector().Verdict(ctx, stranger, 0.02); err != nil || !v.Anomaly {
		t.Fatalf("%+v, %v", v, err)
	}
	fresh := func(prefix string, n int) []Point {
		return pointsOf(prefix, labeled(r, [][]float32{stranger}, 1, n, 0.2))
	}
	more := fresh("new ", 60)
	for i := range more {
		more[i].Label = "new"
	}
	must(t, c.Upsert(ctx, more[:40]))
	if d := settled(t, c); len(d.Classes()) != 5 || d.Calibration() != 120 {
		t.Fatalf("classes %q, %d calibration scores", d.Classes(), d.Calibration())
	}
	// More calibration is pooled; an id is here or there.
	must(t, c.SetAside(ctx, RoleCalibration, more[30:]))
	if d := settled(t, c); d.Calibration() != 150 || c.Len() != 330 || d.CalibrationOf("new") != 30 {
		t.Fatalf("%d calibration scores, %d points, %d of class new", d.Calibration(), c.Len(), d.CalibrationOf("new"))
	}
	if v, err := c.Detector().Verdict(ctx, stranger, 0.02); err != nil || v.Anomaly || v.NearestClass != "new" {
		t.Errorf("%+v, %v", v, err)
	}
	if hits, err := c.Search(ctx, stranger, 400, Params{Exact: true}); err != nil || len(hits) != 330 {
		t.Errorf("%d hits, %v", len(hits), err)
	}
	must(t, c.Upsert(ctx, more[30:35]))
	must(t, c.Delete(ctx, []string{"held 0", "held 1"}))
	must(t, c.SetAside(ctx, RoleAnomaly, []Point{{ID: "known 5", Vector: centers[0]}}))
	if d := settled(t, c); d.Calibration() != 143 || c.Len() != 334 || c.Aside(RoleAnomaly) != 1 {
		t.Fatalf("%d calibration scores, %d points", d.Calibration(), c.Len())
	}
	before := recordOf(t, c.Detector())
	s = reopen(t, s, dir)
	c = collectionOf(t, s, "c")
	if c.Stale() || c.Aside(RoleCalibration) != 143 || c.Aside(RoleAnomaly) != 1 || c.Len() != 334 {
		t.Errorf("after opening: stale %v, %d calibrate, %d points", c.Stale(), c.Aside(RoleCalibration), c.Len())
	}
	must(t, c.Calibrate(ctx))
	if !slices.Equal(before, recordOf(t, c.Detector())) {
		t.Error("what followed is not what calibrating makes")
	}
	// A write right before the store closes is followed by the next that opens it.
	must(t, c.Delete(ctx, []string{"known 1"}))
	s = reopen(t, s, dir)
	c = collectionOf(t, s, "c")
	if !c.Stale() {
		t.Error("the store did not close at once")
	}
	settled(t, c)
	// Without calibration items, there is no detector.
	var ids []string
	for id := range asideOf(t, c) {
		ids = append(ids, id)
	}
	must(t, c.Delete(ctx, ids))
	if settled(t, c) != nil {
		t.Error("a detector without calibration")
	}
	if err := c.Calibrate(ctx); !errors.Is(err, ErrNotCalibrated) {
		t.Error(err)
	}
	n, err := c.HoldOut(ctx, 0.3, 1)
	must(t, err)
	must(t, c.Calibrate(ctx))
	if n < 60 || n > 140 || c.Detector().Calibration() != n || c.Len()+n != 333 {
		t.Errorf("%d held out, %d points", n, c.Len())
	}
	if again, err := c.HoldOut(ctx, 0.3, 1); again != 0 || err != nil {
		t.Errorf("%d more held out by the same draw, %v", again, err)
	}
}

// TestCalibrationScores: scores of another judge lie with the points that are kept aside, beyond a restart, and go with these; records without
// are read.
func TestCalibrationScores(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	c, _, _ := calibratedCollection(t, s)
	have := func(want ...float64) {
		t.Helper()
		if got := slices.Sorted(slices.Values(c.CalibrationScores())); !slices.Equal(got, want) {
			t.Errorf("scores %v, want %v", got, want)
		}
	}
	have()
	v := slices.Repeat([]float32{1}, 16)
	must(t, c.SetAside(ctx, RoleCalibration, []Point{{ID: "a", Vector: v, Score: new(0.5)}, {ID: "b", Vector: v, Score: new(-2.0)}, {ID: "c", Vector: v, Score: new(0.0)}, {ID: "d", Vector: v}}))
	have(-2, 0, 0.5)
	must(t, c.SetAside(ctx, RoleCalibration, []Point{{ID: "a", Vector: v, Score: new(0.75)}}))
	must(t, c.SetAside(ctx, RoleAnomaly, []Point{{ID: "b", Vector: v, Score: new(3.0)}}))
	have(0, 0.75)
	must(t, s.Close())
	s = openStore(t, dir)
	c = collectionOf(t, s, "c")
	have(0, 0.75)
	must(t, c.Upsert(ctx, []Point{{ID: "c", Vector: v}}))
	have(0.75)
	must(t, c.SetAside(ctx, RoleCalibration, []Point{{ID: "a", Vector: v}}))
	have()
	must(t, s.Close())

	key := pointKey(recordAside, 1, "x")
	record := func(version byte, more ...byte) []byte {
		b := appendFloats(appendText([]byte{byte(kindAside), version, 0}, "label"), []float32{1, 2})
		return seal(append(b, more...), string(key))
	}
	if p, err := decodeAside(record(1), key, 2); err != nil || p.label != "label" || p.score != nil {
		t.Errorf("version 1: %+v, %v", p, err)
	}
	if p, err := decodeAside(record(2, 0, 0, 0, 0, 0, 0, 0xe0, 0x3f), key, 2); err != nil || p.score == nil || *p.score != 0.5 {
		t.Errorf("%+v, %v", p, err)
	}
	for _, more := range [][]byte{{1}, make([]byte, 16), {0, 0, 0, 0, 0, 0, 0xf0, 0x7f}} {
		if _, err := decodeAside(record(2, more...), key, 2); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%d bytes more: %v", len(more), err)
		}
	}
}

func TestSetAsideRefuses(t *testing.T) {
	s := openStore(t, t.TempDir())
	c, _, _ := calibratedCollection(t, s)
	good := make([]float32, 16)
	good[0] = 1
	for name, bad := range map[string]struct {
		role  Role
		point Point
		want  error
	}{
		"role":      {2, Point{ID: "a", Vector: good}, ErrInvalid},
		"id":        {0, Point{Vector: good}, ErrInvalid},
		"dimension": {0, Point{ID: "a", Vector: good[:3]}, ErrDimension},
		"zero":      {0, Point{ID: "a", Vector: make([]float32, 16)}, ErrZeroVector},
		"score":     {0, Point{ID: "a", Vector: good, Score: new(math.NaN())}, ErrInvalid},
	} {
		if err := c.SetAside(ctx, bad.role, []Point{{ID: "b", Vector: good}, bad.point}); !errors.Is(err, bad.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if c.Aside(RoleCalibration) != 120 {
		t.Error("half of a bad call was kept")
	}
	for _, share := range []float64{0, 0.6, -1} {
		if _, err := c.HoldOut(ctx, share, 0); !errors.Is(err, ErrInvalid) {
			t.Errorf("share %v: %v", share, err)
		}
	}
}
