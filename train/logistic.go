package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/optimize"

	"github.com/akin-search/akin/encoder/kernel"
)

const (
	logisticBlock  = 1024 // rows
	logisticRounds = 300  // of L-BFGS, at most
)

// logistic is a multinomial logistic regression. Weights are classes × columns of x, row by row.
type logistic struct {
	x       kernel.Matrix // the last column is 1: its weights are the biases
	y       []int         // class of each row, from 0
	classes int
	threads int
}

// subset returns the regression on some rows.
func (l logistic) subset(rows []int) logistic {
	s := logistic{x: kernel.NewMatrix(len(rows), l.x.Cols), y: make([]int, len(rows)), classes: l.classes, threads: l.threads}
	for i, r := range rows {
		copy(s.x.Row(i), l.x.Row(r))
		s.y[i] = l.y[r]
	}
	return s
}

// fit returns the weights that minimize
//
//	1/n · Σ_i −log softmax(W·x_i)[y_i] + λ/2 · ‖W without the biases‖²
//
// by L-BFGS (Liu and Nocedal 1989) over all rows at once, from start, or from zeros where that is nil.
func (l logistic) fit(ctx context.Context, penalty float64, start []float64) ([]float64, error) {
	if start == nil {
		start = make([]float64, l.classes*l.x.Cols)
	}
	var at, slope []float64 // where loss and slope were computed last: the optimizer asks for both, one after the other
	var value float64
	var failed error
	compute := func(w []float64) {
		if at != nil && slices.Equal(at, w) || failed != nil {
			return
		}
		at, slope = append(at[:0], w...), append(slope[:0], make([]float64, len(w))...)
		value, failed = l.loss(ctx, w, slope)
		for i, v := range w {
			if (i+1)%l.x.Cols != 0 {
				value += penalty / 2 * v * v
				slope[i] += penalty * v
			}
		}
	}
	result, err := optimize.Minimize(optimize.Problem{
		Func:   func(w []float64) float64 { compute(w); return value },
		Grad:   func(grad, w []float64) { compute(w); copy(grad, slope) },
		Status: func() (optimize.Status, error) { return optimize.NotTerminated, failed },
	}, start, &optimize.Settings{
		MajorIterations:   logisticRounds,
		GradientThreshold: 1e-5,
		Converger:         &optimize.FunctionConverge{Relative: 1e-6, Iterations: 5},
	}, &optimize.LBFGS{})
	switch {
	case failed != nil:
		return nil, failed
	case errors.Is(err, optimize.ErrLinesearcherFailure), errors.Is(err, optimize.ErrNoProgress), errors.Is(err, optimize.ErrNonDescentDirection):
		// The sums are float32: near the minimum the slope can be rounding, and no step goes down. Where it stands is the fit.
	case err != nil:
		return nil, fmt.Errorf("%w: linear probe: %w", ErrEvaluate, err)
	}
	return result.X, nil
}

// loss returns the mean log-loss of the rows at weights w, and adds its gradient to grad unless that is nil.
func (l logistic) loss(ctx context.Context, w, grad []float64) (float64, error) {
	blocks := (l.x.Rows + logisticBlock - 1) / logisticBlock
	losses, grads := make([]float64, blocks), make([][]float32, blocks)
	err := l.each(ctx, w, func(block, from int, logits kernel.Matrix) {
		for i := range logits.Rows {
			losses[block] += softmaxLoss(logits.Row(i), l.y[from+i])
		}
		if grad != nil {
			g := make([]float32, len(w))
			kernel.Gemm(true, false, l.classes, l.x.Cols, logits.Rows, logits.Data, l.classes, l.x.Data[from*l.x.Cols:], l.x.Cols, g, l.x.Cols, false)
			grads[block] = g
		}
	})
	n, sum := float64(l.x.Rows), 0.0
	for b, loss := range losses { // in the order of the blocks: the same sums on any number of threads
		sum += loss
		for i, g := range grads[b] {
			grad[i] += float64(g) / n
		}
	}
	return sum / n, err
}

// softmaxLoss returns −log softmax(z)[y] and makes z its gradient softmax(z) − onehot(y).
func softmaxLoss(z []float32, y int) float64 {
	most, sum := z[0], 0.0
	for _, v := range z {
		most = max(most, v)
	}
	target := float64(z[y] - most)
	for c, v := range z {
		p := math.Exp(float64(v - most))
		sum += p
		z[c] = float32(p)
	}
	for c := range z {
		z[c] = float32(float64(z[c]) / sum)
	}
	z[y]--
	return math.Log(sum) - target
}

// each hands the logits of one block of rows after another to use, on all threads; use may change them.
func (l logistic) each(ctx context.Context, w []float64, use func(block, from int, logits kernel.Matrix)) error {
	weights := make([]float32, len(w))
	for i, v := range w {
		weights[i] = float32(v)
	}
	cols := l.x.Cols
	return eachBlock(ctx, l.threads, (l.x.Rows+logisticBlock-1)/logisticBlock, func() func(int) {
		data := make([]float32, logisticBlock*l.classes)
		return func(block int) {
			from, to := block*logisticBlock, min((block+1)*logisticBlock, l.x.Rows)
			logits := kernel.Matrix{Rows: to - from, Cols: l.classes, Data: data[:(to-from)*l.classes]}
			kernel.Gemm(false, true, to-from, l.classes, cols, l.x.Data[from*cols:], cols, weights, cols, logits.Data, l.classes, false)
			use(block, from, logits)
		}
	})
}
