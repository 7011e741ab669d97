package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestMomentum follows the update rules in float64 for a few steps, plain and Nesterov; Nesterov's as the paper states it, with the
// gradient taken at the point looked ahead to, on a quadratic.
func TestMomentum(t *testing.T) {
	const n = 133
	for _, nesterov := range []bool{false, true} {
		dev := mustCPU(t, 1, best)
		rng := rand.New(rand.NewPCG(5, 6))
		w, g, v := bufferOf(random(rng, n)), dev.Alloc(n), dev.Alloc(n)
		curvature := random(rng, n) // the loss is Σ ½·c²·w²
		theta, velocity := make([]float64, n), make([]float64, n)
		for i, x := range floats(w) {
			theta[i] = float64(x)
		}
		s := MomentumStep{Rate: 0.05, Momentum: 0.9, Decay: 0.01, Nesterov: nesterov}
		for range 8 {
			for i, x := range floats(w) {
				c := float64(curvature[i])
				floats(g)[i] = float32(c * c * float64(x))
				at := theta[i]
				if nesterov { // theta is the paper's θ; w is θ + μ·v
					at += s.Momentum * velocity[i]
				}
				velocity[i] = s.Momentum*velocity[i] - s.Rate*(c*c+s.Decay)*at
				theta[i] += velocity[i]
			}
			dev.Momentum(w, g, v, s)
		}
		for i, x := range floats(w) {
			want := theta[i]
			if nesterov {
				want += s.Momentum * velocity[i]
			}
			if math.Abs(float64(x)-want) > 1e-5 {
				t.Fatalf("nesterov %v: w[%d] = %g, want %g", nesterov, i, x, want)
			}
		}
	}
}

// TestMomentumKeepsNoSubnormals: the velocity of a parameter without gradient ends at zero.
func TestMomentumKeepsNoSubnormals(t *testing.T) {
	dev := mustCPU(t, 1, best)
	w, g, v := dev.Alloc(1), dev.Alloc(1), dev.Alloc(1)
	floats(v)[0] = 1e-20
	for range 3000 {
		dev.Momentum(w, g, v, MomentumStep{Rate: 0.1, Momentum: 0.9})
		if x := floats(v)[0]; x != 0 && x < 0x1p-126 {
			t.Fatalf("a velocity of %g", x)
		}
	}
	if x := floats(v)[0]; x != 0 {
		t.Fatalf("the velocity stays at %g", x)
	}
}

func TestAveragesAndNorms(t *testing.T) {
	eachTier(t, func(t *testing.T, tr *tier) {
		dev := mustCPU(t, 1, tr)
		rng := rand.New(rand.NewPCG(7, 8))
		for n := 1; n < 70; n++ {
			a, b := random(rng, n), random(rng, n)
			sum, mean := dev.Alloc(n), dev.Alloc(n)
			copy(floats(sum), a)
			copy(floats(mean), a)
			dev.Accumulate(sum, bufferOf(b))
			dev.Average(mean, bufferOf(b), 0.7)
			square := 0.0
			for i := range n {
				if want := float64(a[i]) + float64(b[i]); math.Abs(float64(floats(sum)[i])-want) > 1e-6 {
					t.Fatalf("n=%d: sum[%d] = %g, want %g", n, i, floats(sum)[i], want)
				}
				if want := 0.7*float64(a[i]) + 0.3*float64(b[i]); math.Abs(float64(floats(mean)[i])-want) > 1e-6 {
					t.Fatalf("n=%d: average[%d] = %g, want %g", n, i, floats(mean)[i], want)
				}
				square += float64(a[i]) * float64(a[i])
			}
			if got, want := dev.Norm(bufferOf(a)), math.Sqrt(square); math.Abs(got-want) > 1e-12*want {
				t.Fatalf("n=%d: norm %g, want %g", n, got, want)
			}
		}
	})
}
