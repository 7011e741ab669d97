package benchmarks

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/akin-search/akin/index"
	"github.com/akin-search/akin/train/vectors/vectorstest"
)

const npyHeader = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 3), }"

// idx holds n images of h×w pixels, pixel i being i mod 251.
func idx(n, h, w int) []byte {
	b := []byte{0, 0, 8, 3}
	for _, d := range []int{n, h, w} {
		b = binary.BigEndian.AppendUint32(b, uint32(d))
	}
	for i := range n * h * w {
		b = append(b, byte(i%251))
	}
	return b
}

func zipped(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	z.Write(b)
	z.Close()
	return out.Bytes()
}

func put(t testing.TB, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadFiles(t *testing.T) {
	pixel := func(n int) float32 { return float32(n) / 255 }
	images := [][]float32{{pixel(0), pixel(1)}, {pixel(2), pixel(3)}, {pixel(4), pixel(5)}}
	for _, c := range []struct {
		name string
		b    []byte
		want [][]float32
	}{
		{"a.fvecs", vectorstest.Fvecs(vectorstest.Small), vectorstest.Small},
		{"A.FVECS", vectorstest.Fvecs(vectorstest.Small), vectorstest.Small},
		{"a.bvecs", vectorstest.Bvecs([]byte{1, 2}, []byte{0, 255}, []byte{7, 8}), [][]float32{{1, 2}, {0, 255}, {7, 8}}},
		{"a.npy", vectorstest.Npy(1, npyHeader, vectorstest.Small), vectorstest.Small},
		{"a.npy", vectorstest.Npy(2, npyHeader, vectorstest.Small), vectorstest.Small},
		{"a.npy", vectorstest.Npy(1, strings.Replace(npyHeader, "False", "True", 1), vectorstest.Small), [][]float32{{1, 4, 0}, {-2.5, 5, 255}, {3, 1e-30, 7}}},
		{"a.npy", vectorstest.Npy(3, `{"shape":(3,3),"fortran_order":False,"descr":"<f4"}`, vectorstest.Small), vectorstest.Small},
		{"a.idx", idx(3, 1, 2), images},
		{"a.idx.gz", zipped(idx(3, 1, 2)), images},
		{"t10k-images-idx3-ubyte", idx(3, 1, 2), images},
		{"t10k-images-idx3-ubyte.gz", zipped(idx(3, 1, 2)), images},
	} {
		path := put(t, c.name, c.b)
		for most := range 5 {
			want := c.want
			if most > 0 {
				want = want[:min(most, len(want))]
			}
			got, err := readFile(context.Background(), path, most)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s, most %d: %v, %v, want %v", c.name, most, got, err, want)
			}
		}
	}
}

