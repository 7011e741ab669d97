package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/gofiber/fiber/v2"

	"github.com/akin-search/akin/index"
)

// calibrateRequest is the body of /calibrate: points to keep aside, or a share of those that are known, or neither.
type calibrateRequest struct {
	upsertRequest
	holdout *float64
	seed    int
}

var calibrateFields = []string{"points", "holdout", "seed", "model_id"}

func (*calibrateRequest) fields() []string { return calibrateFields }

func (q *calibrateRequest) read(field string, r *reader) (err error) {
	switch field {
	case "holdout":
		q.holdout, err = r.optionalFloat()
	case "seed":
		q.seed, err = r.int(0, 1<<31-1)
	default:
		err = q.upsertRequest.read(field, r)
	}
	return err
}

type calibrateResult struct {
	PointsCount int           `json:"points_count"`
	Moved       int           `json:"moved"` // known points that are held out from now on
	Detector    *detectorInfo `json:"detector"`
	Patches     *patchesInfo  `json:"patches,omitempty"`
	ModelID     string        `json:"model_id"`
}

// calibrate keeps points aside, beside those of before, and fits and calibrates the detector anew. Pictures among them calibrate patches, too.
func (s *Server) calibrate(ctx context.Context, c *fiber.Ctx) (any, error) {
	col, err := s.collection(c)
	if err != nil {
		return nil, err
	}
	var req calibrateRequest
	if err := readOptionalJSON(c, &req); err != nil {
		return nil, err
	}
	if req.holdout != nil && !(*req.holdout > 0 && *req.holdout <= 0.5) {
		return nil, at("holdout", badf("%v: use a share above 0, to 0.5", *req.holdout))
	}
	if req.model != "" {
		if err := col.CheckModel(req.model); err != nil {
			return nil, at("model_id", err)
		}
	}
	if err := s.embedPoints(ctx, col, req.points); err != nil {
		return nil, err
	}
	points, scored := make([]index.Point, len(req.points)), 0
	for i, p := range req.points {
		points[i] = p.Point
		n, err := s.scorePatches(ctx, &points[i])
		if err != nil {
			return nil, inItem("points", i, err)
		}
		scored += n
	}
	if err := col.CheckCalibration(points); err != nil {
		return nil, err
	}
	if len(points) > 0 {
		if err := col.SetAside(ctx, index.RoleCalibration, points); err != nil {
			return nil, err
		}
	}
	out := calibrateResult{ModelID: col.ModelID()}
	if req.holdout != nil {
		if out.Moved, err = col.HoldOut(ctx, *req.holdout, uint64(req.seed)); err != nil {
			return nil, err
		}
	}
	if err := col.Calibrate(ctx); err != nil {
		return nil, err
	}
	out.PointsCount, out.Detector, out.Patches = col.Len(), newDetectorInfo(col), s.patchesAfter(col, scored)
	return out, nil
}

// feedbackRequest is the body of …/anomaly/feedback: what was judged, and whether the alarm was right.
type feedbackRequest struct {
	newPoint
	verdict string
	into    string
	model   string
}

var feedbackFields = []string{"id", "vector", "input", "text", "label", "verdict", "into", "model_id"}

func (*feedbackRequest) fields() []string { return feedbackFields }

func (q *feedbackRequest) read(field string, r *reader) (err error) {
	switch field {
	case "verdict":
		q.verdict, err = r.word2("wrong", "right")
	case "into":
		q.into, err = r.word2("known", "calibration")
	case "model_id":
		q.model, err = r.text(maxModelID)
	default:
		err = q.newPoint.read(field, r)
	}
	return err
}

// word2 reads one of two words.
func (r *reader) word2(a, b string) (string, error) {
	s, err := r.text(64)
	if err == nil && s != a && s != b {
		err = badf("%s: use %s or %s", quoted([]byte(s)), a, b)
	}
	return s, err
}

type feedbackResult struct {
	MovedTo     string       `json:"moved_to"` // known, calibration or anomalies
	Label       string       `json:"label"`
	Restored    bool         `json:"restored,omitempty"` // it was kept aside, which keeps neither payload nor input
	PointsCount int          `json:"points_count"`
	Calibration int          `json:"calibration"` // points kept aside to calibrate with
	Anomalies   int          `json:"anomalies"`   // points kept aside as true anomalies
	Patches     *patchesInfo `json:"patches,omitempty"`
	ModelID     string       `json:"model_id"`
}

