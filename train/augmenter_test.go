package train

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/akin-search/akin/encoder"
)

// everything has every part on.
func everything() Augmentation {
	a := Digits()
	a.Crop, a.Flip, a.Blur, a.Saturation, a.Contrast, a.Brightness, a.Gamma, a.Noise, a.Erase = 0.3, 0.5, 0.1, 0.5, 0.5, 0.2, 0.5, 0.2, 0.5
	return a
}

// parts holds each part beside the warp alone.
func parts() map[string]Augmentation {
	return map[string]Augmentation{
		"crop": {Crop: 0.5}, "flip": {Flip: 1}, "blur": {Blur: 0.1}, "saturation": {Saturation: 1}, "contrast": {Contrast: 1}, "brightness": {Brightness: 0.5},
		"gamma": {Gamma: 1}, "noise": {Noise: 0.5}, "erase": {Erase: 1},
	}
}

// applied returns what a makes of src, in units of 0 to 1, with a seed.
func applied(a Augmentation, src []float32, h, w, c int, seed uint64) []float32 {
	dst := make([]float32, len(src))
	augmenter(a, h, w, c).Apply(dst, src, rand.New(rand.NewPCG(seed, 2)))
	return dst
}

// TestAugmenterPartsStayInRangeAndRepeat: each part changes a picture, the same way for the same seed, and stays within black and white.
func TestAugmenterPartsStayInRangeAndRepeat(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 1))
	all := parts()
	all["everything"] = everything()
	for name, a := range all {
		if err := a.Validate(); err != nil || a.IsZero() {
			t.Errorf("%s: zero %v, %v", name, a.IsZero(), err)
		}
		for _, s := range [][3]int{{28, 28, 1}, {5, 33, 3}, {2, 2, 1}, {1, 1, 3}, {96, 224, 3}} {
			src, changed := randomImage(rng, s[0]*s[1]*s[2]), false
			for seed := range uint64(20) {
				one := applied(a, src, s[0], s[1], s[2], seed)
				if !slices.Equal(one, applied(a, src, s[0], s[1], s[2], seed)) {
					t.Fatalf("%s: two runs differ", name)
				}
				changed = changed || !slices.Equal(one, src)
				for i, v := range one {
					if !(v >= 0 && v <= 1) { // also catches NaN
						t.Fatalf("%s, %v, seed %d: value %d is %v", name, s, seed, i, v)
					}
				}
			}
			if !changed && s[1] > 2 && (name != "saturation" || s[2] == 3) {
				t.Errorf("%s leaves a picture of %v as it is", name, s)
			}
		}
	}
}

// TestAugmenterIsTheSameInOtherUnits: on standardised features every part does what it does in units of 0 to 1.
func TestAugmenterIsTheSameInOtherUnits(t *testing.T) {
	const h, w = 12, 9
	p := encoder.Preprocessing{Size: encoder.Size{Height: h, Width: w, Channels: 3}, Mean: []float32{0.5, 0.1, 0.3}, Deviation: []float32{0.2, 0.5, 1.5}}
	src := randomImage(rand.New(rand.NewPCG(7, 1)), h*w*3)
	standard := slices.Clone(src)
	standardize(p, []encoder.Features{{Data: standard}})
	all := parts()
	all["everything"] = everything()
	for name, a := range all {
		for seed := range uint64(10) {
			want := applied(a, src, h, w, 3, seed)
			standardize(p, []encoder.Features{{Data: want}})
			got := make([]float32, len(src))
			NewAugmenter(a, p).Apply(got, standard, rand.New(rand.NewPCG(seed, 2)))
			for i := range got {
				if math.Abs(float64(got[i]-want[i])) > 1e-4 {
					t.Fatalf("%s, seed %d: value %d is %v, want %v", name, seed, i, got[i], want[i])
				}
			}
		}
	}
}

func TestFlipMirrors(t *testing.T) {
	got := applied(Augmentation{Flip: 1}, []float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 2, 3, 2, 1)
	if want := []float32{5, 6, 3, 4, 1, 2, 11, 12, 9, 10, 7, 8}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	turned, src := 0, []float32{0, 1}
	for seed := range uint64(1000) {
		if applied(Augmentation{Flip: 0.3}, src, 1, 2, 1, seed)[0] == 1 {
			turned++
		}
	}
	if turned < 250 || turned > 350 {
		t.Errorf("a chance of 0.3 mirrored %d of 1000", turned)
	}
}

