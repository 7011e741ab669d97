package train

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/akin-search/akin/encoder"
)

func recordOf(t *testing.T, m *encoder.Model) Record {
	t.Helper()
	var rec Record
	if err := json.Unmarshal(m.Record, &rec); err != nil {
		t.Fatal(err)
	}
	return rec
}

// TestCollapseRecovers: at a rate a thousand times too high the embeddings draw together; the run goes back, more than once, and ends as
// well as a healthy one. It is the same run when it is interrupted anywhere, also between the setbacks.
func TestCollapseRecovers(t *testing.T) {
	d, v := stripes(600, 1), stripes(150, 2)
	o := quick("supcon")
	o.Rate = 5
	var told []BackOff
	o.Notice = func(b BackOff) { told = append(told, b) }
	m := mustRun(t, d, v, o)
	rec := recordOf(t, m)
	var back []BackOff
	for i, e := range rec.Curve {
		if e.BackOff == nil {
			if e.Validation < 0 {
				t.Errorf("entry %d has no accuracy: %+v", i, e)
			}
			continue
		}
		back = append(back, *e.BackOff)
		if e.Epoch != e.BackOff.To+1 || e.Validation != -1 || i+1 == len(rec.Curve) || rec.Curve[i+1].Epoch != e.Epoch {
			t.Errorf("entry %d of the curve: %+v", i, e)
		}
	}
	if len(back) < 2 || len(told) != len(back) || len(rec.Curve) != o.Epochs+len(back) {
		t.Fatalf("%d setbacks in a curve of %d, %d told of", len(back), len(rec.Curve), len(told))
	}
	for i, b := range back {
		if want := 5 / math.Pow(2, float64(i+1)); b != told[i] || b.Rate != want || b.Temperature <= DefaultTemperature || b.Margin >= DefaultMargin || b.Reason == "" {
			t.Errorf("setback %d: %+v, told %+v, want rate %g", i, b, told[i], want)
		}
	}
	if last := rec.Curve[len(rec.Curve)-1]; last.Validation < 0.9 || last.Variance < 0.2 || rec.Options.Rate != 5 {
		t.Errorf("the run ends with %+v", last)
	}
	checkResumes(t, d, v, o, modelBytes(t, m), 5)
}

