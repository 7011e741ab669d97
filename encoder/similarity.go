package encoder

import (
	"context"
	"fmt"

	"github.com/akin-search/akin/encoder/kernel"
)

// Embedder embeds raw inputs, each to unit length; an *Encoder is one.
type Embedder interface {
	Encode(ctx context.Context, raw ...[]byte) ([][]float32, error)
}

// Similarity returns the cosine, -1 to 1, of the mean embedding of inputs that were enrolled, all of one class, and the embedding of another
// input. Several enrolled inputs say more of their class than one. An input that cannot be decoded is an error wrapping ErrInput which names
// its place: the one asked about comes after those enrolled.
func Similarity(ctx context.Context, e Embedder, enrolled [][]byte, asked []byte) (float64, error) {
	if len(enrolled) == 0 {
		return 0, fmt.Errorf("%w: nothing is enrolled to compare with: give one input or more", ErrInput)
	}
	rows, err := e.Encode(ctx, append(enrolled[:len(enrolled):len(enrolled)], asked)...)
	if err != nil {
		return 0, err
	}
	other := rows[len(enrolled)]
	sum, mean := make([]float64, len(other)), make([]float32, len(other))
	for _, row := range rows[:len(enrolled)] {
		for j, v := range row {
			sum[j] += float64(v)
		}
	}
	kernel.Unit(mean, sum)
	cosine := 0.0
	for j, v := range mean {
		cosine += float64(v) * float64(other[j])
	}
	return min(max(cosine, -1), 1), nil
}
