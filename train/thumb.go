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
	leastVariance   = 1e-9 // of a direction to that of the first: below it there is none but of rounding
)

// thumb is what pictures of one class have beside what was learned: their principal components, weighed by how far neighbours are apart in them and in embeddings. It is
// nil where the pictures are all alike, or fewer than two.
func (r *run) thumb(ctx context.Context, weights [][]float32) (*encoder.Thumb, error) {
	n := min(len(r.features), thumbItems)
	if n < 2 {
		return nil, nil
	}
	features := make([]encoder.Features, n)
	cells := make([][]float32, n)
	for i := range features {
		features[i] = r.features[i*len(r.features)/n]
		cells[i] = r.pre.Size.Cells(features[i].Data)
	}
	d := len(cells[0])
	t := &encoder.Thumb{Mean: make([]float32, d)}
	mean := make([]float64, d)
	for _, c := range cells {
		for j, v := range c {
			mean[j] += float64(v) / float64(n)
		}
	}
	for j, v := range mean {
		t.Mean[j] = float32(v)
	}
	cov, row, square := mat.NewSymDense(d, nil), make([]float64, d), 0.0
	for _, c := range cells {
		for j, v := range c {
			row[j] = float64(v) - mean[j]
		}
		cov.SymRankOne(cov, 1/float64(n), mat.NewVecDense(d, row))
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(cov, true) {
		return nil, nil
	}
	values := eigen.Values(nil) // ascending
	var vectors mat.Dense
	eigen.VectorsTo(&vectors)
	for k := d - 1; k >= 0 && len(t.Directions) < thumbDirections && values[k] > leastVariance*values[d-1]; k-- {
		direction := make([]float32, d)
		for j := range direction {
			direction[j] = float32(vectors.At(j, k))
		}
		t.Directions = append(t.Directions, direction)
		square += values[k]
	}
	e, err := r.encoder(weights)
	if err != nil {
		return nil, err
	}
	embeddings, err := e.EncodeFeatures(ctx, features)
	if err != nil {
		return nil, err
	}
	thumbs := make([][]float32, n)
	for i, c := range cells {
		thumbs[i] = make([]float32, len(t.Directions))
		for k, direction := range t.Directions {
			for j, w := range direction {
				thumbs[i][k] += w * (c[j] - t.Mean[j])
			}
		}
	}
	learned, seen := neighborDistance(embeddings), 0.0
	if len(t.Directions) > 0 {
		seen = neighborDistance(thumbs)
	}
	if learned == 0 || seen == 0 {
		return nil, nil
	}
	scale := thumbWeight * learned / seen
	for _, direction := range t.Directions {
		for j := range direction {
			direction[j] *= float32(scale)
		}
	}
	t.Constant = float32(thumbConstant * scale * math.Sqrt(square))
	return t, nil
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
