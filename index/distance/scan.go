package distance

import (
	"fmt"
	"math"
	"sync/atomic"
	"unsafe"
)

// Neighbours that are scored together, and what their record consists of: see Scan.
const (
	ScanWidth = 32
	// ScanMaxEntry is the largest entry of a lookup table: the sums of 1040 groups are uint16s.
	ScanMaxEntry = 63
	scanFactors  = 2 * ScanWidth
	// scanStep is how many components fill a register of codes on every tier.
	scanStep  = 16
	scanLimit = math.MaxUint16 / ScanMaxEntry / 4 * 16 // components
)

// Scale turns the sums of a scan into estimates.
type Scale struct {
	Scale, Shift float32 // the query's: sum·Scale + Shift
	Base         float32 // what all estimates start from
	Limit        float32 // estimates below are of interest
}

// ScanWords returns the uint32s of the record of 32 neighbours with 1-bit codes of dim components, a multiple of 16.
func ScanWords(dim int) int { return scanFactors + dim }

// Scan estimates what lies between a query and 32 neighbours whose 1-bit codes are packed in a record:
//
//	words 0…31    float32 A of each neighbour
//	words 32…63   float32 B of each neighbour
//	words 64…     a group of 16 bytes for each 4 components; the low half of byte j is neighbour j's bits, the high half is
//	              neighbour 16+j's
//
// lut has 16 entries of at most ScanMaxEntry for each group. With the sum of the entries that the bits of a neighbour choose,
// out[j] = Base + A + B·(Scale·sum + Shift), and bit j of the result says that out[j] < Limit.
func Scan(record []uint32, lut []byte, at *Scale, out *[ScanWidth]float32) uint32 {
	dim := len(lut) / 4
	if len(lut)%(4*scanStep) != 0 || dim > scanLimit || len(record) != ScanWords(dim) {
		panic(fmt.Sprintf("distance: record of %d words, table of %d bytes", len(record), len(lut)))
	}
	if dim == 0 {
		return scanGeneric(record, lut, at, out)
	}
	return active.scan(record, lut, at, out)
}

// ScanTable fills the table that Scan looks the sums Σ±q up in, and returns Scale and Shift. Of the 16 entries of four components
// number e stands for Σ ±q, with the sign + where e has a bit; the smallest is 0, and the largest of all is ScanMaxEntry.
func ScanTable(q []float32, lut []byte) (scale, shift float32) {
	if len(q)%scanStep != 0 || len(lut) != 4*len(q) {
		panic(fmt.Sprintf("distance: %d components, table of %d bytes", len(q), len(lut)))
	}
	if len(q) == 0 {
		return tableGeneric(q, lut)
	}
	return active.table(q, lut)
}

// tableScale returns the step of the entries and its inverse, for the largest sum of four magnitudes.
func tableScale(largest float32) (scale, inverse float32) {
	if largest < 1e-36 { // the inverse may be infinite
		return 0, 0
	}
	scale = 2 * largest / ScanMaxEntry
	return scale, 1 / scale
}

func magnitude(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }

// tableGeneric is the reference.
func tableGeneric(q []float32, lut []byte) (scale, shift float32) {
	var largest float32
	for i := 0; i < len(q); i += 4 {
		sum := magnitude(q[i]) + magnitude(q[i+1]) + magnitude(q[i+2]) + magnitude(q[i+3])
		largest, shift = max(largest, sum), shift-sum
	}
	scale, inverse := tableScale(largest)
	for i := 0; i < len(q); i += 4 {
		for e := range 16 {
			var sum float32
			for j, x := range q[i : i+4] {
				if e>>j&1 == 0 {
					x = -x
				}
				sum += magnitude(x) + x // 0 or twice
			}
			lut[4*i+e] = byte(inverse*sum + 0.5)
		}
	}
	return scale, shift
}

// Prefetch asks for memory that the caller reads soon.
func Prefetch[T float32 | uint32](s []T) {
	if len(s) > 0 {
		prefetch((*uint32)(unsafe.Pointer(&s[0])), 4*len(s))
	}
}

// scanGeneric is the reference. Words are loaded one at a time: a writer may be at work.
func scanGeneric(record []uint32, lut []byte, at *Scale, out *[ScanWidth]float32) (mask uint32) {
	var sums [ScanWidth]uint16
	for i := range record[scanFactors:] {
		w := atomic.LoadUint32(&record[scanFactors+i])
		table := lut[i/4*16:][:16]
		for b := range 4 {
			j := i%4*4 + b
			sums[j] += uint16(table[w&15])
			sums[16+j] += uint16(table[w>>4&15])
			w >>= 8
		}
	}
	for j, sum := range sums {
		a, b := math.Float32frombits(atomic.LoadUint32(&record[j])), math.Float32frombits(atomic.LoadUint32(&record[ScanWidth+j]))
		out[j] = at.Base + a + b*(at.Scale*float32(sum)+at.Shift)
		if out[j] < at.Limit {
			mask |= 1 << j
		}
	}
	return mask
}
