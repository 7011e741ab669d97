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

var anomalyFields = []string{"vector", "id", "input", "text", "alpha", "explain", "model_id"}

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
	ClassPValue  float64 `json:"class_p_value"` // among held-out points of that nearest class; of patches p_value, which know no classes
}

func newVerdict(v index.Verdict) verdict {
	return verdict{v.Score, v.PValue, v.Threshold, v.Anomaly, v.Alpha, v.NearestClass, v.ClassPValue}
}

type anomalyResult struct {
	verdict
	ModelID string `json:"model_id"`
	byPatches
}

// byPatches is added to the verdicts of patches: what their score is the sum of, in spreads above what is usual.
type byPatches struct {
	By       string   `json:"by,omitempty"` // "patches" where these judged
	InPlaces *float64 `json:"in_places,omitempty"`
	AsAWhole *float64 `json:"as_a_whole,omitempty"`
}

func (v *surfaceVerdict) parts() byPatches { return byPatches{"patches", &v.heat.Local, &v.heat.Whole} }

type explainedResult struct {
	anomalyResult
	explanation
	*heatmap
	*timeSpan
	*wordsLeft
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
	q, err := s.question(ctx, c)
	if err != nil {
		return nil, err
	}
	col, req, d, vector, alpha := q.col, q.request, q.detector, q.vector, q.alpha
	var by *surfaceVerdict
	if s.byPatches(&req.subject) {
		normal := s.normalOf(col)
		alpha = s.surfaceAlpha(normal, req.alpha)
		if by, err = s.surface(ctx, normal, req.input, alpha); err != nil {
			return nil, err
		}
		q.alpha = max(s.opt.Alpha, d.MinAlpha()) // the detector has no say but for the nearest class
	}
	var hits []index.Hit
	if req.explain {
		if hits, err = col.Search(ctx, vector, explainNeighbors+1, index.Params{}); err != nil {
			return nil, err
		}
		hits = without(hits, req.id)
	}
	v, err := s.judgeBy(ctx, col, d, vector, req.id, hits, q.alpha)
	if err != nil {
		return nil, err
	}
	out := anomalyResult{verdict: newVerdict(v), ModelID: col.ModelID()}
	if by != nil {
		out.verdict, out.byPatches = verdict{by.score, by.p, by.threshold, by.anomaly, alpha, v.NearestClass, by.p}, by.parts()
	}
	var answer any = out
	if req.explain {
		if answer, err = s.explainVerdict(ctx, q, hits, v, by, out); err != nil {
			return nil, err
		}
	}
	if req.id == "" { // at last: what is refused is no verdict
		s.watch(col, d, v, by)
	}
	return answer, nil
}

// explainVerdict adds to a verdict on what q asks, of the detector or, where by is not nil, of patches, what explain asks for; hits are the
// nearest points.
func (s *Server) explainVerdict(ctx context.Context, q question, hits []index.Hit, v index.Verdict, by *surfaceVerdict, out anomalyResult) (any, error) {
	col, req, d := q.col, q.request, q.detector
	hits, points, err := lookUp(col, hits[:min(explainNeighbors, len(hits))], index.FieldLabel)
	if err != nil {
		return nil, err
	}
	e, err := s.explained(ctx, col, q.vector, req, hits, points, v)
	if err != nil {
		return nil, err
	}
	var drawn *heatmap
	switch {
	case by != nil:
		drawn, err = newHeatmap(by.heat)
	case req.input != nil && s.opt.Places != nil:
		drawn, err = s.covered(ctx, col, d, req.input, v)
	}
	if err != nil {
		return nil, err
	}
	var when *timeSpan
	if req.input != nil && s.opt.Sounds != nil {
		if when, err = s.deviates(ctx, col, d, req.input, v); err != nil {
			return nil, err
		}
	}
	var words *wordsLeft
	if req.input != nil && s.opt.Texts != nil {
		if words, err = s.deviating(ctx, col, d, req.input, q.alpha); err != nil {
			return nil, err
		}
	}
	return explainedResult{out, e, drawn, when, words}, nil
}

// question is what a verdict is asked about.
type question struct {
	col      *index.Collection
	request  anomalyRequest
	detector *index.Detector
	vector   []float32
	alpha    float64
}

// question reads a request for a verdict and finds all that it takes to answer.
func (s *Server) question(ctx context.Context, c *fiber.Ctx) (q question, err error) {
	if q.col, err = s.collection(c); err != nil {
		return q, err
	}
	if err = readJSONOrForm(c, &q.request); err != nil {
		return q, err
	}
	if q.vector, err = s.resolve(ctx, q.col, &q.request.subject); err != nil {
		return q, err
	}
	q.detector, q.alpha, err = s.detector(q.col, q.request.alpha)
	return q, err
}

// detector returns a collection's detector, and the alpha to judge at: what was asked for, or the server's, or the least that the
// calibration supports where that is more. An alpha that was asked for is refused if it is not supported.
func (s *Server) detector(col *index.Collection, alpha *float64) (*index.Detector, float64, error) {
	d := col.Detector()
	if d == nil {
		return nil, 0, fmt.Errorf("collection %q: %w: keep items aside to calibrate on, by POST /collections/%[1]s/calibrate with points or a holdout, or by akin ingest with a --holdout above 0", col.Name(), index.ErrNotCalibrated)
	}
	if alpha != nil {
		return d, *alpha, nil
	}
	return d, max(s.opt.Alpha, d.MinAlpha()), nil
}

// judgeBy returns the verdict of a collection's detector. near is the nearest points, but for the one of that id, which the
// vector is of, as far as they were found already.
func (s *Server) judgeBy(ctx context.Context, col *index.Collection, d *index.Detector, vector []float32, id string, near []index.Hit, alpha float64) (index.Verdict, error) {
	if n := d.Neighbors(); len(near) < n {
		var err error
		if near, err = col.Search(ctx, vector, n+1, index.Params{}); err != nil {
			return index.Verdict{}, err
		}
		near = without(near, id)
	}
	return d.VerdictOf(vector, near, alpha)
}
