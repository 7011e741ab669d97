package encoder

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/jpeg"
	"io"
	"testing"

	"golang.org/x/image/tiff"
)

// exifBlock is a block of two tags, of which the second is the orientation.
func exifBlock(order interface {
	binary.ByteOrder
	binary.AppendByteOrder
}, o orientation) []byte {
	b := []byte("MM\x00*")
	if order.String() == binary.LittleEndian.String() {
		b = []byte("II*\x00")
	}
	b = order.AppendUint32(b, 8)
	b = order.AppendUint16(b, 2)
	for _, tag := range [][2]uint16{{0x010e, 7}, {orientationTag, uint16(o)}} {
		b = order.AppendUint16(b, tag[0])
		b = order.AppendUint16(b, 3) // SHORT
		b = order.AppendUint32(b, 1) // one
		b = order.AppendUint16(b, tag[1])
		b = order.AppendUint16(b, 0)
	}
	return order.AppendUint32(b, 0)
}

// jpegWith puts a comment and the tags behind the start of a JPEG.
func jpegWith(raw, block []byte) []byte {
	out := append(bytes.Clone(raw[:2]), 0xff, 0xfe, 0, 4, 'h', 'i', 0xff, 0xff, 0xe1)
	out = binary.BigEndian.AppendUint16(out, uint16(2+len(exifPrefix)+len(block)))
	return append(append(append(out, exifPrefix...), block...), raw[2:]...)
}

// pngWith puts the tags behind the header of a PNG.
func pngWith(raw, block []byte) []byte {
	const header = 8 + 12 + 13
	chunk := append([]byte("eXIf"), block...)
	out := binary.BigEndian.AppendUint32(bytes.Clone(raw[:header]), uint32(len(block)))
	out = binary.BigEndian.AppendUint32(append(out, chunk...), crc32.ChecksumIEEE(chunk))
	return append(out, raw[header:]...)
}

// tiffWith gives a TIFF whose directory ends the file one more tag.
func tiffWith(t *testing.T, raw []byte, o orientation) []byte {
	t.Helper()
	const entry = 12
	at := int(binary.LittleEndian.Uint32(raw[4:]))
	n := int(binary.LittleEndian.Uint16(raw[at:]))
	out := binary.LittleEndian.AppendUint16(bytes.Clone(raw), uint16(n+1))
	added := false
	for i := range n {
		e := raw[at+2+i*entry:][:entry]
		if !added && binary.LittleEndian.Uint16(e) > orientationTag { // in the order of tags
			out = append(out, 0x12, 0x01, 3, 0, 1, 0, 0, 0, byte(o), 0, 0, 0)
			added = true
		}
		out = append(out, e...)
	}
	if !added {
		t.Fatal("no tag behind the orientation")
	}
	out = append(out, 0, 0, 0, 0)
	binary.LittleEndian.PutUint32(out[4:], uint32(len(raw)))
	return out
}

// stored returns how an upright picture is stored under an orientation, by the standard's table: where row 0 and column 0 are seen.
func stored(img *image.RGBA, o orientation) *image.RGBA {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	r := image.Rect(0, 0, w, h)
	if o >= 5 {
		r = image.Rect(0, 0, h, w)
	}
	out := image.NewRGBA(r)
	for row := range r.Dy() {
		for col := range r.Dx() {
			var x, y int
			switch o {
			case 1: // row 0 at the top, column 0 on the left
				x, y = col, row
			case 2: // top, right
				x, y = w-1-col, row
			case 3: // bottom, right
				x, y = w-1-col, h-1-row
			case 4: // bottom, left
				x, y = col, h-1-row
			case 5: // left, top
				x, y = row, col
			case 6: // right, top
				x, y = w-1-row, col
			case 7: // right, bottom
				x, y = w-1-row, h-1-col
			case 8: // left, bottom
				x, y = row, h-1-col
			}
			out.Set(col, row, img.At(x, y))
		}
	}
	return out
}

