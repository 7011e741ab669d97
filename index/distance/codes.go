package distance

import (
	"encoding/binary"
	"fmt"
	"math"
)

// CodeTrailer is the length of scale and bias behind the codes of a row, in bytes.
const CodeTrailer = 8

// CodeQuery is a query against rows of codes: a vector of int8 components and the numbers that make a distance of an inner
// product.
type CodeQuery struct {
	Code []int8
	Sum  int32 // ΣCode
	Mul  float32
	Add  float32
}

// CodeRows fills out[i] with the distance of q to row rows[i] of the arena,
//
//	Mul·scale·Σ Code[j]·(code[j] − 128) + bias + Add
//
// whose sum is exact and whose float32 operations are rounded one by one in this order: the same bits on every tier. Row r is
// arena[r*stride : (r+1)*stride]: a code for each component, room for anything, and in its last CodeTrailer bytes scale and bias
// (PutCodeTrailer). The rows are prefetched; so are the 192 bytes at next, which may be nil: the place that the caller reads
// after this call. out has at least len(rows) elements.
func CodeRows(q *CodeQuery, arena []byte, stride int, rows []uint32, out []float32, next *uint32) {
	if stride < len(q.Code)+CodeTrailer || len(out) < len(rows) {
		panic(fmt.Sprintf("distance: %d codes in rows of %d bytes, %d rows, room for %d results", len(q.Code), stride, len(rows), len(out)))
	}
	limit := len(arena) - stride
	if len(rows) > 0 && !active.codeRows(q, arena, stride, limit, rows, out, next) {
		panicRow(rows, stride, limit)
	}
}

// PutCodeTrailer writes scale and bias at the end of a row.
func PutCodeTrailer(row []byte, scale, bias float32) {
	end := row[len(row)-CodeTrailer:]
	binary.LittleEndian.PutUint32(end, math.Float32bits(scale))
	binary.LittleEndian.PutUint32(end[4:], math.Float32bits(bias))
}

// CodeTrailerOf reads scale and bias from the end of a row.
func CodeTrailerOf(row []byte) (scale, bias float32) {
	end := row[len(row)-CodeTrailer:]
	return math.Float32frombits(binary.LittleEndian.Uint32(end)), math.Float32frombits(binary.LittleEndian.Uint32(end[4:]))
}

// codeRowsGeneric reports whether every row starts at limit or before.
func codeRowsGeneric(q *CodeQuery, arena []byte, stride, limit int, rows []uint32, out []float32) bool {
	for i, r := range rows {
		if int(r)*stride > limit {
			return false
		}
		row := arena[int(r)*stride:][:stride]
		sum := -128 * q.Sum
		codes := row[:len(q.Code)]
		for j, c := range q.Code {
			sum += int32(c) * int32(codes[j])
		}
		scale, bias := CodeTrailerOf(row)
		// The conversions forbid fused operations, which round once where the other tiers round twice.
		out[i] = float32(float32(scale*q.Mul)*float32(sum)) + bias + q.Add
	}
	return true
}
