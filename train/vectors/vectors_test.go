package vectors

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/akin-search/akin/index"
	"github.com/akin-search/akin/train/vectors/vectorstest"
)

const squareHeader = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 3), }"

// fuzzFormat checks that a format never panics, and never returns more than was there.
func fuzzFormat[T Value](f *testing.F, read Format[T], longest int, width func(file []byte) int, seeds ...[]byte) {
	for _, s := range seeds {
		f.Add(s, 0)
		f.Add(s, 2)
	}
	f.Fuzz(func(t *testing.T, b []byte, most int) {
		if most < 0 {
			return
		}
		rows, err := read(context.Background(), bytes.NewReader(b), most)
		if err != nil {
			if rows != nil {
				t.Fatalf("%d rows and %v", len(rows), err)
			}
			return
		}
		if most > 0 && len(rows) > most {
			t.Fatalf("%d rows, wanted at most %d", len(rows), most)
		}
		values := 0
		for i, r := range rows {
			if len(r) < 1 || len(r) > longest || len(r) != len(rows[0]) {
				t.Fatalf("row %d of %d values, row 0 of %d", i, len(r), len(rows[0]))
			}
			values += len(r)
		}
		if values*width(b) > len(b) {
			t.Fatalf("%d values from %d bytes", values, len(b))
		}
	})
}

func wide(n int) func([]byte) int { return func([]byte) int { return n } }

func FuzzFvecs(f *testing.F) {
	fuzzFormat(f, Fvecs[float32], index.MaxDimension, wide(4), vectorstest.Fvecs(vectorstest.Small), nil, []byte{1, 0, 0, 0})
}
func FuzzBvecs(f *testing.F) {
	fuzzFormat(f, Bvecs[float32], index.MaxDimension, wide(1), vectorstest.Bvecs([]byte{1, 2}, []byte{3, 4}))
}
func FuzzIvecs(f *testing.F) {
	fuzzFormat(f, Ivecs, index.MaxK, wide(4), vectorstest.Ivecs([]int32{1, 2}, []int32{3, -4}), []byte{255, 255, 255, 255})
}

// FuzzNpy: a value takes as many bytes as its type, which the header names somewhere, and so at least one.
func FuzzNpy(f *testing.F) {
	seeds := [][]byte{vectorstest.Npy(2, squareHeader, vectorstest.Small), vectorstest.Npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 4096), }", vectorstest.Small)}
	for kind := range numbers {
		seeds = append(seeds, vectorstest.Npy(1, strings.Replace(squareHeader, "<f4", kind, 1), vectorstest.Small))
	}
	fuzzFormat(f, Npy[float32], index.MaxDimension, func(b []byte) int {
		least := 8
		for kind, values := range numbers {
			if bytes.Contains(b, []byte(kind)) {
				least = min(least, values.width)
			}
		}
		return least
	}, seeds...)
}

// Values of every type that NumPy writes come out as they are, halves from the table of IEEE 754.
func TestNpyTypes(t *testing.T) {
	inf := float32(math.Inf(1))
	f8 := make([]byte, 0, 32)
	for _, x := range []float64{0.1, -3, 1e300, 0} {
		f8 = binary.LittleEndian.AppendUint64(f8, math.Float64bits(x))
	}
	f2 := func(h ...uint16) (b []byte) {
		for _, x := range h {
			b = binary.LittleEndian.AppendUint16(b, x)
		}
		return b
	}
	for _, c := range []struct {
		kind   string
		values []byte
		want   [][]float32
	}{
		{"<f8", f8, [][]float32{{0.1, -3}, {inf, 0}}},
		{"|u1", []byte{0, 255, 7, 128}, [][]float32{{0, 255}, {7, 128}}},
		{"<i2", f2(1, 0xffff, 2, 3), [][]float32{{1, -1}, {2, 3}}},
		{"<u2", f2(1, 0xffff, 2, 3), [][]float32{{1, 65535}, {2, 3}}},
		{"|i1", []byte{1, 255, 7, 128}, [][]float32{{1, -1}, {7, -128}}},
		{"<f2", f2(0x3c00, 0xc000, 0x7bff, 0x3555), [][]float32{{1, -2}, {65504, 0.333251953125}}},
		{"<f2", f2(0x0001, 0x03ff, 0x0400, 0xfc00), [][]float32{{0x1p-24, 1023 * 0x1p-24}, {0x1p-14, -inf}}},
	} {
		for version := byte(1); version <= 3; version++ {
			b := append(vectorstest.Npy(version, "{'descr': '"+c.kind+"', 'fortran_order': False, 'shape': (2, 2), }", nil), c.values...)
			got, err := Npy[float32](context.Background(), bytes.NewReader(b), 0)
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%s, version %d: %v, %v, want %v", c.kind, version, got, err, c.want)
			}
		}
	}
	if x := half(0x7e00); x == x {
		t.Errorf("the half NaN became %v", x)
	}
	for h := range uint16(0x7c00) { // all finite halves rise with their bits
		if half(h+1) <= half(h) || half(h|1<<15) != -half(h) {
			t.Fatalf("halves %#x and %#x: %v and %v", h, h+1, half(h), half(h+1))
		}
	}
}