// TestOrientations: a picture stored in any way, in any format that says which, has the features of the upright one.
func TestOrientations(t *testing.T) {
	img := fox(16, 24)
	for _, channels := range []int{1, 3} {
		d := decoderOf(t, Size{24, 16, channels})
		want, err := d.Decode(pngOf(t, img))
		if err != nil {
			t.Fatal(err)
		}
		for o := upright; o <= counter; o++ {
			s := stored(img, o)
			for name, raw := range map[string][]byte{
				"PNG": pngWith(pngOf(t, s), exifBlock(binary.BigEndian, o)), "WebP": webpOf(t, s, exifBlock(binary.LittleEndian, o)),
				"WebP with a prefix": webpOf(t, s, append(bytes.Clone(exifPrefix), exifBlock(binary.LittleEndian, o)...)),
				"TIFF":               tiffWith(t, encoded(t, func(w io.Writer) error { return tiff.Encode(w, s, nil) }), o),
			} {
				got, err := d.Decode(raw)
				if err != nil {
					t.Fatalf("%s, orientation %d: %v", name, o, err)
				}
				if !equal(got.Data, want.Data) {
					t.Errorf("%s, orientation %d: other features than upright", name, o)
				}
				if p, err := Probe(raw); err != nil || p != (Size{24, 16, 3}) {
					t.Errorf("%s, orientation %d: %+v, %v", name, o, p, err)
				}
			}
			j := jpegWith(encoded(t, func(w io.Writer) error { return jpeg.Encode(w, s, &jpeg.Options{Quality: 100}) }), exifBlock(binary.LittleEndian, o))
			got, err := d.Decode(j)
			if err != nil {
				t.Fatal(err)
			}
			far := 0
			for i, v := range want.Data {
				if v-got.Data[i] > 0.2 || got.Data[i]-v > 0.2 {
					far++
				}
			}
			if far > len(want.Data)/10 { // colours run at edges
				t.Errorf("JPEG, orientation %d: %d of %d values differ", o, far, len(want.Data))
			}
			if p, err := Probe(j); err != nil || p != (Size{24, 16, 3}) {
				t.Errorf("JPEG, orientation %d: %+v, %v", o, p, err)
			}
		}
	}
}

// TestOrientationScaled turns a picture that is larger than the frame, and not of its aspect.
func TestOrientationScaled(t *testing.T) {
	d := decoderOf(t, Size{20, 33, 1}) // bars of 10 pixels on either side
	want, err := d.Decode(pngOf(t, fox(64, 96)))
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.Decode(pngWith(pngOf(t, stored(fox(64, 96), clockwise)), exifBlock(binary.LittleEndian, clockwise)))
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range want.Data {
		if diff := v - got.Data[i]; diff > 0.1 || diff < -0.1 {
			t.Fatalf("value %d is %g, upright %g", i, got.Data[i], v)
		}
	}
}

// TestNoOrientation: what cannot be understood is upright.
func TestNoOrientation(t *testing.T) {
	good := exifBlock(binary.LittleEndian, clockwise)
	if o := orientationOf(good); o != clockwise {
		t.Fatalf("orientation %d", o)
	}
	with := func(at int, value ...byte) []byte {
		b := bytes.Clone(good)
		copy(b[at:], value)
		return b
	}
	second := 8 + 2 + 12
	for name, b := range map[string][]byte{
		"empty": nil, "no byte order": with(0, 'X'), "directory beyond the end": with(4, 0xff, 0xff, 0xff, 0xff), "too many entries": append(with(second, 0), 0)[:second+5],
		"another type": with(second+2, 2), "two values": with(second+4, 2), "nought": with(second+8, 0), "nine": with(second+8, 9), "another tag": with(second, 0x13),
	} {
		if o := orientationOf(b); o != upright {
			t.Errorf("%s: orientation %d", name, o)
		}
	}
}

// FuzzOrientation: no file makes the search for tags panic or leave the eight values.
func FuzzOrientation(f *testing.F) {
	block := exifBlock(binary.BigEndian, transverse)
	f.Add(block)
	f.Add(jpegWith([]byte{0xff, 0xd8, 0xff, 0xd9}, block))
	f.Add(pngWith(make([]byte, 40), block))
	f.Add(append([]byte("RIFF\x00\x00\x00\x00WEBPEXIF\x26\x00\x00\x00"), block...))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, find := range []func([]byte) []byte{whole, jpegEXIF, pngEXIF, webpEXIF} {
			const longestMagic = 12 // which the search may take for granted
			if len(raw) < longestMagic {
				return
			}
			if o := orientationOf(find(raw)); o < upright || o > counter {
				t.Fatalf("orientation %d", o)
			}
		}
	})
}
