package encoder

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	_ "image/jpeg" // registers the format
	_ "image/png"  // registers the format

	"golang.org/x/image/draw"
)

// Limits of the pictures that are decoded: a small file can declare an enormous one, and scaling needs memory for each row and column.
const (
	MaxPixels    = 64 << 20
	MaxImageSide = 1 << 14
)

// imageDecoder decodes PNG, JPEG, and IDX blobs that hold one image. A picture of another size is scaled to fit the frame
// with its aspect kept (Catmull-Rom), centred on black; transparent pixels show black.
type imageDecoder struct {
	Preprocessing
	value []float32 // [channel·256 + v]
}

func (d *imageDecoder) Decode(raw []byte) (Features, error) {
	img, err := decodeImage(raw)
	if err != nil {
		return Features{}, err
	}
	f := Features{Data: make([]float32, d.Size.values()), Shape: []int{d.Size.Height, d.Size.Width, d.Size.Channels}}
	frame := image.Rect(0, 0, d.Size.Width, d.Size.Height)
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
			fit(grey, src)
		}
		for y := range d.Size.Height {
			row := grey.Pix[y*grey.Stride:][:d.Size.Width]
			for x, v := range row {
				f.Data[y*d.Size.Width+x] = d.value[v]
			}
		}
		return f, nil
	}
	rgb := image.NewRGBA(frame)
	draw.Draw(rgb, frame, image.NewUniform(color.Black), image.Point{}, draw.Src)
	fit(rgb, img)
	for i := range d.Size.Height * d.Size.Width {
		for c := range 3 {
			f.Data[3*i+c] = d.value[256*c+int(rgb.Pix[4*i+c])]
		}
	}
	return f, nil
}

// fit draws src onto dst as large as fits, centred.
func fit(dst draw.Image, src image.Image) {
	frame, b := dst.Bounds(), src.Bounds()
	if b.Size() == frame.Size() {
		draw.Draw(dst, frame, src, b.Min, draw.Over)
		return
	}
	w, h := frame.Dx(), frame.Dy()
	if b.Dx()*h > b.Dy()*w { // wider than the frame
		h = max(1, (b.Dy()*w+b.Dx()/2)/b.Dx())
	} else {
		w = max(1, (b.Dx()*h+b.Dy()/2)/b.Dy())
	}
	x, y := (frame.Dx()-w)/2, (frame.Dy()-h)/2
	draw.CatmullRom.Scale(dst, image.Rect(x, y, x+w, y+h), src, b, draw.Over, nil)
}

// idxImage is the magic of an IDX file of bytes in two dimensions.
var idxImage = []byte{0, 0, 8, 2}

func decodeImage(raw []byte) (image.Image, error) {
	if bytes.HasPrefix(raw, idxImage) {
		return decodeIDX(raw)
	}
	if _, err := probe(raw); err != nil {
		return nil, err
	}
	img, format, err := image.Decode(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("%w: a broken %s: %v", ErrInput, format, err)
	}
	return img, nil
}

// probe reads the header of a PNG or JPEG.
func probe(raw []byte) (image.Config, error) {
	if len(raw) == 0 {
		return image.Config{}, fmt.Errorf("%w: it is empty", ErrInput)
	}
	cfg, format, err := image.DecodeConfig(bytes.NewReader(raw))
	if err != nil {
		return cfg, fmt.Errorf("%w: %d bytes that are no PNG, JPEG or one-image IDX: %v", ErrInput, len(raw), err)
	}
	if format != "png" && format != "jpeg" { // another package of the program may have registered more
		return cfg, fmt.Errorf("%w: a %s: only PNG, JPEG and one-image IDX are; convert it", ErrInput, format)
	}
	return cfg, checkSize(format, int64(cfg.Height), int64(cfg.Width))
}

func checkSize(format string, h, w int64) error {
	if h < 1 || w < 1 || h > MaxImageSide || w > MaxImageSide || h*w > MaxPixels {
		return fmt.Errorf("%w: a %s of %d×%d pixels: each side must be 1 to %d, and all together at most %d; scale it", ErrInput, format, w, h, MaxImageSide, MaxPixels)
	}
	return nil
}

// decodeIDX reads 00 00 08 02, height and width as big-endian 32-bit numbers, and height × width grey pixels.
func decodeIDX(raw []byte) (image.Image, error) {
	const header = 12
	if len(raw) < header {
		return nil, fmt.Errorf("%w: an IDX image of %d bytes: the header alone has %d", ErrInput, len(raw), header)
	}
	h, w := int64(binary.BigEndian.Uint32(raw[4:])), int64(binary.BigEndian.Uint32(raw[8:]))
	if err := checkSize("one-image IDX", h, w); err != nil {
		return nil, err
	}
	if int64(len(raw)) != header+h*w {
		return nil, fmt.Errorf("%w: a one-image IDX of %d×%d pixels in %d bytes: it needs %d", ErrInput, w, h, len(raw), header+h*w)
	}
	return &image.Gray{Pix: raw[header:], Stride: int(w), Rect: image.Rect(0, 0, int(w), int(h))}, nil
}

// Probe returns the size of a picture without decoding its pixels: 1 channel where it is grey, else 3.
func Probe(raw []byte) (Size, error) {
	if bytes.HasPrefix(raw, idxImage) {
		img, err := decodeIDX(raw)
		if err != nil {
			return Size{}, err
		}
		return Size{Height: img.Bounds().Dy(), Width: img.Bounds().Dx(), Channels: 1}, nil
	}
	cfg, err := probe(raw)
	if err != nil {
		return Size{}, err
	}
	s := Size{Height: cfg.Height, Width: cfg.Width, Channels: 3}
	if cfg.ColorModel == color.GrayModel || cfg.ColorModel == color.Gray16Model {
		s.Channels = 1
	}
	return s, nil
}
