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
	gaussianAxes      = 8       // directions of a class with a variance of their own, at most; all others share one
	gaussianShrinkage = 0.5     // of variances towards their mean, where rows are many more than components; more where they are fewer
	gaussianPrior     = 5       // rows that the mean variance of all classes counts as in that of one
	gaussianNearest   = 16      // classes that a vector is compared with, those of the nearest clusters
	gaussianRows      = 1 << 12 // of a class that its directions are taken from, at most
	gaussianSide      = 256     // of the largest matrix that is decomposed
)

// gaussians are a normal distribution for each class (Friedman 1989, "Regularized discriminant analysis"; with the covariances of Tipping and Bishop 1999,
// "Mixtures of probabilistic principal component analyzers", equation 7):
//
//	−2·log p(x) = |x−m|²/σ² − Σ_k (a_k·(x−m))² + log|Σ| + constant,   Σ = σ²·I + Σ_k (λ_k−σ²)·u_k·u_kᵀ,   a_k = u_k·√(1/σ²−1/λ_k)
//
// with the mean m and, along its widest directions u_k, the variances λ_k of the class.
type gaussians struct {
	space              // of rows less origin
	origin   []float32 // a row about where the data lies: taking it away keeps float32 exact enough
	rows     []float32 // of each class m, then its a_k
	classes  []gaussian
	smallest float64 // of the classes' log|Σ|
}

// gaussian is that of one class; of one without rows, precision is 0.
type gaussian struct {
	first, count int       // rows of gaussians
	precision    float64   // 1/σ²
	logDet       float64   // log|Σ|
	at           []float64 // |m|², then a_k·m
}

// fitGaussians returns the distributions of classes of prepared rows, nil where nothing varies. Variances are drawn towards the mean of the class's, and this one,
// where rows are few, towards that of all classes.
func (s space) fitGaussians(rowsOf [][]float32, origin []float32, threads int) *gaussians {
	fits := make([]classFit, len(rowsOf))
	workers(threads, len(rowsOf), func(i int) { fits[i] = s.fitClass(rowsOf[i]) })
	var squares, degrees float64
	for _, f := range fits {
		squares, degrees = squares+f.squares, degrees+float64(max(0, f.n-1))
	}
	mean := squares / (degrees * float64(s.dim)) // variance of a component
	if !(mean > 0) || math.IsInf(mean, 0) {
		return nil
	}
	g := &gaussians{space: newSpace(L2, s.dim), origin: origin, smallest: math.Inf(1)}
	for _, f := range fits {
		g.add(f.shrunk(s.dim, mean), f.mean, f.axes)
	}
	return g
}

// classFit is what the rows of a class say.
type classFit struct {
	n         int
	mean      []float64
	squares   float64     // Σ|x−m|²
	axes      [][]float64 // directions of the largest variances
	variances []float64   // along them
}

func (s space) fitClass(rows []float32) (f classFit) {
	if f.n = len(rows) / s.stride; f.n == 0 {
		return f
	}
	f.mean = make([]float64, s.dim)
	for i := range f.n {
		for j, x := range rows[i*s.stride:][:s.dim] {
			f.mean[j] += float64(x) / float64(f.n)
		}
	}
	for i := range f.n {
		for j, x := range rows[i*s.stride:][:s.dim] {
			f.squares += (float64(x) - f.mean[j]) * (float64(x) - f.mean[j])
		}
	}
	most := gaussianRows
	if s.dim > gaussianSide {
		most = gaussianSide
	}
	n := min(f.n, most)
	residuals := blas64.General{Rows: n, Cols: s.dim, Stride: s.dim, Data: make([]float64, n*s.dim)}
	for i := range n {
		for j, x := range rows[i*f.n/n*s.stride:][:s.dim] {
			residuals.Data[i*s.dim+j] = float64(x) - f.mean[j]
		}
	}
	f.decompose(residuals)
	return f
}

// decompose finds the directions of the largest variances, as eigenvectors of the covariance, or of the inner products of rows where these are fewer.
func (f *classFit) decompose(residuals blas64.General) {
	n, dim := residuals.Rows, residuals.Cols
	count := min(gaussianAxes, n-1, dim-1)
	if count < 1 || f.squares == 0 {
		return
	}
	side, trans := dim, blas.Trans
	if n < dim {
		side, trans = n, blas.NoTrans
	}
	products := mat.NewSymDense(side, nil)
	blas64.Syrk(trans, 1/float64(n-1), residuals, 0, products.RawSymmetric())
	var eigen mat.EigenSym
	if !eigen.Factorize(products, true) {
		return // without directions of its own a class is a sphere
	}
	values := eigen.Values(nil)
	var vectors mat.Dense
	eigen.VectorsTo(&vectors)
	for k := range count {
		at := side - 1 - k
		if !(values[at] > 1e-12*values[side-1]) {
			return
		}
		axis := mat.Col(nil, at, &vectors)
		if n < dim {
			out := make([]float64, dim)
			blas64.Gemv(blas.Trans, 1/math.Sqrt(values[at]*float64(n-1)), residuals, blas64.Vector{N: n, Inc: 1, Data: axis}, 0, blas64.Vector{N: dim, Inc: 1, Data: out})
			axis = out
		}
		f.axes, f.variances = append(f.axes, axis), append(f.variances, values[at])
	}
}

