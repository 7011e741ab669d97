package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// naiveConv is ConvShape's definition in float64, over unpadded images; it returns y without border.
func naiveConv(s ConvShape, x, w, b []float32) []float64 {
	ch, cw := s.Conved()
	conved := make([]float64, s.Batch*ch*cw*s.Filters)
	for n := range s.Batch {
		for r := range ch {
			for q := range cw {
				for f := range s.Filters {
					sum := float64(b[f])
					for ky := range s.Kernel {
						for kx := range s.Kernel {
							yy, xx := r*s.Stride+ky-s.Pad(), q*s.Stride+kx-s.Pad()
							if yy < 0 || yy >= s.Height || xx < 0 || xx >= s.Width {
								continue
							}
							for c := range s.Channels {
								sum += float64(x[((n*s.Height+yy)*s.Width+xx)*s.Channels+c]) * float64(w[((ky*s.Kernel+kx)*s.Channels+c)*s.Filters+f])
							}
						}
					}
					if s.ReLU {
						sum = max(sum, 0)
					}
					conved[((n*ch+r)*cw+q)*s.Filters+f] = sum
				}
			}
		}
	}
	if !s.Pool {
		return conved
	}
	oh, ow := s.Out()
	out := make([]float64, s.Batch*oh*ow*s.Filters)
	for n := range s.Batch {
		for r := range oh {
			for q := range ow {
				for f := range s.Filters {
					m := math.Inf(-1)
					for j := range 4 {
						m = max(m, conved[((n*ch+2*r+j/2)*cw+2*q+j%2)*s.Filters+f])
					}
					out[((n*oh+r)*ow+q)*s.Filters+f] = m
				}
			}
		}
	}
	return out
}

// bordered copies images [n][h][w][c] into a buffer with a border of pad pixels.
func bordered(dev Device, img []float32, n, h, w, c, pad int) Buffer {
	b := dev.Alloc(n * (h + 2*pad) * (w + 2*pad) * c)
	for i := range n {
		for r := range h {
			copy(floats(b)[((i*(h+2*pad)+r+pad)*(w+2*pad)+pad)*c:], img[(i*h+r)*w*c:][:w*c])
		}
	}
	return b
}

// inner is the inverse of bordered.
func inner(b Buffer, n, h, w, c, pad int) []float32 {
	img := make([]float32, n*h*w*c)
	for i := range n {
		for r := range h {
			copy(img[(i*h+r)*w*c:][:w*c], floats(b)[((i*(h+2*pad)+r+pad)*(w+2*pad)+pad)*c:])
		}
	}
	return img
}

var convShapes = []ConvShape{
	{Batch: 2, Height: 5, Width: 5, Channels: 1, Filters: 3, Kernel: 3, InPad: 1, Stride: 1},
	{Batch: 1, Height: 6, Width: 7, Channels: 2, Filters: 5, Kernel: 3, InPad: 1, Stride: 1, ReLU: true, Pool: true, OutPad: 1, InputGrad: true},
	{Batch: 11, Height: 4, Width: 4, Channels: 3, Filters: 16, Kernel: 3, InPad: 1, Stride: 1, ReLU: true, OutPad: 2, InputGrad: true},
	{Batch: 3, Height: 9, Width: 8, Channels: 1, Filters: 8, Kernel: 5, InPad: 2, Stride: 2, ReLU: true, InputGrad: true},
	{Batch: 3, Height: 9, Width: 8, Channels: 2, Filters: 33, Kernel: 5, InPad: 2, Stride: 2, ReLU: true, Pool: true, InputGrad: true},
	{Batch: 2, Height: 7, Width: 7, Channels: 17, Filters: 40, Kernel: 3, InPad: 1, Stride: 1, InputGrad: true},
	{Batch: 2, Height: 5, Width: 6, Channels: 34, Filters: 7, Kernel: 1, InPad: 2, Stride: 1, ReLU: true, OutPad: 1, InputGrad: true},
	{Batch: 2, Height: 7, Width: 5, Channels: 4, Filters: 6, Kernel: 3, InPad: 1, Stride: 3, InputGrad: true},
}

