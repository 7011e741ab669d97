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

// TestFoldGroups: a group is in one fold whole, and folds have equally many groups.
func TestFoldGroups(t *testing.T) {
	var d Dataset
	for i := range 60 {
		d.IDs, d.Raw, d.Labels = append(d.IDs, fmt.Sprintf("g%d-%d", i%7, i)), append(d.Raw, []byte{1}), append(d.Labels, i%4-1)
	}
	d.Classes = []string{"a", "b", "c"}
	group := func(id string) (string, error) { return id[:2], nil }
	of, items := map[string]int{}, 0
	for i := range 3 {
		rest, fold, err := d.FoldGroups(i, 3, 1, group)
		if err != nil || rest.Len()+fold.Len() != 60 {
			t.Fatalf("fold %d: %d and %d items, %v", i, rest.Len(), fold.Len(), err)
		}
		groups := map[string]bool{}
		for j, id := range fold.IDs {
			if at, seen := of[id[:2]]; seen && at != i || fold.Labels[j] == Unlabelled {
				t.Errorf("item %s of label %d is in fold %d, its group in %d", id, fold.Labels[j], i, at)
			}
			of[id[:2]], groups[id[:2]] = i, true
			items++
		}
		if len(groups) != 2 && len(groups) != 3 {
			t.Errorf("fold %d has %d of 7 groups", i, len(groups))
		}
	}
	if items != 45 || len(of) != 7 {
		t.Errorf("%d items of %d groups, want the 45 with a label, of 7", items, len(of))
	}
	if _, _, err := d.FoldGroups(0, 8, 1, group); !errors.Is(err, ErrDataset) {
		t.Errorf("8 folds of 7 groups: %v", err)
	}
	if _, _, err := d.FoldGroups(3, 3, 1, group); !errors.Is(err, ErrOptions) {
		t.Errorf("fold 4 of 3: %v", err)
	}
	broken := errors.New("no group")
	if _, _, err := d.FoldGroups(0, 3, 1, func(string) (string, error) { return "", broken }); !errors.Is(err, broken) {
		t.Errorf("an item without a group: %v", err)
	}
}