// checkResumes interrupts a run at many places, one every stride checks of the context later, and compares the end with want. Where the
// run has stopped to move, at its end, it is let go.
func checkResumes(t *testing.T, d, v Dataset, o Options, want []byte, stride int) {
	t.Helper()
	const procs = 2 // as many probe: how often they ask is then the same on every machine
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
	o.Checkpoint = filepath.Join(t.TempDir(), "run.ckpt")
	interrupted, at, still := 0, "", 0
	for try := 0; ; try++ {
		checks := 2*procs + stride*(try+1) + 10*still // the probe asks once a block, training once a batch; decoding asks a context of its own
		if still == 3 {
			checks = math.MaxInt
		}
		m, err := Run(newCountdown(checks), d, v, o)
		if err == nil {
			if !bytes.Equal(want, modelBytes(t, m)) {
				t.Error("the resumed run ends with another model")
			}
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		b, err := os.ReadFile(o.Checkpoint)
		if errors.Is(err, fs.ErrNotExist) {
			continue // interrupted before the first step
		}
		if err != nil {
			t.Fatal(err)
		}
		c, err := parseCheckpoint(b)
		if err != nil {
			t.Fatal(err)
		}
		o.Resume = true
		if now := fmt.Sprint(c.Step, len(c.Curve)); now != at || c.Step == 0 {
			interrupted, at, still = interrupted+1, now, 0
		} else {
			still++
		}
		if try > 300 {
			t.Fatal("the run makes no progress")
		}
	}
	if interrupted < 3 {
		t.Errorf("interrupted %d times only: nothing is proved", interrupted)
	}
}

// TestHealthyRunsNeverGoBack: each loss and optimiser, at fitting and at slow rates, with few and many classes.
func TestHealthyRunsNeverGoBack(t *testing.T) {
	d, v := stripes(300, 1), stripes(90, 2)
	two := d.Subset(everyOther(d, 2))
	for name, c := range map[string]struct {
		data Dataset
		set  func(*Options)
	}{
		"supcon": {d, func(*Options) {}}, "ntxent": {d, func(o *Options) { o.Loss = "ntxent" }}, "contrastive": {d, func(o *Options) { o.Loss = "contrastive" }},
		"two classes": {two, func(o *Options) { o.Epochs = 8 }}, "slow": {d, func(o *Options) { o.Rate = 1e-5 }}, "slow sgd": {d, func(o *Options) { o.Optimizer, o.Rate = "sgd", 1e-3 }},
		"sgd": {d, func(o *Options) { o.Optimizer, o.Rate = "sgd", 0 }}, "nesterov": {d, func(o *Options) { o.Optimizer, o.Rate = "nesterov", 0 }},
		"lars": {d, func(o *Options) { o.Optimizer, o.Rate = "lars", 0 }}, "hot": {d, func(o *Options) { o.Temperature = 10 }}, "ema": {d, func(o *Options) { o.EMA = 0.9 }},
		"few items": {stripes(30, 4), func(o *Options) { o.Epochs, o.Rate = 30, 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			o := quick("supcon")
			c.set(&o)
			for _, e := range recordOf(t, mustRun(t, c.data, v, o)).Curve {
				if e.BackOff != nil {
					t.Errorf("%+v: %+v", e, *e.BackOff)
				}
			}
		})
	}
}

// everyOther returns the items of the first so many classes.
func everyOther(d Dataset, classes int) (items []int) {
	for i, l := range d.Labels {
		if l < classes {
			items = append(items, i)
		}
	}
	return items
}

// TestHopelessCollapse: where all pictures are alike, so are their embeddings, and the run says so in the end.
func TestHopelessCollapse(t *testing.T) {
	d := stripes(100, 1)
	for i := range d.Raw {
		d.Raw[i] = d.Raw[0]
	}
	o := quick("supcon")
	o.Augmentation = &Augmentation{}
	told := 0
	o.Notice = func(BackOff) { told++ }
	_, err := Run(context.Background(), d, Dataset{}, o)
	if !errors.Is(err, ErrCollapsed) || !strings.Contains(err.Error(), "lower rate") || told != maxBackOffs {
		t.Errorf("%v after %d setbacks", err, told)
	}
}

// TestDivergenceRecovers: weights that overflow in the middle of a run send it back to where they did not.
func TestDivergenceRecovers(t *testing.T) {
	d := stripes(200, 1)
	r := newTestRun(t, d, quick("supcon"))
	ctx := context.Background()
	h, problem, err := r.health(ctx, r.modelWeights())
	if err != nil || problem != "" {
		t.Fatal(problem, err)
	}
	r.initial, r.good = &h, r.tables()
	overflow(r)
	if err := r.train(ctx); err != nil {
		t.Fatal(err)
	}
	if len(r.curve) != r.Epochs+1 || r.curve[0].BackOff == nil || !strings.Contains(r.curve[0].BackOff.Reason, "NaN") || !finite(r.modelWeights()...) {
		t.Errorf("the curve is %+v", r.curve)
	}
}

// TestDivergenceIsReported starts from weights that overflow.
func TestDivergenceIsReported(t *testing.T) {
	r := newTestRun(t, stripes(100, 1), quick("supcon"))
	overflow(r)
	if err := r.train(context.Background()); !errors.Is(err, ErrDiverged) {
		t.Errorf("infinite activations: %v", err)
	}
}

func newTestRun(t *testing.T, d Dataset, o Options) *run {
	t.Helper()
	pre, err := inspect(d, "")
	if err != nil {
		t.Fatal(err)
	}
	o.SetDefaults(d.Len(), len(d.Classes), pre.Size)
	r, err := newRun(context.Background(), d, Dataset{}, pre, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.prepare(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(r.graph.Close(), r.dev.Close()); err != nil {
			t.Error(err)
		}
	})
	return r
}

// overflow makes the activations infinite.
func overflow(r *run) {
	huge := make([]float32, r.graph.Weight(0).Len())
	for i := range huge {
		huge[i] = 1e38
	}
	r.dev.Upload(r.graph.Weight(0), huge)
}

// someDigits returns so many digits of GoMNIST, and 200 others.
func someDigits(t *testing.T, n int) (d, v Dataset) {
	t.Helper()
	all, _, err := MNIST("")
	if err != nil {
		t.Fatal(err)
	}
	items := make([]int, n+200)
	for i := range items {
		items[i] = i
	}
	return all.Subset(items[:n]), all.Subset(items[n:])
}

// TestHardNegativesRecover: batch-hard triplets draw untrained embeddings of digits together, at a high rate and at the default one; the
// run takes semi-hard ones then, and learns. It is the same run when it is interrupted.
func TestHardNegativesRecover(t *testing.T) {
	d, v := someDigits(t, 400)
	augmentation := Digits()
	for _, rate := range []float64{0.05, 0} {
		o := Options{Loss: "triplet", Negatives: "hard", Rate: rate, Epochs: 5, Batch: 64, Threads: 1, Augmentation: &augmentation}
		m := mustRun(t, d, v, o)
		rec := recordOf(t, m)
		if b := rec.Curve[0].BackOff; b == nil || b.Negatives != "semi-hard" || b.Chance <= 0 {
			t.Fatalf("rate %g: the curve begins with %+v", rate, rec.Curve[0])
		}
		if last := rec.Curve[len(rec.Curve)-1]; last.Validation < 0.8 || last.Variance < 0.2 {
			t.Errorf("rate %g: the run ends with %+v", rate, last)
		}
		if rate > 0 {
			checkResumes(t, d, v, o, modelBytes(t, m), 8)
		}
	}
}

// TestSmallRunsEnd: labels that say nothing about the pictures, few items, one class, classes out of balance: each run ends with a model
// at the rate it was given, and with what the untrained network's embeddings could do at least.
func TestSmallRunsEnd(t *testing.T) {
	d, v := someDigits(t, 300)
	random := d
	random.Labels = make([]int, d.Len())
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range random.Labels {
		random.Labels[i] = rng.IntN(2)
	}
	one := d
	one.Labels = make([]int, d.Len())
	var rare []int // 0, and three of 1
	for i, l := range d.Labels {
		if l == 0 || l == 1 && i < 40 {
			rare = append(rare, i)
		}
	}
	augmentation := Digits()
	tiny := Options{Dimension: 8, Batch: 32, Epochs: 3}
	for name, c := range map[string]struct {
		d        Dataset
		o        Options
		unhelped bool
	}{
		"tiny": {d.Subset(everyOther(d, 10)[:150]), tiny, false}, "tiny stripes": {stripes(150, 1), tiny, false},
		"two random classes": {random, Options{Epochs: 7}, true},
		"one class":          {one, Options{Epochs: 2}, false}, "a rare class": {d.Subset(rare), Options{Epochs: 8}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.Threads, c.o.Augmentation = 1, &augmentation
			rec := recordOf(t, mustRun(t, c.d, v, c.o))
			last, unhelped := rec.Curve[len(rec.Curve)-1], false
			for _, e := range rec.Curve {
				if b := e.BackOff; b != nil && b.Unhelped {
					unhelped = true
					if b.Rate != rec.Options.Rate || b.Temperature != rec.Options.Temperature {
						t.Errorf("goes on with %+v", *b)
					}
				} else if b != nil && !c.unhelped {
					t.Errorf("went back: %+v", *b)
				}
			}
			if last.BackOff != nil || last.Epoch != rec.Options.Epochs || unhelped != c.unhelped {
				t.Errorf("the run ends with %+v; unhelped %v, want %v", last, unhelped, c.unhelped)
			}
		})
	}
}

