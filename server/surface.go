package server

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/index"
)

// Surface finds small defects in pictures; an *encoder.Encoder whose model has patches is one. It is used concurrently.
type Surface interface {
	// Heat scores a picture place by place. An error about the input wraps encoder.ErrInput.
	Heat(ctx context.Context, raw []byte) (*encoder.Heat, error)
}

// surfaceVerdict is the verdict of patches on an input.
type surfaceVerdict struct {
	score, p, threshold float64
	anomaly             bool
	heat                *encoder.Heat
	normal              index.Conformal // that it was compared with
}

// normalOf is what calibrates patches in a collection: the scores that came with the model, and those of pictures that were kept aside since.
func (s *Server) normalOf(col *index.Collection) index.Conformal {
	return index.NewConformal(slices.Concat(s.opt.Normal, col.CalibrationScores()))
}

// patchesInfo says what calibrates patches.
type patchesInfo struct {
	Calibration int     `json:"calibration"`    // pictures
	MinAlpha    float64 `json:"min_alpha"`      // least alpha that they support
	Note        string  `json:"note,omitempty"` // that a request added none, and how to
}

// patchesInfo describes what calibrates patches in a collection; nil where they judge no input.
func (s *Server) patchesInfo(col *index.Collection) *patchesInfo {
	if s.opt.Surface == nil || s.mayEmbed(col) != nil {
		return nil
	}
	n := s.normalOf(col)
	return &patchesInfo{Calibration: n.Calibration(), MinAlpha: n.MinAlpha()}
}

// patchesAfter is patchesInfo after a request that says what is normal, and added so many pictures.
func (s *Server) patchesAfter(col *index.Collection, scored int) *patchesInfo {
	info := s.patchesInfo(col)
	if info != nil && scored == 0 {
		info.Note = "no picture was added to those that calibrate the patches, which judge inputs: send it as an input, to POST /calibrate or as feedback with into calibration"
	}
	return info
}

// scorePatches gives a point with an input the score of its patches, which the point then calibrates, too, and returns how many points it gave one.
func (s *Server) scorePatches(ctx context.Context, p *index.Point) (int, error) {
	if p.Raw == nil || s.opt.Surface == nil {
		return 0, nil
	}
	h, err := s.opt.Surface.Heat(ctx, p.Raw)
	if err != nil {
		return 0, at("input", err)
	}
	p.Score = &h.Score
	return 1, nil
}

// surface judges an input by its patches. The alpha is refused where their calibration does not support it.
func (s *Server) surface(ctx context.Context, normal index.Conformal, input []byte, alpha float64) (v *surfaceVerdict, err error) {
	v = &surfaceVerdict{normal: normal}
	if v.threshold, err = surfaceThreshold(normal, alpha); err != nil {
		return nil, err
	}
	if v.heat, err = s.opt.Surface.Heat(ctx, input); err != nil {
		return nil, at("input", err)
	}
	v.score = v.heat.Score
	v.p = normal.PValue(v.score)
	v.anomaly = v.p <= alpha
	return v, nil
}

func surfaceThreshold(normal index.Conformal, alpha float64) (float64, error) {
	t, err := normal.Threshold(alpha)
	if err != nil {
		err = fmt.Errorf("of the model's patches: %w", err)
	}
	return t, err
}

// byPatches reports whether patches judge a subject.
func (s *Server) byPatches(q *subject) bool { return q.input != nil && s.opt.Surface != nil }

// watch takes note of the verdict that was answered: by is that of patches, nil where the detector d judged.
func (s *Server) watch(col *index.Collection, d *index.Detector, v index.Verdict, by *surfaceVerdict) {
	if by != nil {
		col.WatchScore(by.normal, by.score)
		return
	}
	col.Watch(d, v)
}

// surfaceAlpha is the alpha to judge inputs at by patches: what was asked for, or the server's, or the least that their calibration supports
// where that is more.
func (s *Server) surfaceAlpha(normal index.Conformal, asked *float64) float64 {
	if asked != nil {
		return *asked
	}
	return max(s.opt.Alpha, normal.MinAlpha())
}

// bothAlpha is the alpha where a detector and patches judge: what was asked for, or the server's, or the least that both calibrations support
// where that is more. One that was asked for is refused for the smaller of the two.
func (s *Server) bothAlpha(d *index.Detector, normal index.Conformal, asked *float64) (alpha float64, err error) {
	switch {
	case asked == nil:
		return max(s.opt.Alpha, d.MinAlpha(), normal.MinAlpha()), nil
	case normal.MinAlpha() > d.MinAlpha():
		_, err = surfaceThreshold(normal, *asked)
	default:
		_, err = d.Threshold(*asked)
	}
	return *asked, err
}

// heatmap is what explain adds to a verdict on a picture.
type heatmap struct {
	PNG string `json:"heatmap"` // base64 of a grey PNG of the picture's size, white where it differs
	Box box    `json:"box"`     // around the worst place
}

// box is a rectangle in the pixels of a picture.
type box struct {
	X      int `json:"x"`
	Y      int `json:"y"`
	Width  int `json:"width"`
	Height int `json:"height"`
}

func newHeatmap(h *encoder.Heat) (*heatmap, error) {
	png, err := h.PNG()
	r := h.Worst()
	return &heatmap{base64.StdEncoding.EncodeToString(png), box{r.Min.X, r.Min.Y, r.Dx(), r.Dy()}}, err
}

// checkSurface refuses a Surface without scores to compare with, and scores without one.
func (o *Options) checkSurface() error {
	if (o.Surface == nil) != (len(o.Normal) == 0) {
		return fmt.Errorf("server: a surface (%t) and %d scores of normal pictures: %w: give both or neither", o.Surface != nil, len(o.Normal), index.ErrNotCalibrated)
	}
	return nil
}
