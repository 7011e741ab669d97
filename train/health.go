package train

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/akin-search/akin/encoder/kernel"
)

// Health tells how embeddings fill the unit sphere, and so whether training collapses: points that draw together lose variance, points
// that fall onto a line or a plane lose rank.
type Health struct {
	// Variance is the mean squared distance from the mean embedding: 0 when all are one point, at most 1.
	Variance float64 `json:"variance"`
	// EffectiveRank is exp of the entropy of the singular values, over their sum, of the centred embeddings (Roy & Vetterli 2007,
	// equations 3 and 4): how many directions are in use, 1 to the dimension; 0 when all are one point.
	EffectiveRank float64 `json:"effective_rank"`
	// Alignment is the mean squared distance of positive pairs (Wang & Isola 2020, ℒ_align with α = 2): 0 is best.
	Alignment float64 `json:"alignment"`
	// Uniformity is log of the mean of exp(−2‖x−y‖²) over all pairs (Wang & Isola 2020, ℒ_uniform with t = 2): 0 when all are one point,
	// towards −4 where they cover the sphere.
	Uniformity float64 `json:"uniformity"`
}

// MeasureHealth looks at unit rows. Positive pairs are each row of emb with the row of mates in its place; there must be as many of
// both, of at least two rows.
func MeasureHealth(emb, mates kernel.Matrix) (Health, error) {
	if emb.Rows < 2 || mates.Rows != emb.Rows || mates.Cols != emb.Cols {
		return Health{}, fmt.Errorf("%w: embeddings %v with mates %v; want two rows or more, and as many mates", ErrEvaluate, emb, mates)
	}
	for _, m := range []kernel.Matrix{emb, mates} {
		if err := checkRows("embeddings", m, make([]int, m.Rows)); err != nil {
			return Health{}, err
		}
	}
	h := Health{Uniformity: uniformity(emb)}
	for i := range emb.Rows {
		h.Alignment += squaredDistance(emb.Row(i), mates.Row(i)) / float64(emb.Rows)
	}
	covariance := covarianceOf(emb)
	h.Variance = mat.Trace(covariance)
	var err error
	h.EffectiveRank, err = effectiveRank(covariance)
	return h, err
}

func squaredDistance(a, b []float32) (sum float64) {
	for i, x := range a {
		d := float64(x) - float64(b[i])
		sum += d * d
	}
	return sum
}

func covarianceOf(emb kernel.Matrix) *mat.SymDense {
	n, d := emb.Rows, emb.Cols
	mean := make([]float64, d)
	for i := range n {
		for j, x := range emb.Row(i) {
			mean[j] += float64(x) / float64(n)
		}
	}
	centred := mat.NewDense(n, d, nil)
	for i := range n {
		for j, x := range emb.Row(i) {
			centred.Set(i, j, float64(x)-mean[j])
		}
	}
	c := mat.NewSymDense(d, nil)
	c.SymOuterK(1/float64(n), centred.T())
	return c
}

// pointVariance is what rounding leaves of the variance of one point many times.
const pointVariance = 1e-9

// effectiveRank is that of centred rows with the given covariance: their singular values are the roots of its eigenvalues.
func effectiveRank(covariance *mat.SymDense) (float64, error) {
	if mat.Trace(covariance) < pointVariance {
		return 0, nil
	}
	var e mat.EigenSym
	if !e.Factorize(covariance, false) {
		return 0, fmt.Errorf("%w: the eigenvalues of the embeddings' covariance do not converge", ErrEvaluate)
	}
	singular, sum := e.Values(nil), 0.0
	for i, v := range singular {
		singular[i] = math.Sqrt(max(v, 0))
		sum += singular[i]
	}
	entropy := 0.0
	for _, s := range singular {
		if p := s / sum; p > 0 {
			entropy -= p * math.Log(p)
		}
	}
	return math.Exp(entropy), nil
}

func uniformity(emb kernel.Matrix) float64 {
	n := emb.Rows
	const block = 256 // rows at a time
	products, sum := make([]float32, block*n), 0.0
	for lo := 0; lo < n; lo += block {
		rows := min(block, n-lo)
		kernel.Gemm(false, true, rows, n, emb.Cols, emb.Data[lo*emb.Cols:], emb.Cols, emb.Data, emb.Cols, products, n, false)
		for i := range rows {
			for j := lo + i + 1; j < n; j++ { // ‖x−y‖² = 2 − 2·x·y
				sum += math.Exp(4 * (float64(products[i*n+j]) - 1))
			}
		}
	}
	return math.Log(sum / (float64(n) * float64(n-1) / 2))
}
