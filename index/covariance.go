package index

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"

	"github.com/akin-search/akin/index/distance"
)

const (
	// maxWhite is the largest dimension with a covariance: its inverse root takes dim² components, and as many products a vector.
	maxWhite = 512
	// whiteWork bounds the products of a covariance: above, it is made of every second row, or third, and so on.
	whiteWork = 1 << 31
	// leastShrinkage: with tens of thousands of rows the intensity that loses least in estimating the covariance is next to none,
	// but directions in which the known hardly vary then decide what is strange. 0.1 to 0.3 told strangers better than 0.01.
	leastShrinkage = 0.1
)

// scatter is what a covariance is made of: residuals of rows about their cluster's mean. Scatters add up.
type scatter struct {
	n        float64
	products []float64 // Σ x·xᵀ, dim × dim, upper triangle
	fourths  float64   // Σ |x|⁴
}

// scatterOf sums the residuals of rows.
func scatterOf(residuals []float64, dim int) scatter {
	n := len(residuals) / dim
	s := scatter{n: float64(n), products: make([]float64, dim*dim)}
	if n == 0 {
		return s
	}
	blas64.Syrk(blas.Trans, 1, blas64.General{Rows: n, Cols: dim, Stride: dim, Data: residuals}, 0,
		blas64.Symmetric{Uplo: blas.Upper, N: dim, Stride: dim, Data: s.products})
	for i := range n {
		var square float64
		for _, x := range residuals[i*dim : (i+1)*dim] {
			square += x * x
		}
		s.fourths += square * square
	}
	return s
}

// add adds o, times sign.
func (s *scatter) add(o scatter, sign float64) {
	s.n += sign * o.n
	s.fourths += sign * o.fourths
	if s.products == nil {
		s.products = make([]float64, len(o.products))
	}
	for i, x := range o.products {
		s.products[i] += sign * x
	}
}

// shrunk returns the covariance S drawn towards the sphere of its mean variance μ, (1−λ)·S + λ·μ·I, and λ: the intensity of
// Ledoit & Wolf (Journal of Multivariate Analysis 88, 2004, equation 14), and at least leastShrinkage. nil: there is no variance.
func (s scatter) shrunk(dim int) (*mat.SymDense, float64) {
	if s.n < 2 {
		return nil, 0
	}
	cov := mat.NewSymDense(dim, nil)
	var trace, norm float64 // of S; norm is |S|²
	for i := range dim {
		for j := i; j < dim; j++ {
			x := s.products[i*dim+j] / s.n
			cov.SetSym(i, j, x)
			if i == j {
				trace += x
				norm += x * x
			} else {
				norm += 2 * x * x
			}
		}
	}
	mean := trace / float64(dim)
	if !(mean > 0) || math.IsInf(norm, 0) {
		return nil, 0
	}
	apart := norm - mean*mean*float64(dim)    // |S − μI|²
	noise := max(0, (s.fourths/s.n-norm)/s.n) // of S about the true covariance
	lambda := 1.0
	if apart > 0 {
		lambda = min(1, max(leastShrinkage, noise/apart))
	}
	for i := range dim {
		for j := i; j < dim; j++ {
			x := (1 - lambda) * cov.At(i, j)
			if i == j {
				x += lambda * mean
			}
			cov.SetSym(i, j, x)
		}
	}
	return cov, lambda
}

// whitening maps vectors so that the Euclidean distance of their images is the Mahalanobis distance √((x−c)ᵀ·Σ⁻¹·(x−c)) by one
// covariance Σ = L·Lᵀ for all clusters: x becomes L⁻¹·(x−m). Subtracting m, about where the data lies, first keeps float32 exact
// enough.
type whitening struct {
	to     space           // of the images: L2
	mean   []float32       // m, a row
	rows   []float32       // L⁻¹, dim rows
	means  []float32       // images of the clusters' means, a row each
	panels distance.Panels // the same
}

// whiten makes the map of a scatter; nil where there is none, because the rows do not vary, or hardly.
func (s space) whiten(sc scatter, mean []float32) *whitening {
	cov, _ := sc.shrunk(s.dim)
	if cov == nil {
		return nil
	}
	var chol mat.Cholesky
	if !chol.Factorize(cov) {
		return nil
	}
	var lower, inverse mat.TriDense
	chol.LTo(&lower)
	if err := inverse.InverseTri(&lower); err != nil {
		return nil
	}
	w := &whitening{to: newSpace(L2, s.dim), mean: mean, rows: make([]float32, s.dim*s.stride)}
	for i := range s.dim {
		for j := range i + 1 {
			x := float32(inverse.At(i, j))
			if x != x || math.IsInf(float64(x), 0) {
				return nil
			}
			w.rows[i*s.stride+j] = x
		}
	}
	return w
}

// image writes the image of a row. It needs room for a row in centered.
func (w *whitening) image(row, centered, out []float32) {
	for i, x := range row {
		centered[i] = x - w.mean[i]
	}
	for first := 0; first < w.to.dim; first += scanBlock {
		n := min(scanBlock, w.to.dim-first)
		distance.DotRows(centered, w.rows[first*w.to.stride:], w.to.stride, blockRows[:n], out[first:], nil)
	}
	clear(out[w.to.dim:])
}

// place sets the images of the clusters' means.
func (w *whitening) place(means []float32) {
	stride := w.to.stride
	centered := make([]float32, stride)
	w.means = make([]float32, len(means))
	for i := 0; i < len(means); i += stride {
		w.image(means[i:i+stride], centered, w.means[i:i+stride])
		w.panels.Append(w.means[i : i+w.to.dim])
	}
}

// check refuses what whiten does not make.
func (w *whitening) check() error {
	for _, part := range [][]float32{w.mean, w.rows, w.means} {
		for _, x := range part {
			if x != x || math.IsInf(float64(x), 0) {
				return fmt.Errorf("whitening with a component %v: %w", x, ErrCorrupt)
			}
		}
	}
	return nil
}
