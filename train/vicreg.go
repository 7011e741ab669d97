package train

import (
	"fmt"
	"math"

	"github.com/akin-search/akin/encoder/kernel"
)

// Weights and limits of Bardes, Ponce, LeCun 2022, section 4.2.
const (
	vicInvariance = 25   // λ
	vicVariance   = 25   // μ
	vicCovariance = 1    // ν
	vicDeviation  = 1    // γ, the standard deviation that each component should have
	vicEpsilon    = 1e-4 // under its root
)

// VICReg is the loss of Bardes, Ponce, LeCun 2022, "VICReg: variance-invariance-covariance regularization for self-supervised
// learning", equations 1 to 6, of the views in rows 2i and 2i+1. It has no negatives: what keeps all items from becoming one is that
// each component must vary over the batch, and no two together.
//
//	L = λ·s(Z, Z′) + μ·(v(Z) + v(Z′)) + ν·(c(Z) + c(Z′))
//	s = mean_i ‖z_i − z′_i‖²,  v(Z) = 1/d Σ_j max(0, γ − √(Var z_·j + ε)),  c(Z) = 1/d Σ_{j≠k} Cov(z_·j, z_·k)²
//
// with λ = μ = 25, ν = 1, γ = 1, ε = 1e-4, and variances over n−1. The paper's Z is the network's output before any normalisation; here
// rows have unit length, and Z = √d·E: then a batch that is spread evenly over the sphere has variance 1 in every component, which is
// what γ asks for. As in the authors' program s is the mean over the components too, so that it weighs the same in every dimension.
// Labels are not looked at. It panics at an odd number of rows; at fewer than two pairs, loss and gradient are zero.
func VICReg() Loss {
	v := &vicReg{}
	return v.loss
}

type vicReg struct {
	centred, grad, covariance []float32
}

func (v *vicReg) loss(emb kernel.Matrix, labels []int, grad kernel.Matrix) float32 {
	checkLossShapes("VICReg", emb, labels, grad)
	if emb.Rows%2 != 0 {
		panic(fmt.Sprintf("train: VICReg: %d rows do not make pairs", emb.Rows))
	}
	clear(grad.Data)
	n, d := emb.Rows/2, emb.Cols
	if n < 2 {
		return 0
	}
	if cap(v.centred) < n*d || cap(v.covariance) < d*d {
		v.centred, v.grad, v.covariance = make([]float32, n*d), make([]float32, n*d), make([]float32, d*d)
	}
	root := math.Sqrt(float64(d))
	sum := 0.0
	// d/dE of λ·mean_{i,j} (√d·(e−e′))²
	pull := float32(2 * vicInvariance / float64(n))
	for i := range n {
		a, b, ga, gb := emb.Row(2*i), emb.Row(2*i+1), grad.Row(2*i), grad.Row(2*i+1)
		for j, x := range a {
			gap := x - b[j]
			sum += vicInvariance / float64(n) * float64(gap) * float64(gap)
			ga[j], gb[j] = pull*gap, -pull*gap
		}
	}
	for view := range 2 {
		sum += v.view(emb, grad, view, float32(root))
	}
	return float32(sum)
}

// view adds the variance and covariance terms of every second row, from row view on.
func (v *vicReg) view(emb, grad kernel.Matrix, view int, root float32) float64 {
	n, d := emb.Rows/2, emb.Cols
	z, g, cov := v.centred[:n*d], v.grad[:n*d], v.covariance[:d*d]
	for j := range d {
		mean := 0.0
		for i := range n {
			mean += float64(emb.Data[(2*i+view)*d+j])
		}
		mean /= float64(n)
		for i := range n {
			z[i*d+j] = root * (emb.Data[(2*i+view)*d+j] - float32(mean))
		}
	}
	kernel.Gemm(true, false, d, d, n, z, d, z, d, cov, d, false)
	sum := 0.0
	share := 1 / float32(n-1)
	for j := range d {
		row := cov[j*d : (j+1)*d]
		for k := range row {
			row[k] *= share
			if k != j {
				sum += vicCovariance / float64(d) * float64(row[k]) * float64(row[k])
			}
		}
		// The derivative by z_ij is μ/d·(−1/deviation)·z_ij/(n−1) from the variance, and ν/d·4·Σ_k cov_jk·z_ik/(n−1) from the covariance:
		// both are z times a d×d matrix, which takes the place of cov.
		spread := math.Sqrt(float64(row[j]) + vicEpsilon)
		diagonal := 0.0
		if gap := vicDeviation - spread; !(gap <= 0) { // NaN is carried on
			sum += vicVariance / float64(d) * gap
			diagonal = -vicVariance / float64(d) / spread
		}
		for k := range row {
			row[k] *= 4 * vicCovariance / float32(d) * share
		}
		row[j] = float32(diagonal) * share
	}
	kernel.Gemm(false, false, n, d, d, z, d, cov, d, g, d, false)
	for i := range n { // z is centred, so that the means' derivatives cancel
		to := grad.Row(2*i + view)
		for j, x := range g[i*d : (i+1)*d] {
			to[j] += root * x
		}
	}
	return sum
}