func TestConvForward(t *testing.T) {
	eachTier(t, func(t *testing.T, tr *tier) {
		for _, s := range convShapes {
			dev := mustCPU(t, 2, tr)
			rng := rand.New(rand.NewPCG(1, 2))
			_, ws, bs, ys := s.Sizes()
			x, w, b := random(rng, s.Batch*s.Height*s.Width*s.Channels), random(rng, ws), random(rng, bs)
			y := dev.Alloc(ys)
			conv, err := dev.NewConv(s)
			if err != nil {
				t.Fatal(err)
			}
			conv.Forward(s.Batch, bordered(dev, x, s.Batch, s.Height, s.Width, s.Channels, s.InPad), bufferOf(w), bufferOf(b), y)
			oh, ow := s.Out()
			got := inner(y, s.Batch, oh, ow, s.Filters, s.OutPad)
			for i, want := range naiveConv(s, x, w, b) {
				if math.Abs(float64(got[i])-want) > 1e-4 {
					t.Fatalf("%+v: y[%d] = %g, want %g", s, i, got[i], want)
				}
			}
			var all, in float64
			for _, v := range floats(y) {
				all += math.Abs(float64(v))
			}
			for _, v := range got {
				in += math.Abs(float64(v))
			}
			if math.Abs(all-in) > 1e-6*all {
				t.Fatalf("%+v: the border of y was written", s)
			}
		}
	})
}

// TestConvBackward compares the gradients with central differences of the float64 definition.
func TestConvBackward(t *testing.T) {
	eachTier(t, func(t *testing.T, tr *tier) {
		for _, s := range convShapes {
			dev := mustCPU(t, 2, tr)
			rng := rand.New(rand.NewPCG(7, 8))
			_, ws, bs, ys := s.Sizes()
			x, w, b := random(rng, s.Batch*s.Height*s.Width*s.Channels), random(rng, ws), random(rng, bs)
			oh, ow := s.Out()
			dy := random(rng, s.Batch*oh*ow*s.Filters)
			objective := func() float64 {
				var sum float64
				for i, v := range naiveConv(s, x, w, b) {
					sum += v * float64(dy[i])
				}
				return sum
			}
			conv, err := dev.NewConv(s)
			if err != nil {
				t.Fatal(err)
			}
			bx := bordered(dev, x, s.Batch, s.Height, s.Width, s.Channels, s.InPad)
			y, dx, dw, db := dev.Alloc(ys), dev.Alloc(bx.Len()), dev.Alloc(ws), dev.Alloc(bs)
			for range 2 { // a second pass must not add to the first
				conv.Forward(s.Batch, bx, bufferOf(w), bufferOf(b), y)
				conv.Backward(s.Batch, bx, bufferOf(w), y, bordered(dev, dy, s.Batch, oh, ow, s.Filters, s.OutPad), dx, dw, db)
			}
			compareGradient(t, fmt.Sprintf("%+v dw", s), rng, w, floats(dw), objective)
			compareGradient(t, fmt.Sprintf("%+v db", s), rng, b, floats(db), objective)
			if s.InputGrad {
				compareGradient(t, fmt.Sprintf("%+v dx", s), rng, x, inner(dx, s.Batch, s.Height, s.Width, s.Channels, s.InPad), objective)
			}
		}
	})
}

// compareGradient checks up to 40 elements of got against central differences of f in v. A difference across a kink of ReLU
// or pooling is recognised by its one-sided slopes and not compared; nearly all must remain.
func compareGradient(t *testing.T, what string, rng *rand.Rand, v, got []float32, f func() float64) {
	t.Helper()
	const h = 1.0 / 4096
	n, kinks := min(40, len(v)), 0
	at := f()
	for _, i := range rng.Perm(len(v))[:n] {
		old := v[i]
		v[i] = old + h
		up := f()
		v[i] = old - h
		down := f()
		v[i] = old
		right, left := (up-at)/h, (at-down)/h
		if math.Abs(right-left) > 1e-3*(1+math.Abs(right)) {
			kinks++
			continue
		}
		if want := (up - down) / (2 * h); math.Abs(float64(got[i])-want) > 2e-3*(1+math.Abs(want)) {
			t.Fatalf("%s[%d] = %g, finite difference %g", what, i, got[i], want)
		}
	}
	if kinks > 1+n/4 {
		t.Fatalf("%s: %d of %d differences met a kink: nothing is proved", what, kinks, n)
	}
}

