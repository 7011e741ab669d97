package benchmarks

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/akin-search/akin/train"
	"github.com/akin-search/akin/train/vectors"
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
		return streamed(vectors.Fvecs[float32]), nil
	case strings.HasSuffix(name, ".bvecs"):
		return streamed(vectors.Bvecs[float32]), nil
	case strings.HasSuffix(name, ".npy"):
		return streamed(vectors.Npy[float32]), nil
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

// streamed opens a file for a format. Errors name the file.
func streamed[T float32 | int32](read vectors.Format[T]) rowReader[T] {
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
