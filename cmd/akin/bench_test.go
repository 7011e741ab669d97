package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// runBench runs akin bench in an empty folder and returns its outputs, exit code, and what lies in the folder afterwards.
func runBench(t *testing.T, ctx context.Context, args ...string) (stdout, stderr string, code int, files []string) {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	var out, err bytes.Buffer
	code = Run(ctx, append([]string{"bench"}, args...), &out, &err)
	entries, readErr := os.ReadDir(dir)
	if readErr != nil {
		t.Fatal(readErr)
	}
	for _, e := range entries {
		files = append(files, e.Name())
	}
	return out.String(), err.String(), code, files
}

var smallBench = []string{"recall", "--dataset", "gmm", "--points", "600", "--dimension", "8", "--queries", "20", "--ef", "10,20", "--rounds", "2"}

func TestBenchRecallTable(t *testing.T) {
	stdout, stderr, code, files := runBench(t, context.Background(), smallBench...)
	if code != 0 {
		t.Fatal(code, stderr)
	}
	for _, want := range []string{"gmm: 600 points × 8, l2, k = 10", "recall@10", "graph", "coder", "flat"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	if !strings.Contains(stderr, "graph (float32): built") || !strings.Contains(stderr, "plot: recall-gmm-k10.svg") {
		t.Errorf("progress: %s", stderr)
	}
	if len(files) != 1 || files[0] != "recall-gmm-k10.svg" {
		t.Errorf("left behind: %v", files)
	}
}

func TestBenchRecallJSON(t *testing.T) {
	stdout, stderr, code, files := runBench(t, context.Background(), append(smallBench, "--json", "--plot", "", "--k", "5", "--engine", "flat,graph", "--seed", "3", "--limit", "500")...)
	if code != 0 {
		t.Fatal(code, stderr)
	}
	var report struct {
		Dataset string
		K       int
		Queries int
		Points  int
		Engines []struct {
			Engine string
			Curve  []struct {
				EF     int
				Recall float64
			}
		}
	}
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatalf("%v in %s", err, stdout)
	}
	if report.Dataset != "gmm" || report.K != 5 || report.Queries != 20 || report.Points != 500 || len(report.Engines) != 2 {
		t.Errorf("%+v", report)
	}
	if f := report.Engines[0]; f.Engine != "flat" || len(f.Curve) != 1 || f.Curve[0].Recall != 1 {
		t.Errorf("%+v", f)
	}
	if g := report.Engines[1]; g.Engine != "graph" || len(g.Curve) != 2 || g.Curve[0].EF != 10 {
		t.Errorf("%+v", g)
	}
	if len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
}

func TestBenchRecallFile(t *testing.T) {
	var b []byte // 40 rows of two bytes
	for i := range 40 {
		b = append(b, 2, 0, 0, 0, byte(i*i), byte(3*i))
	}
	path := filepath.Join(t.TempDir(), "rows.bvecs")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code, _ := runBench(t, context.Background(), "recall", "--dataset", path, "--queries", "10", "--metric", "dot", "--engine", "flat", "--plot", "")
	if code != 0 || !strings.Contains(stdout, "rows.bvecs: 30 points × 2, dot") {
		t.Errorf("--metric dot: %d, %s, %s", code, stdout, stderr)
	}
	for queries, want := range map[string]string{"10": "rows.bvecs: 30 points × 2, l2", path: "rows.bvecs: 40 points × 2, l2"} {
		stdout, stderr, code, _ := runBench(t, context.Background(), "recall", "--dataset", path, "--queries", queries, "--engine", "flat", "--plot", "p.png")
		if code != 0 || !strings.Contains(stdout, want) {
			t.Errorf("--queries %s: %d, %s, %s", queries, code, stdout, stderr)
		}
	}
}

