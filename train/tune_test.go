package train

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// tuned runs a small search on stripes.
func tuned(t *testing.T, o TuneOptions) (Tuned, error) {
	t.Helper()
	return Tune(t.Context(), stripes(300, 1), stripes(60, 2), o)
}

func tuneOptions(log string) TuneOptions {
	return TuneOptions{Options: Options{Epochs: 3, Dimension: 16, Batch: 48, Threads: 1}, Trials: 6, Budget: time.Hour, Seed: 5, Log: log}
}

// timeless returns steps without what differs from run to run.
func timeless(steps []Step) []Step {
	steps = slices.Clone(steps)
	for i := range steps {
		steps[i].Seconds = 0
	}
	return steps
}

// TestTune follows one search: its order, its log, its winner; then interrupted after every step and resumed, it is the same.
func TestTune(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	want, err := tuned(t, tuneOptions(log))
	if err != nil {
		t.Fatal(err)
	}
	if !want.Complete || !slices.Equal(want.Rungs, []int{1, 3}) || want.Rung != 1 {
		t.Fatalf("rungs %v, won at %d, complete %v", want.Rungs, want.Rung, want.Complete)
	}
	if a, b := want.Steps[0], want.Steps[1]; a.Trial != 0 || a.Rung != 0 || b.Trial != 0 || b.Rung != 1 || a.Settings != (Settings{}) {
		t.Errorf("it began with %+v and %+v, not with the defaults", a, b)
	}
	best := -1.0
	for _, s := range want.Steps {
		if s.Rung == 1 {
			best = max(best, s.Validation)
		}
		if s.Trial > 0 && (s.Settings.Loss == "" || s.Settings.Rate == 0 || s.Settings.Augment == 0 || s.Settings.Batch != 0 || s.Settings.Dimension != 0) {
			t.Errorf("trial %d tries %+v: it should have what the options leave open, and nothing else", s.Trial, s.Settings)
		}
	}
	if want.Validation != best || want.Validation < want.Defaults {
		t.Errorf("the winner has %v, the best of its rung %v, the defaults %v", want.Validation, best, want.Defaults)
	}
	// The configuration, as a file holds it, gives the winner's figure again.
	b, err := json.Marshal(want.Config)
	if err != nil {
		t.Fatal(err)
	}
	var config Options
	if err := json.Unmarshal(b, &config); err != nil {
		t.Fatal(err)
	}
	m := mustRun(t, stripes(300, 1), stripes(60, 2), config)
	var rec Record
	if err := json.Unmarshal(m.Record, &rec); err != nil || rec.Curve[len(rec.Curve)-1].Validation != want.Validation {
		t.Errorf("training by the winner's options ends at %+v, want %v (%v)", rec.Curve, want.Validation, err)
	}
	whole, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(whole), "\n"); n != 1+len(want.Steps) {
		t.Errorf("a log of %d lines for %d steps", n, len(want.Steps))
	}

	// Cut anywhere, in a line too, the log is gone on from.
	lines := strings.SplitAfter(string(whole), "\n")
	for kept, torn := range map[int]string{len(lines) - 2: "", 3: `{"trial":4,"ru`, 0: lines[0][:9]} {
		cut := filepath.Join(t.TempDir(), "cut")
		if err := os.WriteFile(cut, []byte(strings.Join(lines[:kept], "")+torn), 0o644); err != nil {
			t.Fatal(err)
		}
		o := tuneOptions(cut)
		o.Resume = true
		got, err := tuned(t, o)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(timeless(got.Steps), timeless(want.Steps)) || got.Winner != want.Winner || !got.Complete {
			t.Errorf("resumed after %d lines: %+v, want %+v", kept, got, want)
		}
	}

	// What cannot be gone on from.
	o := tuneOptions(log)
	if _, err := tuned(t, o); !errors.Is(err, ErrTuneLog) || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("a log that is there: %v", err)
	}
	o.Resume, o.Seed = true, 6
	if _, err := tuned(t, o); !errors.Is(err, ErrTuneLog) || !strings.Contains(err.Error(), "other data, options, trials or seed") {
		t.Errorf("another seed: %v", err)
	}
	o = tuneOptions(filepath.Join(t.TempDir(), "none"))
	o.Resume = true
	if _, err := tuned(t, o); !errors.Is(err, ErrTuneLog) || !strings.Contains(err.Error(), "start without resuming") {
		t.Errorf("no log: %v", err)
	}
}

