package benchmarks

import (
	"bytes"
	"image"
	"image/png"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/akin-search/akin/encoder"
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
	m.Patches = &encoder.Patches{Preprocessing: m.Preprocessing, Network: m.Network, Weights: m.Weights, Scale: 1, Light: 110, Direction: []float32{1, 0, 0, 0, 0, 0, 0, 0}, Calibration: make([]float64, 19)}
	e, err := encoder.NewEncoder(&m, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestMeasureSurface compares both kinds of AUROC with all pairs, and crops.
func TestMeasureSurface(t *testing.T) {
	e, rng := surfaceEncoder(t), rand.New(rand.NewPCG(2, 2))
	d := train.Dataset{Classes: []string{"good", "spot"}}
	add := func(id string, label int, raw []byte) {
		d.IDs, d.Raw, d.Labels = append(d.IDs, id), append(d.Raw, raw), append(d.Labels, label)
	}
	noise := func(int, int) uint8 { return uint8(rng.IntN(256)) }
	within := func(x, y int) uint8 {
		if x >= 30 && x < 36 && y >= 20 && y < 28 {
			return 255
		}
		return 0
	}
	for i := range 3 {
		add("good/"+string(rune('a'+i))+".png", 0, greyPicture(t, 50+i, 44, noise))
		add("spot/"+string(rune('a'+i))+".gray", 1, greyPicture(t, 60, 48, noise))
		add("spot/"+string(rune('a'+i))+".png", 1, greyPicture(t, 60, 48, within))
	}
	r, err := MeasureSurface(t.Context(), e, SurfaceOptions{Data: d, Normal: "good"})
	if err != nil {
		t.Fatal(err)
	}
	var scores [2][]float64
	var hot [2][]float64
	for i, id := range d.IDs {
		if d.Labels[i] == 1 && id[len(id)-4:] == ".png" {
			continue
		}
		h, err := e.Heat(t.Context(), d.Raw[i])
		if err != nil {
			t.Fatal(err)
		}
		scores[d.Labels[i]] = append(scores[d.Labels[i]], h.Score)
		h.Rows(func(y int, row []float32) {
			for x, v := range row {
				k := 0
				if d.Labels[i] == 1 && within(x, y) > 0 {
					k = 1
				}
				hot[k] = append(hot[k], float64(v))
			}
		})
	}
	want, err := train.AUROC(scores[0], scores[1])
	if err != nil || r.AUROC != want || r.ByClass["spot"] != want || r.Counts["good"] != 3 || r.Counts["spot"] != 3 || r.Calibration != 19 {
		t.Errorf("%+v, want AUROC %g", r, want)
	}
	if pixels, err := train.AUROC(hot[0], hot[1]); err != nil || math.Abs(r.PixelAUROC-pixels) > 1e-3 {
		t.Errorf("pixel AUROC %g, want %g", r.PixelAUROC, pixels)
	}
	// The middle 32 pixels hold the spot, which is at 30 to 35 of 60, and are left of every picture; of 46 only two are as wide and high.
	if r, err = MeasureSurface(t.Context(), e, SurfaceOptions{Data: d, Normal: "good", Crop: 32}); err != nil || r.LeftOut != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err = MeasureSurface(t.Context(), e, SurfaceOptions{Data: d, Normal: "good", Crop: 46}); err == nil {
		t.Error("no normal picture is as large as the crop, and nothing is said")
	}
	if _, err = MeasureSurface(t.Context(), e, SurfaceOptions{Data: d, Normal: "fine"}); err == nil {
		t.Error("a class that is not there is taken")
	}
}
