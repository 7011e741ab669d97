package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/akin-search/akin/benchmarks"
)

// instruments writes a folder of sounds of half a second, 16-bit WAV of 8 or 16 kHz: a kind is a list of overtones of a random pitch.
func instruments(t *testing.T, n int, kinds map[string][]float64) string {
	t.Helper()
	dir := t.TempDir()
	le := binary.LittleEndian
	for kind, overtones := range kinds {
		rng := rand.New(rand.NewPCG(9, uint64(len(kind))))
		if err := os.MkdirAll(filepath.Join(dir, kind), 0o755); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			rate := 8000 << rng.IntN(2)
			pitch := 200 + 60*rng.Float64()
			samples := rate * 2 / 5
			b := append([]byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00"), le.AppendUint32(nil, uint32(rate))...)
			b = append(le.AppendUint32(b, uint32(2*rate)), 2, 0, 16, 0, 'd', 'a', 't', 'a')
			b = le.AppendUint32(b, uint32(2*samples))
			for s := range samples {
				v := 0.02 * rng.NormFloat64()
				for k, strength := range overtones {
					v += strength * math.Sin(2*math.Pi*pitch*float64(k+1)*float64(s)/float64(rate))
				}
				b = le.AppendUint16(b, uint16(int16(6000*v)))
			}
			if err := os.WriteFile(filepath.Join(dir, kind, fmt.Sprintf("%03d.wav", i)), b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// TestOwnSounds walks a user's path with sounds: train, ingest, search, score, eval, serve, and another start.
func TestOwnSounds(t *testing.T) {
	data := instruments(t, 40, map[string][]float64{"flute": {1}, "reed": {1, 0, 1, 0, 1}, "horn": {0.5, 1, 1, 0.5}})
	strangers, dir := instruments(t, 10, map[string][]float64{"piccolo": {0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1}}), t.TempDir()
	if err := os.WriteFile(filepath.Join(data, "flute", "broken.wav"), []byte("RIFF\x00\x00\x00\x00WAVEfmt "), 0o644); err != nil {
		t.Fatal(err)
	}
	code, _, errs := akin(t, "train", "--data", data, "--dir", dir, "--holdout", "0.25", "--epochs", "8", "--batch", "32")
	if code != 0 || !strings.Contains(errs, "found 121 sounds (WAV 121)") || !strings.Contains(errs, "skipped flute/broken.wav") || !strings.Contains(errs, "sounds as 40 mel bands, looked at 0.40 s at a time; network of 9 layers; augmentation sounds") {
		t.Fatalf("train: exit code %d: %s", code, errs)
	}
	in := mustAkin[ingested](t, "ingest", "--data", data, "--dir", dir)
	if in.Points+in.Calibration != 120 || in.Calibration < 15 {
		t.Errorf("ingested %+v, want 120 sounds, a quarter of them kept aside as in training", in)
	}
	hits := mustAkin[[]found](t, "search", filepath.Join(data, "reed", "003.wav"), "--dir", dir, "--k", "3")
	if len(hits) != 3 || hits[0].Label != "reed" {
		t.Errorf("a reed finds %+v", hits)
	}
	if ev := mustAkin[evaluated](t, "eval", "--data", data, "--dir", dir); ev.KNNAccuracy < 0.9 || ev.AUROC < 0.9 {
		t.Errorf("evaluation %+v", ev)
	}
	if code, _, errs := akin(t, "eval", "--data", data, "--dir", dir, "--corrupt"); code != 1 || !strings.Contains(errs, "corruptions are of pictures") {
		t.Errorf("corrupted sounds: exit code %d: %s", code, errs)
	}
	if code, out, errs := akin(t, "show", filepath.Join(dir, "model.akin")); code != 0 || !strings.Contains(out, "audio") {
		t.Errorf("show: exit code %d: %s%s", code, out, errs)
	}
	for range 2 { // the second start finds everything on disk
		s := startServing(t, "serve", "--dir", dir, "--addr", "127.0.0.1:0")
		if r := s.post(t, "/search", filepath.Join(data, "horn", "005.wav")); !strings.Contains(r, `"label":"horn"`) {
			t.Errorf("POST /search of a horn: %s", r)
		}
		s.stop(t)
	}
	type row struct {
		IsAnomaly bool `json:"is_anomaly"`
	}
	alarms := 0
	_, out, _ := akin(t, "score", "--dir", dir, "--alpha", "0.1", "--json", strangers) // the exit code says that there are anomalies
	var rows []row
	if err := json.Unmarshal([]byte(out), &rows); err != nil || len(rows) != 10 {
		t.Fatalf("score: %v in %s", err, out)
	}
	for _, s := range rows {
		if s.IsAnomaly {
			alarms++
		}
	}
	if alarms < 7 {
		t.Errorf("%d of 10 piccolos are called unlike flutes, reeds and horns", alarms)
	}
	if code, _, errs := akin(t, "search", filepath.Join(data, "flute", "broken.wav"), "--dir", dir); code != 1 || !strings.Contains(errs, "WAV") {
		t.Errorf("searching by a broken sound: exit code %d: %s", code, errs)
	}
}

// TestSingleItems: classes of one item each are trained on whole, and nothing is kept aside of them.
func TestSingleItems(t *testing.T) {
	data, dir := instruments(t, 1, map[string][]float64{"flute": {1}, "reed": {1, 0, 1}, "horn": {0.5, 1, 1}}), t.TempDir()
	if code, _, errs := akin(t, "train", "--data", data, "--dir", dir, "--epochs", "2"); code != 0 || !strings.Contains(errs, "0 kept aside") {
		t.Fatalf("train: exit code %d: %s", code, errs)
	}
	if in := mustAkin[ingested](t, "ingest", "--data", data, "--dir", dir); in.Points != 3 || in.Calibration != 0 {
		t.Errorf("ingested %+v, want all three", in)
	}
}

// TestFoldsOfClips: sounds of classes that no other fold has are cut into clips, whose pairs are compared.
func TestFoldsOfClips(t *testing.T) {
	kinds := map[string][]float64{}
	for i := range 6 {
		kinds[fmt.Sprint("k", i)] = slices.Repeat([]float64{0, 1}, i+1)
	}
	bench := []string{"bench", "folds", "--data", instruments(t, 1, kinds), "--folds", "2", "--epochs", "1"}
	r := mustAkin[benchmarks.FoldsReport](t, append(bench, "--clips", "3", "--clip-seconds", "0.2")...)
	if len(r.Folds) != 2 || r.KNNAccuracy != nil || *r.BaselineEER > 0.2 || *r.BaselineEER != (*r.Folds[0].BaselineEER+*r.Folds[1].BaselineEER)/2 || *r.PairEER > 1 {
		t.Errorf("%+v", r)
	}
	for _, wrong := range [][]string{{"--clips", "1"}, {"--clip-seconds", "1"}, {"--clips", "2", "--clip-seconds", "5"}} {
		if code, _, errs := akin(t, append(bench, wrong...)...); code == 0 || !strings.Contains(errs, "clip") {
			t.Errorf("%v: exit code %d: %s", wrong, code, errs)
		}
	}
	known := instruments(t, 4, map[string][]float64{"flute": {1}, "reed": {1, 0, 1}})
	if code, _, errs := akin(t, "bench", "folds", "--data", known, "--clips", "2", "--clip-seconds", "0.2"); code == 0 || !strings.Contains(errs, "clips of classes that other folds have") {
		t.Errorf("clips of known classes: exit code %d: %s", code, errs)
	}
}
