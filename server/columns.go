package server

import (
	"context"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/index"
)

// Columns compares rows column by column; an *encoder.Encoder whose model is of rows does. It is used concurrently.
type Columns interface {
	// Deviating returns the columns that deviate most from those of other rows. An error about the row wraps encoder.ErrInput.
	Deviating(raw []byte, others [][]byte, most int) ([]encoder.ColumnDeviation, error)
}

// columnNeighbors is how many of the nearest points a row is compared with.
const columnNeighbors = 20

// columns finds what of a row deviates most from the nearest points; none where there is only a vector.
func (s *Server) columns(ctx context.Context, col *index.Collection, vector []float32, req anomalyRequest) ([]encoder.ColumnDeviation, error) {
	raw := req.input
	if req.id != "" {
		own, err := col.Look(index.FieldRaw, req.id)
		if err != nil {
			return nil, err
		}
		raw = own[0].Raw
	}
	if len(raw) == 0 {
		return nil, nil
	}
	hits, err := col.Search(ctx, vector, columnNeighbors+1, index.Params{})
	if err != nil {
		return nil, err
	}
	var others [][]byte
	hits = without(hits, req.id)
	_, points, err := lookUp(col, hits[:min(columnNeighbors, len(hits))], index.FieldRaw)
	for _, p := range points {
		if len(p.Raw) > 0 {
			others = append(others, p.Raw)
		}
	}
	if err != nil {
		return nil, err
	}
	found, err := s.opt.Columns.Deviating(raw, others, explainFeatures)
	if err != nil {
		return nil, at("input", err)
	}
	return found, nil
}
