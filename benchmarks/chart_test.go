package benchmarks

import (
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestChart(t *testing.T) {
	c := Chart{Title: "a curve", XLabel: "labels", LogX: true, Panels: []Panel{
		{YLabel: "accuracy", Lines: []Line{
			{Name: "nearest", X: []float64{1, 5, 100}, Y: []float64{0.5, 0.8, 0.9}, Low: []float64{0.4, 0.7, 0.88}, High: []float64{0.7, 0.85, 0.91}},
			{Name: "probe", X: []float64{1, 5, 100}, Y: []float64{0.4, 0.82, 0.95}},
		}},
		{YLabel: "loss", Lines: []Line{{Name: "one point", X: []float64{5}, Y: []float64{2}}}},
	}}
	path := filepath.Join(t.TempDir(), "c.svg")
	if err := WriteChart(path, c); err != nil {
		t.Fatal(err)
	}
	text := svgText(t, path)
	for _, want := range []string{"a curve", "labels", "accuracy", "loss", "nearest", "probe", "\n1\n", "\n5\n", "\n100\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	c.LogX = false
	path = filepath.Join(t.TempDir(), "c.png")
	if err := WriteChart(path, c); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	count := map[color.Color]int{}
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			count[color.RGBAModel.Convert(img.At(x, y))]++
		}
	}
	for _, style := range lineStyles[:2] {
		if count[style.color] < 20 {
			t.Errorf("%d pixels of colour %v", count[style.color], style.color)
		}
	}
	if err := WriteChart(filepath.Join(t.TempDir(), "nowhere", "c.svg"), c); err == nil {
		t.Error("written into a folder that is not there")
	}
}
