package benchmarks

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mathext"

	"github.com/akin-search/akin/train"
)

// AnomalyFigures say how well scores, larger for stranger, tell anomalies from normal items.
type AnomalyFigures struct {
	AUROC        float64 `json:"auroc"`
	AUPR         float64 `json:"aupr"`          // area under the precision-recall curve of anomalies, as average precision
	FPRAt95TPR   float64 `json:"fpr_at_95_tpr"` // share of normal items called anomalies where 95 % of the anomalies are
	AnomalyShare float64 `json:"anomaly_share"` // of the items: the AUPR of scores that say nothing
}

// anomalyFigures measures scores; both lists have one or more, without NaN. Equal scores are called together.
func anomalyFigures(normal, anomalies []float64) (f AnomalyFigures, err error) {
	if len(normal) == 0 || len(anomalies) == 0 {
		return f, fmt.Errorf("%d normal items and %d anomalies: %w: it takes one of each at least", len(normal), len(anomalies), ErrData)
	}
	if f.AUROC, err = train.AUROC(normal, anomalies); err != nil {
		return f, err
	}
	roc := rocOf(normal, anomalies)
	n, p := float64(len(normal)), float64(len(anomalies))
	f.AnomalyShare, f.FPRAt95TPR = p/(n+p), 1
	recall := 0.0
	for _, at := range roc {
		precision := at.found * p / (at.found*p + at.alarms*n)
		f.AUPR += (at.found - recall) * precision
		if recall < 0.95 && at.found >= 0.95 {
			f.FPRAt95TPR = at.alarms
		}
		recall = at.found
	}
	return f, nil
}

// rocPoint is what a threshold gives: the shares of normal items and of anomalies that are called anomalies.
type rocPoint struct{ alarms, found float64 }

// rocOf returns the points of all thresholds, from the strictest.
func rocOf(normal, anomalies []float64) (points []rocPoint) {
	a, b := slices.Sorted(slices.Values(normal)), slices.Sorted(slices.Values(anomalies))
	i, j := len(a), len(b)
	for i > 0 || j > 0 {
		threshold := math.Inf(-1)
		if i > 0 {
			threshold = a[i-1]
		}
		if j > 0 {
			threshold = max(threshold, b[j-1])
		}
		for i > 0 && a[i-1] >= threshold {
			i--
		}
		for j > 0 && b[j-1] >= threshold {
			j--
		}
		points = append(points, rocPoint{float64(len(a)-i) / float64(len(a)), float64(len(b)-j) / float64(len(b))})
	}
	return points
}

// FalseAlarms are those at an alpha, on normal items that nothing was fitted to.
type FalseAlarms struct {
	Alpha  float64 `json:"alpha"`
	Alarms int     `json:"alarms"`
	Items  int     `json:"items"`
	Rate   float64 `json:"rate"`
	Low    float64 `json:"low"` // 99 % interval of the rate (Clopper and Pearson 1934)
	High   float64 `json:"high"`
	Inside bool    `json:"inside"` // alpha lies in it
	// Expected says whether alpha's promise holds: the alarms lie in the 99 % interval of what is to be expected of so many calibration items,
	// each calibration having its own true rate (Vovk 2012, "Conditional validity of inductive conformal predictors").
	Expected bool    `json:"expected"`
	Found    float64 `json:"found"` // share of the anomalies that are called so
}

// interval99 is half of what an interval of 99 % leaves out on either side.
const interval99 = 0.005

// falseAlarmsOf counts p-values at most alpha.
func falseAlarmsOf(alpha float64, normal, anomalies []float64, calibration int) FalseAlarms {
	f := FalseAlarms{Alpha: alpha, Items: len(normal)}
	for _, p := range normal {
		if p <= alpha {
			f.Alarms++
		}
	}
	found := 0
	for _, p := range anomalies {
		if p <= alpha {
			found++
		}
	}
	f.Found = float64(found) / float64(max(1, len(anomalies)))
	f.interval()
	low, high := expectedAlarms(alpha, calibration, f.Items)
	f.Expected = f.Alarms >= low && f.Alarms <= high
	return f
}

// interval fills in the rate and its interval.
func (f *FalseAlarms) interval() {
	f.Rate = float64(f.Alarms) / float64(max(1, f.Items))
	f.Low, f.High = clopperPearson(f.Alarms, f.Items, interval99)
	f.Inside = f.Alpha >= f.Low && f.Alpha <= f.High
}

// clopperPearson returns the rates at which so many hits of n, or more, and or fewer, have the given probability: quantiles of the beta distribution.
func clopperPearson(hits, n int, tail float64) (low, high float64) {
	low, high = 0, 1
	if hits > 0 {
		low = mathext.InvRegIncBeta(float64(hits), float64(n-hits+1), tail)
	}
	if hits < n {
		high = mathext.InvRegIncBeta(float64(hits+1), float64(n-hits), 1-tail)
	}
	return low, high
}

func logChoose(n, k int) float64 { return logFactorial(n) - logFactorial(k) - logFactorial(n-k) }

func logFactorial(n int) float64 {
	v, _ := math.Lgamma(float64(n) + 1)
	return v
}

// expectedAlarms returns the 99 % interval of how many of n items have a conformal p-value of at most alpha, all of one distribution without ties
// with the calibration items. With k = ⌊alpha·(calibration+1)⌋ the rate of a calibration is beta-distributed, with k and calibration+1−k.
func expectedAlarms(alpha float64, calibration, n int) (low, high int) {
	k := int(alpha*float64(calibration+1) + 1e-9)
	if k == 0 {
		return 0, 0
	}
	a, b := float64(k), float64(calibration+1-k)
	logBeta := func(a, b float64) float64 {
		x, _ := math.Lgamma(a)
		y, _ := math.Lgamma(b)
		z, _ := math.Lgamma(a + b)
		return x + y - z
	}
	sum := 0.0
	low = -1
	for i := range n + 1 {
		sum += math.Exp(logChoose(n, i) + logBeta(float64(i)+a, float64(n-i)+b) - logBeta(a, b))
		if low < 0 && sum > interval99 {
			low = i
		}
		if sum >= 1-interval99 {
			return low, i
		}
	}
	return max(0, low), n
}
