package server

import (
	"context"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/index"
)

// Occluder takes stretches out of sounds; an *encoder.Encoder whose model is of sounds is one. It is used concurrently.
type Occluder interface {
	// Occlude returns embeddings of a sound without one stretch after another. An error about the input wraps encoder.ErrInput.
	Occlude(ctx context.Context, raw []byte) ([]encoder.Occlusion, error)
}

// timeSpan is what explain adds to a verdict on a sound: the stretch without which it is least unusual, null where the score is not lower without any.
type timeSpan struct {
	Span *span `json:"time_span"`
}

type span struct {
	From  float64 `json:"from"` // seconds
	To    float64 `json:"to"`
	Score float64 `json:"score_without"` // of the sound without it
}

// deviates finds the stretch of a sound without which the detector's score is lowest, and lower than that of the whole.
func (s *Server) deviates(ctx context.Context, col *index.Collection, d *index.Detector, input []byte, whole index.Verdict) (*timeSpan, error) {
	without, err := s.opt.Sounds.Occlude(ctx, input)
	if err != nil {
		return nil, at("input", err)
	}
	var best *span
	for _, o := range without {
		v, err := s.judgeBy(ctx, col, d, o.Vector, "", nil, whole.Alpha)
		if err != nil {
			return nil, err
		}
		if v.Score < whole.Score && (best == nil || v.Score < best.Score) {
			best = &span{o.From, o.To, v.Score}
		}
	}
	return &timeSpan{best}, nil
}
