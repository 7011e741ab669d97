package train

import "fmt"

// each deals the items one by one.
type each struct {
	stream
	rows []int // the label of each item in a batch
}

// NewEach returns a sampler of single items: they come in shuffled rounds, each once before any comes again, and no item comes twice in
// a batch. size is 1 or more, and at most the number of items.
func NewEach(labels []int, size int, seed uint64) (Sampler, error) {
	if size < 1 || size > len(labels) {
		return nil, fmt.Errorf("%w: a batch of %d different items of %d: make it 1 to %d", ErrDataset, size, len(labels), len(labels))
	}
	rows, err := rowLabels(labels)
	if err != nil {
		return nil, err
	}
	return &each{newStream(streamEach, size, seed, newDeck(integers(len(labels)))), rows}, nil
}

// Next implements Sampler.
func (s *each) Next(b *Batch) {
	s.check(b)
	s.decks[0].deal(b.Items, s.rng)
	for i, item := range b.Items {
		b.Labels[i] = s.rows[item]
	}
}
