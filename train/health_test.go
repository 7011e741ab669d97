package train

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/akin-search/akin/encoder/kernel"
)

// TestHealthAgainstFormulas: the measures straight from their papers, the rank from the singular values of the centred rows.
func TestHealthAgainstFormulas(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, rows := range []int{2, 5, 40, 300} {
		emb, mates := unitRows(rng, rows, 7, 0.8), unitRows(rng, rows, 7, 0.8)
		got, err := MeasureHealth(emb, mates)
		if err != nil {
			t.Fatal(err)
		}
		e, m := widen(emb), widen(mates)
		distance := func(a, b []float64) (d float64) {
			for k := range a {
				d += (a[k] - b[k]) * (a[k] - b[k])
			}
			return d
		}
		var want Health
		mean, pairs := make([]float64, 7), 0.0
		for i := range e {
			want.Alignment += distance(e[i], m[i]) / float64(rows)
			for k, x := range e[i] {
				mean[k] += x / float64(rows)
			}
			for j := range i {
				want.Uniformity += math.Exp(-2 * distance(e[i], e[j]))
				pairs++
			}
		}
		want.Uniformity = math.Log(want.Uniformity / pairs)
		centred := mat.NewDense(rows, 7, nil)
		for i := range e {
			want.Variance += distance(e[i], mean) / float64(rows)
			for k, x := range e[i] {
				centred.Set(i, k, x-mean[k])
			}
		}
		var svd mat.SVD
		if !svd.Factorize(centred, mat.SVDNone) {
			t.Fatal("no singular values")
		}
		sum, entropy := 0.0, 0.0
		for _, s := range svd.Values(nil) {
			sum += s
		}
		for _, s := range svd.Values(nil) {
			if s > 1e-12 {
				entropy -= s / sum * math.Log(s/sum)
			}
		}
		want.EffectiveRank = math.Exp(entropy)
		for name, v := range map[string][2]float64{"variance": {got.Variance, want.Variance}, "rank": {got.EffectiveRank, want.EffectiveRank},
			"alignment": {got.Alignment, want.Alignment}, "uniformity": {got.Uniformity, want.Uniformity}} {
			if math.Abs(v[0]-v[1]) > 1e-5*(1+math.Abs(v[1])) {
				t.Errorf("%d rows: %s %g, want %g", rows, name, v[0], v[1])
			}
		}
	}
}

// TestHealthOfKnownSets: a point, a line, an orthonormal basis with its opposites.
func TestHealthOfKnownSets(t *testing.T) {
	measure := func(rows ...[]float32) Health {
		t.Helper()
		emb := kernel.MatrixOf(rows, len(rows[0]))
		h, err := MeasureHealth(emb, emb)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	if h := measure([]float32{0.6, 0.8}, []float32{0.6, 0.8}, []float32{0.6, 0.8}); h.Variance > 1e-12 || h.EffectiveRank != 0 || math.Abs(h.Uniformity) > 1e-6 {
		t.Errorf("a point: %+v", h)
	}
	if h := measure([]float32{0, 0}, []float32{0, 0}); h.Variance != 0 || h.EffectiveRank != 0 { // what a dead network makes
		t.Errorf("the origin: %+v", h)
	}
	if h := measure([]float32{1, 0, 0}, []float32{-1, 0, 0}); math.Abs(h.Variance-1) > 1e-9 || math.Abs(h.EffectiveRank-1) > 1e-3 || math.Abs(h.Uniformity+8) > 1e-6 {
		t.Errorf("a line: %+v", h)
	}
	if h := measure([]float32{1, 0, 0}, []float32{-1, 0, 0}, []float32{0, 1, 0}, []float32{0, -1, 0}, []float32{0, 0, 1}, []float32{0, 0, -1}); math.Abs(h.EffectiveRank-3) > 1e-9 {
		t.Errorf("three axes: %+v", h)
	}
	nan := float32(math.NaN())
	for name, m := range map[string]kernel.Matrix{"one row": kernel.NewMatrix(1, 3), "a NaN": kernel.MatrixOf([][]float32{{1, 0}, {nan, 0}}, 2)} {
		if _, err := MeasureHealth(m, m); !errors.Is(err, ErrEvaluate) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
