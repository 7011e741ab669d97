package benchmarks

import (
	"encoding/xml"
	"errors"
	"image/color"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akin-search/akin/index"
)

// drawn is a report with something in every corner.
func drawn() Report {
	return Report{
		Dataset: "drawn", K: 10, Queries: 1000, Points: 60000, Dimension: 64, CPU: "avx512",
		Engines: []EngineReport{
			{Engine: index.EngineGraph, Quantization: "float32", Curve: []Point{{EF: 10, Recall: 0.85, QPS: 90000}, {EF: 64, Recall: 0.99, QPS: 30000}, {EF: 400, Recall: 1, QPS: 5000}}},
			{Engine: index.EngineCoder, Quantization: "float32", Curve: []Point{{EF: 10, Recall: 0.2, QPS: 9000}, {EF: 400, Recall: 0.5, QPS: 500}}},
			{Engine: index.EngineFlat, Quantization: "float32", Curve: []Point{{Recall: 1, QPS: 900}}},
		},
	}
}

// svgText returns the texts of an SVG, and fails when it is not well-formed XML.
func svgText(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	d := xml.NewDecoder(strings.NewReader(string(b)))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return text.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		if chars, ok := token.(xml.CharData); ok {
			text.Write(chars)
			text.WriteByte('\n')
		}
	}
}

func TestPlotSVG(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plot.svg")
	if err := drawn().WritePlot(path); err != nil {
		t.Fatal(err)
	}
	text := svgText(t, path)
	for _, want := range []string{"drawn: 60000 points × 64, cosine, k = 10", "recall@10", "queries a second", "graph (float32)", "coder (float32)", "flat (float32)", "\n0.99\n", "\n1000\n", "\n400\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %q", want, text)
		}
	}
	first, _ := os.ReadFile(path)
	if !strings.Contains(string(first), "'Liberation Sans',Arial,") {
		t.Error("the font has no substitute")
	}
	if err := drawn().WritePlot(path); err != nil {
		t.Fatal("over a file that is there:", err)
	}
	if again, _ := os.ReadFile(path); string(again) != string(first) {
		t.Error("the same report gave another picture")
	}
	onlyFile(t, path)
}

func TestPlotPNG(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plot.PNG")
	if err := drawn().WritePlot(path); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	picture, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	count := map[color.RGBA]int{}
	size := picture.Bounds()
	for y := size.Min.Y; y < size.Max.Y; y++ {
		for x := size.Min.X; x < size.Max.X; x++ {
			count[color.RGBAModel.Convert(picture.At(x, y)).(color.RGBA)]++
		}
	}
	if size.Dx() < 600 || size.Dy() < 400 || count[color.RGBA{R: 255, G: 255, B: 255, A: 255}] < size.Dx()*size.Dy()/2 {
		t.Errorf("a picture of %v with %d white pixels", size, count[color.RGBA{R: 255, G: 255, B: 255, A: 255}])
	}
	for i := range 3 {
		if n := count[lineStyles[i].color]; n < 20 {
			t.Errorf("engine %d has %d pixels of its colour", i, n)
		}
	}
	onlyFile(t, path)
}

// onlyFile fails when there is anything beside the file.
func onlyFile(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("%v, %v: want %s alone", entries, err, filepath.Base(path))
	}
}

func TestPlotOfOnePoint(t *testing.T) {
	r := drawn()
	r.Engines = r.Engines[2:]
	path := filepath.Join(t.TempDir(), "flat.svg")
	if err := r.WritePlot(path); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(path); strings.Contains(string(b), "NaN") || strings.Contains(string(b), "Inf") {
		t.Error("a coordinate is no number")
	}
}

func TestPlotRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "d.svg"), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"plot.pdf":                          ".svg or .png",
		"plot":                              ".svg or .png",
		filepath.Join(dir, "x", "plot.svg"): "there is no folder",
		filepath.Join(dir, "d.svg"):         "not a regular file",
	} {
		if err := CheckPlot(path); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
		if err := drawn().WritePlot(path); err == nil {
			t.Errorf("%s: written", path)
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("%v: something was left behind", entries)
	}
	for _, path := range []string{"plot.svg", filepath.Join(dir, "new.png")} {
		if err := CheckPlot(path); err != nil {
			t.Error(err)
		}
	}
}

func TestScales(t *testing.T) {
	s := recallScale{}
	if s.Normalize(0.2, 1, 0.2) != 0 || s.Normalize(0.2, 1, 1) != 1 {
		t.Error("the ends are not at 0 and 1")
	}
	last := math.Inf(-1)
	for r := 0.0; r <= 1; r += 0.001 {
		if x := s.Normalize(0, 1, r); x <= last {
			t.Fatalf("recall %v is not right of %v", r, r-0.001)
		} else {
			last = x
		}
	}
	var labels []string
	for _, tick := range qpsTicks(80, 2500) {
		labels = append(labels, tick.Label)
	}
	if got := strings.Join(labels, " "); got != "100 200 500 1000 2000" {
		t.Error(got)
	}
}
