package train

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/akin-search/akin/encoder"
)

// strokes is a picture as handwriting is: bright lines on black, off the middle.
func strokes(h, w, c int, seed uint64) []float32 {
	rng := rand.New(rand.NewPCG(seed, 4))
	img := make([]float32, h*w*c)
	for range 4 {
		x, y := float64(w)*(0.2+0.6*rng.Float64()), float64(h)*(0.2+0.6*rng.Float64())
		sin, cos := math.Sincos(2 * math.Pi * rng.Float64())
		for t := range 2 * max(h, w) {
			px, py := int(x+cos*float64(t)/8), int(y+sin*float64(t)/8)
			if px < 0 || py < 0 || px >= w-1 || py >= h-1 {
				break
			}
			for ch := range c {
				for _, at := range []int{py*w + px, py*w + px + 1, (py+1)*w + px} {
					img[at*c+ch] = 0.9
				}
			}
		}
	}
	return img
}

func corrupter(t *testing.T, k Corruption, severity, h, w, c int, seed uint64) *Corrupter {
	t.Helper()
	g, err := NewCorrupter(k, severity, encoder.Size{Height: h, Width: w, Channels: c}, seed)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestCorruptionsGrowWithSeverity: the mean squared difference from the clean pictures, over 60 of them, grows from each severity to the
// next, at every size.
func TestCorruptionsGrowWithSeverity(t *testing.T) {
	for _, s := range [][3]int{{28, 28, 1}, {64, 48, 3}} {
		h, w, c := s[0], s[1], s[2]
		dst := make([]float32, h*w*c)
		for _, k := range Corruptions() {
			last := 0.0
			for severity := MinSeverity; severity <= MaxSeverity; severity++ {
				g := corrupter(t, k, severity, h, w, c, 1)
				sum := 0.0
				for item := range 60 {
					src := strokes(h, w, c, uint64(item))
					g.Apply(dst, src, item)
					for i, v := range dst {
						if !(v >= 0 && v <= 1) { // also catches NaN
							t.Fatalf("%v at %d, %v: value %d is %v", k, severity, s, i, v)
						}
						sum += float64(v-src[i]) * float64(v-src[i])
					}
				}
				if mean := sum / float64(60*len(dst)); mean < last+1e-4 {
					t.Errorf("%v, %v: mean squared difference %.5f at severity %d, %.5f at the one below", k, s, mean, severity, last)
				} else {
					last = mean
				}
			}
		}
	}
}

// TestCorrupterDependsOnItsKeyAlone: not on what was corrupted before, and on every part of the key.
func TestCorrupterDependsOnItsKeyAlone(t *testing.T) {
	const h, w, c = 20, 24, 3
	src := strokes(h, w, c, 1)
	once := func(k Corruption, severity, item int, seed uint64) []float32 {
		dst := make([]float32, len(src))
		corrupter(t, k, severity, h, w, c, seed).Apply(dst, src, item)
		return dst
	}
	for _, k := range Corruptions() {
		want := once(k, 3, 7, 5)
		g := corrupter(t, k, 3, h, w, c, 5)
		got := make([]float32, len(src))
		for _, item := range []int{1, 9, 7} {
			g.Apply(got, src, item)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v of item 7 depends on what came before", k)
		}
		switch k {
		case CorruptContrast, CorruptDefocus, CorruptPixelate, CorruptBrightness: // nothing is drawn
			continue
		}
		others := 0
		for item := range 5 { // two turns may go to the same side
			if !slices.Equal(once(k, 3, 100+item, 5), want) {
				others++
			}
			if !slices.Equal(once(k, 3, 7, 50+uint64(item)), want) {
				others++
			}
		}
		if others < 2 {
			t.Errorf("%v: other items and seeds look the same", k)
		}
	}
}

// TestCorruptionsByHand: pictures whose corrupted values can be worked out.
func TestCorruptionsByHand(t *testing.T) {
	apply := func(k Corruption, severity, h, w int, src []float32) []float32 {
		dst := make([]float32, len(src))
		corrupter(t, k, severity, h, w, 1, 2).Apply(dst, src, 3)
		return dst
	}
	close := func(name string, got, want []float32) {
		for i := range want {
			if math.Abs(float64(got[i]-want[i])) > 1e-5 {
				t.Errorf("%s: got %v, want %v", name, got, want)
				return
			}
		}
	}
	close("contrast 0.3", apply(CorruptContrast, 3, 1, 4, []float32{0, 0, 1, 1}), []float32{0.35, 0.35, 0.65, 0.65})
	close("brightness 0.3", apply(CorruptBrightness, 3, 1, 3, []float32{0, 0.5, 0.9}), []float32{0.3, 0.8, 1})

	flat := shade(0.5, 30*30)
	for _, k := range []Corruption{CorruptDefocus, CorruptMotion, CorruptPixelate, CorruptContrast} {
		close(k.String()+" of a flat picture", apply(k, 5, 30, 30, flat), flat)
	}
	// The square covers a quarter at severity 3, in one colour.
	covered := 0
	for _, v := range apply(CorruptOcclusion, 3, 40, 40, shade(2, 1600)) {
		if v != 2 {
			covered++
		}
	}
	if covered != 400 {
		t.Errorf("occlusion covers %d of 1600 pixels, want 400", covered)
	}
	// Blocks of a quarter of 8 pixels: each is the mean of its four.
	src := make([]float32, 64)
	src[0], src[1], src[63] = 1, 0.6, 0.8
	want := make([]float32, 64)
	for _, at := range []int{0, 1, 8, 9} {
		want[at] = 0.4
	}
	for _, at := range []int{54, 55, 62, 63} {
		want[at] = 0.2
	}
	close("pixelate", apply(CorruptPixelate, 5, 8, 8, src), want)
	// A point's light moves by 0.2·20 = 4 pixels, and is spread by blurs as far as they reach, none of it lost.
	for k, far := range map[Corruption]float64{CorruptShift: 4, CorruptDefocus: 2.2, CorruptMotion: 3.5} {
		point := make([]float32, 20*20)
		point[10*20+10] = 1
		light, moved, reach := 0.0, [2]float64{}, 0.0
		for i, v := range apply(k, 5, 20, 20, point) {
			dx, dy := float64(i%20-10), float64(i/20-10)
			light += float64(v)
			moved[0] += float64(v) * dx
			moved[1] += float64(v) * dy
			if v > 1e-6 {
				reach = max(reach, math.Hypot(dx, dy))
			}
		}
		if math.Abs(light-1) > 1e-4 || reach > far+1.5 || reach < far-0.5 {
			t.Errorf("%v: light %v, up to %.2f pixels away, want 1, about %v", k, light, reach, far)
		}
		if d := math.Hypot(moved[0], moved[1]); k == CorruptShift && math.Abs(d-4) > 1e-3 || k != CorruptShift && d > 1e-3 {
			t.Errorf("%v: the light's middle moved by %v pixels", k, d)
		}
	}
	// The noises have the deviation that their amounts say.
	for k, deviation := range map[Corruption]float64{CorruptGaussianNoise: 0.1, CorruptShotNoise: math.Sqrt(0.5 / 60), CorruptImpulseNoise: 0.5 * math.Sqrt(0.04)} {
		sum, src := 0.0, shade(0.5, 100*100)
		for _, v := range apply(k, 1, 100, 100, src) {
			sum += float64(v-0.5) * float64(v-0.5)
		}
		if got := math.Sqrt(sum / 1e4); math.Abs(got-deviation) > 0.06*deviation {
			t.Errorf("%v: deviation %.4f, want %.4f", k, got, deviation)
		}
	}
}

func TestCorruptionNamesAndLimits(t *testing.T) {
	heldOut := 0
	for _, k := range Corruptions() {
		if got, err := ParseCorruption(k.String()); err != nil || got != k {
			t.Errorf("%v is parsed as %v, %v", k, got, err)
		}
		if k.HeldOut() {
			heldOut++
		}
	}
	if len(Corruptions()) != 12 || heldOut != 5 {
		t.Errorf("%d corruptions, %d of them held out", len(Corruptions()), heldOut)
	}
	if _, err := ParseCorruption("fog"); !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), `no corruption "fog"; they are gaussian-noise, `) {
		t.Error(err)
	}
	size := encoder.Size{Height: 4, Width: 4, Channels: 1}
	for want, c := range map[string]struct {
		kind     Corruption
		severity int
	}{
		"shift at severity 0: it must be 1 to 5": {CorruptShift, 0}, "shift at severity 6": {CorruptShift, 6}, "corruption 99: there are 0 to 11": {99, 1}, "corruption -1": {-1, 1},
	} {
		if _, err := NewCorrupter(c.kind, c.severity, size, 1); !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if got := Corruption(77).String(); got != "Corruption(77)" {
		t.Error(got)
	}
}
