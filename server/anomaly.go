package server

import (
	"context"
	"fmt"

	"github.com/gofiber/fiber/v2"

	"github.com/akin-search/akin/index"
)

// explainNeighbors is how many points an explanation shows.
const explainNeighbors = 5

// anomalyRequest is the body of /anomaly.
type anomalyRequest struct {
	subject
	alpha   *float64
	explain bool
}

var anomalyFields = []string{"vector", "id", "input", "alpha", "explain", "model_id"}

func (*anomalyRequest) fields() []string { return anomalyFields }

func (q *anomalyRequest) read(field string, r *reader) (err error) {
	switch field {
	case "alpha":
		q.alpha, err = r.optionalFloat()
	case "explain":
		q.explain, err = r.bool()
	default:
		err = q.subject.read(field, r)
	}
	return err
}

// verdict is index.Verdict for clients.
type verdict struct {
	Score        float64 `json:"score"`
	PValue       float64 `json:"p_value"`
	Threshold    float64 `json:"threshold"`
	IsAnomaly    bool    `json:"is_anomaly"`
	Alpha        float64 `json:"alpha"`
	NearestClass string  `json:"nearest_class"`
}

func newVerdict(v index.Verdict) verdict {
	return verdict{v.Score, v.PValue, v.Threshold, v.Anomaly, v.Alpha, v.NearestClass}
}

type anomalyResult struct {
	verdict
	ModelID string `json:"model_id"`
}

// explainedResult is what explain adds: all classes and the nearest points, both nearest first.
type explainedResult struct {
	anomalyResult
	ClassDistances []classDistance `json:"class_distances"`
	Neighbors      []neighbor      `json:"neighbors"`
}

type classDistance struct {
	Class    string  `json:"class"`
	Distance float64 `json:"distance"`
}

type neighbor struct {
	ID    string  `json:"id"`
	Score float32 `json:"score"`
	Label string  `json:"label"`
}

func (s *Server) anomaly(ctx context.Context, c *fiber.Ctx) (any, error) {
	col, err := s.collection(c)
	if err != nil {
		return nil, err
	}
	var req anomalyRequest
	if err := readJSONOrForm(c, &req); err != nil {
		return nil, err
	}
	vector, err := s.resolve(ctx, col, &req.subject)
	if err != nil {
		return nil, err
	}
	v, err := s.judge(ctx, col, vector, req.id, nil, req.alpha)
	if err != nil {
		return nil, err
	}
	out := anomalyResult{verdict: newVerdict(v), ModelID: col.ModelID()}
	if !req.explain {
		return out, nil
	}
	classes := make([]classDistance, len(v.ClassDistances))
	for i, d := range v.ClassDistances {
		classes[i] = classDistance{d.Class, d.Distance}
	}
	hits, err := col.Search(ctx, vector, explainNeighbors+1, index.Params{})
	if err != nil {
		return nil, err
	}
	hits = without(hits, req.id)
	hits, points, err := lookUp(col, hits[:min(explainNeighbors, len(hits))], index.FieldLabel)
	if err != nil {
		return nil, err
	}
	neighbors := make([]neighbor, len(hits))
	for i, h := range hits {
		neighbors[i] = neighbor{h.ID, h.Score, points[i].Label}
	}
	return explainedResult{out, classes, neighbors}, nil
}

// judge returns the verdict of a collection's detector. Without an alpha it uses the server's, or the least that the
// calibration supports where that is more; an alpha that was asked for is refused if it is not supported.
// near is the nearest points, but for the one of that id, which the vector is of, as far as they were found already.
func (s *Server) judge(ctx context.Context, col *index.Collection, vector []float32, id string, near []index.Hit, alpha *float64) (index.Verdict, error) {
	d := col.Detector()
	if d == nil {
		return index.Verdict{}, fmt.Errorf("collection %q: %w: stop the server and run akin ingest with a --holdout above 0, which keeps items aside to calibrate on", col.Name(), index.ErrNotCalibrated)
	}
	rate := max(s.opt.Alpha, d.MinAlpha())
	if alpha != nil {
		rate = *alpha
	}
	if n := d.Neighbors(); len(near) < n {
		var err error
		if near, err = col.Search(ctx, vector, n+1, index.Params{}); err != nil {
			return index.Verdict{}, err
		}
		near = without(near, id)
	}
	return d.VerdictOf(vector, near, rate)
}
