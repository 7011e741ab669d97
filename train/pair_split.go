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

// pairGroups returns where each id is, and for each item the first of those that pairs connect it to, be it through others.
func pairGroups(ids []string, pairs []Pair) (at map[string]int, group []int) {
	at, group = make(map[string]int, len(ids)), integers(len(ids))
	for i, id := range ids {
		at[id] = i
	}
	first := func(i int) int {
		for group[i] != i {
			group[i] = group[group[i]]
			i = group[i]
		}
		return i
	}
	for _, p := range pairs {
		a, knownA := at[p.A]
		b, knownB := at[p.B]
		if knownA && knownB {
			a, b = first(a), first(b)
			group[max(a, b)] = min(a, b)
		}
	}
	for i := range group {
		group[i] = first(i)
	}
	return at, group
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
	at, group := pairGroups(d.IDs, d.Pairs)
	paired := make([]bool, d.Len())
	for _, p := range d.Pairs {
		a, knownA := at[p.A]
		b, knownB := at[p.B]
		if knownA && knownB {
			paired[a], paired[b] = true, true
		}
	}
	size := map[int]int{}
	for _, first := range group {
		size[first]++
	}
	largest := 0
	for _, n := range size {
		largest = max(largest, n)
	}
	if slices.Contains(paired, false) || len(size) < fewGroups || 2*largest > d.Len() {
		return rest, part, false
	}
	var restItems, partItems []int
	for i, first := range group {
		if place(d.IDs[first], seed) < fraction {
			partItems = append(partItems, i)
		} else {
			restItems = append(restItems, i)
		}
	}
	return d.Subset(restItems), d.Subset(partItems), len(restItems) > 0 && len(partItems) > 0
}
