package train

import (
	"context"
	"math/rand/v2"
	"slices"
)

// Interval is a range that a figure lies in with so much confidence.
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

const (
	resamples      = 1000
	resamplesBlock = 50
	confidence     = 0.95
)

// perQuery is a figure that is the mean of one value a query.
type perQuery struct {
	name   string
	mean   *float64
	values []float64
}

// bootstrap sets the means and returns their intervals: the 2.5 % and 97.5 % points of the means of resamples of the queries, drawn with
// replacement (percentile method, Efron 1979). All figures share the draws. Where every query has the same value, so do the resamples:
// the interval is a point. What it covers is the choice of the queries; not that of the training data or its seed.
func bootstrap(ctx context.Context, figures []perQuery, o DownstreamOptions) (map[string]Interval, error) {
	n := len(figures[0].values)
	means := make([][]float64, len(figures))
	for f := range means {
		means[f] = make([]float64, resamples)
	}
	err := eachBlock(ctx, o.Threads, resamples/resamplesBlock, func() func(int) {
		draws := make([]int, n)
		return func(block int) {
			for sample := block * resamplesBlock; sample < (block+1)*resamplesBlock; sample++ {
				rng := rand.New(rand.NewPCG(o.Seed, 0x626f6f74<<16|uint64(sample))) // "boot"
				for i := range draws {
					draws[i] = rng.IntN(n)
				}
				for f, figure := range figures {
					sum := 0.0
					for _, q := range draws {
						sum += figure.values[q]
					}
					means[f][sample] = sum / float64(n)
				}
			}
		}
	})
	if err != nil {
		return nil, err
	}
	intervals := make(map[string]Interval, len(figures))
	for f, figure := range figures {
		*figure.mean = mean(figure.values)
		intervals[figure.name] = middle(means[f])
	}
	return intervals, nil
}

// middle returns the interval that leaves out as many of the resamples' figures on either side. It sorts them.
func middle(figures []float64) Interval {
	slices.Sort(figures)
	const tail = resamples * (1 - confidence) / 2
	return Interval{Low: figures[int(tail)], High: figures[resamples-1-int(tail)]}
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}
