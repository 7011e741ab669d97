package kernel

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"unsafe"
)

// eachBF16 runs f on the reference and on every bf16 tier of this machine.
func eachBF16(t *testing.T, f func(t *testing.T, b *bf16Tier)) {
	for _, b := range append(supportedBF16(), bf16Reference) {
		t.Run(b.name, func(t *testing.T) {
			if b.permit != nil {
				if err := b.permit(); err != nil {
					t.Skipf("the system refuses %s: %v", b.name, err)
				}
			}
			f(t, b)
		})
	}
}

// TestBF16Rounding compares each tier with the definition, bit for bit: the nearest of the two neighbours, of equally near ones the even.
func TestBF16Rounding(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	values := []float32{0, float32(math.Copysign(0, -1)), 1, 1 + 0x1p-8, 1 + 0x3p-8, 1 + 0x1p-8 + 0x1p-20, float32(math.Inf(1)), float32(math.Inf(-1)),
		math.MaxFloat32, -math.MaxFloat32, 0x1p-126, 0x1p-127, -0x1p-140, 0x1.fep127, 0x1.ffp127, float32(math.NaN()), math.Float32frombits(0xff800001), math.Float32frombits(0x7fc12345)}
	for len(values)%bf16Channels != 0 || len(values) < 4096 {
		v := math.Float32frombits(rng.Uint32())
		values = append(values, v)
	}
	naive := func(v float32) uint16 {
		down := uint16(math.Float32bits(v) >> 16)
		up := down + 1
		if v != v {
			return down | 0x40
		}
		if math.Abs(float64(v)) < 0x1p-126 {
			return down & 0x8000
		}
		below := math.Abs(float64(v) - float64(bf16Float(down)))
		above := math.Abs(float64(bf16Float(up)) - float64(v))
		if down&0x7fff == 0x7f7f { // the next would be 2^128
			above = 0x1p128 - math.Abs(float64(v))
		}
		if below < above || below == above && down&1 == 0 || math.IsInf(float64(v), 0) {
			return down
		}
		return up
	}
	eachBF16(t, func(t *testing.T, b *bf16Tier) {
		for n := bf16Channels; n <= len(values); n += 5 * bf16Channels {
			got := make([]uint16, n+1)
			b.roundTo(got, values[:n])
			for i, v := range values[:n] {
				if want := naive(v); got[i] != want {
					t.Fatalf("%d values: bf16(%g = %#x) = %#x, want %#x", n, v, math.Float32bits(v), got[i], want)
				}
			}
			if got[n] != 0 {
				t.Fatalf("%d values: one more was written", n)
			}
		}
	})
}

// TestBF16Packing compares pairs and transposition with their definition, and sees that nothing else is written.
func TestBF16Packing(t *testing.T) {
	eachBF16(t, func(t *testing.T, b *bf16Tier) {
		rng := rand.New(rand.NewPCG(1, 2))
		for rows := 1; rows <= 70; rows++ {
			for _, cols := range []int{16, 32, 48} {
				ld := cols + rows%3
				src := random(rng, (rows-1)*ld+cols)
				if cols <= bf16Panel {
					n := (rows + 1) / 2 * cols
					got := alignedPairs(n + 16)
					b.pairRows(got, src, ld, rows, cols)
					for i, v := range got {
						var want uint32
						if r, j := i/cols*2, i%cols; i < n {
							want = uint32(bf16Of(src[r*ld+j]))
							if r+1 < rows {
								want |= uint32(bf16Of(src[(r+1)*ld+j])) << 16
							}
						}
						if v != want {
							t.Fatalf("%d × %d: pair %d is %#x, want %#x", rows, cols, i, v, want)
						}
					}
				}
				dstRow := rows + 1 + rows%5
				got := alignedBF16(cols * dstRow)
				b.transposeRows(got, src, dstRow, ld, rows, cols)
				for i, v := range got {
					var want uint16
					if r := i % dstRow; r < rows {
						want = bf16Of(src[r*ld+i/dstRow])
					}
					if v != want {
						t.Fatalf("%d × %d transposed: %d is %#x, want %#x", rows, cols, i, v, want)
					}
				}
			}
		}
	})
}

