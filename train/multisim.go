package train

import (
	"fmt"
	"math"
)

const (
	multiSimAlpha   = 2   // α of Wang et al. 2019, of positives
	multiSimEpsilon = 0.1 // ε there: slack of the mining
)

// MultiSimilarity is the loss of Wang, Han, Huang, Dong, Scott 2019, "Multi-similarity loss with general pair weighting for deep metric
// learning", equation 15, on the pairs that equations 11 and 12 choose, as the mean over the anchors:
//
//	L = mean_i 1/α·log(1 + Σ_{p∈P_i} exp(−α·(s_ip−λ))) + 1/β·log(1 + Σ_{n∈N_i} exp(β·(s_in−λ)))
//	P_i = the rows of i's class with s_ip < max_n s_in + ε,  N_i = those of others with s_in > min_p s_ip − ε
//
// where α = 2 and ε = 0.1 as there; β = 1/temperature (there 50), and the margin is λ, the similarity at which a pair neither pulls nor
// pushes much (there 1; 0.5 in the authors' program). The gradient takes the chosen pairs as given. A row without a positive or without
// a negative is no anchor; anchors count in the mean even where no pair of theirs was chosen. The constructor panics at a temperature
// or margin that is not positive.
func MultiSimilarity(temperature, margin float32) Loss {
	return newBatchwise("MultiSimilarity", newMultiSim(temperature, margin)).loss
}

type multiSim struct {
	beta, lambda float64
}

func newMultiSim(temperature, margin float32) *multiSim {
	if !(temperature > 0) || !(margin > 0) {
		panic(fmt.Sprintf("train: MultiSimilarity: temperature %v and margin %v, want more than 0", temperature, margin))
	}
	return &multiSim{1 / float64(temperature), float64(margin)}
}

// gradient implements pairwise.
func (m *multiSim) gradient(s similarities) (loss, factor float32) {
	sum, anchors := 0.0, 0
	for i := range s.labels {
		row := s.row(i)
		farthest, nearest := float32(math.Inf(1)), float32(math.Inf(-1)) // positive, negative
		for j, v := range row {
			switch {
			case s.negative(i, j):
				nearest = max(nearest, v) // NaN is carried on
			case s.positive(i, j):
				farthest = min(farthest, v)
			}
		}
		if math.IsInf(float64(farthest), 1) || math.IsInf(float64(nearest), -1) {
			clear(row)
			continue
		}
		anchors++
		sum += m.anchor(s, i, nearest+multiSimEpsilon, farthest-multiSimEpsilon)
	}
	if anchors == 0 {
		return 0, 0
	}
	return float32(sum / float64(anchors)), 1 / float32(anchors)
}

// anchor returns the loss of row i and replaces the row by its derivatives. A positive counts below the similarity below, a negative
// above the similarity above. Comparisons are turned round so that a NaN counts.
func (m *multiSim) anchor(s similarities, i int, below, above float32) float64 {
	row := s.row(i)
	pull, push := 0.0, 0.0
	for j, v := range row {
		switch {
		case s.negative(i, j) && !(v <= above):
			push += math.Exp(m.beta * (float64(v) - m.lambda))
		case s.positive(i, j) && !(v >= below):
			pull += math.Exp(-multiSimAlpha * (float64(v) - m.lambda))
		}
	}
	for j, v := range row {
		switch {
		case s.negative(i, j) && !(v <= above):
			row[j] = float32(math.Exp(m.beta*(float64(v)-m.lambda)) / (1 + push))
		case s.positive(i, j) && !(v >= below):
			row[j] = float32(-math.Exp(-multiSimAlpha*(float64(v)-m.lambda)) / (1 + pull))
		default:
			row[j] = 0
		}
	}
	return math.Log1p(pull)/multiSimAlpha + math.Log1p(push)/m.beta
}
