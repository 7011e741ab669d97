package benchmarks

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/akin-search/akin/index"
	"github.com/akin-search/akin/train"
)

// rowReader reads the first rows of a file, all of them where most is 0.
type rowReader[T float32 | int32] func(ctx context.Context, path string, most int) ([][]T, error)

type reader = rowReader[float32]

// readerOf picks the reader by the name of the file.
func readerOf(path string) (reader, error) {
	name := strings.ToLower(path)
	switch idx := strings.TrimSuffix(name, ".gz"); {
	case strings.HasSuffix(idx, ".idx"), strings.HasSuffix(idx, "idx3-ubyte"):
		return readIDX, nil
	case strings.HasSuffix(name, ".fvecs"):
		return streamed(readFvecs), nil
	case strings.HasSuffix(name, ".bvecs"):
		return streamed(readBvecs), nil
	case strings.HasSuffix(name, ".npy"):
		return streamed(readNpy), nil
	}
	return nil, fmt.Errorf("data set %q: %w: use %s, %s, %s, or the path of a .fvecs, .bvecs, .npy or .idx file",
		path, ErrInvalid, MNIST, Fashion, GMM)
}

func readFile(ctx context.Context, path string, most int) ([][]float32, error) {
	read, err := readerOf(path)
	if err != nil {
		return nil, err
	}
	return read(ctx, path, most)
}

// readIDX reads images, pixels scaled to 0…1.
func readIDX(ctx context.Context, path string, most int) ([][]float32, error) {
	d, err := train.IDX(path, "")
	if err != nil {
		return nil, err
	}
	raw := d.Raw
	if most > 0 {
		raw = raw[:min(most, len(raw))]
	}
	m, err := pixels(ctx, raw)
	return rowsOf(m), err
}

// format reads rows until the end, or until most of them where most is above 0. Its memory grows with what it reads, not with
// what a header promises.
type format[T float32 | int32] func(ctx context.Context, r io.Reader, most int) ([][]T, error)

// streamed opens a file for a format. Errors name the file.
func streamed[T float32 | int32](read format[T]) rowReader[T] {
	return func(ctx context.Context, path string, most int) ([][]T, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close() // read only: nothing to lose in closing
		rows, err := read(ctx, bufio.NewReaderSize(f, 1<<20), most)
		switch {
		case err == nil && len(rows) == 0:
			return nil, fmt.Errorf("%s: %w: no rows", path, ErrData)
		case err != nil && ctx.Err() == nil:
			return nil, fmt.Errorf("%s: %w: %w", path, ErrData, err)
		}
		return rows, err
	}
}

// readFvecs reads rows of an int32 dimension and as many float32, little-endian (http://corpus-texmex.irisa.fr).
func readFvecs(ctx context.Context, r io.Reader, most int) ([][]float32, error) {
	return readVecs(ctx, r, most, index.MaxDimension, 4, putFloats)
}

// readBvecs reads rows of an int32 dimension, little-endian, and as many unsigned bytes.
func readBvecs(ctx context.Context, r io.Reader, most int) ([][]float32, error) {
	return readVecs(ctx, r, most, index.MaxDimension, 1, putBytes)
}

// readIvecs reads rows of an int32 length and as many int32, little-endian.
func readIvecs(ctx context.Context, r io.Reader, most int) ([][]int32, error) {
	return readVecs(ctx, r, most, index.MaxK, 4, func(row []int32, b []byte) {
		for i := range row {
			row[i] = int32(binary.LittleEndian.Uint32(b[4*i:]))
		}
	})
}

func putFloats(row []float32, b []byte) {
	for i := range row {
		row[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
}

func putBytes(row []float32, b []byte) {
	for i := range row {
		row[i] = float32(b[i])
	}
}

// readVecs reads rows of at most longest values of width bytes.
func readVecs[T float32 | int32](ctx context.Context, r io.Reader, most, longest, width int, put func(row []T, b []byte)) ([][]T, error) {
	var rows [][]T
	var s slab[T]
	var b []byte
	for most == 0 || len(rows) < most {
		if len(rows)%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		var header [4]byte
		if _, err := io.ReadFull(r, header[:]); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("row %d: the file ends within its dimension: %w", len(rows), err)
		}
		dim := binary.LittleEndian.Uint32(header[:])
		switch {
		case dim < 1 || dim > uint32(longest):
			return nil, fmt.Errorf("row %d has a dimension of %d, want 1 to %d", len(rows), dim, longest)
		case len(rows) > 0 && int(dim) != len(rows[0]):
			return nil, fmt.Errorf("row %d has a dimension of %d, row 0 of %d", len(rows), dim, len(rows[0]))
		case len(rows) == 0:
			b = make([]byte, int(dim)*width)
		}
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, fmt.Errorf("row %d: the file ends within its %d values: %w", len(rows), dim, err)
		}
		row := s.row(int(dim))
		put(row, b)
		rows = append(rows, row)
	}
	return rows, nil
}

