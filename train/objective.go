package train

import (
	"fmt"

	"github.com/akin-search/akin/encoder/kernel"
)

// Objective is a loss with what it keeps between steps: ArcFace's class weights, a memory of embeddings, MoCo's queue. It belongs to one
// run and one goroutine.
type Objective interface {
	// Loss returns the loss of a batch of embeddings, rows of unit length, and overwrites grad, of the same shape, with dLoss/dEmbedding,
	// as a Loss does. It runs once a step of the graph; b is not kept beyond the call.
	Loss(b *Batch, emb, grad kernel.Matrix) float32
	// State returns a copy of what a checkpoint must hold for the run to go on bit by bit; nil where nothing is kept.
	State() [][]float32
	// Restore takes up what State returned for the same options and data; an error wraps ErrCheckpoint.
	Restore(state [][]float32) error
}

// Learner is an Objective with weights of its own that learn along with the network's (ArcFace's class weights). Loss adds up their
// gradients; the trainer calls Learn after each step of the optimiser.
type Learner interface {
	Objective
	// Learn takes one step at the schedule's rate by the gradients since the last one, divided by the batches that Loss saw, and forgets them.
	Learn(rate float64, batches int)
}

// KeyObjective is an Objective that compares the batch with keys from a momentum encoder (He et al. 2020, MoCo). Before each Loss the
// trainer shows every item of the batch in another augmented view to the network of averaged weights, without gradient, and hands over
// the result. The sampler of such a run has every item once in a batch: NewEach.
type KeyObjective interface {
	Objective
	// Keys takes the keys of the batch that Loss gets next: row i is another view of the item in the batch's row i, of unit length.
	// The matrix is the trainer's: what is to stay must be copied.
	Keys(b *Batch, keys kernel.Matrix)
}

// stateless makes a Loss an Objective.
type stateless struct{ loss Loss }

// Stateless makes a Loss an Objective that keeps nothing.
func Stateless(l Loss) Objective { return stateless{l} }

func (s stateless) Loss(b *Batch, emb, grad kernel.Matrix) float32 {
	return s.loss(emb, b.Labels, grad)
}
func (s stateless) State() [][]float32 { return nil }

func (s stateless) Restore(state [][]float32) error {
	if len(state) != 0 {
		return fmt.Errorf("%w: it has %d tables for a loss that keeps none", ErrCheckpoint, len(state))
	}
	return nil
}
