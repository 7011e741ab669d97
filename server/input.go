package server

import (
	"context"
	"fmt"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/index"
)

// subject is the one thing that a request asks about: a vector, the id of a point, or an input to embed.
type subject struct {
	given  []string // names of the fields that were given
	vector []float32
	id     string
	input  []byte
	model  string // model_id that the client counts on, "" for any
}

// maxModelID bounds the bytes of a model_id; the ids of our models have 64.
const maxModelID = 1 << 10

// subjectFields are the fields of an object that has a subject.
var subjectFields = []string{"vector", "id", "input", "text", "model_id"}

func (s *subject) fields() []string { return subjectFields }

func (s *subject) read(field string, r *reader) (err error) {
	switch field {
	case "vector":
		s.vector, err = r.vector()
	case "id":
		s.id, err = r.id()
	case "input":
		s.input, err = r.item()
		if err == nil && len(s.input) == 0 {
			err = badf("it is empty: send the bytes of an image or a sound, or a row")
		}
	case "text":
		s.input, err = r.plainText()
	case "model_id":
		s.model, err = r.text(maxModelID)
		return err
	}
	s.given = append(s.given, field)
	return err
}

// plainText reads an input that is given as text and not as base64; it is not empty.
func (r *reader) plainText() ([]byte, error) {
	text, err := r.text(encoder.MaxText)
	if err == nil && text == "" {
		err = badf("it is empty: send a text")
	}
	return []byte(text), err
}

// check refuses none or more than one of vector, id and input.
func (s *subject) check() error {
	switch len(s.given) {
	case 0:
		return badf("nothing to ask about: give one of vector, id, input and text (null counts as not given)")
	case 1:
		return nil
	}
	return badf("%s are given: give one of them", strings.Join(s.given, " and "))
}

// asked is a subject in Qdrant's form, the value of "query": a bare vector, a bare id, or an object.
type asked struct{ subject }

var askedFields = []string{"vector", "id", "input", "text"}

func (q *asked) fields() []string { return askedFields }

func (q *asked) readValue(r *reader) (err error) {
	switch r.peek() {
	case '[':
		q.vector, err = r.vector()
	case '{':
		if err = r.object(q); err == nil {
			err = q.check()
		}
		return err
	default:
		if c := r.peek(); r.form == notForm && c != '"' && c != '-' && c-'0' > 9 {
			return r.unexpected(`a vector, an id or {"input": …}`)
		}
		q.id, err = r.id()
	}
	q.given = append(q.given, "query")
	return err
}

// resolve returns the vector of a subject as collection c has or would have it.
func (s *Server) resolve(ctx context.Context, c *index.Collection, q *subject) ([]float32, error) {
	if err := s.mayAsk(c, q); err != nil {
		return nil, err
	}
	switch {
	case q.vector != nil:
		return q.vector, nil
	case q.input != nil:
		return s.encodeOne(ctx, q.input)
	}
	return vectorOf(c, q.id)
}

// mayAsk refuses a subject that collection c cannot have a vector of.
func (s *Server) mayAsk(c *index.Collection, q *subject) error {
	if err := q.check(); err != nil {
		return err
	}
	if q.model != "" {
		if err := c.CheckModel(q.model); err != nil {
			return at("model_id", err)
		}
	}
	if q.input != nil {
		return s.mayEmbed(c)
	}
	return nil
}

// vectorOf returns the vector of a point.
func vectorOf(c *index.Collection, id string) ([]float32, error) {
	found, err := c.Look(index.FieldVector, id)
	if err == nil && found[0].ID == "" {
		err = fmt.Errorf("collection %q: point %q: %w", c.Name(), id, index.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	return found[0].Vector, nil
}

// mayEmbed refuses inputs for a collection whose vectors are of another model than the encoder's.
func (s *Server) mayEmbed(c *index.Collection) error {
	if err := s.hasEncoder(); err != nil {
		return err
	}
	return at("input", c.CheckModel(s.opt.Encoder.ModelID()))
}

func (s *Server) hasEncoder() error {
	if s.opt.Encoder == nil {
		return fmt.Errorf("input: %w: this server has no model, send a vector or an id", errNoEncoder)
	}
	return nil
}

func (s *Server) encodeOne(ctx context.Context, input []byte) ([]float32, error) {
	vectors, err := s.opt.Encoder.Encode(ctx, input)
	if err != nil {
		return nil, at("input", err)
	}
	return vectors[0], nil
}

// embedRequest is the body of /embed.
type embedRequest struct{ subject }

var embedFields = []string{"input", "text", "model_id"}

func (*embedRequest) fields() []string { return embedFields }

type embedResult struct {
	Vector    []float32 `json:"vector"`
	Dimension int       `json:"dimension"`
	ModelID   string    `json:"model_id"`
}

func (s *Server) embed(ctx context.Context, c *fiber.Ctx) (any, error) {
	var req embedRequest
	if err := readJSONOrForm(c, &req); err != nil {
		return nil, err
	}
	if req.input == nil {
		return nil, badf("nothing to embed: give input or text (null counts as not given)")
	}
	if err := s.hasEncoder(); err != nil {
		return nil, err
	}
	if have := s.opt.Encoder.ModelID(); req.model != "" && req.model != have {
		return nil, fmt.Errorf("model_id %q: %w: this server embeds with model %q", req.model, index.ErrModel, have)
	}
	v, err := s.encodeOne(ctx, req.input)
	if err != nil {
		return nil, err
	}
	return embedResult{v, len(v), s.opt.Encoder.ModelID()}, nil
}
