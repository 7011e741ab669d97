package encoder

import (
	"fmt"
	"image"
	"slices"
	"strings"

	"golang.org/x/image/draw"
)

// Fit says how a picture of another size or aspect is brought to that of the features.
type Fit int

// Fits.
const (
	FitLetterbox Fit = iota // all of the picture, as large as fits, centred on black
	FitCrop                 // the middle of the picture, as much of it as has the frame's aspect: nothing is black
	FitTrim                 // what stands out from the ground that the border shows, as large as fits with an edge, centred on that ground
)

var fitNames = []string{"letterbox", "crop", "trim"}

// FitNames lists them for messages.
func FitNames() string {
	last := len(fitNames) - 1
	return strings.Join(fitNames[:last], ", ") + " or " + fitNames[last]
}

func (f Fit) String() string {
	if f < 0 || int(f) >= len(fitNames) {
		return fmt.Sprintf("Fit(%d)", int(f))
	}
	return fitNames[f]
}

// MarshalText writes the name.
func (f Fit) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads a name.
func (f *Fit) UnmarshalText(name []byte) error {
	i := slices.Index(fitNames, string(name))
	if i < 0 {
		return fmt.Errorf("%w: fit %q: use %s", ErrSpec, name, FitNames())
	}
	*f = Fit(i)
	return nil
}

// draw scales src onto all of dst, or as much of it as f says (Catmull-Rom).
func (f Fit) draw(dst draw.Image, src image.Image) {
	frame, b := dst.Bounds(), src.Bounds()
	if f == FitTrim {
		stanceOf(src).draw(dst, src)
		return
	}
	if b.Size() == frame.Size() {
		copyPixels(dst, src)
		return
	}
	if f == FitCrop {
		draw.CatmullRom.Scale(dst, frame, src, within(b, frame.Size()), draw.Over, nil)
		return
	}
	draw.CatmullRom.Scale(dst, within(frame, b.Size()), src, b, draw.Over, nil)
}

// copyPixels draws src onto dst, which has its size.
func copyPixels(dst draw.Image, src image.Image) {
	frame, b := dst.Bounds(), src.Bounds()
	to, toGrey := dst.(*image.Gray)
	from, fromGrey := src.(*image.Gray)
	if !toGrey || !fromGrey {
		draw.Draw(dst, frame, src, b.Min, draw.Over)
		return
	}
	for y := range b.Dy() {
		copy(to.Pix[y*to.Stride:][:b.Dx()], from.Pix[y*from.Stride:])
	}
}

// within returns the largest rectangle of an aspect in the middle of outer.
func within(outer image.Rectangle, aspect image.Point) image.Rectangle {
	w, h := outer.Dx(), outer.Dy()
	if aspect.X*h > aspect.Y*w { // wider than outer
		h = max(1, (aspect.Y*w+aspect.X/2)/aspect.X)
	} else {
		w = max(1, (aspect.X*h+aspect.Y/2)/aspect.Y)
	}
	x, y := outer.Min.X+(outer.Dx()-w)/2, outer.Min.Y+(outer.Dy()-h)/2
	return image.Rect(x, y, x+w, y+h)
}
