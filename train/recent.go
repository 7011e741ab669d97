package train

import (
	"fmt"
	"math"
	"slices"

	"github.com/akin-search/akin/encoder/kernel"
)

// recent is a queue of the latest embeddings with their items and labels: the newest take the place of the oldest.
type recent struct {
	rows          kernel.Matrix // the first filled ones count
	items, labels []int
	filled, next  int
}

func newRecent(capacity, dimension int) *recent {
	return &recent{rows: kernel.NewMatrix(capacity, dimension), items: make([]int, capacity), labels: make([]int, capacity)}
}

func (r *recent) capacity() int { return len(r.items) }

func (r *recent) add(items, labels []int, emb kernel.Matrix) {
	for i, item := range items {
		copy(r.rows.Row(r.next), emb.Row(i))
		r.items[r.next], r.labels[r.next] = item, labels[i]
		r.next = (r.next + 1) % r.capacity()
		r.filled = min(r.filled+1, r.capacity())
	}
}

// state returns the tables of a checkpoint.
func (r *recent) state() [][]float32 {
	return [][]float32{slices.Clone(r.rows.Data), numbers(r.items...), numbers(r.labels...), numbers(r.filled, r.next)}
}

func (r *recent) restore(state [][]float32) error {
	n := r.capacity()
	if got, want := sizesOf(state), []int{len(r.rows.Data), n, n, 2}; !slices.Equal(got, want) {
		return fmt.Errorf("%w: tables of %v values for a memory, want %v: use the same data and options, or start without resuming", ErrCheckpoint, got, want)
	}
	filled, next := integerOf(state[3][0]), integerOf(state[3][1])
	if filled < 0 || filled > n || next < 0 || next >= n {
		return fmt.Errorf("%w: a memory of %d embeddings, the next at %d, of %d: the file is damaged", ErrCheckpoint, filled, next, n)
	}
	copy(r.rows.Data, state[0])
	for i := range n {
		r.items[i], r.labels[i] = integerOf(state[1][i]), integerOf(state[2][i])
	}
	r.filled, r.next = filled, next
	return nil
}

// numbers puts integers of 32 bits into a table of a checkpoint, bit by bit: they are not values to calculate with.
func numbers(v ...int) []float32 {
	out := make([]float32, len(v))
	for i, n := range v {
		out[i] = math.Float32frombits(uint32(n))
	}
	return out
}

func integersOf(table []float32) []int {
	v := make([]int, len(table))
	for i, x := range table {
		v[i] = integerOf(x)
	}
	return v
}

func integerOf(x float32) int { return int(int32(math.Float32bits(x))) }