// TestBF16Products compares run with a product in float64, for every height, with blocks and segments.
func TestBF16Products(t *testing.T) {
	eachBF16(t, func(t *testing.T, b *bf16Tier) {
		rng := rand.New(rand.NewPCG(1, 3))
		for rows := 1; rows <= 70; rows++ {
			for _, cols := range []int{bf16Channels, bf16Panel} {
				n, segs, steps, add := 1+rng.IntN(5), 1+rng.IntN(3), 1+rng.IntN(3), rng.IntN(2)
				if rows == 3 {
					n = 70 // more than a call takes
				}
				kc := steps * pairStep
				aRow, aSeg, aBlock := 2*kc+2*rng.IntN(3), 2*rng.IntN(4), 2*rng.IntN(40)
				cRow := cols + rng.IntN(3)
				cBlock := rows*cRow + rng.IntN(3)
				a := alignedBF16(n*aBlock + rows*aRow + segs*(2*kc+aSeg))
				panel := alignedBF16(2 * segs * kc * cols)
				b.roundTo(a[:len(a)&^15], random(rng, len(a)&^15))
				b.roundTo(panel, random(rng, len(panel)))
				c := random(rng, n*cBlock)
				want := widen(c)
				for block := range n {
					for i := range rows {
						for j := range cols {
							var sum float64
							for s := range segs {
								for k := range 2 * kc {
									x, y := a[block*aBlock+i*aRow+s*(2*kc+aSeg)+k], panel[((s*kc+k/2)*cols+j)*2+k%2]
									sum += float64(bf16Float(x)) * float64(bf16Float(y))
								}
							}
							want[block*cBlock+i*cRow+j] = sum + float64(add)*float64(c[block*cBlock+i*cRow+j])
						}
					}
				}
				tl := tile{a: unsafe.Pointer(&a[0]), b: unsafe.Pointer(&panel[0]), c: unsafe.Pointer(&c[0]), ars: 2 * aRow, acs: 4, aseg: 2 * aSeg,
					brs: 4 * cols, crs: 4 * cRow, kc: kc, segs: segs, flags: add * tileAdd}
				b.run(&tl, rows, cols, n, 2*aBlock, 4*cBlock)
				for i, v := range c {
					if math.Abs(float64(v)-want[i]) > 1e-5*float64(segs*kc) {
						t.Fatalf("%d × %d, %d blocks, %d segments of %d pairs, add %d: [%d] = %g, want %g", rows, cols, n, segs, kc, add, i, v, want[i])
					}
				}
			}
		}
	})
}

// bf16Cases are layers that multiply in bf16.
func bf16Cases() (all []layerCase) {
	for _, s := range []ConvShape{
		{Batch: 11, Height: 7, Width: 7, Channels: 16, Filters: 16, Kernel: 3, InPad: 1, Stride: 1, ReLU: true, OutPad: 1, InputGrad: true},
		{Batch: 20, Height: 6, Width: 7, Channels: 32, Filters: 48, Kernel: 3, InPad: 2, Stride: 1, ReLU: true, Pool: true, InputGrad: true},
		{Batch: 2, Height: 5, Width: 20, Channels: 48, Filters: 32, Kernel: 5, InPad: 2, Stride: 1, OutPad: 1, InputGrad: true},
		{Batch: 3, Height: 9, Width: 8, Channels: 16, Filters: 32, Kernel: 3, InPad: 1, Stride: 2, InputGrad: true},
		{Batch: 2, Height: 8, Width: 7, Channels: 32, Filters: 16, Kernel: 1, InPad: 1, Stride: 2, InputGrad: true},
		{Batch: 2, Height: 8, Width: 9, Channels: 64, Filters: 16, Kernel: 1, InPad: 2, Stride: 1, InputGrad: true},
		{Batch: 2, Height: 9, Width: 40, Channels: 16, Filters: 16, Kernel: 7, InPad: 4, Stride: 3, InputGrad: true},
		{Batch: 2, Height: 5, Width: 5, Channels: 16, Filters: 16, Kernel: 3, InPad: 1, Stride: 4},
	} {
		all = append(all, convCase(s), normCase(s))
	}
	for _, s := range []ResidualShape{
		{Batch: 3, Height: 5, Width: 4, Channels: 16, Filters: 16, Stride: 1, InPad: 1, OutPad: 1, InputGrad: true},
		{Batch: 10, Height: 6, Width: 5, Channels: 16, Filters: 32, Stride: 2, InPad: 1, InputGrad: true},
	} {
		all = append(all, residualCase(s))
	}
	return all
}

