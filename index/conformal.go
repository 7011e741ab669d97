package index

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
)

// Scores become p-values by comparison with those of held-out points (split conformal: Vovk, Gammerman & Shafer, Algorithmic
// Learning in a Random World, 2005; for anomalies: Laxhammar & Falkman 2010):
//
//	p = (1 + #{calibration scores ≥ score}) / (n + 1)
//
// For a point drawn like the held-out ones P(p ≤ α) ≤ α, in samples of any size: the 1 stands for the point itself. Scores that
// are equal count as larger, so that ties make p-values larger, and alarms rarer, never more frequent. Without ties P(p ≤ α) is
// ⌊α(n+1)⌋/(n+1) to the letter.
//
// Compared only with points of one category it holds within that category (Mondrian: chapter 4.5 of the book). The category is
// the nearest class for verdicts, and the label, with the distance to that class as the score, for Classify.

// Conformal turns scores into p-values by the scores of held-out items.
type Conformal struct {
	scores []float64 // ascending
}

// NewConformal takes the scores of held-out items, in any order.
func NewConformal(scores []float64) Conformal {
	return Conformal{slices.Sorted(slices.Values(scores))}
}

// calibrated is what is known of a held-out point.
type calibrated struct {
	score   float64
	own     float64 // distance to the clusters of its class
	nearest int     // nearest class
	label   int     // its class
}

// calibration is the scores of the held-out points, as they are compared with.
type calibration struct {
	Conformal
	items     []calibrated // by score
	byNearest [][]float64  // scores by the nearest class, ascending
	byLabel   [][]float64  // own distances by the label, ascending
}

func newCalibration(items []calibrated, classes int) calibration {
	slices.SortFunc(items, compareCalibrated)
	c := calibration{items: items, Conformal: Conformal{make([]float64, len(items))}, byNearest: make([][]float64, classes), byLabel: make([][]float64, classes)}
	for i, it := range items {
		c.scores[i] = it.score
		c.byNearest[it.nearest] = append(c.byNearest[it.nearest], it.score)
		c.byLabel[it.label] = append(c.byLabel[it.label], it.own)
	}
	for _, own := range c.byLabel {
		slices.Sort(own)
	}
	return c
}

func compareCalibrated(a, b calibrated) int {
	return cmp.Or(cmp.Compare(a.score, b.score), cmp.Compare(a.own, b.own), cmp.Compare(a.nearest, b.nearest), cmp.Compare(a.label, b.label))
}

// pValue compares a score with calibration scores, ascending.
func pValue(scores []float64, score float64) float64 {
	return pValueOf(len(scores)-sort.SearchFloat64s(scores, score), len(scores))
}

// pValueOf is the p-value of a score that count of n calibration scores reach.
func pValueOf(count, n int) float64 { return float64(1+count) / float64(n+1) }

// PValue returns (1 + #{calibration scores ≥ score}) / (n + 1).
func (c Conformal) PValue(score float64) float64 { return pValue(c.scores, score) }

// Threshold returns the score that anomalies at this alpha exceed: the largest calibration score that is none.
func (c Conformal) Threshold(alpha float64) (float64, error) {
	n := len(c.scores)
	if err := checkRate("alpha", alpha, n); err != nil {
		return 0, err
	}
	// An anomaly is reached by at most so many calibration scores that their p-value still is <= alpha. The one after these,
	// from the top, is the threshold.
	most := sort.Search(n, func(count int) bool { return pValueOf(count, n) > alpha }) - 1
	return c.scores[n-1-most], nil
}

// checkRate refuses a rate, alpha or another of that name, that n calibration scores do not support.
func checkRate(name string, rate float64, n int) error {
	if !(rate > 0 && rate < 1) {
		return fmt.Errorf("%s %v: %w: use a number between 0 and 1, %v for example", name, rate, ErrAlpha, DefaultAlpha)
	}
	if least := pValueOf(0, n); rate < least {
		need := math.Ceil(1/rate) - 1
		if 1/(need+1) > rate {
			need++ // rounding
		}
		return fmt.Errorf("%s %v with %d calibration scores: %w: use at least 1/(n+1) = %.3g, or calibrate with n = %.0f held-out vectors",
			name, rate, n, ErrAlpha, least, need)
	}
	return nil
}

// CheckFDR refuses a false-discovery rate at which BenjaminiHochberg could call nothing, however strange: one below MinAlpha.
func (c Conformal) CheckFDR(rate float64) error {
	return checkRate("false-discovery rate", rate, len(c.scores))
}

// FewestAlarms returns the least number of anomalies that BenjaminiHochberg can call among m p-values at a rate that CheckFDR lets
// pass: no p-value is below MinAlpha, and k of them have to be at most k·rate/m.
func (c Conformal) FewestAlarms(rate float64, m int) int {
	least := func(k int) bool { return discovered(c.MinAlpha(), k+1, m, rate) }
	return min(sort.Search(m, least)+1, m)
}

// discovered reports whether a p-value, the k-th of m, is at most k·rate/m; what is above it by rounding is, too.
func discovered(p float64, k, m int, rate float64) bool {
	return p*float64(m) <= float64(k)*rate*(1+1e-12)
}

// MinAlpha returns the smallest alpha that Verdict accepts, 1/(n+1).
func (c Conformal) MinAlpha() float64 { return pValueOf(0, len(c.scores)) }

// Calibration returns the number n of calibration scores.
func (c Conformal) Calibration() int { return len(c.scores) }

// CalibrationOf returns the number of calibration scores whose nearest class is the given one.
func (d *Detector) CalibrationOf(class string) int {
	if i := d.class(class); i >= 0 {
		return len(d.byNearest[i])
	}
	return 0
}

// BenjaminiHochberg tells which of many p-values are called anomalies so that at most the share rate of those called is expected
// to be false (Benjamini & Hochberg, Journal of the Royal Statistical Society B 57, 1995): the k least, for the largest k with
// p(k) ≤ k·rate/n. Conformal p-values that share their calibration depend on each other in the way that it allows (Bates, Candès,
// Lei, Romano & Sesia, Annals of Statistics 51, 2023). ErrAlpha: rate is not between 0 and 1.
func BenjaminiHochberg(p []float64, rate float64) ([]bool, error) {
	if !(rate > 0 && rate < 1) {
		return nil, fmt.Errorf("false-discovery rate %v: %w: use a number between 0 and 1, 0.05 for example", rate, ErrAlpha)
	}
	sorted := slices.Sorted(slices.Values(p))
	limit := -1.0
	for i, x := range sorted {
		if discovered(x, i+1, len(p), rate) {
			limit = x
		}
	}
	out := make([]bool, len(p))
	for i, x := range p {
		out[i] = x <= limit
	}
	return out, nil
}
