package train

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/akin-search/akin/encoder"
)

const (
	rowShrinkage   = 0.02  // of the covariance, towards that of features without any connection
	rowBeside      = 0.1   // of the weights that what is learned begins with
	rowUnlabelled  = 0.125 // of the distance of near rows by what is kept, by what is learned without labels
	rowConstant    = 3     // the component that makes directions of distances; a row is 1 long on average
	covarianceRows = 8000  // rows that the covariance is measured on, at most
	neighborRows   = 1500  // rows of which distances to the nearest are measured, at most
	mostDirections = 1024  // features beyond which they are first projected at random
)

// startRows sets the fixed first layer of a network of rows, from which the components that are kept come: a linear map under which the square of the distance of
// two rows is that of their features and that after whitening, each over the square of its median distance to the fifth nearest row, and a constant. By cosine
// the nearest are then nearly those by that distance. Whitening counts what is unusual for the rest of the row, however usual by itself.
func startRows(_ encoder.Preprocessing, n encoder.Network, weights [][]float32, features []encoder.Features, seed uint64) error {
	x := mat.NewDense((len(features)+stride(len(features), covarianceRows)-1)/stride(len(features), spreadRows), n.Input.Channels, nil)
	for i := range x.RawMatrix().Rows {
		for j, v := range features[i*stride(len(features), covarianceRows)].Data {
			x.Set(i, j, float64(v))
		}
	}
	project := randomProjection(n.Input.Channels, seed)
	if project != nil {
		x = product(x, project)
	}
	rows, cols := x.Dims()
	mean := mat.NewDense(1, cols, nil)
	for i := range rows {
		for j, v := range x.RawRowView(i) {
			mean.Set(0, j, mean.At(0, j)+v/float64(rows))
		}
	}
	for i := range rows {
		for j, v := range x.RawRowView(i) {
			x.Set(i, j, v-mean.At(0, j))
		}
	}
	var covariance mat.SymDense
	covariance.SymOuterK(1/float64(rows), x.T())
	var e mat.EigenSym
	if !e.Factorize(&covariance, true) {
		return fmt.Errorf("%w: the covariance of the features has no directions", ErrDataset)
	}
	variance, turn := e.Values(nil), mat.NewDense(cols, cols, nil)
	e.VectorsTo(turn)
	along := product(x, turn)
	white, weight, order := make([]float64, cols), make([]float64, cols), integers(cols)
	for j, v := range variance {
		variance[j] = max(0, v)
		white[j] = 1 / ((1-rowShrinkage)*variance[j] + rowShrinkage)
	}
	plain := slices.Repeat([]float64{1}, cols)
	unitPlain, unitWhite := nearDistance(along, plain), nearDistance(along, white)
	for j := range weight {
		weight[j] = plain[j]/unitPlain + white[j]/unitWhite
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(variance[b]*weight[b], variance[a]*weight[a]) })
	kept := len(weights[1]) - 1
	order = order[:min(kept, cols)]
	total := 0.0
	for _, j := range order {
		total += variance[j] * weight[j]
	}
	keep := mat.NewDense(cols, kept, nil)
	for k, j := range order { // what tells rows apart most comes first
		for i := range cols {
			keep.Set(i, k, turn.At(i, j)*math.Sqrt(weight[j]/cmp.Or(total, 1)))
		}
	}
	offset := product(mean, keep)
	if project != nil {
		keep = product(project, keep)
	}
	w, b := weights[0], weights[1]
	clear(w)
	for i := range n.Input.Channels {
		for k := range kept {
			w[i*(kept+1)+k] = float32(keep.At(i, k))
		}
	}
	for k := range kept {
		b[k] = float32(-offset.At(0, k))
	}
	b[kept] = rowConstant
	for i := range weights[len(weights)-2] {
		weights[len(weights)-2][i] *= rowBeside
	}
	return nil
}

// finishRows brings what was learned without labels down to a small part of the distance between rows: see rowUnlabelled. With
// labels it keeps the weight that it was learned with.
func (r *run) finishRows(ctx context.Context, weights [][]float32) error {
	kind, err := ParseLoss(r.Loss)
	layers := r.Network.Layers
	last := lastLinear(r.Network)
	if err != nil || kind.Labelled() || !layers[0].Fixed || layers[last].Keep == 0 {
		return err
	}
	e, err := r.encoder(weights)
	if err != nil {
		return err
	}
	var some []encoder.Features
	for i := 0; i < len(r.features); i += stride(len(r.features), neighborRows) {
		some = append(some, r.features[i])
	}
	all, err := EncodeFeatures(ctx, e, some)
	if err != nil {
		return err
	}
	kept := layers[last].Keep
	before, beside := mat.NewDense(all.Rows, kept, nil), mat.NewDense(all.Rows, all.Cols-kept, nil)
	for i := range all.Rows {
		for j, v := range all.Row(i) { // as it was before it was brought to unit length, by what is constant
			if v /= all.Row(i)[kept-1]; j < kept {
				before.Set(i, j, float64(v))
			} else {
				beside.Set(i, j-kept, float64(v))
			}
		}
	}
	distance := func(x *mat.Dense) float64 { return nearDistance(x, slices.Repeat([]float64{1}, x.RawMatrix().Cols)) }
	factor := float32(rowUnlabelled * math.Sqrt(distance(before)/distance(beside)))
	for _, w := range weights[len(weights)-2:] { // of the last linear layer: weights and biases
		for i := range w {
			w[i] *= factor
		}
	}
	return nil
}

// stride is the distance of most items that are spread over n.
func stride(n, most int) int { return max(1, (n+most-1)/most) }

func product(a, b mat.Matrix) *mat.Dense {
	var c mat.Dense
	c.Mul(a, b)
	return &c
}

// randomProjection returns a random map of many features to mostDirections, which nearly keeps distances (Johnson and Lindenstrauss 1984); nil where
// they are not so many.
func randomProjection(features int, seed uint64) *mat.Dense {
	if features <= mostDirections {
		return nil
	}
	rng := rand.New(rand.NewPCG(seed, 0x726f7773)) // "rows"
	p := mat.NewDense(features, mostDirections, nil)
	for i := range features {
		for j := range mostDirections {
			p.Set(i, j, rng.NormFloat64()/math.Sqrt(mostDirections))
		}
	}
	return p
}

// nearDistance returns the median, over one half of some rows, of the mean squared distance to the five nearest of the other half, with a weight a column; 1 where
// there are too few rows, or half of them have their like.
func nearDistance(x *mat.Dense, weight []float64) float64 {
	const nearest = 5
	rows, cols := x.Dims()
	var scaled []([]float64)
	for i := 0; i < rows; i += stride(rows, neighborRows) {
		row := make([]float64, cols)
		for j, v := range x.RawRowView(i) {
			row[j] = v * math.Sqrt(weight[j])
		}
		scaled = append(scaled, row)
	}
	var found []float64
	for i := 0; i < len(scaled); i += 2 {
		var near []float64
		for k := 1; k < len(scaled); k += 2 {
			d := 0.0
			for j, v := range scaled[i] {
				d += (v - scaled[k][j]) * (v - scaled[k][j])
			}
			near = append(near, d)
		}
		if len(near) < nearest {
			return 1
		}
		slices.Sort(near)
		mean := 0.0
		for _, d := range near[:nearest] {
			mean += d / nearest
		}
		found = append(found, mean)
	}
	slices.Sort(found)
	if len(found) == 0 || found[len(found)/2] == 0 {
		return 1
	}
	return found[len(found)/2]
}
