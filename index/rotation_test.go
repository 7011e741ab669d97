package index

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestRotationKeepsProducts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, dim := range []int{1, 2, 3, 5, 12, 63, 64, 65, 100, 128, 784, MaxDimension} {
		rot := newRotation(dim, 7)
		a, b, center := make([]float32, dim), make([]float32, dim), make([]float32, dim)
		for i := range a {
			a[i], b[i], center[i] = float32(r.NormFloat64()), float32(r.NormFloat64()), float32(r.NormFloat64())
		}
		x, y := make([]float32, dim), make([]float32, dim)
		rot.apply(x, a, center)
		rot.apply(y, b, center)
		var got, want, scale float64
		for i := range a {
			got += float64(x[i]) * float64(y[i])
			p := (float64(a[i]) - float64(center[i])) * (float64(b[i]) - float64(center[i]))
			want += p
			scale += math.Abs(p)
		}
		if math.Abs(got-want) > 1e-6*(scale+1) {
			t.Errorf("dim %d: product %v, want %v", dim, got, want)
		}
	}
}

// TestRotationSpreads: a vector of one component becomes one whose components are of one size.
func TestRotationSpreads(t *testing.T) {
	for _, dim := range []int{64, 100, 128, 784} {
		rot := newRotation(dim, 7)
		for i := range dim {
			v, out := make([]float32, dim), make([]float32, dim)
			v[i] = 1
			rot.apply(out, v, make([]float32, dim))
			if most := float64(slices.Max(out)); most > 0.5 {
				t.Fatalf("dim %d: component %d becomes one of %v", dim, i, most)
			}
		}
	}
	if slices.Equal(newRotation(100, 1).from, newRotation(100, 2).from) || !slices.Equal(newRotation(100, 1).sign, newRotation(100, 1).sign) {
		t.Error("the rotation does not depend on its seed")
	}
}
