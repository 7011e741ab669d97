package train

import (
	"fmt"
	"math"

	"github.com/akin-search/akin/encoder/kernel"
)

// pairScore is the loss of pairs with scores s_i, rows 2i and 2i+1 of the embeddings:
//
//	L = 1 − Σ (c_i − c̄)(s_i − s̄) / √(Σ (c_i − c̄)² · Σ (s_i − s̄)²),  c_i = cosine of pair i
//
// one less Pearson's correlation of the cosines with the scores, over the batch. It does not ask for a cosine of any size: pairs that are all
// much alike, as those of the same words, are put in order as well as others. The slope of a correlation is taken at variances of at least
// pairFloor, so that a batch of equal scores or cosines has one.
type pairScore struct {
	cosines []float64 // scratch
}

const pairFloor = 1e-6

// NewPairScores returns the objective for batches with scores: those of NewGivenPairs.
func NewPairScores() Objective { return &pairScore{} }

// Loss implements Objective.
func (l *pairScore) Loss(b *Batch, emb, grad kernel.Matrix) float32 {
	n := len(b.Scores)
	if emb.Rows != 2*n || len(emb.Data) != emb.Rows*emb.Cols || grad.Rows != emb.Rows || len(grad.Data) != len(emb.Data) || n == 0 {
		panic(fmt.Sprintf("train: pairs: embeddings %v and gradient %v for %d scores, want two rows a score", emb, grad, n))
	}
	l.cosines = l.cosines[:0]
	meanCosine, meanScore := 0.0, 0.0
	for i, s := range b.Scores {
		c := dot(emb.Row(2*i), emb.Row(2*i+1))
		l.cosines = append(l.cosines, c)
		meanCosine, meanScore = meanCosine+c/float64(n), meanScore+float64(s)/float64(n)
	}
	both, cosines, scores := 0.0, pairFloor, pairFloor
	for i, s := range b.Scores {
		c, s := l.cosines[i]-meanCosine, float64(s)-meanScore
		both, cosines, scores = both+c*s, cosines+c*c, scores+s*s
	}
	scale := 1 / math.Sqrt(cosines*scores)
	for i, s := range b.Scores { // dL/dc = −(s − s̄)/√(…) + correlation·(c − c̄)/Σ(c − c̄)²
		slope := float32(both*scale*(l.cosines[i]-meanCosine)/cosines - (float64(s)-meanScore)*scale)
		first, second := emb.Row(2*i), emb.Row(2*i+1)
		da, db := grad.Row(2*i), grad.Row(2*i+1)
		for j := range first {
			da[j], db[j] = slope*second[j], slope*first[j]
		}
	}
	return float32(1 - both*scale)
}

// State implements Objective.
func (l *pairScore) State() [][]float32 { return nil }

// Restore implements Objective.
func (l *pairScore) Restore(state [][]float32) error { return Stateless(nil).Restore(state) }
