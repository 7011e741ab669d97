package server

import (
	"context"
	"slices"

	"github.com/goccy/go-json"
	"github.com/gofiber/fiber/v2"

	"github.com/akin-search/akin/index"
)

// defaultLimit is how many points a search returns unless told.
const defaultLimit = 10

// searchRequest is the body of /search and …/points/query.
type searchRequest struct {
	asked
	limit       int
	offset      int
	params      searchParams
	withPayload bool
	withVector  bool
	alpha       *float64
}

var searchFields = []string{"query", "vector", "id", "input", "text", "limit", "offset", "params", "score_threshold", "filter", "with_payload", "with_vector", "alpha", "model_id"}

func newSearchRequest() searchRequest { return searchRequest{limit: defaultLimit, withPayload: true} }

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
		var limit float64
		limit, err = r.float64()
		q.params.ScoreThreshold = new(float32(limit)) // infinite where it is beyond a float32
	case "filter":
		q.params.Filter, err = r.filter()
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

var paramsFields = []string{"hnsw_ef", "exact", "recall_target"}

func (*searchParams) fields() []string { return paramsFields }

func (p *searchParams) read(field string, r *reader) (err error) {
	switch field {
	case "hnsw_ef":
		p.EF, err = r.int(1, index.MaxEF)
	case "exact":
		p.Exact, err = r.bool()
	case "recall_target":
		p.RecallTarget, err = r.float64()
		if err == nil && !(p.RecallTarget > 0 && p.RecallTarget < 1) {
			err = badf("%v: use a number between 0 and 1, 0.99 for example, or exact", p.RecallTarget)
		}
	}
	return err
}

type searchResult struct {
	Points  any      `json:"points"` // []foundPoint or []describedPoint
	ModelID string   `json:"model_id"`
	Anomaly *verdict `json:"anomaly,omitempty"`
	*recallAnswer
}

// recallAnswer says how a search with a recall_target was answered.
type recallAnswer struct {
	EF     int     `json:"ef_used"`                // 0: it was exact
	Recall float64 `json:"recall_estimate"`        // the least to be expected, at 95 % confidence
	Reason string  `json:"exact_reason,omitempty"` // why it had to be exact
}

// foundPoint is a hit.
type foundPoint struct {
	ID     string    `json:"id"`
	Score  float32   `json:"score"`
	Vector []float32 `json:"vector,omitempty"`
}

// describedPoint is a hit with what the point carries: a payload, null if it has none, and a label, "" if it has none.
type describedPoint struct {
	ID      string          `json:"id"`
	Score   float32         `json:"score"`
	Payload json.RawMessage `json:"payload"`
	Label   string          `json:"label"`
	Vector  []float32       `json:"vector,omitempty"`
}

func (s *Server) search(ctx context.Context, c *fiber.Ctx) (any, error) {
	col, err := s.collection(c)
	if err != nil {
		return nil, err
	}
	req := newSearchRequest()
	if err := readJSONOrForm(c, &req); err != nil {
		return nil, err
	}
	vector, err := s.resolve(ctx, col, &req.subject)
	if err != nil {
		return nil, err
	}
	query, err := req.query(vector, col.Detector())
	if err != nil {
		return nil, err
	}
	recall, err := plan(col, &query)
	if err != nil {
		return nil, err
	}
	hits, err := col.Search(ctx, query.Vector, query.K, query.Params)
	if err != nil {
		return nil, err
	}
	out, err := s.found(ctx, col, &req, query, hits)
	out.recallAnswer = recall
	return out, err
}

// plan settles a query that has a recall target, so that the answer can say how; nil for one that has none.
func plan(col *index.Collection, q *index.Query) (*recallAnswer, error) {
	if q.Params.RecallTarget == 0 {
		return nil, nil
	}
	p, err := col.Plan(q.K, q.Params)
	if err != nil {
		return nil, err
	}
	q.Params = p.Params
	return &recallAnswer{p.Params.EF, p.Recall, p.Reason}, nil
}

// query makes the search of a request whose subject has that vector. It finds what the verdict of d, which may be nil, needs, too, where the nearest are all asked for.
func (q *searchRequest) query(vector []float32, d *index.Detector) (index.Query, error) {
	self := 0 // a point that is asked about finds itself
	if q.id != "" {
		self = 1
	}
	k := q.offset + q.limit + self
	if p := q.params.Params; d != nil && p.Filter == nil && p.ScoreThreshold == nil && p.RecallTarget == 0 { // a target is for so many hits
		k = max(k, d.Neighbors()+self)
	}
	if k > index.MaxK {
		return index.Query{}, badf("offset %d and limit %d: together they may be at most %d", q.offset, q.limit, index.MaxK-self)
	}
	return index.Query{Vector: vector, K: k, Params: q.params.Params}, nil
}

// found makes the result of a request from the hits of its query. A point that is asked about is not its own neighbour.
func (s *Server) found(ctx context.Context, col *index.Collection, req *searchRequest, query index.Query, hits []index.Hit) (out searchResult, err error) {
	out.ModelID = col.ModelID()
	hits = without(hits, req.id)
	if col.Detector() != nil || req.alpha != nil {
		near := hits
		if query.Params.Filter != nil || query.Params.ScoreThreshold != nil { // not all that is near
			near = nil
		}
		d, alpha, err := s.detector(col, req.alpha)
		if err != nil {
			return out, err
		}
		v, err := s.judgeBy(ctx, col, d, query.Vector, req.id, near, alpha)
		if err != nil {
			return out, err
		}
		brief := newVerdict(v)
		out.Anomaly = &brief
	}
	out.Points, err = req.describe(col, hits[min(req.offset, len(hits)):min(req.offset+req.limit, len(hits))])
	return out, err
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
	var what index.Fields
	if q.withVector {
		what |= index.FieldVector
	}
	if q.withPayload {
		what |= index.FieldPayload | index.FieldLabel
	}
	var kept []index.Record
	if what != 0 {
		if hits, kept, err = lookUp(col, hits, what); err != nil {
			return nil, err
		}
	}
	if !q.withPayload {
		out := make([]foundPoint, len(hits))
		for i, h := range hits {
			out[i] = foundPoint{ID: h.ID, Score: h.Score}
			if q.withVector {
				out[i].Vector = kept[i].Vector
			}
		}
		return out, nil
	}
	out := make([]describedPoint, len(hits))
	for i, h := range hits {
		out[i] = describedPoint{h.ID, h.Score, kept[i].Payload, kept[i].Label, kept[i].Vector}
	}
	return out, nil
}

// lookUp returns what the collection keeps about hits. Those that were deleted since the search are left out of both.
func lookUp(col *index.Collection, hits []index.Hit, what index.Fields) ([]index.Hit, []index.Record, error) {
	ids := make([]string, len(hits))
	for i, h := range hits {
		ids[i] = h.ID
	}
	records, err := col.Look(what, ids...)
	if err != nil {
		return nil, nil, err
	}
	deleted := func(r index.Record) bool { return r.ID == "" }
	if !slices.ContainsFunc(records, deleted) {
		return hits, records, nil
	}
	kept := make([]index.Hit, 0, len(hits))
	for i, h := range hits {
		if !deleted(records[i]) {
			kept = append(kept, h)
		}
	}
	return kept, slices.DeleteFunc(records, deleted), nil
}
