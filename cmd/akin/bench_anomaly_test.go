package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBenchAnomalyRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"train.csv", "train.jsonl"} { // which of them?
		if err := os.WriteFile(filepath.Join(dir, name), []byte("path,label\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for args, want := range map[string]string{
		"--protocol two-class":                    `protocol "two-class": invalid option: use one-class, leave-class-out or normal-dir`,
		"--protocol normal-dir":                   "normal-dir of other data",
		"--dataset /nowhere":                      "use mnist, fashion-mnist, or a folder",
		"--dataset " + dir:                        "",
		"--classes 10":                            "mnist has 0 to 9",
		"--seeds 0":                               "--seeds 0: use 1 or more",
		"--items 5":                               "--items 5: it is of protocol stream",
		"--in-order":                              "--in-order: it is of --dataset adbench, not of mnist",
		"--protocol stream --in-order":            "--in-order: it is of --dataset adbench, not of protocol stream",
		"--protocol stream --items 0":             "--items 0: use 1 or more",
		"--holdout 0.7":                           "holdout 0.7",
		"--plot roc.gif":                          "roc.gif",
		"--dataset fashion-mnist --data /nowhere": "no train-images",
	} {
		if want == "" {
			want = "it has no part t"
		}
		_, stderr, code, _ := runBench(t, context.Background(), append([]string{"anomaly"}, strings.Fields(args)...)...)
		if code != 1 || !strings.Contains(stderr, want) {
			t.Errorf("%s: %d %s, want %q", args, code, stderr, want)
		}
	}
}
