package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/akin-search/akin/index"
	"github.com/akin-search/akin/train/vectors"
)

var (
	// ErrData is wrapped by every error about the content of a data set.
	ErrData = errors.New("unusable data")
	// ErrInvalid is wrapped by every error about an option outside its limits.
	ErrInvalid = errors.New("invalid option")
)

// Data is what a benchmark runs on. Rows all have the same dimension and are finite; nobody writes to them.
type Data struct {
	Name    string
	Metric  index.Metric
	Base    [][]float32 // what is indexed; the id of a row is its number
	Queries [][]float32 // what is asked
	// Truth names the nearest rows of the base for each query, nearest first, where a file says so; nil where they are to be found.
	Truth [][]int32
}

// Names of the built-in data sets. Any other name is the path of a file.
const (
	MNIST   = "mnist"
	Fashion = "fashion-mnist"
	GMM     = "gmm"
)

// Limits and defaults of Source.
const (
	DefaultQueries   = 1000
	DefaultPoints    = 200_000
	DefaultDimension = 128

	MaxQueries = 1_000_000
	maxValues  = 1 << 32 // float32s of generated data: 16 GiB
)

// FashionDir is where Debian's package dataset-fashion-mnist puts its files.
const FashionDir = "/usr/share/datasets/fashion-mnist"

// Source says which data to load. Zero means the default, where there is one.
type Source struct {
	// Name is mnist, fashion-mnist, gmm, or the path of a file: .fvecs, .bvecs, .npy (float16, float32, float64 or bytes, two
	// dimensions) or .idx (images of unsigned bytes; also under its usual name ending in idx3-ubyte, gzipped or not).
	Name string
	// Metric compares the vectors. nil is the data set's own: Cosine for reduced images, else L2, which for rows of unit length
	// ranks as the cosine does.
	Metric *index.Metric
	// Dir holds the four IDX files of mnist or fashion-mnist. "" is the copy in the module cache for mnist, FashionDir for
	// fashion-mnist.
	Dir string
	// Queries is how many queries to take, default DefaultQueries: the first test images; for a file, the last rows that were read,
	// which are then not part of the base; for gmm, as many more draws.
	Queries int
	// QueryFile holds the queries for a base that is a file: all its rows, or the first Queries of them where that is set.
	QueryFile string
	// TruthFile holds the nearest rows of each query (.ivecs, nearest first), which are then not searched for. It goes with a base
	// and a QueryFile that are files, and with the whole of the base.
	TruthFile string
	// Limit takes only the first rows of the base, 0 for all.
	Limit int
	// Raw leaves mnist and fashion-mnist at their 784 pixels and compares them by L2.
	Raw bool
	// Points and Dimension of gmm, default DefaultPoints and DefaultDimension.
	Points, Dimension int
	// Seed of gmm.
	Seed uint64
}

// SetDefaults fills the zero fields that have a default.
func (s *Source) SetDefaults() {
	if s.Queries == 0 && s.QueryFile == "" {
		s.Queries = DefaultQueries
	}
	if info, err := os.Stat(FashionDir); s.Name == Fashion && s.Dir == "" && err == nil && info.IsDir() {
		s.Dir = FashionDir
	}
	if s.Name == GMM {
		if s.Points == 0 {
			s.Points = DefaultPoints
		}
		if s.Dimension == 0 {
			s.Dimension = DefaultDimension
		}
	}
}

// Validate reports the first field that is outside its limits or means nothing for this data set.
func (s *Source) Validate() error {
	digits := s.Name == MNIST || s.Name == Fashion
	file := !digits && s.Name != GMM
	switch {
	case s.Queries < 0 || s.Queries > MaxQueries:
		return fmt.Errorf("%d queries: %w: use 1 to %d", s.Queries, ErrInvalid, MaxQueries)
	case s.Limit < 0:
		return fmt.Errorf("limit %d: %w: use 1 or more, or 0 for all points", s.Limit, ErrInvalid)
	case s.Raw && !digits:
		return fmt.Errorf("raw: %w: %s is not reduced anyway; raw is for %s and %s", ErrInvalid, s.Name, MNIST, Fashion)
	case s.Dir != "" && !digits:
		return fmt.Errorf("folder %q: %w: %s needs none; a folder of IDX files is for %s and %s", s.Dir, ErrInvalid, s.Name, MNIST, Fashion)
	case s.Dir == "" && s.Name == Fashion:
		return fmt.Errorf("%s: %w: no folder; install Debian's package dataset-fashion-mnist (it goes to %s), or pass --data DIR with "+
			"the four IDX files {train,t10k}-{images-idx3,labels-idx1}-ubyte[.gz] of github.com/zalandoresearch/fashion-mnist",
			s.Name, ErrInvalid, FashionDir)
	case s.QueryFile != "" && !file:
		return fmt.Errorf("query file %q: %w: %s has queries of its own; say how many instead", s.QueryFile, ErrInvalid, s.Name)
	case s.TruthFile != "" && (s.QueryFile == "" || s.Limit > 0):
		return fmt.Errorf("truth file %q: %w: it names rows of a whole base for queries in an order; name a file of queries too, and set no limit",
			s.TruthFile, ErrInvalid)
	case s.TruthFile != "" && !strings.HasSuffix(strings.ToLower(s.TruthFile), ".ivecs"):
		return fmt.Errorf("truth file %q: %w: use a .ivecs file", s.TruthFile, ErrInvalid)
	case s.Name != GMM && (s.Points != 0 || s.Dimension != 0):
		return fmt.Errorf("points and dimension: %w: they are for %s; %s is as large as it is, limit takes its first points", ErrInvalid, GMM, s.Name)
	case s.Name == GMM && s.Points < 1:
		return fmt.Errorf("%d points: %w: use 1 or more", s.Points, ErrInvalid)
	case s.Name == GMM && (s.Dimension < 1 || s.Dimension > index.MaxDimension):
		return fmt.Errorf("dimension %d: %w: use 1 to %d", s.Dimension, ErrInvalid, index.MaxDimension)
	case s.Name == GMM && s.Points > maxValues/s.Dimension-s.Queries:
		return fmt.Errorf("%d points and %d queries of %d dimensions: %w: use at most %d together",
			s.Points, s.Queries, s.Dimension, ErrInvalid, maxValues/s.Dimension)
	}
	if !file {
		return nil
	}
	if _, err := readerOf(s.Name); err != nil {
		return err
	}
	if s.QueryFile != "" {
		if _, err := readerOf(s.QueryFile); err != nil {
			return err
		}
	}
	for _, path := range []string{s.Name, s.QueryFile, s.TruthFile} {
		if path == "" {
			continue
		}
		if info, err := os.Stat(path); err != nil {
			return err
		} else if info.IsDir() {
			return fmt.Errorf("%s: %w: a folder, want a file", path, ErrData)
		}
	}
	return nil
}

