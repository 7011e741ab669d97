package vectors

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/akin-search/akin/index"
)

var (
	npyType    = regexp.MustCompile(`['"]descr['"]\s*:\s*['"]([^'"]*)['"]`)
	npyFortran = regexp.MustCompile(`['"]fortran_order['"]\s*:\s*(True|False)`)
	npyShape   = regexp.MustCompile(`['"]shape['"]\s*:\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?,?\s*\)`)
	npyText    = regexp.MustCompile(`^([<|])([US])([1-9]\d{0,4})$`)
)

// numbers are the types of values that Npy knows, all little-endian.
var numbers = map[string]number{
	"<f4": {4, func(b []byte) float64 { return float64(math.Float32frombits(binary.LittleEndian.Uint32(b))) }},
	"<f8": {8, func(b []byte) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b)) }},
	"<f2": {2, func(b []byte) float64 { return float64(half(binary.LittleEndian.Uint16(b))) }},
	"|u1": {1, func(b []byte) float64 { return float64(b[0]) }},
	"|i1": {1, func(b []byte) float64 { return float64(int8(b[0])) }},
	"|b1": {1, func(b []byte) float64 { return float64(b[0]) }},
	"<u2": {2, func(b []byte) float64 { return float64(binary.LittleEndian.Uint16(b)) }},
	"<i2": {2, func(b []byte) float64 { return float64(int16(binary.LittleEndian.Uint16(b))) }},
	"<u4": {4, func(b []byte) float64 { return float64(binary.LittleEndian.Uint32(b)) }},
	"<i4": {4, func(b []byte) float64 { return float64(int32(binary.LittleEndian.Uint32(b))) }},
	"<u8": {8, func(b []byte) float64 { return float64(binary.LittleEndian.Uint64(b)) }},
	"<i8": {8, func(b []byte) float64 { return float64(int64(binary.LittleEndian.Uint64(b))) }},
}

// number is a type of values; what T cannot hold is rounded, and becomes infinite beyond it.
type number struct {
	width int // bytes
	value func(b []byte) float64
}

// half returns the value of an IEEE 754 binary16: 1 bit of sign, 5 of exponent with a bias of 15, 10 of fraction.
func half(h uint16) float32 {
	sign, exponent, fraction := uint32(h>>15)<<31, uint32(h>>10)&31, uint32(h)&1023
	switch exponent {
	case 0: // subnormal: fraction · 2⁻²⁴, exact in float32
		return math.Float32frombits(sign | math.Float32bits(float32(fraction)*0x1p-24))
	case 31: // infinite or NaN
		return math.Float32frombits(sign | 255<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}

// npyHeader is what stands before the values of an array.
type npyHeader struct {
	text       string
	kind       string
	fortran    bool // column by column
	rows, dim  int
	dimensions int
}

// Npy reads NumPy's format, versions 1 to 3: a two-dimensional array of one of the types of numbers
// (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
func Npy[T float32 | float64](ctx context.Context, r io.Reader, most int) ([][]T, error) {
	h, err := readNpyHeader(r)
	if err != nil {
		return nil, err
	}
	values, known := numbers[h.kind]
	switch {
	case !known:
		return nil, fmt.Errorf(`header %q: want one of the types %q: save a.astype("float32")`, h.text, slices.Sorted(maps.Keys(numbers)))
	case h.dimensions != 2:
		return nil, fmt.Errorf(`header %q: want a shape of two dimensions: save a.reshape(len(a), -1)`, h.text)
	case h.rows < 1 || h.dim < 1 || h.dim > index.MaxDimension:
		return nil, fmt.Errorf("an array of %d×%d, want 1 row or more of 1 to %d values", h.rows, h.dim, index.MaxDimension)
	}
	lines, length, name := h.rows, h.dim, "row"
	if h.fortran {
		lines, length, name = h.dim, h.rows, "column"
	}
	whole := h.fortran || most == 0 || most >= lines
	if !whole {
		lines = most
	}
	var read [][]T
	var s slab[T]
	b := make([]byte, min(values.width*length, 1<<16/values.width*values.width))
	for len(read) < lines {
		if len(read)%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		var line []T
		if !h.fortran {
			line = s.row(length)[:0]
		}
		for len(line) < length {
			part := b[:min(len(b), (length-len(line))*values.width)]
			if _, err := io.ReadFull(r, part); err != nil {
				return nil, fmt.Errorf("the file ends in %s %d of %d: %w", name, len(read), lines, err)
			}
			for at := 0; at < len(part); at += values.width {
				line = append(line, T(values.value(part[at:])))
			}
		}
		read = append(read, line)
	}
	if whole {
		if err := expectEnd(r); err != nil {
			return nil, fmt.Errorf("%w the %d rows of its header", err, h.rows)
		}
	}
	if !h.fortran {
		return read, nil
	}
	if most == 0 || most > h.rows {
		most = h.rows
	}
	rows := make([][]T, most)
	for i := range rows {
		rows[i] = s.row(h.dim)
		for j, column := range read {
			rows[i][j] = column[i]
		}
	}
	return rows, nil
}

// NpyNames reads an array of one dimension, or of one column, as names: numbers as they are written, texts as they are.
func NpyNames(r io.Reader) ([]string, error) {
	h, err := readNpyHeader(r)
	if err != nil {
		return nil, err
	}
	if h.dimensions == 2 && h.dim != 1 || h.rows < 1 {
		return nil, fmt.Errorf("header %q: want a label a row: save y.reshape(-1)", h.text)
	}
	var width int
	var name func([]byte) (string, error)
	if values, known := numbers[h.kind]; known {
		width, name = values.width, func(b []byte) (string, error) {
			v := values.value(b)
			if math.IsNaN(v) {
				return "", nil
			}
			return strconv.FormatFloat(v, 'f', -1, 64), nil
		}
	} else if m := npyText.FindStringSubmatch(h.kind); m != nil {
		n, _ := strconv.Atoi(m[3]) // digits, as few as fit
		if width, name = n, func(b []byte) (string, error) { return checkText(strings.TrimRight(string(b), "\x00")) }; m[2] == "U" {
			width, name = 4*n, func(b []byte) (string, error) {
				var s strings.Builder
				for at := 0; at < len(b); at += 4 {
					if c := binary.LittleEndian.Uint32(b[at:]); c > utf8.MaxRune {
						return "", fmt.Errorf("a character of number %d", c)
					} else if c != 0 {
						s.WriteRune(rune(c))
					}
				}
				return s.String(), nil
			}
		}
	} else {
		return nil, fmt.Errorf("header %q: want labels that are numbers or texts: save y.astype(str)", h.text)
	}
	var names []string
	b := make([]byte, width)
	for len(names) < h.rows {
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, fmt.Errorf("the file ends in label %d of %d: %w", len(names), h.rows, err)
		}
		text, err := name(b)
		if err != nil {
			return nil, fmt.Errorf("label %d: %w", len(names), err)
		}
		names = append(names, text)
	}
	if err := expectEnd(r); err != nil {
		return nil, fmt.Errorf("%w the %d labels of its header", err, h.rows)
	}
	return names, nil
}

func checkText(s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", fmt.Errorf("%q is not valid UTF-8", s)
	}
	return s, nil
}

