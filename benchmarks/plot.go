package benchmarks

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	_ "gonum.org/v1/plot/vg/vgimg" // PNG
	_ "gonum.org/v1/plot/vg/vgsvg" // SVG
)

const (
	plotWidth  = 8 * vg.Inch
	plotHeight = 5.5 * vg.Inch
)

// CheckPlot refuses a path that WritePlot could not write to, so that nobody measures for minutes and then gets no picture.
func CheckPlot(path string) error {
	if _, err := plotFormat(path); err != nil {
		return err
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("plot %q: %w: not a regular file", path, ErrInvalid)
	}
	dir := filepath.Dir(path)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return fmt.Errorf("plot %q: %w: there is no folder %q", path, ErrInvalid, dir)
	}
	return nil
}

func plotFormat(path string) (string, error) {
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".svg", ".png":
		return ext[1:], nil
	}
	return "", fmt.Errorf("plot %q: %w: use a name that ends in .svg or .png", path, ErrInvalid)
}

// WritePlot draws recall against QPS, one line an engine, as SVG or PNG by the extension of path.
func (r Report) WritePlot(path string) error {
	p, err := r.plot()
	if err != nil {
		return err
	}
	return writePicture(path, plotWidth, plotHeight, p.Draw)
}

// writePicture writes what is drawn as SVG or PNG by the extension of path. The file appears whole or not at all.
func writePicture(path string, width, height vg.Length, paint func(draw.Canvas)) error {
	format, err := plotFormat(path)
	if err != nil {
		return err
	}
	canvas, err := draw.NewFormattedCanvas(width, height, format)
	if err != nil {
		return err
	}
	paint(draw.New(canvas))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return err
	}
	// An SVG names its font. Where it is missing, one of the same widths keeps labels off their neighbours.
	content := bytes.ReplaceAll(b.Bytes(), []byte("font-family:Liberation Sans;"), []byte("font-family:'Liberation Sans',Arial,Helvetica,sans-serif;"))
	part := path + ".part"
	err = os.WriteFile(part, content, 0o644)
	if err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		os.Remove(part) // as far as possible: the first error says more
	}
	return err
}

// lineStyles tell lines apart by colour and by shape (colours of Okabe and Ito, distinct for the colour-blind too).
var lineStyles = []struct {
	color color.RGBA
	shape draw.GlyphDrawer
}{
	{color.RGBA{R: 0x00, G: 0x72, B: 0xb2, A: 0xff}, draw.CircleGlyph{}},
	{color.RGBA{R: 0xd5, G: 0x5e, B: 0x00, A: 0xff}, draw.BoxGlyph{}},
	{color.RGBA{R: 0x00, G: 0x9e, B: 0x73, A: 0xff}, draw.PyramidGlyph{}},
	{color.RGBA{R: 0xcc, G: 0x79, B: 0xa7, A: 0xff}, draw.CrossGlyph{}},
	{color.RGBA{R: 0xe6, G: 0x9f, B: 0x00, A: 0xff}, draw.RingGlyph{}},
	{color.RGBA{R: 0x56, G: 0xb4, B: 0xe9, A: 0xff}, draw.SquareGlyph{}},
	{color.RGBA{R: 0x00, G: 0x00, B: 0x00, A: 0xff}, draw.TriangleGlyph{}},
}

var (
	gray      = color.Gray{Y: 0x60}
	lightGray = color.Gray{Y: 0xe0}
)

