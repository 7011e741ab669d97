package train

import "fmt"

// Triplet losses: a miner chooses triplets (anchor a, positive p, negative n), and the loss is the mean of the active ones, those that
// break the margin (Hermans, Beyer, Leibe 2017, section 2, call it L_{≠0}: so that the solved ones do not water the others down):
//
//	L = mean over the active (a, p, n) of max(0, D_ap² − D_an² + margin),  D² = 2 − 2·e_a·e_p
//
// with the squared Euclidean distance of Schroff, Kalenichenko, Philbin 2015 (FaceNet), equation 2. As a function of the
// similarities it is 2·(s_an − s_ap) + margin.

// TripletLoss learns from the triplets of a batch that negatives name: all (Hermans's batch-all), or those that a miner finds: hard is
// Hermans's batch-hard, semi-hard that of FaceNet. seed is for what the miner draws. Without an active triplet loss and gradient are
// zero; a row whose class comes once is no anchor. It panics at a margin that is not positive, and at negatives from outside the batch.
func TripletLoss(margin float32, negatives Negatives, seed uint64) Loss {
	return newBatchwise("TripletLoss", newTriplets(margin, negatives, seed)).loss
}

func newTriplets(margin float32, negatives Negatives, seed uint64) pairwise {
	if !(margin > 0) {
		panic(fmt.Sprintf("train: TripletLoss: margin %v, want more than 0", margin))
	}
	if negatives == NegativesBatch {
		return &allTriplets{margin: margin}
	}
	return &triplets{margin, newMiner(negatives, seed)}
}

type triplets struct {
	margin float32
	miner  *miner
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

// allTriplets takes all of them.
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