// pass is what a layer computes.
func pass(t *testing.T, dev Device, c layerCase) (names []string, values [][]float32) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	x := bordered(dev, random(rng, c.batch*c.in.values()), c.batch, c.in)
	dy := bordered(dev, random(rng, c.batch*c.out.values()), c.batch, c.out)
	params, grads := randomParams(rng, c.shape), gradsOf(dev, c.shape)
	y, dx := dev.Alloc(c.batch*c.shape.Output()), dev.Alloc(x.Len())
	l := newLayer(t, dev, c.shape)
	for range 2 { // a second pass must not add to the first
		l.Forward(c.batch, x, params, y)
		l.Backward(c.batch, x, params, y, dy, dx, grads)
	}
	names, values = []string{"y", "dx"}, [][]float32{floats(y), floats(dx)}
	for i, p := range c.shape.Parameters() {
		if p.Role.Trained() {
			names, values = append(names, "d"+p.Name), append(values, floats(grads[i]))
		}
	}
	return names, values
}

// away is ‖got - want‖ / ‖want‖.
func away(got, want []float32) float64 {
	var d, n float64
	for i := range want {
		d += math.Pow(float64(got[i]-want[i]), 2)
		n += math.Pow(float64(want[i]), 2)
	}
	if d == 0 {
		return 0
	}
	return math.Sqrt(d / n)
}

func mustBF16(t *testing.T, threads int, b *bf16Tier) *cpuDevice {
	t.Helper()
	d := mustCPU(t, threads, best)
	d.bf16 = b
	return d
}

// TestBF16Layers compares outputs and gradients with the reference, which rounds the same factors, and with float32, whose gradients are
// checked by finite differences. A rounded factor is off by 2⁻⁹ at most, 0.0011 in the mean square. Where a value changes sides of a ReLU
// or a maximum its place, a gradient comes or goes: for some 0.3 % of the values, and the root of that in the norm.
func TestBF16Layers(t *testing.T) {
	cases := bf16Cases()
	oracles := make([][][]float32, len(cases)) // the reference is slow: once
	for i, c := range cases {
		_, oracles[i] = pass(t, mustBF16(t, 1, bf16Reference), c)
	}
	eachBF16(t, func(t *testing.T, b *bf16Tier) {
		for k, c := range cases {
			names, float := pass(t, mustCPU(t, 1, best), c)
			got := oracles[k]
			if b != bf16Reference {
				_, got = pass(t, mustBF16(t, 2, b), c)
			}
			same, kinks := true, true
			switch s := c.shape.(type) {
			case ConvShape:
				kinks = s.ReLU
			case NormConvShape:
				kinks = s.ReLU
			}
			for i, name := range names {
				if d := away(got[i], oracles[k][i]); !(d < 1e-3) {
					t.Errorf("%T %+v: %s is %.2g away from the reference", c.shape, c.shape, name, d)
				}
				d, limit := away(got[i], float[i]), 0.005
				if kinks && name != "y" {
					limit = 0.12
				}
				if !(d < limit) {
					t.Errorf("%T %+v: %s is %.2g away from float32", c.shape, c.shape, name, d)
				}
				same = same && d == 0
			}
			if same {
				t.Errorf("%T %+v: nothing was rounded", c.shape, c.shape)
			}
		}
	})
}

