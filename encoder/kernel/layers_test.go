package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// naiveConv is ConvShape's definition in float64, over unpadded images; it returns y without border.
func naiveConv(s ConvShape, x []float64, w, b []float32) []float64 {
	ch, cw := s.Conved()
	conved := make([]float64, s.Batch*ch*cw*s.Filters)
	for n := range s.Batch {
		for r := range ch {
			for q := range cw {
				for f := range s.Filters {
					sum := float64(b[f])
					rows := s.Kernel
					if s.Line {
						rows = 1
					}
					for ky := range rows {
						for kx := range s.Kernel {
							yy, xx := r*s.Stride+ky-rows/2, q*s.Stride+kx-s.Kernel/2
							if yy < 0 || yy >= s.Height || xx < 0 || xx >= s.Width {
								continue
							}
							for c := range s.Channels {
								sum += x[((n*s.Height+yy)*s.Width+xx)*s.Channels+c] * float64(w[((ky*s.Kernel+kx)*s.Channels+c)*s.Filters+f])
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
	return naivePool(s, conved)
}

// naivePool takes the maxima of 2×2 pixels.
func naivePool(s ConvShape, conved []float64) []float64 {
	ch, cw := s.Conved()
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

// bordered copies unbordered images into a buffer with a border.
func bordered(dev Device, img []float32, n int, m image) Buffer {
	b := dev.Alloc(n * (m.h + 2*m.pad) * (m.w + 2*m.pad) * m.c)
	for i := range n {
		for r := range m.h {
			copy(floats(b)[((i*(m.h+2*m.pad)+r+m.pad)*(m.w+2*m.pad)+m.pad)*m.c:], img[(i*m.h+r)*m.w*m.c:][:m.w*m.c])
		}
	}
	return b
}

// inner is the inverse of bordered.
func inner(b Buffer, n int, m image) []float32 {
	img := make([]float32, n*m.values())
	for i := range n {
		for r := range m.h {
			copy(img[(i*m.h+r)*m.w*m.c:][:m.w*m.c], floats(b)[((i*(m.h+2*m.pad)+r+m.pad)*(m.w+2*m.pad)+m.pad)*m.c:])
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
	{Batch: 2, Height: 8, Width: 7, Channels: 18, Filters: 6, Kernel: 1, InPad: 1, Stride: 2, InputGrad: true},
	{Batch: 2, Height: 3, Width: 11, Channels: 4, Filters: 16, Kernel: 3, InPad: 1, Stride: 4, ReLU: true, InputGrad: true},
	{Batch: 2, Height: 9, Width: 10, Channels: 2, Filters: 3, Kernel: 7, InPad: 4, Stride: 2, OutPad: 1, InputGrad: true},
	{Batch: 9, Height: 1, Width: 13, Channels: 40, Filters: 34, Kernel: 5, Line: true, InPad: 2, Stride: 1, ReLU: true, OutPad: 1, InputGrad: true},
	{Batch: 2, Height: 1, Width: 12, Channels: 18, Filters: 5, Kernel: 3, Line: true, InPad: 1, Stride: 2, InputGrad: true},
	{Batch: 2, Height: 6, Width: 7, Channels: 3, Filters: 8, Kernel: 3, Line: true, InPad: 2, Stride: 1, ReLU: true, Pool: true, InputGrad: true},
	{Batch: 2, Height: 5, Width: 8, Channels: 3, Filters: 4, Kernel: 5, Line: true, InPad: 2, Stride: 3, InputGrad: true},
}

// newLayer makes a layer, or fails the test.
func newLayer(t testing.TB, dev Device, s Shape) Layer {
	t.Helper()
	l, err := dev.NewLayer(s)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// randomParams draws parameters: those that scale stay near 1, running statistics start where training starts them.
func randomParams(rng *rand.Rand, s Shape) (bufs []Buffer) {
	for _, p := range s.Parameters() {
		v := random(rng, p.Len())
		for i := range v {
			switch p.Role {
			case RoleScale:
				v[i] = 1 + v[i]/2
			case RoleMean:
				v[i] = 0
			case RoleVariance:
				v[i] = 1
			}
		}
		bufs = append(bufs, bufferOf(v))
	}
	return bufs
}

// gradsOf allocates a gradient for each trained parameter.
func gradsOf(dev Device, s Shape) (bufs []Buffer) {
	for _, p := range s.Parameters() {
		var b Buffer
		if p.Role.Trained() {
			b = dev.Alloc(p.Len())
		}
		bufs = append(bufs, b)
	}
	return bufs
}

// image is the shape of a layer's x or y.
type image struct{ h, w, c, pad int }

func (i image) values() int { return i.h * i.w * i.c }

// layerCase is a layer with its definition in float64, over unbordered images.
type layerCase struct {
	shape   Shape
	batch   int
	in, out image
	naive   func(x []float32, params []Buffer) []float64
}

// items draws x: what the layer takes.
func (c layerCase) items(rng *rand.Rand) []float32 {
	x := random(rng, c.batch*c.in.values())
	if s, ok := c.shape.(BagShape); ok {
		for e := 0; e < len(x); e += s.Fields {
			x[e] = float32(rng.IntN(s.Rows + 3)) // some of them are not stored
			if rng.IntN(s.Entries) == 0 {
				x[e+1] = 0 // the end
			}
		}
	}
	return x
}

func convCase(s ConvShape) layerCase {
	h, w := s.Out()
	return layerCase{s, s.Batch, image{s.Height, s.Width, s.Channels, s.InPad}, image{h, w, s.Filters, s.OutPad}, func(x []float32, params []Buffer) []float64 {
		return naiveConv(s, widen(x), floats(params[0]), floats(params[1]))
	}}
}

func normCase(s ConvShape) layerCase {
	c := convCase(s)
	c.shape = NormConvShape{s}
	c.naive = func(x []float32, params []Buffer) []float64 { return naiveNormConv(s, widen(x), params, nil) }
	return c
}

func residualCase(s ResidualShape) layerCase {
	h, w := s.Out()
	return layerCase{s, s.Batch, image{s.Height, s.Width, s.Channels, s.InPad}, image{h, w, s.Filters, s.OutPad}, func(x []float32, params []Buffer) []float64 {
		skip := widen(x)
		if s.projects() {
			skip = naiveNormConv(s.projection(), skip, params[10:], nil)
		}
		return naiveNormConv(s.second(), naiveNormConv(s.first(), widen(x), params[:5], nil), params[5:10], skip)
	}}
}

func linearCase(s LinearShape) layerCase {
	return layerCase{s, s.Batch, image{1, 1, s.In, 0}, image{1, 1, s.Out, 0}, func(x []float32, params []Buffer) []float64 {
		y := naiveGemm(false, false, s.Batch, s.Out, s.In, x, s.In, floats(params[0]), s.Out, nil, 0, false)
		for i := range y {
			y[i] += float64(floats(params[1])[i%s.Out])
			if s.ReLU {
				y[i] = max(y[i], 0)
			}
		}
		return y
	}}
}

func fixedCase(s FixedShape) layerCase {
	c := linearCase(LinearShape{Batch: s.Batch, In: s.In, Out: s.Out})
	c.shape = s
	return c
}

func besideCase(s BesideShape) layerCase {
	c := linearCase(s.LinearShape)
	beside := c.naive
	c.shape, c.out.c = s, s.Output()
	c.naive = func(x []float32, params []Buffer) (y []float64) {
		linear := beside(x, params)
		for i := range s.Batch {
			y = append(append(y, widen(x[i*s.In:][:s.Keep])...), linear[i*s.Out:][:s.Out]...)
		}
		return y
	}
	return c
}

func globalPoolCase(s GlobalPoolShape) layerCase {
	return layerCase{s, s.Batch, image{s.Height, s.Width, s.Channels, 0}, image{1, 1, s.Channels, 0}, func(x []float32, _ []Buffer) []float64 {
		y := make([]float64, s.Batch*s.Channels)
		for i, v := range x {
			y[i/(s.Height*s.Width*s.Channels)*s.Channels+i%s.Channels] += float64(v) / float64(s.Height*s.Width)
		}
		return y
	}}
}

func bandsCase(s BandsShape) layerCase {
	return layerCase{s, s.Batch, image{s.Height, s.Width, s.Channels, 0}, image{1, s.Width, s.Height * s.Channels, s.OutPad}, func(x []float32, _ []Buffer) []float64 {
		y := make([]float64, len(x))
		for n := range s.Batch {
			for r := range s.Height {
				for q := range s.Width {
					for c := range s.Channels {
						y[(n*s.Width+q)*s.Height*s.Channels+r*s.Channels+c] = float64(x[((n*s.Height+r)*s.Width+q)*s.Channels+c])
					}
				}
			}
		}
		return y
	}}
}

func cellsCase(s CellsShape) layerCase {
	h, w := s.Out()
	return layerCase{s, s.Batch, image{s.Height, s.Width, s.Channels, 0}, image{h, w, CellFeatures * s.Channels, s.OutPad}, func(x []float32, _ []Buffer) (y []float64) {
		for cell := range s.Batch * h * w * s.Channels {
			c, q, r, n := cell%s.Channels, cell/s.Channels%w, cell/s.Channels/w%h, cell/s.Channels/w/h
			at := func(dy, dx int) float64 {
				return float64(x[((n*s.Height+r*s.Side+dy)*s.Width+q*s.Side+dx)*s.Channels+c])
			}
			mean, low, high, across, down, pairs := 0.0, math.Inf(1), math.Inf(-1), 0.0, 0.0, float64(s.Side*(s.Side-1))
			for dy := range s.Side {
				for dx := range s.Side {
					mean += at(dy, dx) / float64(s.Side*s.Side)
					low, high = min(low, at(dy, dx)), max(high, at(dy, dx))
				}
			}
			for i := range s.Side {
				for j := range s.Side - 1 {
					across += math.Abs(at(i, j+1)-at(i, j)) / pairs
					down += math.Abs(at(j+1, i)-at(j, i)) / pairs
				}
			}
			y = append(y, mean, math.Sqrt(high-mean), math.Sqrt(mean-low), math.Sqrt(across), math.Sqrt(down))
		}
		return y
	}}
}

func statisticsCase(s StatisticsShape) layerCase {
	return layerCase{s, s.Batch, image{s.Height, s.Width, s.Channels, 0}, image{1, 1, 2 * s.Channels, 0}, func(x []float32, _ []Buffer) []float64 {
		pixels := s.Height * s.Width
		y := make([]float64, s.Batch*2*s.Channels)
		for n := range s.Batch {
			for c := range s.Channels {
				mean, square := 0.0, 0.0
				for p := range pixels {
					mean += float64(x[(n*pixels+p)*s.Channels+c]) / float64(pixels)
				}
				for p := range pixels {
					d := float64(x[(n*pixels+p)*s.Channels+c]) - mean
					square += d * d / float64(pixels)
				}
				y[n*2*s.Channels+c], y[(n*2+1)*s.Channels+c] = mean, math.Sqrt(square+1e-5)
			}
		}
		return y
	}}
}

func bagCase(s BagShape) layerCase {
	return layerCase{s, s.Batch, image{1, s.Entries, s.Fields, 0}, image{1, 1, s.Out, 0}, func(x []float32, params []Buffer) []float64 {
		y, drawn := make([]float64, s.Batch*s.Out), make([]float32, s.Out)
		for i := range s.Batch {
			for e := range s.Entries {
				at := x[(i*s.Entries+e)*s.Fields:]
				if at[1] == 0 {
					break
				}
				row := drawn
				if int(at[0]) < s.Rows {
					row = floats(params[0])[int(at[0])*s.Out:][:s.Out]
				} else {
					BagRow(drawn, int(at[0]))
				}
				for j, v := range row {
					y[i*s.Out+j] += float64(at[1]) * float64(v)
				}
			}
		}
		return y
	}}
}

func normalizeCase(s NormalizeShape) layerCase {
	return layerCase{s, s.Batch, image{1, 1, s.Cols, 0}, image{1, 1, s.Cols, 0}, func(x []float32, _ []Buffer) []float64 {
		y := widen(x)
		for i := 0; i < len(y); i += s.Cols {
			var sq float64
			for _, v := range y[i : i+s.Cols] {
				sq += v * v
			}
			for j := range s.Cols {
				y[i+j] /= math.Sqrt(sq + 1e-12)
			}
		}
		return y
	}}
}

func widen(x []float32) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}

// naiveNormConv is NormConvShape's definition, with an optional skip.
func naiveNormConv(s ConvShape, x []float64, params []Buffer, skip []float64) []float64 {
	bare := s
	bare.ReLU, bare.Pool = false, false
	z := naiveConv(bare, x, floats(params[0]), make([]float32, s.Filters))
	mean, square := make([]float64, s.Filters), make([]float64, s.Filters)
	count := float64(len(z) / s.Filters)
	for i, v := range z {
		mean[i%s.Filters] += v / count
	}
	for i, v := range z {
		square[i%s.Filters] += (v - mean[i%s.Filters]) * (v - mean[i%s.Filters]) / count
	}
	for i, v := range z {
		f := i % s.Filters
		z[i] = (v-mean[f])/math.Sqrt(square[f]+1e-5)*float64(floats(params[1])[f]) + float64(floats(params[2])[f])
		if skip != nil {
			z[i] += skip[i]
		}
		if s.ReLU {
			z[i] = max(z[i], 0)
		}
	}
	if s.Pool {
		return naivePool(s, z)
	}
	return z
}

func layerCases() (all []layerCase) {
	for _, s := range convShapes {
		all = append(all, convCase(s))
		all = append(all, normCase(s))
	}
	for _, s := range []ResidualShape{
		{Batch: 3, Height: 5, Width: 4, Channels: 6, Filters: 6, Stride: 1, InPad: 1, OutPad: 1, InputGrad: true},
		{Batch: 10, Height: 6, Width: 5, Channels: 5, Filters: 17, Stride: 2, InPad: 1, InputGrad: true},
		{Batch: 2, Height: 4, Width: 4, Channels: 3, Filters: 32, Stride: 1, InPad: 2, OutPad: 2},
	} {
		all = append(all, residualCase(s))
	}
	for _, s := range []LinearShape{
		{Batch: 1, In: 3, Out: 2, InputGrad: true}, {Batch: 5, In: 70, Out: 33, ReLU: true, InputGrad: true},
		{Batch: 40, In: 300, Out: 64, ReLU: true, InputGrad: true}, {Batch: 17, In: 9, Out: 100, ReLU: true},
	} {
		all = append(all, linearCase(s))
	}
	for _, s := range []BesideShape{
		{LinearShape{Batch: 3, In: 4, Out: 1, InputGrad: true}, 4}, {LinearShape{Batch: 18, In: 70, Out: 33, ReLU: true, InputGrad: true}, 37},
		{LinearShape{Batch: 5, In: 9, Out: 40, ReLU: true}, 1},
	} {
		all = append(all, besideCase(s))
	}
	all = append(all, fixedCase(FixedShape{Batch: 18, In: 70, Out: 33}))
	return append(all, globalPoolCase(GlobalPoolShape{3, 4, 5, 19}), normalizeCase(NormalizeShape{Batch: 5, Cols: 19}),
		bandsCase(BandsShape{Batch: 3, Height: 5, Width: 4, Channels: 3, OutPad: 2}), bandsCase(BandsShape{Batch: 2, Height: 3, Width: 7, Channels: 1}),
		cellsCase(CellsShape{Batch: 3, Height: 8, Width: 13, Channels: 3, Side: 4, OutPad: 1}), cellsCase(CellsShape{Batch: 2, Height: 5, Width: 4, Channels: 1, Side: 2}),
		statisticsCase(StatisticsShape{3, 4, 5, 19}), statisticsCase(StatisticsShape{2, 1, 7, 33}),
		bagCase(BagShape{Batch: 3, Entries: 5, Fields: 2, Rows: 7, Out: 3}), bagCase(BagShape{Batch: 40, Entries: 9, Fields: 4, Rows: 20, Out: 70}))
}

// TestLayersForward compares each layer with its definition in float64, and sees that borders stay zero.
func TestLayersForward(t *testing.T) {
	eachTier(t, func(t *testing.T, tr *tier) {
		for _, c := range layerCases() {
			dev := mustCPU(t, 2, tr)
			rng := rand.New(rand.NewPCG(1, 2))
			x, params := c.items(rng), randomParams(rng, c.shape)
			y := dev.Alloc(c.batch * c.shape.Output())
			newLayer(t, dev, c.shape).Forward(c.batch, bordered(dev, x, c.batch, c.in), params, y)
			got := inner(y, c.batch, c.out)
			for i, want := range c.naive(x, params) {
				if math.Abs(float64(got[i])-want) > 2e-4 {
					t.Fatalf("%T %+v: y[%d] = %g, want %g", c.shape, c.shape, i, got[i], want)
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
				t.Fatalf("%T %+v: the border of y was written", c.shape, c.shape)
			}
		}
	})
}

// TestLayersBackward compares the gradients with central differences of the float64 definition.
func TestLayersBackward(t *testing.T) {
	eachTier(t, func(t *testing.T, tr *tier) {
		for _, c := range layerCases() {
			dev := mustCPU(t, 2, tr)
			rng := rand.New(rand.NewPCG(7, 8))
			x, params := c.items(rng), randomParams(rng, c.shape)
			dy := random(rng, c.batch*c.out.values())
			objective := func() (sum float64) {
				for i, v := range c.naive(x, params) {
					sum += v * float64(dy[i])
				}
				return sum
			}
			l := newLayer(t, dev, c.shape)
			bx := bordered(dev, x, c.batch, c.in)
			y, dx, grads := dev.Alloc(c.batch*c.shape.Output()), dev.Alloc(bx.Len()), gradsOf(dev, c.shape)
			for range 2 { // a second pass must not add to the first
				l.Forward(c.batch, bx, params, y)
				l.Backward(c.batch, bx, params, y, bordered(dev, dy, c.batch, c.out), dx, grads)
			}
			for i, p := range c.shape.Parameters() {
				if p.Role.Trained() {
					compareGradient(t, fmt.Sprintf("%T %+v d%s", c.shape, c.shape, p.Name), rng, floats(params[i]), floats(grads[i]), objective)
				}
			}
			if c.shape.Differentiable() {
				compareGradient(t, fmt.Sprintf("%T %+v dx", c.shape, c.shape), rng, x, inner(dx, c.batch, c.in), objective)
			}
		}
	})
}

// compareGradient checks up to 16 elements of got against central differences of f in v. A difference across a kink of ReLU
// or pooling is recognised by its one-sided slopes and not compared; nearly all must remain.
func compareGradient(t *testing.T, what string, rng *rand.Rand, v, got []float32, f func() float64) {
	t.Helper()
	const h = 1.0 / 4096
	n, kinks := min(16, len(v)), 0
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

// TestNormalizeZeroRow: a row without direction stays finite, forward and backward.
func TestNormalizeZeroRow(t *testing.T) {
	dev := mustCPU(t, 1, best)
	s := NormalizeShape{Batch: 1, Cols: 5}
	x, y, dy, dx := dev.Alloc(5), dev.Alloc(5), bufferOf([]float32{1, 2, 3, 4, 5}), dev.Alloc(5)
	l := newLayer(t, dev, s)
	l.Forward(1, x, nil, y)
	l.Backward(1, x, nil, y, dy, dx, nil)
	for i, v := range append(append([]float32(nil), floats(y)...), floats(dx)...) {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			t.Fatalf("element %d is %g", i, v)
		}
	}
}

// TestFold: after one batch at momentum 1 the running statistics are the batch's, and the folded layer gives the same output; on a
// single item, too.
func TestFold(t *testing.T) {
	eachTier(t, func(t *testing.T, tr *tier) {
		for _, c := range layerCases() {
			dev := mustCPU(t, 2, tr)
			l := newLayer(t, dev, c.shape)
			var folded Shape
			var fold func([][]float32) [][]float32
			switch s := c.shape.(type) {
			case NormConvShape:
				l.(*cpuNormConv).momentum = 1
				s.InputGrad = false
				folded, fold = s.ConvShape, func(p [][]float32) [][]float32 { w, b := s.Fold(p); return [][]float32{w, b} }
			case ResidualShape:
				r := l.(*cpuResidual)
				r.first.momentum, r.second.momentum = 1, 1
				if r.projection != nil {
					r.projection.momentum = 1
				}
				s.Folded, s.InputGrad = true, false
				folded, fold = s, s.Fold
			default:
				continue
			}
			rng := rand.New(rand.NewPCG(1, 2))
			x, params := bordered(dev, c.items(rng), c.batch, c.in), randomParams(rng, c.shape)
			y := dev.Alloc(c.batch * c.shape.Output())
			l.Forward(c.batch, x, params, y)
			var host [][]float32
			for _, p := range params {
				host = append(host, floats(p))
			}
			var biased []Buffer
			for _, p := range fold(host) {
				biased = append(biased, bufferOf(p))
			}
			got, one := dev.Alloc(y.Len()), dev.Alloc(c.shape.Output())
			newLayer(t, dev, folded).Forward(c.batch, x, biased, got)
			newLayer(t, dev, folded).Forward(1, x, biased, one)
			for i, want := range floats(y) {
				if math.Abs(float64(floats(got)[i]-want)) > 1e-4 {
					t.Fatalf("%T %+v: folded y[%d] = %g, want %g", c.shape, c.shape, i, floats(got)[i], want)
				}
			}
			mustEqual(t, "a single item", 1, floats(one), floats(got)[:one.Len()])
		}
	})
}

// TestThreadsGiveTheSameBits runs every layer on 1 to 5 threads.
func TestThreadsGiveTheSameBits(t *testing.T) {
	eachTier(t, func(t *testing.T, tr *tier) {
		for _, c := range layerCases() {
			var first string
			for threads := 1; threads <= 5; threads++ {
				dev := mustCPU(t, threads, tr)
				rng := rand.New(rand.NewPCG(4, 4))
				x := bordered(dev, c.items(rng), c.batch, c.in)
				dy := bordered(dev, random(rng, c.batch*c.out.values()), c.batch, c.out)
				params, grads := randomParams(rng, c.shape), gradsOf(dev, c.shape)
				y, dx := dev.Alloc(c.batch*c.shape.Output()), dev.Alloc(x.Len())
				l := newLayer(t, dev, c.shape)
				l.Forward(c.batch, x, params, y)
				l.Backward(c.batch, x, params, y, dy, dx, grads)
				var bits []uint32
				for _, buf := range append(append([]Buffer{y, dx}, grads...), params...) {
					for _, v := range floats(buf) {
						bits = append(bits, math.Float32bits(v))
					}
				}
				got := fmt.Sprint(bits)
				if first == "" {
					first = got
				} else if got != first {
					t.Fatalf("%T %+v: %d threads give other bits than one", c.shape, c.shape, threads)
				}
			}
		}
	})
}

// TestPartialBatch: the first images of a batch do not depend on how many follow, where nothing is normalised over the batch.
func TestPartialBatch(t *testing.T) {
	for _, c := range layerCases() {
		switch c.shape.(type) {
		case NormConvShape, ResidualShape:
			continue
		}
		if c.batch < 2 {
			continue
		}
		dev := mustCPU(t, 2, best)
		rng := rand.New(rand.NewPCG(4, 4))
		x, params := bordered(dev, c.items(rng), c.batch, c.in), randomParams(rng, c.shape)
		l := newLayer(t, dev, c.shape)
		all, some := dev.Alloc(c.batch*c.shape.Output()), dev.Alloc(c.batch*c.shape.Output())
		l.Forward(c.batch, x, params, all)
		l.Forward(c.batch-1, x, params, some)
		n := (c.batch - 1) * c.shape.Output()
		mustEqual(t, "first images", n, floats(some)[:n], floats(all)[:n])
		for _, v := range floats(some)[n:] {
			if v != 0 {
				t.Fatalf("%+v: images beyond n were written", c.shape)
			}
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
		"border below the padding": func(s *ConvShape) { s.InPad = 0 }, "add with pool": func(s *ConvShape) { s.Add = true },
	} {
		s := good
		change(&s)
		if _, err := dev.NewLayer(s); err == nil {
			t.Errorf("%s was accepted", name)
		}
		if _, err := dev.NewLayer(NormConvShape{s}); err == nil {
			t.Errorf("%s with normalisation was accepted", name)
		}
	}
	for _, s := range []Shape{
		LinearShape{Batch: 1, In: 0, Out: 1}, NormalizeShape{}, GlobalPoolShape{}, StatisticsShape{}, FixedShape{Batch: 1, In: 1}, BesideShape{}, BesideShape{LinearShape{Batch: 1, In: 2, Out: 1}, 3}, BesideShape{LinearShape{Batch: 1, In: 2, Out: 1}, 0}, BandsShape{}, BandsShape{1, 2, 3, 4, -1}, CellsShape{}, CellsShape{1, 4, 4, 1, 1, 0}, CellsShape{1, 4, 3, 1, 4, 0}, CellsShape{1, 4, 4, 1, 4, -1}, ResidualShape{}, ResidualShape{Batch: 1, Height: 4, Width: 4, Channels: 1, Filters: 1, Stride: 1},
		ResidualShape{Batch: 1, Height: 4, Width: 4, Channels: 1, Filters: 1, Stride: 1, InPad: 1, Folded: true, InputGrad: true}, unknownShape{},
		BagShape{Batch: 1, Entries: 1, Fields: 1, Rows: 1, Out: 1}, BagShape{Batch: 1, Entries: 1, Fields: 2, Out: 1}, BagShape{Batch: 1, Entries: 1, Fields: 2, Rows: MaxBagRow + 1, Out: 1},
	} {
		if _, err := dev.NewLayer(s); err == nil {
			t.Errorf("%T %+v was accepted", s, s)
		}
	}
}

// unknownShape is a shape of another device.
type unknownShape struct{ NormalizeShape }

func (unknownShape) Validate() error { return nil }

// TestNaNPassesThrough: ReLU and normalisation must not hide a NaN, or training would not notice that it diverged.
func TestNaNPassesThrough(t *testing.T) {
	eachTier(t, func(t *testing.T, tr *tier) {
		for _, s := range []Shape{
			ConvShape{Batch: 1, Height: 4, Width: 4, Channels: 2, Filters: 17, Kernel: 3, InPad: 1, Stride: 1, ReLU: true},
			NormConvShape{ConvShape{Batch: 1, Height: 4, Width: 4, Channels: 2, Filters: 17, Kernel: 3, InPad: 1, Stride: 1, ReLU: true}},
			LinearShape{Batch: 1, In: 72, Out: 17, ReLU: true},
		} {
			dev := mustCPU(t, 1, tr)
			rng := rand.New(rand.NewPCG(1, 2))
			x, params, y := bufferOf(random(rng, 72)), randomParams(rng, s), dev.Alloc(s.Output())
			for i := range floats(params[0]) {
				floats(params[0])[i] = float32(math.NaN())
			}
			newLayer(t, dev, s).Forward(1, x, params, y)
			for i, v := range floats(y) {
				if v == v {
					t.Fatalf("%T: y[%d] is %g with NaN weights", s, i, v)
				}
			}
		}
	})
}

// TestVarianceOfLargeMean: once the running mean has arrived, the variance keeps its digits however far the values are from zero.
func TestVarianceOfLargeMean(t *testing.T) {
	eachTier(t, func(t *testing.T, tr *tier) {
		dev := mustCPU(t, 1, tr)
		s := NormConvShape{ConvShape{Batch: 4, Height: 16, Width: 16, Channels: 1, Filters: 16, Kernel: 1, Stride: 1}}
		rng := rand.New(rand.NewPCG(1, 2))
		x, params := random(rng, 4*16*16), randomParams(rng, s)
		var mean, square float64
		for i := range x {
			x[i] = 1000 + x[i]
		}
		for i := range floats(params[0]) {
			floats(params[0])[i] = 1
		}
		for _, v := range x {
			mean += float64(v) / float64(len(x))
		}
		for _, v := range x {
			square += (float64(v) - mean) * (float64(v) - mean) / float64(len(x))
		}
		l := newConvWithMomentum(t, dev, s)
		for range 2 { // the first pass moves the running mean
			l.Forward(4, bufferOf(x), params, dev.Alloc(4*s.Output()))
		}
		for _, v := range floats(params[4]) {
			if math.Abs(float64(v)-square) > 1e-3*square {
				t.Fatalf("variance %g, want %g", v, square)
			}
		}
	})
}

// newConvWithMomentum makes a normalised convolution whose running statistics are those of the last batch.
func newConvWithMomentum(t *testing.T, dev Device, s NormConvShape) Layer {
	t.Helper()
	l := newLayer(t, dev, s)
	l.(*cpuNormConv).momentum = 1
	return l
}
