package train

import (
	"errors"
	"fmt"
	"testing"
)

// TestFold: every labelled item is in one fold, classes are spread evenly, and unlabelled items stay.
func TestFold(t *testing.T) {
	var d Dataset
	for i := range 47 {
		label := i % 4
		if label == 3 {
			label = Unlabelled
		}
		d.IDs, d.Raw, d.Labels = append(d.IDs, fmt.Sprint(i)), append(d.Raw, []byte{1}), append(d.Labels, label)
	}
	d.Classes = []string{"a", "b", "c"}
	seen := map[string]int{}
	for i := range 5 {
		rest, fold, err := d.Fold(i, 5, 1)
		if err != nil || rest.Len()+fold.Len() != 47 {
			t.Fatalf("fold %d: %d and %d items, %v", i, rest.Len(), fold.Len(), err)
		}
		count := map[int]int{}
		for j, id := range fold.IDs {
			seen[id]++
			count[fold.Labels[j]]++
		}
		for label := range 3 {
			if n := count[label]; n < 2 || n > 3 {
				t.Errorf("fold %d: %d items of class %d, want 2 or 3 of 12", i, n, label)
			}
		}
		if count[Unlabelled] > 0 {
			t.Errorf("fold %d holds unlabelled items", i)
		}
	}
	for i, id := range d.IDs {
		if want := min(1, d.Labels[i]+1); seen[id] != want {
			t.Errorf("item %s of label %d is in %d folds", id, d.Labels[i], seen[id])
		}
	}
	for _, bad := range [][2]int{{0, 1}, {-1, 5}, {5, 5}} {
		if _, _, err := d.Fold(bad[0], bad[1], 1); !errors.Is(err, ErrOptions) {
			t.Errorf("fold %d of %d: %v", bad[0], bad[1], err)
		}
	}
	if _, _, err := d.Subset([]int{0, 1}).Fold(3, 5, 1); !errors.Is(err, ErrDataset) {
		t.Errorf("an empty fold: %v", err)
	}
}
