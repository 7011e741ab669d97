package train

import (
	"context"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
)

const (
	thumbDirections = 16
	thumbWeight     = 0.5  // of distances between thumbs, where those between embeddings of neighbours are 1
	thumbConstant   = 4    // times the deviation of thumbs from their mean
	thumbItems      = 2000 // that are looked at, evenly chosen
	thumbNeighbors  = 5
)

// thumb is what pictures of one class have beside what was learned: their principal components, weighed by how far neighbours are apart in them and in embeddings. It is
// nil where the pictures are all alike, or fewer than two.
func (r *run) thumb(ctx context.Context, weights [][]float32) (*encoder.Thumb, error) {
	n := min(len(r.features), thumbItems)
	if n < 2 {
		return nil, nil
	}
	features, x := make([]encoder.Features, n), make([][]float32, n)
	for i := range features {
		features[i] = r.features[i*len(r.features)/n]
		x[i] = r.pre.Size.Cells(features[i].Data)
	}
	d := len(x[0])
	mean, centered := make([]float64, d), mat.NewDense(n, d, nil)
	for _, cells := range x {
		for j, v := range cells {
			mean[j] += float64(v) / float64(n)
		}
	}
	for i, cells := range x {
		for j, v := range cells {
			centered.Set(i, j, float64(v)-mean[j])
		}
	}
	directions, err := principal(centered, float64(n), min(thumbDirections, d), false)
	if err != nil {
		return nil, err
	}
	e, err := r.encoder(weights)
	if err != nil {
		return nil, err
	}
	embeddings, err := e.EncodeFeatures(ctx, features)
	if err != nil {
		return nil, err
	}
	along := product(centered, directions)
	for i := range x {
		x[i] = float32s(along.RawRowView(i), 1)
	}
	learned, seen := neighborDistance(embeddings), neighborDistance(x)
	if learned == 0 || seen == 0 {
		return nil, nil
	}
	scale := thumbWeight * learned / seen
	t := &encoder.Thumb{Mean: float32s(mean, 1), Constant: float32(thumbConstant * scale * mat.Norm(along, 2) / math.Sqrt(float64(n)))}
	for k := range directions.RawMatrix().Cols {
		t.Directions = append(t.Directions, float32s(mat.Col(nil, k, directions), scale))
	}
	return t, nil
}

// float32s returns v times scale.
func float32s(v []float64, scale float64) []float32 {
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = float32(x * scale)
	}
	return out
}

// neighborDistance is the median over rows of the mean distance to the nearest others, five where there are so many.
func neighborDistance(rows [][]float32) float64 {
	m := kernel.MatrixOf(rows, len(rows[0]))
	squares := make([]float64, m.Rows)
	for i, v := range rows {
		for _, x := range v {
			squares[i] += float64(x) * float64(x)
		}
	}
	const block = 128
	k := min(thumbNeighbors, m.Rows-1)
	products, all := make([]float32, block*m.Rows), make([]float64, 0, m.Rows)
	distances := make([]float64, 0, m.Rows)
	for lo := 0; lo < m.Rows; lo += block {
		hi := min(lo+block, m.Rows)
		kernel.Gemm(false, true, hi-lo, m.Rows, m.Cols, m.Data[lo*m.Cols:], m.Cols, m.Data, m.Cols, products, m.Rows, false)
		for i := lo; i < hi; i++ {
			distances = distances[:0]
			for j, p := range products[(i-lo)*m.Rows:][:m.Rows] {
				if j != i {
					distances = append(distances, max(0, squares[i]+squares[j]-2*float64(p)))
				}
			}
			slices.Sort(distances)
			var sum float64
			for _, d := range distances[:k] {
				sum += math.Sqrt(d)
			}
			all = append(all, sum/float64(k))
		}
	}
	slices.Sort(all)
	return all[len(all)/2]
}