func TestBrokenFiles(t *testing.T) {
	header := func(h string) []byte { return vectorstest.Npy(1, h, vectorstest.Small) }
	cut := func(b []byte, n int) []byte { return b[:len(b)-n] }
	for _, c := range []struct {
		name string
		b    []byte
		want string
	}{
		{"a.fvecs", nil, "no rows"},
		{"a.fvecs", []byte{1, 0}, "row 0: the file ends within its dimension"},
		{"a.fvecs", cut(vectorstest.Fvecs(vectorstest.Small), 1), "row 2: the file ends within its 3 values"},
		{"a.fvecs", append(vectorstest.Fvecs(vectorstest.Small), 3, 0, 0, 0), "row 3: the file ends within its 3 values"},
		{"a.fvecs", append(vectorstest.Fvecs(vectorstest.Small), vectorstest.Fvecs([][]float32{{1}})...), "row 3 has a dimension of 1, row 0 of 3"},
		{"a.fvecs", []byte("a text file"), "row 0 has a dimension of 1702109281, want 1 to 4096"},
		{"a.fvecs", []byte{0, 0, 0, 0}, "row 0 has a dimension of 0"},
		{"a.bvecs", cut(vectorstest.Bvecs([]byte{1, 2}), 1), "row 0: the file ends within its 2 values"},
		{"a.npy", nil, "no NumPy file"},
		{"a.npy", []byte("PK\x03\x04 a zip file"), "no NumPy file"},
		{"a.npy", vectorstest.Npy(9, npyHeader, vectorstest.Small), "version 9.0"},
		{"a.npy", cut(header(npyHeader), 1), "the file ends in row 2 of 3"},
		{"a.npy", append(header(npyHeader), 0), "goes on after the 3 rows"},
		{"a.npy", header(npyHeader)[:40], "ends within its header"},
		{"a.npy", header(npyHeader)[:9], "no NumPy file"},
		{"a.npy", vectorstest.Npy(2, npyHeader, nil)[:11], "ends within its header"},
		{"a.npy", []byte("\x93NUMPY\x02\x00\xff\xff\xff\xff"), "a header of 4294967295 bytes"},
		{"a.npy", header("{'descr': '<c8', 'fortran_order': False, 'shape': (3, 3), }"), `want one of the types ["<f2" "<f4" "<f8" "<i2" "<i4" "<i8" "<u2" "<u4" "<u8" "|b1" "|i1" "|u1"]: save a.astype("float32")`},
		{"a.npy", header("{'descr': '>f4', 'fortran_order': False, 'shape': (3, 3), }"), `astype("float32")`},
		{"a.npy", header("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 3), }"), "the file ends in row 1 of 3"},
		{"a.npy", header("{'descr': '<f2', 'fortran_order': False, 'shape': (3, 3), }"), "goes on after the 3 rows"},
		{"a.npy", cut(header("{'descr': '<f4', 'fortran_order': True, 'shape': (3, 3), }"), 1), "the file ends in column 2 of 3"},
		{"a.npy", header("{'descr': '<f4', 'shape': (3, 3), }"), "fortran_order"},
		{"a.npy", header("{'descr': '<f4', 'fortran_order': False, 'shape': (9,), }"), "two dimensions"},
		{"a.npy", header("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 3, 1), }"), "two dimensions"},
		{"a.npy", header("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3), }"), "0×3"},
		{"a.npy", header("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 5000), }"), "1×5000"},
		{"a.npy", header("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 3), }"), "99999999999999999999×3"},
		{"a.npy", header("hello"), `want one of the types`},
		{"a.idx", []byte("hello"), "magic number"},
		{"a.idx", cut(idx(3, 2, 2), 1), "a.idx"},
	} {
		path := put(t, c.name, c.b)
		_, err := Load(context.Background(), Source{Name: path, Queries: 1})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s of %d bytes: %v, want the path and %q", c.name, len(c.b), err, c.want)
		}
		if !strings.HasSuffix(c.name, ".idx") && !errors.Is(err, ErrData) {
			t.Errorf("%s: %v is no ErrData", c.name, err)
		}
	}
}

func TestLoadFiles(t *testing.T) {
	ctx := context.Background()
	base := put(t, "base.fvecs", vectorstest.Fvecs(vectorstest.Small))
	queries := put(t, "queries.npy", vectorstest.Npy(1, npyHeader, vectorstest.Small))
	for _, c := range []struct {
		source        Source
		base, queries [][]float32
	}{
		{Source{Name: base, Queries: 1}, vectorstest.Small[:2], vectorstest.Small[2:]},
		{Source{Name: base, Queries: 2}, vectorstest.Small[:1], vectorstest.Small[1:]},
		{Source{Name: base, Queries: 1, Limit: 1}, vectorstest.Small[:1], vectorstest.Small[1:2]},
		{Source{Name: base, QueryFile: queries}, vectorstest.Small, vectorstest.Small},
		{Source{Name: base, QueryFile: queries, Limit: 2, Queries: 1}, vectorstest.Small[:2], vectorstest.Small[:1]},
	} {
		d, err := Load(ctx, c.source)
		want := Data{Name: "base.fvecs", Metric: index.L2, Base: c.base, Queries: c.queries}
		if err != nil || !reflect.DeepEqual(d, want) {
			t.Errorf("%+v: %v, %v, want %v", c.source, d, err, want)
		}
	}
	if _, err := Load(ctx, Source{Name: base}); !errors.Is(err, ErrData) || !strings.Contains(err.Error(), "3 rows, of which 1000 are to be held out") {
		t.Error(err)
	}
	nan := put(t, "nan.fvecs", vectorstest.Fvecs([][]float32{{1}, {float32(math.NaN())}}))
	if _, err := Load(ctx, Source{Name: nan, Queries: 1}); !errors.Is(err, ErrData) || !strings.Contains(err.Error(), "nan.fvecs") {
		t.Error(err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := Load(cancelled, Source{Name: base, Queries: 1}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestSourceValidate(t *testing.T) {
	file := put(t, "a.fvecs", vectorstest.Fvecs(vectorstest.Small))
	folder := filepath.Join(t.TempDir(), "b.npy")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		source Source
		want   string
	}{
		{Source{Name: "minst"}, "use mnist, fashion-mnist, gmm, or the path of a .fvecs, .bvecs, .npy or .idx file"},
		{Source{Name: ""}, "use mnist, fashion-mnist, gmm"},
		{Source{Name: "nowhere.npy"}, "nowhere.npy: no such file"},
		{Source{Name: folder}, "a folder, want a file"},
		{Source{Name: file, QueryFile: "nowhere.fvecs"}, "nowhere.fvecs: no such file"},
		{Source{Name: file, QueryFile: "queries.txt"}, `"queries.txt"`},
		{Source{Name: MNIST, Queries: -1}, "-1 queries"},
		{Source{Name: MNIST, Queries: MaxQueries + 1}, "use 1 to 1000000"},
		{Source{Name: MNIST, Limit: -1}, "limit -1"},
		{Source{Name: MNIST, QueryFile: file}, "mnist has queries of its own"},
		{Source{Name: MNIST, Points: 5}, "they are for gmm"},
		{Source{Name: GMM, Raw: true}, "raw is for mnist and fashion-mnist"},
		{Source{Name: GMM, Dir: "x"}, "a folder of IDX files is for mnist and fashion-mnist"},
		{Source{Name: GMM, Points: -5}, "-5 points"},
		{Source{Name: GMM, Dimension: 4097}, "dimension 4097"},
		{Source{Name: GMM, Points: math.MaxInt}, "use at most 33554432"},
		{Source{Name: GMM, Points: 1 << 20, Dimension: 4096, Queries: 1}, "use at most 1048576 together"},
	} {
		if _, err := Load(context.Background(), c.source); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.source, err, c.want)
		}
	}
}

// fashion-mnist without a folder is Debian's, and where that is missing one error names both mends.
func TestFashionFolder(t *testing.T) {
	s := Source{Name: Fashion}
	s.SetDefaults()
	err := s.Validate()
	if _, missing := os.Stat(FashionDir); missing == nil {
		if err != nil || s.Dir != FashionDir {
			t.Errorf("%+v: %v", s, err)
		}
		return
	}
	if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "dataset-fashion-mnist") || !strings.Contains(err.Error(), "--data DIR") {
		t.Error(err)
	}
}

