package encoder

import (
	"image"
	"image/color"
	"slices"

	"golang.org/x/image/draw"
	"golang.org/x/image/math/f64"
)

const (
	trimEdge  = 12 // the ground around what is trimmed, on each side: this part of the longer side
	trimFaint = 4  // stands out what differs from the ground by this part of what differs most
	trimLeast = 16 // of 255: below, a picture is blank

	// At most such shares of a drawing's pixels stand out, are of a tone between, and of its border stand out.
	drawnMost = 0.5
	drawnSoft = 0.05
	drawnTorn = 0.02
)

// stance is where what a picture shows stands on its ground.
type stance struct {
	ground color.Color     // the median of the picture's border by luminance
	box    image.Rectangle // the smallest around all that stands out; the whole of a blank picture
	ink    float64         // share of the pixels that stand out
	soft   float64         // share of those that are neither near the ground nor near what differs most
	torn   float64         // share of the border that stands out
}

// stanceOf finds the ground and what stands out from it.
func stanceOf(img image.Image) stance {
	b := img.Bounds()
	grey, ok := img.(*image.Gray)
	if !ok {
		grey = image.NewGray(b)
		draw.Draw(grey, b, img, b.Min, draw.Src)
	}
	s := stance{box: b}
	var border []image.Point
	for x := b.Min.X; x < b.Max.X; x++ {
		border = append(border, image.Pt(x, b.Min.Y), image.Pt(x, b.Max.Y-1))
	}
	for y := b.Min.Y; y < b.Max.Y; y++ {
		border = append(border, image.Pt(b.Min.X, y), image.Pt(b.Max.X-1, y))
	}
	slices.SortStableFunc(border, func(p, q image.Point) int { return int(grey.GrayAt(p.X, p.Y).Y) - int(grey.GrayAt(q.X, q.Y).Y) })
	middle := border[len(border)/2]
	s.ground = img.At(middle.X, middle.Y)
	ground, most := int(grey.GrayAt(middle.X, middle.Y).Y), 0
	var count [256]int // pixels by their distance from the ground
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for _, v := range grey.Pix[grey.PixOffset(b.Min.X, y):][:b.Dx()] {
			d := apart(int(v), ground)
			count[d]++
			most = max(most, d)
		}
	}
	if most < trimLeast {
		return s
	}
	faint := most / trimFaint
	for d, n := range count {
		if share := float64(n) / float64(b.Dx()*b.Dy()); d >= faint {
			s.ink += share
			if d <= most-faint {
				s.soft += share
			}
		}
	}
	for _, p := range border {
		if apart(int(grey.GrayAt(p.X, p.Y).Y), ground) >= faint {
			s.torn += 1 / float64(len(border))
		}
	}
	s.box = image.Rectangle{}
	for y := b.Min.Y; y < b.Max.Y; y++ {
		row := grey.Pix[grey.PixOffset(b.Min.X, y):][:b.Dx()]
		stands := func(v uint8) bool { return apart(int(v), ground) >= faint }
		first := slices.IndexFunc(row, stands)
		if first < 0 {
			continue
		}
		last := len(row) - 1
		for !stands(row[last]) {
			last--
		}
		s.box = s.box.Union(image.Rect(b.Min.X+first, y, b.Min.X+last+1, y+1))
	}
	return s
}

// IsDrawing reports whether a picture is of lines on a plain ground, as of ink on paper: two tones, the border all of one, and less than a
// half of the other. Where such a picture is cut off around says nothing of what is drawn.
func IsDrawing(raw []byte) (bool, error) {
	img, _, err := decodeImage(raw)
	if err != nil {
		return false, err
	}
	s := stanceOf(img)
	return s.ink > 0 && s.ink < drawnMost && s.soft < drawnSoft && s.torn < drawnTorn, nil
}

func apart(a, b int) int { return max(a-b, b-a) }

// draw scales the box onto the middle of dst, as large as fits with an edge, and fills the rest with the ground (Catmull-Rom).
func (s stance) draw(dst draw.Image, src image.Image) {
	frame := dst.Bounds()
	draw.Draw(dst, frame, image.NewUniform(s.ground), image.Point{}, draw.Src)
	edge := 1 + 2./trimEdge
	scale := min(float64(frame.Dx())/(edge*float64(s.box.Dx())), float64(frame.Dy())/(edge*float64(s.box.Dy())))
	around := s.box.Inset(-(max(s.box.Dx(), s.box.Dy())/trimEdge + 2)).Intersect(src.Bounds()) // so that the edge of a line is as soft as inside
	x := float64(frame.Min.X+frame.Max.X)/2 - scale*float64(s.box.Min.X+s.box.Max.X)/2
	y := float64(frame.Min.Y+frame.Max.Y)/2 - scale*float64(s.box.Min.Y+s.box.Max.Y)/2
	draw.CatmullRom.Transform(dst, f64.Aff3{scale, 0, x, 0, scale, y}, src, around, draw.Over, nil)
}
