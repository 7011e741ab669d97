package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/akin-search/akin/encoder"
)

// heatmaps is a folder that they are drawn into.
type heatmaps struct {
	dir   string
	drawn map[string]string // file of the map → of the picture
}

// newHeatmaps returns nil where dir is "", and refuses heat maps that cannot be drawn.
func newHeatmaps(dir string, e *encoder.Encoder) (*heatmaps, error) {
	if dir == "" {
		return nil, nil
	}
	if m := e.Model().Preprocessing.Modality; m != encoder.ModalityImage {
		return nil, fmt.Errorf("--heatmaps: they are drawn of pictures, and the model is of modality %q: leave it out", m)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("--heatmaps: %w", err)
	}
	return &heatmaps{dir, map[string]string{}}, nil
}

// draw writes the heat map of a file, and returns where it is.
func (m *heatmaps) draw(file string, h *encoder.Heat) (string, error) {
	png, err := h.PNG()
	if err != nil {
		return "", err
	}
	to := filepath.Join(m.dir, mapName(file))
	if other, twice := m.drawn[to]; twice && other != file {
		return "", fmt.Errorf("--heatmaps: %s and %s would both be drawn into %s: score them in two runs", other, file, to)
	}
	m.drawn[to] = file
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return "", err
	}
	return to, encoder.WriteFileAtomic(to, png)
}

// mapName is the name of a file's heat map within their folder: the path as it was given, without what leads out of the folder.
func mapName(file string) string {
	clean := filepath.ToSlash(filepath.Clean(file))
	clean = strings.TrimLeft(strings.ReplaceAll(strings.TrimPrefix(clean, filepath.VolumeName(clean)), "../", ""), "/")
	return filepath.FromSlash(clean) + ".png"
}
