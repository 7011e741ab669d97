package train

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// Batch is one batch of items: row i shows item Items[i] of the data set and carries Labels[i]. Losses only compare labels: rows with
// the same one belong together. For labelled items it is the class's index, for unlabelled ones a number of their own (in a data set
// without labels, the item's index).
type Batch struct {
	Items  []int
	Labels []int
	Scores []float32 // of given pairs: of rows 2i and 2i+1; nil where there are none
}

// NewBatch returns a batch of the given number of rows, for Sampler.Next to fill.
func NewBatch(size int) *Batch { return &Batch{Items: make([]int, size), Labels: make([]int, size)} }

// Sampler draws batches without end. It belongs to one goroutine.
type Sampler interface {
	// Size returns the rows of a batch.
	Size() int
	// Next fills a batch of Size rows, and allocates nothing. It panics at another number of rows.
	Next(b *Batch)
}

// Streams of random numbers, one a kind of sampler.
const (
	streamPK = iota + 1
	streamPairs
	streamViews
	streamEach
	streamGivenPairs
	streamPatches
	streamShifted
)

// stream is what all samplers share: their random source and their decks.
type stream struct {
	size  int
	rng   *rand.Rand
	decks []deck
}

func newStream(kind uint64, size int, seed uint64, decks ...deck) stream {
	return stream{size: size, rng: rand.New(rand.NewPCG(seed, kind)), decks: decks}
}

// Size implements Sampler.
func (s *stream) Size() int { return s.size }

func (s *stream) check(b *Batch) {
	if len(b.Items) != s.size || len(b.Labels) != s.size {
		panic(fmt.Sprintf("train: a sampler of %d rows was given a batch of %d items and %d labels", s.size, len(b.Items), len(b.Labels)))
	}
}

// deck deals its items in random order, all of them before any comes again.
type deck struct {
	items []int
	next  int // the first item not yet dealt; len(items) = shuffle first
}

func newDeck(items []int) deck { return deck{items: items, next: len(items)} }

// deal fills dst. No item comes twice in it, unless it is longer than the deck; then each stretch of the deck's length holds every item.
func (d *deck) deal(dst []int, rng *rand.Rand) {
	for len(dst) > 0 {
		stretch := dst[:min(len(dst), len(d.items))]
		d.dealDistinct(stretch, rng)
		dst = dst[len(stretch):]
	}
}

// dealDistinct fills dst, which is no longer than the deck. Where the deck runs out in between, the new round begins with items that
// are not yet in dst.
func (d *deck) dealDistinct(dst []int, rng *rand.Rand) {
	n := copy(dst, d.items[d.next:])
	d.next += n
	if n == len(dst) {
		return
	}
	for i := len(d.items) - 1; i > 0; i-- { // Fisher–Yates; rng.Shuffle would take a closure
		j := rng.IntN(i + 1)
		d.items[i], d.items[j] = d.items[j], d.items[i]
	}
	d.putOff(dst[:n], len(dst)-n)
	d.next = copy(dst[n:], d.items)
}

// putOff swaps those of the first n items that were just dealt with later ones that were not.
func (d *deck) putOff(justDealt []int, n int) {
	later := n
	for i := range n {
		if !slices.Contains(justDealt, d.items[i]) {
			continue
		}
		for slices.Contains(justDealt, d.items[later]) {
			later++
		}
		d.items[i], d.items[later] = d.items[later], d.items[i]
		later++
	}
}

// integers returns 0 … n−1.
func integers(n int) []int {
	v := make([]int, n)
	for i := range v {
		v[i] = i
	}
	return v
}

// rowLabels returns the label that each item has in a batch: its class, or a number of its own above all classes.
func rowLabels(labels []int) ([]int, error) {
	top := Unlabelled
	for i, l := range labels {
		if l < Unlabelled {
			return nil, fmt.Errorf("%w: item %d has label %d, want %d (unlabelled) or more", ErrDataset, i, l, Unlabelled)
		}
		top = max(top, l)
	}
	rows := slices.Clone(labels)
	for i, l := range rows {
		if l == Unlabelled {
			rows[i] = top + 1 + i
		}
	}
	return rows, nil
}

// itemsByClass returns the items of each class that has any, in the order in which the classes first occur, and the unlabelled items.
func itemsByClass(labels []int) (classes [][]int, unlabelled []int) {
	at := map[int]int{}
	for item, l := range labels {
		if l == Unlabelled {
			unlabelled = append(unlabelled, item)
			continue
		}
		c, known := at[l]
		if !known {
			c = len(classes)
			at[l] = c
			classes = append(classes, nil)
		}
		classes[c] = append(classes[c], item)
	}
	return classes, unlabelled
}
