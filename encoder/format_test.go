package encoder

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"slices"
	"strings"
	"testing"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
)

// bitWriter writes the lowest bits first, as WebP does.
type bitWriter struct {
	bytes []byte
	n     int
}

func (w *bitWriter) write(value, bits int) {
	for i := range bits {
		if w.n%8 == 0 {
			w.bytes = append(w.bytes, 0)
		}
		w.bytes[w.n/8] |= byte(value>>i&1) << (w.n % 8)
		w.n++
	}
}

// webpOf encodes a picture of two colours, that of (0,0) and another, without loss: each channel has a code of one or two symbols
// (RFC 9649, section 3). exif may be nil.
func webpOf(t testing.TB, img image.Image, exif []byte) []byte {
	t.Helper()
	b := img.Bounds()
	at := func(x, y int) [4]byte {
		c := color.NRGBAModel.Convert(img.At(b.Min.X+x, b.Min.Y+y)).(color.NRGBA)
		return [4]byte{c.G, c.R, c.B, c.A} // the order of the codes
	}
	low, high := at(0, 0), at(0, 0)
	for y := range b.Dy() {
		for x := range b.Dx() {
			if c := at(x, y); c != low {
				high = c
			}
		}
	}
	var w bitWriter
	w.write(0x2f, 8)
	w.write(b.Dx()-1, 14)
	w.write(b.Dy()-1, 14)
	w.write(1, 1)     // alpha is used
	w.write(0, 3+1+2) // version, no transform, no colour cache, one group of codes
	code := func(symbols ...byte) {
		w.write(1, 1) // simple
		w.write(len(symbols)-1, 1)
		w.write(1, 1) // the first symbol has eight bits
		for _, s := range symbols {
			w.write(int(s), 8)
		}
	}
	for ch := range 4 {
		if low[ch] == high[ch] {
			code(low[ch])
		} else {
			code(min(low[ch], high[ch]), max(low[ch], high[ch])) // codes go by value
		}
	}
	code(0) // of distances
	for y := range b.Dy() {
		for x := range b.Dx() {
			c := at(x, y)
			for ch := range 4 {
				if low[ch] == high[ch] {
					continue
				}
				if c[ch] != low[ch] && c[ch] != high[ch] {
					t.Fatalf("a third colour at %d,%d", x, y)
				}
				bit := 0
				if c[ch] == max(low[ch], high[ch]) {
					bit = 1
				}
				w.write(bit, 1)
			}
		}
	}
	var body []byte
	chunk := func(id string, data []byte) {
		body = binary.LittleEndian.AppendUint32(append(body, id...), uint32(len(data)))
		if body = append(body, data...); len(data)%2 == 1 {
			body = append(body, 0)
		}
	}
	if exif != nil {
		extended := make([]byte, 10)
		extended[0] = 1 << 3 // there is Exif
		extended[4], extended[7] = byte(b.Dx()-1), byte(b.Dy()-1)
		chunk("VP8X", extended)
	}
	chunk("VP8L", w.bytes)
	if exif != nil {
		chunk("EXIF", exif)
	}
	return append(append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body)+4)), "WEBP"...), body...)
}

// encoded returns what an encoder writes.
func encoded(t testing.TB, encode func(w io.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// gifOf encodes a picture in its own colours.
func gifOf(t testing.TB, img image.Image) []byte {
	t.Helper()
	b := img.Bounds()
	frame := image.NewPaletted(b, nil)
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			c := color.RGBAModel.Convert(img.At(x, y))
			if !slices.Contains(frame.Palette, c) {
				frame.Palette = append(frame.Palette, c)
			}
			frame.Set(x, y, c)
		}
	}
	return encoded(t, func(w io.Writer) error { return gif.Encode(w, frame, nil) })
}

// inEach encodes a picture of two colours in every format that keeps each pixel.
func inEach(t *testing.T, img image.Image) map[string][]byte {
	t.Helper()
	return map[string][]byte{
		"PNG": encoded(t, func(w io.Writer) error { return png.Encode(w, img) }),
		"GIF": gifOf(t, img),
		"BMP": encoded(t, func(w io.Writer) error { return bmp.Encode(w, img) }),
		"TIFF": encoded(t, func(w io.Writer) error {
			return tiff.Encode(w, img, &tiff.Options{Compression: tiff.Deflate, Predictor: true})
		}),
		"WebP": webpOf(t, img, nil),
	}
}

