package train

import (
	"cmp"
	"fmt"
	"slices"
)

// Fold parts d into what is trained on and fold i of n, 0 to n-1: every labelled item is in one fold, and every class is spread evenly over
// them. Unlabelled items are always trained on. It depends on ids and the seed alone.
func (d Dataset) Fold(i, n int, seed uint64) (rest, fold Dataset, err error) {
	if n < 2 || i < 0 || i >= n {
		return Dataset{}, Dataset{}, fmt.Errorf("%w: fold %d of %d: there must be 2 or more, and the fold one of them, from 0", ErrOptions, i, n)
	}
	classes, _ := itemsByClass(d.Labels)
	in, dealt := make([]bool, d.Len()), 0 // small classes do not all end in the first folds
	for _, items := range classes {
		slices.SortStableFunc(items, func(a, b int) int { return cmp.Compare(place(d.IDs[a], seed), place(d.IDs[b], seed)) })
		for _, item := range items {
			in[item] = dealt%n == i
			dealt++
		}
	}
	var out [2][]int
	for item, is := range in {
		if is {
			out[1] = append(out[1], item)
		} else {
			out[0] = append(out[0], item)
		}
	}
	if len(out[0]) == 0 || len(out[1]) == 0 {
		return Dataset{}, Dataset{}, fmt.Errorf("%w: fold %d of %d holds %d items and leaves %d: use fewer folds, or label more", ErrDataset, i+1, n, len(out[1]), len(out[0]))
	}
	return d.Subset(out[0]), d.Subset(out[1]), nil
}
