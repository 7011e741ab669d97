package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEval measures a model of a few steps with one folder asking another, whose classes are numbered otherwise.
func TestEval(t *testing.T) {
	dir, data, test := t.TempDir(), shapes(t, 24, "disc", "bar", "frame"), shapes(t, 12, "frame", "bar", "cross")
	if code, _, errs := akin(t, "train", "--data", data, "--dir", dir, "--epochs", "8"); code != 0 {
		t.Fatal(errs)
	}
	plot := filepath.Join(dir, "labels.svg")
	args := []string{"eval", "--base", data, "--data", test, "--dir", dir, "--labels-per-class", "1,10", "--plot", plot}
	ev := mustAkin[evaluated](t, args...)
	if ev.Base != 72 || ev.Queries != 36 || len(ev.LabelEfficiency) != 2 {
		t.Fatalf("evaluation %+v, want 36 pictures asking 72, with two numbers of labels", ev)
	}
	if ev.KNNAccuracy > 2./3 { // crosses are none of what answers
		t.Errorf("kNN accuracy %v with a third of the queries of an unknown class", ev.KNNAccuracy)
	}
	if ten := ev.LabelEfficiency[1]; ten.PerClass != 10 || ten.KNNAccuracy.Median < 0.3 || ten.KNNAccuracy.Max > 2./3 {
		t.Errorf("with ten labels a class: %+v", ten)
	}
	if b, err := os.ReadFile(plot); err != nil || !strings.Contains(string(b), "labels a class") {
		t.Errorf("the plot: %v", err)
	}
	code, out, errs := akin(t, args...)
	for _, want := range []string{"36 queries among 72 images", "kNN accuracy ", "mAP@R", "TAR at FAR 1 %", "labels a class", "10   "} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("exit code %d, no %q in %s%s", code, want, out, errs)
		}
	}
	for want, more := range map[string][]string{
		"with it all of --data asks":         {"--base", data, "--queries", "0.5"},
		"goes with --base":                   {"--base-labels", "x"},
		"say how many by --labels-per-class": {"--plot", plot},
		".svg or .png":                       {"--labels-per-class", "1", "--plot", "x.gif"},
		"it must be 1 to 24":                 {"--base", data, "--labels-per-class", "25"},
		"above 0 and below 1":                {"--queries", "1"},
	} {
		if code, _, errs := akin(t, append([]string{"eval", "--data", test, "--dir", dir}, more...)...); code != 1 || !strings.Contains(errs, want) {
			t.Errorf("%v: exit code %d, %q, want %q", more, code, errs, want)
		}
	}
}
