package train

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/akin-search/akin/encoder/kernel"
)

// efficiencyDraws is how many times labels are drawn for one point of the curve.
const efficiencyDraws = 10

// LabelPoint says how well so few labels tell the queries' classes.
type LabelPoint struct {
	PerClass            int    `json:"labels_per_class"`
	KNNAccuracy         Spread `json:"knn_accuracy"` // vote of the min(5, PerClass) nearest
	NearestMeanAccuracy Spread `json:"nearest_mean_accuracy"`
	LinearProbeAccuracy Spread `json:"linear_probe_accuracy"`
}

// Spread is the median of some draws and how far they go.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// LabelEfficiency measures the curve of accuracy against labels: for each number in perClass it draws as many rows of each class of base,
// ten times, and asks all queries of them. A draw of more labels holds that of fewer. Base and queries are as for MeasureDownstream; a
// class that has fewer rows in base than asked for is an error that wraps ErrEvaluate. The same input, seed and CPU tier give the same
// bits on any number of threads. It stops soon when ctx ends.
func LabelEfficiency(ctx context.Context, base kernel.Matrix, baseLabels []int, queries kernel.Matrix, queryLabels []int, perClass []int, o DownstreamOptions) ([]LabelPoint, error) {
	if err := checkSearch(base, baseLabels, queries, queryLabels); err != nil {
		return nil, err
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	classes, _ := itemsByClass(baseLabels)
	fewest := slices.MinFunc(classes, func(a, b []int) int { return len(a) - len(b) })
	for _, n := range perClass {
		if n < 1 || n > len(fewest) {
			return nil, fmt.Errorf("%w: %d labels a class: it must be 1 to %d, the rows that base has of its smallest class", ErrEvaluate, n, len(fewest))
		}
	}
	points := make([]LabelPoint, len(perClass))
	for i, n := range perClass {
		var knn, means, probes []float64
		for draw := range uint64(efficiencyDraws) {
			rng := rand.New(rand.NewPCG(o.Seed, 0x6c6162656c73<<8|draw)) // "labels"
			e := evaluation{ctx: ctx, queries: queries, queryLabels: queryLabels, DownstreamOptions: o}
			var data []float32
			for _, rows := range classes {
				rows = slices.Clone(rows)
				rng.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
				for _, r := range rows[:n] {
					data, e.baseLabels = append(data, base.Row(r)...), append(e.baseLabels, baseLabels[r])
				}
			}
			e.base = kernel.Matrix{Rows: len(e.baseLabels), Cols: base.Cols, Data: data}
			right, _, err := e.nearest(min(downstreamK, n))
			if err != nil {
				return nil, err
			}
			knn = append(knn, mean(right))
			if right, err = e.nearestMean(); err != nil {
				return nil, err
			}
			means = append(means, mean(right))
			if right, err = e.linearProbe(); err != nil {
				return nil, err
			}
			probes = append(probes, mean(right))
		}
		points[i] = LabelPoint{PerClass: n, KNNAccuracy: spreadOf(knn), NearestMeanAccuracy: spreadOf(means), LinearProbeAccuracy: spreadOf(probes)}
	}
	return points, nil
}

// spreadOf sorts an even number of values.
func spreadOf(values []float64) Spread {
	slices.Sort(values)
	n := len(values)
	return Spread{Median: (values[n/2-1] + values[n/2]) / 2, Min: values[0], Max: values[n-1]}
}