func (r Report) plot() (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("%s\n%d queries, one thread, %s; numbers at points: ef", r.title(), r.Queries, r.CPU)
	p.Title.TextStyle.Font = sans(13)
	p.Title.Padding = vg.Points(8)
	p.BackgroundColor = color.White

	p.X.Label.Text = fmt.Sprintf("recall@%d (finer towards 1)", r.K)
	p.X.Scale, p.X.Tick.Marker = recallScale{}, recallScale{}
	p.Y.Label.Text = "queries a second (log)"
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.TickerFunc(qpsTicks)
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Label.TextStyle.Font = sans(12)
		a.Label.Padding = vg.Points(4)
		a.Tick.Label.Font = sans(10)
	}
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = lightGray, lightGray
	p.Add(grid)

	low, high, worst := math.Inf(1), 0.0, 1.0
	for _, e := range r.Engines {
		for _, m := range e.Curve {
			low, high, worst = min(low, m.QPS), max(high, m.QPS), min(worst, m.Recall)
		}
	}
	p.X.Min, p.X.Max = min(math.Floor(worst*10)/10, 0.9), 1
	roomForLegend := 0.05 * float64(len(r.Engines)) // of the height
	p.Y.Min, p.Y.Max = low/1.6, high*1.6*math.Pow(high/low, roomForLegend)

	for i, e := range r.Engines {
		style := lineStyles[i%len(lineStyles)]
		points := make(plotter.XYs, len(e.Curve))
		for j, m := range e.Curve {
			points[j] = plotter.XY{X: m.Recall, Y: m.QPS}
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, err
		}
		line.Color, line.Width = style.color, vg.Points(1.5)
		dots.Color, dots.Shape, dots.Radius = style.color, style.shape, vg.Points(3.5)
		labels, err := plotter.NewLabels(plotter.XYLabels{XYs: points, Labels: efLabels(p, e.Curve)})
		if err != nil {
			return nil, err
		}
		for j := range labels.TextStyle {
			labels.TextStyle[j].Font, labels.TextStyle[j].Color = sans(8), gray
		}
		labels.Offset = vg.Point{X: vg.Points(5), Y: vg.Points(3)}
		p.Add(line, dots, labels)
		p.Legend.Add(fmt.Sprintf("%s (%s)", e.Engine, e.Quantization), line, dots)
	}
	p.Legend.Top = true
	p.Legend.TextStyle.Font = sans(11)
	p.Legend.Padding = vg.Points(3)
	p.Legend.XOffs, p.Legend.YOffs = -vg.Points(10), -vg.Points(6)
	return p, nil
}

func sans(size font.Length) font.Font {
	return font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
}

// efLabels names the ef of points, but for those so close to the last named one that the numbers would overlap.
func efLabels(p *plot.Plot, curve []Point) []string {
	const apart = 0.035 // of the width or height of the plot
	labels := make([]string, len(curve))
	lastX, lastY := math.Inf(-1), math.Inf(-1)
	for i, m := range curve {
		x, y := p.X.Norm(m.Recall), p.Y.Norm(m.QPS)
		if m.EF > 0 && max(math.Abs(x-lastX), math.Abs(y-lastY)) >= apart {
			labels[i], lastX, lastY = fmt.Sprint(m.EF), x, y
		}
	}
	return labels
}

// recallScale is −log(1−recall), where each nine of recall would take the same room, softened so that 1 is not infinitely far.
type recallScale struct{}

func (recallScale) at(recall float64) float64 { return -math.Log(1 + 0.002 - recall) }

// Normalize implements plot.Normalizer.
func (s recallScale) Normalize(min, max, x float64) float64 {
	return (s.at(x) - s.at(min)) / (s.at(max) - s.at(min))
}

// Ticks implements plot.Ticker.
func (recallScale) Ticks(min, max float64) []plot.Tick {
	var ticks []plot.Tick
	for _, v := range []float64{0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1} {
		if v >= min && v <= max {
			ticks = append(ticks, plot.Tick{Value: v, Label: fmt.Sprint(v)})
		}
	}
	return ticks
}

// qpsTicks names 1, 2 and 5 of every decade.
func qpsTicks(min, max float64) []plot.Tick {
	var ticks []plot.Tick
	for decade := math.Pow(10, math.Floor(math.Log10(min))); decade <= max; decade *= 10 {
		for _, m := range []float64{1, 2, 5} {
			if v := m * decade; v >= min && v <= max {
				ticks = append(ticks, plot.Tick{Value: v, Label: fmt.Sprintf("%.0f", v)})
			}
		}
	}
	return ticks
}