// shrunk returns the distribution, and scales the axes from u_k to a_k; mean is the variance of a component in all classes.
func (f *classFit) shrunk(dim int, mean float64) (g gaussian) {
	if f.n == 0 {
		return g
	}
	degrees := float64(f.n - 1)
	all := f.squares / max(1, degrees) // variances of all components
	own := (f.squares/float64(dim) + gaussianPrior*mean) / (degrees + gaussianPrior)
	keep := (1 - gaussianShrinkage) * degrees / (degrees + float64(dim))
	rest := all
	for _, v := range f.variances {
		rest -= v
	}
	left := dim - len(f.axes)
	variance := keep*max(0, rest)/float64(left) + (1-keep)*own
	g.precision, g.logDet = 1/variance, float64(left)*math.Log(variance)
	for k, axis := range f.axes {
		along := max(variance, keep*f.variances[k]+(1-keep)*own)
		g.logDet += math.Log(along)
		blas64.Scal(math.Sqrt(1/variance-1/along), blas64.Vector{N: dim, Inc: 1, Data: axis})
	}
	return g
}

// add appends a class.
func (g *gaussians) add(c gaussian, mean []float64, axes [][]float64) {
	first := len(g.rows)
	if c.precision > 0 {
		row := make([]float32, g.stride)
		for j, x := range mean {
			row[j] = float32(x - float64(g.origin[j]))
		}
		g.rows = append(g.rows, row...)
		for _, axis := range axes {
			for j, x := range axis {
				row[j] = float32(x)
			}
			g.rows = append(g.rows, row...)
		}
	}
	g.place(c, (len(g.rows)-first)/g.stride)
}

// place appends a class whose rows are the last ones, so many.
func (g *gaussians) place(c gaussian, count int) {
	c.first, c.count = len(g.rows)/g.stride-count, count
	if count > 0 {
		m := g.rows[c.first*g.stride:][:g.dim]
		for k := range count {
			var at float64
			for j, x := range g.rows[(c.first+k)*g.stride:][:g.dim] {
				at += float64(x) * float64(m[j])
			}
			c.at = append(c.at, at)
		}
		g.smallest = min(g.smallest, c.logDet)
	}
	g.classes = append(g.classes, c)
}

// centered returns a prepared row less the origin, and its squared length.
func (g *gaussians) centered(row []float32) (x []float32, square float64) {
	x = make([]float32, g.stride)
	for j := range g.dim {
		x[j] = row[j] - g.origin[j]
		square += float64(x[j]) * float64(x[j])
	}
	return x, square
}

// score is the root of −2·log p of a class, less what it is at the mean of the narrowest class: of a row from centered.
func (g *gaussians) score(class int, x []float32, square float64) float64 {
	c := &g.classes[class]
	if c.precision == 0 {
		return math.MaxFloat64
	}
	var dots [gaussianAxes + 1]float32
	distance.DotRows(x[:g.dim], g.rows[c.first*g.stride:], g.stride, blockRows[:c.count], dots[:], nil)
	sum := (square - 2*float64(dots[0]) + c.at[0]) * c.precision
	for k := 1; k < c.count; k++ {
		along := float64(dots[k]) - c.at[k]
		if math.IsInf(along, 0) || along != along {
			return math.MaxFloat64 // beyond what float32 holds
		}
		sum -= along * along
	}
	return finite(math.Sqrt(max(0, sum) + c.logDet - g.smallest))
}

// nearest is the least score of the classes whose clusters are nearest.
func (g *gaussians) nearest(row []float32, distances []float64) float64 {
	x, square := g.centered(row)
	var at [gaussianNearest]int
	near := at[:0]
	for class, d := range distances {
		if len(near) == len(at) && d >= distances[near[len(near)-1]] {
			continue
		}
		if len(near) < len(at) {
			near = append(near, class)
		}
		i := len(near) - 1
		for ; i > 0 && distances[near[i-1]] > d; i-- {
			near[i] = near[i-1]
		}
		near[i] = class
	}
	least := math.MaxFloat64
	for _, class := range near {
		least = min(least, g.score(class, x, square))
	}
	return least
}

// check refuses what fitGaussians does not make.
func (g *gaussians) check() error {
	for _, part := range [][]float32{g.origin, g.rows} {
		for _, x := range part {
			if x != x || math.IsInf(float64(x), 0) {
				return fmt.Errorf("distribution with a component %v: %w", x, ErrCorrupt)
			}
		}
	}
	for i, c := range g.classes {
		if !(c.precision >= 0) || math.IsInf(c.precision, 0) || math.IsNaN(c.logDet) || math.IsInf(c.logDet, 0) {
			return fmt.Errorf("distribution of class %d has the precision %v and the determinant exp(%v): %w", i, c.precision, c.logDet, ErrCorrupt)
		}
	}
	return nil
}
