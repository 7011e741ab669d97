package train

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/akin-search/akin/encoder"
)

const (
	leastLayoutDeviation = 1.0  // of 255: where all cells of all pictures are alike, less than that is not seen
	leastShrinkage       = 0.01 // of the covariance, so that few pictures have an inverse, too
	leastSpread          = 0.02 // of usual scores: where all pictures score alike, less than that is not seen
	layoutFolds          = 5    // that usual distances are measured on: those of each by the others
)

// layoutOf learns the layouts of pictures, and returns how far each of them is from those of the other folds.
func layoutOf(surfaces []*encoder.Surface) (l encoder.Layout, apart []float64, err error) {
	all := make([][]float32, len(surfaces))
	for i, s := range surfaces {
		all[i] = s.Layout()
	}
	folds := min(layoutFolds, len(all))
	for f := range folds {
		var rest, fold [][]float32
		for i, row := range all {
			if i%folds == f {
				fold = append(fold, row)
			} else {
				rest = append(rest, row)
			}
		}
		others, err := fitLayout(rest)
		if err != nil {
			return l, nil, err
		}
		for _, row := range fold {
			apart = append(apart, others.Distance(row))
		}
	}
	l, err = fitLayout(all)
	return l, apart, err
}

// fitLayout whitens layouts by their covariance, which is drawn towards a sphere (Ledoit & Wolf, Journal of Multivariate Analysis 88, 2004, equation 14).
func fitLayout(layouts [][]float32) (l encoder.Layout, err error) {
	const d = encoder.LayoutCells
	n := float64(len(layouts))
	mean, row := make([]float64, d), make([]float64, d)
	for _, layout := range layouts {
		for j, v := range layout {
			mean[j] += float64(v) / n
		}
	}
	cov, fourths := mat.NewSymDense(d, nil), 0.0
	for _, layout := range layouts {
		var square float64
		for j, v := range layout {
			row[j] = float64(v) - mean[j]
			square += row[j] * row[j]
		}
		fourths += square * square / n
		cov.SymRankOne(cov, 1/n, mat.NewVecDense(d, row))
	}
	sphere, norm := max(mat.Trace(cov)/d, leastLayoutDeviation*leastLayoutDeviation), mat.Norm(cov, 2)
	shrink := 1.0
	if off := norm*norm - sphere*sphere*d; off > 0 {
		shrink = min(1, max(leastShrinkage, (fourths-norm*norm)/n/off))
	}
	for i := range d {
		for j := i; j < d; j++ {
			v := (1 - shrink) * cov.At(i, j)
			if i == j {
				v += shrink * sphere
			}
			cov.SetSym(i, j, v)
		}
	}
	var chol mat.Cholesky
	if !chol.Factorize(cov) {
		return l, fmt.Errorf("%w: the layouts of the pictures have no covariance", ErrDataset)
	}
	var lower, inverse mat.TriDense
	chol.LTo(&lower)
	if err := inverse.InverseTri(&lower); err != nil {
		return l, fmt.Errorf("%w: the covariance of the pictures' layouts: %v", ErrDataset, err)
	}
	for i := range d {
		l.Mean = append(l.Mean, float32(mean[i]))
		for j := range i + 1 {
			l.Inverse = append(l.Inverse, float32(inverse.At(i, j)))
		}
	}
	for _, layout := range layouts {
		l.Known = append(l.Known, l.White(layout))
	}
	return l, nil
}

// usualOf places scores by their median and half the distance between the quantiles that a normal distribution has a deviation to either side.
func usualOf(scores []float64) encoder.Usual {
	s := slices.Sorted(slices.Values(scores))
	at := func(q float64) float64 { return s[int(math.Round(q*float64(len(s)-1)))] }
	return encoder.Usual{Middle: at(0.5), Spread: max((at(0.841)-at(0.159))/2, leastSpread)}
}