func TestLinear(t *testing.T) {
	eachTier(t, func(t *testing.T, tr *tier) {
		for _, s := range []LinearShape{
			{Batch: 1, In: 3, Out: 2, InputGrad: true}, {Batch: 5, In: 70, Out: 33, ReLU: true, InputGrad: true},
			{Batch: 40, In: 300, Out: 64, ReLU: true, InputGrad: true}, {Batch: 17, In: 9, Out: 100, ReLU: true},
		} {
			dev := mustCPU(t, 2, tr)
			rng := rand.New(rand.NewPCG(9, 1))
			x, w, b, dy := random(rng, s.Batch*s.In), random(rng, s.In*s.Out), random(rng, s.Out), random(rng, s.Batch*s.Out)
			forward := func() []float64 {
				y := naiveGemm(false, false, s.Batch, s.Out, s.In, x, s.In, w, s.Out, nil, 0, false)
				for i := range y {
					y[i] += float64(b[i%s.Out])
					if s.ReLU {
						y[i] = max(y[i], 0)
					}
				}
				return y
			}
			objective := func() (sum float64) {
				for i, v := range forward() {
					sum += v * float64(dy[i])
				}
				return sum
			}
			l, err := dev.NewLinear(s)
			if err != nil {
				t.Fatal(err)
			}
			y, dx, dw, db := dev.Alloc(len(dy)), dev.Alloc(len(x)), dev.Alloc(len(w)), dev.Alloc(len(b))
			for range 2 {
				l.Forward(s.Batch, bufferOf(x), bufferOf(w), bufferOf(b), y)
				l.Backward(s.Batch, bufferOf(x), bufferOf(w), y, bufferOf(dy), dx, dw, db)
			}
			for i, want := range forward() {
				if math.Abs(float64(floats(y)[i])-want) > 1e-4 {
					t.Fatalf("%+v: y[%d] = %g, want %g", s, i, floats(y)[i], want)
				}
			}
			compareGradient(t, fmt.Sprintf("%+v dw", s), rng, w, floats(dw), objective)
			compareGradient(t, fmt.Sprintf("%+v db", s), rng, b, floats(db), objective)
			if s.InputGrad {
				compareGradient(t, fmt.Sprintf("%+v dx", s), rng, x, floats(dx), objective)
			}
		}
	})
}

func TestNormalize(t *testing.T) {
	s := NormalizeShape{Batch: 5, Cols: 19}
	dev := mustCPU(t, 1, best)
	rng := rand.New(rand.NewPCG(2, 2))
	x, dy := random(rng, s.Batch*s.Cols), random(rng, s.Batch*s.Cols)
	clear(x[:s.Cols]) // a zero row must stay finite
	objective := func() (sum float64) {
		for i := 1; i < s.Batch; i++ {
			row, g := x[i*s.Cols:(i+1)*s.Cols], dy[i*s.Cols:(i+1)*s.Cols]
			var sq, dot float64
			for j := range row {
				sq += float64(row[j]) * float64(row[j])
				dot += float64(row[j]) * float64(g[j])
			}
			sum += dot / math.Sqrt(sq)
		}
		return sum
	}
	l, err := dev.NewNormalize(s)
	if err != nil {
		t.Fatal(err)
	}
	y, dx := dev.Alloc(len(x)), dev.Alloc(len(x))
	l.Forward(s.Batch, bufferOf(x), y)
	l.Backward(s.Batch, bufferOf(x), y, bufferOf(dy), dx)
	for i, v := range append(append([]float32(nil), floats(y)...), floats(dx)...) {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			t.Fatalf("element %d is %g", i, v)
		}
	}
	compareGradient(t, "dx", rng, x[s.Cols:], floats(dx)[s.Cols:], objective)
}

