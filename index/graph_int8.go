package index

import (
	"encoding/binary"
	"unsafe"

	"github.com/akin-search/akin/index/distance"
)

// int8Codes is a codeStore of one byte a component:
//
//	x − center ──rotation──► x' ──► c = round(x'/step) + 128, step = max|x'|/127      row: c… padding, scale, bias
//
// The inner product of x' and y' is about scale(x)·scale(y)·Σ(c−128)(d−128), with the scale that makes the product of x' with
// its own code |x'|² (Gao & Long, SIGMOD 2024, equation 7, do so for codes of one bit). From it come the distances:
//
//	L2      |x'−y'|²                    = |x'|² + |y'|² − 2x'y'
//	Cosine  1 − xy = ½|x−y|²            = ½|x'|² + ½|y'|² − x'y'
//	Dot     −xy − lift(x)·lift(y)       = (½|m|² − mx) + (½|m|² − my) − x'y' − lift(x)·lift(y)     m the center
//
// where all but x'y' is exact up to rounding. A code depends on nothing but its vector, the center and the seed.
type int8Codes struct {
	space
	rotation rotation
	width    int       // bytes of a row
	center   []float32 // mean of the points it was fitted to; behind it half its square
	rows     []byte    // slot·width
	lift     []float32 // Dot: of each slot
	norm     []float64 // Dot: length of each slot's vector
}

// refitSlots: up to so many slots the codes are made anew from the vectors when the arena grows.
const refitSlots = 1 << 14

func newInt8Codes(s space, seed uint64) *int8Codes {
	width := (s.dim+3)/4*4 + distance.CodeTrailer
	if whole := (width + 63) / 64 * 64; whole-width <= width/8 {
		width = whole // rows begin with a cache line
	}
	return &int8Codes{space: s, rotation: newRotation(s.dim, seed), width: width, center: make([]float32, s.dim+1)}
}

func (c *int8Codes) row(slot uint32) []byte { return c.rows[int(slot)*c.width : (int(slot)+1)*c.width] }

func (c *int8Codes) bytes(slots int) int64 {
	n := slots * c.width
	if c.metric == Dot {
		n += 12 * slots
	}
	return int64(n)
}

// fit sets the center to the mean of the rows. Codes made before are of no use then.
func (c *int8Codes) fit(rows []float32, stride int) {
	mean := make([]float64, c.dim)
	n := float64(len(rows) / stride)
	for i := 0; i < len(rows); i += stride {
		for j, x := range rows[i : i+c.dim] {
			mean[j] += float64(x) / n
		}
	}
	c.center = make([]float32, c.dim+1)
	var square float64
	for j, x := range mean {
		c.center[j] = float32(x)
		square += x * x
	}
	c.center[c.dim] = float32(square / 2)
}

// encode writes the code of a prepared row. tmp has room for dim float32s.
func (c *int8Codes) encode(out []byte, row, tmp []float32) {
	tmp = tmp[:c.dim]
	c.rotation.apply(tmp, row, c.center)
	var most, square float32
	for _, x := range tmp {
		if x < 0 {
			x = -x
		}
		most = max(most, x)
		square += x * x
	}
	codes := out[:len(tmp)]
	var own float32   // product with the code, in steps
	if most > 1e-36 { // else its inverse may be infinite
		inverse := 127 / most
		for i, x := range tmp {
			b := int32(x*inverse + 128.5) // positive: rounds down
			codes[i] = byte(b)
			own += x * float32(b-128)
		}
	} else {
		for i := range codes {
			codes[i] = 128
		}
	}
	var scale float32
	if own > 0 {
		scale = square / own
	}
	bias := square
	switch c.metric {
	case Cosine:
		bias /= 2
	case Dot:
		bias = c.center[c.dim]
		for i, m := range c.center[:c.dim] {
			bias -= m * row[i]
		}
	}
	distance.PutCodeTrailer(out, scale, bias)
}

// grow makes room for more slots. While there are few, it also fits the codes anew, to all vectors so far.
func (c *int8Codes) grow(slots int, vectors []float32, stride int) (swap func()) {
	next := *c
	next.rows = newArena[byte](slots * c.width)[:slots*c.width]
	if c.metric == Dot {
		next.lift = append(make([]float32, 0, slots), c.lift...)[:slots]
		next.norm = append(make([]float64, 0, slots), c.norm...)[:slots]
	}
	if n := len(vectors) / stride; n > 0 && n <= refitSlots {
		next.fit(vectors, stride)
		tmp := make([]float32, c.dim)
		for i := range n {
			next.encode(next.row(uint32(i)), vectors[i*stride:], tmp)
		}
	} else {
		copy(next.rows, c.rows)
	}
	return func() { c.center, c.rows, c.lift, c.norm = next.center, next.rows, next.lift, next.norm }
}