// TestBF16Threads: the bits do not depend on the number of threads.
func TestBF16Threads(t *testing.T) {
	eachBF16(t, func(t *testing.T, b *bf16Tier) {
		if b == bf16Reference && len(supportedBF16()) > 0 {
			return // slow, and its loops over images are those of the others
		}
		for _, c := range bf16Cases() {
			_, one := pass(t, mustBF16(t, 1, b), c)
			for _, threads := range []int{2, 3} {
				names, got := pass(t, mustBF16(t, threads, b), c)
				for i, name := range names {
					mustEqual(t, fmt.Sprintf("%T %+v, %d threads: %s", c.shape, c.shape, threads, name), len(got[i]), got[i], one[i])
				}
			}
		}
	})
}

// TestBF16UnderSignals: the collector stops threads by signals, which meet kernels in the middle; tiles must come through.
func TestBF16UnderSignals(t *testing.T) {
	eachBF16(t, func(t *testing.T, b *bf16Tier) {
		if b == bf16Reference {
			return // plain Go, which the runtime knows
		}
		c := bf16Cases()[4]
		names, want := pass(t, mustBF16(t, 2, b), c)
		done, stop := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			for {
				select {
				case <-stop:
					return
				default:
					runtime.GC()
				}
			}
		}()
		for range 20 {
			_, got := pass(t, mustBF16(t, 2, b), c)
			for i, name := range names {
				mustEqual(t, name, len(got[i]), got[i], want[i])
			}
		}
		close(stop)
		<-done
	})
}

// TestBF16LeavesNarrowLayers: what has no whole tiles of channels is computed in float32, to the same bits.
func TestBF16LeavesNarrowLayers(t *testing.T) {
	for _, s := range []ConvShape{
		{Batch: 2, Height: 5, Width: 5, Channels: 1, Filters: 16, Kernel: 3, InPad: 1, Stride: 1},
		{Batch: 2, Height: 5, Width: 5, Channels: 16, Filters: 17, Kernel: 3, InPad: 1, Stride: 1, InputGrad: true},
	} {
		names, got := pass(t, mustBF16(t, 1, bf16Reference), convCase(s))
		_, want := pass(t, mustCPU(t, 1, best), convCase(s))
		for i, name := range names {
			mustEqual(t, fmt.Sprintf("%+v: %s", s, name), len(got[i]), got[i], want[i])
		}
	}
}

func TestPickBF16(t *testing.T) {
	refused := errors.New("refused")
	low := &bf16Tier{name: "low"}
	high := &bf16Tier{name: "high", permit: func() error { return refused }}
	for _, c := range []struct {
		have []*bf16Tier
		env  string
		want *bf16Tier
		err  error
	}{
		{[]*bf16Tier{high, low}, "", low, nil}, {[]*bf16Tier{high, low}, "low", low, nil}, {[]*bf16Tier{high, low}, "high", nil, refused},
		{[]*bf16Tier{high, low}, "avx2", nil, ErrNoBF16}, {[]*bf16Tier{high}, "", nil, refused}, {nil, "", nil, ErrNoBF16},
	} {
		if got, err := pickBF16(c.have, c.env); got != c.want || !errors.Is(err, c.err) || err != nil && !errors.Is(err, ErrNoBF16) {
			t.Errorf("%d tiers, %q: %v, %v", len(c.have), c.env, got, err)
		}
	}
}

func TestPrecisions(t *testing.T) {
	for _, p := range []Precision{Float32, BF16} {
		var got Precision
		if err := got.UnmarshalText([]byte(p.String())); got != p || err != nil {
			t.Errorf("%v is read as %v, %v", p, got, err)
		}
		dev, err := NewCPUWith(1, p)
		if (err == nil) != (p.Supported() == nil) || p == BF16 && err != nil && !errors.Is(err, ErrNoBF16) {
			t.Errorf("a device of %v: %v", p, err)
		}
		if err == nil && strings.Contains(dev.Name(), "+") != (p == BF16) {
			t.Errorf("a device of %v is called %s", p, dev.Name())
		}
	}
	p := BF16
	if err := p.UnmarshalText([]byte("fp8")); err == nil || p != BF16 {
		t.Errorf("an unknown precision is read as %v, %v", p, err)
	}
	if _, err := NewCPUWith(1, 2); err == nil {
		t.Error("an unknown precision got a device")
	}
}