// TestTuneStops: cancelled in a step, the log holds the steps before; a budget that is spent ends it with what there is.
func TestTuneStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	log := filepath.Join(t.TempDir(), "log")
	o := tuneOptions(log)
	begun := 0
	o.Begin = func(Step) {
		if begun++; begun == 3 {
			cancel()
		}
	}
	if _, err := Tune(ctx, stripes(300, 1), stripes(60, 2), o); !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled: %v", err)
	}
	b, err := os.ReadFile(log)
	if err != nil || strings.Count(string(b), "\n") != 3 || !strings.HasSuffix(string(b), "\n") {
		t.Fatalf("the log of two steps is %q (%v)", b, err)
	}
	// The two steps say that they took 3 s for 4 epochs: one more epoch fits into 3.8 s, and no second.
	lines := strings.SplitAfter(string(b), "\n")
	for i := 1; i <= 2; i++ {
		var s Step
		if err := json.Unmarshal([]byte(lines[i]), &s); err != nil {
			t.Fatal(err)
		}
		s.Seconds = 1.5
		again, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		lines[i] = string(again) + "\n"
	}
	if err := os.WriteFile(log, []byte(strings.Join(lines, "")), 0o644); err != nil {
		t.Fatal(err)
	}
	o.Begin, o.Resume, o.Budget = nil, true, 3100*time.Millisecond
	got, err := tuned(t, o)
	if err != nil || got.Complete || len(got.Steps) != 2 || got.Winner != 0 || got.Rung != 1 || got.Seconds != 3 {
		t.Errorf("out of budget: %+v, %v", got, err)
	}
}

// TestTuneDropsSetbacks: a trial that is set back is shown as such and does not go on; when all are, there is no winner.
func TestTuneDropsSetbacks(t *testing.T) {
	tu := &tuning{TuneOptions: TuneOptions{Trials: 4}, rungs: []int{1, 3}, trials: make([]Settings, 4)}
	take := func(trial, rung int, validation float64) {
		t.Helper()
		if gotTrial, gotRung, more := tu.next(); !more || gotTrial != trial || gotRung != rung {
			t.Fatalf("next is trial %d at rung %d (%v), want %d at %d", gotTrial, gotRung, more, trial, rung)
		}
		s := Step{Trial: trial, Rung: rung, Epochs: tu.rungs[rung], Status: StatusDone, Validation: validation}
		if validation < 0 {
			s.Status, s.Reason = StatusSetBack, "test"
		}
		tu.steps = append(tu.steps, s)
	}
	take(0, 0, 0.5)
	take(0, 1, 0.6)
	take(1, 0, -1)
	take(2, 0, 0.9)
	take(2, 1, -1) // the best of three goes up as soon as there are three, and fails
	take(3, 0, 0.8)
	if _, _, more := tu.next(); more {
		t.Error("one of four goes up, and went")
	}
	got, err := tu.result(true)
	if err != nil || got.Winner != 0 || got.Rung != 1 || got.Validation != 0.6 || got.Defaults != 0.6 {
		t.Errorf("%+v, %v", got, err)
	}

	tu.steps = nil
	take(0, 0, -1)
	take(1, 0, 0.3)
	take(2, 0, 0.4)
	take(2, 1, 0.7)
	take(3, 0, -1)
	if got, err := tu.result(true); err != nil || got.Winner != 2 || got.Rung != 1 || got.Defaults != -1 {
		t.Errorf("without the defaults: %+v, %v", got, err)
	}
	tu.steps = nil
	for trial := range 4 {
		take(trial, 0, -1)
	}
	if _, err := tu.result(true); !errors.Is(err, ErrDiverged) || !strings.Contains(err.Error(), "all of 4 trials") {
		t.Errorf("all failed: %v", err)
	}
}

