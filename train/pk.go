package train

import "fmt"

// pk implements the P×K batches of Hermans, Beyer, Leibe 2017, "In defense of the triplet loss for person re-identification", section 2.
type pk struct {
	stream  // deck 0 deals classes, deck 1+c the items of class c
	labels  []int
	p, k    int
	classes []int // scratch: the classes of a batch
}

// NewPK returns a sampler of batches of p classes with k items each, rows i·k … i·k+k−1 being of one class. labels holds the class of
// every item of the data set; unlabelled ones are left out.
// Classes come in rounds, each once before any comes again, and so do the items of a class: small classes are seen as often as large ones.
// Where there are fewer than p classes, some come twice in a batch; where a class has fewer than k items, its items come more than once
// (with other augmentations). It needs p and k of 2 or more and two classes.
func NewPK(labels []int, p, k int, seed uint64) (Sampler, error) {
	if p < 2 || k < 2 {
		return nil, fmt.Errorf("PK sampler: %d classes × %d items, want 2 or more of both, or a batch has no negatives or no positives", p, k)
	}
	if _, err := rowLabels(labels); err != nil {
		return nil, err
	}
	members, _ := itemsByClass(labels)
	if len(members) < 2 {
		return nil, fmt.Errorf("%w: the labels of the %d items name %d classes; the PK sampler needs two (for unlabelled data use the Views sampler)",
			ErrDataset, len(labels), len(members))
	}
	s := &pk{labels: labels, p: p, k: k, classes: make([]int, p)}
	decks := []deck{newDeck(integers(len(members)))}
	for _, items := range members {
		decks = append(decks, newDeck(items))
	}
	s.stream = newStream(streamPK, p*k, seed, decks...)
	return s, nil
}

// Next implements Sampler.
func (s *pk) Next(b *Batch) {
	s.check(b)
	s.decks[0].deal(s.classes, s.rng)
	for i, c := range s.classes {
		s.decks[1+c].deal(b.Items[i*s.k:(i+1)*s.k], s.rng)
	}
	for i, item := range b.Items {
		b.Labels[i] = s.labels[item]
	}
}
