package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pairRow is what akin verify-pair prints; Same is nil without a verdict.
type pairRow struct {
	Score, Threshold, FAR, FRR, EER float64
	PValue                          float64 `json:"p_value"`
	Enrolled                        int
	Same                            *bool
}

// TestVerifyPair trains on a few kinds of sounds and asks for pairs of others, one by one and over HTTP.
func TestVerifyPair(t *testing.T) {
	kinds := map[string][]float64{"flute": {1}, "reed": {1, 0, 1, 0, 1}, "horn": {0.5, 1, 1, 0.5}}
	data, dir := instruments(t, 30, kinds), t.TempDir()
	if code, _, errs := akin(t, "train", "--data", data, "--dir", dir, "--holdout", "0.3", "--epochs", "8", "--batch", "32"); code != 0 {
		t.Fatalf("train: exit code %d: %s", code, errs)
	}
	file := func(kind string, i int) string { return filepath.Join(data, kind, fmt.Sprintf("%03d.wav", i)) }
	same := mustAkin[pairRow](t, "verify-pair", file("reed", 0), file("reed", 1), "--dir", dir)
	if same.Same == nil || !*same.Same || same.Score <= same.Threshold || same.PValue > same.FAR || same.Enrolled != 1 || same.EER > 0.1 {
		t.Errorf("two reeds: %+v", same)
	}
	if m := mustAkin[pairRow](t, "verify-pair", filepath.Join(data, "reed"), file("reed", 1), "--dir", dir, "--far", "0.05"); m.Enrolled != 30 || !*m.Same || m.FAR != 0.05 {
		t.Errorf("30 reeds enrolled: %+v", m)
	}
	if code, out, _ := akin(t, "verify-pair", file("reed", 0), file("reed", 1), file("flute", 0), "--dir", dir); code != 3 || !strings.Contains(out, "different: score") {
		t.Errorf("reeds and a flute: exit code %d: %s", code, out)
	}
	for name, c := range map[string]struct{ args, says string }{
		"a folder asked about": {file("reed", 0) + " " + data, "the last argument is the one item"}, "one file": {file("reed", 0), "at least 2"},
		"far 0": {"--far 0 " + file("reed", 0) + " " + file("reed", 1), "above 0"}, "far too small": {"--far 1e-9 " + file("reed", 0) + " " + file("reed", 1), "calibration scores"},
		"no file": {file("reed", 0) + " nowhere.wav", "nowhere.wav"},
	} {
		if code, _, errs := akin(t, append([]string{"verify-pair", "--dir", dir}, strings.Fields(c.args)...)...); code != 1 || !strings.Contains(errs, c.says) {
			t.Errorf("%s: exit code %d: %s", name, code, errs)
		}
	}
	unscored := t.TempDir()
	if code, _, errs := akin(t, "train", "--data", data, "--dir", unscored, "--holdout", "0", "--epochs", "1"); code != 0 {
		t.Fatalf("train: exit code %d: %s", code, errs)
	}
	if s := mustAkin[pairRow](t, "verify-pair", file("reed", 0), file("reed", 1), "--dir", unscored); s.Same != nil || s.Score < 0.3 {
		t.Errorf("without pairs kept aside: %+v", s)
	}
	if code, _, errs := akin(t, "verify-pair", "--far", "0.1", file("reed", 0), file("reed", 1), "--dir", unscored); code != 1 || !strings.Contains(errs, "leave --far out") {
		t.Errorf("a far without pairs kept aside: exit code %d: %s", code, errs)
	}
}

// TestClassesKeptAside: of many classes of one sound each some are kept aside whole, and their halves give the scores.
func TestClassesKeptAside(t *testing.T) {
	kinds := map[string][]float64{}
	for i := range manyClasses {
		kinds[fmt.Sprintf("%0*d", 1+i, i)] = []float64{1, float64(i%5) / 4, float64(i/5) / 8, 0.5}
	}
	data, dir := instruments(t, 1, kinds), t.TempDir()
	if code, _, errs := akin(t, "train", "--data", data, "--dir", dir, "--epochs", "2", "--holdout", "0.2"); code != 0 || strings.Contains(errs, " 0 kept aside") {
		t.Fatalf("train: exit code %d: %s", code, errs)
	}
	file := func(i int) string { return filepath.Join(data, fmt.Sprintf("%0*d", 1+i, i), "000.wav") }
	if _, err := os.Stat(file(3)); err != nil {
		t.Fatal(err)
	}
	code, out, errs := akin(t, "verify-pair", "--dir", dir, "--far", "0.2", file(3), file(3))
	if code != 0 || !strings.Contains(out, "same: score 1.0000") {
		t.Errorf("a sound and itself: exit code %d: %s%s", code, out, errs)
	}
	if in := mustAkin[ingested](t, "ingest", "--data", data, "--dir", dir); in.Points != manyClasses {
		t.Errorf("ingested %+v, want all %d", in, manyClasses)
	}
}
