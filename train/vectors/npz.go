package vectors

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Npz reads rows from array "X" of a zip file of arrays, as numpy.savez writes it, or from its only one besides "y", and the names of their classes
// from "y", nil where there is none.
func Npz(ctx context.Context, path string) (rows [][]float64, names []string, err error) {
	z, err := zip.OpenReader(path)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, z.Close()) }()
	var x, y *zip.File
	var others []*zip.File
	for _, f := range z.File {
		switch name := strings.TrimSuffix(f.Name, ".npy"); name {
		case "X":
			x = f
		case "y":
			y = f
		default:
			others = append(others, f)
		}
	}
	if x == nil && len(others) == 1 {
		x = others[0]
	}
	if x == nil {
		return nil, nil, fmt.Errorf("no array X among its %d: want numpy.savez(path, X=rows, y=labels)", len(z.File))
	}
	if rows, err = inZip(x, func(r io.Reader) ([][]float64, error) { return Npy[float64](ctx, r, 0) }); err != nil || y == nil {
		return rows, nil, err
	}
	if names, err = inZip(y, NpyNames); err != nil {
		return nil, nil, err
	}
	if len(names) != len(rows) {
		return nil, nil, fmt.Errorf("array y has %d labels for the %d rows of X", len(names), len(rows))
	}
	return rows, names, nil
}

// inZip reads a file of a zip file. Errors name it.
func inZip[T any](f *zip.File, read func(io.Reader) (T, error)) (v T, err error) {
	r, err := f.Open()
	if err != nil {
		return v, fmt.Errorf("array %s: %w", f.Name, err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if v, err = read(r); err != nil {
		return v, fmt.Errorf("array %s: %w", f.Name, err)
	}
	return v, nil
}
