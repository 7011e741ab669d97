package benchmarks

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/akin-search/akin/index"
	"github.com/akin-search/akin/train"
)

// reader reads the first rows of a file, all of them where most is 0.
type reader func(ctx context.Context, path string, most int) ([][]float32, error)

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
type format func(ctx context.Context, r io.Reader, most int) ([][]float32, error)

// streamed opens a file for a format. Errors name the file.
func streamed(read format) reader {
	return func(ctx context.Context, path string, most int) ([][]float32, error) {
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
	return readVecs(ctx, r, most, 4, putFloats)
}

// readBvecs reads rows of an int32 dimension, little-endian, and as many unsigned bytes.
func readBvecs(ctx context.Context, r io.Reader, most int) ([][]float32, error) {
	return readVecs(ctx, r, most, 1, func(row []float32, b []byte) {
		for i, v := range b {
			row[i] = float32(v)
		}
	})
}

func putFloats(row []float32, b []byte) {
	for i := range row {
		row[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
}

func readVecs(ctx context.Context, r io.Reader, most, width int, put func(row []float32, b []byte)) ([][]float32, error) {
	var rows [][]float32
	var s slab
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
		case dim < 1 || dim > index.MaxDimension:
			return nil, fmt.Errorf("row %d has a dimension of %d, want 1 to %d", len(rows), dim, index.MaxDimension)
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

// readNpy reads NumPy's format, versions 1 to 3: a two-dimensional C-ordered array of little-endian float32
// (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
func readNpy(ctx context.Context, r io.Reader, most int) ([][]float32, error) {
	n, dim, err := readNpyHeader(r)
	if err != nil {
		return nil, err
	}
	whole := most == 0 || most >= n
	if !whole {
		n = most
	}
	var rows [][]float32
	var s slab
	b := make([]byte, 4*dim)
	for len(rows) < n {
		if len(rows)%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, fmt.Errorf("the file ends in row %d of %d: %w", len(rows), n, err)
		}
		row := s.row(dim)
		putFloats(row, b)
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

func readNpyHeader(r io.Reader) (rows, dim int, err error) {
	const magic = "\x93NUMPY"
	var head [12]byte // magic, version, and 2 (version 1) or 4 bytes of length
	if _, err := io.ReadFull(r, head[:10]); err != nil || string(head[:6]) != magic {
		return 0, 0, errors.New(`no NumPy file: it does not start with "\x93NUMPY" and a version`)
	}
	length := int(binary.LittleEndian.Uint16(head[8:]))
	switch head[6] {
	case 1:
	case 2, 3:
		if _, err := io.ReadFull(r, head[10:]); err != nil {
			return 0, 0, fmt.Errorf("the file ends within its header: %w", err)
		}
		length = int(binary.LittleEndian.Uint32(head[8:]))
	default:
		return 0, 0, fmt.Errorf("version %d.%d of the NumPy format, want 1, 2 or 3", head[6], head[7])
	}
	if length > 1<<16 {
		return 0, 0, fmt.Errorf("a header of %d bytes, want at most %d", length, 1<<16)
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(r, text); err != nil {
		return 0, 0, fmt.Errorf("the file ends within its header: %w", err)
	}
	kind, fortran, shape := npyType.FindSubmatch(text), npyFortran.FindSubmatch(text), npyShape.FindSubmatch(text)
	switch {
	case kind == nil || string(kind[1]) != "<f4":
		return 0, 0, fmt.Errorf(`header %q: want the type "<f4": save a.astype("float32")`, text)
	case fortran == nil || string(fortran[1]) != "False":
		return 0, 0, fmt.Errorf(`header %q: want fortran_order False: save numpy.ascontiguousarray(a)`, text)
	case shape == nil:
		return 0, 0, fmt.Errorf(`header %q: want a shape of two dimensions: save a.reshape(len(a), -1)`, text)
	}
	rows, errRows := strconv.Atoi(string(shape[1]))
	dim, errDim := strconv.Atoi(string(shape[2]))
	if errRows != nil || errDim != nil || rows < 1 || dim < 1 || dim > index.MaxDimension {
		return 0, 0, fmt.Errorf("an array of %s×%s, want 1 row or more of 1 to %d values", shape[1], shape[2], index.MaxDimension)
	}
	return rows, dim, nil
}

// slab hands out rows that share allocations of about 1 MB.
type slab struct{ free []float32 }

func (s *slab) row(dim int) []float32 {
	if len(s.free) < dim {
		s.free = make([]float32, max(dim, 1<<18/dim*dim))
	}
	row := s.free[:dim:dim]
	s.free = s.free[dim:]
	return row
}
