package encoder

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"math"

	"golang.org/x/image/bmp"
	"golang.org/x/image/draw"
	"golang.org/x/image/tiff"
	"golang.org/x/image/webp"
)

// Limits of the pictures that are decoded: a small file can declare an enormous one, and scaling needs memory for each row and column.
const (
	MaxPixels    = 64 << 20
	MaxImageSide = 1 << 14
)

// FormatBytes is how much of a file Format looks at.
const FormatBytes = 16

// Formats names the formats of pictures that are decoded.
const Formats = "PNG, JPEG, GIF, BMP, TIFF, WebP or one-image IDX"

// format is a format of pictures. The program may have registered others with package image: those are not asked.
type format struct {
	name   string
	magic  string // first bytes; '?' stands for any
	config func(raw []byte) (image.Config, error)
	decode func(raw []byte) (image.Image, error)
	exif   func(raw []byte) []byte // finds the block of tags that says which way is up; nil where there is none
}

var formats = []format{
	{"PNG", "\x89PNG\r\n\x1a\n", from(png.DecodeConfig), from(png.Decode), pngEXIF},
	{"JPEG", "\xff\xd8", from(jpeg.DecodeConfig), from(jpeg.Decode), jpegEXIF},
	{"GIF", "GIF8?a", from(gif.DecodeConfig), from(gif.Decode), nil},
	{"BMP", "BM????\x00\x00\x00\x00", guarded(bmp.DecodeConfig), guarded(bmp.Decode), nil},
	{"TIFF", "II*\x00", guarded(tiff.DecodeConfig), guarded(tiff.Decode), whole},
	{"TIFF", "MM\x00*", guarded(tiff.DecodeConfig), guarded(tiff.Decode), whole},
	{"WebP", "RIFF????WEBPVP8", guarded(webp.DecodeConfig), guarded(decodeWebP), webpEXIF},
	{"one-image IDX", "\x00\x00\x08\x02", idxConfig, decodeIDX, nil}, // bytes in two dimensions
}

// Format names the format of a picture by its first bytes, FormatBytes of them or fewer where it has no more, and "" if it is none that is
// decoded.
func Format(raw []byte) string {
	f, _ := formatOf(raw)
	return f.name
}

func formatOf(raw []byte) (format, bool) {
next:
	for _, f := range formats {
		if len(raw) < len(f.magic) {
			continue
		}
		for i, want := range []byte(f.magic) {
			if want != '?' && want != raw[i] {
				continue next
			}
		}
		return f, true
	}
	return format{}, false
}

// OtherPicture names the format of a picture that is not decoded by its first bytes, FormatBytes of them or fewer, and "" where they are of
// none that is known.
func OtherPicture(raw []byte) string {
	for _, f := range []struct {
		at          int
		magic, name string
	}{
		{4, "ftyphei", "a HEIC"}, {4, "ftyphev", "a HEIC"}, {4, "ftypmif1", "a HEIF"}, {4, "ftypmsf1", "a HEIF"}, {4, "ftypavi", "an AVIF"}, {4, "ftypcrx ", "a CR3"},
		{0, "\x00\x00\x00\x0cJXL ", "a JPEG XL"}, {0, "\xff\x0a", "a JPEG XL"}, {0, "\x00\x00\x00\x0cjP  ", "a JPEG 2000"}, {0, "8BPS", "a PSD"},
		{0, "FUJIFILMCCD-RAW", "a RAF"}, {0, "<svg", "an SVG"}, {0, "%PDF-", "a PDF"},
	} {
		if len(raw) >= f.at && bytes.HasPrefix(raw[f.at:], []byte(f.magic)) {
			return f.name
		}
	}
	return ""
}

// Probe returns the size of a picture as it is seen upright, without decoding its pixels: 1 channel where it is grey, else 3.
func Probe(raw []byte) (Size, error) {
	f, cfg, err := probe(raw)
	if err != nil {
		return Size{}, err
	}
	s := Size{Height: cfg.Height, Width: cfg.Width, Channels: 3}
	if f.turn(raw).transposes() {
		s.Height, s.Width = s.Width, s.Height
	}
	if grey(cfg.ColorModel) {
		s.Channels = 1
	}
	return s, nil
}

// grey reports whether all colours of a model are grey.
func grey(m color.Model) bool {
	p, ok := m.(color.Palette)
	if !ok {
		return m == color.GrayModel || m == color.Gray16Model
	}
	for _, c := range p {
		if r, g, b, _ := c.RGBA(); r != g || g != b {
			return false
		}
	}
	return len(p) > 0 // a GIF may keep its palette for later
}

