package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func random(rng *rand.Rand, n int) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = rng.Float32()*2 - 1
	}
	return s
}

// eachTier runs f on every tier of this machine.
func eachTier(t *testing.T, f func(t *testing.T, tr *tier)) {
	for _, tr := range supported() {
		t.Run(tr.name, func(t *testing.T) { f(t, tr) })
	}
}

// naiveGemm is Gemm in float64.
func naiveGemm(transA, transB bool, m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int, accumulate bool) []float64 {
	out := make([]float64, m*n)
	for i := range m {
		for j := range n {
			var s float64
			if accumulate {
				s = float64(c[i*ldc+j])
			}
			for p := range k {
				x, y := i*lda+p, p*ldb+j
				if transA {
					x = p*lda + i
				}
				if transB {
					y = j*ldb + p
				}
				s += float64(a[x]) * float64(b[y])
			}
			out[i*n+j] = s
		}
	}
	return out
}

func checkGemmAgainstNaive(t *testing.T, tr *tier, seed uint64, m, n, k, pad int, transA, transB, accumulate bool) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	lda, ldb, ldc := k+pad, n+pad, n+pad
	ra, rb := m, k
	if transA {
		lda, ra = m+pad, k
	}
	if transB {
		ldb, rb = k+pad, n
	}
	a, b, c := random(rng, ra*lda), random(rng, rb*ldb), random(rng, m*ldc)
	before := append([]float32(nil), c...)
	want := naiveGemm(transA, transB, m, n, k, a, lda, b, ldb, c, ldc, accumulate)
	gemm(tr, transA, transB, m, n, k, a, lda, b, ldb, c, ldc, accumulate)
	tol := 2e-6 * float64(k+8)
	for i := range m {
		for j := range ldc {
			got := c[i*ldc+j]
			if j >= n {
				if got != before[i*ldc+j] {
					t.Fatalf("%s m=%d n=%d k=%d: column %d beyond C was written", tr.name, m, n, k, j)
				}
				continue
			}
			if math.Abs(float64(got)-want[i*n+j]) > tol {
				t.Fatalf("%s m=%d n=%d k=%d tA=%v tB=%v acc=%v pad=%d seed=%d: C[%d,%d] = %g, want %g", tr.name, m, n, k, transA, transB, accumulate, pad, seed, i, j, got, want[i*n+j])
			}
		}
	}
}

func TestGemmEveryEdge(t *testing.T) {
	eachTier(t, func(t *testing.T, tr *tier) {
		for n := 1; n <= 70; n++ {
			for _, m := range []int{1, 2, 3, 5, 6, 7, 13, 14, 15, 23, 24, 25, 29, 49} {
				flags := n*31 + m
				checkGemmAgainstNaive(t, tr, uint64(flags), m, n, 1+flags%37, flags%3, flags&1 != 0, flags&2 != 0, flags&4 != 0)
			}
		}
		for _, k := range []int{255, 256, 257, 511, 513, 1100} { // around the panel's depth
			for f := range 8 {
				checkGemmAgainstNaive(t, tr, uint64(k), 19, 45, k, f%2, f&1 != 0, f&2 != 0, f&4 != 0)
			}
		}
	})
}

func FuzzGemm(f *testing.F) {
	f.Add(uint64(1), uint16(14), uint16(33), uint16(300), uint8(7))
	f.Fuzz(func(t *testing.T, seed uint64, m, n, k uint16, flags uint8) {
		for _, tr := range supported() {
			checkGemmAgainstNaive(t, tr, seed, 1+int(m)%80, 1+int(n)%100, 1+int(k)%600, int(flags>>3)%5, flags&1 != 0, flags&2 != 0, flags&4 != 0)
		}
	})
}

func TestGemmWithoutTerms(t *testing.T) {
	c := []float32{1, 2, 3, 4}
	Gemm(false, false, 2, 2, 0, nil, 0, nil, 2, c, 2, true)
	if fmt.Sprint(c) != "[1 2 3 4]" {
		t.Errorf("adding an empty product changed C to %v", c)
	}
	Gemm(false, false, 2, 2, 0, nil, 0, nil, 2, c, 2, false)
	if fmt.Sprint(c) != "[0 0 0 0]" {
		t.Errorf("an empty product is %v, want zeros", c)
	}
}

func TestGemmPanicsOnShortSlices(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a short matrix was accepted: the assembly would read past it")
		}
	}()
	Gemm(false, false, 2, 2, 2, make([]float32, 3), 2, make([]float32, 4), 2, make([]float32, 4), 2, false)
}

