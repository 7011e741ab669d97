package main

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/akin-search/akin/benchmarks"
)

// runMain makes a copy of the test binary the program itself, for commands that start it anew.
const runMain = "AKIN_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runMain) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestBenchRunbooks(t *testing.T) {
	t.Setenv(runMain, "1")
	for _, r := range benchmarks.Runbooks() {
		dir := t.TempDir()
		args := []string{"recall", "--dataset", "gmm", "--points", "600", "--dimension", "8", "--queries", "20", "--rounds", "1", "--runbook", string(r), "--dir", dir}
		stdout, stderr, code, files := runBench(t, context.Background(), append(args, "--json", "--ef", "30")...)
		if code != 0 {
			t.Fatalf("%s: %d %s", r, code, stderr)
		}
		var report struct {
			Runbook string
			Points  int
			EF      int
			Bar     struct{ Limit float64 }
		}
		if err := json.Unmarshal([]byte(stdout), &report); err != nil || report.Runbook != string(r) || report.Points != 600 || report.EF != 30 || report.Bar.Limit <= 0 {
			t.Errorf("%s: %+v, %v in %s", r, report, err, stdout)
		}
		if !strings.Contains(stderr, "1 of 1") && !strings.Contains(stderr, "round 1") {
			t.Errorf("%s: progress: %s", r, stderr)
		}
		stdout, stderr, code, _ = runBench(t, context.Background(), args...)
		if code != 0 || !strings.Contains(stdout, "ef = 48") || !strings.Contains(stdout, "at most") {
			t.Errorf("%s: %d, %s, %s", r, code, stdout, stderr)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left)+len(files) > 0 {
			t.Errorf("%s left %v and %v behind, %v", r, left, files, err)
		}
	}
}

// A process that cannot answer is an error with what it said.
func TestColdStartProcess(t *testing.T) {
	t.Setenv(runMain, "1")
	dir := t.TempDir() // no store with the collection
	_, err := askInNewProcess(context.Background(), benchmarks.ColdQuestion{Dir: dir, Vector: []float32{1}, K: 1})
	if err == nil || !strings.Contains(err.Error(), `collection "runbook"`) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := askInNewProcess(ctx, benchmarks.ColdQuestion{Dir: dir}); err != context.Canceled {
		t.Error(err)
	}
}
