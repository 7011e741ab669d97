package train

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
)

// Triplet is an anchor, a candidate of its class and one of another: rows of a batch, or of a memory for the last two.
type Triplet struct{ Anchor, Positive, Negative int }

// miner chooses triplets. What it draws depends on the seed and on the similarities alone, so that there is nothing to remember
// between two steps of a run.
type miner struct {
	kind      Negatives
	seed      uint64
	source    *rand.PCG
	rng       *rand.Rand
	triplets  []Triplet
	positives []int
	negatives []int
	weights   []float64 // cumulated, of the negatives
}

const (
	nearestWeighed  = 0.5 // NegativesDistance: a nearer negative weighs no more than at this distance
	farthestWeighed = 1.4 // NegativesDistance: a farther one, beyond a right angle, teaches little
)

func newMiner(kind Negatives, seed uint64) *miner {
	if !kind.mined() {
		panic(fmt.Sprintf("train: no miner chooses negatives %v", kind))
	}
	source := rand.NewPCG(0, 0)
	return &miner{kind: kind, seed: seed, source: source, rng: rand.New(source)}
}

// mine returns triplets in the order of their anchors; they are good until the next call. An anchor without a positive or without a
// negative has none.
func (m *miner) mine(s similarities) []Triplet {
	m.triplets = m.triplets[:0]
	if len(s.value) > 0 {
		m.source.Seed(m.seed^0x6d696e65, digest(s.row(0))) // "mine"
	}
	for i := range s.labels {
		row := s.row(i)
		m.positives, m.negatives = m.positives[:0], m.negatives[:0]
		for j := range row {
			switch {
			case s.negative(i, j):
				m.negatives = append(m.negatives, j)
			case s.positive(i, j):
				m.positives = append(m.positives, j)
			}
		}
		if len(m.positives) == 0 || len(m.negatives) == 0 {
			continue
		}
		switch m.kind {
		case NegativesHard:
			m.triplets = append(m.triplets, Triplet{i, least(row, m.positives), most(row, m.negatives)})
			continue
		case NegativesDistance:
			m.weigh(row, s.dimension)
		}
		for _, p := range m.positives {
			m.triplets = append(m.triplets, Triplet{i, p, m.negative(row, row[p])})
		}
	}
	return m.triplets
}

// negative returns the one for a positive of the given similarity.
func (m *miner) negative(row []float32, positive float32) int {
	switch m.kind {
	case NegativesSemiHard:
		best := -1
		for _, j := range m.negatives {
			if row[j] < positive && (best < 0 || row[j] > row[best]) {
				best = j
			}
		}
		if best < 0 {
			best = least(row, m.negatives)
		}
		return best
	case NegativesDistance:
		at := m.rng.Float64() * m.weights[len(m.weights)-1]
		return m.negatives[min(sort.SearchFloat64s(m.weights, at), len(m.negatives)-1)]
	}
	return m.negatives[m.rng.IntN(len(m.negatives))]
}

// weigh cumulates the weights of the negatives. The distances D of points spread evenly over the unit sphere in n dimensions have the
// density q(D) ∝ D^(n−2)·(1−D²/4)^((n−3)/2); its logarithm is taken, since it spans hundreds of orders of magnitude.
func (m *miner) weigh(row []float32, dimension int) {
	logs := m.weights[:0]
	n, top := float64(dimension), math.Inf(-1)
	for _, j := range m.negatives {
		d := math.Sqrt(max(0, 2-2*float64(row[j])))
		w := math.Inf(-1)
		if d < farthestWeighed {
			d = max(d, nearestWeighed)
			w = -(n-2)*math.Log(d) - (n-3)/2*math.Log(1-d*d/4)
		}
		logs, top = append(logs, w), max(top, w)
	}
	total := 0.0
	for i, w := range logs {
		if math.IsInf(top, -1) { // all are far
			total++
		} else {
			total += math.Exp(w - top)
		}
		logs[i] = total
	}
	m.weights = logs
}

// least returns the candidate of the smallest similarity, the first of equals, and most that of the largest.
func least(row []float32, candidates []int) int {
	best := candidates[0]
	for _, j := range candidates[1:] {
		if row[j] < row[best] {
			best = j
		}
	}
	return best
}

func most(row []float32, candidates []int) int {
	best := candidates[0]
	for _, j := range candidates[1:] {
		if row[j] > row[best] {
			best = j
		}
	}
	return best
}

// digest makes a seed of values (FNV-1a over their bits).
func digest(v []float32) uint64 {
	h := uint64(14695981039346656037)
	for _, x := range v {
		h = (h ^ uint64(math.Float32bits(x))) * 1099511628211
	}
	return h
}