// fox is an orange picture with white in its upper left part: no two of its eight orientations are alike.
func fox(w, h int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.Set(x, y, color.RGBA{255, 102, 0, 255})
			if x < w/2 && y < h/3 {
				img.Set(x, y, color.White)
			}
		}
	}
	return img
}

// TestFormats: the same pixels give the same features in every format, grey and in colour.
func TestFormats(t *testing.T) {
	colour, grey := fox(12, 15), image.NewGray(image.Rect(0, 0, 12, 15))
	for i := range grey.Pix {
		grey.Pix[i] = 51 * byte(i/7%2)
	}
	for _, img := range []image.Image{colour, grey} {
		for _, channels := range []int{1, 3} {
			d := decoderOf(t, Size{15, 12, channels})
			want, err := d.Decode(pngOf(t, img))
			if err != nil {
				t.Fatal(err)
			}
			for name, raw := range inEach(t, img) {
				got, err := d.Decode(raw)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if !equal(got.Data, want.Data) {
					t.Errorf("%d channels: %s has other features than PNG", channels, name)
				}
				if f := Format(raw[:FormatBytes]); f != name {
					t.Errorf("%s is taken for %q", name, f)
				}
			}
		}
	}
	for name, raw := range inEach(t, colour) {
		if s, err := Probe(raw); err != nil || s != (Size{15, 12, 3}) {
			t.Errorf("%s in colour: %+v, %v", name, s, err)
		}
	}
	for name, raw := range inEach(t, grey) {
		want := Size{15, 12, 1}
		if name == "WebP" { // knows no grey
			want.Channels = 3
		}
		if s, err := Probe(raw); err != nil || s != want {
			t.Errorf("grey %s: %+v, %v, want %+v", name, s, err, want)
		}
	}
}

// TestModels decodes 16 bits a channel, alpha, CMYK and a frame that is smaller than its GIF.
func TestModels(t *testing.T) {
	at := func(name string, raw []byte, channels int, want ...float64) {
		t.Helper()
		f, err := decoderOf(t, Size{8, 8, channels}).Decode(raw)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for c, v := range want {
			if got := float64(f.Data[(3*8+3)*channels+c])*0.3 + 0.1; got < v-0.02 || got > v+0.02 { // as preprocessing scales
				t.Errorf("%s: channel %d is %.3f, want %.3f", name, c, got, v)
			}
		}
	}
	fill := func(img interface {
		image.Image
		Set(x, y int, c color.Color)
	}, c color.Color) image.Image {
		for y := range 8 {
			for x := range 8 {
				img.Set(x, y, c)
			}
		}
		return img
	}
	r := image.Rect(0, 0, 8, 8)
	at("16 bits of grey", pngOf(t, fill(image.NewGray16(r), color.Gray16{0x8000})), 1, 0.5)
	at("16 bits of grey in colour", pngOf(t, fill(image.NewGray16(r), color.Gray16{0x8000})), 3, 0.5, 0.5, 0.5)
	deep := fill(image.NewNRGBA64(r), color.NRGBA64{0xffff, 0x8000, 0, 0xffff})
	at("16 bits of colour", pngOf(t, deep), 3, 1, 0.5, 0)
	at("a TIFF of 16 bits", encoded(t, func(w io.Writer) error { return tiff.Encode(w, deep, nil) }), 3, 1, 0.5, 0)
	at("half transparent", pngOf(t, fill(image.NewNRGBA(r), color.NRGBA{255, 255, 255, 128})), 3, 0.5, 0.5, 0.5)
	at("half transparent, grey", pngOf(t, fill(image.NewNRGBA(r), color.NRGBA{255, 255, 255, 128})), 1, 0.5)
	at("half transparent WebP", webpOf(t, fill(image.NewNRGBA(r), color.NRGBA{255, 255, 255, 128}), nil), 3, 0.5, 0.5, 0.5)
	at("grey JPEG", encoded(t, func(w io.Writer) error { return jpeg.Encode(w, fill(image.NewGray(r), color.Gray{128}), nil) }), 1, 0.5)
	at("white in a corner of a GIF", encoded(t, func(w io.Writer) error {
		frame := image.NewPaletted(image.Rect(3, 3, 6, 6), color.Palette{color.White, color.Black})
		return gif.EncodeAll(w, &gif.GIF{Image: []*image.Paletted{frame}, Delay: []int{0}, Config: image.Config{Width: 8, Height: 8}})
	}), 3, 1, 1, 1)
}