// A truth file takes the place of the scan, and is found out where it belongs to other data.
func TestTruthFile(t *testing.T) {
	ctx := context.Background()
	base := put(t, "base.fvecs", vectorstest.Fvecs([][]float32{{0, 1}, {0, 2}, {0, 4}, {0, 8}}))
	queries := put(t, "queries.fvecs", vectorstest.Fvecs([][]float32{{0, 0}, {0, 9}}))
	cosine := index.Cosine
	for _, c := range []struct {
		rows   []byte
		metric *index.Metric
		want   string // in the error
	}{
		{vectorstest.Ivecs([]int32{0, 1, 2}, []int32{3, 2, 1}), nil, ""},
		{vectorstest.Ivecs([]int32{1, 0, 3}, []int32{2, 3, 0}), nil, ""}, // k is 2: the same rows, the rest does not matter
		{vectorstest.Ivecs([]int32{0, 1}, []int32{3, 1}), nil, "neighbour 2 of query 1"},
		{vectorstest.Ivecs([]int32{0}, []int32{3}), nil, "names 1 rows, k is 2"},
		{vectorstest.Ivecs([]int32{0, 1}), nil, "a truth for 1 queries, there are 2"},
		{vectorstest.Ivecs([]int32{0, 4}, []int32{3, 1}), nil, "names row 4"},
		{vectorstest.Ivecs([]int32{0, -1}, []int32{3, 1}), nil, "names row -1"},
		{vectorstest.Ivecs([]int32{0, 0}, []int32{3, 1}), nil, "or twice"},
		{vectorstest.Ivecs([]int32{0, 1}, []int32{3, 2}), &cosine, "query 0 is zero, which has no cosine"},
		{[]byte{2, 0, 0, 0, 1}, nil, "truth.ivecs: unusable data: row 0: the file ends within its 2 values"},
	} {
		d, err := Load(ctx, Source{Name: base, QueryFile: queries, TruthFile: put(t, "truth.ivecs", c.rows), Metric: c.metric})
		var found *truth
		if err == nil {
			found, err = findTruth(ctx, d, 2, 1)
		}
		if c.want != "" {
			if !errors.Is(err, ErrData) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []float64{2, 5} {
			if math.Abs(found.edge[i]-want) > 1e-5 {
				t.Errorf("query %d: edge %v, want %v", i, found.edge[i], want)
			}
		}
	}
	for _, s := range []Source{
		{Name: base, Queries: 1, TruthFile: "t.ivecs"},
		{Name: base, QueryFile: queries, Limit: 2, TruthFile: "t.ivecs"},
		{Name: base, QueryFile: queries, TruthFile: "t.fvecs"},
		{Name: GMM, TruthFile: "t.ivecs"},
	} {
		if _, err := Load(ctx, s); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "truth file") {
			t.Errorf("%+v: %v", s, err)
		}
	}
	if _, err := Load(ctx, Source{Name: base, QueryFile: queries, TruthFile: "nowhere.ivecs"}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
