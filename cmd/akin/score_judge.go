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
	"github.com/akin-search/akin/train"
)

// judge gives the verdicts on files at an alpha, in their order; one that cannot be read or decoded has its error in place of a verdict.
type judge func(ctx context.Context, files []string, alpha float64) ([]scored, error)

// clusterJudge judges by the clusters of a collection.
func clusterJudge(e *encoder.Encoder, det *index.Detector) judge {
	return func(ctx context.Context, files []string, alpha float64) ([]scored, error) {
		out, at := make([]scored, len(files)), map[string][]int{} // a file may be named twice
		d := train.Dataset{IDs: files, Files: files, Raw: make([][]byte, len(files)), Labels: make([]int, len(files))}
		for i, file := range files {
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
			for _, i := range at[kept.IDs[i]] {
				out[i].verdict = &verdict{IsAnomaly: d.Anomaly, Score: d.Score, PValue: d.PValue, ClassPValue: d.ClassPValue, Threshold: d.Threshold, Alpha: alpha, NearestClass: d.NearestClass}
			}
		}
		return out, nil
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

func (j patchJudge) judge(ctx context.Context, files []string, alpha float64) ([]scored, error) {
	out := make([]scored, len(files))
	for i, file := range files {
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
