package train

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/akin-search/akin/encoder"
)

// TestCrop crops a picture whose channels are the place across and down, of any size: what is left is a straight part of it, from within
// it, of all the areas, aspects and places that are allowed.
func TestCrop(t *testing.T) {
	const limit = 0.75
	for _, size := range []encoder.Size{{Height: 24, Width: 24, Channels: 3}, {Height: 97, Width: 224, Channels: 3}} {
		h, w := size.Height, size.Width
		src, dst := make([]float32, h*w*3), make([]float32, h*w*3)
		for y := range h {
			for x := range w {
				src[(y*w+x)*3], src[(y*w+x)*3+1] = float32(x), float32(y)
			}
		}
		p := encoder.Preprocessing{Modality: encoder.ModalityImage, Size: size, Mean: []float32{0, 0, 0}, Deviation: []float32{1, 1, 1}}
		g := NewAugmenter(Augmentation{Crop: limit}, p).Around([]float32{-1e6, -1e6, -1e6})
		rng := rand.New(rand.NewPCG(1, 2))
		const draws = 400
		sum, left, smallest, largest, narrow, wide := 0.0, 0, 1.0, 0.0, 9.0, 0.0
		for range draws {
			g.Apply(dst, src, rng)
			at := func(x, y, c int) float64 { return float64(dst[(y*w+x)*3+c]) }
			across, down := (at(w-1, 0, 0)-at(0, 0, 0))/float64(w-1), (at(0, h-1, 1)-at(0, 0, 1))/float64(h-1)
			for _, pixel := range [][2]int{{0, 0}, {w - 1, h - 1}, {w / 2, h / 3}, {w / 5, h / 2}} {
				x, y := pixel[0], pixel[1]
				if dx, dy := at(x, y, 0)-at(0, 0, 0)-across*float64(x), at(x, y, 1)-at(0, 0, 1)-down*float64(y); math.Abs(dx)+math.Abs(dy) > 1e-2 {
					t.Fatalf("%+v: pixel %d,%d is %g,%g off", size, x, y, dx, dy)
				}
				if at(x, y, 0) < -1e-3 || at(x, y, 0) > float64(w-1)+1e-3 || at(x, y, 1) < -1e-3 || at(x, y, 1) > float64(h-1)+1e-3 {
					t.Fatalf("%+v: pixel %d,%d comes from %g,%g", size, x, y, at(x, y, 0), at(x, y, 1))
				}
			}
			area := across * down
			sum, smallest, largest = sum+area, min(smallest, area), max(largest, area)
			if area < 0.5 { // not cut to the picture
				narrow, wide = min(narrow, across/down), max(wide, across/down)
			}
			if across < 0.99 && at(0, 0, 0)/(1-across) < float64(w-1)/2 {
				left++
			}
		}
		if smallest < 1-limit-1e-3 || smallest > 0.3 || largest < 0.9 || largest > 1.001 {
			t.Errorf("%+v: areas of %.3f to %.3f, want %.3f to 1", size, smallest, largest, 1-limit)
		}
		if mean := sum / draws; mean < 0.55 || mean > 0.65 { // (1+0.25)/2, less what is cut where an aspect does not fit
			t.Errorf("%+v: a mean area of %.3f", size, mean)
		}
		if narrow < 0.74 || narrow > 0.8 || wide > 1.35 || wide < 1.25 {
			t.Errorf("%+v: aspects of %.3f to %.3f, want 3/4 to 4/3", size, narrow, wide)
		}
		if left < draws*2/5 || left > draws*3/5 {
			t.Errorf("%+v: %d of %d are of the left half", size, left, draws)
		}
	}
}

// TestCropWithAll: a crop goes with the other parts that warp, and stays finite.
func TestCropWithAll(t *testing.T) {
	a := Digits()
	a.Crop, a.Flip, a.Erase = 0.5, 0.5, 0.3
	if err := a.Validate(); err != nil {
		t.Fatal(err)
	}
	if (Augmentation{Crop: 0.1}).IsZero() || (Augmentation{Crop: 0.96}).Validate() == nil {
		t.Error("a crop is nothing, or as large as one likes")
	}
	src := make([]float32, 13*9)
	for i := range src {
		src[i] = float32(i % 7)
	}
	for seed := range uint64(50) {
		for i, v := range applied(a, src, 13, 9, 1, seed) {
			if math.IsNaN(float64(v)) || v < -7 || v > 7 {
				t.Fatalf("seed %d: value %d is %g", seed, i, v)
			}
		}
	}
}
