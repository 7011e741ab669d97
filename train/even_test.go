package train

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/akin-search/akin/encoder/kernel"
)

// TestEvenOut: what a linear layer makes has mean 0 and the square root of the covariance that it had.
func TestEvenOut(t *testing.T) {
	const items, in, out = 500, 9, 5
	rng := rand.New(rand.NewPCG(3, 4))
	normal := func(n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(rng.NormFloat64())
		}
		return v
	}
	h, w, b := normal(items*in), normal(in*out), normal(out)
	for i := range w {
		w[i] *= float32(1 + i%out) // some outputs vary more
	}
	layer := func() kernel.Matrix {
		x := kernel.NewMatrix(items, out)
		for i := range items {
			copy(x.Row(i), b)
		}
		kernel.Gemm(false, false, items, out, in, h, in, w, out, x.Data, out, true)
		return x
	}
	before := layer()
	if err := evenOut(before, w, b); err != nil {
		t.Fatal(err)
	}
	after := layer()
	for j := range out {
		mean := 0.0
		for i := range items {
			mean += float64(after.Row(i)[j]) / items
		}
		if math.Abs(mean) > 1e-4 {
			t.Errorf("output %d has mean %g", j, mean)
		}
	}
	root, want := covarianceOf(after), covarianceOf(before)
	if got := product(root, root); !mat.EqualApprox(got, want, 1e-3*mat.Trace(want)) {
		t.Errorf("the square of the covariance is %v, want %v", mat.Formatted(got), mat.Formatted(want))
	}

	point := kernel.NewMatrix(items, out)
	kept := slices.Clone(w)
	if err := evenOut(point, w, b); err != nil || !slices.Equal(kept, w) {
		t.Errorf("one point: %v, weights changed: %t", err, !slices.Equal(kept, w))
	}
}

// TestFinishPictures: after training on views alone, the model has the weights of the checkpoint but for the last layer; after other losses, or with few items,
// all of them.
func TestFinishPictures(t *testing.T) {
	for name, c := range map[string]struct {
		loss  string
		items int
		even  bool
	}{"views": {"ntxent", 200, true}, "labels": {"supcon", 200, false}, "few": {"ntxent", 30, false}} {
		t.Run(name, func(t *testing.T) {
			o := quick(c.loss)
			o.Epochs, o.Checkpoint = 1, filepath.Join(t.TempDir(), "c")
			m := mustRun(t, stripes(c.items, 1), Dataset{}, o)
			saved, err := openCheckpoint(o.Checkpoint)
			if err != nil {
				t.Fatal(err)
			}
			learned := saved.tables[tablesWeights]
			if len(learned) != len(m.Weights) {
				t.Fatalf("%d tables learned, %d in the model", len(learned), len(m.Weights))
			}
			for i, w := range m.Weights {
				if same, last := slices.Equal(w, learned[i]), i >= len(learned)-2; same == (last && c.even) {
					t.Errorf("table %d of %d is as it was learned: %t", i, len(learned), same)
				}
			}
		})
	}
}