// A header that promises much costs nothing.
func TestNpyTrustsNoHeader(t *testing.T) {
	b := vectorstest.Npy(1, fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%d, 4096), }", math.MaxInt), nil)
	if _, err := Npy[float32](context.Background(), bytes.NewReader(b), 0); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

func names(header string, values ...byte) []byte {
	return append(vectorstest.Npy(1, header, nil), values...)
}

func TestNpyNames(t *testing.T) {
	for _, c := range []struct {
		b    []byte
		want []string
		err  string
	}{
		{names("{'descr': '<i2', 'fortran_order': False, 'shape': (3,), }", 1, 0, 255, 255, 7, 0), []string{"1", "-1", "7"}, ""},
		{names("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 1), }", 3, 0), []string{"3", "0"}, ""},
		{names("{'descr': '<f2', 'fortran_order': False, 'shape': (2,), }", 0, 0x3e, 0, 0x7e), []string{"1.5", ""}, ""},
		{names("{'descr': '|S3', 'fortran_order': False, 'shape': (2,), }", 'c', 'a', 't', 'o', 'x', 0), []string{"cat", "ox"}, ""},
		{names("{'descr': '<U2', 'fortran_order': False, 'shape': (1,), }", 0xfc, 0, 0, 0, 0, 0, 0, 0), []string{"ü"}, ""},
		{names("{'descr': '<U1', 'fortran_order': False, 'shape': (1,), }", 0, 0, 0, 9), nil, "character"},
		{names("{'descr': '|S1', 'fortran_order': False, 'shape': (1,), }", 255), nil, "UTF-8"},
		{names("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", 255), nil, "astype(str)"},
		{names("{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2), }", 1, 2, 3, 4), nil, "a label a row"},
		{names("{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }", 1), nil, "label 1 of 2"},
		{names("{'descr': '|u1', 'fortran_order': False, 'shape': (1,), }", 1, 2), nil, "goes on"},
	} {
		got, err := NpyNames(bytes.NewReader(c.b))
		if !slices.Equal(got, c.want) || (c.err == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q: %q, %v, want %q, %q", c.b[10:60], got, err, c.want, c.err)
		}
	}
}

func TestNpz(t *testing.T) {
	x, y := vectorstest.Npy(1, squareHeader, vectorstest.Small), names("{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }", 0, 1, 1)
	for _, c := range []struct {
		files map[string][]byte
		names []string
		err   string
	}{
		{map[string][]byte{"X.npy": x, "y.npy": y, "other.npy": nil}, []string{"0", "1", "1"}, ""},
		{map[string][]byte{"rows.npy": x}, nil, ""},
		{map[string][]byte{"a.npy": x, "b.npy": x}, nil, "no array X among its 2"},
		{map[string][]byte{"X.npy": x[:90]}, nil, "X.npy: the file ends"},
		{map[string][]byte{"X.npy": x, "y.npy": names("{'descr': '|u1', 'fortran_order': False, 'shape': (1,), }", 1)}, nil, "1 labels for the 3 rows"},
	} {
		path := filepath.Join(t.TempDir(), "a.npz")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		z := zip.NewWriter(f)
		for name, b := range c.files {
			w, err := z.Create(name)
			if err == nil {
				_, err = w.Write(b)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(z.Close(), f.Close()); err != nil {
			t.Fatal(err)
		}
		rows, got, err := Npz(context.Background(), path)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%v, want %q", err, c.err)
			}
			continue
		}
		if err != nil || len(rows) != 3 || rows[1][0] != 4 || !slices.Equal(got, c.names) {
			t.Errorf("%v, %q, %v", rows, got, err)
		}
	}
}
