package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/gofiber/fiber/v2"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/index"
)

// encodeBatch is how many inputs go to the encoder at once.
const encodeBatch = 256

// upsertRequest is the body of PUT …/points.
type upsertRequest struct {
	points []newPoint
	model  string
}

var upsertFields = []string{"points", "model_id"}

func (*upsertRequest) fields() []string { return upsertFields }

func (q *upsertRequest) read(field string, r *reader) (err error) {
	switch field {
	case "points":
		err = r.array(func(int) error {
			var p newPoint
			if err := r.object(&p); err != nil {
				return err
			}
			q.points = append(q.points, p)
			return p.check()
		})
	case "model_id":
		q.model, err = r.text(maxModelID)
	}
	return err
}

// newPoint is a point to be stored; its input, if it has one, is kept beside the vector.
type newPoint struct{ index.Point }

var pointFields = []string{"id", "vector", "input", "text", "label", "payload"}

func (*newPoint) fields() []string { return pointFields }

func (p *newPoint) read(field string, r *reader) (err error) {
	switch field {
	case "id":
		p.ID, err = r.id()
	case "vector":
		p.Vector, err = r.vector()
	case "input", "text":
		if p.Raw != nil {
			return badf("input and text are given: give one of them")
		}
		if field == "text" {
			p.Raw, err = r.plainText()
			return err
		}
		p.Raw, err = r.item()
		if n := len(p.Raw); err == nil && (n == 0 || n > index.MaxRaw) {
			err = badf("input of %d bytes: use 1 to %d", n, index.MaxRaw)
		}
	case "label":
		p.Label, err = r.text(index.MaxLabel)
	case "payload":
		p.Payload, err = r.payload()
	}
	return err
}

func (p *newPoint) check() error {
	switch {
	case p.ID == "":
		return badf("no id: give a string or an integer")
	case p.Vector == nil && p.Raw == nil:
		return badf("point %q has neither vector nor input: give one of them (null counts as not given)", p.ID)
	case p.Vector != nil && p.Raw != nil:
		return badf("point %q has vector and input: give one of them", p.ID)
	}
	return nil
}

// writeResult is what a write returns; the write is on the disk then.
type writeResult struct {
	Status string `json:"status"` // "completed"
	Points int    `json:"points"` // in the collection, afterwards
}

// upsert adds and replaces points. Nothing is written unless all of them are right.
func (s *Server) upsert(ctx context.Context, c *fiber.Ctx) (any, error) {
	col, err := s.collection(c)
	if err != nil {
		return nil, err
	}
	var req upsertRequest
	if err := readJSON(c, &req); err != nil {
		return nil, err
	}
	if len(req.points) == 0 {
		return nil, badf("no points: give at least one")
	}
	if req.model != "" {
		if err := col.CheckModel(req.model); err != nil {
			return nil, at("model_id", err)
		}
	}
	if err := s.embedPoints(ctx, col, req.points); err != nil {
		return nil, err
	}
	points := make([]index.Point, len(req.points))
	for i, p := range req.points {
		points[i] = p.Point
	}
	if err := col.Upsert(ctx, points); err != nil {
		return nil, err
	}
	return writeResult{"completed", col.Len()}, nil
}

// embedPoints gives the points with an input their vector.
func (s *Server) embedPoints(ctx context.Context, col *index.Collection, points []newPoint) error {
	var places []int
	var raw [][]byte
	for i, p := range points {
		if p.Raw != nil {
			places, raw = append(places, i), append(raw, p.Raw)
		}
	}
	if len(raw) == 0 {
		return nil
	}
	if err := s.mayEmbed(col); err != nil {
		return err
	}
	vectors, err := s.encodeAll(ctx, "points", places, raw)
	if err != nil {
		return err
	}
	for i, v := range vectors {
		points[places[i]].Vector = v
	}
	return nil
}

// encodeAll embeds inputs, which stand at these places of a field.
func (s *Server) encodeAll(ctx context.Context, field string, places []int, raw [][]byte) ([][]float32, error) {
	vectors := make([][]float32, 0, len(raw))
	for from := 0; from < len(raw); from += encodeBatch {
		to := min(from+encodeBatch, len(raw))
		some, err := s.opt.Encoder.Encode(ctx, raw[from:to]...)
		if errors.Is(err, encoder.ErrInput) {
			return nil, s.brokenInput(ctx, err, field, places[from:to], raw[from:to])
		}
		if err != nil {
			return nil, err
		}
		vectors = append(vectors, some...)
	}
	return vectors, nil
}

// brokenInput says which input the encoder refused: it counts the inputs, not the items of the field.
func (s *Server) brokenInput(ctx context.Context, refused error, field string, places []int, raw [][]byte) error {
	for i, input := range raw {
		if _, err := s.encodeOne(ctx, input); err != nil {
			return at(field, at(fmt.Sprintf("[%d]", places[i]), err))
		}
	}
	return refused
}

// deleteRequest is the body of …/points/delete: ids or a filter.
type deleteRequest struct {
	ids    []string
	filter *index.Filter
}

var deleteFields = []string{"points", "filter"}

func (*deleteRequest) fields() []string { return deleteFields }

func (q *deleteRequest) read(field string, r *reader) (err error) {
	if field == "filter" {
		q.filter, err = r.filter()
		return err
	}
	return r.array(func(int) error {
		id, err := r.id()
		q.ids = append(q.ids, id)
		return err
	})
}

// delete removes points by their ids or by a filter; ids that do not exist are ignored, so that a repeated request does no harm.
func (s *Server) delete(ctx context.Context, c *fiber.Ctx) (any, error) {
	col, err := s.collection(c)
	if err != nil {
		return nil, err
	}
	var req deleteRequest
	if err := readJSON(c, &req); err != nil {
		return nil, err
	}
	switch {
	case len(req.ids) > 0 && req.filter != nil:
		return nil, badf("points and filter are given: give one of them")
	case len(req.ids) == 0 && req.filter == nil:
		return nil, badf("no points: give at least one id, or a filter")
	case req.filter != nil:
		err = col.DeleteWhere(ctx, req.filter)
	default:
		err = col.Delete(ctx, req.ids)
	}
	if err != nil {
		return nil, err
	}
	return writeResult{"completed", col.Len()}, nil
}
