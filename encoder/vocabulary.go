package encoder

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/akin-search/akin/encoder/kernel"
)

// Vocabulary is what of texts has a row in the table, with the number of texts that it occurs in. The rows are in the order of the hashes.
type Vocabulary struct {
	Texts int    `json:"texts"` // that were counted
	Rows  int    `json:"rows"`  // of the table
	Coded []byte `json:"coded"` // a row: the distance of its hash to the one before, and the number of its texts, both as in encoding/binary's Uvarint
}

const (
	leastTexts    = 2       // that a row's occurs in: what is seen once teaches nothing about other texts
	maxVocabulary = 1 << 16 // rows; of more, the most frequent
)

// entry is what a row of the table is of.
type vocabularyEntry struct {
	hash  uint32
	texts int // that it occurs in
}

// NewText counts what of texts is looked at, and gives the most frequent rows. Texts that cannot be decoded do not count; without any it is an error
// wrapping ErrInput.
func NewText(g Grams, texts iter.Seq[[]byte]) (*Text, error) {
	if err := g.Validate(); err != nil {
		return nil, err
	}
	s, in, n := newTextScanner(g), map[uint32]int{}, 0
	for raw := range texts {
		if _, err := s.scan(raw); err != nil {
			continue
		}
		n++
		for hash := range s.count {
			in[hash]++
		}
	}
	if n == 0 {
		return nil, fmt.Errorf("%w: no text has a word", ErrInput)
	}
	var entries []vocabularyEntry
	least := min(leastTexts, n)
	for hash, texts := range in {
		if texts >= least {
			entries = append(entries, vocabularyEntry{hash, texts})
		}
	}
	byHash := func(a, b vocabularyEntry) int { return cmp.Compare(a.hash, b.hash) }
	if len(entries) == 0 { // no two texts have anything in common
		for hash, texts := range in {
			entries = append(entries, vocabularyEntry{hash, texts})
		}
	}
	slices.SortFunc(entries, func(a, b vocabularyEntry) int { return cmp.Or(cmp.Compare(b.texts, a.texts), byHash(a, b)) })
	entries = entries[:min(maxVocabulary, len(entries))]
	slices.SortFunc(entries, byHash)
	v := Vocabulary{Texts: n, Rows: len(entries)}
	last := uint32(0)
	for _, e := range entries {
		v.Coded = binary.AppendUvarint(binary.AppendUvarint(v.Coded, uint64(e.hash-last)), uint64(e.texts))
		last = e.hash
	}
	return &Text{Grams: g, Vocabulary: v}, nil
}

// Validate reports a vocabulary that does not say what it should.
func (v Vocabulary) Validate() error {
	_, err := v.entries()
	return err
}

// entries returns what the rows are of.
func (v Vocabulary) entries() ([]vocabularyEntry, error) {
	bad := func(what string) ([]vocabularyEntry, error) {
		return nil, fmt.Errorf("%w: a vocabulary of %d rows and %d texts in %d bytes: %s", ErrSpec, v.Rows, v.Texts, len(v.Coded), what)
	}
	if v.Texts < 1 || v.Rows < 1 || v.Rows > kernel.MaxBagRow || v.Rows > len(v.Coded)/2 {
		return bad("it needs a text, and from 1 row to one in 2 bytes")
	}
	out, left, hash := make([]vocabularyEntry, v.Rows), v.Coded, uint64(0)
	for i := range out {
		step, n := binary.Uvarint(left)
		if n <= 0 {
			return bad("it ends early")
		}
		texts, m := binary.Uvarint(left[n:])
		if m <= 0 {
			return bad("it ends early")
		}
		left = left[n+m:]
		if hash += step; step > math.MaxUint32 || hash > math.MaxUint32 || i > 0 && step == 0 || texts < 1 || texts > uint64(v.Texts) {
			return bad(fmt.Sprintf("row %d is out of range", i))
		}
		out[i] = vocabularyEntry{uint32(hash), int(texts)}
	}
	if len(left) > 0 {
		return bad("something follows")
	}
	return out, nil
}

// rows returns the row of each hash. The vocabulary is valid.
func (v Vocabulary) rows() map[uint32]int32 {
	entries, _ := v.entries() // valid
	rows := make(map[uint32]int32, len(entries))
	for i, e := range entries {
		rows[e.hash] = int32(i)
	}
	return rows
}

// weight is the inverse document frequency of what so many texts have, as scikit-learn smooths it: 1 + ln((1 + all texts)/(1 + those)).
func (v Vocabulary) weight(texts int) float32 {
	return float32(1 + math.Log(float64(1+v.Texts)/float64(1+texts)))
}

// Weights returns the inverse document frequency of each row. The vocabulary is valid.
func (v Vocabulary) Weights() []float32 {
	entries, _ := v.entries() // valid
	out := make([]float32, len(entries))
	for i, e := range entries {
		out[i] = v.weight(e.texts)
	}
	return out
}

// Table returns the rows of the table before training: random directions as long as the inverse document frequency. The cosine of two texts is then
// about that of their TF-IDF vectors, with a standard deviation of about 1/√dimension (Johnson & Lindenstrauss 1984). The vocabulary is valid.
func (v Vocabulary) Table(dimension int) []float32 {
	entries, _ := v.entries() // valid
	table := make([]float32, len(entries)*dimension)
	for i, e := range entries {
		row, weight := table[i*dimension:][:dimension], v.weight(e.texts)
		kernel.BagRow(row, int(unstored(e.hash, len(entries))))
		for j := range row {
			row[j] *= weight
		}
	}
	return table
}
