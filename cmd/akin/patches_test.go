package main

import (
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akin-search/akin/encoder"
)

// writePatchModel writes a model whose patches have random weights: it judges, whatever of.
func writePatchModel(t *testing.T, dir string, calibration []float64) {
	t.Helper()
	whole, part := encoder.Default(encoder.Size{Height: 28, Width: 28, Channels: 1}, 4), encoder.Default(encoder.Size{Height: encoder.PatchSide, Width: encoder.PatchSide, Channels: encoder.PatchScales}, 8)
	model := func(n encoder.Network) encoder.Model {
		m := encoder.Model{Network: n, Preprocessing: encoder.Preprocessing{Modality: encoder.ModalityImage, Size: n.Input}}
		for range n.Input.Channels {
			m.Preprocessing.Mean, m.Preprocessing.Deviation = append(m.Preprocessing.Mean, 0.5), append(m.Preprocessing.Deviation, 0.1)
		}
		var err error
		if m.Weights, err = n.Initialize(rand.New(rand.NewPCG(1, 2))); err != nil {
			t.Fatal(err)
		}
		return m
	}
	m, p := model(whole), model(part)
	if calibration != nil {
		m.Patches = &encoder.Patches{Preprocessing: p.Preprocessing, Network: p.Network, Weights: p.Weights, Scale: 1, Light: 110,
			Layout: encoder.Layout{Mean: make([]float32, encoder.LayoutCells), Inverse: make([]float32, encoder.LayoutCells*(encoder.LayoutCells+1)/2), Known: [][]float32{make([]float32, encoder.LayoutCells)}}, Local: encoder.Usual{Spread: 1}, Whole: encoder.Usual{Spread: 1},
			Direction: []float32{1, 0, 0, 0, 0, 0, 0, 0}, Calibration: calibration}
	}
	if _, err := m.WriteFile(filepath.Join(dir, "model.akin")); err != nil {
		t.Fatal(err)
	}
}

