package benchmarks

import (
	"context"
	"fmt"

	"github.com/akin-search/akin/encoder/kernel"
	"github.com/akin-search/akin/index"
	"github.com/akin-search/akin/train"
)

const (
	// reducedTo is the dimension that images are reduced to.
	reducedTo = 64
	// idxHeader is the bytes before the pixels of a one-image IDX blob: 00 00 08 02, height, width.
	idxHeader = 12
)

// loadDigits reads images in MNIST's format. Pixels are scaled to 0…1.
func loadDigits(ctx context.Context, s Source) (Data, error) {
	trainSet, testSet, err := train.MNIST(s.Dir)
	if err != nil {
		return Data{}, err
	}
	n := trainSet.Len()
	if s.Limit > 0 {
		n = min(n, s.Limit)
	}
	if s.Queries > testSet.Len() {
		return Data{}, fmt.Errorf("%d queries: %w: %s has %d test images", s.Queries, ErrInvalid, s.Name, testSet.Len())
	}
	base, err := pixels(ctx, trainSet.Raw[:n])
	if err != nil {
		return Data{}, err
	}
	queries, err := pixels(ctx, testSet.Raw[:s.Queries])
	if err != nil {
		return Data{}, err
	}
	if base.Cols != queries.Cols {
		return Data{}, fmt.Errorf("%s: %w: training images of %d pixels, test images of %d", s.Name, ErrData, base.Cols, queries.Cols)
	}
	if s.Raw {
		return Data{Name: s.Name + "-raw", Metric: index.L2, Base: rowsOf(base), Queries: rowsOf(queries)}, nil
	}
	p, err := fitPCA(ctx, base, reducedTo)
	if err != nil {
		return Data{}, fmt.Errorf("%s: %w", s.Name, err)
	}
	return Data{Name: s.Name, Metric: index.Cosine, Base: rowsOf(p.project(base)), Queries: rowsOf(p.project(queries))}, nil
}

// pixels returns one row an image. All images have the size of the first.
func pixels(ctx context.Context, raw [][]byte) (kernel.Matrix, error) {
	if len(raw) == 0 {
		return kernel.Matrix{}, fmt.Errorf("%w: no images", ErrData)
	}
	m := kernel.NewMatrix(len(raw), len(raw[0])-idxHeader)
	for i, blob := range raw {
		if i%4096 == 0 && ctx.Err() != nil {
			return kernel.Matrix{}, ctx.Err()
		}
		row := m.Row(i)
		for j, v := range blob[idxHeader:][:len(row)] {
			row[j] = float32(v) / 255
		}
	}
	return m, nil
}

func rowsOf(m kernel.Matrix) [][]float32 {
	rows := make([][]float32, m.Rows)
	for i := range rows {
		rows[i] = m.Row(i)
	}
	return rows
}