// TestCrop: nothing of a wide picture's frame is black, and its ends are cut off; a picture of one row is no danger.
func TestCrop(t *testing.T) {
	img := image.NewGray(image.Rect(5, 7, 5+80, 7+40)) // an origin off zero
	for y := range 40 {
		for x := range 80 {
			if x >= 20 && x < 60 {
				img.Pix[y*80+x] = 255
			}
		}
	}
	p := preprocessing(Size{20, 20, 1})
	p.Fit = FitCrop
	d, err := p.Decoder()
	if err != nil {
		t.Fatal(err)
	}
	f, err := d.Decode(pngOf(t, img))
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range f.Data {
		if v < 0.89/0.3 {
			t.Fatalf("value %d is %g: not white", i, v)
		}
	}
	row := image.NewGray(image.Rect(0, 0, MaxImageSide, 1))
	if _, err := d.Decode(pngOf(t, row)); err != nil {
		t.Error(err)
	}
}

func TestFitNames(t *testing.T) {
	for f := FitLetterbox; f <= FitTrim; f++ {
		var back Fit
		if err := back.UnmarshalText([]byte(f.String())); err != nil || back != f {
			t.Errorf("%v: %v, %v", f, back, err)
		}
	}
	var f Fit
	if err := f.UnmarshalText([]byte("stretch")); !errors.Is(err, ErrSpec) || !strings.Contains(err.Error(), "letterbox, crop or trim") {
		t.Error(err)
	}
	if s := Fit(7).String(); s != "Fit(7)" {
		t.Error(s)
	}
}

// TestHugeHeaders: a header that declares too many pixels is refused before any memory is taken for them.
func TestHugeHeaders(t *testing.T) {
	small := fox(4, 4)
	each := inEach(t, small)
	huge := map[string][]byte{}
	change := func(name string, at int, value []byte) {
		huge[name] = append(append(bytes.Clone(each[name][:at]), value...), each[name][at+len(value):]...)
	}
	change("GIF", 6, []byte{0xff, 0xff, 0xff, 0xff})
	change("BMP", 18, []byte{0, 0, 1, 0, 0, 0, 1, 0})
	each["WebP"] = webpOf(t, small, exifBlock(binary.LittleEndian, upright))
	change("WebP", 24, []byte{0xff, 0xff, 0xff})
	tags := bytes.Index(each["TIFF"], []byte{0, 1, 3, 0, 1, 0, 0, 0, 4, 0, 0, 0}) // the width: tag 256, a SHORT
	if tags < 0 {
		t.Fatal("the TIFF has no width of 4")
	}
	change("TIFF", tags+8, []byte{0xff, 0xff})
	j := encoded(t, func(w io.Writer) error { return jpeg.Encode(w, small, nil) })
	frame := bytes.Index(j, []byte{0xff, 0xc0})
	j[frame+5], j[frame+6], j[frame+7], j[frame+8] = 0xff, 0xff, 0xff, 0xff
	huge["JPEG"] = j
	for name, raw := range huge {
		if _, err := Probe(raw); !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), "all together at most") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFullRange: black, white, grey and the purest colours of a lossy WebP are those of a picture (BT.601: red is 81, 90, 240).
