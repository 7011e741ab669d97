package train

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
)

// fewLabels returns d with the labels of the first few items of each class only.
func fewLabels(d Dataset, perClass int) Dataset {
	d.Labels = keep(d.Labels, perClass)
	return d
}

// TestStagesLearn: from two labels a class, 2000 digits make a far better encoder than the labelled ones alone.
func TestStagesLearn(t *testing.T) {
	all, err := digits()
	if err != nil {
		t.Fatal(err)
	}
	items := integers(3000)
	d, test := fewLabels(all.Subset(items[:2000]), 2), all.Subset(items[2000:])
	o := Options{Batch: 256, Epochs: 20, Threads: 1, Seed: 1, Network: smallNet}
	var stage Stage
	o.Staged = func(s Stage) { stage = s }
	staged := mustRun(t, d, Dataset{Classes: d.Classes}, o)
	if rec := recordOf(t, staged); len(rec.Stages) != 1 || rec.DataHash != hashOf(t, d) || rec.Options.Loss != "supcon" || rec.Stages[0].Options.Loss != "semi" ||
		len(rec.Stages[0].Curve) != 20 || len(rec.Curve) != 20 || rec.Stages[0].Given != 20 || stage.Given != 20 || stage.Found != rec.Stages[0].Found || stage.Found < 1600 || stage.Found > 1800 {
		t.Errorf("record %+v, stage %+v", rec, stage)
	}
	o.Loss, o.Epochs = LossSupCon.String(), 40
	alone := mustRun(t, d, Dataset{Classes: d.Classes}, o)
	accuracy := func(m *encoder.Model) float64 {
		e, err := encoder.NewEncoder(m, "", 1)
		if err != nil {
			t.Fatal(err)
		}
		var emb []kernel.Matrix
		for _, d := range []Dataset{d, test} {
			rows, err := e.Encode(t.Context(), d.Raw...)
			if err != nil {
				t.Fatal(err)
			}
			emb = append(emb, kernel.MatrixOf(rows, e.Dimension()))
		}
		var base [][]float32
		var labels []int
		for i, l := range d.Labels { // the same labels for both: only the encoders differ
			if l != Unlabelled {
				base, labels = append(base, emb[0].Row(i)), append(labels, l)
			}
		}
		a, err := KNNAccuracy(t.Context(), kernel.MatrixOf(base, e.Dimension()), labels, emb[1], test.Labels, 1)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	with, without := accuracy(staged), accuracy(alone)
	if with < without+0.03 {
		t.Errorf("nearest of the 20 labelled: accuracy %.3f in stages, %.3f from the labels alone", with, without)
	}
}

// TestStagesResume: interrupted in either stage, or between them, and resumed, the model is the same, and so it is with other threads.
func TestStagesResume(t *testing.T) {
	d, v := fewLabels(stripes(240, 1), 6), stripes(30, 2)
	o := quick("")
	o.Epochs = 2
	want := modelBytes(t, mustRun(t, d, v, o))
	o.Threads = 3
	if !bytes.Equal(want, modelBytes(t, mustRun(t, d, v, o))) {
		t.Error("three threads give another model than one")
	}
	o.Checkpoint = filepath.Join(t.TempDir(), "checkpoint")
	for stop := range 5 { // after so many ends of an epoch or of a stage
		o.Resume = false
		ctx, cancel := context.WithCancel(t.Context())
		seen := 0
		event := func() {
			if seen++; seen > stop {
				cancel()
			}
		}
		o.Progress = func(p Progress) {
			if p.Step%(p.Steps/p.Epochs) == 0 {
				event()
			}
		}
		o.Staged = func(Stage) { event() }
		_, err := Run(ctx, d, v, o)
		cancel()
		if stop < 4 && !errors.Is(err, context.Canceled) {
			t.Fatalf("stopped at %d: %v", stop, err)
		}
		o.Progress, o.Staged, o.Resume = nil, nil, true
		if !bytes.Equal(want, modelBytes(t, mustRun(t, d, v, o))) {
			t.Errorf("stopped at %d and resumed, the model is another", stop)
		}
	}
	other := o
	other.Seed++
	if _, err := Run(t.Context(), d, v, other); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("the checkpoint of another seed: %v", err)
	}
	if _, err := Run(t.Context(), fewLabels(stripes(240, 1), 5), v, o); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("the checkpoint of other labels: %v", err)
	}
	if _, err := Run(t.Context(), fewLabels(stripes(243, 1), 6), v, o); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("the checkpoint of more items: %v", err)
	}
}

// TestStagesChoice: mostly unlabelled data is trained on in stages, unless a loss is named; what stages cannot do is refused.
func TestStagesChoice(t *testing.T) {
	begun := func(d Dataset, loss string) (losses []string) {
		o := quick(loss)
		o.Epochs = 1
		o.Begin = func(o Options) { losses = append(losses, o.Loss) }
		mustRun(t, d, Dataset{}, o)
		return losses
	}
	few, most := fewLabels(stripes(90, 1), 5), fewLabels(stripes(90, 1), 20)
	for name, test := range map[string]struct {
		d    Dataset
		loss string
		want string
	}{
		"few labels": {few, "", "semi supcon"}, "most labels": {most, "", "supcon"}, "most labels, asked for": {most, LossPropagate, "semi supcon"},
		"few labels, ntxent": {few, "ntxent", "ntxent"}, "no labels": {fewLabels(few, 0), "", "ntxent"},
	} {
		if got := strings.Join(begun(test.d, test.loss), " "); got != test.want {
			t.Errorf("%s: %v, want %s", name, got, test.want)
		}
	}
	for name, d := range map[string]Dataset{"all labelled": stripes(90, 1), "no labels": fewLabels(few, 0)} {
		if _, err := Run(t.Context(), d, Dataset{}, quick(LossPropagate)); !errors.Is(err, ErrOptions) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
