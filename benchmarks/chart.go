package benchmarks

import (
	"fmt"
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Chart is a picture of panels, one above the other, over the same X.
type Chart struct {
	Title, XLabel string
	LogX          bool // X above 0, equal steps for equal factors, and a tick at each value
	Panels        []Panel
}

// Panel is lines over one Y axis. Where there is one line alone, YLabel names it.
type Panel struct {
	YLabel string
	Lines  []Line
}

// Line is a curve with a mark at each point; with Low and High, a bar from the one to the other as well. All lists are of one length, and
// all numbers finite.
type Line struct {
	Name            string
	X, Y, Low, High []float64

	Marks bool // no curve between the marks
}

// WriteChart draws a chart with at least one point in each panel, as SVG or PNG by the extension of path. The file appears whole or not
// at all.
func WriteChart(path string, c Chart) error {
	rows := make([][]*plot.Plot, len(c.Panels))
	for i := range c.Panels {
		p, err := c.panel(i)
		if err != nil {
			return err
		}
		rows[i] = []*plot.Plot{p}
	}
	height := vg.Length(max(5.5, 2.5*float64(len(rows)))) * vg.Inch
	return writePicture(path, plotWidth, height, func(dc draw.Canvas) {
		tiles := draw.Tiles{Rows: len(rows), Cols: 1, PadY: vg.Points(6), PadTop: vg.Points(4), PadBottom: vg.Points(4), PadLeft: vg.Points(4), PadRight: vg.Points(8)}
		dc.SetColor(color.White)
		dc.Fill(dc.Rectangle.Path())
		for i, canvas := range plot.Align(rows, tiles, dc) {
			rows[i][0].Draw(canvas[0])
		}
	})
}

func (c Chart) panel(i int) (*plot.Plot, error) {
	p := plot.New()
	p.BackgroundColor = color.White
	if i == 0 {
		p.Title.Text, p.Title.TextStyle.Font, p.Title.Padding = c.Title, sans(13), vg.Points(8)
	}
	if i == len(c.Panels)-1 {
		p.X.Label.Text = c.XLabel
	}
	p.Y.Label.Text = c.Panels[i].YLabel
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Label.TextStyle.Font, a.Label.Padding, a.Tick.Label.Font = sans(12), vg.Points(4), sans(10)
	}
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = lightGray, lightGray
	p.Add(grid)

	low, high := math.Inf(1), math.Inf(-1)
	for j, l := range c.Panels[i].Lines {
		if err := l.add(p, j, len(c.Panels[i].Lines) > 1); err != nil {
			return nil, err
		}
		for _, values := range [][]float64{l.Y, l.Low, l.High} {
			for _, v := range values {
				low, high = min(low, v), max(high, v)
			}
		}
	}
	room := max(0.05*(high-low), 1e-3*max(math.Abs(high), 1e-3))
	p.Y.Min, p.Y.Max = low-room, high+room
	left, right := c.span()
	room = max(0.02*(right-left), 0.1)
	p.X.Min, p.X.Max = left-room, right+room
	if c.LogX {
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.ConstantTicks(c.ticks())
		p.X.Min, p.X.Max = left/1.2, right*1.2
	}
	p.Legend.TextStyle.Font, p.Legend.Padding = sans(11), vg.Points(3)
	p.Legend.XOffs, p.Legend.YOffs = -vg.Points(10), vg.Points(6)
	return p, nil
}

// span returns the least and the greatest X of all panels.
func (c Chart) span() (left, right float64) {
	left, right = math.Inf(1), math.Inf(-1)
	for _, panel := range c.Panels {
		for _, l := range panel.Lines {
			left, right = min(left, slices.Min(l.X)), max(right, slices.Max(l.X))
		}
	}
	return left, right
}

// ticks names every X once.
func (c Chart) ticks() (ticks []plot.Tick) {
	seen := map[float64]bool{}
	for _, panel := range c.Panels {
		for _, l := range panel.Lines {
			for _, x := range l.X {
				if !seen[x] {
					seen[x], ticks = true, append(ticks, plot.Tick{Value: x, Label: fmt.Sprint(x)})
				}
			}
		}
	}
	return ticks
}

// add draws the line in the style of the given place, and names it where there is to be a legend.
func (l Line) add(p *plot.Plot, place int, legend bool) error {
	style := lineStyles[place%len(lineStyles)]
	points := make(plotter.XYs, len(l.X))
	for i, x := range l.X {
		points[i] = plotter.XY{X: x, Y: l.Y[i]}
	}
	line, dots, err := plotter.NewLinePoints(points)
	if err != nil {
		return err
	}
	line.Color, line.Width = style.color, vg.Points(1.5)
	dots.Color, dots.Shape, dots.Radius = style.color, style.shape, vg.Points(3)
	thumbnails := []plot.Thumbnailer{dots}
	if !l.Marks {
		p.Add(line)
		thumbnails = append(thumbnails, line)
	}
	p.Add(dots)
	if legend {
		p.Legend.Add(l.Name, thumbnails...)
	}
	if l.Low == nil {
		return nil
	}
	around := make(plotter.YErrors, len(l.X))
	for i := range l.X {
		around[i].Low, around[i].High = l.Y[i]-l.Low[i], l.High[i]-l.Y[i]
	}
	bars, err := plotter.NewYErrorBars(struct {
		plotter.XYs
		plotter.YErrors
	}{points, around})
	if err != nil {
		return err
	}
	bars.Color = style.color
	p.Add(bars)
	return nil
}
