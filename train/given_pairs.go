package train

import (
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Pair says of two items, by their ids, how alike they are: what somebody knows who has no classes.
type Pair struct {
	A, B  string
	Score float64 // 1 for alike, 0 for not, or between them
}

// Similar reports whether a pair is more alike than not.
func (p Pair) Similar() bool { return p.Score >= 0.5 }

// graded reports whether pairs have scores between 0 and 1.
func graded(pairs []Pair) bool {
	return slices.ContainsFunc(pairs, func(p Pair) bool { return p.Score != 0 && p.Score != 1 })
}

// maxPairs bounds what ReadPairs takes.
const maxPairs = 10_000_000

// ReadPairs reads lines of CSV: two ids and 1 for a similar or 0 for a dissimilar pair. There is no header. An error wraps ErrDataset and
// names the line.
func ReadPairs(r io.Reader) ([]Pair, error) {
	c := csv.NewReader(r)
	c.FieldsPerRecord, c.ReuseRecord = 3, true
	var pairs []Pair
	for {
		f, err := c.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: pairs: %w: a line holds two ids and 0 or 1, as in a.png,b.png,1", ErrDataset, err)
		}
		line, _ := c.FieldPos(0)
		switch {
		case f[2] != "0" && f[2] != "1":
			return nil, fmt.Errorf("%w: pairs, line %d: %q is neither 1 (similar) nor 0 (dissimilar)", ErrDataset, line, f[2])
		case f[0] == "" || f[1] == "":
			return nil, fmt.Errorf("%w: pairs, line %d: an id is empty", ErrDataset, line)
		case f[0] == f[1] && f[2] == "0":
			return nil, fmt.Errorf("%w: pairs, line %d: %q is said to be unlike itself", ErrDataset, line, f[0])
		case len(pairs) == maxPairs:
			return nil, fmt.Errorf("%w: more than %d pairs: take a part of them", ErrDataset, maxPairs)
		}
		p := Pair{A: f[0], B: f[1]}
		if f[2] == "1" {
			p.Score = 1
		}
		pairs = append(pairs, p)
	}
	if len(pairs) == 0 {
		return nil, fmt.Errorf("%w: no pairs: a line holds two ids and 0 or 1, as in a.png,b.png,1", ErrDataset)
	}
	return pairs, nil
}

// hashPairs identifies a list of pairs.
func hashPairs(pairs []Pair) string {
	h := sha256.New()
	for _, p := range pairs {
		if p.Score == 0 || p.Score == 1 { // a hash does not fail
			fmt.Fprintf(h, "%q %q %t\n", p.A, p.B, p.Similar())
		} else {
			fmt.Fprintf(h, "%q %q %g\n", p.A, p.B, p.Score)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// givenPairs deals pairs of a list: deck 0 the similar ones, deck 1 the dissimilar ones; or all of them, where they are graded.
type givenPairs struct {
	stream
	items  [][2]int
	scores []float32
	group  []int // of each item, where all pairs are alike
	dealt  []int // scratch
}

// NewGivenPairs returns a sampler of the given pairs among the items of those ids: rows 2i and 2i+1 are a pair, alternately a similar one
// (even i) and a dissimilar one, and their labels are equal iff it is similar. Each kind comes in shuffled rounds, each pair once before
// any comes again. Graded pairs come as they are drawn, each once before any comes again. Pairs with another item are left out: it may have been
// kept aside. size is even and 4 or more; pairs of both kinds must be left, unless all were similar: then the labels of a batch are equal where a chain of
// pairs connects the items. A batch has the scores of its pairs.
func NewGivenPairs(ids []string, pairs []Pair, size int, seed uint64) (Sampler, error) {
	if size < 4 || size%2 != 0 {
		return nil, fmt.Errorf("pairs sampler: a batch of %d rows, want an even number of 4 or more", size)
	}
	at := make(map[string]int, len(ids))
	for i, id := range ids {
		at[id] = i
	}
	s := &givenPairs{dealt: make([]int, size/2)}
	var kinds [2][]int
	for _, p := range pairs {
		a, knownA := at[p.A]
		b, knownB := at[p.B]
		if !knownA || !knownB {
			continue
		}
		kind := 1
		if p.Similar() {
			kind = 0
		}
		kinds[kind] = append(kinds[kind], len(s.items))
		s.items, s.scores = append(s.items, [2]int{a, b}), append(s.scores, float32(p.Score))
	}
	alike := allAlike(pairs)
	if len(kinds[0]) == 0 || len(kinds[1]) == 0 && !alike {
		return nil, fmt.Errorf("%w: of %d pairs, %d similar and %d dissimilar ones are among the %d items to learn from: give some of both, with ids as the data has them",
			ErrDataset, len(pairs), len(kinds[0]), len(kinds[1]), len(ids))
	}
	decks := []deck{newDeck(kinds[0]), newDeck(kinds[1])}
	if alike {
		_, s.group = pairGroups(ids, pairs)
		decks = decks[:1]
	} else if graded(pairs) {
		decks = []deck{newDeck(integers(len(s.items)))}
	}
	s.stream = newStream(streamGivenPairs, size, seed, decks...)
	return s, nil
}

// Next implements Sampler.
func (s *givenPairs) Next(b *Batch) {
	s.check(b)
	similar := (len(s.dealt) + 1) / 2
	if len(s.decks) == 1 {
		similar = len(s.dealt)
	}
	s.decks[0].deal(s.dealt[:similar], s.rng)
	if similar < len(s.dealt) {
		s.decks[1].deal(s.dealt[similar:], s.rng)
	}
	b.Scores = b.Scores[:0]
	for i := range s.dealt {
		at := s.dealt[i]
		if len(s.decks) == 2 {
			at = s.dealt[i/2+(i%2)*similar]
		}
		pair, apart := s.items[at], 1
		if s.scores[at] >= 0.5 {
			apart = 0
		}
		b.Items[2*i], b.Items[2*i+1] = pair[0], pair[1]
		if b.Labels[2*i], b.Labels[2*i+1] = 2*i, 2*i+apart; s.group != nil {
			b.Labels[2*i], b.Labels[2*i+1] = s.group[pair[0]], s.group[pair[1]]
		}
		b.Scores = append(b.Scores, s.scores[at])
	}
}
