package train

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fold parts d into what is trained on and fold i of n, 0 to n-1: every labelled item is in one fold, and every class is spread evenly over
// them. Unlabelled items are always trained on. It depends on ids and the seed alone.
func (d Dataset) Fold(i, n int, seed uint64) (rest, fold Dataset, err error) {
	if n < 2 || i < 0 || i >= n {
		return Dataset{}, Dataset{}, badFold(i, n)
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
	return d.fold(in, i, n)
}

// FoldGroups is Fold where items of one group stay together, as all that a speaker said or all pictures of a patient: each fold has as many
// groups as any other, or one more. Classes are spread as the groups happen to have them.
func (d Dataset) FoldGroups(i, n int, seed uint64, group func(id string) (string, error)) (rest, fold Dataset, err error) {
	if n < 2 || i < 0 || i >= n {
		return Dataset{}, Dataset{}, badFold(i, n)
	}
	groups := make([]string, d.Len())
	for item, id := range d.IDs {
		if groups[item], err = group(id); err != nil {
			return Dataset{}, Dataset{}, err
		}
	}
	names := slices.Clone(groups)
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) < n {
		return Dataset{}, Dataset{}, fmt.Errorf("%w: %d folds of %d groups (%s): use fewer folds, or name the groups another way", ErrDataset, n, len(names), namesOf(names))
	}
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(place(a, seed), place(b, seed)) })
	in := make([]bool, d.Len())
	for item, name := range groups {
		in[item] = d.Labels[item] != Unlabelled && slices.Index(names, name)%n == i
	}
	return d.fold(in, i, n)
}

func badFold(i, n int) error {
	return fmt.Errorf("%w: fold %d of %d: there must be 2 or more, and the fold one of them, from 0", ErrOptions, i, n)
}

// namesOf lists a few names.
func namesOf(names []string) string {
	list := strings.Join(names[:min(3, len(names))], ", ")
	if len(names) > 3 {
		list += ", …"
	}
	return list
}

// fold parts d into the items that are not in a fold and those that are.
func (d Dataset) fold(in []bool, i, n int) (rest, fold Dataset, err error) {
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