// TestBlurAgainstTheFormula: the separable blur against the two-dimensional sum in float64.
func TestBlurAgainstTheFormula(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 1))
	for _, s := range [][3]int{{9, 14, 1}, {7, 5, 3}, {1, 3, 2}} {
		h, w, c := s[0], s[1], s[2]
		for _, sigma := range []float32{0, 0.4, 1.3} {
			src := randomImage(rng, h*w*c)
			got := slices.Clone(src)
			blur(got, make([]float32, len(src)), h, w, c, gaussianTaps(nil, sigma))
			reach := int(math.Ceil(3 * float64(sigma)))
			for i := range got {
				x, y, ch := i/c%w, i/c/w, i%c
				sum, weights := 0.0, 0.0
				for dy := -reach; dy <= reach; dy++ {
					for dx := -reach; dx <= reach; dx++ {
						weight := 1.0
						if sigma > 0 {
							weight = math.Exp(-float64(dx*dx+dy*dy) / (2 * float64(sigma) * float64(sigma)))
						}
						sum += weight * float64(src[(min(max(y+dy, 0), h-1)*w+min(max(x+dx, 0), w-1))*c+ch])
						weights += weight
					}
				}
				if want := sum / weights; math.Abs(float64(got[i])-want) > 1e-5 {
					t.Fatalf("%v, sigma %v: value %d is %v, want %v", s, sigma, i, got[i], want)
				}
			}
		}
	}
}

// TestLightFormulas draws the amounts beside the augmenter and follows the formulas in float64.
func TestLightFormulas(t *testing.T) {
	const h, w = 4, 6
	src := randomImage(rand.New(rand.NewPCG(9, 1)), h*w*3)
	for seed := range uint64(20) {
		draw := func(limit float64) float64 {
			return (2*rand.New(rand.NewPCG(seed, 2)).Float64() - 1) * limit // each part alone: its draw is the first
		}
		contrast, gamma, saturation := 1+draw(0.8), math.Exp(draw(1)), 1+draw(1)
		for name, c := range map[string]struct {
			a    Augmentation
			want func(i int, mean float64) float64
			tol  float64
		}{
			"contrast":   {Augmentation{Contrast: 0.8}, func(i int, mean float64) float64 { return mean + contrast*(float64(src[i])-mean) }, 1e-5},
			"brightness": {Augmentation{Brightness: 0.3}, func(i int, _ float64) float64 { return float64(src[i]) + draw(0.3) }, 1e-5},
			"gamma":      {Augmentation{Gamma: 1}, func(i int, _ float64) float64 { return math.Pow(float64(src[i]), gamma) }, 0.02}, // straight pieces
			"saturation": {Augmentation{Saturation: 1}, func(i int, _ float64) float64 {
				p := i / 3 * 3
				grey := 0.299*float64(src[p]) + 0.587*float64(src[p+1]) + 0.114*float64(src[p+2])
				return grey + saturation*(float64(src[i])-grey)
			}, 1e-5},
		} {
			got := applied(c.a, src, h, w, 3, seed)
			for ch := range 3 {
				mean := 0.0
				for i := ch; i < len(src); i += 3 {
					mean += float64(src[i]) / (h * w)
				}
				for i := ch; i < len(src); i += 3 {
					if want := min(max(c.want(i, mean), 0), 1); math.Abs(float64(got[i])-want) > c.tol {
						t.Fatalf("%s, seed %d: value %d is %v, want %v", name, seed, i, got[i], want)
					}
				}
			}
		}
	}
}

func TestNoiseHasItsDeviation(t *testing.T) {
	src := shade(0.5, 60*60)
	sum, pictures := 0.0, 200
	for seed := range uint64(pictures) {
		for _, v := range applied(Augmentation{Noise: 0.1}, src, 60, 60, 1, seed) {
			sum += float64(v-0.5) * float64(v-0.5)
		}
	}
	// σ is uniform up to 0.1, so the mean square is 0.1²/3.
	if got, want := sum/float64(pictures*len(src)), 0.01/3; math.Abs(got-want) > 0.2*want {
		t.Errorf("mean square %v, want about %v", got, want)
	}
}

// TestEraseIsOneRectangle: what changed is a full rectangle of one colour, no larger than the area allows.
func TestEraseIsOneRectangle(t *testing.T) {
	const h, w, c = 30, 40, 3
	src := shade(2, h*w*c) // no colour that is painted
	largest, smallest := 0, h*w
	for seed := range uint64(300) {
		got := applied(Augmentation{Erase: 1, EraseArea: 0.25}, src, h, w, c, seed)
		top, bottom, left, right, area := h, -1, w, -1, 0
		var colour []float32
		for i := 0; i < h*w; i++ {
			if got[i*c] == 2 {
				continue
			}
			if colour == nil {
				colour = got[i*c : (i+1)*c]
			}
			if !slices.Equal(colour, got[i*c:(i+1)*c]) {
				t.Fatalf("seed %d: two colours", seed)
			}
			top, bottom, left, right, area = min(top, i/w), max(bottom, i/w), min(left, i%w), max(right, i%w), area+1
		}
		if area != (bottom-top+1)*(right-left+1) {
			t.Fatalf("seed %d: %d pixels in a box of %d×%d", seed, area, bottom-top+1, right-left+1)
		}
		largest, smallest = max(largest, area), min(smallest, area)
	}
	if float64(largest) > 0.27*h*w || float64(largest) < 0.2*h*w || float64(smallest) > 0.05*h*w { // sides are rounded
		t.Errorf("areas from %d to %d of %d", smallest, largest, h*w)
	}
}
