package train

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/akin-search/akin/encoder/kernel"
)

// arcFace is the additive angular margin loss of Deng, Guo, Xue, Zafeiriou 2019, "ArcFace: additive angular margin loss for deep face
// recognition", equation 3, as the mean over the rows that carry a class:
//
//	L = mean_i −log( exp(s·cos(θ_iy+m)) / (exp(s·cos(θ_iy+m)) + Σ_{j≠y} exp(s·cos θ_ij)) )
//
// where θ_ij is the angle between row i and the weight of class j, y the class of i, s = 1/temperature, and m the margin in radians.
// Where θ+m would pass π, cos θ − m·sin m takes the place of cos(θ+m), as in the authors' program, so that the loss keeps falling with θ.
//
// The class weights are the objective's own: directions, one a class, drawn at random, trained by Adam at the schedule's rate, and no
// part of the model. A row whose label is no class (an unlabelled item) has neither loss nor gradient.
type arcFace struct {
	classes, dimension int
	scale              float64
	cosM, sinM         float64
	floor              float64 // cos(π−m)

	weights       kernel.Matrix // classes × dimension, of any length
	unit, grad    kernel.Matrix // the weights at unit length; dL/dunit, summed since the last Learn
	first, second []float32     // Adam's moments of the weights
	steps         int
	cosines       []float32 // scratch: rows × classes, then dL/dcos
}

const maxArcMargin = 1.5

// NewArcFace returns ArcFace for so many classes and embeddings of the given dimension, with a temperature 1/s and a margin in radians.
// The weights are drawn from the seed. It panics at a temperature that is not positive and at a margin that is negative or reaches 1.5, nearly a right angle.
func NewArcFace(classes, dimension int, temperature, margin float32, seed uint64) Learner {
	if classes < 1 || dimension < 1 || !(temperature > 0) || !(margin >= 0 && margin < maxArcMargin) {
		panic(fmt.Sprintf("train: ArcFace: %d classes, %d dimensions, temperature %v and margin %v, want positive ones and a margin below 1.5", classes, dimension, temperature, margin))
	}
	m := float64(margin)
	n := classes * dimension
	a := &arcFace{classes: classes, dimension: dimension, scale: 1 / float64(temperature), cosM: math.Cos(m), sinM: math.Sin(m), floor: math.Cos(math.Pi - m),
		weights: kernel.NewMatrix(classes, dimension), unit: kernel.NewMatrix(classes, dimension), grad: kernel.NewMatrix(classes, dimension),
		first: make([]float32, n), second: make([]float32, n)}
	rng := rand.New(rand.NewPCG(seed, 0x617263)) // "arc"
	for i := range a.weights.Data {
		a.weights.Data[i] = float32(rng.NormFloat64() / math.Sqrt(float64(dimension)))
	}
	a.normalize()
	return a
}

func (a *arcFace) normalize() {
	for c := range a.classes {
		w, u := a.weights.Row(c), a.unit.Row(c)
		scale := float32(1 / lengthOf(w))
		for i, x := range w {
			u[i] = x * scale
		}
	}
}

// lengthOf returns the Euclidean length, not less than a tiny number.
func lengthOf(v []float32) float64 {
	sum := 0.0
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	return max(math.Sqrt(sum), 1e-12)
}

