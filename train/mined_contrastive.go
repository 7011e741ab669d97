package train

import (
	"fmt"
	"math"
)

// MinedContrastive is Contrastive (Hadsell, Chopra, LeCun 2006) on the pairs that a miner finds in a batch, (a, p) and (a, n) of each
// triplet, as the mean over the triplets:
//
//	L = mean over (a, p, n) of ½·D_ap² + ½·max(0, margin − D_an)²,  D² = 2 − 2·s
//
// It panics at a margin that is not positive.
func MinedContrastive(margin float32, kind Negatives, seed uint64) Loss {
	return newBatchwise("MinedContrastive", newMinedPairs(margin, kind, seed)).loss
}

type minedPairs struct {
	margin float32
	miner  *miner
	slopes []float32 // of the negatives of the triplets
}

func newMinedPairs(margin float32, kind Negatives, seed uint64) *minedPairs {
	if !(margin > 0) {
		panic(fmt.Sprintf("train: MinedContrastive: margin %v, want more than 0", margin))
	}
	return &minedPairs{margin: margin, miner: newMiner(kind, seed)}
}

// gradient implements pairwise. At D = 0 a dissimilar pair has no direction to part in: its gradient is zero.
func (t *minedPairs) gradient(s similarities) (loss, factor float32) {
	chosen := t.miner.mine(s)
	if len(chosen) == 0 {
		clear(s.value)
		return 0, 0
	}
	sum := 0.0
	t.slopes = t.slopes[:0]
	for _, c := range chosen {
		row := s.row(c.Anchor)
		d := math.Sqrt(max(0, 2-2*float64(row[c.Negative])))
		gap, slope := float64(t.margin)-d, 0.0
		sum += float64(1 - row[c.Positive])
		if !(gap <= 0) { // NaN is carried on
			sum += gap * gap / 2
			if d > 0 {
				slope = gap / d // d/ds ½·gap², as dD/ds = −1/D
			}
		}
		t.slopes = append(t.slopes, float32(slope))
	}
	clear(s.value)
	for i, c := range chosen {
		row := s.row(c.Anchor)
		row[c.Positive]--
		row[c.Negative] += t.slopes[i]
	}
	return float32(sum / float64(len(chosen))), 1 / float32(len(chosen))
}
