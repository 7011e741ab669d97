package server

import (
	"math"
	"strconv"
)

// number is the literal of a number: its text, and as far as uint64 holds them its digits, so that
// value = ± digits · 10^exponent.
type number struct {
	text     []byte
	digits   uint64
	exponent int
	exact    bool // digits and exponent say everything
}

// maxDigits is how many decimal digits always fit into a uint64.
const maxDigits = 19

// number reads the literal of a number.
func (r *reader) number() (n number, err error) {
	r.peek()
	b, i := r.buf, r.pos
	if i < len(b) && b[i] == '-' {
		i++
	}
	first := i
	for ; i < len(b) && b[i]-'0' <= 9; i++ {
		n.digits = n.digits*10 + uint64(b[i]-'0')
	}
	whole := i - first
	if whole == 0 {
		return n, r.unexpected("a finite number")
	}
	ok := b[first] != '0' || whole == 1
	fraction := 0
	if i < len(b) && b[i] == '.' {
		i++
		point := i
		for ; i < len(b) && b[i]-'0' <= 9; i++ {
			n.digits = n.digits*10 + uint64(b[i]-'0')
		}
		fraction = i - point
		ok = ok && fraction > 0
	}
	n.exact, n.exponent = whole+fraction <= maxDigits, -fraction
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		n.exact = false
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		power := i
		for i < len(b) && b[i]-'0' <= 9 {
			i++
		}
		ok = ok && i > power
	}
	n.text = b[r.pos:i]
	if !ok {
		return n, badf("invalid JSON: number %s at byte %d", shown(n.text), r.pos)
	}
	r.pos = i
	return n, nil
}

// int reads a whole number from lo to hi.
func (r *reader) int(lo, hi int) (int, error) {
	n, err := r.number()
	if err != nil {
		return 0, err
	}
	v, err := strconv.Atoi(string(n.text))
	if err != nil || v < lo || v > hi {
		return 0, badf("%s: use a whole number from %d to %d", shown(n.text), lo, hi)
	}
	return v, nil
}

// float64 reads a number that a float64 can hold.
func (r *reader) float64() (float64, error) {
	n, err := r.number()
	if err != nil {
		return 0, err
	}
	v, err := strconv.ParseFloat(string(n.text), 64)
	if err != nil {
		return 0, badf("%s: beyond a float64: use finite numbers", shown(n.text))
	}
	return v, nil
}

// float32 reads a number that a float32 can hold.
func (r *reader) float32() (float32, error) {
	n, err := r.number()
	if err != nil {
		return 0, err
	}
	if v, ok := n.float32(); ok {
		return v, nil
	}
	v, err := strconv.ParseFloat(string(n.text), 32)
	if err != nil {
		return 0, badf("%s: beyond a float32: use finite numbers", shown(n.text))
	}
	return float32(v), nil
}

// powers are the powers of ten that a float64 holds exactly.
var powers = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// float32 returns the nearest float32, if that is quickly known: digits and the power of ten are exact float64s, so their
// quotient is rounded once (Clinger, How to Read Floating Point Numbers Accurately, PLDI 1990). Rounding that to a float32
// rounds the true value, too, unless it is a tie between two float32s or subnormal as one.
func (n number) float32() (float32, bool) {
	if !n.exact || n.digits > 1<<53 || -n.exponent >= len(powers) {
		return 0, false
	}
	v := float64(n.digits) / powers[-n.exponent]
	const below = 29 // bits of a float64's fraction that a float32 lacks
	if math.Float64bits(v)&(1<<below-1) == 1<<(below-1) || v < 0x1p-126 && v != 0 || v > math.MaxFloat32 {
		return 0, false
	}
	if n.text[0] == '-' {
		v = -v
	}
	return float32(v), true
}