func TestFullRange(t *testing.T) {
	for _, c := range []struct {
		y, cb, cr uint8
		want      color.RGBA
	}{
		{16, 128, 128, color.RGBA{0, 0, 0, 255}}, {235, 128, 128, color.RGBA{255, 255, 255, 255}}, {126, 128, 128, color.RGBA{128, 128, 128, 255}},
		{81, 90, 240, color.RGBA{255, 0, 0, 255}}, {145, 54, 34, color.RGBA{0, 255, 0, 255}}, {41, 240, 110, color.RGBA{0, 0, 255, 255}}, {3, 128, 128, color.RGBA{0, 0, 0, 255}},
	} {
		img := image.NewYCbCr(image.Rect(0, 0, 1, 1), image.YCbCrSubsampleRatio444)
		img.Y[0], img.Cb[0], img.Cr[0] = c.y, c.cb, c.cr
		fullRange(img)
		got := color.RGBAModel.Convert(img.At(0, 0)).(color.RGBA)
		for ch, pair := range [][2]uint8{{got.R, c.want.R}, {got.G, c.want.G}, {got.B, c.want.B}} {
			if d := int(pair[0]) - int(pair[1]); d < -2 || d > 2 {
				t.Errorf("%d, %d, %d is %v, want %v (channel %d)", c.y, c.cb, c.cr, got, c.want, ch)
			}
		}
	}
}

// TestGuarded turns a panic into an error, of which decodeImage makes ErrInput.
func TestGuarded(t *testing.T) {
	_, err := guarded(func(io.Reader) (image.Image, error) { panic("index out of range") })(nil)
	if err == nil || !strings.Contains(err.Error(), "index out of range") {
		t.Error(err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(idxBlob(5, 4))
	img := fox(5, 9)
	f.Add(gifOf(f, img))
	block := exifBlock(binary.BigEndian, clockwise)
	for _, encode := range []func(w io.Writer) error{
		func(w io.Writer) error { return png.Encode(w, img) },
		func(w io.Writer) error { return bmp.Encode(w, img) }, func(w io.Writer) error { return tiff.Encode(w, img, nil) },
		func(w io.Writer) error {
			return tiff.Encode(w, img, &tiff.Options{Compression: tiff.Deflate, Predictor: true})
		},
	} {
		f.Add(encoded(f, encode))
	}
	f.Add(jpegWith(encoded(f, func(w io.Writer) error { return jpeg.Encode(w, img, nil) }), block))
	f.Add(pngWith(encoded(f, func(w io.Writer) error { return png.Encode(w, image.NewNRGBA64(img.Rect)) }), block))
	f.Add(webpOf(f, img, nil))
	f.Add(webpOf(f, img, block))
	p := preprocessing(Size{6, 6, 3})
	p.Fit = FitCrop
	d, err := p.Decoder()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if s, err := Probe(raw); err == nil && s.values() > 1<<20 {
			t.Skip("within the limits, but slow to fuzz")
		}
		got, err := d.Decode(raw)
		if err != nil && !errors.Is(err, ErrInput) {
			t.Fatalf("error of another kind: %v", err)
		}
		if err == nil && len(got.Data) != 6*6*3 {
			t.Fatalf("%d features", len(got.Data))
		}
		if _, probed := Probe(raw); err == nil && probed != nil {
			t.Fatalf("decoded, but not probed: %v", probed)
		}
	})
}

// TestOtherPictures: formats that are known and not decoded are named, with what to convert them to; none that is decoded is among them.
func TestOtherPictures(t *testing.T) {
	for begin, name := range map[string]string{
		"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00": "a HEIC", "\x00\x00\x00\x1cftypavif\x00\x00\x00\x00": "an AVIF", "8BPS\x00\x01": "a PSD", "<svg xmlns=": "an SVG",
	} {
		_, _, err := DecodePixels([]byte(begin), 1, func(s Size) Size { return s })
		if !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), name+", which is not decoded: convert it to JPEG or PNG") {
			t.Errorf("%q: %v, want %s", begin, err, name)
		}
	}
	for _, f := range formats {
		if name := OtherPicture([]byte(f.magic)); name != "" {
			t.Errorf("%s, which is decoded, is named %s", f.name, name)
		}
	}
	if name := OtherPicture([]byte("\x00\x00\x00\x20ftypM4A ")); name != "" {
		t.Errorf("an M4A is named %s", name)
	}
}
