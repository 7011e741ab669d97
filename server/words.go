package server

import (
	"cmp"
	"context"
	"slices"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/index"
)

// Omitter leaves words out of texts; an *encoder.Encoder whose model is of texts is one. It is used concurrently.
type Omitter interface {
	// Omit returns embeddings of a text without one word after another. An error about the input wraps encoder.ErrInput.
	Omit(ctx context.Context, raw []byte) ([]encoder.Omission, error)
}

// explainWords is how many words an explanation names.
const explainWords = 5

// wordsLeft is what explain adds to a verdict on a text: the words without which it is least unusual, those that deviate most first.
type wordsLeft struct {
	Words []word `json:"words"`
}

type word struct {
	Word  string  `json:"word"`          // in small letters; of a long text some neighbours
	Place int     `json:"place"`         // of the first, from 0
	Score float64 `json:"score_without"` // of the text without it
}

// deviating finds the words of a text without which the detector's score is lowest.
func (s *Server) deviating(ctx context.Context, col *index.Collection, d *index.Detector, input []byte, alpha float64) (*wordsLeft, error) {
	without, err := s.opt.Texts.Omit(ctx, input)
	if err != nil {
		return nil, at("input", err)
	}
	out := wordsLeft{Words: []word{}}
	for _, o := range without {
		v, err := s.judgeBy(ctx, col, d, o.Vector, "", nil, alpha)
		if err != nil {
			return nil, err
		}
		out.Words = append(out.Words, word{o.Words, o.From, v.Score})
	}
	slices.SortStableFunc(out.Words, func(a, b word) int { return cmp.Compare(a.Score, b.Score) })
	out.Words = out.Words[:min(explainWords, len(out.Words))]
	return &out, nil
}
