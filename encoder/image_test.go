package encoder

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"testing"
)

// idxBlob is a one-image IDX with a bright square in its middle.
func idxBlob(h, w int) []byte {
	b := append([]byte{0, 0, 8, 2}, make([]byte, 8+h*w)...)
	binary.BigEndian.PutUint32(b[4:], uint32(h))
	binary.BigEndian.PutUint32(b[8:], uint32(w))
	for y := h / 3; y < h-h/3; y++ {
		for x := w / 3; x < w-w/3; x++ {
			b[12+y*w+x] = 250
		}
	}
	return b
}

func decoderOf(t *testing.T, s Size) Decoder {
	t.Helper()
	d, err := preprocessing(s).Decoder()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func pngOf(t *testing.T, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestSamePixelsSameFeatures: a digit as IDX and as PNG, grey, colour or with a palette, gives the same features.
func TestSamePixelsSameFeatures(t *testing.T) {
	raw := idxBlob(12, 12)
	d := decoderOf(t, Size{12, 12, 1})
	want, err := d.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range want.Data {
		if exact := (float64(raw[12+i])/255 - 0.1) / 0.3; math.Abs(float64(v)-exact) > 1e-5 {
			t.Fatalf("feature %d is %g, want %g", i, v, exact)
		}
	}
	grey := &image.Gray{Pix: raw[12:], Stride: 12, Rect: image.Rect(0, 0, 12, 12)}
	rgba, paletted := image.NewRGBA(grey.Rect), image.NewPaletted(grey.Rect, []color.Color{color.Gray{0}, color.Gray{250}})
	for y := range 12 {
		for x := range 12 {
			rgba.Set(x, y, grey.At(x, y))
			paletted.Set(x, y, grey.At(x, y))
		}
	}
	for name, img := range map[string]image.Image{"grey": grey, "rgba": rgba, "paletted": paletted} {
		got, err := d.Decode(pngOf(t, img))
		if err != nil {
			t.Fatal(err)
		}
		if !equal(got.Data, want.Data) {
			t.Errorf("the %s PNG has other features than the IDX", name)
		}
	}
}

// TestFit scales a wide picture: it fills the width, its aspect is kept, and black bars are above and below.
func TestFit(t *testing.T) {
	img := image.NewGray(image.Rect(5, 7, 5+80, 7+40)) // an origin off zero
	for i := range img.Pix {
		img.Pix[i] = 255
	}
	for _, channels := range []int{1, 3} {
		f, err := decoderOf(t, Size{20, 20, channels}).Decode(pngOf(t, img))
		if err != nil {
			t.Fatal(err)
		}
		black, white := -0.1/0.3, 0.9/0.3
		for y := range 20 {
			want := black
			if y >= 5 && y < 15 {
				want = white
			}
			for x := range 20 * channels {
				if got := float64(f.Data[y*20*channels+x]); math.Abs(got-want) > 0.02 {
					t.Fatalf("%d channels: row %d, value %d is %g, want %g", channels, y, x, got, want)
				}
			}
		}
	}
}

func TestJPEGOfAnySize(t *testing.T) {
	img := image.NewRGBA(image.Rect(0, 0, 123, 57))
	for i := range img.Pix {
		img.Pix[i] = 200
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	s, err := Probe(b.Bytes())
	if err != nil || s != (Size{57, 123, 3}) {
		t.Errorf("Probe: %+v, %v", s, err)
	}
	for _, size := range []Size{{28, 28, 1}, {96, 64, 3}} {
		f, err := decoderOf(t, size).Decode(b.Bytes())
		if err != nil || len(f.Data) != size.values() {
			t.Errorf("%+v: %d features, %v", size, len(f.Data), err)
		}
	}
}

func TestBrokenImages(t *testing.T) {
	whole := pngOf(t, image.NewGray(image.Rect(0, 0, 30, 30)))
	bomb := bytes.Clone(whole) // declares 60 000 × 60 000 pixels
	binary.BigEndian.PutUint32(bomb[16:], 60_000)
	binary.BigEndian.PutUint32(bomb[20:], 60_000)
	binary.BigEndian.PutUint32(bomb[29:], crc32.ChecksumIEEE(bomb[12:29]))
	long := append(idxBlob(4, 4), 0)
	zero := append([]byte{0, 0, 8, 2}, make([]byte, 8)...)
	huge := bytes.Clone(idxBlob(4, 4))
	binary.BigEndian.PutUint32(huge[4:], 1<<31)
	binary.BigEndian.PutUint32(huge[8:], 1<<31)
	tall := bytes.Clone(whole) // a small file that would need gigabytes to scale
	binary.BigEndian.PutUint32(tall[16:], 1)
	binary.BigEndian.PutUint32(tall[20:], MaxPixels-1)
	binary.BigEndian.PutUint32(tall[29:], crc32.ChecksumIEEE(tall[12:29]))
	d := decoderOf(t, Size{12, 12, 1})
	for name, raw := range map[string][]byte{
		"empty": nil, "text": []byte("hello"), "truncated PNG": whole[:40], "PNG bomb": bomb, "one pixel wide": tall, "GIF without a frame": []byte("GIF89a\x01\x00\x01\x00\x00\x00\x00;"), "AVIF": []byte("\x00\x00\x00\x1cftypavif\x00\x00\x00\x00"), "short IDX": idxBlob(4, 4)[:20],
		"long IDX": long, "empty IDX": zero, "huge IDX": huge, "IDX header only": {0, 0, 8, 2},
	} {
		if _, err := d.Decode(raw); !errors.Is(err, ErrInput) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPreprocessingIsValidated(t *testing.T) {
	good := preprocessing(Size{4, 4, 1})
	for name, change := range map[string]func(*Preprocessing){
		"modality": func(p *Preprocessing) { p.Modality = "smell" }, "channels": func(p *Preprocessing) { p.Size.Channels = 2 },
		"side": func(p *Preprocessing) { p.Size.Width = MaxSide + 1 }, "no mean": func(p *Preprocessing) { p.Mean = nil },
		"deviation 0": func(p *Preprocessing) { p.Deviation = []float32{0} }, "NaN": func(p *Preprocessing) { p.Mean = []float32{float32(math.NaN())} },
		"fit": func(p *Preprocessing) { p.Fit = 9 },
	} {
		p := good
		change(&p)
		if _, err := p.Decoder(); !errors.Is(err, ErrSpec) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
