// Package vectorstest writes files of vectors for tests.
package vectorstest

import (
	"encoding/binary"
	"math"
)

// Small is three rows.
var Small = [][]float32{{1, -2.5, 3}, {4, 5, 1e-30}, {0, 255, 7}}

// Fvecs writes rows of floats, each behind its length.
func Fvecs(rows [][]float32) []byte {
	var b []byte
	for _, r := range rows {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(r)))
		for _, x := range r {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
		}
	}
	return b
}

// Bvecs writes rows of bytes, each behind its length.
func Bvecs(rows ...[]byte) []byte {
	var b []byte
	for _, r := range rows {
		b = append(binary.LittleEndian.AppendUint32(b, uint32(len(r))), r...)
	}
	return b
}

// Ivecs writes rows of integers, each behind its length.
func Ivecs(rows ...[]int32) []byte {
	var b []byte
	for _, r := range rows {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(r)))
		for _, x := range r {
			b = binary.LittleEndian.AppendUint32(b, uint32(x))
		}
	}
	return b
}

// Npy writes a header as NumPy does, padded to 64 bytes, and the values.
func Npy(version byte, header string, rows [][]float32) []byte {
	b := []byte("\x93NUMPY" + string(version) + "\x00")
	size := 2
	if version > 1 {
		size = 4
	}
	for (len(b)+size+len(header)+1)%64 != 0 {
		header += " "
	}
	header += "\n"
	if version > 1 {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(header)))
	} else {
		b = binary.LittleEndian.AppendUint16(b, uint16(len(header)))
	}
	b = append(b, header...)
	for _, r := range rows {
		for _, x := range r {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
		}
	}
	return b
}
