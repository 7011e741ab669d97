package index

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/akin-search/akin/index/distance"
)

// labeled draws n vectors of some classes, each class around a few centers.
func labeled(r *rand.Rand, centers [][]float32, classes, n int, spread float64) []Labeled {
	out := make([]Labeled, n)
	scale := spread / math.Sqrt(float64(len(centers[0])))
	for i := range out {
		c := r.IntN(len(centers))
		v := slices.Clone(centers[c])
		for j := range v {
			v[j] += float32(r.NormFloat64() * scale)
		}
		out[i] = Labeled{v, fmt.Sprintf("class %d", c%classes)}
	}
	return out
}

func fitted(t testing.TB, metric Metric, seed uint64, known, heldOut int) (*Detector, [][]float32, *rand.Rand) {
	t.Helper()
	return fittedBy(t, ScoreAuto, metric, seed, known, heldOut)
}

func fittedBy(t testing.TB, kind ScoreKind, metric Metric, seed uint64, known, heldOut int) (*Detector, [][]float32, *rand.Rand) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	centers := clusters(r, 12, 16, 12, 0.5)
	d, err := FitDetector(ctx, metric, labeled(r, centers, 4, known, 0.4), labeled(r, centers, 4, heldOut, 0.4), DetectorOptions{Score: kind, Seed: seed, ModelID: "m"})
	must(t, err)
	return d, centers, r
}

// TestFalseAlarmsStayBelowAlpha draws data that is exchangeable with the calibration: the share of alarms, over calibrations and
// test points, is at most alpha, and not much less.
func TestFalseAlarmsStayBelowAlpha(t *testing.T) {
	const seeds, tests = 40, 500
	for _, metric := range []Metric{Cosine, L2} {
		for _, alpha := range []float64{0.01, 0.05, 0.2} {
			var rates []float64
			for seed := range uint64(seeds) {
				d, centers, r := fitted(t, metric, seed, 400, 399)
				alarms := 0
				for _, p := range labeled(r, centers, 4, tests, 0.4) {
					v, err := d.Verdict(ctx, p.Vector, alpha)
					must(t, err)
					if v.Anomaly {
						alarms++
					}
				}
				rates = append(rates, float64(alarms)/tests)
			}
			// The rate of one calibration is Beta distributed with mean floor(α(n+1))/(n+1) = α here; its variance and the binomial
			// one of the test add up. Four standard errors of the mean over the seeds.
			mean := 0.0
			for _, x := range rates {
				mean += x / seeds
			}
			err := math.Sqrt(alpha * (1 - alpha) * (1.0/400 + 1.0/tests) / seeds)
			t.Logf("%v alpha %v: false alarms %.4f ± %.4f", metric, alpha, mean, err)
			if mean > alpha+4*err || mean < alpha-4*err {
				t.Errorf("%v alpha %v: false alarms %.4f ± %.4f", metric, alpha, mean, err)
			}
		}
	}
}

