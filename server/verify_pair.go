package server

import (
	"context"
	"fmt"

	"github.com/gofiber/fiber/v2"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/index"
)

// maxEnrolled is how many inputs a request may enrol.
const maxEnrolled = 64

// verifyRequest is the body of /verify-pair: an input, or a list of them that were enrolled, and the input asked about; of texts
// also text_a and text_b, as they are.
type verifyRequest struct {
	a     [][]byte
	b     []byte
	far   *float64
	model string
}

var verifyFields = []string{"a", "b", "text_a", "text_b", "far", "model_id"}

func (*verifyRequest) fields() []string { return verifyFields }

func (q *verifyRequest) read(field string, r *reader) (err error) {
	switch field {
	case "a":
		var all [][]byte
		all, err = r.inputs()
		q.a = append(q.a, all...)
	case "b":
		if q.b != nil {
			return badf("b and text_b are given: give one of them")
		}
		q.b, err = r.input()
	case "text_a":
		var text []byte
		text, err = r.plainText()
		q.a = append(q.a, text)
	case "text_b":
		if q.b != nil {
			return badf("b and text_b are given: give one of them")
		}
		q.b, err = r.plainText()
	case "far":
		q.far, err = r.optionalFloat()
	case "model_id":
		q.model, err = r.text(maxModelID)
	}
	return err
}

// input reads the bytes of an input, which are not empty.
func (r *reader) input() ([]byte, error) {
	b, err := r.item()
	if err == nil && len(b) == 0 {
		err = badf("it is empty: send the bytes of an input")
	}
	return b, err
}

// inputs reads an input, or a list of them.
func (r *reader) inputs() (all [][]byte, err error) {
	if r.form == formFile || r.peek() != '[' {
		b, err := r.input()
		return [][]byte{b}, err
	}
	r.form = notForm // strings within stand in quotes
	r.take('[')
	for !r.take(']') {
		if len(all) > 0 && !r.take(',') {
			return nil, r.unexpected(`"," or "]"`)
		}
		if len(all) == maxEnrolled {
			return nil, badf("more than %d inputs: enrol fewer", maxEnrolled)
		}
		b, err := r.input()
		if err != nil {
			return nil, at(fmt.Sprintf("[%d]", len(all)), err)
		}
		all = append(all, b)
	}
	return all, nil
}

// verifyResult tells how alike two sides are, and whether they are of one class where the model has scores to compare with.
type verifyResult struct {
	Score float64 `json:"score"` // cosine
	*pairVerdict
	ModelID string `json:"model_id"`
}

type pairVerdict struct {
	Same      bool    `json:"same"`
	PValue    float64 `json:"p_value"`   // share of pairs of two classes that are as alike
	Threshold float64 `json:"threshold"` // that the score of one class exceeds
	FAR       float64 `json:"far"`       // highest share of pairs of two classes that are accepted
}

func (s *Server) verifyPair(ctx context.Context, c *fiber.Ctx) (any, error) {
	var req verifyRequest
	if err := readJSONOrForm(c, &req); err != nil {
		return nil, err
	}
	if len(req.a) == 0 || req.b == nil {
		return nil, badf("nothing to compare: give a, an input or a list of those enrolled, and b, the input asked about (null counts as not given)")
	}
	if err := s.hasEncoder(); err != nil {
		return nil, err
	}
	have := s.opt.Encoder.ModelID()
	if req.model != "" && req.model != have {
		return nil, fmt.Errorf("model_id %q: %w: this server embeds with model %q", req.model, index.ErrModel, have)
	}
	out := verifyResult{ModelID: have}
	if s.pairs.Calibration() == 0 && req.far != nil {
		return nil, fmt.Errorf("far %v: %w: the model was trained without pairs kept aside to compare with; leave far out for the score alone, or train with a holdout", *req.far, index.ErrNotCalibrated)
	}
	if s.pairs.Calibration() > 0 {
		far := max(s.opt.Alpha, s.pairs.MinAlpha())
		if req.far != nil {
			far = *req.far
		}
		threshold, err := s.pairs.Threshold(far)
		if err != nil {
			return nil, at("far", err)
		}
		out.pairVerdict = &pairVerdict{Threshold: threshold, FAR: far}
	}
	var err error
	if out.Score, err = encoder.Similarity(ctx, s.opt.Encoder, req.a, req.b); err != nil {
		return nil, err
	}
	if v := out.pairVerdict; v != nil {
		v.PValue = s.pairs.PValue(out.Score)
		v.Same = v.PValue <= v.FAR
	}
	return out, nil
}