func (c *int8Codes) relift(radius float64) (swap func()) {
	lift := make([]float32, len(c.lift))
	for i, n := range c.norm {
		lift[i] = liftOf(radius, n)
	}
	return func() { c.lift = lift }
}

func (c *int8Codes) query() codeQuery {
	q := &int8Query{codes: c, row: make([]byte, c.width), tmp: make([]float32, c.dim)}
	b := make([]int8, (c.dim+7)/8*8)
	q.bytes = unsafe.Slice((*byte)(unsafe.Pointer(&b[0])), len(b))
	q.Code = b[:c.dim]
	return q
}

// int8Query compares with the code of a vector.
type int8Query struct {
	distance.CodeQuery
	codes *int8Codes
	bytes []byte // those of Code
	row   []byte // of the vector that ask was given
	tmp   []float32
	lift  float32 // Dot
	own   [1]float32
}

func (q *int8Query) ask(row []float32) {
	q.codes.encode(q.row, row, q.tmp)
	q.load(q.row)
	if q.codes.metric == Dot {
		q.lift = row[q.codes.dim]
	}
}

func (q *int8Query) askSlot(slot uint32) {
	q.load(q.codes.row(slot))
	if q.codes.metric == Dot {
		q.lift = q.codes.lift[slot]
	}
}

func (q *int8Query) put(slot uint32, row []float32) {
	c := q.codes
	c.encode(c.row(slot), row, q.tmp)
	if c.metric == Dot {
		c.lift[slot], c.norm[slot] = row[c.dim], length(row[:c.dim])
	}
}

// load makes a row of codes the query: its bytes less 128, and their sum, eight at a time.
func (q *int8Query) load(row []byte) {
	const block = 128 * 8 // sums of 16 bits hold 257 bytes
	const even = 0x00ff00ff00ff00ff
	n := len(q.Code)
	sum, i := 0, 0
	for i+8 <= n {
		var sums uint64
		for end := min(n-7, i+block); i < end; i += 8 {
			x := binary.LittleEndian.Uint64(row[i:])
			sums += x&even + x>>8&even
			binary.LittleEndian.PutUint64(q.bytes[i:], x^0x8080808080808080)
		}
		sum += int(sums&0xffff + sums>>16&0xffff + sums>>32&0xffff + sums>>48)
	}
	for ; i < n; i++ {
		sum += int(row[i])
		q.bytes[i] = row[i] ^ 128
	}
	q.Sum = int32(sum - 128*n)
	scale, bias := distance.CodeTrailerOf(row)
	q.Mul, q.Add = -scale, bias
	if q.codes.metric == L2 {
		q.Mul = -2 * scale
	}
}

func (q *int8Query) compare(slots []uint32, out []float32, next *uint32) {
	c := q.codes
	distance.CodeRows(&q.CodeQuery, c.rows, c.width, slots, out, next)
	if q.lift != 0 { // only ever with Dot
		for i, s := range slots {
			out[i] -= q.lift * c.lift[s]
		}
	}
}

func (q *int8Query) self() float32 {
	distance.CodeRows(&q.CodeQuery, q.row, q.codes.width, blockRows[:1], q.own[:], nil)
	return q.own[0] - q.lift*q.lift
}

// rotated is less the center.
func (q *int8Query) rotated() []float32 { return q.tmp }

// decode writes the rotated vector of a slot, less the center, as its code has it.
func (c *int8Codes) decode(out []float32, slot uint32) {
	row := c.row(slot)
	scale, _ := distance.CodeTrailerOf(row)
	for i, b := range row[:c.dim] {
		out[i] = scale * float32(int32(b)-128)
	}
}

func (c *int8Codes) sections(slots int) [][]byte {
	s := [][]byte{bytesOf(c.center), c.rows[:slots*c.width]}
	if c.metric == Dot {
		s = append(s, bytesOf(c.lift[:slots]), bytesOf(c.norm[:slots]))
	}
	return s
}