// TestChannelLoops compares each loop over channels with its reference, at every number of channels.
func TestChannelLoops(t *testing.T) {
	eachTier(t, func(t *testing.T, tr *tier) {
		rng := rand.New(rand.NewPCG(3, 5))
		near := func(what string, f int, got, want []float32) {
			t.Helper()
			for i := range want {
				if math.Abs(float64(got[i]-want[i])) > 1e-4 {
					t.Fatalf("%s, %d channels: [%d] = %g, want %g", what, f, i, got[i], want[i])
				}
			}
		}
		for f := 1; f <= 70; f++ {
			pixels := 1 + f%9
			z, dv, skip := random(rng, f*pixels), random(rng, f*pixels), random(rng, f*pixels)
			a, b, k := random(rng, f), random(rng, f), random(rng, f)
			s1, s2, r1, r2 := make([]float32, f), make([]float32, f), make([]float32, f), make([]float32, f)
			tr.sumChannels(s1, s2, z, a)
			channelSumsReference(r1, r2, z, a, 0)
			near("sum", f, s1, r1)
			near("square", f, s2, r2)
			for _, m := range []active{{}, {y: skip}, {a: a, b: b}} {
				tr.sumChannelGrads(s1, s2, dv, z, m) // on top of what is there
				channelGradSumsReference(r1, r2, dv, z, m, 0)
			}
			near("gradient sum", f, s1, r1)
			near("gradient product", f, s2, r2)
			got, want := make([]float32, len(z)), make([]float32, len(z))
			for _, floor := range []float32{0, float32(math.Inf(-1))} {
				tr.affine(got, z, a, b, &[1]float32{floor})
				affineReference(want, z, a, b, floor, nil, nil, 0)
				near("affine", f, got, want)
				tr.affineSkip(got, z, a, b, &[1]float32{floor}, skip, k)
				affineReference(want, z, a, b, floor, skip, k, 0)
				near("affine with a skip", f, got, want)
			}
			for _, m := range []active{{}, {a: a, b: b}} {
				k := slices.Concat(a, b, k)
				tr.channelGrads(got, dv, z, k, m.a, m.b)
				channelGradsReference(want, dv, z, k, m, 0)
				near("gradient", f, got, want)
			}
		}
	})
}

// TestVectorLoops compares each element-wise loop with its reference at every length.
func TestVectorLoops(t *testing.T) {
	eachTier(t, func(t *testing.T, tr *tier) {
		rng := rand.New(rand.NewPCG(3, 4))
		for n := 1; n <= 100; n++ {
			y, dy := random(rng, n), random(rng, n)
			y[rng.IntN(n)] = 0
			got, want := random(rng, n), make([]float32, n)
			tr.zeroWhereInactive(got, y, dy)
			reluGradReference(want, y, dy)
			mustEqual(t, "reluGrad", n, got, want)

			sum := append([]float32(nil), y...)
			tr.add(sum, dy)
			for i := range want {
				want[i] = y[i] + dy[i]
			}
			mustEqual(t, "add", n, sum, want)

			scale := y[0]
			tr.plus(sum, y, &scale)
			for i := range want {
				want[i] += float32(y[i] * scale)
			}
			mustEqual(t, "plus", n, sum, want)
		}
	})
}

// TestPoolingLoops compares pooling and its gradient with the references, for whole blocks of channels and others.
func TestPoolingLoops(t *testing.T) {
	eachTier(t, func(t *testing.T, tr *tier) {
		rng := rand.New(rand.NewPCG(3, 6))
		for f := 1; f <= 66; f++ {
			for _, pixels := range []int{1, 2, 5} {
				var rows [2][]float32
				for j := range rows {
					rows[j] = random(rng, 2*pixels*f)
					for i := range rows[j] { // ties and all-negative pixels
						rows[j][i] = float32(math.Round(float64(rows[j][i])*3)) / 3
					}
				}
				n := pixels * f
				got, want, idx, wantIdx := make([]float32, n), make([]float32, n), make([]int32, n), make([]int32, n)
				tr.poolRow(got, idx, rows[0], rows[1], f)
				maxPoolReference(want, wantIdx, rows[0], rows[1], f)
				mustEqual(t, "maxPool", f, got, want)
				if fmt.Sprint(idx) != fmt.Sprint(wantIdx) {
					t.Fatalf("maxPool f=%d: places %v, want %v", f, idx, wantIdx)
				}
				dy := random(rng, n)
				a, b := random(rng, 4*n), make([]float32, 4*n)
				tr.unpoolRow(dy, idx, a[:2*n], a[2*n:], f)
				maxPoolGradReference(dy, idx, b[:2*n], b[2*n:], f)
				mustEqual(t, "maxPoolGrad", f, a, b)
			}
		}
	})
}

