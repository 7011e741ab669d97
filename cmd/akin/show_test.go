package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/train"
)

func TestShow(t *testing.T) {
	dir := t.TempDir()
	model := filepath.Join(dir, "model.akin")
	if code, _, errs := akin(t, "train", "--data", shapes(t, 20, "disc", "bar"), "--dir", dir, "--epochs", "2", "--holdout", "0.3", "--size", "16"); code != 0 {
		t.Fatal(errs)
	}
	var rec train.Record
	s := mustAkin[shown](t, "show", model)
	if err := json.Unmarshal(s.Record, &rec); err != nil {
		t.Fatal(err)
	}
	if len(rec.Curve) != 2 || len(rec.DataHash) != 64 || len(rec.ValidationHash) != 64 || rec.Metrics == nil || rec.Metrics.Intervals["map_at_r"].High == 0 {
		t.Errorf("record %s", s.Record)
	}
	plot := filepath.Join(dir, "curves.svg")
	code, out, errs := akin(t, "show", model, "--plot", plot)
	for _, want := range []string{s.ModelID, "conv 3×3, 16 filters, norm, relu, pool", "16×16×1", "linear, 64 units", "64 dimensions", "MFLOP an item", "2 classes (bar, disc)",
		rec.DataHash, "share 0.3", "loss ", "supcon", "seed ", "effective rank", "on the items held out", "pair EER"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("exit code %d, no %q in %s%s", code, want, out, errs)
		}
	}
	if b, err := os.ReadFile(plot); err != nil || !strings.Contains(string(b), "validation kNN") || !strings.Contains(string(b), "uniformity") {
		t.Errorf("the plot: %v", err)
	}

	one := filepath.Join(dir, "one")
	if code, _, errs := akin(t, "train", "--data", shapes(t, 20, "disc"), "--dir", one, "--epochs", "2", "--size", "16"); code != 0 {
		t.Fatal(errs)
	}
	if code, out, errs := akin(t, "show", filepath.Join(one, "model.akin")); code != 0 || !strings.Contains(out, "by 16 directions of 64 cells, and a constant") || !strings.Contains(out, "81 dimensions") {
		t.Errorf("one class: exit code %d: %s%s", code, out, errs)
	}

	// A model of another hand has no record; a setback is a line of the table, and no point of the plot.
	m, _, err := encoder.ReadModel(model)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, record string) string {
		m.Record = nil
		if record != "" {
			m.Record = json.RawMessage(record)
		}
		path := filepath.Join(dir, name)
		if _, err := m.WriteFile(path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	bare := write("bare.akin", "")
	if code, out, _ := akin(t, "show", bare); code != 0 || !strings.Contains(out, "no training record") {
		t.Errorf("without a record: exit code %d, %s", code, out)
	}
	back := write("back.akin", `{"curve":[{"epoch":1,"loss":9,"validation_knn":-1,"back_off":{"reason":"it fell","to":0}},{"epoch":1,"loss":2,"validation_knn":0.5}]}`)
	if code, out, errs := akin(t, "show", back, "--plot", plot); code != 0 || !strings.Contains(out, "went back to the end of epoch 0: it fell") {
		t.Errorf("with a setback: exit code %d, %s%s", code, out, errs)
	}

	whole, err := os.ReadFile(model)
	if err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(dir, "broken.akin")
	if err := os.WriteFile(broken, whole[:len(whole)-9], 0o644); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"checksum does not match":         {broken},
		"without the magic":               {plot},
		"there is no model at nowhere":    {"nowhere"},
		"is a directory":                  {dir},
		"no training curve to draw":       {bare, "--plot", plot},
		"training record is not readable": {write("odd.akin", `{"curve":7}`)},
		".svg or .png":                    {model, "--plot", "x"},
		"accepts at most 1 arg":           {model, broken},
	} {
		code, out, errs := akin(t, append([]string{"show"}, args...)...)
		if code != 1 || !strings.Contains(errs, want) || strings.Count(errs, "\n") != 1 || out != "" {
			t.Errorf("show %v: exit code %d, %q, %q; want one line with %q", args, code, out, errs, want)
		}
	}
}
