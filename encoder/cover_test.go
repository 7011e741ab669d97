package encoder

import (
	"bytes"
	"errors"
	"image"
	"image/png"
	"math/rand/v2"
	"slices"
	"testing"
)

func coverEncoder(t *testing.T, fit Fit) *Encoder {
	t.Helper()
	n := Default(Size{16, 16, 1}, 8)
	weights, err := n.Initialize(rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	e, err := NewEncoder(&Model{Network: n, Preprocessing: Preprocessing{Modality: ModalityImage, Size: n.Input, Mean: []float32{0.5}, Deviation: []float32{0.1}, Fit: fit}, Weights: weights}, "test", 1)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// spot is a grey picture with a white spot.
func spot(t *testing.T, width, height int, at image.Rectangle) []byte {
	t.Helper()
	g := image.NewGray(image.Rect(0, 0, width, height))
	for i := range g.Pix {
		x, y := i%width, i/width
		if g.Pix[i] = 100; image.Pt(x, y).In(at) {
			g.Pix[i] = 255
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, g); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestCover: what covers nothing but the border's grey changes nothing, and the hottest places are those that cover the spot, wherever the picture
// lies in the network's input.
func TestCover(t *testing.T) {
	for _, c := range []struct {
		fit           Fit
		width, height int
		at            image.Rectangle
	}{
		{FitLetterbox, 16, 16, image.Rect(3, 10, 6, 13)},
		{FitLetterbox, 96, 48, image.Rect(72, 6, 84, 18)},
		{FitLetterbox, 20, 64, image.Rect(4, 44, 12, 52)},
		{FitCrop, 96, 48, image.Rect(54, 30, 66, 42)},
		{FitCrop, 40, 90, image.Rect(4, 50, 14, 60)},
	} {
		e, raw := coverEncoder(t, c.fit), spot(t, c.width, c.height, c.at)
		whole, err := e.Encode(t.Context(), raw)
		if err != nil {
			t.Fatal(err)
		}
		cover, err := e.Cover(t.Context(), raw)
		if err != nil {
			t.Fatal(err)
		}
		without, same := make([]float64, len(cover.Vectors)), 0
		for i, v := range cover.Vectors {
			for j := range v {
				without[i] -= float64((v[j] - whole[0][j]) * (v[j] - whole[0][j]))
			}
			if slices.Equal(v, whole[0]) {
				same++
			}
		}
		if n := len(without); same < n/4 || same == n {
			t.Errorf("%+v: %d of %d places change nothing", c, same, n)
		}
		h := cover.Heat(0, without)
		if h.Size != (Size{c.height, c.width, 1}) || slices.Max(h.Values) != 1 || slices.Min(h.Values) != -1 {
			t.Errorf("%+v: heat of %+v from %g to %g", c, h.Size, slices.Min(h.Values), slices.Max(h.Values))
		}
		near := c.at.Inset(-max(c.width, c.height) / 4)
		if box := h.Worst(); box.Intersect(c.at).Empty() || !box.In(near) {
			t.Errorf("%+v: the worst place is %v", c, box)
		}
		h.Rows(func(y int, row []float32) {
			for x, v := range row {
				if v > 0 && !image.Pt(x, y).In(near) {
					t.Fatalf("%+v: heat %g at %d, %d", c, v, x, y)
				}
			}
		})
	}
}

// TestCoverNothing: where no place matters the heat is even, and the box all of the picture; what is no picture, and no model of pictures, is refused.
func TestCoverNothing(t *testing.T) {
	e := coverEncoder(t, FitLetterbox)
	for _, size := range [][2]int{{30, 20}, {1, 1}, {500, 1}} {
		cover, err := e.Cover(t.Context(), spot(t, size[0], size[1], image.Rectangle{}))
		if err != nil {
			t.Fatal(err)
		}
		h := cover.Heat(1, slices.Repeat([]float64{2}, len(cover.Vectors)))
		if box := h.Worst(); slices.Max(h.Values) != -1 || box != image.Rect(0, 0, size[0], size[1]) || h.Score != 1 {
			t.Errorf("%v: %+v, worst place %v", size, h, box)
		}
	}
	if _, err := e.Cover(t.Context(), []byte("no picture")); !errors.Is(err, ErrInput) {
		t.Errorf("error %v", err)
	}
	n := ForVoices(Size{16, 32, 1}, 8, 128)
	weights, err := n.Initialize(rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	sounds, err := NewEncoder(&Model{Network: n, Preprocessing: soundPreprocessing(16, 32), Weights: weights}, "test", 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sounds.Cover(t.Context(), spot(t, 8, 8, image.Rectangle{})); !errors.Is(err, ErrInput) {
		t.Errorf("a model of sounds: %v", err)
	}
}
