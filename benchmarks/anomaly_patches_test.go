package benchmarks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/index"
	"github.com/akin-search/akin/train"
)

func greyPicture(t *testing.T, w, h int, light func(x, y int) uint8) []byte {
	g := image.NewGray(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			g.Pix[y*g.Stride+x] = light(x, y)
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, g); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// surfaceEncoder has patches of random weights.
func surfaceEncoder(t *testing.T) *encoder.Encoder {
	part := encoder.Default(encoder.Size{Height: encoder.PatchSide, Width: encoder.PatchSide, Channels: encoder.PatchScales}, 8)
	m := encoder.Model{Network: part, Preprocessing: encoder.Preprocessing{Modality: encoder.ModalityImage, Size: part.Input, Mean: []float32{0.5, 0.5, 0.5}, Deviation: []float32{0.1, 0.1, 0.1}}}
	var err error
	if m.Weights, err = part.Initialize(rand.New(rand.NewPCG(1, 2))); err != nil {
		t.Fatal(err)
	}
	m.Patches = &encoder.Patches{Preprocessing: m.Preprocessing, Network: m.Network, Weights: m.Weights, Scale: 1, Light: 110,
		Layout: encoder.Layout{Mean: make([]float32, encoder.LayoutCells), Inverse: make([]float32, encoder.LayoutCells*(encoder.LayoutCells+1)/2), Known: [][]float32{make([]float32, encoder.LayoutCells)}}, Local: encoder.Usual{Spread: 1}, Whole: encoder.Usual{Spread: 1},
		Direction: []float32{1, 0, 0, 0, 0, 0, 0, 0}, Calibration: make([]float64, 19)}
	e, err := encoder.NewEncoder(&m, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestPatchesJudge compares both kinds of AUROC with all pairs, takes masks for masks, and crops pictures and masks alike.
func TestPatchesJudge(t *testing.T) {
	e, rng := surfaceEncoder(t), rand.New(rand.NewPCG(2, 2))
	c := AnomalyCase{Anomalies: train.Dataset{Classes: []string{"scratch", "spot"}}, Normal: train.Dataset{Classes: []string{"good"}}}
	add := func(d *train.Dataset, id string, label int, raw []byte) {
		d.IDs, d.Raw, d.Labels = append(d.IDs, id), append(d.Raw, raw), append(d.Labels, label)
	}
	noise := func(int, int) uint8 { return uint8(rng.IntN(256)) }
	within := func(x, y int) uint8 {
		if x >= 30 && x < 36 && y >= 20 && y < 28 {
			return 255
		}
		return 0
	}
	corner := func(x, y int) uint8 { return 255 * uint8(max(0, 1-x-y)) }
	for i := range 3 {
		name := string(rune('a' + i))
		add(&c.Normal, name+".png", 0, greyPicture(t, 50+i, 44, noise))
		add(&c.Anomalies, "spot/"+name+".gray", 1, greyPicture(t, 60, 48, noise))
		add(&c.Anomalies, "spot/"+name+".png", 1, greyPicture(t, 60, 48, within))
	}
	add(&c.Anomalies, "scratch/a.png", 0, greyPicture(t, 60, 48, noise)) // without a mask
	c.Known = c.Normal
	c, err := c.withMasks()
	if err != nil || c.Anomalies.Len() != 4 || len(c.masks) != 4 || c.masks[3] != nil || c.masks[0] == nil {
		t.Fatalf("%q, %d masks, %v", c.Anomalies.IDs, len(c.masks), err)
	}
	j := &patchJudge{Conformal: index.NewConformal(e.Model().Patches.Calibration), Encoder: e, masks: c.masks, pixels: &pixelScores{}}
	r := &anomalyRun{}
	if r.normal, err = j.judge(t.Context(), c.Normal, 0.05, false); err != nil {
		t.Fatal(err)
	}
	if r.anomalies, err = j.judge(t.Context(), c.Anomalies, 0.05, true); err != nil {
		t.Fatal(err)
	}
	j.describe(&r.AnomalyRun)
	if err := r.byKind(); err != nil {
		t.Fatal(err)
	}
	var scores, hot [2][]float64
	for k, d := range []train.Dataset{c.Normal, c.Anomalies} {
		for i, raw := range d.Raw {
			h, err := e.Heat(t.Context(), raw)
			if err != nil {
				t.Fatal(err)
			}
			if k == 0 || d.Label(i) == "spot" {
				scores[k] = append(scores[k], h.Score)
			}
			if k == 1 && d.Label(i) != "spot" {
				continue
			}
			h.Rows(func(y int, row []float32) {
				for x, v := range row {
					at := 0
					if k == 1 && within(x, y) > 0 {
						at = 1
					}
					hot[at] = append(hot[at], float64(v))
				}
			})
		}
	}
	want, err := train.AUROC(scores[0], scores[1])
	if err != nil || len(r.Kinds) != 2 || r.Kinds[1] != (AnomalyKind{"spot", 3, want}) || r.Kinds[0].Label != "scratch" || r.Kinds[0].Items != 1 {
		t.Errorf("%+v, want AUROC %g of spots", r.Kinds, want)
	}
	if pixels, err := train.AUROC(hot[0], hot[1]); err != nil || r.PixelAUROC == nil || math.Abs(*r.PixelAUROC-pixels) > 1e-3 {
		t.Errorf("pixel AUROC %v, want %g", r.PixelAUROC, pixels)
	}
	// The middle 44 pixels hold the spot, which is at 30 to 35 of 60 across and 20 to 27 of 48 down; a mark in the corner is outside, and 44 is all of the height of the normal ones.
	quiet := func(string) {}
	c.masks[1], err = greyOf(greyPicture(t, 60, 48, corner))
	if err != nil {
		t.Fatal(err)
	}
	cut, err := c.looked(44, quiet)
	if err != nil || cut.leftOut != (LeftOut{Anomalies: 1}) || cut.Anomalies.Len() != 3 || len(cut.masks) != 3 || cut.masks[2] != nil || cut.Anomalies.IDs[1] != "spot/c.gray" {
		t.Fatalf("%+v left out, %q, %v", cut.leftOut, cut.Anomalies.IDs, err)
	}
	whole, err := greyOf(c.Anomalies.Raw[0])
	if err != nil {
		t.Fatal(err)
	}
	part, err := greyOf(cut.Anomalies.Raw[0])
	if err != nil || part.Rect != image.Rect(0, 0, 44, 44) || part.GrayAt(0, 0) != whole.GrayAt(8, 2) || part.GrayAt(43, 43) != whole.GrayAt(51, 45) || cut.masks[0].GrayAt(22, 18).Y != 255 || cut.masks[0].GrayAt(21, 18).Y != 0 {
		t.Errorf("the middle is of %v, %v", part.Rect, err)
	}
	if _, err := c.looked(45, quiet); !errors.Is(err, ErrData) {
		t.Errorf("no normal picture is as large as the crop: %v", err)
	}
	c.masks[0] = part
	if _, err := c.looked(0, quiet); !errors.Is(err, ErrData) {
		t.Errorf("a mask of another size: %v", err)
	}
}

// TestMasks: what is a mask, and what is refused.
func TestMasks(t *testing.T) {
	black, white := greyPicture(t, 40, 40, func(int, int) uint8 { return 1 }), greyPicture(t, 40, 40, func(int, int) uint8 { return 255 })
	set := func(mask []byte, ids ...string) (d train.Dataset) {
		for _, id := range ids {
			raw := black
			if strings.HasSuffix(id, ".png") {
				raw = mask
			}
			d.IDs, d.Raw, d.Labels = append(d.IDs, id), append(d.Raw, raw), append(d.Labels, train.Unlabelled)
		}
		return d
	}
	for name, c := range map[string]struct {
		known, anomalies train.Dataset
		pictures, masks  int // of the anomalies; -1 where it is refused
	}{
		"none":                        {set(nil, "a.jpg"), set(white, "a.jpg", "b.png"), 2, 0},
		"one":                         {set(nil, "a.jpg"), set(white, "x/a.jpg", "x/a.png", "y/a.jpg"), 2, 1},
		"black ones of normal":        {set(black, "a.jpg", "a.png"), set(white, "a.jpg", "a.png"), 1, 1},
		"a marked one of normal":      {set(white, "a.jpg", "a.png"), set(white, "a.jpg", "a.png"), -1, 0},
		"one that marks nothing":      {set(nil, "a.jpg"), set(black, "a.jpg", "a.png"), -1, 0},
		"no picture":                  {set(nil, "a.jpg"), set([]byte("no picture"), "a.jpg", "a.png"), -1, 0},
		"two pictures":                {set(nil, "a.jpg"), set(white, "a.jpg", "a.bmp"), 2, 0},
		"two pictures and a mask":     {set(nil, "a.jpg"), set(white, "a.jpg", "a.bmp", "a.png"), -1, 0},
		"two endings that are one":    {set(nil, "a.jpg"), set(white, "a.PNG", "a.png"), -1, 0},
		"a known one of two pictures": {set(nil, "a.jpg", "a.bmp"), set(white, "a.jpg"), 1, 0},
	} {
		got, err := (AnomalyCase{Known: c.known, Anomalies: c.anomalies}).withMasks()
		if c.pictures < 0 {
			if err == nil {
				t.Errorf("%s: taken", name)
			}
			continue
		}
		n := 0
		for _, m := range got.masks {
			if m != nil {
				n++
			}
		}
		if err != nil || got.Anomalies.Len() != c.pictures || n != c.masks || got.masks != nil && len(got.masks) != c.pictures || got.Known.Len() != len(c.known.IDs)-strings.Count(strings.Join(c.known.IDs, " "), ".png") {
			t.Errorf("%s: %q, %d masks; known %q; %v", name, got.Anomalies.IDs, n, got.Known.IDs, err)
		}
	}
}

// TestAnomalyByPatches goes the whole way with patches that nobody taught: a broken picture is left out and named, the report says what was measured, and plots are drawn.
func TestAnomalyByPatches(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	noise := func(int, int) uint8 { return uint8(100 + rng.IntN(50)) }
	spot := func(x, y int) uint8 {
		if x > 20 && x < 30 && y > 20 && y < 30 {
			return 255
		}
		return 0
	}
	c := AnomalyCase{Name: "parts", Anomalies: train.Dataset{Classes: []string{"scratch", "spot"}}}
	add := func(d *train.Dataset, id string, label int, raw []byte) {
		d.IDs, d.Raw, d.Labels = append(d.IDs, id), append(d.Raw, raw), append(d.Labels, label)
	}
	for i := range 30 {
		add(&c.Known, fmt.Sprintf("%d.jpg", i), train.Unlabelled, greyPicture(t, 60, 60, noise))
	}
	add(&c.Known, "broken.jpg", train.Unlabelled, []byte("\xff\xd8\xff\xe0 and no more"))
	for i := range 6 {
		add(&c.Normal, fmt.Sprintf("%d.jpg", i), train.Unlabelled, greyPicture(t, 60, 60, noise))
		add(&c.Anomalies, fmt.Sprintf("%d.jpg", i), i%2, greyPicture(t, 60, 60, noise))
		add(&c.Anomalies, fmt.Sprintf("%d.png", i), i%2, greyPicture(t, 60, 60, spot))
	}
	add(&c.Anomalies, "small.jpg", 1, greyPicture(t, 60, 44, noise))
	var lines []string
	plot := filepath.Join(t.TempDir(), "p.svg")
	o := AnomalyOptions{Dataset: "parts", Cases: []AnomalyCase{c}, Patches: true, Crop: 48, Plot: plot, Seeds: 2, Train: train.Options{Holdout: 0.4, Threads: 1},
		Progress: func(line string) { lines = append(lines, line) },
		teach: func(ctx context.Context, data, held train.Dataset, _ train.Options) (*encoder.Patches, error) {
			e := surfaceEncoder(t)
			p := e.Model().Patches
			p.Calibration = nil
			for _, raw := range held.Raw {
				h, err := e.Heat(ctx, raw)
				if err != nil {
					return nil, err
				}
				p.Calibration = append(p.Calibration, h.Score)
			}
			return p, nil
		}}
	r, err := Anomaly(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	run := r.Runs[0]
	if len(r.Runs) != 2 || !r.Patches || r.Crop != 48 || r.Holdout != 0.4 || run.Score != "patches" || run.Known+run.Calibration != 30 || run.Normal != 6 || run.Anomalies != 6 || run.Masks != 6 ||
		*run.LeftOut != (LeftOut{Known: 1, Anomalies: 1}) || len(run.Kinds) != 2 || run.PixelAUROC == nil || len(r.FalseAlarms) != 1 || run.Baseline.Name != "pixels" {
		t.Errorf("%+v, run %+v", r, run)
	}
	if !slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, "broken.jpg") }) {
		t.Errorf("the broken picture is not named: %q", lines)
	}
	if b, err := os.ReadFile(strings.TrimSuffix(plot, ".svg") + "-scores.svg"); err != nil || !strings.Contains(string(b), "score less the threshold") {
		t.Errorf("plot: %v", err)
	}
	var table bytes.Buffer
	if err := r.WriteTable(&table); err != nil || !strings.Contains(table.String(), "spot: AUROC") || !strings.Contains(table.String(), "by 6 masks") || !strings.Contains(table.String(), "left out 1 known, 0 normal and 1 anomalous") {
		t.Errorf("%v: %s", err, table.String())
	}
	o.Train.Holdout, o.Seeds = 0.2, 1
	lines = nil
	if r, err = Anomaly(t.Context(), o); err != nil || len(r.FalseAlarms) != 0 || r.FalseAlarms == nil || !slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, "hold more out") }) {
		t.Errorf("few that calibrate: %+v, %v, %q", r.FalseAlarms, err, lines)
	}
	for name, change := range map[string]func(*AnomalyOptions){
		"a crop alone": func(o *AnomalyOptions) { o.Patches = false }, "a loss": func(o *AnomalyOptions) { o.Train.Loss = "supcon" }, "epochs": func(o *AnomalyOptions) { o.Train.Epochs = 3 },
		"a small crop": func(o *AnomalyOptions) { o.Crop = 8 }, "a limit": func(o *AnomalyOptions) { o.Limit = 5 },
	} {
		bad := o
		change(&bad)
		if _, err := Anomaly(t.Context(), bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	texts := o
	texts.Cases = []AnomalyCase{{Known: train.Dataset{IDs: []string{"a"}, Raw: [][]byte{[]byte("a text")}, Labels: []int{train.Unlabelled}}, Normal: c.Normal, Anomalies: c.Normal}}
	if _, err := Anomaly(t.Context(), texts); !errors.Is(err, train.ErrOptions) {
		t.Errorf("texts: %v", err)
	}
}
