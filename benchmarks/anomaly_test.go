package benchmarks

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/akin-search/akin/train"
)

// TestAnomalyFigures compares with naive loops over thresholds, on scores with many equal ones.
func TestAnomalyFigures(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for round := range 20 {
		draw := func(n int, shift float64) (s []float64) {
			for range n {
				s = append(s, math.Round(4*(rng.NormFloat64()+shift))/4)
			}
			return s
		}
		normal, strange := draw(1+rng.IntN(60), 0), draw(1+rng.IntN(40), 1)
		got, err := anomalyFigures(normal, strange)
		if err != nil {
			t.Fatal(err)
		}
		count := func(s []float64, at float64) (n float64) {
			for _, x := range s {
				if x >= at {
					n++
				}
			}
			return n
		}
		thresholds := slices.Sorted(slices.Values(slices.Concat(normal, strange)))
		slices.Reverse(thresholds)
		aupr, fpr, before := 0.0, 1.0, 0.0
		for _, at := range slices.Compact(thresholds) {
			found, alarms := count(strange, at), count(normal, at)
			aupr += (found - before) / float64(len(strange)) * found / (found + alarms)
			before = found
			if found >= 0.95*float64(len(strange)) {
				fpr = min(fpr, alarms/float64(len(normal)))
			}
		}
		if math.Abs(got.AUPR-aupr) > 1e-12 || math.Abs(got.FPRAt95TPR-fpr) > 1e-12 {
			t.Errorf("round %d: AUPR %g, want %g; FPR at 95 %% TPR %g, want %g", round, got.AUPR, aupr, got.FPRAt95TPR, fpr)
		}
	}
	if f, err := anomalyFigures([]float64{1, 2}, []float64{3, 4}); err != nil || f.AUROC != 1 || f.AUPR != 1 || f.FPRAt95TPR != 0 || f.AnomalyShare != 0.5 {
		t.Errorf("told apart: %+v, %v", f, err)
	}
	if _, err := anomalyFigures(nil, []float64{1}); !errors.Is(err, ErrData) {
		t.Errorf("no normal items: %v", err)
	}
}

// TestFalseAlarmIntervals: known values of Clopper and Pearson's interval, and what so many calibrations and tests gave.
func TestFalseAlarmIntervals(t *testing.T) {
	// R: binom.test(3, 200, conf.level = 0.99)$conf.int, binom.test(0, 50, conf.level = 0.99)
	for _, c := range []struct {
		hits, n   int
		low, high float64
	}{{3, 200, 0.0016960, 0.0536957}, {0, 50, 0, 0.1005484}, {50, 50, 0.8994516, 1}} {
		if low, high := clopperPearson(c.hits, c.n, interval99); math.Abs(low-c.low) > 2e-4 || math.Abs(high-c.high) > 2e-4 {
			t.Errorf("%d of %d: %g to %g, want %g to %g", c.hits, c.n, low, high, c.low, c.high)
		}
	}
	// Conformal alarms, drawn.
	const calibration, n, alpha, rounds = 99, 300, 0.05, 4000
	low, high := expectedAlarms(alpha, calibration, n)
	rng, outside := rand.New(rand.NewPCG(5, 6)), 0
	for range rounds {
		known := make([]float64, calibration)
		for i := range known {
			known[i] = rng.Float64()
		}
		slices.Sort(known)
		alarms := 0
		for range n {
			x := rng.Float64()
			at, _ := slices.BinarySearch(known, x)
			if float64(calibration-at+1)/(calibration+1) <= alpha {
				alarms++
			}
		}
		if alarms < low || alarms > high {
			outside++
		}
	}
	if share := float64(outside) / rounds; share > 0.0155 || share < 0.002 {
		t.Errorf("%g of the calibrations gave alarms outside %d to %d, want about 0.01 or a little less", share, low, high)
	}
	if low, high := expectedAlarms(0.01, 50, 1000); low != 0 || high != 0 {
		t.Errorf("an alpha that 50 items do not support gives %d to %d alarms, want none", low, high)
	}
}

// TestNeighborDistances compares with a loop over all pairs.
func TestNeighborDistances(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 9))
	draw := func(n int) (rows [][]float32) {
		for range n {
			row := make([]float32, 7)
			for j := range row {
				row[j] = float32(rng.NormFloat64())
			}
			rows = append(rows, row)
		}
		return rows
	}
	for _, n := range []int{1, 3, 200} {
		base, queries := draw(n), draw(150)
		got, err := neighborDistances(context.Background(), base, queries, 5)
		if err != nil {
			t.Fatal(err)
		}
		for i, q := range queries {
			var all []float64
			for _, b := range base {
				sum := 0.0
				for j := range q {
					sum += float64(q[j]-b[j]) * float64(q[j]-b[j])
				}
				all = append(all, math.Sqrt(sum))
			}
			slices.Sort(all)
			all = all[:min(5, n)]
			want := 0.0
			for _, d := range all {
				want += d / float64(len(all))
			}
			if math.Abs(got[i]-want) > 1e-4 {
				t.Fatalf("%d rows, query %d: %g, want %g", n, i, got[i], want)
			}
		}
	}
}

