package benchmarks

import (
	"bytes"
	"errors"
	"image"
	"image/png"
	"math"
	"math/rand/v2"
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
	c.masks[1], err = greyOf(greyPicture(t, 60, 48, corner))
	if err != nil {
		t.Fatal(err)
	}
	cut, err := c.cropped(44)
	if err != nil || cut.leftOut != 1 || cut.Anomalies.Len() != 3 || len(cut.masks) != 3 || cut.masks[2] != nil || cut.Anomalies.IDs[1] != "spot/c.gray" {
		t.Fatalf("%d left out, %q, %v", cut.leftOut, cut.Anomalies.IDs, err)
	}
	whole, err := greyOf(c.Anomalies.Raw[0])
	if err != nil {
		t.Fatal(err)
	}
	part, err := greyOf(cut.Anomalies.Raw[0])
	if err != nil || part.Rect != image.Rect(0, 0, 44, 44) || part.GrayAt(0, 0) != whole.GrayAt(8, 2) || part.GrayAt(43, 43) != whole.GrayAt(51, 45) || cut.masks[0].GrayAt(22, 18).Y != 255 || cut.masks[0].GrayAt(21, 18).Y != 0 {
		t.Errorf("the middle is of %v, %v", part.Rect, err)
	}
	if _, err := c.cropped(45); !errors.Is(err, ErrData) {
		t.Errorf("no normal picture is as large as the crop: %v", err)
	}
	c.masks[0] = part
	if _, err := j.judge(t.Context(), c.Anomalies, 0.05, true); !errors.Is(err, ErrData) {
		t.Errorf("a mask of another size: %v", err)
	}
}
