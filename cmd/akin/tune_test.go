package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTune: a small search writes its table, its plot and its winner, goes on with a larger budget, and does not overwrite its log.
func TestTune(t *testing.T) {
	data, dir := shapes(t, 40, "disc", "bar", "frame"), t.TempDir()
	picture := filepath.Join(dir, "trials.svg")
	args := []string{"tune", "--data", data, "--dir", dir, "--holdout", "0.3", "--size", "12", "--epochs", "6", "--loss", "supcon", "--trials", "3", "--threads", "1"}
	first := mustAkin[tuneResult](t, append(args, "--budget", "1s", "--plot", picture)...)
	if len(first.Steps) == 0 || first.Steps[0].Trial != 0 || first.Validation < first.Defaults {
		t.Errorf("first part %+v", first)
	}
	all := mustAkin[tuneResult](t, append(args, "--budget", "1h", "--resume")...)
	if !all.Complete || len(all.Steps) < 4 || all.Steps[0] != first.Steps[0] || all.Config.Loss != "supcon" && all.Winner != 0 {
		t.Errorf("all %+v", all)
	}
	code, out, errs := akin(t, append(args, "--budget", "1h", "--resume")...)
	if code != 0 || strings.Contains(errs, "trial ") || !strings.Contains(out, "← best") || !strings.Contains(out, "akin train --data "+data+" --config "+all.File) {
		t.Errorf("resumed at the end: exit code %d: %s%s", code, out, errs)
	}
	again := mustAkin[trained](t, "train", "--data", data, "--dir", t.TempDir(), "--config", all.File, "--threads", "1")
	if last := again.Curve[len(again.Curve)-1]; last.Epoch != 6 || last.Validation != all.Validation {
		t.Errorf("trained by the winner's file: %+v, want %v after 6 epochs", last, all.Validation)
	}
	for _, path := range []string{picture, all.File, all.Log} {
		if b, err := os.ReadFile(path); err != nil || len(b) < 100 {
			t.Errorf("%s holds %d bytes (%v)", path, len(b), err)
		}
	}
	for want, more := range map[string][]string{
		"is there already: resume, or remove it": nil,
		"give one of the two":                    {"--resume", "--force"},
		"--holdout 0: it must be above 0":        {"--holdout", "0"},
		"a budget of 1ms: it must be a second":   {"--budget", "1ms"},
		"1 trials: it must be 2 to":              {"--trials", "1"},
		"use a name that ends in .svg or .png":   {"--plot", "x.txt"},
		"other data, options, trials or seed":    {"--resume", "--seed", "9"},
	} {
		if code, _, errs := akin(t, append(args, more...)...); code != 1 || !strings.Contains(errs, want) {
			t.Errorf("%v: exit code %d, %q, want %q", more, code, errs, want)
		}
	}
}
