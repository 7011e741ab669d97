package encoder

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/png"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// greyPNG is a picture of random light.
func greyPNG(t testing.TB, w, h int, seed uint64) []byte {
	rng := rand.New(rand.NewPCG(seed, 1))
	g := image.NewGray(image.Rect(0, 0, w, h))
	for i := range g.Pix {
		g.Pix[i] = uint8(60 + rng.IntN(100))
	}
	var b bytes.Buffer
	if err := png.Encode(&b, g); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestPatchEqualsContext: what a patch of the grid shows is what PatchOf makes of its context, everywhere, up to the rounding of light that is
// halved in another order.
func TestPatchEqualsContext(t *testing.T) {
	for _, size := range [][2]int{{32, 32}, {33, 70}, {101, 45}, {128, 128}, {20, 50}} {
		s, err := NewSurface(greyPNG(t, size[0], size[1], 3), 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		got, want, context := make([]float32, PatchSide*PatchSide*PatchScales), make([]float32, PatchSide*PatchSide*PatchScales), make([]float32, PatchContext*PatchContext)
		for _, y := range patchGrid(s.Height) {
			for _, x := range patchGrid(s.Width) {
				s.patch(got, x, y)
				s.Context(context, x, y)
				PatchOf(want, context)
				for i := range got {
					if got[i] != want[i] {
						t.Fatalf("picture of %v, patch at %d, %d: value %d is %g, of its context %g", size, x, y, i, got[i], want[i])
					}
				}
			}
		}
	}
}

// TestSurfaceOfAnyExposure: a picture taken with half the light shows the same, one that is all but black is not made light, and no light is changed where
// none is asked for.
func TestSurfaceOfAnyExposure(t *testing.T) {
	const w, h = 50, 40
	rng := rand.New(rand.NewPCG(9, 1))
	whole, half, dark := image.NewGray(image.Rect(0, 0, w, h)), image.NewGray(image.Rect(0, 0, w, h)), image.NewGray(image.Rect(0, 0, w, h))
	star := image.NewGray(image.Rect(0, 0, w, h))
	star.Pix[w/2] = 255
	for i := range whole.Pix {
		half.Pix[i] = uint8(20 + rng.IntN(80))
		whole.Pix[i], dark.Pix[i] = 2*half.Pix[i], uint8(rng.IntN(3))
	}
	surface := func(img image.Image, light float64) *Surface {
		var b bytes.Buffer
		if err := png.Encode(&b, img); err != nil {
			t.Fatal(err)
		}
		s, err := NewSurface(b.Bytes(), 1, light)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a, b := surface(whole, 90), surface(half, 90)
	seen := func(light float64) float64 { return 127.5 + 60*math.Log((light+9)/99) } // 90 is in the middle
	for y := range h {
		for x := range w {
			at := (y+PatchContext/2)*a.levels[0].width + x + PatchContext/2
			if v, u := a.levels[0].v[at], b.levels[0].v[at]; math.Abs(float64(v-u)) > 1e-3 {
				t.Fatalf("at %d, %d: %g, with half the light %g", x, y, v, u)
			}
			if want := seen(float64(half.Pix[y*half.Stride+x]) * 90 / b.Light); math.Abs(float64(a.levels[0].v[at])-want) > 1e-3 {
				t.Fatalf("at %d, %d: %g, want %g", x, y, a.levels[0].v[at], want)
			}
		}
	}
	if s := surface(dark, 90); math.Abs(float64(slices.Max(s.levels[0].v))-seen(2*mostExposure)) > 1e-3 {
		t.Errorf("a dark picture is made as light as %g, want %g", slices.Max(s.levels[0].v), seen(2*mostExposure))
	}
	if s := surface(star, 2); slices.Min(s.levels[0].v) != 0 || slices.Max(s.levels[0].v) != 255 {
		t.Errorf("one white pixel in black: values of %g to %g, want 0 to 255", slices.Min(s.levels[0].v), slices.Max(s.levels[0].v))
	}
	if s := surface(half, 0); s.levels[0].v[PatchContext/2*s.levels[0].width+PatchContext/2] != float32(half.Pix[0]) {
		t.Error("light that is left as it is is changed")
	}
	if _, err := NewSurface(greyPNG(t, 40, 40, 1), 1, 256); !errors.Is(err, ErrSpec) {
		t.Errorf("light 256: %v", err)
	}
}

// TestPatchOf compares with means of blocks.
func TestPatchOf(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	context := make([]float32, PatchContext*PatchContext)
	var sum float64
	for i := range context {
		context[i] = float32(90 + rng.IntN(60))
		sum += float64(context[i])
	}
	mean := sum / float64(len(context))
	got := make([]float32, PatchSide*PatchSide*PatchScales)
	PatchOf(got, context)
	for s := range PatchScales {
		block, origin := 1<<s, PatchContext/2-(PatchSide/2)<<s
		for y := range PatchSide {
			for x := range PatchSide {
				var want float64
				for v := range block {
					for u := range block {
						want += float64(context[(origin+y*block+v)*PatchContext+origin+x*block+u])
					}
				}
				want = want/float64(block*block) - mean + 127.5
				if v := float64(got[(y*PatchSide+x)*PatchScales+s]); math.Abs(v-want) > 0.502 || v != math.Round(v) {
					t.Fatalf("scale %d at %d, %d: %g, want %g rounded", s, x, y, v, want)
				}
			}
		}
	}
}

func testPatches(t testing.TB) *Patches {
	p := &Patches{Scale: 1, Light: 110, Calibration: []float64{-0.5, 0, 0.2}, Direction: make([]float32, 8)}
	p.Direction[3] = 1
	p.Local, p.Whole, p.Layout = Usual{-1, 0.5}, Usual{0, 0.2}, Layout{make([]float32, LayoutCells), make([]float32, LayoutCells*(LayoutCells+1)/2), [][]float32{make([]float32, LayoutCells), slices.Repeat([]float32{10}, LayoutCells)}}
	for i, at := 0, -1; i < LayoutCells; i++ { // a deviation of 20 about a mean light
		at += i + 1
		p.Layout.Mean[i], p.Layout.Inverse[at] = patchMiddle, 0.05
	}
	p.Network = Default(Size{PatchSide, PatchSide, PatchScales}, 8)
	p.Preprocessing = Preprocessing{Modality: ModalityImage, Size: p.Network.Input, Mean: []float32{0.5, 0.5, 0.5}, Deviation: []float32{0.1, 0.1, 0.1}}
	var err error
	if p.Weights, err = p.Network.Initialize(rand.New(rand.NewPCG(1, 2))); err != nil {
		t.Fatal(err)
	}
	return p
}

func modelWithPatches(t testing.TB) *Model {
	m := &Model{Network: Default(Size{28, 28, 1}, 4), Patches: testPatches(t)}
	m.Preprocessing = Preprocessing{Modality: ModalityImage, Size: m.Network.Input, Mean: []float32{0}, Deviation: []float32{1}}
	var err error
	if m.Weights, err = m.Network.Initialize(rand.New(rand.NewPCG(3, 4))); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestPatchesSurviveTheFile: a model read back gives the same heat, whatever the threads, and a model without patches says so.
func TestPatchesSurviveTheFile(t *testing.T) {
	m := modelWithPatches(t)
	b, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var back Model
	if err := back.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	raw := greyPNG(t, 90, 61, 7)
	var heats [2]*Heat
	for i, m := range []*Model{m, &back} {
		e, err := NewEncoder(m, "", 1+i)
		if err != nil {
			t.Fatal(err)
		}
		if heats[i], err = e.Heat(context.Background(), raw); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Heat(context.Background(), []byte("no picture")); !errors.Is(err, ErrInput) {
			t.Fatalf("heat of no picture: %v", err)
		}
	}
	if heats[0].Score != heats[1].Score || len(heats[0].Values) != len(heats[0].Xs)*len(heats[0].Ys) {
		t.Fatalf("scores %g and %g, %d values", heats[0].Score, heats[1].Score, len(heats[0].Values))
	}
	for i, v := range heats[0].Values {
		if v != heats[1].Values[i] {
			t.Fatalf("patch %d: %g and %g", i, v, heats[1].Values[i])
		}
	}
	m.Patches = nil
	e, err := NewEncoder(m, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Heat(context.Background(), raw); !errors.Is(err, ErrSpec) {
		t.Fatalf("heat without patches: %v", err)
	}
}

// TestPatchesValidate: every part that does not fit is refused.
func TestPatchesValidate(t *testing.T) {
	for name, spoil := range map[string]func(*Patches){
		"scale 0":     func(p *Patches) { p.Scale = 0 },
		"scale NaN":   func(p *Patches) { p.Scale = math.NaN() },
		"no light":    func(p *Patches) { p.Light = 0 },
		"direction":   func(p *Patches) { p.Direction[0] = 1 },
		"short":       func(p *Patches) { p.Direction = p.Direction[:7] },
		"calibration": func(p *Patches) { p.Calibration[1] = math.NaN() },
		"no spread":   func(p *Patches) { p.Whole.Spread = 1e-320 },
		"no local":    func(p *Patches) { p.Local = Usual{} },
		"whole":       func(p *Patches) { p.Whole.Middle = math.Inf(1) },
		"no layout":   func(p *Patches) { p.Layout = Layout{} },
		"layout":      func(p *Patches) { p.Layout.Inverse[5] = float32(math.NaN()) },
		"no known":    func(p *Patches) { p.Layout.Known = nil },
		"short known": func(p *Patches) { p.Layout.Known[0] = p.Layout.Known[0][1:] },
		"odd known":   func(p *Patches) { p.Layout.Known[1][3] = float32(math.Inf(1)) },
		"weights":     func(p *Patches) { p.Weights = p.Weights[1:] },
		"size": func(p *Patches) {
			p.Network = Default(Size{28, 28, 3}, 8)
			p.Preprocessing.Size = p.Network.Input
			p.Weights, _ = p.Network.Initialize(rand.New(rand.NewPCG(1, 2)))
		},
	} {
		m := modelWithPatches(t)
		spoil(m.Patches)
		if _, err := m.MarshalBinary(); !errors.Is(err, ErrSpec) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := NewSurface(greyPNG(t, 40, 40, 1), 1.5, 0); !errors.Is(err, ErrSpec) {
		t.Errorf("scale 1.5: %v", err)
	}
}

// TestHeatOfAPicture: rows are exact at the middles, bilinear between, constant beyond; the box is around what is hot.
func TestHeatOfAPicture(t *testing.T) {
	h := &Heat{Size: Size{Height: 40, Width: 24}, seen: Size{Height: 40, Width: 24}, half: 4, Xs: []int{4, 12, 20}, Ys: []int{4, 12, 20, 28, 36}}
	h.Values = []float32{
		-1, -1, -1,
		-1, -1, -1,
		-1, 0.5, 1,
		-1, -1, -1,
		-1, 0.9, -1,
	}
	var rows [][]float32
	h.Rows(func(_ int, row []float32) { rows = append(rows, append([]float32(nil), row...)) })
	for _, c := range []struct {
		x, y int
		want float32
	}{{4, 4, -1}, {12, 20, 0.5}, {20, 20, 1}, {23, 20, 1}, {16, 20, 0.75}, {20, 16, 0}, {12, 39, 0.9}} {
		if got := rows[c.y][c.x]; math.Abs(float64(got-c.want)) > 1e-6 {
			t.Errorf("heat at %d, %d is %g, want %g", c.x, c.y, got, c.want)
		}
	}
	if got, want := h.Worst(), image.Rect(8, 16, 24, 24); got != want {
		t.Errorf("worst at %v, want %v", got, want)
	}
	b, err := h.PNG()
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil || img.Bounds() != image.Rect(0, 0, 24, 40) {
		t.Fatalf("%v, %v", img.Bounds(), err)
	}
	if g := img.(*image.Gray); g.GrayAt(20, 20).Y != 255 || g.GrayAt(0, 0).Y != 0 {
		t.Errorf("white is %d, black %d", g.GrayAt(20, 20).Y, g.GrayAt(0, 0).Y)
	}
}

// TestHotness: it lies between what the mean and the highest tell, and a few hot places move it more than many lukewarm ones.
func TestHotness(t *testing.T) {
	values := make([]float32, 100)
	if got := hotness(values); got != 0 {
		t.Errorf("of nothing: %g", got)
	}
	for i := range values {
		values[i] = 0.05
	}
	even := hotness(values)
	clear(values)
	for i := range 5 {
		values[i] = 1
	}
	if few := hotness(values); math.Abs(few-math.Log(0.95+0.05*math.Exp(4))) > 1e-6 || few < even || few > 4 {
		t.Errorf("five hot places of a hundred: %g, all lukewarm: %g", few, even)
	}
}

// TestSmoothed compares with a naive sum in two dimensions.
func TestSmoothed(t *testing.T) {
	const w, h = 7, 4
	rng := rand.New(rand.NewPCG(2, 2))
	v := make([]float32, w*h)
	for i := range v {
		v[i] = rng.Float32()
	}
	weights := []float64{1, 4, 6, 4, 1}
	for i, got := range smoothed(v, w) {
		var want float64
		for dy := -2; dy <= 2; dy++ {
			for dx := -2; dx <= 2; dx++ {
				y, x := min(max(i/w+dy, 0), h-1), min(max(i%w+dx, 0), w-1)
				want += weights[dy+2] * weights[dx+2] / 256 * float64(v[y*w+x])
			}
		}
		if math.Abs(float64(got)-want) > 1e-6 {
			t.Fatalf("place %d: %g, want %g", i, got, want)
		}
	}
}

// TestMirrorPatch compares every value with that of the mirrored place.
func TestMirrorPatch(t *testing.T) {
	p, was := make([]float32, PatchSide*PatchSide*PatchScales), make([]float32, PatchSide*PatchSide*PatchScales)
	for i := range p {
		p[i], was[i] = float32(i), float32(i)
	}
	mirrorPatch(p)
	for y := range PatchSide {
		for x := range PatchSide {
			for c := range PatchScales {
				if got, want := p[(y*PatchSide+x)*PatchScales+c], was[(y*PatchSide+PatchSide-1-x)*PatchScales+c]; got != want {
					t.Fatalf("row %d, pixel %d, channel %d: %g, want %g", y, x, c, got, want)
				}
			}
		}
	}
}
