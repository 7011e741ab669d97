package train

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/akin-search/akin/encoder"
)

func randomImage(rng *rand.Rand, n int) []float32 {
	img := make([]float32, n)
	for i := range img {
		img[i] = rng.Float32()
	}
	return img
}

func TestAugmentationZeroIsIdentity(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	src := randomImage(rng, 9*7*3)
	dst := make([]float32, len(src))
	augmenter(Augmentation{}, 9, 7, 3).Apply(dst, src, rng)
	if !slices.Equal(dst, src) {
		t.Fatal("the zero augmentation changed the image")
	}
	// The warp itself is the identity too, and not only the short cut.
	for _, shape := range [][3]int{{9, 7, 3}, {28, 28, 1}, {1, 1, 1}, {1, 200, 2}, {200, 1, 1}, {131, 260, 1}} {
		h, w, c := shape[0], shape[1], shape[2]
		src, dst := randomImage(rng, h*w*c), make([]float32, h*w*c)
		var g warp
		g.affine(0, 1, 0, 0, 0)
		g.apply(dst, src, h, w, c, shade(9, c))
		for i := range src {
			if math.Abs(float64(dst[i]-src[i])) > 1e-4 {
				t.Fatalf("%v: value %d is %v, want %v", shape, i, dst[i], src[i])
			}
		}
	}
}

func TestWarpKnownShift(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 1))
	for _, c := range []int{1, 3} {
		const h, w = 11, 14
		src, dst := randomImage(rng, h*w*c), make([]float32, h*w*c)
		var g warp
		g.affine(0, 1, 0, 3, -2) // right by 3, up by 2
		g.apply(dst, src, h, w, c, shade(7, c))
		for y := range h {
			for x := range w {
				for ch := range c {
					want := float32(7)
					if sx, sy := x-3, y+2; sx >= 0 && sy < h {
						want = src[(sy*w+sx)*c+ch]
					}
					if got := dst[(y*w+x)*c+ch]; math.Abs(float64(got-want)) > 1e-5 {
						t.Fatalf("c=%d (%d,%d): %v, want %v", c, x, y, got, want)
					}
				}
			}
		}
	}
}

func TestWarpHalfPixelShiftBlendsWithBackground(t *testing.T) {
	src, dst := []float32{4, 8}, make([]float32, 2)
	var g warp
	g.affine(0, 1, 0, 0.5, 0)
	g.apply(dst, src, 1, 2, 1, shade(2, 1))
	if dst[0] != 3 || dst[1] != 6 {
		t.Fatalf("got %v, want [3 6]", dst)
	}
}

func TestWarpQuarterTurn(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	const n = 13
	src, dst := randomImage(rng, n*n), make([]float32, n*n)
	var g warp
	g.affine(math.Pi/2, 1, 0, 0, 0)
	g.apply(dst, src, n, n, 1, shade(0, 1))
	for y := range n {
		for x := range n {
			// Clockwise: the left column of the source, read upwards, is the top row of the result.
			if got, want := dst[y*n+x], src[(n-1-x)*n+y]; math.Abs(float64(got-want)) > 1e-4 {
				t.Fatalf("(%d,%d): %v, want %v", x, y, got, want)
			}
		}
	}
}

// The inverse in affine is checked by going forwards: centre + R·Sh·S·(p − centre) + shift must be mapped back to p.
func TestWarpAffineInverts(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 1))
	for range 100 {
		angle, scale, shear := rng.Float64()*6-3, 0.5+rng.Float64(), rng.Float64()*2-1
		tx, ty := rng.Float64()*9-4, rng.Float64()*9-4
		var g warp
		g.affine(angle, scale, shear, tx, ty)
		px, py := rng.Float64()*20-10, rng.Float64()*20-10
		x, y := scale*px, scale*py
		x += shear * y
		sin, cos := math.Sincos(angle)
		x, y = cos*x-sin*y, sin*x+cos*y
		bx := float64(g.m[0])*x + float64(g.m[1])*y
		by := float64(g.m[2])*x + float64(g.m[3])*y
		if math.Abs(bx-px)+math.Abs(by-py) > 1e-4 {
			t.Fatalf("(%v,%v) came back as (%v,%v)", px, py, bx, by)
		}
	}
}