// Loss implements Objective.
func (a *arcFace) Loss(b *Batch, emb, grad kernel.Matrix) float32 {
	checkLossShapes("ArcFace", emb, b.Labels, grad)
	n := emb.Rows
	if emb.Cols != a.dimension {
		panic(fmt.Sprintf("train: ArcFace: embeddings of %d dimensions, want %d", emb.Cols, a.dimension))
	}
	rows := 0
	for _, l := range b.Labels {
		if l < a.classes {
			rows++
		}
	}
	if rows == 0 {
		clear(grad.Data)
		return 0
	}
	if cap(a.cosines) < n*a.classes {
		a.cosines = make([]float32, n*a.classes)
	}
	cos := a.cosines[:n*a.classes]
	kernel.Gemm(false, true, n, a.classes, a.dimension, emb.Data, a.dimension, a.unit.Data, a.dimension, cos, a.classes, false)
	sum, share := 0.0, 1/float64(rows)
	for i, label := range b.Labels {
		row := cos[i*a.classes : (i+1)*a.classes]
		if label >= a.classes {
			clear(row)
			continue
		}
		sum += a.row(row, label, share)
	}
	kernel.Gemm(false, false, n, a.dimension, a.classes, cos, a.classes, a.unit.Data, a.dimension, grad.Data, a.dimension, false)
	kernel.Gemm(true, false, a.classes, a.dimension, n, cos, a.classes, emb.Data, a.dimension, a.grad.Data, a.dimension, true)
	return float32(sum * share)
}

// row returns the loss of a row of cosines and replaces it by share·dL/dcos.
func (a *arcFace) row(row []float32, label int, share float64) float64 {
	plain := float64(row[label])
	sine := math.Sqrt(max(1-plain*plain, 1e-6)) // at 0 the slope would be infinite
	target, slope := plain*a.cosM-sine*a.sinM, a.cosM+plain*a.sinM/sine
	if plain <= a.floor {
		target, slope = plain-math.Acos(a.cosM)*a.sinM, 1
	}
	row[label] = float32(target)
	top := maximum(row)
	total := expShifted(row, top, float32(a.scale))
	for j := range row {
		row[j] *= float32(a.scale * share / total)
	}
	// The loss is −log softmax = log total − scale·(target − top).
	row[label] = float32(slope) * (row[label] - float32(a.scale*share))
	return math.Log(total) - a.scale*(target-float64(top))
}

// Learn implements Learner: Adam (Kingma, Ba 2015, algorithm 1) without decay, since only the weights' directions count.
func (a *arcFace) Learn(rate float64, batches int) {
	const beta1, beta2, epsilon = 0.9, 0.999, 1e-8
	a.steps++
	correct1, correct2 := 1-math.Pow(beta1, float64(a.steps)), 1-math.Pow(beta2, float64(a.steps))
	for c := range a.classes {
		w, u, g := a.weights.Row(c), a.unit.Row(c), a.grad.Row(c)
		along := 0.0 // what only lengthens: dL/dw = (g − (g·u)·u)/|w|
		for i, x := range g {
			along += float64(x) * float64(u[i])
		}
		scale := 1 / (lengthOf(w) * float64(batches))
		for i, x := range g {
			at := c*a.dimension + i
			d := (float64(x) - along*float64(u[i])) * scale
			first := beta1*float64(a.first[at]) + (1-beta1)*d
			second := beta2*float64(a.second[at]) + (1-beta2)*d*d
			a.first[at], a.second[at] = float32(first), float32(second)
			w[i] -= float32(rate * (first / correct1) / (math.Sqrt(second/correct2) + epsilon))
		}
	}
	clear(a.grad.Data)
	a.normalize()
}

// State implements Objective: weights, moments, gradient so far, and the number of steps.
func (a *arcFace) State() [][]float32 {
	return [][]float32{slices.Clone(a.weights.Data), slices.Clone(a.first), slices.Clone(a.second), slices.Clone(a.grad.Data), numbers(a.steps)}
}

// Restore implements Objective.
func (a *arcFace) Restore(state [][]float32) error {
	n := a.classes * a.dimension
	if got, want := sizesOf(state), []int{n, n, n, n, 1}; !slices.Equal(got, want) {
		return fmt.Errorf("%w: tables of %v values for ArcFace, want %v: use the same data and options, or start without resuming", ErrCheckpoint, got, want)
	}
	copy(a.weights.Data, state[0])
	copy(a.first, state[1])
	copy(a.second, state[2])
	copy(a.grad.Data, state[3])
	a.steps = integerOf(state[4][0])
	a.normalize()
	return nil
}
