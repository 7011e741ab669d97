package train

import "slices"

// Semi-supervised batches: some rows learn from classes, the others from two views of an item. Three quarters of a batch are views of
// items drawn from all data, the rest are labelled items, class by class, so that a hundred labels among thousands of items are in every
// batch:
//
//	rows 0 … views−1: pairs of views ──► NTXent, by item
//	rows with a class, among the views too ──► SupCon, by class
//
// The loss is the sum of both.
type semi struct {
	views, classes Sampler
	part           Batch // scratch
	labels         []int // of each item in a batch
}

// semiViews returns how many rows of a batch are views: pairs of different items.
func semiViews(batch, items int) int { return min(batch*3/4, 2*items) &^ 1 }

// NewSemi returns a sampler of batches of views and labelled items; size is 16 or more. Rows 2i and 2i+1 of the first are views of one item.
func NewSemi(labels []int, size int, seed uint64) (Sampler, error) {
	views := semiViews(size, len(labels))
	v, err := NewViews(len(labels), views, seed)
	if err != nil {
		return nil, err
	}
	members, _ := itemsByClass(labels)
	p := max(2, min(len(members), (size-views)/2))
	c, err := NewPK(labels, p, max(2, (size-views)/p), seed)
	if err != nil {
		return nil, err
	}
	rows, err := rowLabels(labels)
	if err != nil {
		return nil, err
	}
	return &semi{views: v, classes: c, labels: rows}, nil
}

// Size implements Sampler.
func (s *semi) Size() int { return s.views.Size() + s.classes.Size() }

// Next implements Sampler.
func (s *semi) Next(b *Batch) {
	views := s.views.Size()
	s.part = Batch{Items: b.Items[:views], Labels: b.Labels[:views]}
	s.views.Next(&s.part)
	for row, item := range s.part.Items {
		b.Labels[row] = s.labels[item]
	}
	s.part = Batch{Items: b.Items[views:], Labels: b.Labels[views:]}
	s.classes.Next(&s.part)
}

// newSemiLoss returns the objective for the batches of NewSemi.
func newSemiLoss(d Dataset, batch int, temperature float32) (Objective, error) {
	views := integers(semiViews(batch, d.Len()))
	classes := slices.Max(d.Labels) + 1 // NewSemi numbers the items without a class from there
	return Sum(
		Part{Weight: 1, Objective: Stateless(NTXent(temperature)), Select: func(b *Batch, s *Selection) {
			s.Rows, s.Labels = append(s.Rows, views...), append(s.Labels, b.Items[:len(views)]...)
		}},
		Part{Weight: 1, Objective: Stateless(SupCon(temperature)), Select: LabelledRows(classes)},
	)
}
