package train

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/akin-search/akin/encoder/kernel"
)

// TestSumAgainstFormulas: a supervised loss on the labelled rows and a self-supervised one on all views, against the formulas in float64
// and their central differences.
func TestSumAgainstFormulas(t *testing.T) {
	const classes = 4
	rng := rand.New(rand.NewPCG(5, 6))
	s, err := Sum(Part{Weight: 0.7, Objective: Stateless(SupCon(0.2)), Select: LabelledRows(classes)}, Part{Weight: 1.5, Objective: Stateless(NTXent(0.5)), Select: ItemRows})
	if err != nil {
		t.Fatal(err)
	}
	for round, rows := range []int{16, 10, 24} {
		b, emb, grad := NewBatch(rows), unitRows(rng, rows, 6, 1), kernel.NewMatrix(rows, 6)
		for i := range grad.Data {
			grad.Data[i] = 1e9 // must be overwritten
		}
		for i := range rows {
			b.Items[i] = 100 + i/2
			b.Labels[i] = classes + 100 + i/2
			if i/2%3 == 0 && round != 1 { // in round 1 no row is labelled
				b.Labels[i] = i / 2 % classes
			}
		}
		naive := func(e [][]float64) float64 {
			var labelled [][]float64
			var labels []int
			for i, l := range b.Labels {
				if l < classes {
					labelled, labels = append(labelled, e[i]), append(labels, l)
				}
			}
			total := 1.5 * naiveSupCon(0.5)(e, b.Items)
			if len(labelled) > 0 {
				total += 0.7 * naiveSupCon(float64(float32(0.2)))(labelled, labels)
			}
			return total
		}
		got := float64(s.Loss(b, emb, grad))
		e := widen(emb)
		if want := naive(e); math.Abs(got-want) > 1e-5*math.Max(1, want) {
			t.Errorf("round %d: the sum is %g, want %g", round, got, want)
		}
		const h = 1e-5
		for r := range e {
			for c := range e[r] {
				old := e[r][c]
				e[r][c] = old + h
				up := naive(e)
				e[r][c] = old - h
				down := naive(e)
				e[r][c] = old
				if want, got := (up-down)/(2*h), float64(grad.Row(r)[c]); math.Abs(got-want) > 1e-4 {
					t.Fatalf("round %d, row %d, column %d: gradient %g, want %g", round, r, c, got, want)
				}
			}
		}
	}
}

// TestSumLeavesOtherRowsAlone: rows that no part selects have gradient zero.
func TestSumLeavesOtherRowsAlone(t *testing.T) {
	s, err := Sum(Part{Weight: 2, Objective: Stateless(SupCon(0.2)), Select: LabelledRows(2)})
	if err != nil {
		t.Fatal(err)
	}
	b := &Batch{Items: []int{0, 1, 2, 3, 4}, Labels: []int{0, 9, 0, 1, 8}}
	grad := kernel.NewMatrix(5, 3)
	for i := range grad.Data {
		grad.Data[i] = math.MaxFloat32
	}
	s.Loss(b, unitRows(rand.New(rand.NewPCG(1, 2)), 5, 3, 1), grad)
	for row, selected := range []bool{true, false, true, true, false} {
		if nonzero := slices.ContainsFunc(grad.Row(row), func(g float32) bool { return g != 0 }); nonzero != selected {
			t.Errorf("row %d: gradient %v", row, grad.Row(row))
		}
	}
}

// counter is an objective with state: the sum of everything it saw, and a weight that learns.
type counter struct{ seen, weight, pending float32 }

func (c *counter) Loss(b *Batch, emb, grad kernel.Matrix) float32 {
	for i, x := range emb.Data {
		c.seen += x
		grad.Data[i] = c.weight * x
	}
	c.pending += c.seen
	return c.seen
}

func (c *counter) Learn(rate float64, batches int) {
	c.weight -= float32(rate) * c.pending / float32(batches)
	c.pending = 0
}

func (c *counter) State() [][]float32 { return [][]float32{{c.seen}, {c.weight, c.pending}} }

func (c *counter) Restore(state [][]float32) error {
	if !slices.Equal(sizesOf(state), []int{1, 2}) {
		return ErrCheckpoint
	}
	c.seen, c.weight, c.pending = state[0][0], state[1][0], state[1][1]
	return nil
}

// TestSumState: the state of all parts goes through State and Restore; another sum's state is refused.
func TestSumState(t *testing.T) {
	make2 := func(a, b *counter) Objective {
		s, err := Sum(Part{Weight: 1, Objective: a}, Part{Weight: 1, Objective: Stateless(SupCon(1))}, Part{Weight: 1, Objective: b})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a, b := &counter{weight: 1}, &counter{weight: 2}
	s := make2(a, b)
	s.Loss(&Batch{Items: []int{1, 2}, Labels: []int{1, 2}}, kernel.MatrixOf([][]float32{{1}, {2}}, 1), kernel.NewMatrix(2, 1))
	s.(Learner).Learn(0.5, 1)
	c, d := &counter{}, &counter{}
	other := make2(c, d)
	if err := other.Restore(s.State()); err != nil {
		t.Fatal(err)
	}
	if *c != *a || *d != *b || c.weight != -0.5 {
		t.Errorf("restored %v and %v, want %v and %v", *c, *d, *a, *b)
	}
	for name, bad := range map[string][][]float32{"nothing": nil, "short": s.State()[:2], "long": append(s.State(), nil), "counts": {{9, 0, 0}}} {
		if err := other.Restore(bad); !errors.Is(err, ErrCheckpoint) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := Stateless(SupCon(1)).Restore([][]float32{{1}}); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("a stateless loss takes a state: %v", err)
	}
}

func TestSumRefuses(t *testing.T) {
	for name, parts := range map[string][]Part{"none": nil, "weight": {{Weight: math.NaN(), Objective: &counter{}}}, "objective": {{Weight: 1}}} {
		if _, err := Sum(parts...); !errors.Is(err, ErrOptions) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
