package encoder

import (
	"bytes"
	"image"
	"image/png"
	"math"
	"slices"
	"testing"
)

// TestLayout: the cells are means of the picture's own pixels, and the distance is that from the nearest known picture, in deviations.
func TestLayout(t *testing.T) {
	const w, h = 61, 50
	s, err := NewSurface(greyPNG(t, w, h, 4), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	const border = PatchContext / 2
	got, light := s.Layout(), s.levels[0]
	for i, v := range got {
		var sum, n float64
		for y := range h {
			for x := range w {
				if inCell := func(at, cell, side int) bool { return at >= cell*side/8 && at < (cell+1)*side/8 }; inCell(y, i/8, h) && inCell(x, i%8, w) {
					sum += float64(light.v[(y+border)*light.width+x+border])
					n++
				}
			}
		}
		if math.Abs(float64(v)-sum/n) > 1e-3 {
			t.Fatalf("cell %d: %g, want %g", i, v, sum/n)
		}
	}
	l := testPatches(t).Layout
	even := make([]float32, LayoutCells)
	copy(even, l.Mean)
	if d := l.Distance(even); d != math.Log(leastDistance) {
		t.Errorf("of one that is known: %g", d)
	}
	for i := range even {
		even[i] += 240 // twelve deviations, and two from the other
	}
	if d := l.Distance(even); math.Abs(d-math.Log(2)) > 1e-4 {
		t.Errorf("two deviations away: %g, want %g", d, math.Log(2))
	}
	copy(even, l.Mean)
	for i := range even {
		even[i] -= 60 // three deviations
	}
	if d := l.Distance(even); math.Abs(d-math.Log(3)) > 1e-4 {
		t.Errorf("three deviations away: %g, want %g", d, math.Log(3))
	}
}

// TestUsualLayoutExcusesNothing: a picture whose layout is exactly that of a known one is not more normal for it than one that is a little off.
func TestUsualLayoutExcusesNothing(t *testing.T) {
	g := image.NewGray(image.Rect(0, 0, 40, 40))
	copy(g.Pix, slices.Repeat([]uint8{110}, len(g.Pix)))
	var b bytes.Buffer
	if err := png.Encode(&b, g); err != nil {
		t.Fatal(err)
	}
	m := modelWithPatches(t)
	e, err := NewEncoder(m, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	h, err := e.Heat(t.Context(), b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if h.Whole != -2 || h.Score != h.Local-2 {
		t.Errorf("score %g of %g in places and %g as a whole, want -2", h.Score, h.Local, h.Whole)
	}
	if raw := m.Patches.Local.Middle + h.Local*m.Patches.Local.Spread; math.Abs(raw-hotness(h.Values)) > 1e-9 {
		t.Errorf("%g in places, which is %g, not %g", h.Local, raw, hotness(h.Values))
	}
}
