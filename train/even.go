package train

import (
	"context"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
)

// Training on views alone leaves a few directions in which embeddings vary most: for what items look like besides what they are, as how far a
// letter leans. A search should not go by these alone, nor count directions that hardly vary as much. So the model's last linear layer brings all
// half way to one variance; it has the shape that it had. docs/decisions/0026-views-alone.md.
const (
	evenItems = 10_000 // that are looked at, at most
	evenLeast = 4      // items a dimension, at least, for their covariance to be worth going by
	evenFloor = 0.01   // a variance below this part of the mean one counts as this
)

// finishPictures evens out what was learned from views alone.
func (r *run) finishPictures(ctx context.Context, weights [][]float32) error {
	kind, err := ParseLoss(r.Loss)
	last := lastLinear(r.Network)
	if err != nil || !kind.views() || last != len(r.Network.Layers)-2 {
		return err
	}
	units := r.Network.Layers[last].Units
	plain := encoder.Layer{Kind: encoder.KindLinear, Units: units}
	if r.Network.Layers[last] != plain || min(len(r.features), evenItems) < evenLeast*units {
		return nil
	}
	x, err := r.embedded(ctx, weights)
	if err != nil {
		return err
	}
	return evenOut(x, weights[len(weights)-2], weights[len(weights)-1])
}

// embedded returns embeddings of training items as they are before they are brought to unit length.
func (r *run) embedded(ctx context.Context, weights [][]float32) (kernel.Matrix, error) {
	e, err := r.lengthy(r.Network, weights)
	if err != nil {
		return kernel.Matrix{}, err
	}
	var some []encoder.Features
	for i := 0; i < len(r.features); i += stride(len(r.features), evenItems) {
		some = append(some, r.features[i])
	}
	all, err := EncodeFeatures(ctx, e, some)
	return asLong(all), err
}

// lengthy returns an encoder whose embeddings have a further component, which is 1 before they are brought to unit length and tells by how much that was.
func (r *run) lengthy(n encoder.Network, weights [][]float32) (*encoder.Encoder, error) {
	n.Layers = slices.Clone(n.Layers)
	last := &n.Layers[len(n.Layers)-2]
	units := last.Units
	last.Units++
	weights = slices.Clone(weights)
	w, b := &weights[len(weights)-2], &weights[len(weights)-1]
	var wide []float32
	for row := range slices.Chunk(*w, units) {
		wide = append(append(wide, row...), 0)
	}
	*w, *b = wide, append(slices.Clone(*b), 1)
	return encoder.NewEncoder(&encoder.Model{Network: n, Preprocessing: r.pre, Weights: weights}, "", r.Threads)
}

// asLong returns embeddings of a lengthy encoder as long as they were, without their last component.
func asLong(all kernel.Matrix) kernel.Matrix {
	units := max(0, all.Cols-1)
	x := kernel.NewMatrix(all.Rows, units)
	for i := range all.Rows {
		row := all.Row(i)
		for j := range units {
			x.Row(i)[j] = row[j] / row[units]
		}
	}
	return x
}

// evenOut changes a linear layer with weights w (inputs × outputs) and biases b, which has made x, so that it makes Σ^(−1/4)·(x − mean), where Σ is
// the covariance of x: half of the way to whitening, of which the form that turns nothing is taken (ZCA; Bell & Sejnowski 1997).
func evenOut(x kernel.Matrix, w, b []float32) error {
	d := x.Cols
	covariance := covarianceOf(x)
	floor := evenFloor * mat.Trace(covariance) / float64(d)
	var e mat.EigenSym
	if !e.Factorize(covariance, true) {
		return fmt.Errorf("%w: the eigenvalues of the embeddings' covariance do not converge", ErrEvaluate)
	}
	if floor == 0 {
		return nil // all items are one point
	}
	factors := e.Values(nil)
	for i, v := range factors {
		factors[i] = math.Pow(max(v, floor), -0.25)
	}
	var v mat.Dense
	e.VectorsTo(&v)
	change := product(product(&v, mat.NewDiagDense(d, factors)), v.T())
	through := func(row []float32, from []float64) {
		y := make([]float64, d)
		for i, a := range row {
			for j := range y {
				y[j] += (float64(a) - from[i]) * change.At(i, j)
			}
		}
		for j := range y {
			row[j] = float32(y[j])
		}
	}
	mean, zero := make([]float64, d), make([]float64, d)
	for i := range x.Rows {
		for j, a := range x.Row(i) {
			mean[j] += float64(a) / float64(x.Rows)
		}
	}
	for row := range slices.Chunk(w, d) {
		through(row, zero)
	}
	through(b, mean)
	return nil
}
