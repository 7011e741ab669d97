package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// machine writes rows of a machine in one of three states: its flow goes with its temperature, unless it leaks.
func machine(t *testing.T, name string, rows int, leaks bool) string {
	t.Helper()
	rng := rand.New(rand.NewPCG(3, uint64(rows)))
	var lines strings.Builder
	lines.WriteString("id,temp,flow,valve,note,state\n")
	for i := range rows {
		state := i % 3
		temp := 20 + 6*float64(state) + rng.NormFloat64()
		flow := fmt.Sprintf("%.3f", temp/2+0.2*rng.NormFloat64())
		if leaks {
			flow = fmt.Sprintf("%.3f", temp/2+8+rng.Float64())
		} else if rng.IntN(20) == 0 {
			flow = "NA"
		}
		fmt.Fprintf(&lines, "m%d,%.2f,%s,%s,note %d,%s\n", i, temp, flow, []string{"a", "b"}[rng.IntN(2)], rng.IntN(1e9), []string{"idle", "run", "boost"}[state])
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(lines.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestOwnRows walks a user's path with rows of a table: train, ingest, search, score, eval, serve, and another start.
func TestOwnRows(t *testing.T) {
	data, leaking, dir := machine(t, "machine.csv", 300, false), machine(t, "leaking.csv", 12, true), t.TempDir()
	code, _, errs := akin(t, "train", "--data", data, "--dir", dir, "--label-column", "state", "--holdout", "0.25", "--epochs", "4")
	if want := "found 300 rows of 4 columns: 2 of numbers; 1 of categories (valve 2); "; code != 0 || !strings.Contains(errs, want) || !strings.Contains(errs, "left out, without a value or with another text in nearly every row (note)") ||
		!strings.Contains(errs, "rows of 6 features, of which the embedding keeps 6 directions beside 32 components that are learned; network of 5 layers; augmentation rows; supcon loss") {
		t.Fatalf("train: exit code %d, want %q in: %s", code, want, errs)
	}
	in := mustAkin[ingested](t, "ingest", "--data", data, "--dir", dir, "--label-column", "state")
	if in.Points+in.Calibration != 300 || in.Calibration < 50 {
		t.Errorf("ingested %+v, want 300 rows, a quarter of them kept aside as in training", in)
	}
	row := filepath.Join(t.TempDir(), "row.json")
	if err := os.WriteFile(row, []byte(`{"temp": 26.1, "flow": 13, "valve": "a"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if hits := mustAkin[[]found](t, "search", row, "--dir", dir, "--k", "3"); len(hits) != 3 || hits[0].Label != "run" {
		t.Errorf("a running machine finds %+v", hits)
	}
	ev := mustAkin[evaluated](t, "eval", "--data", data, "--dir", dir, "--label-column", "state")
	if ev.KNNAccuracy < 0.9 || ev.Baseline.Name != "scaled features" || ev.Baseline.KNNAccuracy < 0.8 {
		t.Errorf("evaluation %+v", ev)
	}
	if code, out, errs := akin(t, "show", filepath.Join(dir, "model.akin")); code != 0 || !strings.Contains(out, "table of 4 columns") || !strings.Contains(out, "linear, 7 units, fixed") {
		t.Errorf("show: exit code %d: %s%s", code, out, errs)
	}
	for range 2 { // the second start finds everything on disk
		s := startServing(t, "serve", "--dir", dir, "--addr", "127.0.0.1:0")
		if r := s.post(t, "/search", row); !strings.Contains(r, `"label":"run"`) {
			t.Errorf("POST /search of a running machine: %s", r)
		}
		resp, err := http.Post(s.url+"/anomaly", "application/json", strings.NewReader(`{"input": {"temp": 26, "flow": 30, "valve": "c"}, "explain": true}`))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if r := string(body); err != nil || !strings.Contains(r, `"is_anomaly":true`) || !strings.Contains(r, `"columns":[{"column":"flow","value":30,"mean":`) || !strings.Contains(r, `{"column":"valve","value":"c","usual":`) {
			t.Errorf("POST /anomaly of a leak: %s, %v", r, err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
		s.stop(t)
	}
	_, out, _ := akin(t, "score", "--dir", dir, "--alpha", "0.1", "--json", "--label-column", "state", leaking) // the exit code says that there are anomalies
	var rows []struct {
		File      string `json:"file"`
		IsAnomaly bool   `json:"is_anomaly"`
	}
	if err := json.Unmarshal([]byte(out), &rows); err != nil || len(rows) != 12 || rows[0].File != "m0" {
		t.Fatalf("score: %v in %s", err, out)
	}
	ragged := filepath.Join(dir, "ragged.csv")
	if err := os.WriteFile(ragged, []byte("temp,flow,valve\n26,13,a\n26,13\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := akin(t, "score", "--dir", dir, "--alpha", "0.1", "--csv", ragged); code != 1 || !strings.Contains(out, ragged+":line 3,,,,,,\"2 values") || !strings.Contains(errs, "1 of 2 files could not be scored") {
		t.Errorf("a row that cannot be read: exit code %d: %s%s", code, out, errs)
	}
	alarms := 0
	for _, s := range rows {
		if s.IsAnomaly {
			alarms++
		}
	}
	if alarms < 9 {
		t.Errorf("%d of 12 leaks are called unlike the machine", alarms)
	}
	for input, want := range map[string]string{`{"temp": 26, "pressure": 1}`: `no column is called "pressure": use temp, flow, valve, note`, `[1, 2]`: "a row of 2 values: want 4"} {
		if err := os.WriteFile(row, []byte(input), 0o644); err != nil {
			t.Fatal(err)
		}
		if code, _, errs := akin(t, "search", row, "--dir", dir); code != 1 || !strings.Contains(errs, want) {
			t.Errorf("searching by %s: exit code %d: %s", input, code, errs)
		}
	}
	if code, _, errs := akin(t, "train", "--data", data, "--dir", t.TempDir(), "--label-column", "colour"); code != 1 || !strings.Contains(errs, `label column "colour": the columns are`) {
		t.Errorf("a label column that is not there: exit code %d: %s", code, errs)
	}
}