// Load reads or draws the data. It stops when ctx ends.
func Load(ctx context.Context, s Source) (Data, error) {
	s.SetDefaults()
	if err := s.Validate(); err != nil {
		return Data{}, err
	}
	var d Data
	var err error
	switch s.Name {
	case MNIST, Fashion:
		d, err = loadDigits(ctx, s)
	case GMM:
		d, err = drawMixture(ctx, s)
	default:
		d, err = loadFiles(ctx, s)
	}
	if err != nil {
		return Data{}, err
	}
	if s.Metric != nil {
		d.Metric = *s.Metric
	}
	return d, d.Validate()
}

// loadFiles reads a base, and its queries from their own file or from the end of the base.
func loadFiles(ctx context.Context, s Source) (Data, error) {
	d := Data{Name: filepath.Base(s.Name), Metric: index.L2}
	var err error
	if s.QueryFile != "" {
		if d.Base, err = readFile(ctx, s.Name, s.Limit); err != nil {
			return Data{}, err
		}
		if d.Queries, err = readFile(ctx, s.QueryFile, s.Queries); err != nil || s.TruthFile == "" {
			return d, err
		}
		d.Truth, err = streamed(vectors.Ivecs)(ctx, s.TruthFile, len(d.Queries))
		return d, err
	}
	most := 0
	if s.Limit > 0 {
		most = s.Limit + s.Queries
	}
	rows, err := readFile(ctx, s.Name, most)
	if err != nil {
		return Data{}, err
	}
	if len(rows) <= s.Queries {
		return Data{}, fmt.Errorf("%s: %w: %d rows, of which %d are to be held out as queries: hold out fewer, or name a file of queries",
			s.Name, ErrData, len(rows), s.Queries)
	}
	n := len(rows) - s.Queries
	d.Base, d.Queries = rows[:n:n], rows[n:]
	return d, nil
}

// Dimension returns the components of a row, 0 where there is none.
func (d Data) Dimension() int {
	if len(d.Base) == 0 {
		return 0
	}
	return len(d.Base[0])
}

// Validate returns an error wrapping ErrData unless there are points and queries, all of one dimension and finite, that the metric
// can compare, and the truth, where there is one, names rows of the base for every query.
func (d Data) Validate() error {
	if len(d.Base) == 0 || len(d.Queries) == 0 {
		return fmt.Errorf("%s: %w: %d points and %d queries, want some of both", d.Name, ErrData, len(d.Base), len(d.Queries))
	}
	dim := d.Dimension()
	if dim < 1 || dim > index.MaxDimension {
		return fmt.Errorf("%s: %w: vectors of %d components, want 1 to %d", d.Name, ErrData, dim, index.MaxDimension)
	}
	for _, part := range []struct {
		name string
		rows [][]float32
	}{{"point", d.Base}, {"query", d.Queries}} {
		for i, v := range part.rows {
			if len(v) != dim {
				return fmt.Errorf("%s: %w: %s %d has %d components, point 0 has %d", d.Name, ErrData, part.name, i, len(v), dim)
			}
			zero := true
			for j, x := range v {
				if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
					return fmt.Errorf("%s: %w: %s %d, component %d is %v", d.Name, ErrData, part.name, i, j, x)
				}
				zero = zero && x == 0
			}
			if zero && d.Metric == index.Cosine {
				return fmt.Errorf("%s: %w: %s %d is zero, which has no cosine: leave it out, or compare by l2", d.Name, ErrData, part.name, i)
			}
		}
	}
	return d.checkTruth()
}

func (d Data) checkTruth() error {
	if d.Truth == nil {
		return nil
	}
	if len(d.Truth) != len(d.Queries) {
		return fmt.Errorf("%s: %w: a truth for %d queries, there are %d", d.Name, ErrData, len(d.Truth), len(d.Queries))
	}
	for i, rows := range d.Truth {
		seen := make(map[int32]bool, len(rows))
		for _, row := range rows {
			if row < 0 || int(row) >= len(d.Base) || seen[row] {
				return fmt.Errorf("%s: %w: the truth of query %d names row %d, which is none of %d, or twice", d.Name, ErrData, i, row, len(d.Base))
			}
			seen[row] = true
		}
	}
	return nil
}
