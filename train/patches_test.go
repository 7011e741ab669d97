package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/akin-search/akin/encoder"
)

// surfacePicture is a brushed surface, with a dark spot where radius is above 0.
func surfacePicture(t testing.TB, w, h int, radius float64, seed uint64) []byte {
	rng := rand.New(rand.NewPCG(seed, 8))
	g := image.NewGray(image.Rect(0, 0, w, h))
	cx, cy := float64(w)*(0.3+0.4*rng.Float64()), float64(h)*(0.3+0.4*rng.Float64())
	for x := range w {
		stripe := 6 * rng.NormFloat64()
		for y := range h {
			v := 110 + stripe + 4*rng.NormFloat64()
			if math.Hypot(float64(x)-cx, float64(y)-cy) < radius {
				v -= 45
			}
			g.Pix[y*g.Stride+x] = uint8(min(max(v, 0), 255))
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, g); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func surfacePictures(t testing.TB, n int) Dataset {
	d := Dataset{Classes: []string{"good"}}
	for i := range n {
		d.IDs, d.Raw, d.Labels = append(d.IDs, fmt.Sprintf("%d.png", i)), append(d.Raw, surfacePicture(t, 60+i%9, 80-i%7, 0, uint64(i))), append(d.Labels, 0)
	}
	return d
}

// TestPatchesFindSpots: taught by good pictures alone, patches tell pictures with a spot that they never saw, and show where it is; what is no such surface, or is
// shaded as a whole, is odder than all that calibrates. The same seed gives the same, whatever the threads.
func TestPatchesFindSpots(t *testing.T) {
	if raceDetector {
		t.Skip("a training: too slow under the race detector")
	}
	good := surfacePictures(t, 40)
	tiny := patchPlan{lessons: 300, epochs: 1}
	if fit, again := fewLessons(t, good, tiny, 1), fewLessons(t, good, tiny, 2); !slices.Equal(fit.Direction, again.Direction) || !slices.Equal(fit.Calibration, again.Calibration) {
		t.Error("two threads give other patches than one")
	}
	fit := fewLessons(t, good, patchPlan{lessons: 2000, epochs: 3}, 0)
	if len(fit.Calibration) != 10 || !slices.IsSorted(fit.Calibration) {
		t.Fatalf("calibration %v, want ten scores in order", fit.Calibration)
	}
	e, err := encoder.NewEncoder(withPatches(t, fit), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	var scores [2][]float64
	for i := range 12 {
		for k, radius := range []float64{0, 5} {
			h, err := e.Heat(t.Context(), surfacePicture(t, 70, 66, radius, 1000+uint64(i)))
			if err != nil {
				t.Fatal(err)
			}
			scores[k] = append(scores[k], h.Score)
		}
	}
	if a, err := AUROC(scores[0], scores[1]); err != nil || a < 0.9 {
		t.Errorf("AUROC of spots %.3f, %v: want 0.9", a, err)
	}
	most := fit.Calibration[len(fit.Calibration)-1]
	for name, raw := range otherPictures(t) {
		h, err := e.Heat(t.Context(), raw)
		if err != nil {
			t.Fatal(err)
		}
		if h.Score <= most {
			t.Errorf("%s: score %.2f (%.2f in places, %.2f as a whole), the calibration's highest is %.2f", name, h.Score, h.Local, h.Whole, most)
		}
		if name == "shaded" && h.Whole < 4 {
			t.Errorf("shaded: the layout is %.1f spreads from what is usual", h.Whole)
		}
	}
}

// otherPictures are no normal surfacePictures, though none has a small defect.
func otherPictures(t *testing.T) map[string][]byte {
	draw := func(light func(x, y int) float64) []byte {
		g := image.NewGray(image.Rect(0, 0, 70, 66))
		for i := range g.Pix {
			g.Pix[i] = uint8(min(max(light(i%70, i/70), 0), 255))
		}
		var b bytes.Buffer
		if err := png.Encode(&b, g); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	rng := rand.New(rand.NewPCG(5, 5))
	normal, err := png.Decode(bytes.NewReader(surfacePicture(t, 70, 66, 0, 999)))
	if err != nil {
		t.Fatal(err)
	}
	pix := normal.(*image.Gray).Pix
	return map[string][]byte{
		"shaded": draw(func(x, y int) float64 { return float64(pix[y*70+x]) * (0.75 + 0.5*float64(x)/70) }),
		"noise":  draw(func(int, int) float64 { return 110 + 50*rng.NormFloat64() }),
		"blank":  draw(func(int, int) float64 { return 110 }),
		"another part": draw(func(x, y int) float64 {
			if math.Hypot(float64(x)-35, float64(y)-33) < 22 {
				return 30
			}
			return 180
		}),
	}
}

// TestLessonsInPairs: a defect is made up where a normal lesson is of, so that far from it nothing but the mean light changes.
func TestLessonsInPairs(t *testing.T) {
	s, err := encoder.NewSurface(surfacePicture(t, 200, 180, 0, 5), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	d, err := lessons(t.Context(), []*encoder.Surface{s}, 61, 4, 2)
	if err != nil || d.Len() < 50 || d.Len() > 61 {
		t.Fatalf("%d lessons, %v", d.Len(), err)
	}
	pixels := func(i int) []uint8 {
		px, _, err := encoder.DecodePixels(d.Raw[i], 3, func(s encoder.Size) encoder.Size { return s })
		if err != nil || px.Size != (encoder.Size{Height: encoder.PatchSide, Width: encoder.PatchSide, Channels: encoder.PatchScales}) {
			t.Fatalf("lesson %d: %+v, %v", i, px.Size, err)
		}
		return px.Pix
	}
	spots := 0
	for i := range d.Len() {
		id, err := strconv.Atoi(d.IDs[i])
		if err != nil || d.Labels[i] != id%2 {
			t.Fatalf("lesson %s has label %d, %v", d.IDs[i], d.Labels[i], err)
		}
		if id%2 == 0 || defect(id/2%int(defectKinds)) != blob {
			continue
		}
		spots++
		was, is, same := pixels(i-1), pixels(i), map[int]int{}
		for j := range was {
			same[int(is[j])-int(was[j])]++
		}
		most := 0
		for _, n := range same {
			most = max(most, n)
		}
		if most < len(was)/3 || most == len(was) {
			t.Errorf("lesson %d: %d of %d values changed alike", id, most, len(was))
		}
	}
	if spots == 0 {
		t.Error("no spot was made up")
	}
}

// fewLessons is Patches with less training; the last ten pictures calibrate.
func fewLessons(t *testing.T, d Dataset, plan patchPlan, threads int) *encoder.Patches {
	t.Helper()
	items := make([]int, d.Len())
	for i := range items {
		items[i] = i
	}
	p, err := patchesOf(t.Context(), d.Subset(items[:len(items)-10]), d.Subset(items[len(items)-10:]), plan, Options{Seed: 3, Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func withPatches(t *testing.T, p *encoder.Patches) *encoder.Model {
	t.Helper()
	m := &encoder.Model{Network: encoder.Default(encoder.Size{Height: 28, Width: 28, Channels: 1}, 4), Patches: p}
	m.Preprocessing = encoder.Preprocessing{Modality: encoder.ModalityImage, Size: m.Network.Input, Mean: []float32{0}, Deviation: []float32{1}}
	var err error
	if m.Weights, err = m.Network.Initialize(rand.New(rand.NewPCG(3, 4))); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestPatchesRefuse: too few pictures, no pictures, and a cancelled context.
func TestPatchesRefuse(t *testing.T) {
	good := surfacePictures(t, 9)
	if _, err := Patches(t.Context(), good.Subset([]int{0, 1, 2}), Dataset{}, Options{}); !errors.Is(err, ErrDataset) {
		t.Errorf("three pictures: %v", err)
	}
	if _, err := Patches(t.Context(), Dataset{IDs: []string{"a"}, Raw: [][]byte{[]byte("no picture")}, Labels: []int{Unlabelled}}, Dataset{}, Options{}); !errors.Is(err, ErrDataset) {
		t.Errorf("no picture: %v", err)
	}
	table := Dataset{IDs: []string{"1"}, Raw: [][]byte{[]byte(`{"a":1}`)}, Labels: []int{Unlabelled}}
	for name, c := range map[string]struct {
		data     Dataset
		modality string
		want     error
	}{
		"pictures": {good, "", nil}, "three pictures": {good.Subset([]int{0, 1, 2}), "", ErrDataset}, "a table": {table, "", ErrOptions},
		"a table, taken for pictures": {table, encoder.ModalityImage, ErrDataset}, "pictures, taken for sounds": {good, encoder.ModalityAudio, ErrOptions},
	} {
		if err := CheckPatches(c.data, c.modality); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("stopped")
	cancel(cause)
	if _, err := Patches(ctx, good, Dataset{}, Options{}); !errors.Is(err, cause) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestMadeUpDefects: every kind changes the middle of most surfaces so that it shows, and leaves light between 0 and 255.
func TestMadeUpDefects(t *testing.T) {
	s, err := encoder.NewSurface(surfacePicture(t, 200, 180, 0, 5), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	rng, b := rand.New(rand.NewPCG(1, 9)), newWorkbench()
	noise := roughness([]*encoder.Surface{s})
	for kind := range defectKinds {
		made := 0
		for range 40 {
			somewhere(b.here, s, rng)
			if !b.makeUp(s, []*encoder.Surface{s}, kind, noise, rng) {
				continue
			}
			made++
			for i, v := range b.spoiled {
				if !(v >= 0 && v <= 255) {
					t.Fatalf("kind %d: light %g at %d", kind, v, i)
				}
			}
			if !shows(b.spoiled, b.here, noise) || shows(b.here, b.here, noise) {
				t.Fatalf("kind %d does not show, or nothing does", kind)
			}
		}
		if made < 30 {
			t.Errorf("kind %d: %d defects of 40", kind, made)
		}
	}
}

// TestBlurred compares with the mean of a naive loop.
func TestBlurred(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	b := newWorkbench()
	p := b.spoiled
	for i := range p {
		p[i] = rng.Float32() * 255
	}
	got := b.blurred()
	for _, at := range [][2]int{{0, 0}, {1, 127}, {64, 64}, {127, 3}, {2, 2}} {
		var sum, n float64
		for y := max(0, at[0]-2); y < min(contextSide, at[0]+3); y++ {
			for x := max(0, at[1]-2); x < min(contextSide, at[1]+3); x++ {
				sum += float64(p[y*contextSide+x])
				n++
			}
		}
		if v := float64(got[at[0]*contextSide+at[1]]); math.Abs(v-sum/n) > 1e-3 {
			t.Errorf("at %v: %g, want %g", at, v, sum/n)
		}
	}
}