func TestVerdictFollowsItsFormulas(t *testing.T) {
	d, centers, r := fittedBy(t, ScoreCluster, Cosine, 3, 500, 150)
	if d.Calibration() != 150 || d.MinAlpha() != 1.0/151 || len(d.Classes()) != 4 || d.Dimension() != 16 || d.Metric() != Cosine || d.ModelID() != "m" {
		t.Errorf("n %d, min alpha %v, classes %q, dimension %d", d.Calibration(), d.MinAlpha(), d.Classes(), d.Dimension())
	}
	vectors := labeled(r, centers, 4, 200, 1.5)
	for i, c := range d.classOf { // scores of the calibration and of 0
		vectors = append(vectors, Labeled{d.centers[i*d.stride : i*d.stride+d.dim], d.classes[c]})
	}
	for _, p := range vectors {
		for _, alpha := range []float64{1.0 / 151, 0.01, 2.0 / 151, 0.05, 0.29, 0.5, 0.999} {
			v, err := d.Verdict(ctx, p.Vector, alpha)
			must(t, err)
			// The distance to each class by a loop over its clusters.
			row := make([]float32, d.stride)
			must(t, d.prepare(row, p.Vector))
			best := map[string]float64{}
			for i, c := range d.classOf {
				x := max(0, 1-float64(distance.Dot(row, d.centers[i*d.stride:(i+1)*d.stride])))
				if old, ok := best[d.classes[c]]; !ok || x < old {
					best[d.classes[c]] = x
				}
			}
			if len(v.ClassDistances) != 4 || v.NearestClass != v.ClassDistances[0].Class || v.Score != v.ClassDistances[0].Distance {
				t.Fatalf("verdict %+v", v)
			}
			for i, c := range v.ClassDistances {
				if math.Abs(c.Distance-best[c.Class]) > 1e-6 || i > 0 && c.Distance < v.ClassDistances[i-1].Distance {
					t.Fatalf("distances %v, want %v", v.ClassDistances, best)
				}
			}
			count := 0
			for _, s := range d.scores {
				if s >= v.Score {
					count++
				}
			}
			if want := float64(count+1) / 151; v.PValue != want || v.Anomaly != (want <= alpha) || v.Alpha != alpha {
				t.Fatalf("p-value %v, want %v; verdict %+v", v.PValue, want, v)
			}
			class := v.NearestClass
			count, n := 0, 0
			for _, it := range d.items {
				if d.classes[it.nearest] != class {
					continue
				}
				if n++; it.score >= v.Score {
					count++
				}
			}
			if want := float64(count+1) / float64(n+1); v.ClassPValue != want || d.CalibrationOf(class) != n {
				t.Fatalf("p-value in class %s %v, want %v of %d", class, v.ClassPValue, want, n)
			}
			if v.Anomaly != (v.Score > v.Threshold) {
				t.Fatalf("score %v, threshold %v, anomaly %v", v.Score, v.Threshold, v.Anomaly)
			}
		}
	}
	// The scores of the calibration themselves, where ties decide.
	for _, alpha := range []float64{1.0 / 151, 0.02, 0.07, 0.29, 0.57} {
		threshold, err := d.Threshold(alpha)
		must(t, err)
		for _, s := range d.scores {
			if (d.PValue(s) <= alpha) != (s > threshold) {
				t.Errorf("alpha %v, score %v: p-value %v, threshold %v", alpha, s, d.PValue(s), threshold)
			}
		}
	}
}

// bare is a detector without the function that finds neighbours, which cannot be compared.
func bare(d *Detector) Detector {
	out := *d
	out.near = nil
	return out
}

func TestAlphaIsRefused(t *testing.T) {
	d, centers, _ := fitted(t, L2, 4, 200, 60)
	for _, alpha := range []float64{0, 1, -0.1, 2, math.NaN(), math.Inf(1)} {
		if _, err := d.Verdict(ctx, centers[0], alpha); !errors.Is(err, ErrAlpha) {
			t.Errorf("alpha %v: %v", alpha, err)
		}
	}
	for alpha, need := range map[float64]string{0.01: "n = 99 ", 0.001: "n = 999 ", 1.0 / 62: "n = 61 ", 1e-6: "n = 999999 "} {
		if _, err := d.Verdict(ctx, centers[0], alpha); !errors.Is(err, ErrAlpha) || !strings.Contains(err.Error(), need) {
			t.Errorf("alpha %v: %v, want %q", alpha, err, need)
		}
	}
	if _, err := d.Verdict(ctx, centers[0], 1.0/61); err != nil {
		t.Error(err)
	}
}