// TestEndsWhereLearned: a run that had learned, and that no lower rate saves from a setback, ends with what it had learned, resumed or not.
func TestEndsWhereLearned(t *testing.T) {
	r := newTestRun(t, stripes(200, 1), quick("supcon"))
	ctx := context.Background()
	h, problem, err := r.health(ctx, r.modelWeights())
	if err != nil || problem != "" {
		t.Fatal(problem, err)
	}
	r.initial, r.good = &h, r.tables()
	r.curve = []Epoch{{Epoch: 1, Loss: 0.5 * r.chance, Validation: -1, Health: h}}
	r.step = r.perEpoch
	for n := 1; ; n++ {
		if err := r.backOff(setback{cause: ErrCollapsed, reason: "drawn", health: h}); err != nil {
			t.Fatal(err)
		}
		if r.ended() != (n == maxBackOffs+1) {
			t.Fatalf("ended is %v after %d setbacks", r.ended(), n)
		}
		if r.ended() {
			break
		}
	}
	before := r.graph.Weights()
	if err := r.train(ctx); err != nil || r.epochs() != 1 || !reflect.DeepEqual(r.graph.Weights(), before) {
		t.Errorf("a run that has ended trains on: %v", err)
	}
}

// TestCollapsedRules: what counts as a collapse, one rule at a time.
func TestCollapsedRules(t *testing.T) {
	healthy := Epoch{Loss: 2, Health: Health{Variance: 0.8, EffectiveRank: 20}}
	for name, c := range map[string]struct {
		past, now Epoch
		want      string
	}{
		"healthy":       {healthy, healthy, ""},
		"point":         {healthy, Epoch{Loss: 2, Health: Health{Variance: 0.03, EffectiveRank: 20}}, "draw together"},
		"plane":         {healthy, Epoch{Loss: 2, Health: Health{Variance: 0.8, EffectiveRank: 0.9}}, "lose dimensions"},
		"class rank":    {healthy, Epoch{Loss: 2, Health: Health{Variance: 0.8, EffectiveRank: 1.1}}, ""}, // of three classes
		"fell back":     {healthy, Epoch{Loss: 3.995, Health: Health{Variance: 0.8, EffectiveRank: 20}}, "fell back"},
		"sits":          {Epoch{Loss: 3.9, Health: healthy.Health}, Epoch{Loss: 4.005, Health: Health{Variance: 0.1, EffectiveRank: 20}}, "sits"},
		"hardly learns": {Epoch{Loss: 3.99, Health: healthy.Health}, Epoch{Loss: 3.98, Health: Health{Variance: 0.1, EffectiveRank: 20}}, ""},
		"not yet away":  {Epoch{Loss: 3.99, Health: healthy.Health}, Epoch{Loss: 4, Health: Health{Variance: 0.7, EffectiveRank: 20}}, ""},
		"above chance":  {healthy, Epoch{Loss: 5, Health: Health{Variance: 0.1, EffectiveRank: 20}}, ""},
		"after setback": {Epoch{Loss: 2, Health: healthy.Health, BackOff: &BackOff{}}, Epoch{Loss: 4, Health: Health{Variance: 0.1, EffectiveRank: 20}}, ""},
	} {
		r := &run{chance: 4, initial: &Health{Variance: 0.2, EffectiveRank: 5}, curve: []Epoch{c.past}, probe: probe{items: 10}, drawn: stripes(9, 1), step: fairSteps}
		if got, sits := r.collapsed(c.now); sits != (name == "sits") || (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
