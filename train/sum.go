package train

import (
	"fmt"
	"slices"

	"github.com/akin-search/akin/encoder/kernel"
)

// Selection says which rows of a batch a part of a sum sees, and under which labels.
type Selection struct {
	Rows   []int // places in the batch, each at most once
	Labels []int // one a row
}

// Select fills s, which is empty, with the rows of b for a part of a sum.
type Select func(b *Batch, s *Selection)

// LabelledRows selects the rows that have one of the data set's classes, for a supervised loss.
func LabelledRows(classes int) Select {
	return func(b *Batch, s *Selection) {
		for row, l := range b.Labels {
			if l < classes {
				s.Rows, s.Labels = append(s.Rows, row), append(s.Labels, l)
			}
		}
	}
}

// ItemRows selects all rows, labelled by their item: views of one item belong together, whatever its class. It is for self-supervised
// losses.
func ItemRows(b *Batch, s *Selection) {
	for row, item := range b.Items {
		s.Rows, s.Labels = append(s.Rows, row), append(s.Labels, item)
	}
}

// Part is one term of a Sum.
type Part struct {
	Weight    float64
	Objective Objective
	Select    Select // nil = all rows with the batch's own labels
}

// sum is a weighted sum of objectives, each on its own rows.
type sum struct {
	parts []Part
	// Scratch of one part at a time.
	chosen    Selection
	batch     Batch
	emb, grad []float32
}

// Sum returns Σ weight·objective, each objective on the rows that its part selects; the other rows get gradient 0 from it. A part that
// finds no row adds nothing. The scale of each term is that of the objective on its own rows: a mean over few rows weighs as much as one
// over many.
func Sum(parts ...Part) (Objective, error) {
	if len(parts) == 0 {
		return nil, fmt.Errorf("%w: a sum of no objectives: give it at least one part", ErrOptions)
	}
	for i, p := range parts {
		if !(p.Weight > 0) || p.Objective == nil {
			return nil, fmt.Errorf("%w: part %d of the sum has weight %g and objective %T: give it a positive weight and an objective", ErrOptions, i, p.Weight, p.Objective)
		}
		if _, keys := p.Objective.(KeyObjective); keys {
			return nil, fmt.Errorf("%w: part %d of the sum needs keys of a momentum encoder, which a sum does not hand on: train it on its own", ErrOptions, i)
		}
	}
	return &sum{parts: slices.Clone(parts)}, nil
}

// Loss implements Objective.
func (s *sum) Loss(b *Batch, emb, grad kernel.Matrix) float32 {
	clear(grad.Data)
	total := 0.0
	for _, p := range s.parts {
		s.chosen.Rows, s.chosen.Labels = s.chosen.Rows[:0], s.chosen.Labels[:0]
		if p.Select == nil {
			for row, l := range b.Labels {
				s.chosen.Rows, s.chosen.Labels = append(s.chosen.Rows, row), append(s.chosen.Labels, l)
			}
		} else {
			p.Select(b, &s.chosen)
		}
		rows := s.chosen.Rows
		if len(rows) == 0 {
			continue
		}
		s.emb, s.grad = slices.Grow(s.emb[:0], len(rows)*emb.Cols), slices.Grow(s.grad[:0], len(rows)*emb.Cols)
		s.batch.Items, s.batch.Labels = s.batch.Items[:0], s.chosen.Labels
		for _, row := range rows {
			s.emb, s.batch.Items = append(s.emb, emb.Row(row)...), append(s.batch.Items, b.Items[row])
		}
		s.grad = s.grad[:len(s.emb)]
		part := kernel.Matrix{Rows: len(rows), Cols: emb.Cols, Data: s.grad}
		total += p.Weight * float64(p.Objective.Loss(&s.batch, kernel.Matrix{Rows: len(rows), Cols: emb.Cols, Data: s.emb}, part))
		for i, row := range rows {
			to := grad.Row(row)
			for j, g := range part.Row(i) {
				to[j] += float32(p.Weight) * g
			}
		}
	}
	return float32(total)
}

// Learn implements Learner for the parts that learn.
func (s *sum) Learn(rate float64, batches int) {
	for _, p := range s.parts {
		if l, ok := p.Objective.(Learner); ok {
			l.Learn(rate, batches)
		}
	}
}

// State implements Objective: nil where no part keeps anything; else the number of tables of each part, then the tables.
func (s *sum) State() [][]float32 {
	counts, out := make([]float32, len(s.parts)), [][]float32{nil}
	for i, p := range s.parts {
		state := p.Objective.State()
		counts[i] = float32(len(state))
		out = append(out, state...)
	}
	if len(out) == 1 {
		return nil
	}
	out[0] = counts
	return out
}

// Restore implements Objective.
func (s *sum) Restore(state [][]float32) error {
	if len(state) == 0 {
		state = [][]float32{make([]float32, len(s.parts))} // no part keeps anything
	}
	if len(state[0]) != len(s.parts) {
		return fmt.Errorf("%w: %d tables do not fit a sum of %d objectives", ErrCheckpoint, len(state), len(s.parts))
	}
	counts, left := state[0], state[1:]
	for i, p := range s.parts {
		n := int(counts[i])
		if n < 0 || n > len(left) {
			return fmt.Errorf("%w: part %d of the sum claims %d tables of %d", ErrCheckpoint, i, n, len(left))
		}
		if err := p.Objective.Restore(left[:n]); err != nil {
			return fmt.Errorf("part %d of the sum: %w", i, err)
		}
		left = left[n:]
	}
	if len(left) != 0 {
		return fmt.Errorf("%w: %d tables are left over after a sum of %d objectives", ErrCheckpoint, len(left), len(s.parts))
	}
	return nil
}