func TestFitDetectorRefuses(t *testing.T) {
	v := func(x ...float32) []float32 { return x }
	good := []Labeled{{v(1, 2), "a"}, {v(2, 1), "b"}, {v(3, 1), ""}}
	for name, c := range map[string]struct {
		metric         Metric
		known, heldOut []Labeled
		o              DetectorOptions
		want           error
		text           string
	}{
		"no known":      {Cosine, nil, good, DetectorOptions{}, ErrNotCalibrated, "0 known"},
		"no held-out":   {Cosine, good, nil, DetectorOptions{}, ErrNotCalibrated, "0 held-out"},
		"dot":           {Dot, good, good, DetectorOptions{}, ErrInvalid, "cosine or l2"},
		"dimension":     {Cosine, append(good[:2:2], Labeled{v(1), "a"}), good, DetectorOptions{}, ErrDimension, "known vector 2"},
		"no dimension":  {Cosine, []Labeled{{nil, "a"}}, good, DetectorOptions{}, ErrDimension, ""},
		"held-out":      {L2, good, append(good[:2:2], Labeled{v(1, float32(math.NaN())), "a"}), DetectorOptions{}, ErrNotFinite, "held-out vector 2"},
		"zero":          {Cosine, append(good[:2:2], Labeled{v(0, 0), "a"}), good, DetectorOptions{}, ErrZeroVector, "known vector 2"},
		"unknown class": {Cosine, good, []Labeled{{v(1, 1), "c"}}, DetectorOptions{}, ErrInvalid, `"c"`},
		"clusters":      {Cosine, good, good, DetectorOptions{ClustersPerClass: MaxClusters + 1}, ErrInvalid, "clusters"},
		"score":         {Cosine, good, good, DetectorOptions{Score: 9}, ErrInvalid, "score"},
		"no covariance": {L2, []Labeled{good[0], good[0]}, good[:1], DetectorOptions{Score: ScoreMahalanobis}, ErrInvalid, "no covariance"},
		"iterations":    {Cosine, good, good, DetectorOptions{Iterations: -1}, ErrInvalid, "iterations"},
		"threads":       {Cosine, good, good, DetectorOptions{Threads: -1}, ErrInvalid, "threads"},
		"model":         {Cosine, good, good, DetectorOptions{ModelID: strings.Repeat("x", MaxLabel+1)}, ErrInvalid, "model"},
		"label":         {Cosine, []Labeled{{v(1, 2), strings.Repeat("x", MaxLabel+1)}}, good, DetectorOptions{}, ErrInvalid, "label"},
	} {
		if _, err := FitDetector(ctx, c.metric, c.known, c.heldOut, c.o); !errors.Is(err, c.want) || !strings.Contains(fmt.Sprint(err), c.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := FitDetector(cancelled, Cosine, good, good, DetectorOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	d, err := FitDetector(ctx, Cosine, good, good, DetectorOptions{})
	must(t, err)
	if _, err := d.Verdict(ctx, v(1, 2, 3), 0.5); !errors.Is(err, ErrDimension) {
		t.Errorf("dimension: %v", err)
	}
	var none Detector
	if _, err := none.Verdict(ctx, v(1), 0.5); !errors.Is(err, ErrNotCalibrated) {
		t.Errorf("no detector: %v", err)
	}
	if _, err := none.MarshalBinary(); !errors.Is(err, ErrNotCalibrated) {
		t.Errorf("no detector: %v", err)
	}
}

func TestClusters(t *testing.T) {
	// As many clusters as there are different vectors, each in its place.
	s := newSpace(Cosine, 3)
	var rows []float32
	want := [][]float32{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {0, 0, -1}}
	for i := range 40 {
		row := make([]float32, s.stride)
		must(t, s.prepare(row, want[i%len(want)]))
		rows = append(rows, row...)
	}
	centers, err := s.cluster(ctx, rows, 8, 25, rand.New(rand.NewPCG(1, 1)))
	must(t, err)
	if len(centers) != len(want)*s.stride {
		t.Fatalf("%d centers for %d different vectors", len(centers)/s.stride, len(want))
	}
	for _, w := range want {
		if !slices.ContainsFunc([]int{0, 1, 2, 3}, func(i int) bool { return slices.Equal(centers[i*s.stride:i*s.stride+3], w) }) {
			t.Errorf("no center at %v: %v", w, centers)
		}
	}
	// Rounds never raise the cost, and the centers are the means of their rows.
	for _, metric := range []Metric{Cosine, L2} {
		s := newSpace(metric, 8)
		v := clusters(rand.New(rand.NewPCG(2, 2)), 500, 8, 7, 0.6)
		rows := make([]float32, len(v)*s.stride)
		for i := range v {
			must(t, s.prepare(rows[i*s.stride:(i+1)*s.stride], v[i]))
		}
		last := math.Inf(1)
		for rounds := range 12 {
			centers, err := s.cluster(ctx, rows, 5, rounds+1, rand.New(rand.NewPCG(3, 3)))
			must(t, err)
			cost := 0.0
			for i := range v {
				best := math.Inf(1)
				for c := range 5 {
					var d float64
					for j := range s.stride {
						x := float64(rows[i*s.stride+j]) - float64(centers[c*s.stride+j])
						d += x * x
					}
					best = min(best, d)
				}
				cost += best
			}
			if cost > last+1e-6 {
				t.Errorf("%v: the cost rose from %v to %v in round %d", metric, last, cost, rounds)
			}
			last = cost
			if metric == Cosine {
				for c := range 5 {
					if n := length(centers[c*s.stride : (c+1)*s.stride]); math.Abs(n-1) > 1e-6 {
						t.Errorf("a center of length %v", n)
					}
				}
			}
		}
	}
}

func TestDetectorIsTheSameForAnyThreads(t *testing.T) {
	fit := func(threads int, seed uint64) []byte {
		r := rand.New(rand.NewPCG(5, 5))
		centers := clusters(r, 30, 16, 30, 0.5)
		d, err := FitDetector(ctx, L2, labeled(r, centers, 6, 1000, 0.4), labeled(r, centers, 6, 1100, 0.4), DetectorOptions{Threads: threads, Seed: seed})
		must(t, err)
		b, err := d.MarshalBinary()
		must(t, err)
		return b
	}
	if one := fit(1, 1); !slices.Equal(one, fit(4, 1)) || slices.Equal(one, fit(1, 2)) {
		t.Error("threads change the detector, or the seed does not")
	}
}

func TestDetectorCodec(t *testing.T) {
	d, centers, _ := fitted(t, Cosine, 6, 300, 120)
	b, err := d.MarshalBinary()
	must(t, err)
	var got Detector
	must(t, got.UnmarshalBinary(slices.Clone(b)))
	if got.near = d.near; !reflect.DeepEqual(bare(d), bare(&got)) {
		t.Fatal("the detector changed on its way")
	}
	v, err := d.Verdict(ctx, centers[3], 0.1)
	must(t, err)
	w, err := got.Verdict(ctx, centers[3], 0.1)
	must(t, err)
	if !reflect.DeepEqual(v, w) {
		t.Errorf("verdict %+v became %+v", v, w)
	}
	const seed = 9
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, seed))
	for range 300 {
		bad := slices.Clone(b)
		bad[r.IntN(len(bad))] ^= 1 << r.IntN(8)
		if err := new(Detector).UnmarshalBinary(bad); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("a flipped bit was not noticed: %v", err)
		}
		if err := new(Detector).UnmarshalBinary(b[:r.IntN(len(b))]); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("a cut was not noticed: %v", err)
		}
	}
	newer := slices.Clone(b[:len(b)-4])
	newer[1]++
	if err := new(Detector).UnmarshalBinary(seal(newer, "")); !errors.Is(err, ErrFormat) {
		t.Errorf("a newer version: %v", err)
	}
}