// TestTuneSetback: a training that diverges is a dropped trial, not an error.
func TestTuneSetback(t *testing.T) {
	tu, err := newTuning(t.Context(), stripes(60, 1), stripes(30, 2), tuneOptions("unused"))
	if err != nil {
		t.Fatal(err)
	}
	tu.trials[1] = Settings{Loss: "contrastive", Rate: 10}
	s, err := tu.take(t.Context(), 1, 1)
	if err != nil || !s.Failed() || s.Reason == "" || s.Validation != -1 {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestTuneSettings: what is drawn lies within its bounds, depends on the seed and the trial, and not on how many there are or what is fixed.
func TestTuneSettings(t *testing.T) {
	draw := func(change func(*TuneOptions)) []Settings {
		o := TuneOptions{Trials: 200, Budget: time.Hour, Log: "unused", Seed: 1}
		change(&o)
		tu, err := newTuning(t.Context(), stripes(900, 1), stripes(30, 2), o)
		if err != nil {
			t.Fatal(err)
		}
		return tu.trials
	}
	all := draw(func(*TuneOptions) {})
	losses, dimensions := map[string]bool{}, map[int]bool{}
	for i, s := range all[1:] {
		losses[s.Loss], dimensions[s.Dimension] = true, true
		kind, err := ParseLoss(s.Loss)
		if err != nil {
			t.Fatal(err)
		}
		ownDefault, _ := kind.Defaults()
		if s.Temperature != 0 && (s.Temperature < tuneColdest*ownDefault || s.Temperature > tuneWarmest*ownDefault) || s.Augment < tuneWeakest || s.Augment > tuneStrongest || s.Batch < tuneSmallestBatch {
			t.Errorf("trial %d: %+v", i+1, s)
		}
		if kind.warm() != (s.Temperature != 0) {
			t.Errorf("trial %d: loss %s with temperature %v", i+1, s.Loss, s.Temperature)
		}
	}
	if len(losses) != len(tunedLosses()) || losses[LossNTXent.String()] || len(dimensions) != 3 || all[0] != (Settings{}) {
		t.Errorf("losses %v, dimensions %v, defaults %+v", losses, dimensions, all[0])
	}
	if few := draw(func(o *TuneOptions) { o.Trials = 20 }); !slices.Equal(few, all[:20]) {
		t.Error("the number of trials changes what they are")
	}
	if other := draw(func(o *TuneOptions) { o.Seed = 2 }); slices.Equal(other, all) {
		t.Error("another seed draws the same")
	}
	for i, s := range draw(func(o *TuneOptions) { o.Options.Dimension, o.Options.Augmentation = 16, &Augmentation{} }) {
		want := all[i]
		want.Dimension, want.Augment = 0, 0
		if s != want {
			t.Errorf("trial %d with a fixed dimension and no augmentation: %+v, want %+v", i, s, want)
		}
	}
}

func TestRungs(t *testing.T) {
	for _, c := range []struct {
		epochs, trials int
		want           []int
	}{{5, 20, []int{1, 2, 5}}, {5, 2, []int{5}}, {1, 100, []int{1}}, {200, 27, []int{7, 22, 67, 200}}, {3, 3, []int{1, 3}}} {
		if got := rungs(c.epochs, c.trials); !slices.Equal(got, c.want) {
			t.Errorf("%d epochs, %d trials: rungs %v, want %v", c.epochs, c.trials, got, c.want)
		}
	}
}

func TestTuneRefuses(t *testing.T) {
	good, held := stripes(60, 1), stripes(30, 2)
	unlabelled := stripes(30, 2)
	for i := range unlabelled.Labels {
		unlabelled.Labels[i] = Unlabelled
	}
	for want, c := range map[string]struct {
		data, held Dataset
		change     func(*TuneOptions)
	}{
		"1 trials: it must be 2 to 1000":         {good, held, func(o *TuneOptions) { o.Trials = 1 }},
		"a budget of 10ms":                       {good, held, func(o *TuneOptions) { o.Budget = 10 * time.Millisecond }},
		"needs a log file":                       {good, held, func(o *TuneOptions) { o.Log = "" }},
		"the validation items have 0 classes":    {good, unlabelled, func(*TuneOptions) {}},
		"the training items have 0 classes":      {unlabelled, held, func(*TuneOptions) {}},
		"invalid training option: epochs 1e+06:": {good, held, func(o *TuneOptions) { o.Options.Epochs = 1e6 }},
	} {
		o := tuneOptions(filepath.Join(t.TempDir(), "log"))
		c.change(&o)
		if _, err := Tune(t.Context(), c.data, c.held, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// FuzzParseTuneLog: no bytes make a panic, and what is read is within the header's bounds.
func FuzzParseTuneLog(f *testing.F) {
	h := tuneHeader{tuneFormat, "f", 3, 1}
	f.Add([]byte(`{"akin_tune":1,"fingerprint":"f","trials":3,"seed":1}` + "\n" + `{"trial":2,"rung":1,"epochs":3,"status":"done","validation_knn":0.5,"seconds":1}` + "\n"))
	f.Add([]byte("{}\n{}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		steps, whole, err := parseTuneLog(b, h, 2)
		if err == nil && (whole > len(b) || whole > 0 && b[whole-1] != '\n') {
			t.Errorf("%d whole bytes of %d", whole, len(b))
		}
		for _, s := range steps {
			if s.Trial < 0 || s.Trial >= 3 || s.Rung < 0 || s.Rung >= 2 {
				t.Errorf("step %+v", s)
			}
		}
	})
}
