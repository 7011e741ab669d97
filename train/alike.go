package train

import "math/rand/v2"

// allAlike reports whether pairs say of items only that they are alike: questions and their duplicates, for example, where nobody lists what is not one.
func allAlike(pairs []Pair) bool {
	for _, p := range pairs {
		if p.Score != 1 {
			return false
		}
	}
	return len(pairs) > 0
}

// WithUnlike returns the pairs among items of those ids to measure with: where all are alike, as many more are drawn, of score 0, the first item of each
// pair with any item that no chain of pairs connects it to. The same pairs and ids give the same.
func WithUnlike(ids []string, pairs []Pair) []Pair {
	pairs = pairsAmong(ids, pairs)
	if !allAlike(pairs) {
		return pairs
	}
	const tries = 20 // where nearly all is connected, some pairs get no other
	at, group := pairGroups(ids, pairs)
	rng := rand.New(rand.NewPCG(uint64(len(ids)), 0x756e6c696b65)) // "unlike"
	out := pairs[:len(pairs):len(pairs)]
	for _, p := range pairs {
		for range tries {
			if b := rng.IntN(len(ids)); group[b] != group[at[p.A]] {
				out = append(out, Pair{A: p.A, B: ids[b]})
				break
			}
		}
	}
	return out
}
