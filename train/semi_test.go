package train

import (
	"errors"
	"slices"
	"testing"

	"github.com/akin-search/akin/encoder/kernel"
)

// TestSemiBatches: views of all items come first, two rows each, then labelled items class by class, and every row with a class has it.
func TestSemiBatches(t *testing.T) {
	labels := keep([]int{4, 1, 4, 1, 4, 1, 4, 1, 4, 1, 4, 1, 4, 1, 4, 1, 4, 1, 4, 1}, 2)
	s, err := NewSemi(labels, 32, 5)
	if err != nil {
		t.Fatal(err)
	}
	b := NewBatch(s.Size())
	seen := map[int]bool{}
	for range 5 {
		s.Next(b)
		if s.Size() != 32 {
			t.Fatalf("%d rows", s.Size())
		}
		for row, item := range b.Items {
			seen[item] = true
			switch {
			case row < 24 && item != b.Items[row^1]:
				t.Fatalf("rows %d and %d show items %d and %d", row, row^1, item, b.Items[row^1])
			case row >= 24 && labels[item] == Unlabelled:
				t.Fatalf("row %d shows item %d, which has no label", row, item)
			case labels[item] != Unlabelled && b.Labels[row] != labels[item]:
				t.Fatalf("row %d has label %d, item %d has %d", row, b.Labels[row], item, labels[item])
			case labels[item] == Unlabelled && b.Labels[row] != 5+item:
				t.Fatalf("row %d has label %d, want a number of its own, %d", row, b.Labels[row], 5+item)
			}
		}
	}
	if len(seen) != len(labels) {
		t.Errorf("%d of %d items were seen", len(seen), len(labels))
	}
	if n := testing.AllocsPerRun(20, func() { s.Next(b) }); n > 0 {
		t.Errorf("%g allocations a batch", n)
	}
	if _, err := NewSemi(keep(labels, 0), 32, 5); !errors.Is(err, ErrDataset) {
		t.Errorf("no labels: %v", err)
	}
}

// TestSemiLoss: it is NTXent of the views by item and SupCon of the rows with a class, and so is the gradient.
func TestSemiLoss(t *testing.T) {
	_, labels := clusters(40, 3, 4, 1, 2)
	d := Dataset{IDs: make([]string, 40), Labels: keep(labels, 4), Classes: []string{"a", "b", "c"}}
	s, err := NewSemi(d.Labels, 32, 5)
	if err != nil {
		t.Fatal(err)
	}
	o, err := newSemiLoss(d, 32, 0.2)
	if err != nil {
		t.Fatal(err)
	}
	b := NewBatch(s.Size())
	s.Next(b)
	emb, _ := clusters(s.Size(), 3, 8, 1, 4)
	grad := kernel.NewMatrix(emb.Rows, emb.Cols)
	got := o.Loss(b, emb, grad)

	views := kernel.Matrix{Rows: 24, Cols: 8, Data: emb.Data[:24*8]}
	want, sum := kernel.NewMatrix(24, 8), kernel.NewMatrix(emb.Rows, emb.Cols)
	loss := NTXent(0.2)(views, b.Items[:24], want)
	copy(sum.Data, want.Data)
	var rows [][]float32
	var at, classes []int
	for row, item := range b.Items {
		if l := d.Labels[item]; l != Unlabelled {
			rows, at, classes = append(rows, emb.Row(row)), append(at, row), append(classes, l)
		}
	}
	part := kernel.NewMatrix(len(rows), 8)
	loss += SupCon(0.2)(kernel.MatrixOf(rows, 8), classes, part)
	for i, row := range at {
		for j, g := range part.Row(i) {
			sum.Row(row)[j] += g
		}
	}
	if got != loss || !slices.Equal(grad.Data, sum.Data) {
		t.Errorf("loss %g, want %g, or another gradient", got, loss)
	}
}
