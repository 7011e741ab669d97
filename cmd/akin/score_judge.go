package main

import (
	"context"
	"errors"
	"image"
	"os"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/index"
	"github.com/akin-search/akin/train"
)

// judge gives the verdicts on items at an alpha, in their order; one that cannot be read or decoded has its error in place of a verdict. The id of
// an item is the file, or that of a row.
type judge func(ctx context.Context, items train.Dataset, alpha float64) ([]scored, error)

// clusterJudge judges by the clusters of a collection, and draws heat maps of what covering a place does to the score.
func clusterJudge(e *encoder.Encoder, det *index.Detector, maps *heatmaps) judge {
	return func(ctx context.Context, d train.Dataset, alpha float64) ([]scored, error) {
		out, at := make([]scored, d.Len()), map[string][]int{} // a file may be named twice
		for i, file := range d.IDs {
			out[i].File, at[file] = file, append(at[file], i)
		}
		kept, features, err := train.Decode(ctx, e.Decoder(), d, func(s train.Skipped) {
			for _, i := range at[s.Path] {
				out[i].Error = s.Reason
			}
		})
		if err != nil {
			if errors.Is(err, train.ErrDataset) { // none of them can be decoded, which they say themselves
				err = nil
			}
			return out, err
		}
		vectors, err := e.EncodeFeatures(ctx, features)
		if err != nil {
			return nil, err
		}
		for i, v := range vectors {
			d, err := det.Verdict(ctx, v, alpha)
			if err != nil {
				return nil, err
			}
			file := kept.IDs[i]
			said := verdict{IsAnomaly: d.Anomaly, Score: d.Score, PValue: d.PValue, ClassPValue: d.ClassPValue, Threshold: &d.Threshold, Alpha: alpha, NearestClass: d.NearestClass}
			if maps != nil {
				h, err := covered(ctx, e, det, file, d)
				if err != nil {
					return nil, err
				}
				said.Box = newBox(h.Worst())
				if said.Heatmap, err = maps.draw(file, h); err != nil {
					return nil, err
				}
			}
			for _, i := range at[file] {
				out[i].verdict = &said
			}
		}
		return out, nil
	}
}

// covered is how much of a verdict's score each place of a picture makes.
func covered(ctx context.Context, e *encoder.Encoder, det *index.Detector, file string, v index.Verdict) (*encoder.Heat, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	c, err := e.Cover(ctx, raw)
	if err != nil {
		return nil, err
	}
	scores := make([]float64, len(c.Vectors))
	for i, vector := range c.Vectors {
		without, err := det.Verdict(ctx, vector, v.Alpha)
		if err != nil {
			return nil, err
		}
		scores[i] = without.Score
	}
	return c.Heat(v.Score, scores), nil
}

// box is a rectangle in the pixels of a picture.
type box struct {
	X      int `json:"x"`
	Y      int `json:"y"`
	Width  int `json:"width"`
	Height int `json:"height"`
}

func newBox(r image.Rectangle) *box { return &box{r.Min.X, r.Min.Y, r.Dx(), r.Dy()} }

// patchJudge judges by patches, and draws heat maps where there is a place for them.
type patchJudge struct {
	encoder *encoder.Encoder
	index.Conformal
	maps *heatmaps
}

func (j patchJudge) judge(ctx context.Context, items train.Dataset, alpha float64) ([]scored, error) {
	out := make([]scored, items.Len())
	for i, file := range items.IDs {
		out[i].File = file
		raw, err := os.ReadFile(file)
		if err == nil {
			out[i].verdict, err = j.one(ctx, file, raw, alpha)
			if err != nil && (ctx.Err() != nil || !errors.Is(err, encoder.ErrInput)) {
				return nil, err
			}
		}
		if err != nil {
			out[i].Error = err.Error()
		}
	}
	return out, nil
}

func (j patchJudge) one(ctx context.Context, file string, raw []byte, alpha float64) (*verdict, error) {
	h, err := j.encoder.Heat(ctx, raw)
	if err != nil {
		return nil, err
	}
	t, err := j.Threshold(alpha)
	if err != nil {
		return nil, err
	}
	p := j.PValue(h.Score)
	v := &verdict{IsAnomaly: p <= alpha, Score: h.Score, PValue: p, ClassPValue: p, Threshold: &t, Alpha: alpha, Box: newBox(h.Worst()), patchParts: &patchParts{h.Local, h.Whole}}
	if j.maps != nil {
		v.Heatmap, err = j.maps.draw(file, h)
	}
	return v, err
}
