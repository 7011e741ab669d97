package encoder

import (
	"fmt"
	"image"
	"image/color"

	"golang.org/x/image/draw"
)

// Pixels is an upright picture: Height × Width × Channels values of 0 to 255, channels last.
type Pixels struct {
	Size
	Pix []uint8
}

// DecodePixels decodes a picture of any of Formats, brings it upright and to 1 channel (grey) or 3, and scales it to the size that fit
// returns for its own (Catmull-Rom). An error of raw wraps ErrInput. fit must return sides of 1 to MaxImageSide.
func DecodePixels(raw []byte, channels int, fit func(Size) Size) (px Pixels, own Size, err error) {
	img, turn, err := decodeImage(raw)
	if err != nil {
		return px, own, err
	}
	own = Size{Height: img.Bounds().Dy(), Width: img.Bounds().Dx(), Channels: channels}
	if turn.transposes() {
		own.Height, own.Width = own.Width, own.Height
	}
	to := fit(own)
	if to.Channels = channels; to.Height < 1 || to.Width < 1 || to.Height > MaxImageSide || to.Width > MaxImageSide || channels != 1 && channels != 3 {
		return px, own, fmt.Errorf("%w: a picture of %d×%d pixels and %d channels: each side must be 1 to %d, channels 1 or 3", ErrSpec, to.Width, to.Height, channels, MaxImageSide)
	}
	return render(img, turn, to, func(dst draw.Image, src image.Image) {
		if src.Bounds().Size() == dst.Bounds().Size() {
			copyPixels(dst, src)
			return
		}
		draw.CatmullRom.Scale(dst, dst.Bounds(), src, src.Bounds(), draw.Over, nil)
	}), own, nil
}

// render draws a picture into a black frame that is s once it is turned upright.
func render(img image.Image, turn orientation, s Size, scale func(dst draw.Image, src image.Image)) Pixels {
	px := Pixels{s, make([]uint8, s.values())}
	frame := image.Rect(0, 0, s.Width, s.Height)
	if turn.transposes() { // scaled as it lies, and turned when it is small
		frame = image.Rect(0, 0, s.Height, s.Width)
	}
	if s.Channels == 1 {
		b := img.Bounds()
		src, ok := img.(*image.Gray)
		if !ok {
			src = image.NewGray(b) // grey before scaling: one channel to scale
			draw.Draw(src, b, img, b.Min, draw.Src)
		}
		grey := image.NewGray(frame)
		scale(grey, src)
		for y := range s.Height {
			at, step := turn.row(y, s, grey.Stride, 1)
			row := px.Pix[y*s.Width:][:s.Width]
			for x := range row {
				row[x] = grey.Pix[at]
				at += step
			}
		}
		return px
	}
	rgb := image.NewRGBA(frame)
	draw.Draw(rgb, frame, image.NewUniform(color.Black), image.Point{}, draw.Src)
	scale(rgb, img)
	for y := range s.Height {
		at, step := turn.row(y, s, rgb.Stride, 4)
		row := px.Pix[3*y*s.Width:][:3*s.Width]
		for x := 0; x < len(row); x += 3 {
			copy(row[x:x+3], rgb.Pix[at:at+3])
			at += step
		}
	}
	return px
}
