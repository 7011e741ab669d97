package train

import (
	"fmt"
	"math"
)

// Triplet losses: a miner chooses triplets (anchor a, positive p, negative n), and the loss is the mean of the active ones, those that
// break the margin (Hermans, Beyer, Leibe 2017, section 2, call it L_{≠0}: so that the solved ones do not water the others down):
//
//	L = mean over the active (a, p, n) of max(0, D_ap² − D_an² + margin),  D² = 2 − 2·e_a·e_p
//
// with the squared Euclidean distance of Schroff, Kalenichenko, Philbin 2015 (FaceNet), equation 2. As a function of the
// similarities it is 2·(s_an − s_ap) + margin.

// TripletLoss learns from the triplets that a miner of the given kind finds in a batch: hard is Hermans's batch-hard loss, semi-hard
// that of FaceNet. Without an active triplet loss and gradient are zero; a row whose class comes once is no anchor.
// It panics at a margin that is not positive.
func TripletLoss(margin float32, kind MinerKind, seed uint64) Loss {
	return newBatchwise("TripletLoss", newTriplets(margin, kind, seed)).loss
}

type triplets struct {
	margin float32
	miner  *miner
}

func newTriplets(margin float32, kind MinerKind, seed uint64) *triplets {
	if !(margin > 0) {
		panic(fmt.Sprintf("train: TripletLoss: margin %v, want more than 0", margin))
	}
	return &triplets{margin, newMiner(kind, seed)}
}

// gradient implements pairwise.
func (t *triplets) gradient(s similarities) (loss, factor float32) {
	chosen := t.miner.mine(s)
	sum, active := 0.0, chosen[:0]
	for _, c := range chosen {
		row := s.row(c.Anchor)
		if cost := 2*(row[c.Negative]-row[c.Positive]) + t.margin; !(cost <= 0) { // NaN is carried on
			sum += float64(cost)
			active = append(active, c)
		}
	}
	clear(s.value)
	if len(active) == 0 {
		return 0, 0
	}
	for _, c := range active {
		row := s.row(c.Anchor)
		row[c.Positive]--
		row[c.Negative]++
	}
	return float32(sum / float64(len(active))), 2 / float32(len(active))
}

// TripletAll is Hermans's batch-all loss: the same mean over all active triplets of the batch. It panics at a margin that is not positive.
func TripletAll(margin float32) Loss {
	if !(margin > 0) {
		panic(fmt.Sprintf("train: TripletAll: margin %v, want more than 0", margin))
	}
	return newBatchwise("TripletAll", &allTriplets{margin: margin}).loss
}

type allTriplets struct {
	margin float32
	g      []float32
}

// gradient implements pairwise.
func (t *allTriplets) gradient(s similarities) (loss, factor float32) {
	if cap(t.g) < len(s.among) {
		t.g = make([]float32, len(s.among))
	}
	g := t.g[:len(s.among)]
	sum, active := 0.0, 0
	half := t.margin / 2
	for i := range s.labels {
		row := s.row(i)
		clear(g)
		for p, near := range row {
			if !s.positive(i, p) {
				continue
			}
			part, count := float32(0), 0
			for n, far := range row {
				if cost := far - near + half; s.negative(i, n) && !(cost <= 0) {
					part += cost
					count++
					g[n]++
				}
			}
			g[p] -= float32(count)
			sum, active = sum+2*float64(part), active+count
		}
		copy(row, g)
	}
	if active == 0 {
		return 0, 0
	}
	return float32(sum / float64(active)), 2 / float32(active)
}

// MinedContrastive is Contrastive (Hadsell, Chopra, LeCun 2006) on the pairs that a miner finds in a batch, (a, p) and (a, n) of each
// triplet, as the mean over the triplets:
//
//	L = mean over (a, p, n) of ½·D_ap² + ½·max(0, margin − D_an)²,  D² = 2 − 2·s
//
// It panics at a margin that is not positive.
func MinedContrastive(margin float32, kind MinerKind, seed uint64) Loss {
	return newBatchwise("MinedContrastive", newMinedPairs(margin, kind, seed)).loss
}

type minedPairs struct {
	margin float32
	miner  *miner
	slopes []float32 // of the negatives of the triplets
}

func newMinedPairs(margin float32, kind MinerKind, seed uint64) *minedPairs {
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