// displacements warps the coordinates themselves and returns by how much each pixel's source differs from its own place, in pixels;
// NaN where the background bears on it, which a third channel of ones shows.
func displacements(a Augmentation, h, w int, seed uint64) (dx, dy []float64) {
	src, dst := make([]float32, h*w*3), make([]float32, h*w*3)
	for i := range h * w {
		copy(src[i*3:], []float32{float32(i % w), float32(i / w), 1})
	}
	augmenter(a, h, w, 3).Apply(dst, src, rand.New(rand.NewPCG(seed, 1)))
	for i := range h * w {
		x, y := math.NaN(), math.NaN()
		if dst[i*3+2] == 1 {
			x, y = float64(dst[i*3])-float64(i%w), float64(dst[i*3+1])-float64(i/w)
		}
		dx, dy = append(dx, x), append(dy, y)
	}
	return dx, dy
}

func TestAugmentationDisplacementBounds(t *testing.T) {
	const h, w = 40, 60
	for _, c := range []struct {
		name         string
		a            Augmentation
		limX, limY   float64 // no pixel further than this
		leastX, mean float64 // root mean square over many draws: between these
	}{
		{"shift", Augmentation{Shift: 0.1}, 6, 4, 3, 4}, // uniform ±6: 3.46
		{"elastic", Augmentation{Elastic: 0.1}, 4, 4, 0.9, 1.5},
		{"elastic fine", Augmentation{Elastic: 0.1, ElasticCells: 8}, 4, 4, 0.9, 1.5},
		{"scale", Augmentation{Scale: 0.1}, 30.0 / 9, 20.0 / 9, 0.5, 1.5},
		{"shear", Augmentation{Shear: 0.1}, 2, 0.01, 0.4, 1},
		{"rotate", Augmentation{Rotate: 6}, 20*0.105 + 30*0.0055, 30*0.105 + 20*0.0055, 0.4, 1.5},
	} {
		sum, n := 0.0, 0
		for seed := range uint64(200) {
			dx, dy := displacements(c.a, h, w, seed)
			for i := range dx {
				if math.IsNaN(dx[i]) {
					continue
				}
				if math.Abs(dx[i]) > c.limX+1e-3 || math.Abs(dy[i]) > c.limY+1e-3 {
					t.Fatalf("%s, seed %d: pixel %d moved by (%.2f, %.2f), limit (%.2f, %.2f)", c.name, seed, i, dx[i], dy[i], c.limX, c.limY)
				}
				sum += dx[i] * dx[i]
				n++
			}
		}
		if rms := math.Sqrt(sum / float64(n)); rms < c.leastX || rms > c.mean {
			t.Errorf("%s: root mean square displacement %.2f, want %.2f to %.2f", c.name, rms, c.leastX, c.mean)
		}
	}
}

// Neighbouring pixels must move together, or strokes would tear: the B-spline's slope is bounded by its controls and its cell.
func TestElasticIsSmooth(t *testing.T) {
	const side, bound = 56, 0.1 * 56
	worst := 0.0
	for seed := range uint64(50) {
		dx, _ := displacements(Augmentation{Elastic: 0.1}, side, side, seed)
		for i := range dx {
			if i%side != 0 && !math.IsNaN(dx[i]) && !math.IsNaN(dx[i-1]) {
				worst = max(worst, math.Abs(dx[i]-dx[i-1]))
			}
		}
	}
	if limit := 2 * bound * 4 / side; worst > limit || worst < limit/20 {
		t.Fatalf("neighbours differ by up to %.3f pixels, want %.3f to %.3f", worst, limit/20, limit)
	}
}

func TestAugmentationDeterministicAndFinite(t *testing.T) {
	a := Augmentation{Shift: 0.5, Rotate: 180, Scale: 0.9, Shear: 1, Elastic: 0.5, ElasticCells: 8}
	if err := a.Validate(); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(5, 1))
	for _, s := range [][3]int{{28, 28, 1}, {5, 33, 3}, {1, 1, 4}, {2, 2, 1}, {130, 65, 1}, {224, 96, 3}} {
		h, w, c := s[0], s[1], s[2]
		src := randomImage(rng, h*w*c)
		one, two, other := make([]float32, len(src)), make([]float32, len(src)), make([]float32, len(src))
		g, differs := augmenter(a, h, w, c), false
		for seed := range uint64(50) {
			g.Apply(one, src, rand.New(rand.NewPCG(seed, 9)))
			g.Apply(two, src, rand.New(rand.NewPCG(seed, 9)))
			g.Apply(other, src, rand.New(rand.NewPCG(seed, 10)))
			if !slices.Equal(one, two) {
				t.Fatalf("%v, seed %d: two runs differ", s, seed)
			}
			differs = differs || !slices.Equal(one, other)
			for i, v := range one {
				if !(v >= 0 && v <= 1) { // blends of values in [0,1]; also catches NaN
					t.Fatalf("%v, seed %d: value %d is %v", s, seed, i, v)
				}
			}
		}
		if !differs {
			t.Errorf("%v: another seed gives the same image", s)
		}
	}
}

