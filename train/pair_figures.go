package train

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
)

// PairFigures say how well cosines tell the scores of given pairs. A pair is similar from a score of 0.5 on.
type PairFigures struct {
	Pairs    int     `json:"pairs"`
	Pearson  float64 `json:"pearson"`    // correlation of cosines and scores
	Spearman float64 `json:"spearman"`   // of their ranks, equal ones sharing the mean of theirs
	AUROC    float64 `json:"pair_auroc"` // of similar against dissimilar pairs
	EER      float64 `json:"eer"`        // where as large a share of similar pairs is refused as of dissimilar ones is accepted

	// Intervals hold 95 %, by the figures' JSON names: pairs are drawn anew with replacement (percentile method, Efron 1979), and keep the ranks that
	// they have among all.
	Intervals map[string]Interval `json:"intervals"`
}

// MeasurePairs measures the embeddings of items, unit rows, on their pairs. Pairs of other items do not count. Both kinds of pairs must be there; an
// error wraps ErrEvaluate. The same input and seed give the same bits on any number of threads.
func MeasurePairs(ctx context.Context, emb kernel.Matrix, ids []string, pairs []Pair, o DownstreamOptions) (PairFigures, error) {
	var f PairFigures
	if emb.Rows != len(ids) {
		return f, fmt.Errorf("%w: embeddings %v of %d items", ErrEvaluate, emb, len(ids))
	}
	if err := o.validate(); err != nil {
		return f, err
	}
	cosines, scores := pairCosines(emb, ids, pairs)
	if i := slices.IndexFunc(cosines, math.IsNaN); i >= 0 {
		return f, fmt.Errorf("%w: the cosine of pair %d is NaN", ErrEvaluate, i)
	}
	sorted, similar := make([]scoredPair, len(cosines)), 0
	for i, c := range cosines {
		sorted[i] = scoredPair{a: i, b: i, same: scores[i] >= 0.5, score: c}
		if sorted[i].same {
			similar++
		}
	}
	if similar == 0 || similar == len(cosines) {
		return f, fmt.Errorf("%w: %d pairs, %d of them similar: it needs some of both kinds", ErrEvaluate, len(cosines), similar)
	}
	sortPairs(sorted)
	v := verify(sorted, nil, farOne)
	cosineRanks, scoreRanks := ranks(cosines), ranks(scores)
	f = PairFigures{Pairs: len(cosines), Pearson: correlation(cosines, scores), Spearman: correlation(cosineRanks, scoreRanks), AUROC: v.AUROC, EER: v.EER,
		Intervals: map[string]Interval{}}
	names := []string{"pearson", "spearman", "pair_auroc", "eer"}
	figures := make([][]float64, len(names))
	for i := range figures {
		figures[i] = make([]float64, resamples)
	}
	err := eachBlock(ctx, o.Threads, resamples/resamplesBlock, func() func(int) {
		drawn := make([]float64, len(cosines))
		return func(block int) {
			for sample := block * resamplesBlock; sample < (block+1)*resamplesBlock; sample++ {
				rng := rand.New(rand.NewPCG(o.Seed, 0x626f6f74<<16|uint64(sample))) // "boot", as bootstrap draws queries
				clear(drawn)
				for range drawn {
					drawn[rng.IntN(len(drawn))]++
				}
				v := verify(sorted, func(p scoredPair) float64 { return drawn[p.a] }, farOne)
				figures[0][sample], figures[1][sample] = stat.Correlation(cosines, scores, drawn), stat.Correlation(cosineRanks, scoreRanks, drawn)
				figures[2][sample], figures[3][sample] = v.AUROC, v.EER
			}
		}
	})
	if err != nil {
		return f, err
	}
	for i, name := range names {
		if !slices.ContainsFunc(figures[i], math.IsNaN) { // of so few pairs that a resample has one kind
			f.Intervals[name] = middle(figures[i])
		}
	}
	return f, nil
}

// MeasurePairsBaseline is MeasurePairs of what is reached without any training, by the modality's baseline, on features that a decoder of pre made.
func MeasurePairsBaseline(ctx context.Context, pre encoder.Preprocessing, features []encoder.Features, ids []string, pairs []Pair, o DownstreamOptions) (name string, f PairFigures, err error) {
	name, emb, _, err := BaselineVectors(pre, features, nil)
	if err != nil {
		return "", f, err
	}
	f, err = MeasurePairs(ctx, emb, ids, pairs, o)
	return name, f, err
}

// pairCosines returns the cosines and the scores of the pairs among ids, whose embeddings are the rows of emb.
func pairCosines(emb kernel.Matrix, ids []string, pairs []Pair) (cosines, scores []float64) {
	at := make(map[string]int, len(ids))
	for i, id := range ids {
		at[id] = i
	}
	for _, p := range pairs {
		a, knownA := at[p.A]
		b, knownB := at[p.B]
		if knownA && knownB {
			cosines, scores = append(cosines, dot(emb.Row(a), emb.Row(b))), append(scores, p.Score)
		}
	}
	return cosines, scores
}

// correlation is Pearson's, 0 where one side is constant.
func correlation(a, b []float64) float64 {
	if r := stat.Correlation(a, b, nil); !math.IsNaN(r) {
		return r
	}
	return 0
}

// ranks returns the ranks of values from 1; equal ones share their mean.
func ranks(values []float64) []float64 {
	order := integers(len(values))
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(values[a], values[b]) })
	out := make([]float64, len(values))
	for from := 0; from < len(order); {
		to := from
		for to < len(order) && values[order[to]] == values[order[from]] {
			to++
		}
		for _, i := range order[from:to] {
			out[i] = float64(from+to+1) / 2
		}
		from = to
	}
	return out
}

// tfidfDimension is what TF-IDF vectors are projected to: their cosines then have a standard deviation of 0.03.
const tfidfDimension = 1024

// tfidfVectors are the TF-IDF vectors of the words alone, with the inverse document frequencies of the training texts, projected at random.
func tfidfVectors(p encoder.Preprocessing, base, queries []encoder.Features) (b, q kernel.Matrix) {
	weights := p.Text.Weights()
	row, sum := make([]float32, tfidfDimension), make([]float64, tfidfDimension)
	vectors := func(features []encoder.Features) kernel.Matrix {
		out := kernel.NewMatrix(len(features), tfidfDimension)
		for i, f := range features {
			clear(sum)
			word := float32(-1)
			for at := 0; at < len(f.Data); at += encoder.TextFields {
				e := f.Data[at : at+encoder.TextFields]
				if e[3] == word { // the word itself comes first
					continue
				}
				word = e[3]
				weight := e[1] // of those without a row, the inverse document frequency is in it
				if stored := int(e[0]); stored < len(weights) {
					weight *= weights[stored]
				}
				kernel.BagRow(row, int(e[0]))
				for j, v := range row {
					sum[j] += float64(weight * v)
				}
			}
			kernel.Unit(out.Row(i), sum)
		}
		return out
	}
	return vectors(base), vectors(queries)
}
