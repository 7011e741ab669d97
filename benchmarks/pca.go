package benchmarks

import (
	"context"
	"errors"
	"fmt"

	"gonum.org/v1/gonum/mat"

	"github.com/akin-search/akin/encoder/kernel"
)

// pca is a projection onto the directions in which a set of rows varies most (Pearson 1901).
type pca struct {
	mean []float32
	axes kernel.Matrix // components × columns, unit rows, the widest first
}

// pcaBlock is the rows of one product: short enough for float32 sums, long enough for Gemm.
const pcaBlock = 1024

// fitPCA finds the given number of axes of x: the eigenvectors of its covariance with the largest eigenvalues. Sums over the rows
// are float32 within a block and float64 between blocks.
func fitPCA(ctx context.Context, x kernel.Matrix, components int) (pca, error) {
	d := x.Cols
	if x.Rows <= components || d < components {
		return pca{}, fmt.Errorf("%w: %v values cannot be reduced to %d dimensions, which takes at least %d rows of %d columns: "+
			"take more points, or the raw vectors", ErrData, x, components, components+1, components)
	}
	p := pca{mean: make([]float32, d), axes: kernel.NewMatrix(components, d)}
	sum := make([]float64, d)
	for i := range x.Rows {
		for j, v := range x.Row(i) {
			sum[j] += float64(v)
		}
	}
	for j, s := range sum {
		p.mean[j] = float32(s / float64(x.Rows))
	}

	total := make([]float64, d*d)
	block, product := kernel.NewMatrix(pcaBlock, d), kernel.NewMatrix(d, d)
	for first := 0; first < x.Rows; first += pcaBlock {
		if err := ctx.Err(); err != nil {
			return pca{}, err
		}
		n := p.center(block, x, first)
		kernel.Gemm(true, false, d, d, n, block.Data, d, block.Data, d, product.Data, d, false)
		for i, v := range product.Data {
			total[i] += float64(v)
		}
	}
	for i := range total {
		total[i] /= float64(x.Rows)
	}

	var eigen mat.EigenSym
	if !eigen.Factorize(mat.NewSymDense(d, total), true) {
		return pca{}, errors.New("principal components: the eigenvalues did not converge")
	}
	var vectors mat.Dense
	eigen.VectorsTo(&vectors) // columns, by ascending eigenvalue
	for c := range components {
		for j, row := 0, p.axes.Row(c); j < d; j++ {
			row[j] = float32(vectors.At(j, d-1-c))
		}
	}
	return p, nil
}

// center copies the rows of x from first on into block, less the mean, and returns how many there were.
func (p pca) center(block, x kernel.Matrix, first int) int {
	n := min(block.Rows, x.Rows-first)
	for i := range n {
		row := block.Row(i)
		for j, v := range x.Row(first + i) {
			row[j] = v - p.mean[j]
		}
	}
	return n
}

// project returns the coordinates of the rows of x along the axes, seen from the mean.
func (p pca) project(x kernel.Matrix) kernel.Matrix {
	y := kernel.NewMatrix(x.Rows, p.axes.Rows)
	block := kernel.NewMatrix(min(pcaBlock, x.Rows), x.Cols)
	for first := 0; first < x.Rows; first += pcaBlock {
		n := p.center(block, x, first)
		kernel.Gemm(false, true, n, y.Cols, x.Cols, block.Data, x.Cols, p.axes.Data, x.Cols, y.Data[first*y.Cols:], y.Cols, false)
	}
	return y
}