func TestBenchRefused(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"recal"}, `unknown command "recal"`},
		{[]string{"recall", "mnist"}, `unknown command "mnist"`},
		{[]string{"recall", "--engine", "graph,faiss"}, `engine "faiss": invalid value: use graph, flat or coder`},
		{[]string{"recall", "--engine", ""}, "--engine names none"},
		{[]string{"recall", "--quantization", "int1"}, `quantization "int1"`},
		{[]string{"recall", "--quantization", ""}, "--quantization names none"},
		{[]string{"recall", "--engine", "flat,flat"}, "engine flat twice"},
		{[]string{"recall", "--dataset", "sift"}, "use mnist, fashion-mnist, gmm, or the path of"},
		{[]string{"recall", "--k", "0"}, "use 1 to 10000"},
		{[]string{"recall", "--k", "1000000000"}, "use 1 to 10000"},
		{[]string{"recall", "--ef", "10,0"}, "ef 0"},
		{[]string{"recall", "--ef", ""}, `invalid argument "" for "--ef"`},
		{[]string{"recall", "--ef", "ten"}, "ten"},
		{[]string{"recall", "--threads", "-1"}, "threads -1"},
		{[]string{"recall", "--rounds", "0"}, "rounds 0"},
		{[]string{"recall", "--queries", "0"}, "--queries 0"},
		{[]string{"recall", "--queries", "none.npy"}, "mnist has queries of its own"},
		{[]string{"recall", "--limit", "-1"}, "limit -1"},
		{[]string{"recall", "--dataset", "gmm", "--points", "0"}, "--points 0"},
		{[]string{"recall", "--dataset", "gmm", "--dimension", "5000"}, "dimension 5000"},
		{[]string{"recall", "--points", "5"}, "they are for gmm"},
		{[]string{"recall", "--data", "x"}, "--data x is for --dataset fashion-mnist, not mnist"},
		{[]string{"recall", "--dataset", "gmm", "--mnist", "x"}, "--mnist x is for --dataset mnist, not gmm"},
		{[]string{"recall", "--dataset", "fashion-mnist", "--data", "nowhere"}, "nowhere"},
		{[]string{"recall", "--dataset", "gmm", "--metric", "manhattan"}, `metric "manhattan": invalid value: use cosine, l2 or dot`},
		{[]string{"recall", "--dataset", "gmm", "--truth", "t.ivecs"}, "name a file of queries too"},
		{[]string{"recall", "--mnist", "nowhere"}, "nowhere"},
		{[]string{"recall", "--plot", "p.gif"}, ".svg or .png"},
		{[]string{"recall", "--runbook", "chrun"}, `runbook "chrun": invalid option: use churn, filter, cold-start, mixed`},
		{[]string{"recall", "--runbook", "churn", "--engine", "coder"}, "--engine: a runbook measures the graph alone"},
		{[]string{"recall", "--runbook", "churn", "--plot", "p.svg"}, "--plot: a runbook"},
		{[]string{"recall", "--runbook", "churn", "--ef", "10,20"}, "2 values of --ef"},
		{[]string{"recall", "--runbook", "mixed", "--dataset", "gmm", "--points", "200", "--dir", "nowhere"}, "nowhere"},
		{[]string{"recall", "--dir", "nowhere"}, "it goes with --runbook"},
		{[]string{"cold-start"}, "the question on standard input"},
		{[]string{"recall", "--plot", "nowhere/p.svg"}, "there is no folder"},
	} {
		stdout, stderr, code, files := runBench(t, context.Background(), c.args...)
		if code != 1 || stdout != "" || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: %d, stdout %q, stderr %q, want %q in one line", c.args, code, stdout, stderr, c.want)
		}
		if len(files) != 0 {
			t.Errorf("%v left %v behind", c.args, files)
		}
	}
}

// stopAt cancels when a text is written to it, as Ctrl-C would at that moment.
type stopAt struct {
	bytes.Buffer
	text   string
	cancel func()
}

func (s *stopAt) Write(b []byte) (int, error) {
	if strings.Contains(string(b), s.text) {
		s.cancel()
	}
	return s.Buffer.Write(b)
}

func TestBenchInterrupted(t *testing.T) {
	for _, text := range []string{"loaded", "exact neighbours", "graph (float32): built", "round 1"} {
		dir := t.TempDir()
		t.Chdir(dir)
		ctx, cancel := context.WithCancel(context.Background())
		stderr := &stopAt{text: text, cancel: cancel}
		var stdout bytes.Buffer
		code := Run(ctx, append([]string{"bench"}, smallBench...), &stdout, stderr)
		cancel()
		entries, err := os.ReadDir(dir)
		if err != nil || code != 130 || stdout.Len() != 0 || len(entries) != 0 || !strings.Contains(stderr.String(), "interrupted") {
			t.Errorf("at %q: %d, stdout %q, stderr %q, files %v", text, code, stdout.String(), stderr.String(), entries)
		}
	}
}

func TestBenchHelp(t *testing.T) {
	for _, args := range [][]string{{"recall", "--help"}, {}, {"--help"}} {
		stdout, stderr, code, _ := runBench(t, context.Background(), args...)
		if code != 0 || stderr != "" || !strings.Contains(stdout, "recall") {
			t.Errorf("%v: %d, %q, %q", args, code, stdout, stderr)
		}
		if len(args) > 0 && args[0] == "recall" && (!strings.Contains(stdout, "Examples:") || !strings.Contains(stdout, "--engine graph,coder,flat --json")) {
			t.Errorf("no examples in\n%s", stdout)
		}
	}
}
