package train

import "slices"

// pairsAmong returns the pairs whose items are both among ids.
func pairsAmong(ids []string, pairs []Pair) (among []Pair) {
	known := make(map[string]bool, len(ids))
	for _, id := range ids {
		known[id] = true
	}
	for _, p := range pairs {
		if known[p.A] && known[p.B] {
			among = append(among, p)
		}
	}
	return among
}

// fewGroups is how many groups of items that pairs hold together are enough to keep some of them aside.
const fewGroups = 20

// splitPairs is Split of items without labels that are all in pairs: what pairs hold together, be it through others, falls on one side, drawn from
// the seed and the id of the group's first item. So no pair is torn, and none that is kept aside shares an item with one that is trained on. Its
// third result is false for other data, where there are few groups, or where one has more than half of the items.
func (d Dataset) splitPairs(fraction float64, seed uint64) (rest, part Dataset, ok bool) {
	if len(d.Pairs) == 0 || slices.ContainsFunc(d.Labels, func(l int) bool { return l != Unlabelled }) {
		return rest, part, false
	}
	at := make(map[string]int, d.Len())
	group := integers(d.Len()) // of each item, the number of another one of it, or its own of the first
	for i, id := range d.IDs {
		at[id] = i
	}
	first := func(i int) int {
		for group[i] != i {
			group[i] = group[group[i]]
			i = group[i]
		}
		return i
	}
	paired := make([]bool, d.Len())
	for _, p := range d.Pairs {
		a, knownA := at[p.A]
		b, knownB := at[p.B]
		if !knownA || !knownB {
			continue
		}
		paired[a], paired[b] = true, true
		a, b = first(a), first(b)
		group[max(a, b)] = min(a, b)
	}
	size := map[int]int{}
	for i := range group {
		size[first(i)]++
	}
	largest := 0
	for _, n := range size {
		largest = max(largest, n)
	}
	if slices.Contains(paired, false) || len(size) < fewGroups || 2*largest > d.Len() {
		return rest, part, false
	}
	var restItems, partItems []int
	for i := range group {
		if place(d.IDs[first(i)], seed) < fraction {
			partItems = append(partItems, i)
		} else {
			restItems = append(restItems, i)
		}
	}
	return d.Subset(restItems), d.Subset(partItems), len(restItems) > 0 && len(partItems) > 0
}
