package train

import (
	"cmp"
	"context"
	"fmt"
	"math"
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
	drawn, err := drawPairs(emb, labels, pairs, seed)
	if err != nil {
		return Verification{}, err
	}
	return verify(drawn, nil, farOne), nil
}

// farOne is the share of dissimilar pairs accepted that TARAtFAR1 is of.
const farOne = 0.01

// scoredPair is a pair of rows with their similarity.
type scoredPair struct {
	a, b  int
	same  bool
	score float64
}

// sortPairs puts the most similar first.
func sortPairs(p []scoredPair) {
	slices.SortStableFunc(p, func(a, b scoredPair) int { return cmp.Compare(b.score, a.score) })
}

// drawPairs draws the pairs of VerifyPairs, sorted.
func drawPairs(emb kernel.Matrix, labels []int, pairs int, seed uint64) ([]scoredPair, error) {
	if err := checkRows("embeddings", emb, labels); err != nil {
		return nil, err
	}
	if pairs < 2 || pairs%2 != 0 {
		return nil, fmt.Errorf("%w: %d pairs, want an even number of 2 or more", ErrEvaluate, pairs)
	}
	m := newMates(labels)
	var social []int // labelled rows with company
	for _, row := range m.order[:m.labelled] {
		if m.to[row]-m.from[row] > 1 {
			social = append(social, row)
		}
	}
	if m.classes < 2 || len(social) == 0 {
		return nil, fmt.Errorf("%w: %d labelled rows of %d classes; pairs need two classes, one of them with two rows", ErrEvaluate, m.labelled, m.classes)
	}
	rng := rand.New(rand.NewPCG(seed, 0x7061697273)) // "pairs"
	out := make([]scoredPair, 0, pairs)
	add := func(a, b int, same bool) {
		score := dot(emb.Row(a), emb.Row(b))
		out = append(out, scoredPair{a, b, same, score})
	}
	for range pairs / 2 {
		a := social[rng.IntN(len(social))]
		add(a, m.same(a, rng), true)
		a = m.order[rng.IntN(m.labelled)]
		add(a, m.other(a, rng), false)
	}
	sortPairs(out)
	return out, nil
}

// verify walks along the operating points of "accept a score of t or more", from no pair accepted to all. A pair counts as often as
// weight says, nil for once each. It returns the area under the curve, where a tie counts half, the equal error rate, linear between the
// two points around it, and the share of similar pairs accepted at the last point with at most far of the dissimilar ones. Pairs are sorted;
// both kinds weigh something.
func verify(pairs []scoredPair, weight func(scoredPair) float64, far float64) Verification {
	if weight == nil {
		weight = func(scoredPair) float64 { return 1 }
	}
	var all, in [2]float64 // weights of dissimilar and of similar pairs: all, and accepted
	kind := func(p scoredPair) int {
		if p.same {
			return 1
		}
		return 0
	}
	for _, p := range pairs {
		all[kind(p)] += weight(p)
	}
	var v Verification
	accepted, refused, crossed := 0.0, 1.0, false // shares: dissimilar accepted, similar refused
	for i := 0; i < len(pairs); {
		before := in
		for t := pairs[i].score; i < len(pairs) && pairs[i].score == t; i++ {
			in[kind(pairs[i])] += weight(pairs[i])
		}
		v.AUROC += (in[0] - before[0]) * (in[1] + before[1]) / 2
		a, r := in[0]/all[0], 1-in[1]/all[1]
		if !crossed && a >= r { // the gap between the shares falls from refused−accepted to r−a
			u := (refused - accepted) / (refused - accepted + a - r)
			v.EER, crossed = accepted+u*(a-accepted), true
		}
		if a <= far {
			v.TARAtFAR1 = 1 - r
		}
		accepted, refused = a, r
	}
	v.AUROC /= all[0] * all[1]
	return v
}

// verifyIntervals returns the intervals of bootstrap for figures of pairs, by their JSON names: rows are drawn anew with replacement, and a pair
// counts as often as both its rows were drawn, together. Pairs that share a row do not vary apart, which drawing pairs anew would miss.
func verifyIntervals(ctx context.Context, pairs []scoredPair, rows int, o DownstreamOptions) (map[string]Interval, error) {
	figures := [3][]float64{}
	for f := range figures {
		figures[f] = make([]float64, resamples)
	}
	err := eachBlock(ctx, o.Threads, resamples/resamplesBlock, func() func(int) {
		drawn := make([]float64, rows)
		return func(block int) {
			for sample := block * resamplesBlock; sample < (block+1)*resamplesBlock; sample++ {
				rng := rand.New(rand.NewPCG(o.Seed, 0x626f6f74<<16|uint64(sample))) // "boot", as bootstrap draws queries
				clear(drawn)
				for range rows {
					drawn[rng.IntN(rows)]++
				}
				v := verify(pairs, func(p scoredPair) float64 { return drawn[p.a] * drawn[p.b] }, farOne)
				figures[0][sample], figures[1][sample], figures[2][sample] = v.AUROC, v.EER, v.TARAtFAR1
			}
		}
	})
	if err != nil {
		return nil, err
	}
	out := map[string]Interval{}
	if slices.ContainsFunc(figures[0], math.IsNaN) { // so few rows that a resample has no pair of a kind
		return out, nil
	}
	for f, name := range []string{"pair_auroc", "pair_eer", "tar_at_far_1"} {
		out[name] = middle(figures[f])
	}
	return out, nil
}
