package encoder

import (
	"bytes"
	"encoding/binary"
)

// orientation is the value of the Exif tag 0x0112 (CIPA DC-008, section 4.6.5): which way up the stored rows and columns are seen.
type orientation uint8

// The eight orientations: where the stored first row and first column are seen.
const (
	upright    orientation = iota + 1 // top, left
	mirrored                          // top, right
	turned                            // bottom, right: by 180°
	flipped                           // bottom, left
	transposed                        // left, top
	clockwise                         // right, top: to be turned clockwise by 90°
	transverse                        // right, bottom
	counter                           // left, bottom: to be turned counter-clockwise
)

const orientationTag = 0x0112

// transposes reports whether stored rows are seen as columns.
func (o orientation) transposes() bool { return o >= transposed }

// row says where row y of an upright picture of size s lies in the stored pixels, whose rows are stride and pixels pixel bytes apart: the
// place of its first pixel, and the way to the next.
func (o orientation) row(y int, s Size, stride, pixel int) (first, step int) {
	switch right, bottom := s.Width-1, s.Height-1; o {
	case mirrored:
		return y*stride + right*pixel, -pixel
	case turned:
		return (bottom-y)*stride + right*pixel, -pixel
	case flipped:
		return (bottom - y) * stride, pixel
	case transposed:
		return y * pixel, stride
	case clockwise:
		return right*stride + y*pixel, -stride
	case transverse:
		return right*stride + (bottom-y)*pixel, -stride
	case counter:
		return (bottom - y) * pixel, stride
	}
	return y * stride, pixel
}

// orientationOf reads the tag from a block of tags, which is laid out as a TIFF file: byte order, 42, and the offset of a directory of
// entries of 12 bytes. Whatever it does not find or understand is upright.
func orientationOf(block []byte) orientation {
	const header, entry, short = 8, 12, 3
	if len(block) < header {
		return upright
	}
	var order binary.ByteOrder
	switch string(block[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return upright
	}
	at := uint64(order.Uint32(block[4:]))
	if at+2 > uint64(len(block)) {
		return upright
	}
	entries := block[at+2:]
	for range order.Uint16(block[at:]) {
		if len(entries) < entry {
			return upright
		}
		if order.Uint16(entries) == orientationTag {
			o := order.Uint16(entries[8:])
			if order.Uint16(entries[2:]) != short || order.Uint32(entries[4:]) != 1 || o < uint16(upright) || o > uint16(counter) {
				return upright
			}
			return orientation(o)
		}
		entries = entries[entry:]
	}
	return upright
}

var exifPrefix = []byte("Exif\x00\x00")

// jpegEXIF finds the first APP1 segment that holds Exif, before the pixels.
func jpegEXIF(raw []byte) []byte {
	const app1, startOfScan = 0xe1, 0xda
	rest := raw[2:] // behind the magic
	for len(rest) >= 4 && rest[0] == 0xff {
		marker := rest[1]
		if marker == 0xff { // fill
			rest = rest[1:]
			continue
		}
		n := int(binary.BigEndian.Uint16(rest[2:])) // counts itself, not the marker
		if marker == startOfScan || n < 2 || n+2 > len(rest) {
			return nil
		}
		if body := rest[4 : n+2]; marker == app1 && bytes.HasPrefix(body, exifPrefix) {
			return body[len(exifPrefix):]
		}
		rest = rest[n+2:]
	}
	return nil
}

// pngEXIF finds the eXIf chunk. Chunks are length, type, body and checksum.
func pngEXIF(raw []byte) []byte {
	const magic, frame = 8, 12
	for rest := raw[magic:]; len(rest) >= frame; {
		n := uint64(binary.BigEndian.Uint32(rest))
		if n+frame > uint64(len(rest)) {
			return nil
		}
		if string(rest[4:8]) == "eXIf" {
			return rest[8 : 8+n]
		}
		rest = rest[n+frame:]
	}
	return nil
}

// webpEXIF finds the EXIF chunk. Chunks are type, length, and a body filled up to an even number of bytes.
func webpEXIF(raw []byte) []byte {
	const magic, frame = 12, 8
	for rest := raw[magic:]; len(rest) >= frame; {
		n := uint64(binary.LittleEndian.Uint32(rest[4:]))
		if n+frame > uint64(len(rest)) {
			return nil
		}
		if string(rest[:4]) == "EXIF" {
			return bytes.TrimPrefix(rest[frame:frame+n], exifPrefix) // which some writers put before it
		}
		rest = rest[min(n+n%2+frame, uint64(len(rest))):]
	}
	return nil
}

// whole is for TIFF, which is itself such a block.
func whole(raw []byte) []byte { return raw }