func mustEqual(t *testing.T, what string, n int, got, want []float32) {
	t.Helper()
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("%s n=%d: [%d] = %g, want %g", what, n, i, got[i], want[i])
		}
	}
}

// TestAdam follows the paper's update in float64 for a few steps.
func TestAdam(t *testing.T) {
	eachTier(t, func(t *testing.T, tr *tier) {
		const n = adamChunk + 37
		dev := mustCPU(t, 2, tr)
		rng := rand.New(rand.NewPCG(5, 6))
		w, g, m, v := bufferOf(random(rng, n)), dev.Alloc(n), dev.Alloc(n), dev.Alloc(n)
		ref := make([]float64, n)
		rm, rv := make([]float64, n), make([]float64, n)
		for i, x := range floats(w) {
			ref[i] = float64(x)
		}
		for step := 1; step <= 5; step++ {
			copy(floats(g), random(rng, n))
			s := AdamStep{Rate: 0.01, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, Decay: 0.1, Step: step}
			dev.Adam(w, g, m, v, s)
			for i, x := range floats(g) {
				gi := float64(x)
				rm[i] = s.Beta1*rm[i] + (1-s.Beta1)*gi
				rv[i] = s.Beta2*rv[i] + (1-s.Beta2)*gi*gi
				mh, vh := rm[i]/(1-math.Pow(s.Beta1, float64(step))), rv[i]/(1-math.Pow(s.Beta2, float64(step)))
				ref[i] -= s.Rate * (mh/(math.Sqrt(vh)+s.Epsilon) + s.Decay*ref[i])
			}
		}
		for i, x := range floats(w) {
			if math.Abs(float64(x)-ref[i]) > 1e-5 {
				t.Fatalf("w[%d] = %g, want %g", i, x, ref[i])
			}
		}
	})
}

// TestAdamKeepsNoSubnormals: the moments of parameters without gradient end at zero, on every tier and in every lane.
func TestAdamKeepsNoSubnormals(t *testing.T) {
	eachTier(t, func(t *testing.T, tr *tier) {
		const n = 37
		dev := mustCPU(t, 1, tr)
		w, g, m, v := dev.Alloc(n), dev.Alloc(n), dev.Alloc(n), dev.Alloc(n)
		for i := range n {
			floats(g)[i] = 1e-20 * float32(1-2*(i%2))
		}
		s := AdamStep{Rate: 0.01, Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8, Step: 1}
		dev.Adam(w, g, m, v, s)
		clear(floats(g))
		for s.Step = 2; s.Step < 3000; s.Step++ {
			dev.Adam(w, g, m, v, s)
			for i := range n {
				for _, x := range []float32{floats(m)[i], floats(v)[i]} {
					if x != 0 && math.Abs(float64(x)) < 0x1p-126 {
						t.Fatalf("step %d: moment %d is %g", s.Step, i, x)
					}
				}
			}
		}
		for i, x := range floats(m) {
			if x != 0 {
				t.Fatalf("moment %d stays at %g", i, x)
			}
		}
	})
}

func mustCPU(t *testing.T, threads int, tr *tier) *cpuDevice {
	t.Helper()
	d, err := newCPU(threads, tr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestPickTier(t *testing.T) {
	for _, tr := range supported() {
		if got, err := pick(supported(), tr.name); err != nil || got != tr {
			t.Errorf("pick(%q) = %v, %v", tr.name, got, err)
		}
	}
	for _, b := range supportedBF16() {
		if got, err := pick(supported(), b.name); err != nil || got.name != "avx512" {
			t.Errorf("pick(%q) = %v, %v", b.name, got, err)
		}
	}
	if _, err := pick(supported(), "mmx"); err == nil {
		t.Error("an unknown tier was accepted")
	}
}

func TestThreadLimits(t *testing.T) {
	for _, n := range []int{-1, MaxThreads + 1} {
		if _, err := NewCPU(n); err == nil {
			t.Errorf("%d threads were accepted", n)
		}
	}
}
