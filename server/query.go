package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/gofiber/fiber/v2"

	"github.com/akin-search/akin/index"
)

// defaultLimit is how many points a search returns unless told.
const defaultLimit = 10

// searchRequest is the body of /search and …/points/query.
type searchRequest struct {
	query
	limit       int
	offset      int
	params      searchParams
	threshold   *float64
	withPayload bool
	withVector  bool
	alpha       *float64
}

var searchFields = []string{"query", "vector", "id", "input", "limit", "offset", "params", "score_threshold", "with_payload", "with_vector", "alpha", "model_id"}

func (*searchRequest) fields() []string { return searchFields }

func (q *searchRequest) read(field string, r *reader) (err error) {
	switch field {
	case "query":
		err = q.readValue(r)
	case "limit":
		q.limit, err = r.int(1, index.MaxK)
	case "offset":
		q.offset, err = r.int(0, index.MaxK-1)
	case "params":
		err = r.object(&q.params)
	case "score_threshold":
		q.threshold, err = r.optionalFloat()
	case "with_payload":
		q.withPayload, err = r.bool()
	case "with_vector":
		q.withVector, err = r.bool()
	case "alpha":
		q.alpha, err = r.optionalFloat()
	default:
		err = q.subject.read(field, r)
	}
	return err
}

// optionalFloat reads a number where none has a meaning of its own.
func (r *reader) optionalFloat() (*float64, error) {
	v, err := r.float64()
	return &v, err
}

// searchParams is index.Params under Qdrant's names.
type searchParams struct{ index.Params }

var paramsFields = []string{"hnsw_ef", "exact"}

func (*searchParams) fields() []string { return paramsFields }

func (p *searchParams) read(field string, r *reader) (err error) {
	switch field {
	case "hnsw_ef":
		p.EF, err = r.int(1, index.MaxEF)
	case "exact":
		p.Exact, err = r.bool()
	}
	return err
}

type searchResult struct {
	Points  any      `json:"points"` // []foundPoint or []describedPoint
	ModelID string   `json:"model_id"`
	Anomaly *verdict `json:"anomaly,omitempty"`
}

// foundPoint is a hit.
type foundPoint struct {
	ID     string    `json:"id"`
	Score  float32   `json:"score"`
	Vector []float32 `json:"vector,omitempty"`
}

// describedPoint is a hit with what the point carries: a payload, null if it has none, and a label, "" if it has none.
type describedPoint struct {
	ID      string         `json:"id"`
	Score   float32        `json:"score"`
	Payload map[string]any `json:"payload"`
	Label   string         `json:"label"`
	Vector  []float32      `json:"vector,omitempty"`
}

func (s *Server) search(ctx context.Context, c *fiber.Ctx) (any, error) {
	col, err := s.collection(c)
	if err != nil {
		return nil, err
	}
	req := searchRequest{limit: defaultLimit, withPayload: true}
	if err := readJSONOrForm(c, &req); err != nil {
		return nil, err
	}
	vector, err := s.resolve(ctx, col, &req.subject)
	if err != nil {
		return nil, err
	}
	hits, err := req.run(ctx, col, vector)
	if err != nil {
		return nil, err
	}
	out := searchResult{ModelID: col.ModelID()}
	if d := col.Detector(); d != nil || req.alpha != nil {
		v, err := s.judge(col, vector, req.alpha)
		if err != nil {
			return nil, err
		}
		brief := newVerdict(v)
		out.Anomaly = &brief
	}
	out.Points, err = req.describe(col, hits)
	return out, err
}

// run searches. A point that is asked about is not its own neighbour.
func (q *searchRequest) run(ctx context.Context, col *index.Collection, vector []float32) ([]index.Hit, error) {
	self := 0
	if q.id != "" {
		self = 1
	}
	k := q.offset + q.limit + self
	if k > index.MaxK {
		return nil, badf("offset %d and limit %d: together they may be at most %d", q.offset, q.limit, index.MaxK-self)
	}
	hits, err := col.Search(ctx, vector, k, q.params.Params)
	if err != nil {
		return nil, err
	}
	hits = without(hits, q.id)
	hits = hits[min(q.offset, len(hits)):min(q.offset+q.limit, len(hits))]
	if q.threshold == nil {
		return hits, nil
	}
	// Hits come best first: those that pass are the first ones. A Euclidean distance passes from below.
	for i, h := range hits {
		if score := float64(h.Score); score < *q.threshold && col.Config().Metric != index.L2 || score > *q.threshold && col.Config().Metric == index.L2 {
			return hits[:i], nil
		}
	}
	return hits, nil
}

// without removes the hit of a point from hits.
func without(hits []index.Hit, id string) []index.Hit {
	for i, h := range hits {
		if id != "" && h.ID == id {
			return append(hits[:i], hits[i+1:]...)
		}
	}
	return hits
}

// describe adds what the collection keeps about the hits, if it is asked for: ids and scores alone need no look-up.
func (q *searchRequest) describe(col *index.Collection, hits []index.Hit) (points any, err error) {
	var kept []index.Point
	if q.withPayload || q.withVector {
		if hits, kept, err = lookUp(col, hits); err != nil {
			return nil, err
		}
	}
	vector := func(i int) []float32 {
		if !q.withVector {
			return nil
		}
		return kept[i].Vector
	}
	if !q.withPayload {
		out := make([]foundPoint, len(hits))
		for i, h := range hits {
			out[i] = foundPoint{h.ID, h.Score, vector(i)}
		}
		return out, nil
	}
	out := make([]describedPoint, len(hits))
	for i, h := range hits {
		out[i] = describedPoint{h.ID, h.Score, kept[i].Payload, kept[i].Label, vector(i)}
	}
	return out, nil
}

// lookUp returns the points of hits. Those that were deleted since the search are left out of both.
func lookUp(col *index.Collection, hits []index.Hit) ([]index.Hit, []index.Point, error) {
	ids := make([]string, len(hits))
	for i, h := range hits {
		ids[i] = h.ID
	}
	points, err := col.Get(ids...)
	if !errors.Is(err, index.ErrNotFound) {
		return hits, points, err
	}
	kept := make([]index.Hit, 0, len(hits))
	for _, h := range hits {
		p, err := col.Get(h.ID)
		if errors.Is(err, index.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("point %q: %w", h.ID, err)
		}
		kept, points = append(kept, h), append(points, p...)
	}
	return kept, points, nil
}