// decodeImage returns a picture as it is stored, and how it is to be turned.
func decodeImage(raw []byte) (image.Image, orientation, error) {
	f, cfg, err := probe(raw)
	if err != nil {
		return nil, upright, err
	}
	img, err := f.decode(raw)
	if err != nil {
		return nil, upright, fmt.Errorf("%w: a broken %s: %v", ErrInput, f.name, err)
	}
	if screen := image.Rect(0, 0, cfg.Width, cfg.Height); img.Bounds() != screen { // the first frame of a GIF need not fill it
		canvas := image.NewRGBA(screen)
		draw.Draw(canvas, img.Bounds(), img, img.Bounds().Min, draw.Src)
		img = canvas
	}
	return img, f.turn(raw), nil
}

// probe reads a picture's header and refuses sizes beyond the limits.
func probe(raw []byte) (format, image.Config, error) {
	if len(raw) == 0 {
		return format{}, image.Config{}, fmt.Errorf("%w: it is empty", ErrInput)
	}
	f, ok := formatOf(raw)
	if name := OtherPicture(raw); !ok && name != "" {
		return f, image.Config{}, fmt.Errorf("%w: %s, which is not decoded: convert it to JPEG or PNG", ErrInput, name)
	} else if !ok {
		return f, image.Config{}, fmt.Errorf("%w: %d bytes that are no %s: convert it", ErrInput, len(raw), Formats)
	}
	cfg, err := f.config(raw)
	if err != nil {
		return f, cfg, fmt.Errorf("%w: a %s with a broken or unknown header: %v", ErrInput, f.name, err)
	}
	if w, h := int64(cfg.Width), int64(cfg.Height); h < 1 || w < 1 || h > MaxImageSide || w > MaxImageSide || h*w > MaxPixels {
		return f, cfg, fmt.Errorf("%w: a %s of %d×%d pixels: each side must be 1 to %d, and all together at most %d; scale it", ErrInput, f.name, w, h, MaxImageSide, MaxPixels)
	}
	return f, cfg, nil
}

// turn returns how a picture is to be turned; upright where it does not say, or not understandably.
func (f format) turn(raw []byte) orientation {
	if f.exif == nil {
		return upright
	}
	return orientationOf(f.exif(raw))
}

// from lets a decoder of a stream read bytes.
func from[T any](read func(io.Reader) (T, error)) func([]byte) (T, error) {
	return func(raw []byte) (T, error) { return read(bytes.NewReader(raw)) }
}

// guarded is from for decoders of golang.org/x/image, and turns their panics into errors: those of TIFF and WebP have had such on broken
// files, and one picture must not end the server that it was sent to.
func guarded[T any](read func(io.Reader) (T, error)) func([]byte) (T, error) {
	return func(raw []byte) (v T, err error) {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("its decoder panicked: %v", p)
			}
		}()
		return read(bytes.NewReader(raw))
	}
}

// decodeWebP is webp.Decode with the light of lossy pictures in full range: there luma is 16 to 235 and chroma 16 to 240 (RFC 6386, section
// 9.2; ITU-R BT.601), which package color takes for the 0 to 255 of JPEG.
func decodeWebP(r io.Reader) (image.Image, error) {
	img, err := webp.Decode(r)
	switch p := img.(type) {
	case *image.YCbCr:
		fullRange(p)
	case *image.NYCbCrA:
		fullRange(&p.YCbCr)
	}
	return img, err
}

// fullRange stretches luma and chroma in place.
func fullRange(p *image.YCbCr) {
	var luma, chroma [256]uint8
	for v := range 256 {
		luma[v] = uint8(min(max(math.Round(float64(v-16)*255/219), 0), 255))
		chroma[v] = uint8(min(max(math.Round(128+float64(v-128)*255/224), 0), 255))
	}
	for i, v := range p.Y {
		p.Y[i] = luma[v]
	}
	for _, plane := range [][]uint8{p.Cb, p.Cr} {
		for i, v := range plane {
			plane[i] = chroma[v]
		}
	}
}

// An IDX of one image is 00 00 08 02, height and width as big-endian 32-bit numbers, and height × width grey pixels.
const idxHeader = 12

func idxConfig(raw []byte) (image.Config, error) {
	if len(raw) < idxHeader {
		return image.Config{}, fmt.Errorf("%d bytes: the header alone has %d", len(raw), idxHeader)
	}
	return image.Config{ColorModel: color.GrayModel, Height: int(binary.BigEndian.Uint32(raw[4:])), Width: int(binary.BigEndian.Uint32(raw[8:]))}, nil
}

// decodeIDX is called with a header that probe has checked. The pixels are those of raw.
func decodeIDX(raw []byte) (image.Image, error) {
	cfg, err := idxConfig(raw)
	if err != nil {
		return nil, err
	}
	if want := idxHeader + cfg.Height*cfg.Width; len(raw) != want {
		return nil, fmt.Errorf("%d×%d pixels in %d bytes: it needs %d", cfg.Width, cfg.Height, len(raw), want)
	}
	return &image.Gray{Pix: raw[idxHeader:], Stride: cfg.Width, Rect: image.Rect(0, 0, cfg.Width, cfg.Height)}, nil
}
