package train

import (
	"fmt"
)

// What one loss and its negatives are made of: the objective and the sampler that goes with it.

const (
	// memoryItems is the length of MoCo's queue and of the cross-batch memory; half of the items where that is less, so that hardly an
	// item meets an older view of itself.
	memoryItems = 4096
)

// memoryFor returns the length of a memory for so many items and batches of so many rows.
func memoryFor(items, batch int) int { return max(batch, min(memoryItems, items/2)) }

// newObjective returns the objective of a run on d in its initial state.
func (o Options) newObjective(d Dataset) (Objective, error) {
	kind, negatives, err := o.choice()
	if err != nil {
		return nil, err
	}
	temperature, margin := float32(o.Temperature), float32(o.Margin)
	dimension, err := o.Network.Dimension()
	if err != nil {
		return nil, err
	}
	switch {
	case kind == LossArcFace:
		return NewArcFace(len(d.Classes), dimension, temperature, margin, o.Seed), nil
	case kind == LossOneClass:
		return newOneClassLoss(d, temperature, dimension, o.Seed)
	case kind == LossPairs:
		return NewPairScores(), nil
	case kind == LossSemi:
		return newSemiLoss(d, o.Batch, temperature)
	case kind == LossMoCo:
		return NewMoCo(temperature, memoryFor(d.Len(), o.Batch), dimension), nil
	case negatives == NegativesMemory:
		return newMemory(kind.String(), o.pairwise(kind), o.pairwise(kind), memoryFor(d.Len(), o.Batch), dimension), nil
	case kind == LossTriplet && negatives != NegativesIndex:
		return Stateless(TripletLoss(margin, negatives, o.Seed)), nil
	case kind == LossContrastive && negatives.mined() && negatives != NegativesRandom:
		return Stateless(MinedContrastive(margin, negatives, o.Seed)), nil
	}
	loss, err := kind.New(temperature, margin)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	return Stateless(loss), nil
}

// pairwise returns the core of a loss that can take a memory.
func (o Options) pairwise(kind LossKind) pairwise {
	temperature, margin := float32(o.Temperature), float32(o.Margin)
	switch kind {
	case LossMultiSimilarity:
		return newMultiSim(temperature, margin)
	case LossTriplet:
		return newTriplets(margin, NegativesSemiHard, o.Seed)
	}
	return newSimilaritySoftmax(kind.String(), temperature)
}

// sampler returns the sampler that the loss calls for, and how many items it takes a batch: mates and second views are not counted.
func (o Options) sampler(d Dataset) (s Sampler, items int, err error) {
	kind, negatives, err := o.choice()
	if err != nil {
		return nil, 0, err
	}
	classes, _ := itemsByClass(d.Labels)
	pairs := o.Batch / 2
	switch {
	case len(o.pairs) > 0:
		s, err = NewGivenPairs(d.IDs, o.pairs, 2*pairs, o.Seed)
		return s, pairs, err
	case kind == LossContrastive && (negatives == NegativesRandom || negatives == NegativesIndex):
		s, err = NewPairs(d.Labels, 2*pairs, o.Seed)
		return s, pairs, err
	case kind == LossMoCo:
		n := min(o.Batch, d.Len())
		s, err = NewEach(d.Labels, n, o.Seed)
		return s, n, err
	case kind == LossOneClass:
		copies := o.copies()
		v, err := newShiftedViews(d.Len()/copies, copies, o.Batch, o.Seed)
		if err != nil {
			return nil, 0, err
		}
		return v, v.Size() / (copies + 1) * copies, nil
	case !kind.Labelled():
		pairs = min(pairs, d.Len())
		s, err = NewViews(d.Len(), 2*pairs, o.Seed)
		return s, pairs, err
	case len(classes) < 2:
		return nil, 0, fmt.Errorf("%w: loss %v tells classes apart, and the data has %d: use loss %v, which needs no labels, or make a sub-folder of each class", ErrOptions, kind, len(classes), LossNTXent)
	}
	if kind == LossSemi {
		s, err = NewSemi(d.Labels, o.Batch, o.Seed)
		return s, semiViews(o.Batch, d.Len()) / 2, err
	}
	p := min(len(classes), o.Batch/2)
	k := o.Batch / p
	s, err = NewPK(d.Labels, p, k, o.Seed)
	return s, p * k, err
}

// mine puts negatives mined from an index into the batches of a run, if that is what its options ask for.
func (r *run) mine() error {
	kind, negatives, err := r.choice()
	if err != nil || negatives != NegativesIndex {
		return err
	}
	c, err := newConfusions(r.objective, r.drawn.Labels, r.dimension, r.perEpoch, r.steps, r.perEpoch*r.sampler.Size()/4, r.Threads, r.Seed)
	if err != nil {
		return err
	}
	r.objective, r.sampler = c, newConfused(r.sampler, c, r.drawn.Labels, kind == LossContrastive)
	return nil
}