// anomalyParts draws pictures: normal ones have an upright bar, anomalies one that lies.
func anomalyParts(n int) AnomalyCase {
	rng := rand.New(rand.NewPCG(7, 8))
	draw := func(name string, n int, lies bool) train.Dataset {
		d := train.Dataset{Classes: []string{"bar"}}
		for i := range n {
			img := make([]byte, 12+16*16)
			copy(img, []byte{0, 0, 8, 2, 0, 0, 0, 16, 0, 0, 0, 16})
			at, to := 4+rng.IntN(8), 2+rng.IntN(3)
			for y := to; y < 16-to; y++ {
				for x := at - 1; x <= at+1; x++ {
					place := y*16 + x
					if lies {
						place = x*16 + y
					}
					img[12+place] = byte(150 + rng.IntN(100))
				}
			}
			d.IDs, d.Raw, d.Labels = append(d.IDs, name+string(rune('a'+i%26))+string(rune('a'+i/26))), append(d.Raw, img), append(d.Labels, 0)
		}
		return d
	}
	return AnomalyCase{Name: "bars", Known: draw("known-", n, false), Normal: draw("normal-", n/4, false), Anomalies: draw("strange-", n/4, true)}
}

// TestAnomaly goes the whole way with one class of easy pictures, draws the plots, and gives the same figures again.
func TestAnomaly(t *testing.T) {
	parts := anomalyParts(240)
	plot := filepath.Join(t.TempDir(), "a.svg")
	o := AnomalyOptions{Dataset: "bars", Cases: []AnomalyCase{parts}, Plot: plot, Train: train.Options{Epochs: 4, Holdout: 0.3, Threads: 1}}
	r, err := Anomaly(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	run := r.Runs[0]
	if r.AUROC < 0.95 || run.Score != "knn" || len(run.Shifts) == 0 || run.Calibration < 40 || run.Known+run.Calibration != 240 || run.Normal != 60 || run.Anomalies != 60 {
		t.Errorf("%+v", r)
	}
	if len(r.FalseAlarms) != 2 || r.FalseAlarms[0].Alpha != 0.05 || r.FalseAlarms[0].Items != 60 || !r.FalseAlarms[1].Expected || r.FalseAlarms[1].Found < 0.5 {
		t.Errorf("false alarms %+v", r.FalseAlarms)
	}
	for _, kind := range []string{"roc", "scores", "pvalues"} {
		if b, err := os.ReadFile(strings.TrimSuffix(plot, ".svg") + "-" + kind + ".svg"); err != nil || !strings.Contains(string(b), "</svg>") {
			t.Errorf("plot %s: %v", kind, err)
		}
	}
	o.Plot = ""
	again, err := Anomaly(context.Background(), o)
	if err != nil || again.AnomalyFigures != r.AnomalyFigures {
		t.Errorf("again %+v, was %+v; %v", again.AnomalyFigures, r.AnomalyFigures, err)
	}
	for name, change := range map[string]func(*AnomalyOptions){
		"protocol": func(o *AnomalyOptions) { o.Protocol = "two-class" }, "data set": func(o *AnomalyOptions) { o.Cases, o.Protocol = nil, OneClass },
		"class": func(o *AnomalyOptions) { o.Classes = []int{3} }, "seeds": func(o *AnomalyOptions) { o.Seeds = -1 },
		"patches": func(o *AnomalyOptions) { o.Cases, o.Dataset, o.Protocol, o.Patches = nil, MNIST, OneClass, true }, "crop": func(o *AnomalyOptions) { o.Crop = 31 },
		"holdout": func(o *AnomalyOptions) { o.Train.Holdout = 0.9 }, "validation": func(o *AnomalyOptions) { o.Validation = true },
	} {
		bad := o
		if change(&bad); !errors.Is(func() error { _, err := Anomaly(context.Background(), bad); return err }(), ErrInvalid) {
			t.Errorf("a bad %s was taken", name)
		}
	}
}

// TestStream: a large change is noticed soon, and the same seed tells the same.
func TestStream(t *testing.T) {
	o := StreamOptions{Items: 500, Seed: 3, Threads: 1}
	r, err := Stream(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	if last := r.Changes[len(r.Changes)-1]; last.Noticed != 1 || last.Median > 200 || r.FalseAlarms > 1 || r.Healthy != 2000 {
		t.Errorf("%+v", r)
	}
	again, err := Stream(context.Background(), o)
	if err != nil || again.Changes[3].Median != r.Changes[3].Median || again.FalseAlarms != r.FalseAlarms {
		t.Errorf("again %+v, was %+v; %v", again, r, err)
	}
	if _, err := Stream(context.Background(), StreamOptions{Items: -1}); !errors.Is(err, ErrInvalid) {
		t.Errorf("-1 items: %v", err)
	}
}
