package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"strings"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/index"
)

// judge gives the verdict on a file at an alpha. An error that is the file's alone wraps encoder.ErrInput.
type judge func(ctx context.Context, file string, raw []byte, alpha float64) (*verdict, error)

// clusterJudge judges by the clusters of a collection.
func clusterJudge(e *encoder.Encoder, det *index.Detector) judge {
	return func(ctx context.Context, _ string, raw []byte, alpha float64) (*verdict, error) {
		v, err := e.Encode(ctx, raw)
		if err != nil {
			return nil, err
		}
		d, err := det.Verdict(ctx, v[0], alpha)
		if err != nil {
			return nil, err
		}
		return &verdict{IsAnomaly: d.Anomaly, Score: d.Score, PValue: d.PValue, ClassPValue: d.ClassPValue, Threshold: d.Threshold, Alpha: alpha, NearestClass: d.NearestClass}, nil
	}
}

// box is a rectangle in the pixels of a picture.
type box struct {
	X      int `json:"x"`
	Y      int `json:"y"`
	Width  int `json:"width"`
	Height int `json:"height"`
}

func newBox(r image.Rectangle) *box { return &box{r.Min.X, r.Min.Y, r.Dx(), r.Dy()} }

// patchJudge judges by patches, and draws heat maps into a folder, if that is not "".
type patchJudge struct {
	encoder *encoder.Encoder
	index.Conformal
	heatmaps string
	drawn    map[string]string // file of the map → of the picture
}

func (j patchJudge) judge(ctx context.Context, file string, raw []byte, alpha float64) (*verdict, error) {
	h, err := j.encoder.Heat(ctx, raw)
	if err != nil {
		return nil, err
	}
	t, err := j.Threshold(alpha)
	if err != nil {
		return nil, err
	}
	p := j.PValue(h.Score)
	v := &verdict{IsAnomaly: p <= alpha, Score: h.Score, PValue: p, ClassPValue: p, Threshold: t, Alpha: alpha, Box: newBox(h.Worst())}
	if j.heatmaps == "" {
		return v, nil
	}
	png, err := h.PNG()
	if err != nil {
		return nil, err
	}
	v.Heatmap = filepath.Join(j.heatmaps, mapName(file))
	if other, twice := j.drawn[v.Heatmap]; twice && other != file {
		return nil, fmt.Errorf("--heatmaps: %s and %s would both be drawn into %s: score them in two runs", other, file, v.Heatmap)
	}
	j.drawn[v.Heatmap] = file
	if err := os.MkdirAll(filepath.Dir(v.Heatmap), 0o755); err != nil {
		return nil, err
	}
	return v, encoder.WriteFileAtomic(v.Heatmap, png)
}

// mapName is the name of a file's heat map within their folder: the path as it was given, without what leads out of the folder.
func mapName(file string) string {
	clean := filepath.ToSlash(filepath.Clean(file))
	clean = strings.TrimLeft(strings.ReplaceAll(strings.TrimPrefix(clean, filepath.VolumeName(clean)), "../", ""), "/")
	return filepath.FromSlash(clean) + ".png"
}

// checkHeatmaps refuses heat maps that cannot be drawn.
func checkHeatmaps(dir string, e *encoder.Encoder) error {
	if dir == "" {
		return nil
	}
	if !e.HasPatches() {
		return errors.New("--heatmaps: the model has no patches: train it with akin train --patches")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("--heatmaps: %w", err)
	}
	return nil
}
