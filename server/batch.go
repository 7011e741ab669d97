package server

import (
	"context"
	"errors"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"github.com/akin-search/akin/index"
)

// batchRequest is the body of …/points/query/batch.
type batchRequest struct{ searches []searchRequest }

var batchFields = []string{"searches"}

func (*batchRequest) fields() []string { return batchFields }

func (q *batchRequest) read(_ string, r *reader) error {
	return r.array(func(i int) error {
		if i == index.MaxBatch {
			return badf("more than %d searches: send them in several batches", index.MaxBatch)
		}
		req := newSearchRequest()
		if err := r.object(&req); err != nil {
			return err
		}
		q.searches = append(q.searches, req)
		return nil
	})
}

// searchBatch answers searches in their order. One that is refused is named, and none is answered.
func (s *Server) searchBatch(ctx context.Context, c *fiber.Ctx) (any, error) {
	col, err := s.collection(c)
	if err != nil {
		return nil, err
	}
	var req batchRequest
	if err := readJSON(c, &req); err != nil {
		return nil, err
	}
	if len(req.searches) == 0 {
		return nil, badf("no searches: give at least one")
	}
	vectors, err := s.resolveAll(ctx, col, "searches", req.searches)
	if err != nil {
		return nil, err
	}
	queries := make([]index.Query, len(vectors))
	recalls := make([]*recallAnswer, len(vectors))
	for i := range queries {
		if queries[i], err = req.searches[i].query(vectors[i], col.Detector()); err == nil {
			recalls[i], err = plan(col, &queries[i])
		}
		if err != nil {
			return nil, inSearch(i, err)
		}
	}
	hits, err := col.SearchBatch(ctx, queries)
	if failed := (*index.BatchError)(nil); errors.As(err, &failed) {
		return nil, inSearch(failed.Place, failed.Err)
	}
	if err != nil {
		return nil, err
	}
	results := make([]searchResult, len(hits))
	for i := range results {
		if results[i], err = s.found(ctx, col, &req.searches[i], queries[i], hits[i]); err != nil {
			return nil, inSearch(i, err)
		}
		results[i].recallAnswer = recalls[i]
	}
	return results, nil
}

func inSearch(i int, err error) error { return inItem("searches", i, err) }

func inItem(field string, i int, err error) error { return at(field, at("["+strconv.Itoa(i)+"]", err)) }

// resolveAll returns the vectors of all subjects, which stand in a field. Their inputs are embedded together.
func (s *Server) resolveAll(ctx context.Context, col *index.Collection, field string, searches []searchRequest) ([][]float32, error) {
	vectors := make([][]float32, len(searches))
	var places []int
	var raw [][]byte
	for i := range searches {
		q := &searches[i].subject
		if err := s.mayAsk(col, q); err != nil {
			return nil, inItem(field, i, err)
		}
		if q.input != nil {
			places, raw = append(places, i), append(raw, q.input)
			continue
		}
		var err error
		if vectors[i], err = s.resolve(ctx, col, q); err != nil {
			return nil, inItem(field, i, err)
		}
	}
	embedded, err := s.encodeAll(ctx, field, places, raw)
	for i, v := range embedded {
		vectors[places[i]] = v
	}
	return vectors, err
}