// feedback takes what somebody says of an alarm: it was wrong, and what was judged is normal, or it was right. The detector
// follows in the background.
func (s *Server) feedback(ctx context.Context, c *fiber.Ctx) (any, error) {
	col, err := s.collection(c)
	if err != nil {
		return nil, err
	}
	var req feedbackRequest
	if err := readJSON(c, &req); err != nil {
		return nil, err
	}
	switch {
	case req.ID == "":
		return nil, badf("no id: name the point, as it is or is to be stored")
	case req.verdict == "":
		return nil, badf("no verdict: say whether the alarm was wrong (it is normal) or right (it is an anomaly)")
	case req.verdict == "right" && req.into != "":
		return nil, at("into", badf("%s: an alarm that was right goes to the anomalies, leave it out", req.into))
	case req.Vector != nil && req.Raw != nil:
		return nil, badf("vector and input are given: give one of them")
	}
	if req.model != "" {
		if err := col.CheckModel(req.model); err != nil {
			return nil, at("model_id", err)
		}
	}
	d, alpha, err := s.detector(col, nil)
	if err != nil {
		return nil, err
	}
	out := feedbackResult{ModelID: col.ModelID(), MovedTo: "anomalies"}
	p := req.Point
	stored, err := col.Look(index.FieldLabel|index.FieldVector, p.ID)
	if err != nil {
		return nil, err
	}
	isKnown := stored[0].ID != ""
	have, missing := index.Point{Vector: stored[0].Vector, Label: stored[0].Label}, error(nil) // what is there of it
	if !isKnown {
		if have, missing = col.Kept(p.ID); missing != nil && !errors.Is(missing, index.ErrNotFound) {
			return nil, missing
		}
	}
	switch {
	case p.Raw != nil:
		if err := s.mayEmbed(col); err != nil {
			return nil, err
		}
		if p.Vector, err = s.encodeOne(ctx, p.Raw); err != nil {
			return nil, err
		}
	case p.Vector == nil:
		if missing != nil {
			return nil, fmt.Errorf("%w: it is neither known nor kept aside: give its vector or input", missing)
		}
		out.Restored = !isKnown && req.verdict == "wrong" && req.into != "calibration"
		p.Vector, p.Score = have.Vector, have.Score
	}
	p.Label = cmp.Or(p.Label, have.Label)
	if req.verdict == "wrong" && p.Label == "" { // of the class that it is nearest to
		v, err := d.Verdict(ctx, p.Vector, alpha)
		if err != nil {
			return nil, err
		}
		p.Label = v.NearestClass
	}
	out.Label = p.Label
	scored := 0
	aside := col.SetAside
	if isKnown && req.Vector == nil && req.Raw == nil { // as it is stored then, which may be another than was looked at
		aside = col.MoveAside
	}
	switch {
	case req.verdict == "right":
		err = aside(ctx, index.RoleAnomaly, []index.Point{p})
	case req.into == "calibration":
		if scored, err = s.scorePatches(ctx, &p); err != nil {
			return nil, err
		}
		if p.Score != nil { // of before
			scored = 1
		}
		out.MovedTo = "calibration"
		if err := col.CheckCalibration([]index.Point{p}); err != nil {
			return nil, err
		}
		err = aside(ctx, index.RoleCalibration, []index.Point{p})
	default:
		out.MovedTo = "known"
		if isKnown && req.Vector == nil && req.Raw == nil { // its label at most is another
			err = col.Relabel(ctx, p.ID, p.Label)
		} else {
			err = col.Upsert(ctx, []index.Point{p})
		}
	}
	out.PointsCount, out.Calibration, out.Anomalies = col.Len(), col.Aside(index.RoleCalibration), col.Aside(index.RoleAnomaly)
	if out.Patches = s.patchesInfo(col); req.verdict == "wrong" {
		out.Patches = s.patchesAfter(col, scored)
	}
	return out, err
}
