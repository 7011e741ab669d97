package server

import (
	"context"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/index"
)

// Coverer covers places of pictures; an *encoder.Encoder whose model is of pictures is one. It is used concurrently.
type Coverer interface {
	// Cover returns embeddings of a picture with one place after another covered. An error about the input wraps encoder.ErrInput.
	Cover(ctx context.Context, raw []byte) (*encoder.Cover, error)
}

// covered draws how much of a verdict's score each place of a picture makes.
func (s *Server) covered(ctx context.Context, col *index.Collection, d *index.Detector, input []byte, v index.Verdict) (*heatmap, error) {
	c, err := s.opt.Places.Cover(ctx, input)
	if err != nil {
		return nil, at("input", err)
	}
	scores := make([]float64, len(c.Vectors))
	for i, vector := range c.Vectors {
		without, err := s.judgeBy(ctx, col, d, vector, "", nil, v.Alpha)
		if err != nil {
			return nil, err
		}
		scores[i] = without.Score
	}
	return newHeatmap(c.Heat(v.Score, scores))
}
