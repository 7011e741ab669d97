package train

import "fmt"

// views implements the batches of Chen et al. 2020 (SimCLR): two views of each item.
type views struct {
	stream
	items []int // scratch: the items of a batch, once each
}

// NewViews returns a sampler for data without labels: rows 2i and 2i+1 are the same item, which the augmentation makes into two views,
// and the label is the item. Items come in shuffled rounds, each once before any comes again, and no item comes twice in a batch.
// size is even, 4 or more, and at most twice the number of items.
func NewViews(items, size int, seed uint64) (Sampler, error) {
	if size < 4 || size%2 != 0 {
		return nil, fmt.Errorf("views sampler: a batch of %d rows, want an even number of 4 or more", size)
	}
	if size/2 > items {
		return nil, fmt.Errorf("%w: a batch of %d rows shows %d items, but there are only %d; make the batch %d or smaller",
			ErrDataset, size, size/2, items, 2*items)
	}
	return &views{newStream(streamViews, size, seed, newDeck(integers(items))), make([]int, size/2)}, nil
}

// Next implements Sampler.
func (s *views) Next(b *Batch) {
	s.check(b)
	s.decks[0].deal(s.items, s.rng)
	for i, item := range s.items {
		b.Items[2*i], b.Items[2*i+1] = item, item
		b.Labels[2*i], b.Labels[2*i+1] = item, item
	}
}
