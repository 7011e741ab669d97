package encoder

import (
	"image"
	"image/color"

	"golang.org/x/image/draw"
)

// imageDecoder decodes pictures of the formats that Format names, brings them upright and to the size of the features. Transparent pixels
// show black; of 16 bits a channel the upper eight count; a GIF shows its first frame, a TIFF its first page.
type imageDecoder struct {
	Preprocessing
	value []float32 // [channel·256 + v]
}

func (d *imageDecoder) Decode(raw []byte) (Features, error) {
	img, turn, err := decodeImage(raw)
	if err != nil {
		return Features{}, err
	}
	f := Features{Data: make([]float32, d.Size.values()), Shape: []int{d.Size.Height, d.Size.Width, d.Size.Channels}}
	frame := image.Rect(0, 0, d.Size.Width, d.Size.Height)
	if turn.transposes() { // scaled as it lies, and turned when it is small
		frame = image.Rect(0, 0, d.Size.Height, d.Size.Width)
	}
	b := img.Bounds()
	if d.Size.Channels == 1 {
		grey, ok := img.(*image.Gray)
		if !ok || b.Size() != frame.Size() {
			src := img
			if !ok {
				flat := image.NewGray(b) // grey before scaling: one channel to scale
				draw.Draw(flat, b, img, b.Min, draw.Src)
				src = flat
			}
			grey = image.NewGray(frame)
			d.Fit.draw(grey, src)
		}
		for y := range d.Size.Height {
			at, step := turn.row(y, d.Size, grey.Stride, 1)
			row := f.Data[y*d.Size.Width:][:d.Size.Width]
			for x := range row {
				row[x] = d.value[grey.Pix[at]]
				at += step
			}
		}
		return f, nil
	}
	rgb := image.NewRGBA(frame)
	draw.Draw(rgb, frame, image.NewUniform(color.Black), image.Point{}, draw.Src)
	d.Fit.draw(rgb, img)
	for y := range d.Size.Height {
		at, step := turn.row(y, d.Size, rgb.Stride, 4)
		row := f.Data[3*y*d.Size.Width:][:3*d.Size.Width]
		for x := 0; x < len(row); x += 3 {
			for c := range 3 {
				row[x+c] = d.value[256*c+int(rgb.Pix[at+c])]
			}
			at += step
		}
	}
	return f, nil
}