func writeGrey(t *testing.T, path string, w, h int, seed uint64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	g := image.NewGray(image.Rect(0, 0, w, h))
	for i := range g.Pix {
		g.Pix[i] = uint8(rng.IntN(256))
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := png.Encode(f, g); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestScoreByPatches: a model with patches judges a folder without any collection, and draws heat maps of the pictures' sizes.
func TestScoreByPatches(t *testing.T) {
	dir, parts, heat := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "heat")
	writePatchModel(t, dir, []float64{-20, -20, -20}) // every picture is above: p = 1/4
	writeGrey(t, filepath.Join(parts, "a.png"), 60, 40, 1)
	writeGrey(t, filepath.Join(parts, "b.png"), 33, 90, 2)
	if err := os.WriteFile(filepath.Join(dir, "broken.jpg"), []byte("\xff\xd8\xff\xe0 and no more"), 0o644); err != nil {
		t.Fatal(err)
	}
	code, out, errs := akin(t, "score", "--dir", dir, "--heatmaps", heat, "--json", parts)
	var got []struct {
		File, Heatmap string
		PValue        float64  `json:"p_value"`
		IsAnomaly     bool     `json:"is_anomaly"`
		Score         float64  `json:"score"`
		InPlaces      *float64 `json:"in_places"`
		AsAWhole      *float64 `json:"as_a_whole"`
		Box           box
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != int(exitAnomalies) || len(got) != 2 {
		t.Fatalf("exit code %d, %v: %s %s", code, err, out, errs)
	}
	for i, size := range []image.Point{{60, 40}, {33, 90}} {
		f, err := os.Open(got[i].Heatmap)
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(f)
		if err != nil || img.Bounds().Size() != size || got[i].PValue != 0.25 || !got[i].IsAnomaly || got[i].Box.Width < 1 || got[i].Box.X+got[i].Box.Width > size.X {
			t.Errorf("%+v: %v, heat map of %v", got[i], err, img.Bounds())
		}
		if in, as := got[i].InPlaces, got[i].AsAWhole; in == nil || as == nil || math.Abs(got[i].Score-*in-*as) > 1e-9 {
			t.Errorf("%+v: the score is not the sum of its parts", got[i])
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if code, _, errs := akin(t, "score", "--dir", dir, filepath.Join(dir, "broken.jpg"), filepath.Join(parts, "a.png")); code != 1 || !strings.Contains(errs, "1 of 2 files could not be scored") {
		t.Errorf("a broken file: exit code %d: %s", code, errs)
	}
	if code, _, errs := akin(t, "score", "--dir", dir, "--alpha", "0.1", parts); code != 1 || !strings.Contains(errs, "n = 9") {
		t.Errorf("an alpha that three scores do not support: exit code %d: %s", code, errs)
	}
	writePatchModel(t, dir, []float64{})
	if code, _, errs := akin(t, "score", "--dir", dir, parts); code != 1 || !strings.Contains(errs, "--holdout above 0") {
		t.Errorf("without calibration: exit code %d: %s", code, errs)
	}
	writePatchModel(t, dir, nil)
	if code, _, errs := akin(t, "score", "--dir", dir, "--heatmaps", heat, parts); code != 1 || !strings.Contains(errs, "akin ingest") {
		t.Errorf("without patches and without a collection: exit code %d: %s", code, errs)
	}
}

// TestMapName: a heat map stays in its folder.
func TestMapName(t *testing.T) {
	for file, want := range map[string]string{"a.png": "a.png.png", "x/y.jpg": "x/y.jpg.png", "/x/y.jpg": "x/y.jpg.png", "../../y.jpg": "y.jpg.png", "x/../../y.jpg": "y.jpg.png"} {
		if got := filepath.ToSlash(mapName(file)); got != want {
			t.Errorf("%s: %s, want %s", file, got, want)
		}
	}
}

// TestTrainPatchesRefuses: what patches cannot be taught is refused before anything is trained, and no verdicts are told of at the beginning.
func TestTrainPatchesRefuses(t *testing.T) {
	table, few := filepath.Join(t.TempDir(), "rows.csv"), t.TempDir()
	rows := "a,b\n"
	for i := range 60 {
		rows += fmt.Sprintf("%d,%d.5\n", i%7, i)
	}
	if err := os.WriteFile(table, []byte(rows), 0o644); err != nil {
		t.Fatal(err)
	}
	for i := range uint64(7) {
		writeGrey(t, filepath.Join(few, fmt.Sprintf("%d.png", i)), 40, 40, i)
	}
	for name, c := range map[string]struct{ data, want string }{
		"a table":        {table, "patches are of pictures"},
		"seven pictures": {few, "7 pictures to learn patches from, those held out not counted: it takes 8"},
	} {
		dir := filepath.Join(t.TempDir(), "w")
		code, _, errs := akin(t, "train", "--data", c.data, "--dir", dir, "--patches", "--holdout", "0")
		if _, err := os.Stat(dir); code != 1 || !strings.Contains(errs, c.want) || strings.Contains(errs, "--resume") || strings.Contains(errs, "epoch") || err == nil {
			t.Errorf("%s: exit code %d, folder %v: %s", name, code, err, errs)
		}
	}
	writeGrey(t, filepath.Join(few, "7.png"), 40, 40, 7)
	dir := t.TempDir() // a folder is where the checkpoint should be: the training ends as it begins
	if err := os.MkdirAll(filepath.Join(dir, "model.akin.ckpt"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, _, errs := akin(t, "train", "--data", few, "--dir", dir, "--patches", "--holdout", "0", "--epochs", "1"); !strings.Contains(errs, "there will be scores and heat maps, and no verdicts") || strings.Contains(errs, "learning patches") {
		t.Errorf("without a holdout: %s", errs)
	}
}