var (
	npyType    = regexp.MustCompile(`['"]descr['"]\s*:\s*['"]([^'"]*)['"]`)
	npyFortran = regexp.MustCompile(`['"]fortran_order['"]\s*:\s*(True|False)`)
	npyShape   = regexp.MustCompile(`['"]shape['"]\s*:\s*\(\s*(\d+)\s*,\s*(\d+)\s*,?\s*\)`)
)

// npyTypes are the types of values that readNpy knows, and how each becomes float32. float64 is rounded: what is beyond float32
// becomes infinite, which Data.Validate refuses.
var npyTypes = map[string]struct {
	width int // bytes a value
	put   func(row []float32, b []byte)
}{
	"<f4": {4, putFloats},
	"<f8": {8, func(row []float32, b []byte) {
		for i := range row {
			row[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:])))
		}
	}},
	"<f2": {2, func(row []float32, b []byte) {
		for i := range row {
			row[i] = half(binary.LittleEndian.Uint16(b[2*i:]))
		}
	}},
	"|u1": {1, putBytes},
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

// readNpy reads NumPy's format, versions 1 to 3: a two-dimensional C-ordered array of one of npyTypes
// (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
func readNpy(ctx context.Context, r io.Reader, most int) ([][]float32, error) {
	kind, n, dim, err := readNpyHeader(r)
	if err != nil {
		return nil, err
	}
	values := npyTypes[kind]
	whole := most == 0 || most >= n
	if !whole {
		n = most
	}
	var rows [][]float32
	var s slab[float32]
	b := make([]byte, values.width*dim)
	for len(rows) < n {
		if len(rows)%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, fmt.Errorf("the file ends in row %d of %d: %w", len(rows), n, err)
		}
		row := s.row(dim)
		values.put(row, b)
		rows = append(rows, row)
	}
	if whole {
		if _, err := io.ReadFull(r, b[:1]); err == nil {
			return nil, fmt.Errorf("the file goes on after the %d rows of its header", n)
		} else if !errors.Is(err, io.EOF) {
			return nil, err
		}
	}
	return rows, nil
}

// readNpyHeader returns the type, one of npyTypes, and the shape.
func readNpyHeader(r io.Reader) (kind string, rows, dim int, err error) {
	const magic = "\x93NUMPY"
	var head [12]byte // magic, version, and 2 (version 1) or 4 bytes of length
	if _, err := io.ReadFull(r, head[:10]); err != nil || string(head[:6]) != magic {
		return "", 0, 0, errors.New(`no NumPy file: it does not start with "\x93NUMPY" and a version`)
	}
	length := int(binary.LittleEndian.Uint16(head[8:]))
	switch head[6] {
	case 1:
	case 2, 3:
		if _, err := io.ReadFull(r, head[10:]); err != nil {
			return "", 0, 0, fmt.Errorf("the file ends within its header: %w", err)
		}
		length = int(binary.LittleEndian.Uint32(head[8:]))
	default:
		return "", 0, 0, fmt.Errorf("version %d.%d of the NumPy format, want 1, 2 or 3", head[6], head[7])
	}
	if length > 1<<16 {
		return "", 0, 0, fmt.Errorf("a header of %d bytes, want at most %d", length, 1<<16)
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(r, text); err != nil {
		return "", 0, 0, fmt.Errorf("the file ends within its header: %w", err)
	}
	descr, fortran, shape := npyType.FindSubmatch(text), npyFortran.FindSubmatch(text), npyShape.FindSubmatch(text)
	switch {
	case descr == nil || npyTypes[string(descr[1])].put == nil:
		return "", 0, 0, fmt.Errorf(`header %q: want one of the types %q: save a.astype("float32")`, text, slices.Sorted(maps.Keys(npyTypes)))
	case fortran == nil || string(fortran[1]) != "False":
		return "", 0, 0, fmt.Errorf(`header %q: want fortran_order False: save numpy.ascontiguousarray(a)`, text)
	case shape == nil:
		return "", 0, 0, fmt.Errorf(`header %q: want a shape of two dimensions: save a.reshape(len(a), -1)`, text)
	}
	rows, errRows := strconv.Atoi(string(shape[1]))
	dim, errDim := strconv.Atoi(string(shape[2]))
	if errRows != nil || errDim != nil || rows < 1 || dim < 1 || dim > index.MaxDimension {
		return "", 0, 0, fmt.Errorf("an array of %s×%s, want 1 row or more of 1 to %d values", shape[1], shape[2], index.MaxDimension)
	}
	return string(descr[1]), rows, dim, nil
}

// slab hands out rows that share allocations of about 1 MB.
type slab[T any] struct{ free []T }

func (s *slab[T]) row(dim int) []T {
	if len(s.free) < dim {
		s.free = make([]T, max(dim, 1<<18/dim*dim))
	}
	row := s.free[:dim:dim]
	s.free = s.free[dim:]
	return row
}
