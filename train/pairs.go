package train

import (
	"fmt"
	"math/rand/v2"
)

type pairs struct {
	stream
	rows    []int // the label of each item in a batch
	mates   mates
	anchors []int // scratch
}

// NewPairs returns a sampler of pairs for a Siamese network: rows 2i and 2i+1 are a pair, alternately a similar one (even i) and a
// dissimilar one. The first of a pair is the anchor; anchors come in shuffled rounds, each item once before any comes again.
// The mate of a labelled anchor is any other item of its class (itself, if it is alone there) or a labelled item of any other class,
// drawn uniformly. The mate of an unlabelled anchor is itself, which the augmentation makes into two views, or any other item.
// size is even and 4 or more. Data that has labels must have two classes, or unlabelled items to take as dissimilar.
func NewPairs(labels []int, size int, seed uint64) (Sampler, error) {
	if size < 4 || size%2 != 0 {
		return nil, fmt.Errorf("pairs sampler: a batch of %d rows, want an even number of 4 or more", size)
	}
	rows, err := rowLabels(labels)
	if err != nil {
		return nil, err
	}
	m := newMates(labels)
	if len(labels) < 2 || m.classes == 1 && m.labelled == len(labels) {
		return nil, fmt.Errorf("%w: %d items of %d classes give no dissimilar pair; add another class, or drop the labels", ErrDataset, len(labels), m.classes)
	}
	return &pairs{newStream(streamPairs, size, seed, newDeck(integers(len(labels)))), rows, m, make([]int, size/2)}, nil
}

// Next implements Sampler.
func (s *pairs) Next(b *Batch) {
	s.check(b)
	s.decks[0].deal(s.anchors, s.rng)
	for i, anchor := range s.anchors {
		var mate int
		if i%2 == 0 {
			mate = s.mates.same(anchor, s.rng)
		} else {
			mate = s.mates.other(anchor, s.rng)
		}
		b.Items[2*i], b.Items[2*i+1] = anchor, mate
		b.Labels[2*i], b.Labels[2*i+1] = s.rows[anchor], s.rows[mate]
	}
}

// mates draws second items of pairs in constant time, uniformly and without trial and error, however uneven the classes.
type mates struct {
	order    []int // items by class, the unlabelled ones last
	place    []int // order[place[i]] == i
	from, to []int // order[from[i]:to[i]] is the class of item i; an unlabelled item is a class of its own
	labelled int
	classes  int
}

func newMates(labels []int) mates {
	n := len(labels)
	m := mates{order: make([]int, 0, n), place: make([]int, n), from: make([]int, n), to: make([]int, n)}
	classes, unlabelled := itemsByClass(labels)
	for _, items := range append(classes, singles(unlabelled)...) {
		from := len(m.order)
		for _, i := range items {
			m.place[i], m.from[i], m.to[i] = len(m.order), from, from+len(items)
			m.order = append(m.order, i)
		}
	}
	m.labelled, m.classes = n-len(unlabelled), len(classes)
	return m
}

func singles(items []int) [][]int {
	out := make([][]int, len(items))
	for i := range items {
		out[i] = items[i : i+1]
	}
	return out
}

// same returns another item of i's class, or i if there is none.
func (m *mates) same(i int, rng *rand.Rand) int {
	from, to := m.from[i], m.to[i]
	if to-from == 1 {
		return i
	}
	at := from + rng.IntN(to-from-1)
	if at >= m.place[i] {
		at++
	}
	return m.order[at]
}

// other returns an item of another class: a labelled one for a labelled i, unless all labelled items are of i's class. There must be one.
func (m *mates) other(i int, rng *rand.Rand) int {
	from, to := m.from[i], m.to[i]
	end := len(m.order)
	if from < m.labelled && to-from < m.labelled {
		end = m.labelled
	}
	at := rng.IntN(end - (to - from))
	if at >= from {
		at += to - from
	}
	return m.order[at]
}