// expectEnd reports a file that does not end where it should; the error ends in "after".
func expectEnd(r io.Reader) error {
	var b [1]byte
	if _, err := io.ReadFull(r, b[:]); err == nil {
		return errors.New("the file goes on after")
	} else if !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w after", err)
	}
	return nil
}

// readNpyHeader reads what stands before the values.
func readNpyHeader(r io.Reader) (h npyHeader, err error) {
	const magic = "\x93NUMPY"
	var head [12]byte // magic, version, and 2 (version 1) or 4 bytes of length
	if _, err := io.ReadFull(r, head[:10]); err != nil || string(head[:6]) != magic {
		return h, errors.New(`no NumPy file: it does not start with "\x93NUMPY" and a version`)
	}
	length := int(binary.LittleEndian.Uint16(head[8:]))
	switch head[6] {
	case 1:
	case 2, 3:
		if _, err := io.ReadFull(r, head[10:]); err != nil {
			return h, fmt.Errorf("the file ends within its header: %w", err)
		}
		length = int(binary.LittleEndian.Uint32(head[8:]))
	default:
		return h, fmt.Errorf("version %d.%d of the NumPy format, want 1, 2 or 3", head[6], head[7])
	}
	if length > 1<<16 {
		return h, fmt.Errorf("a header of %d bytes, want at most %d", length, 1<<16)
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(r, text); err != nil {
		return h, fmt.Errorf("the file ends within its header: %w", err)
	}
	h.text = string(text)
	descr, fortran, shape := npyType.FindSubmatch(text), npyFortran.FindSubmatch(text), npyShape.FindSubmatch(text)
	switch {
	case descr == nil:
		return h, fmt.Errorf(`header %q: want one of the types %q: save a.astype("float32")`, text, slices.Sorted(maps.Keys(numbers)))
	case fortran == nil:
		return h, fmt.Errorf(`header %q: it does not say its fortran_order: save it by numpy.save`, text)
	case shape == nil:
		return h, fmt.Errorf(`header %q: want a shape of one or two dimensions: save a.reshape(len(a), -1)`, text)
	}
	h.kind, h.fortran, h.dimensions, h.dim = string(descr[1]), string(fortran[1]) == "True", 1, 1
	if h.rows, err = strconv.Atoi(string(shape[1])); err == nil && shape[2] != nil {
		h.dimensions = 2
		h.dim, err = strconv.Atoi(string(shape[2]))
	}
	if err != nil {
		return h, fmt.Errorf("an array of %s×%s, want 1 row or more of 1 to %d values", shape[1], shape[2], index.MaxDimension)
	}
	return h, nil
}
