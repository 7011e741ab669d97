package server

import (
	"context"
	"fmt"
	"slices"

	"github.com/gofiber/fiber/v2"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/index"
)

const (
	// classExamples is how many points of a class an explanation shows, and explainedClasses of how many classes, the likeliest.
	classExamples    = 3
	explainedClasses = 5
	// explainFeatures is how many components it shows.
	explainFeatures = 10
)

// classifyResult is a class, or none of these.
type classifyResult struct {
	Label         *string    `json:"label"` // null: none of the known classes, or none of those that it may be of is near
	Probability   float64    `json:"probability"`
	PredictionSet []string   `json:"prediction_set"`
	Unjudged      []string   `json:"unjudged"` // classes of it that too few items calibrate to rule out at alpha
	PValue        float64    `json:"p_value"`  // that it is of any of them
	Alpha         float64    `json:"alpha"`
	Classes       []classFit `json:"classes"`
	ModelID       string     `json:"model_id"`
	By            string     `json:"by,omitempty"` // "patches" where these say whether it is of any of them
}

// classFit is index.ClassFit for clients.
type classFit struct {
	Class       string  `json:"class"`
	PValue      float64 `json:"p_value"`
	Distance    float64 `json:"distance"`
	Calibration int     `json:"calibration"`
}

type explainedClassifyResult struct {
	classifyResult
	explanation
}

// classify tells the class: the one that most of the nearest points with a label are of, of those in the prediction set.
func (s *Server) classify(ctx context.Context, c *fiber.Ctx) (any, error) {
	q, err := s.question(ctx, c)
	if err != nil {
		return nil, err
	}
	col, req, d, vector, alpha := q.col, q.request, q.detector, q.vector, q.alpha
	var by *surfaceVerdict
	if s.byPatches(&req.subject) {
		normal := s.normalOf(col)
		if alpha, err = s.bothAlpha(d, normal, req.alpha); err != nil {
			return nil, err
		}
		if by, err = s.surface(ctx, normal, req.input, alpha); err != nil {
			return nil, err
		}
	}
	hits, err := col.Search(ctx, vector, max(index.DetectorNeighbors, d.Neighbors())+1, index.Params{})
	if err != nil {
		return nil, err
	}
	hits = without(hits, req.id)
	fits, err := d.Classify(vector, hits, alpha)
	if err != nil {
		return nil, fmt.Errorf("collection %q: %w", col.Name(), err)
	}
	if by != nil {
		fits.PValue, fits.Anomaly = by.p, by.anomaly
	}
	hits, points, err := lookUp(col, hits[:min(index.DetectorNeighbors, len(hits))], index.FieldLabel)
	if err != nil {
		return nil, err
	}
	voters, err := voters(ctx, col, vector, req.id, points)
	if err != nil {
		return nil, err
	}
	out := classifyResult{PredictionSet: []string{}, Unjudged: []string{}, PValue: fits.PValue, Alpha: alpha, ModelID: col.ModelID(), Classes: make([]classFit, len(fits.Classes))}
	for i, f := range fits.Classes {
		out.Classes[i] = classFit(f)
		if !fits.In(f) || fits.Anomaly {
			continue
		}
		out.PredictionSet = append(out.PredictionSet, f.Class)
		if !fits.Judged(f) {
			out.Unjudged = append(out.Unjudged, f.Class)
		}
	}
	if by != nil {
		out.By = "patches"
	}
	out.vote(voters)
	if !req.explain {
		return out, nil
	}
	e, err := s.explained(ctx, col, vector, req, hits, points, fits.Verdict)
	return explainedClassifyResult{out, e}, err
}

// voters returns the nearest points that have a label; near is the nearest of all.
func voters(ctx context.Context, col *index.Collection, vector []float32, id string, near []index.Record) ([]index.Record, error) {
	if !slices.ContainsFunc(near, func(p index.Record) bool { return p.Label == "" }) {
		return near, nil
	}
	labelled := &index.Filter{MustNot: []index.Condition{{Key: index.LabelKey, IsEmpty: true}}}
	hits, err := col.Search(ctx, vector, index.DetectorNeighbors+1, index.Params{Filter: labelled})
	if err != nil {
		return nil, err
	}
	hits = without(hits, id)
	_, points, err := lookUp(col, hits[:min(index.DetectorNeighbors, len(hits))], index.FieldLabel)
	return points, err
}

// vote sets the label to the class of the prediction set that most of the nearest points have, the first of them where there are
// as many, and the probability to the share of the nearest points that have it. Where none has one there is no label.
func (r *classifyResult) vote(nearest []index.Record) {
	votes := map[string]int{}
	for _, p := range nearest {
		if slices.Contains(r.PredictionSet, p.Label) {
			votes[p.Label]++
		}
	}
	best := 0
	for _, class := range r.PredictionSet {
		if votes[class] > best {
			r.Label, best = &class, votes[class]
		}
	}
	r.Probability = float64(best) / float64(max(1, len(nearest)))
}

// explanation is what explain adds to a verdict: the distances to all classes and the nearest points, both nearest first, the
// nearest points of the likeliest classes, and what deviates most from the nearest: components, where vectors are of no model, columns of rows.
type explanation struct {
	ClassDistances []classDistance           `json:"class_distances"`
	Neighbors      []neighbor                `json:"neighbors"`
	Examples       []examples                `json:"examples"`
	Features       []feature                 `json:"features,omitempty"`
	Columns        []encoder.ColumnDeviation `json:"columns,omitempty"`
}

type examples struct {
	Class  string    `json:"class"`
	Points []example `json:"points"`
}

type example struct {
	ID    string  `json:"id"`
	Score float32 `json:"score"`
}

// feature is a component of a vector and what it is among the nearest points, in standard deviations of these.
type feature struct {
	Component int     `json:"component"`
	Value     float64 `json:"value"`
	Mean      float64 `json:"mean"`
	Z         float64 `json:"z"`
}

func (s *Server) explained(ctx context.Context, col *index.Collection, vector []float32, req anomalyRequest, hits []index.Hit, points []index.Record, v index.Verdict) (e explanation, err error) {
	e.ClassDistances, e.Neighbors, e.Examples = make([]classDistance, len(v.ClassDistances)), make([]neighbor, len(hits)), []examples{}
	for i, h := range hits {
		e.Neighbors[i] = neighbor{h.ID, h.Score, points[i].Label}
	}
	for i, d := range v.ClassDistances {
		e.ClassDistances[i] = classDistance{d.Class, d.Distance}
		if i >= explainedClasses {
			continue
		}
		label := index.Condition{Key: index.LabelKey, Match: d.Class}
		if d.Class == "" { // points without a label
			label = index.Condition{Key: index.LabelKey, IsEmpty: true}
		}
		of := index.Params{Filter: &index.Filter{Must: []index.Condition{label}}}
		found, err := col.Search(ctx, vector, classExamples+1, of)
		if err != nil {
			return e, err
		}
		found = without(found, req.id)
		some := examples{Class: d.Class, Points: []example{}}
		for _, h := range found[:min(classExamples, len(found))] {
			some.Points = append(some.Points, example{h.ID, h.Score})
		}
		e.Examples = append(e.Examples, some)
	}
	if s.opt.Columns != nil {
		e.Columns, err = s.columns(ctx, col, vector, req)
		return e, err
	}
	if col.ModelID() != "" { // components of an embedding mean nothing by themselves
		return e, nil
	}
	deviations, err := col.Deviations(ctx, vector, explainFeatures)
	for _, d := range deviations {
		e.Features = append(e.Features, feature(d))
	}
	return e, err
}
