package train

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/akin-search/akin/encoder/kernel"
)

// Verification says how well the cosine tells whether two rows are of one class.
type Verification struct {
	AUROC     float64 `json:"pair_auroc"`   // area under the ROC of similar against dissimilar pairs
	EER       float64 `json:"pair_eer"`     // where as large a share of similar pairs is refused as of dissimilar ones is accepted
	TARAtFAR1 float64 `json:"tar_at_far_1"` // share of similar pairs accepted where at most 1 % of the dissimilar ones are
}

// VerifyPairs draws the given number of pairs of rows, half of one label and half of two, and returns how well their cosine tells them
// apart. emb holds unit rows; unlabelled rows are left out. The first row of a pair is uniform over the labelled rows (for similar pairs,
// those not alone with their label), the second over its possible mates. Pairs may repeat. The same seed gives the same pairs.
func VerifyPairs(emb kernel.Matrix, labels []int, pairs int, seed uint64) (Verification, error) {
	var v Verification
	if err := checkRows("embeddings", emb, labels); err != nil {
		return v, err
	}
	if pairs < 2 || pairs%2 != 0 {
		return v, fmt.Errorf("%w: %d pairs, want an even number of 2 or more", ErrEvaluate, pairs)
	}
	m := newMates(labels)
	var social []int // labelled rows with company
	for _, row := range m.order[:m.labelled] {
		if m.to[row]-m.from[row] > 1 {
			social = append(social, row)
		}
	}
	if m.classes < 2 || len(social) == 0 {
		return v, fmt.Errorf("%w: %d labelled rows of %d classes; pairs need two classes, one of them with two rows", ErrEvaluate, m.labelled, m.classes)
	}
	rng := rand.New(rand.NewPCG(seed, 0x7061697273)) // "pairs"
	different, same := make([]float64, pairs/2), make([]float64, pairs/2)
	for i := range same {
		a := social[rng.IntN(len(social))]
		same[i] = dot(emb.Row(a), emb.Row(m.same(a, rng)))
		a = m.order[rng.IntN(m.labelled)]
		different[i] = dot(emb.Row(a), emb.Row(m.other(a, rng)))
	}
	var err error
	v.AUROC, err = AUROC(different, same)
	v.EER, v.TARAtFAR1 = operate(different, same, 0.01)
	return v, err
}

// operate walks along the operating points of "accept a score of t or more", from no pair accepted to all, and returns the equal error
// rate, linear between the two points around it, and the share of positives accepted at the last point with at most far of the negatives.
// It sorts both lists.
func operate(negatives, positives []float64, far float64) (eer, tar float64) {
	down := func(a, b float64) int { return cmp.Compare(b, a) }
	slices.SortFunc(negatives, down)
	slices.SortFunc(positives, down)
	n, p := 0, 0                  // accepted
	accepted, refused := 0.0, 1.0 // shares: negatives accepted, positives refused
	for crossed := false; !crossed || accepted <= far; {
		if n == len(negatives) && p == len(positives) {
			break
		}
		t := 0.0
		switch {
		case n == len(negatives):
			t = positives[p]
		case p == len(positives):
			t = negatives[n]
		default:
			t = max(negatives[n], positives[p])
		}
		for n < len(negatives) && negatives[n] >= t {
			n++
		}
		for p < len(positives) && positives[p] >= t {
			p++
		}
		a, r := float64(n)/float64(len(negatives)), 1-float64(p)/float64(len(positives))
		if !crossed && a >= r { // the gap between the shares falls from refused−accepted to r−a
			u := (refused - accepted) / (refused - accepted + a - r)
			eer, crossed = accepted+u*(a-accepted), true
		}
		if a <= far {
			tar = 1 - r
		}
		accepted, refused = a, r
	}
	return eer, tar
}
