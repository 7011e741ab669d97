package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/akin-search/akin/train"
)

// akin runs one command line and returns its output.
func akin(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = Run(t.Context(), args, &out, &err)
	return code, out.String(), err.String()
}

// mustAkin runs a command line with --json that must succeed, and decodes what it prints.
func mustAkin[T any](t *testing.T, args ...string) (v T) {
	t.Helper()
	code, out, errs := akin(t, append(args, "--json")...)
	if code != 0 {
		t.Fatalf("akin %s: exit code %d: %s", strings.Join(args, " "), code, errs)
	}
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatalf("akin %s: %v in %s", strings.Join(args, " "), err, out)
	}
	return v
}

// shapes writes a folder of pictures: bright discs, bars and frames of random place and size on noise, in sizes that differ.
func shapes(t *testing.T, n int, kinds ...string) string {
	t.Helper()
	dir := t.TempDir()
	for k, kind := range kinds {
		rng := rand.New(rand.NewPCG(7, uint64(k)))
		if err := os.MkdirAll(filepath.Join(dir, kind), 0o755); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			side := 30 + rng.IntN(10)
			img := image.NewGray(image.Rect(0, 0, side, side))
			r := float64(side) * (0.2 + 0.15*rng.Float64())
			cx, cy := float64(side)*(0.4+0.2*rng.Float64()), float64(side)*(0.4+0.2*rng.Float64())
			for y := range side {
				for x := range side {
					dx, dy := float64(x)-cx, float64(y)-cy
					on := map[string]bool{
						"disc": dx*dx+dy*dy < r*r, "bar": dx > -r/3 && dx < r/3, "frame": max(dx*dx, dy*dy) < r*r && max(dx*dx, dy*dy) > r*r/3,
						"cross": (dx > -2 && dx < 2) != (dy > -2 && dy < 2),
					}[kind]
					v := uint8(rng.IntN(60))
					if on {
						v += 180
					}
					img.SetGray(x, y, color.Gray{Y: v})
				}
			}
			var b bytes.Buffer
			if err := png.Encode(&b, img); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, kind, fmt.Sprintf("%03d.png", i)), b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// TestOwnImages walks a user's path: a folder of pictures, train, ingest, search, score, eval, serve.
func TestOwnImages(t *testing.T) {
	data, strangers, dir := shapes(t, 120, "disc", "bar", "frame"), shapes(t, 20, "cross"), t.TempDir()
	broken := filepath.Join(data, "disc", "broken.png")
	whole, err := os.ReadFile(filepath.Join(data, "disc", "000.png"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(broken, whole[:len(whole)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	code, _, errs := akin(t, "train", "--data", data, "--dir", dir, "--holdout", "0.2")
	if code != 0 || !strings.Contains(errs, "skipped disc/broken.png") {
		t.Fatalf("train: exit code %d: %s", code, errs)
	}
	in := mustAkin[ingested](t, "ingest", "--data", data, "--dir", dir)
	if in.Points+in.Calibration != 360 || in.Calibration < 70 || in.Dimension != 64 {
		t.Errorf("ingested %+v, want 360 pictures, a fifth of them kept aside as in training", in)
	}
	if in.Quantization != "int8" || in.Bytes < 64 || in.Bytes > 1000 {
		t.Errorf("ingested as %s with %v bytes a vector", in.Quantization, in.Bytes)
	}
	if code, _, errs := akin(t, "ingest", "--data", data, "--dir", dir, "--quantization", "float32"); code == 0 || !strings.Contains(errs, "has int8: add --replace") {
		t.Errorf("another quantization for the same collection: exit code %d: %s", code, errs)
	}
	again := mustAkin[ingested](t, "ingest", "--data", data, "--dir", dir)
	if again.Points != in.Points {
		t.Errorf("ingesting again makes %d points of %d", again.Points, in.Points)
	}
	hits := mustAkin[[]found](t, "search", filepath.Join(data, "bar", "003.png"), "--dir", dir, "--k", "3")
	if len(hits) != 3 || hits[0].Label != "bar" {
		t.Errorf("a bar finds %+v", hits)
	}
	byID := mustAkin[[]found](t, "search", "--id", hits[0].ID, "--dir", dir, "--k", "1", "--exact")
	if len(byID) != 1 || byID[0].ID != hits[0].ID {
		t.Errorf("searching by point %s finds %+v", hits[0].ID, byID)
	}
	code, out, errs := akin(t, "search", "--id", hits[0].ID, "--dir", dir, "--k", "9", "--recall-target", "0.9", "--score-threshold", "0.5", "--json")
	var within []found
	if err := json.Unmarshal([]byte(out), &within); err != nil || code != 0 || !strings.Contains(errs, "recall of 0.9") {
		t.Errorf("search for a recall: exit code %d, %v, %s", code, err, errs)
	}
	if len(within) == 0 || len(within) > 9 || slices.ContainsFunc(within, func(f found) bool { return f.Score < 0.5 }) {
		t.Errorf("with a score of 0.5 or more there are %+v", within)
	}
	if code, _, errs := akin(t, "search", "--id", hits[0].ID, "--dir", dir, "--recall-target", "2"); code != 1 || !strings.Contains(errs, "between 0 and 1") {
		t.Errorf("a recall of 2: exit code %d: %s", code, errs)
	}
	others := mustAkin[[]found](t, "search", "--id", hits[0].ID, "--dir", dir, "--k", "400", "--filter", `{"must_not":[{"key":"@label","match":{"value":"bar"}}]}`)
	if len(others) == 0 || len(others) >= in.Points || slices.ContainsFunc(others, func(f found) bool { return f.Label == "bar" }) {
		t.Errorf("of %d points these %d are no bars: %+v", in.Points, len(others), others)
	}
	alarms := 0
	type row struct {
		IsAnomaly bool `json:"is_anomaly"`
		Heatmap   string
		Box       box
	}
	code, out, errs = akin(t, "score", "--dir", dir, "--alpha", "0.1", "--heatmaps", filepath.Join(dir, "heat"), "--json", strangers)
	var rows []row
	if err := json.Unmarshal([]byte(out), &rows); err != nil || code != int(exitAnomalies) || errs != "" {
		t.Fatalf("scoring strangers: exit code %d, %v: %s", code, err, errs)
	}
	for _, s := range rows {
		if s.IsAnomaly {
			alarms++
		}
		if info, err := os.Stat(s.Heatmap); err != nil || info.Size() == 0 || s.Box.Width < 1 || s.Box.Height < 1 {
			t.Errorf("heat map %q (%v), worst place %+v", s.Heatmap, err, s.Box)
		}
	}
	code, out, errs = akin(t, "score", "--dir", dir, "--fdr", "0.5", "--csv", strangers)
	if lines := strings.Split(strings.TrimSpace(out), "\n"); code != int(exitAnomalies) || len(lines) != 21 || !strings.HasPrefix(lines[0], "file,is_anomaly,p_value") || strings.Count(out, ",true,") < 15 {
		t.Errorf("scoring strangers together: exit code %d: %s%s", code, out, errs)
	}
	if code, _, errs := akin(t, "score", "--dir", dir, "--fdr", "1e-6", strangers); code != 1 || !strings.Contains(errs, "--fdr: false-discovery rate 1e-06") || !strings.Contains(errs, "n = 999999") {
		t.Errorf("a rate at which nothing can be found: exit code %d: %s", code, errs)
	}
	if _, _, errs := akin(t, "score", "--dir", dir, "--fdr", "0.02", strangers); !strings.Contains(errs, "--fdr 0.02 finds anomalies among 20 only where there are ") {
		t.Errorf("a rate at which a lone anomaly is not found: %s", errs)
	}
	if code, _, errs := akin(t, "score", "--dir", dir, "--alpha", "0.1", "--fdr", "0.1", strangers); code != 1 || !strings.Contains(errs, "fdr") {
		t.Errorf("alpha and fdr: exit code %d: %s", code, errs)
	}
	if alarms < 15 {
		t.Errorf("%d of 20 crosses are called unlike discs, bars and frames", alarms)
	}
	if code, out, errs := akin(t, "score", "--dir", dir, "--alpha", "0.1", broken, hits[0].ID); code == 0 || out != "" && !strings.Contains(out, "broken.png") {
		t.Errorf("scoring what cannot be read: exit code %d, %s%s", code, out, errs)
	}
	mixed := t.TempDir()
	for name, content := range map[string]string{"empty.png": "", "list.csv": "a,b\n", "notes.txt": ""} {
		if err := os.WriteFile(filepath.Join(mixed, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	one, err := os.ReadFile(filepath.Join(strangers, "cross", "000.png"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(mixed, "whole.png"), one, 0o644); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := akin(t, "score", "--dir", dir, "--alpha", "0.1", mixed); code != 1 || !strings.Contains(out, "empty.png: ") || strings.Contains(out, "list.csv") || strings.Contains(out, "notes.txt") || !strings.Contains(errs, "1 of 2 files could not be scored") {
		t.Errorf("scoring a folder with an empty picture and a list: exit code %d: %s%s", code, out, errs)
	}
	ev := mustAkin[evaluated](t, "eval", "--data", data, "--dir", dir)
	if ev.KNNAccuracy < 0.9 || ev.AUROC < 0.9 || ev.RecallAt1 < 0.9 || ev.Intervals["knn_accuracy"].High < 0.9 || ev.LabelEfficiency != nil {
		t.Errorf("evaluation %+v", ev)
	}
	if c := mustAkin[evaluated](t, "eval", "--data", data, "--dir", dir, "--corrupt", "--severity", "5,2").Corrupted; c == nil || len(c.Scores) != 24 || c.CleanAccuracy != ev.KNNAccuracy || c.Means[0].Severity != 2 {
		t.Errorf("corrupted evaluation %+v", c)
	}
	if code, out, errs := akin(t, "eval", "--data", data, "--dir", dir, "--corrupt", "--severity", "3"); code != 0 || !strings.Contains(out, "severity 3") || !strings.Contains(out, "motion-blur *") {
		t.Errorf("corrupted evaluation: exit code %d: %s%s", code, out, errs)
	}
	if code, _, errs := akin(t, "train", "--data", data, "--dir", dir); code != 1 || !strings.Contains(errs, "--force") {
		t.Errorf("training over a model: exit code %d: %s", code, errs)
	}
	bare := mustAkin[ingested](t, "ingest", "--data", data, "--dir", dir, "--collection", "bare", "--holdout", "0")
	if bare.Points != 360 || bare.Calibration != 0 {
		t.Errorf("ingested without calibration: %+v", bare)
	}
	if code, _, errs := akin(t, "score", "--dir", dir, "--collection", "bare", strangers); code != 1 || !strings.Contains(errs, "--holdout") {
		t.Errorf("scoring without calibration: exit code %d: %s", code, errs)
	}
	more := mustAkin[ingested](t, "ingest", "--data", data, "--dir", dir, "--collection", "bare", "--holdout", "0.2")
	if more.Points != in.Points || more.Calibration != in.Calibration {
		t.Errorf("calibrating later leaves %+v, want the %d points that a fresh collection has", more, in.Points)
	}
	if fresh := mustAkin[ingested](t, "ingest", "--data", strangers, "--dir", dir, "--collection", "bare", "--holdout", "0", "--replace"); fresh.Points != 20 {
		t.Errorf("--replace leaves %d points of 20", fresh.Points)
	}
	s := startServing(t, "serve", "--dir", dir, "--addr", "127.0.0.1:0")
	if r := s.post(t, "/search", filepath.Join(data, "frame", "005.png")); !strings.Contains(r, `"label":"frame"`) {
		t.Errorf("POST /search of a frame: %s", r)
	}
	if r := s.post(t, "/anomaly", filepath.Join(strangers, "cross", "000.png")); !strings.Contains(r, `"is_anomaly"`) {
		t.Errorf("POST /anomaly: %s", r)
	}
	if code, _, errs := akin(t, "search", "--id", "x", "--dir", dir); code != 1 || !strings.Contains(errs, "akin serve") {
		t.Errorf("a second process on the store: exit code %d: %s", code, errs)
	}
	s.stop(t)
}

// serving is a command that serves until it is stopped.
type serving struct {
	url    string
	cancel context.CancelFunc
	exit   chan int
	stderr *lines
}

// lines is a writer that can be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func startServing(t *testing.T, args ...string) *serving {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &serving{cancel: cancel, exit: make(chan int, 1), stderr: &lines{}}
	go func() { s.exit <- Run(ctx, args, io.Discard, s.stderr) }()
	t.Cleanup(cancel)
	url := regexp.MustCompile(`http://[0-9.:]+`)
	for range 3000 {
		if s.url = url.FindString(s.stderr.String()); s.url != "" {
			return s
		}
		select {
		case code := <-s.exit:
			t.Fatalf("akin %v ended with %d: %s", args, code, s.stderr)
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Fatalf("akin %v does not serve: %s", args, s.stderr)
	return nil
}

func (s *serving) stop(t *testing.T) {
	t.Helper()
	s.cancel()
	if code := <-s.exit; code != 0 {
		t.Errorf("stopped serving with exit code %d: %s", code, s.stderr)
	}
}

// post sends a picture as a form.
func (s *serving) post(t *testing.T, path, file string) string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	part, err := w.CreateFormFile("input", filepath.Base(file))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := part.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(s.url+path, w.FormDataContentType(), &body)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("POST %s: %s: %s", path, resp.Status, got)
	}
	return string(got)
}

// smallMNIST writes the first images of MNIST as plain IDX files.
func smallMNIST(t *testing.T, trainImages, testImages int) string {
	t.Helper()
	tr, te, err := train.MNIST("")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for stem, set := range map[string]train.Dataset{"train": tr, "t10k": te} {
		n := trainImages
		if stem == "t10k" {
			n = testImages
		}
		images, labels := []byte{0, 0, 8, 3}, []byte{0, 0, 8, 1}
		for _, v := range []int{n, 28, 28} {
			images = binary.BigEndian.AppendUint32(images, uint32(v))
		}
		labels = binary.BigEndian.AppendUint32(labels, uint32(n))
		for i := range n {
			images = append(images, set.Raw[i][12:]...)
			labels = append(labels, byte(set.Labels[i]))
		}
		for name, b := range map[string][]byte{stem + "-images-idx3-ubyte": images, stem + "-labels-idx1-ubyte": labels} {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// TestDemo runs the demo on a part of MNIST: interrupted in training, gone on with, from the folder, and serving.
func TestDemo(t *testing.T) {
	mnist, dir := smallMNIST(t, 6000, 1000), filepath.Join(t.TempDir(), "demo")
	args := []string{"demo", "--mnist", mnist, "--dir", dir, "--epochs", "3", "--no-serve", "--json"}

	ctx, cancel := context.WithCancel(t.Context())
	var out bytes.Buffer
	code := Run(ctx, args, &out, writerFunc(func(p []byte) (int, error) {
		if bytes.Contains(p, []byte("epoch 1/3")) {
			cancel()
		}
		return len(p), nil
	}))
	if code != 130 || out.Len() != 0 {
		t.Fatalf("interrupted: exit code %d, printed %q", code, out.String())
	}
	code, text, errs := akin(t, args...)
	if code != 0 || strings.Contains(errs, "epoch 1/3") {
		t.Fatalf("going on: exit code %d, not from the checkpoint?\n%s", code, errs)
	}
	var r demoReport
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	if r.KNNAccuracy < 0.95 || r.PairAUROC < 0.98 || r.RecallAt10 < 0.99 || r.AnomalyAUROC == nil || *r.AnomalyAUROC < 0.85 || r.Unseen != "9" || r.Points == 0 || len(r.ModelID) != 64 {
		t.Errorf("report %s", text)
	}
	began := time.Now()
	code, again, errs := akin(t, args...)
	if code != 0 || again != text || strings.Contains(errs, "epoch") {
		t.Errorf("a second start: exit code %d, another report or work done: %s%s", code, again, errs)
	}
	if d := time.Since(began); d > 30*time.Second {
		t.Errorf("a second start took %v", d)
	}
	if code, _, errs := akin(t, "demo", "--mnist", mnist, "--dir", dir, "--epochs", "4", "--no-serve"); code != 1 || !strings.Contains(errs, "--dir") {
		t.Errorf("other options in the same folder: exit code %d: %s", code, errs)
	}

	model := filepath.Join(dir, "model.akin")
	whole, err := os.ReadFile(model)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(model, whole[:len(whole)-1], 0o644); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := akin(t, args...); code != 1 || !strings.Contains(errs, "remove that folder") {
		t.Errorf("a damaged model: exit code %d: %s", code, errs)
	}
	if err := os.WriteFile(model, whole, 0o644); err != nil {
		t.Fatal(err)
	}

	s := startServing(t, "demo", "--mnist", mnist, "--dir", dir, "--epochs", "3", "--addr", "127.0.0.1:0")
	if r := s.post(t, "/search", filepath.Join(dir, "known.png")); !strings.Contains(r, `"status":"ok"`) {
		t.Errorf("POST /search: %s", r)
	}
	if r := s.post(t, "/anomaly", filepath.Join(dir, "unseen.png")); !strings.Contains(r, `"p_value"`) {
		t.Errorf("POST /anomaly: %s", r)
	}
	if n := strings.Count(s.stderr.String(), "curl "); n != 3 {
		t.Errorf("%d curl lines, want 3", n)
	}
	s.stop(t)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestMistakes: each is one line that names what is wrong, and exit code 1.
func TestMistakes(t *testing.T) {
	empty, dir := t.TempDir(), t.TempDir()
	for want, args := range map[string][]string{
		"--data":             {"train", "--dir", dir},
		"no such file":       {"train", "--dir", dir, "--data", filepath.Join(empty, "missing")},
		"no PNG, JPEG":       {"train", "--dir", dir, "--data", empty},
		"--holdout 0.9":      {"train", "--dir", dir, "--data", empty, "--holdout", "0.9"},
		"run akin train":     {"ingest", "--dir", dir, "--data", empty},
		"run akin train, or": {"serve", "--dir", dir},
		"one of the two":     {"search", "--dir", dir},
		`--filter: filter: must[0].match: unknown field "velue": use value, any`: {"search", "--id", "x", "--filter", `{"must":[{"key":"a","match":{"velue":1}}]}`, "--dir", dir},
		"--unseen x":                            {"demo", "--unseen", "x", "--dir", dir},
		"the four IDX files":                    {"demo", "--mnist", empty, "--dir", dir, "--no-serve"},
		"unknown command":                       {"dmeo"},
		"unknown flag":                          {"demo", "--fast"},
		"requires at least 1":                   {"score", "--dir", dir},
		"did you mean --data":                   {"train", "photos"},
		"--queries 0":                           {"eval", "--queries", "0", "--data", empty},
		"--severity 0: it must be 1 to 5":       {"eval", "--corrupt", "--severity", "0", "--data", empty},
		"--severity is of corruptions":          {"eval", "--severity", "3", "--data", empty},
		"--threads -3: it must not be negative": {"train", "--threads", "-3", "--data", empty},
		"--batch 0":                             {"train", "--batch", "0", "--data", empty},
		"127.0.0.1:7701":                        {"demo", "--addr", "7701", "--dir", dir},
		"there is no model at":                  {"eval", "--dir", dir, "--data", shapes(t, 3, "disc", "bar")},
	} {
		code, out, errs := akin(t, args...)
		if code != 1 || out != "" || !strings.Contains(errs, want) {
			t.Errorf("akin %v: exit code %d, stdout %q, stderr %q; want %q there", args, code, out, errs, want)
		}
		if n := strings.Count(errs, "\n"); n != 1 {
			t.Errorf("akin %v: an error of %d lines:\n%s", args, n, errs)
		}
	}
}

// TestHelp: every command has a help text with what it is for.
func TestHelp(t *testing.T) {
	for _, c := range []string{"demo", "train", "ingest", "serve", "search", "score", "eval", "import", "export", "bench", "bench recall"} {
		code, out, _ := akin(t, append(strings.Fields(c), "--help")...)
		if code != 0 || !strings.Contains(out, "Usage:") || c != "bench" && !strings.Contains(out, "Examples:") {
			t.Errorf("akin %s --help: exit code %d, %q", c, code, out)
		}
	}
}
