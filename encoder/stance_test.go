package encoder

import (
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"testing"

	"golang.org/x/image/draw"
)

// drawn returns a picture of an L of lines so thick at a place, scaled, in a colour on a ground.
func drawn(side int, at image.Point, scale int, ink, ground color.Color) *image.RGBA {
	img := image.NewRGBA(image.Rect(3, 5, 3+side, 5+side)) // an origin off zero
	draw.Draw(img, img.Bounds(), image.NewUniform(ground), image.Point{}, draw.Src)
	line := func(x0, y0, x1, y1 int) {
		r := image.Rect(x0, y0, x1, y1)
		r.Min, r.Max = r.Min.Mul(scale), r.Max.Mul(scale)
		draw.Draw(img, r.Add(img.Bounds().Min).Add(at), image.NewUniform(ink), image.Point{}, draw.Src)
	}
	line(0, 0, 3, 20)
	line(0, 17, 12, 20)
	return img
}

// TestTrim: wherever a drawing stands, and however large it is, the features are the same, and what surrounds it is its ground.
func TestTrim(t *testing.T) {
	white, red := color.RGBA{255, 255, 255, 255}, color.RGBA{200, 40, 10, 255}
	for _, channels := range []int{1, 3} {
		p := Preprocessing{Modality: ModalityImage, Size: Size{28, 28, channels}, Mean: make([]float32, channels), Deviation: []float32{1, 1, 1}[:channels], Fit: FitTrim}
		d, err := p.Decoder()
		if err != nil {
			t.Fatal(err)
		}
		var first []float32
		for _, c := range []struct {
			side  int
			at    image.Point
			scale int
		}{{100, image.Pt(40, 33), 2}, {100, image.Pt(2, 50), 2}, {110, image.Pt(3, 2), 4}, {28, image.Pt(9, 5), 1}} {
			f, err := d.Decode(pngOf(t, drawn(c.side, c.at, c.scale, red, white)))
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = f.Data
			}
			apart := 0.0
			for i, v := range f.Data {
				apart += math.Abs(float64(v-first[i])) / float64(len(first))
			}
			if apart > 0.02 {
				t.Errorf("%d channels, %+v: %g from the first", channels, c, apart)
			}
			at := func(x, y int) float32 { return f.Data[(y*28+x)*channels] }
			if at(0, 0) < 0.99 || at(27, 27) < 0.99 || at(14, 1) < 0.99 || at(27, 14) < 0.99 {
				t.Errorf("%d channels, %+v: the ground is not that of the picture", channels, c)
			}
			if at(8, 14) > 0.9 || at(14, 24) > 0.9 || at(20, 10) < 0.99 { // 24 pixels high, 14.4 wide
				t.Errorf("%d channels, %+v: the drawing is not where it belongs", channels, c)
			}
		}
	}
}

// TestIsDrawing: lines on a plain ground are a drawing, whatever the colours; a blank sheet, noise, light that falls off, and what the border
// cuts are not. Trimming refuses none of them.
func TestIsDrawing(t *testing.T) {
	black, white := color.Gray{0}, color.Gray{255}
	of := func(v func(x, y int) int) image.Image {
		img := image.NewGray(image.Rect(0, 0, 50, 40))
		for y := range 40 {
			for x := range 50 {
				img.SetGray(x, y, color.Gray{uint8(v(x, y))})
			}
		}
		return img
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for name, c := range map[string]struct {
		img  image.Image
		want bool
	}{
		"ink":   {drawn(100, image.Pt(40, 33), 2, black, white), true},
		"chalk": {drawn(100, image.Pt(40, 33), 2, white, color.RGBA{20, 60, 30, 255}), true},
		"cut":   {drawn(100, image.Pt(0, 33), 2, black, white), false},
		"blank": {of(func(x, y int) int { return 200 + (x+y)%8 }), false},
		"noise": {of(func(int, int) int { return rng.IntN(256) }), false},
		"light": {of(func(x, y int) int { return 255 - 5*max(x-25, 25-x, y-20, 20-y) }), false},
		"block": {of(func(x, y int) int { return 255 * min(1, min(x, y, 49-x, 39-y)/3) }), false},
	} {
		raw := pngOf(t, c.img)
		if got, err := IsDrawing(raw); err != nil || got != c.want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		p := Preprocessing{Modality: ModalityImage, Size: Size{20, 30, 1}, Mean: []float32{0}, Deviation: []float32{1}, Fit: FitTrim}
		d, err := p.Decoder()
		if err != nil {
			t.Fatal(err)
		}
		if f, err := d.Decode(raw); err != nil || len(f.Data) != 600 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := IsDrawing([]byte("no picture")); err == nil {
		t.Error("text is taken for a picture")
	}
}