// TestSmallDetectorsAreRead: of however few points, what is written can be read.
func TestSmallDetectorsAreRead(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	centers := clusters(r, 2, 5, 5, 0.5)
	for _, classes := range []int{1, 2} {
		for n := classes; n < chooseLeast+10; n += 3 {
			d, err := FitDetector(ctx, Cosine, labeled(r, centers, classes, n, 0.3), labeled(r, centers, classes, 4, 0.3), DetectorOptions{})
			must(t, err)
			b, err := d.MarshalBinary()
			must(t, err)
			if err := new(Detector).UnmarshalBinary(b); err != nil {
				t.Fatalf("%d known points of %d classes: %v", n, classes, err)
			}
			d.scale.spread[3] = 0 // as it was written first
			b, err = d.MarshalBinary()
			must(t, err)
			var got Detector
			if err := got.UnmarshalBinary(b); err != nil || got.scale.spread[3] != 1 {
				t.Fatalf("a spread of 0: %v, %v", got.scale, err)
			}
		}
	}
}

// TestDetectorFitsQuickly fits what the demo fits: 54 000 vectors of 9 classes, 64 components.
func TestDetectorFitsQuickly(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	centers := clusters(r, 90, 64, 90, 0.5)
	known, heldOut := labeled(r, centers, 9, smaller(54_000), 0.5), labeled(r, centers, 9, 3000, 0.5)
	began := time.Now()
	d, err := FitDetector(ctx, Cosine, known, heldOut, DetectorOptions{})
	must(t, err)
	took := time.Since(began)
	t.Logf("%d clusters of %d vectors in %v", d.Clusters(), len(known), took)
	// It takes about 2 s of processor time; the rest is for what else the machine does.
	if limit := 40 * time.Second; took > limit && !raceEnabled && distance.Tier() != "generic" {
		t.Errorf("fitting took %v, more than %v", took, limit)
	}
}

func FuzzDetector(f *testing.F) {
	d, err := FitDetector(ctx, L2, []Labeled{{[]float32{1, 2}, "a"}, {[]float32{3, 4}, "b"}}, []Labeled{{[]float32{1, 1}, "a"}}, DetectorOptions{ModelID: "m"})
	must(f, err)
	b, err := d.MarshalBinary()
	must(f, err)
	f.Add(b[2 : len(b)-4])
	f.Fuzz(func(t *testing.T, content []byte) {
		record := seal(append(newRecord(kindDetector, len(content)), content...), "")
		var d Detector
		if err := d.UnmarshalBinary(record); err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		again, err := d.MarshalBinary()
		must(t, err)
		if !slices.Equal(record, again) {
			t.Fatal("the detector changed on its way")
		}
		v := make([]float32, d.Dimension())
		v[0] = 1
		verdict, err := d.Verdict(ctx, v, 0.5)
		must(t, err)
		if !(verdict.PValue > 0 && verdict.PValue <= 1) {
			t.Fatalf("verdict %+v", verdict)
		}
	})
}