func TestAugmentationValidate(t *testing.T) {
	d := Digits()
	if err := d.Validate(); err != nil {
		t.Fatal(err)
	}
	if d.ElasticCells != defaultElasticCells || d.IsZero() {
		t.Fatalf("Digits() = %+v", d)
	}
	nan := float32(math.NaN())
	for want, a := range map[string]Augmentation{
		"shift is -0.1":                 {Shift: -0.1},
		"rotate is 181, want 0 to 180":  {Rotate: 181},
		"scale is 1,":                   {Scale: 1},
		"shear is NaN":                  {Shear: nan},
		"elastic is +Inf":               {Elastic: float32(math.Inf(1))},
		"elastic_cells is 9, want 1 to": {ElasticCells: 9},
		"flip is 1.5, want 0 to 1":      {Flip: 1.5},
		"blur is 0.3, want 0 to 0.2":    {Blur: 0.3},
		"saturation is -1":              {Saturation: -1},
		"contrast is 2,":                {Contrast: 2},
		"brightness is NaN":             {Brightness: nan},
		"gamma is 3, want 0 to 2":       {Gamma: 3},
		"noise is 1.1":                  {Noise: 1.1},
		"erase is 2":                    {Erase: 2},
		"erase_area is 0.01, want 0.02": {Erase: 1, EraseArea: 0.01},
	} {
		if err := a.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want %q", a, err, want)
		}
	}
}

func TestAugmentationPanicsAtTheWrongShape(t *testing.T) {
	defer func() {
		if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), "4 and 6 values for an image of 2×3×1") {
			t.Errorf("recovered %v", r)
		}
	}()
	augmenter(Digits(), 2, 3, 1).Apply(make([]float32, 4), make([]float32, 6), rand.New(rand.NewPCG(1, 1)))
}

func TestAugmentationAllocatesNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	src, dst := randomImage(rng, 28*28), make([]float32, 28*28)
	for _, a := range []Augmentation{Digits(), everything()} {
		g := augmenter(a, 28, 28, 1)
		if n := testing.AllocsPerRun(20, func() { g.Apply(dst, src, rng) }); n != 0 {
			t.Fatalf("%+v: %v allocations a call", a, n)
		}
	}
}

func BenchmarkAugmentation(b *testing.B) {
	for _, s := range [][3]int{{28, 28, 1}, {96, 96, 3}} {
		b.Run(fmt.Sprintf("%dx%dx%d", s[0], s[1], s[2]), func(b *testing.B) {
			rng := rand.New(rand.NewPCG(1, 2))
			n := s[0] * s[1] * s[2]
			src, dst := randomImage(rng, n), make([]float32, n)
			g := augmenter(Digits(), s[0], s[1], s[2])
			b.ReportAllocs()
			for b.Loop() {
				g.Apply(dst, src, rng)
			}
		})
	}
}

// augmenter returns one of pictures in units of 0 to 1.
func augmenter(a Augmentation, h, w, c int) *Augmenter {
	return NewAugmenter(a, inUnits(encoder.Preprocessing{Size: encoder.Size{Height: h, Width: w, Channels: c}}))
}

// shade is a background of one value for c channels.
func shade(v float32, c int) []float32 {
	b := make([]float32, c)
	for i := range b {
		b[i] = v
	}
	return b
}

// TestBackgroundPerChannel: a pixel from outside shows each channel's own background.
func TestBackgroundPerChannel(t *testing.T) {
	var g warp
	g.affine(0, 1, 0, 50, 0)
	dst := make([]float32, 2*2*3)
	g.apply(dst, make([]float32, 2*2*3), 2, 2, 3, []float32{1, 2, 3})
	for i, v := range dst {
		if v != float32(1+i%3) {
			t.Fatalf("background %v", dst)
		}
	}
}
