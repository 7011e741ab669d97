package train

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/akin-search/akin/encoder/kernel"
)

// ErrEvaluate is wrapped by the errors of evaluations whose input cannot be evaluated.
var ErrEvaluate = errors.New("cannot evaluate")

// AUROC returns the area under the receiver operating characteristic: the chance that a positive's score is above a negative's, ties
// counting half (Mann–Whitney U with mid-ranks, Hanley and McNeil 1982). 1 is a perfect separation, 0.5 none. Infinite scores are
// allowed, a NaN and an empty list are not. It takes time O(n log n).
func AUROC(negatives, positives []float64) (float64, error) {
	if len(negatives) == 0 || len(positives) == 0 {
		return 0, fmt.Errorf("%w: AUROC of %d negative and %d positive scores; it needs one of each", ErrEvaluate, len(negatives), len(positives))
	}
	for name, scores := range map[string][]float64{"negative": negatives, "positive": positives} {
		if i := slices.IndexFunc(scores, math.IsNaN); i >= 0 {
			return 0, fmt.Errorf("%w: %s score %d is NaN", ErrEvaluate, name, i)
		}
	}
	neg, pos := slices.Clone(negatives), slices.Clone(positives)
	slices.Sort(neg)
	slices.Sort(pos)
	below, wins := 0, 0.0 // negatives below the positive at hand; pairs won so far
	upto := 0             // negatives not above it
	for _, p := range pos {
		for below < len(neg) && neg[below] < p {
			below++
		}
		upto = max(upto, below)
		for upto < len(neg) && neg[upto] <= p {
			upto++
		}
		wins += float64(below) + float64(upto-below)/2
	}
	return wins / (float64(len(neg)) * float64(len(pos))), nil
}

func dot(a, b []float32) float64 {
	sum := 0.0
	for i, x := range a {
		sum += float64(x) * float64(b[i])
	}
	return sum
}

// RecallAtK returns the share of the true k nearest neighbours that were found, averaged over the queries: |found ∩ exact| / |exact|, of
// the first k ids of both. Queries whose exact list is empty do not count; without any query it is 0. It panics when the lists do not
// have one entry a query each, or at a k below 1.
func RecallAtK(found, exact [][]string, k int) float64 {
	if len(found) != len(exact) || k < 1 {
		panic(fmt.Sprintf("train: RecallAtK: %d found and %d exact lists, k %d", len(found), len(exact), k))
	}
	sum, queries := 0.0, 0
	for q, truth := range exact {
		truth = truth[:min(k, len(truth))]
		if len(truth) == 0 {
			continue
		}
		got := make(map[string]bool, k)
		for _, id := range found[q][:min(k, len(found[q]))] {
			got[id] = true
		}
		hits := 0
		for _, id := range truth {
			if got[id] {
				hits++
			}
		}
		sum += float64(hits) / float64(len(truth))
		queries++
	}
	if queries == 0 {
		return 0
	}
	return sum / float64(queries)
}

// checkRows refuses a matrix that does not have one label a row or holds a value that is not finite.
func checkRows(what string, m kernel.Matrix, labels []int) error {
	if len(m.Data) != m.Rows*m.Cols || len(labels) != m.Rows {
		return fmt.Errorf("%w: %s %v with %d values and %d labels; want one label a row", ErrEvaluate, what, m, len(m.Data), len(labels))
	}
	for i, v := range m.Data {
		if d := v - v; d != 0 { // NaN for NaN and both infinities
			return fmt.Errorf("%w: %s, row %d, column %d is %v", ErrEvaluate, what, i/m.Cols, i%m.Cols, v)
		}
	}
	return nil
}
