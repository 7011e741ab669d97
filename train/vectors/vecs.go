package vectors

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/akin-search/akin/index"
)

// Value is what rows are made of.
type Value interface{ float32 | float64 | int32 }

// Format reads rows until the end, or until most of them where most is above 0. Its memory grows with what it reads, not with
// what a header promises.
type Format[T Value] func(ctx context.Context, r io.Reader, most int) ([][]T, error)

// Fvecs reads rows of an int32 dimension and as many float32, little-endian (http://corpus-texmex.irisa.fr).
func Fvecs[T float32 | float64](ctx context.Context, r io.Reader, most int) ([][]T, error) {
	return readVecs(ctx, r, most, index.MaxDimension, 4, func(row []T, b []byte) {
		for i := range row {
			row[i] = T(math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])))
		}
	})
}

// Bvecs reads rows of an int32 dimension, little-endian, and as many unsigned bytes.
func Bvecs[T float32 | float64](ctx context.Context, r io.Reader, most int) ([][]T, error) {
	return readVecs(ctx, r, most, index.MaxDimension, 1, func(row []T, b []byte) {
		for i := range row {
			row[i] = T(b[i])
		}
	})
}

// Ivecs reads rows of an int32 length and as many int32, little-endian.
func Ivecs(ctx context.Context, r io.Reader, most int) ([][]int32, error) {
	return readVecs(ctx, r, most, index.MaxK, 4, func(row []int32, b []byte) {
		for i := range row {
			row[i] = int32(binary.LittleEndian.Uint32(b[4*i:]))
		}
	})
}

// readVecs reads rows of at most longest values of width bytes.
func readVecs[T Value](ctx context.Context, r io.Reader, most, longest, width int, put func(row []T, b []byte)) ([][]T, error) {
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
