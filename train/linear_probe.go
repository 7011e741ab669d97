package train

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/akin-search/akin/encoder/kernel"
)

const (
	probeChoice = 5000 // rows of base that choose the penalty, at most
	probeFolds  = 5
)

// probePenalties are tried from the strongest; each fit starts where the one before ended. Where no class has two rows there is nothing to
// choose by, and it is lonePenalty.
var probePenalties = []float64{1e-1, 1e-2, 1e-3, 1e-4, 1e-5}

const lonePenalty = 1e-2

// linearProbe tells of each query whether a linear classifier fitted to base is right (1) or wrong (0): a logistic regression on the
// embedding, shifted and scaled so that base has mean 0 in each column and variance 1 on average. Its penalty is the one of
// probePenalties with the lowest log-loss on rows of base that were kept out of the fit, over five folds of at most probeChoice rows.
// The queries take no part in the choice.
func (e *evaluation) linearProbe() ([]float64, error) {
	groups, _ := itemsByClass(e.baseLabels)
	class, y := map[int]int{}, make([]int, e.base.Rows)
	for c, rows := range groups {
		class[e.baseLabels[rows[0]]] = c
		for _, i := range rows {
			y[i] = c
		}
	}
	shift, scale := standardOf(e.base)
	all := logistic{x: homogeneous(e.base, shift, scale), y: y, classes: len(groups), threads: e.Threads}
	penalty, err := e.choosePenalty(all, groups)
	if err != nil {
		return nil, err
	}
	w, err := all.fit(e.ctx, penalty, nil)
	if err != nil {
		return nil, err
	}
	right := make([]float64, e.queries.Rows)
	asked := logistic{x: homogeneous(e.queries, shift, scale), classes: len(groups), threads: e.Threads}
	err = asked.each(e.ctx, w, func(_, from int, logits kernel.Matrix) {
		for i := range logits.Rows {
			best, row := 0, logits.Row(i)
			for c, l := range row {
				if l > row[best] {
					best = c
				}
			}
			c, known := class[e.queryLabels[from+i]]
			right[from+i] = hit(known && c == best)
		}
	})
	return right, err
}

// choosePenalty returns the penalty with the lowest log-loss on folds kept out, of ties the strongest.
func (e *evaluation) choosePenalty(all logistic, groups [][]int) (float64, error) {
	rng := rand.New(rand.NewPCG(e.Seed, 0x70726f6265)) // "probe"
	share := min(1, probeChoice/float64(all.x.Rows))
	folds, dealt := make([][]int, probeFolds), 0
	for _, rows := range groups { // every class is spread over the folds
		if len(rows) < 2 {
			continue
		}
		rows = slices.Clone(rows)
		rng.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		for _, i := range rows[:max(2, int(share*float64(len(rows))))] {
			folds[dealt%probeFolds] = append(folds[dealt%probeFolds], i)
			dealt++
		}
	}
	if dealt == 0 {
		return lonePenalty, nil
	}
	losses := make([]float64, len(probePenalties))
	for out, held := range folds {
		if len(held) == 0 {
			continue
		}
		fitted, kept := all.subset(slices.Concat(slices.Delete(slices.Clone(folds), out, out+1)...)), all.subset(held)
		var w []float64
		var err error
		for i, penalty := range probePenalties {
			if w, err = fitted.fit(e.ctx, penalty, w); err != nil {
				return 0, err
			}
			loss, err := kept.loss(e.ctx, w, nil)
			if err != nil {
				return 0, err
			}
			losses[i] += loss * float64(len(held))
		}
	}
	best := 0
	for i, l := range losses {
		if l < losses[best] {
			best = i
		}
	}
	return probePenalties[best], nil
}

// standardOf returns the means of the columns and what makes their variance 1 on average; 1 where all rows are equal.
func standardOf(m kernel.Matrix) (shift []float64, scale float64) {
	shift = make([]float64, m.Cols)
	for i := range m.Rows {
		for j, v := range m.Row(i) {
			shift[j] += float64(v)
		}
	}
	for j := range shift {
		shift[j] /= float64(m.Rows)
	}
	variance := 0.0
	for i := range m.Rows {
		for j, v := range m.Row(i) {
			d := float64(v) - shift[j]
			variance += d * d
		}
	}
	if variance /= float64(m.Rows * m.Cols); variance > 0 {
		return shift, 1 / math.Sqrt(variance)
	}
	return shift, 1
}

// homogeneous returns the rows of m shifted and scaled, with a column of ones behind, which takes the bias.
func homogeneous(m kernel.Matrix, shift []float64, scale float64) kernel.Matrix {
	h := kernel.NewMatrix(m.Rows, m.Cols+1)
	for i := range m.Rows {
		row := h.Row(i)
		for j, v := range m.Row(i) {
			row[j] = float32((float64(v) - shift[j]) * scale)
		}
		row[m.Cols] = 1
	}
	return h
}
