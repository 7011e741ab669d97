package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akin-search/akin/encoder"
)

// TestManifestPath walks a list of pictures from training to evaluation: what is found, chosen and left out is said, and the rows of split
// test are evaluated alone.
func TestManifestPath(t *testing.T) {
	data, dir := shapes(t, 20, "disc", "bar"), t.TempDir()
	list := "path,label,split\n"
	for i := range 20 {
		for _, kind := range []string{"disc", "bar"} {
			split := map[bool]string{true: "test", false: "train"}[i < 5]
			list += fmt.Sprintf("%s/%03d.png,%s,%s\n", kind, i, kind, split)
		}
	}
	file := filepath.Join(data, "list.csv")
	if err := os.WriteFile(file, []byte(list+"gone.png,disc,train\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	code, _, errs := akin(t, "train", "--data", file, "--dir", dir, "--size", "70", "--fit", "crop", "--epochs", "1", "--holdout", "0.2", "--augment", "none")
	for _, want := range []string{"skipped gone.png: ", "1 files of 31 skipped", "10 rows of " + file, "found 30 pictures (PNG 30)", "70×70 by crop"} {
		if code != 0 || !strings.Contains(errs, want) {
			t.Fatalf("train: exit code %d, want %q in: %s", code, want, errs)
		}
	}
	m, _, err := encoder.ReadModel(filepath.Join(dir, "model.akin"))
	if err != nil || m.Preprocessing.Fit != encoder.FitCrop {
		t.Errorf("the model fits by %v, %v", m.Preprocessing.Fit, err)
	}
	if in := mustAkin[ingested](t, "ingest", "--data", file, "--dir", dir); in.Points+in.Calibration != 30 {
		t.Errorf("ingested %+v, want 30 pictures", in)
	}
	if e := mustAkin[evaluated](t, "eval", "--base", file, "--data", file, "--dir", dir); e.Base != 30 || e.Queries != 10 {
		t.Errorf("%d pictures of split test asked %d others, want 10 and 30", e.Queries, e.Base)
	}
	// what is of split validation calibrates, and nothing else
	aside := filepath.Join(data, "aside.csv")
	if err := os.WriteFile(aside, []byte(strings.ReplaceAll(list, ",test", ",val")), 0o644); err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	code, _, errs = akin(t, "train", "--data", aside, "--dir", dir, "--epochs", "1", "--augment", "none")
	if want := "10 items of " + aside + " are of split validation"; code != 0 || !strings.Contains(errs, want) || !strings.Contains(errs, "; 10 kept aside;") {
		t.Fatalf("train: exit code %d, want %q in: %s", code, want, errs)
	}
	if code, out, _ := akin(t, "show", filepath.Join(dir, "model.akin")); code != 0 || !strings.Contains(out, "10 items, those of split validation") {
		t.Errorf("show: %s", out)
	}
	for _, c := range []struct {
		data   string
		points string
		warned bool
	}{{aside, "30", false}, {file, "27", true}} { // the second keeps a share of the rows that are not of split test aside
		code, out, errs := akin(t, "ingest", "--data", c.data, "--dir", dir, "--collection", "c"+c.points)
		if code != 0 || strings.Contains(errs, "it may have seen items") != c.warned {
			t.Errorf("ingest %s: exit code %d, %s%s; a warning is due: %v", c.data, code, out, errs, c.warned)
		}
	}
	if in := mustAkin[ingested](t, "ingest", "--data", aside, "--dir", dir, "--holdout", "0.3"); in.Points != 30 || in.Calibration != 10 {
		t.Errorf("ingested %+v, want 30 pictures and 10 that calibrate", in)
	}
	if e := mustAkin[evaluated](t, "eval", "--data", aside, "--dir", dir); e.Base != 30 || e.Queries != 10 {
		t.Errorf("%d pictures asked %d others, want those of split validation, 10, and 30", e.Queries, e.Base)
	}
	// what is of no known class cannot calibrate: without any other nothing is stored
	relabelled := func(name, disc string) string {
		lines := strings.Split(list, "\n")
		for i, l := range lines {
			if strings.HasSuffix(l, ",test") {
				lines[i] = strings.Replace(strings.ReplaceAll(l, ",bar,test", ",,val"), ",disc,test", ","+disc+",val", 1)
			}
		}
		path := filepath.Join(data, name)
		if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	code, _, errs = akin(t, "ingest", "--data", relabelled("none.csv", ""), "--dir", dir, "--collection", "none")
	if code != 1 || !strings.Contains(errs, "none of the 10 items kept aside") || !strings.Contains(errs, "has no class") {
		t.Errorf("ingest: exit code %d: %s", code, errs)
	}
	// nor can all that a collection has of a class: it would then be of none that is known
	alone := filepath.Join(data, "alone.csv")
	var kept []string
	for _, line := range strings.SplitAfter(strings.ReplaceAll(list, ",test", ",train"), "\n") {
		if !strings.Contains(line, ",disc,") {
			kept = append(kept, strings.ReplaceAll(line, ",train", ",val"))
		}
	}
	if err := os.WriteFile(alone, []byte(strings.Join(kept, "")+"disc/000.png,disc,train\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	whole := filepath.Join(data, "whole.csv")
	if err := os.WriteFile(whole, []byte(strings.ReplaceAll(list, ",test", ",train")), 0o644); err != nil {
		t.Fatal(err)
	}
	before := mustAkin[ingested](t, "ingest", "--data", whole, "--dir", dir, "--collection", "both", "--holdout", "0")
	if code, _, errs := akin(t, "ingest", "--data", alone, "--dir", dir, "--collection", "both"); code != 1 || !strings.Contains(errs, "none of the 20 items kept aside") {
		t.Errorf("all bars of a collection are to be kept aside: exit code %d: %s", code, errs)
	}
	if code, _, errs := akin(t, "search", "--id", "bar/006.png", "--dir", dir, "--collection", "both"); before.Points != 40 || code != 0 {
		t.Errorf("%d points, and a bar that was refused: exit code %d: %s", before.Points, code, errs)
	}
	if code, _, errs := akin(t, "search", "--id", "disc/006.png", "--dir", dir, "--collection", "none"); code != 1 || !strings.Contains(errs, `collection "none"`) {
		t.Errorf("a collection of what was refused: exit code %d: %s", code, errs)
	}
	if in := mustAkin[ingested](t, "ingest", "--data", relabelled("some.csv", "disc"), "--dir", dir, "--collection", "some"); in.Points != 30 || in.Calibration != 5 {
		t.Errorf("ingested %+v, want 30 pictures and 5 that calibrate", in)
	}
	if code, _, errs := akin(t, "train", "--data", file, "--dir", t.TempDir(), "--fit", "stretch"); code != 1 || !strings.Contains(errs, "use auto, letterbox, crop or trim") {
		t.Errorf("an unknown fit: exit code %d: %s", code, errs)
	}
}
