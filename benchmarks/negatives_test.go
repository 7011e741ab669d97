package benchmarks

import (
	"errors"
	"strings"
	"testing"

	"github.com/akin-search/akin/train"
)

// TestNegatives runs a small comparison: every run keeps to the time of the first as far as whole epochs do, and learns.
func TestNegatives(t *testing.T) {
	o := NegativesOptions{Learn: learnOptions()}
	o.Learn.SetDefaults()
	o.Learn.Train.Epochs = 6
	o.Learn.Seeds = 1
	var r NegativesReport
	for _, name := range []string{"supcon/batch", "supcon/index", "contrastive/random"} {
		run, err := newNegativesRun(name, o.Learn.Train)
		if err != nil {
			t.Fatal(err)
		}
		r.Runs = append(r.Runs, run)
	}
	if err := r.compare(t.Context(), o, digits(t, 600, 200)); err != nil {
		t.Fatal(err)
	}
	if r.Runs[0].Epochs != 6 || r.Budget < 0 || r.Items != 600 || r.Seeds != 1 {
		t.Errorf("%d epochs, %v s, %d items, %d seeds", r.Runs[0].Epochs, r.Budget, r.Items, r.Seeds)
	}
	if twice := r.Runs[2]; twice.Epochs*twice.Images < 1 || twice.Epochs*twice.Images > 5*600 { // pairs take two rows an item
		t.Errorf("%d epochs of %d images of pairs in the time of 6 of 600 of classes", twice.Epochs, twice.Images)
	}
	for _, run := range r.Runs {
		if run.KNN < 0.5 || run.KNNMin != run.KNN || run.KNNMax != run.KNN || run.CPUSeconds <= 0 {
			t.Errorf("%s/%s: %v of %v to %v in %v s", run.Loss, run.Negatives, run.KNN, run.KNNMin, run.KNNMax, run.CPUSeconds)
		}
	}
	if r.Runs[0].Gain != 0 || r.Runs[2].Gain != 0 || r.Runs[1].Gain != rounded(100*(r.Runs[1].KNN-r.Runs[0].KNN), 2) {
		t.Errorf("gains %v, %v, %v", r.Runs[0].Gain, r.Runs[1].Gain, r.Runs[2].Gain)
	}
	var b strings.Builder
	if err := r.WriteTable(&b); err != nil || !strings.Contains(b.String(), "contrastive") || !strings.Contains(b.String(), "on the validation images") {
		t.Errorf("table %q, %v", b.String(), err)
	}
}

func TestNegativesOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]NegativesOptions{
		"a run without negatives":      {Runs: []string{"supcon"}},
		"unknown loss":                 {Runs: []string{"mse/batch"}},
		"unknown negatives":            {Runs: []string{"supcon/easy"}},
		"negatives of another loss":    {Runs: []string{"supcon/semi-hard"}},
		"data without labels to learn": {Learn: LearnOptions{Dataset: Omniglot, Protocol: "one-shot"}},
		"epochs":                       {Learn: LearnOptions{Train: train.Options{Epochs: -1}}},
	} {
		if _, err := Negatives(t.Context(), o); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range DefaultNegativesRuns {
		if _, err := newNegativesRun(name, train.Options{}); err != nil {
			t.Error(err)
		}
	}
}