// TestThreadsGiveTheSameBits runs a layer of each kind on 1 to 5 threads.
func TestThreadsGiveTheSameBits(t *testing.T) {
	s := ConvShape{Batch: 19, Height: 8, Width: 8, Channels: 3, Filters: 20, Kernel: 3, InPad: 1, Stride: 1, ReLU: true, Pool: true, InputGrad: true}
	ls := LinearShape{Batch: 19, In: 4 * 4 * 20, Out: 70, ReLU: true, InputGrad: true}
	eachTier(t, func(t *testing.T, tr *tier) {
		var first string
		for threads := 1; threads <= 5; threads++ {
			dev := mustCPU(t, threads, tr)
			rng := rand.New(rand.NewPCG(4, 4))
			xs, ws, bs, ys := s.Sizes()
			x, w, b := bufferOf(random(rng, xs)), bufferOf(random(rng, ws)), bufferOf(random(rng, bs))
			lw, lb, dly := bufferOf(random(rng, ls.In*ls.Out)), bufferOf(random(rng, ls.Out)), bufferOf(random(rng, ls.Batch*ls.Out))
			y, ly := dev.Alloc(ys), dev.Alloc(ls.Batch*ls.Out)
			dx, dw, db, dy, dlw, dlb := dev.Alloc(xs), dev.Alloc(ws), dev.Alloc(bs), dev.Alloc(ys), dev.Alloc(ls.In*ls.Out), dev.Alloc(ls.Out)
			conv, err := dev.NewConv(s)
			if err != nil {
				t.Fatal(err)
			}
			lin, err := dev.NewLinear(ls)
			if err != nil {
				t.Fatal(err)
			}
			conv.Forward(s.Batch, x, w, b, y)
			lin.Forward(s.Batch, y, lw, lb, ly)
			lin.Backward(s.Batch, y, lw, ly, dly, dy, dlw, dlb)
			conv.Backward(s.Batch, x, w, y, dy, dx, dw, db)
			var bits []uint32
			for _, buf := range []Buffer{y, ly, dx, dw, db, dy, dlw, dlb} {
				for _, v := range floats(buf) {
					bits = append(bits, math.Float32bits(v))
				}
			}
			got := fmt.Sprint(bits)
			if first == "" {
				first = got
			} else if got != first {
				t.Fatalf("%d threads give other bits than one", threads)
			}
		}
	})
}

// TestPartialBatch: the first images of a batch do not depend on how many follow.
func TestPartialBatch(t *testing.T) {
	s := ConvShape{Batch: 6, Height: 8, Width: 8, Channels: 1, Filters: 20, Kernel: 3, InPad: 1, Stride: 1, ReLU: true, Pool: true}
	dev := mustCPU(t, 2, best)
	rng := rand.New(rand.NewPCG(4, 4))
	xs, ws, bs, ys := s.Sizes()
	x, w, b := bufferOf(random(rng, xs)), bufferOf(random(rng, ws)), bufferOf(random(rng, bs))
	conv, err := dev.NewConv(s)
	if err != nil {
		t.Fatal(err)
	}
	all, some := dev.Alloc(ys), dev.Alloc(ys)
	conv.Forward(6, x, w, b, all)
	conv.Forward(2, x, w, b, some)
	n := ys / s.Batch * 2
	mustEqual(t, "first images", n, floats(some)[:n], floats(all)[:n])
	for _, v := range floats(some)[n:] {
		if v != 0 {
			t.Fatal("images beyond n were written")
		}
	}
}

func TestShapesAreValidated(t *testing.T) {
	dev := mustCPU(t, 1, best)
	good := ConvShape{Batch: 1, Height: 4, Width: 4, Channels: 1, Filters: 1, Kernel: 3, InPad: 1, Stride: 1, ReLU: true, Pool: true}
	for name, change := range map[string]func(*ConvShape){
		"even kernel": func(s *ConvShape) { s.Kernel = 2 }, "no filters": func(s *ConvShape) { s.Filters = 0 },
		"stride 0": func(s *ConvShape) { s.Stride = 0 }, "pool without ReLU": func(s *ConvShape) { s.ReLU = false },
		"too small to pool": func(s *ConvShape) { s.Height = 1 }, "negative border": func(s *ConvShape) { s.OutPad = -1 },
	} {
		s := good
		change(&s)
		if _, err := dev.NewConv(s); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if _, err := dev.NewLinear(LinearShape{Batch: 1, In: 0, Out: 1}); err == nil {
		t.Error("a linear layer without input was accepted")
	}
	if _, err := dev.NewNormalize(NormalizeShape{}); err == nil {
		t.Error("an empty normalisation was accepted")
	}
}
