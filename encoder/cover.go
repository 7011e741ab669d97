package encoder

import (
	"context"
	"fmt"
	"image"
	"math"
	"slices"
)

// Cover is a picture with one place after another covered: what the rest looks like tells what the place did.
//
//	picture ──fit──► network's input ──cover a place──► embedding of the rest ──judge──► score ──Heat──► heat map
type Cover struct {
	Vectors [][]float32 // embeddings, of the places row by row
	heat    Heat        // without values
}

const (
	coverPlaces = 8 // along the longer side of a picture
	coverSides  = 4 // a place is so many times in the longer side
)

// Cover covers one place after another of a picture, squares of a quarter of its longer side that overlap by half, with what its border shows
// (the median), and embeds what is left (Zeiler and Fergus 2014, "Visualizing and understanding convolutional networks", section 4.2). The error
// of a picture that cannot be decoded, or of a model that is not of pictures, wraps ErrInput.
func (e *Encoder) Cover(ctx context.Context, raw []byte) (*Cover, error) {
	d, ok := e.decoder.(*imageDecoder)
	if !ok {
		return nil, fmt.Errorf("%w: places are covered in pictures, and the model is of modality %q", ErrInput, e.model.Preprocessing.Modality)
	}
	own, err := Probe(raw)
	if err != nil {
		return nil, err
	}
	f, err := d.Decode(raw)
	if err != nil {
		return nil, err
	}
	shown, seen, cut := d.Fit.place(own, d.Size)
	fill := borderOf(f, shown)
	at := coverMiddles(shown)
	xs, ys := at[0], at[1]
	side := max(1, (max(shown.Dx(), shown.Dy())+coverSides/2)/coverSides)
	c := &Cover{heat: Heat{Size: Size{Height: own.Height, Width: own.Width, Channels: d.Size.Channels}, seen: seen}}
	for _, x := range xs {
		c.heat.Xs = append(c.heat.Xs, x-shown.Min.X+cut.X)
	}
	for _, y := range ys {
		c.heat.Ys = append(c.heat.Ys, y-shown.Min.Y+cut.Y)
	}
	c.heat.half = max(1, side/4)
	c.Vectors, err = e.encode(ctx, len(xs)*len(ys), func(i int) (Features, error) {
		left := Features{Data: slices.Clone(f.Data), Shape: f.Shape}
		x, y := xs[i%len(xs)]-side/2, ys[i/len(xs)]-side/2
		place := image.Rect(x, y, x+side, y+side).Intersect(shown)
		for y := place.Min.Y; y < place.Max.Y; y++ {
			for x := place.Min.X; x < place.Max.X; x++ {
				copy(left.Data[(y*d.Size.Width+x)*d.Size.Channels:], fill)
			}
		}
		return left, nil
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Heat draws scores: that of the whole picture, and those without the places in the order of Vectors, higher for what is less normal. The heat of a
// place is how much of the score goes with it, from -1 where nothing does to 1 where the most does.
func (c *Cover) Heat(whole float64, without []float64) *Heat {
	h := c.heat
	h.Score, h.Values = whole, make([]float32, len(c.Vectors))
	var most float64
	for _, s := range without {
		most = max(most, whole-s)
	}
	for i := range h.Values {
		h.Values[i] = -1
		if gone := whole - without[i]; gone > 0 {
			h.Values[i] = float32(2*gone/most - 1)
		}
	}
	return &h
}

// place returns where in a frame a picture of size own shows, the size in the frame's pixels of all of the picture, and how much of that is cut off
// at the left and at the top.
func (f Fit) place(own, frame Size) (shown image.Rectangle, all Size, cut image.Point) {
	in, of := image.Rect(0, 0, frame.Width, frame.Height), image.Rect(0, 0, own.Width, own.Height)
	if f == FitCrop && of.Size() != in.Size() {
		kept := within(of, in.Size())
		scaled := func(n, frame, kept int) int { return int(math.Round(float64(n) * float64(frame) / float64(kept))) }
		all = Size{Height: scaled(own.Height, frame.Height, kept.Dy()), Width: scaled(own.Width, frame.Width, kept.Dx())}
		return in, all, image.Pt(scaled(kept.Min.X, frame.Width, kept.Dx()), scaled(kept.Min.Y, frame.Height, kept.Dy()))
	}
	shown = within(in, of.Size())
	return shown, Size{Height: shown.Dy(), Width: shown.Dx()}, image.Point{}
}

// coverMiddles returns the middles of the places in a picture, along x and along y: coverPlaces along the longer side.
func coverMiddles(shown image.Rectangle) (at [2][]int) {
	longer := max(shown.Dx(), shown.Dy())
	for axis, side := range [2][2]int{{shown.Min.X, shown.Dx()}, {shown.Min.Y, shown.Dy()}} {
		n := min(side[1], (coverPlaces*side[1]+longer-1)/longer)
		for i := range n {
			at[axis] = append(at[axis], side[0]+(2*i+1)*side[1]/(2*n))
		}
	}
	return at
}

// borderOf returns the median at the border of what shows, a value a channel.
func borderOf(f Features, shown image.Rectangle) []float32 {
	w, c := f.Shape[1], f.Shape[2]
	values := make([][]float32, c)
	for y := shown.Min.Y; y < shown.Max.Y; y++ {
		step := max(1, shown.Dx()-1)
		if y == shown.Min.Y || y == shown.Max.Y-1 {
			step = 1
		}
		for x := shown.Min.X; x < shown.Max.X; x += step {
			for ch := range values {
				values[ch] = append(values[ch], f.Data[(y*w+x)*c+ch])
			}
		}
	}
	out := make([]float32, c)
	for ch, v := range values {
		slices.Sort(v)
		out[ch] = v[len(v)/2]
	}
	return out
}
