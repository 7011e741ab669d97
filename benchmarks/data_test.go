package benchmarks

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/akin-search/akin/encoder/kernel"
	"github.com/akin-search/akin/index"
)

// PCA of data with known axes: columns of falling width, turned by a rotation of the first two.
func TestPCA(t *testing.T) {
	const seed, n, d, components = 3, 5000, 20, 5
	rng := rand.New(rand.NewPCG(seed, 0))
	x := kernel.NewMatrix(n, d)
	sin, cos := math.Sincos(0.7)
	for i := range n {
		row := x.Row(i)
		for j := range row {
			row[j] = float32(rng.NormFloat64() * math.Pow(0.6, float64(j)))
		}
		a, b := float64(row[0]), float64(row[1])
		row[0], row[1] = float32(cos*a-sin*b)+100, float32(sin*a+cos*b)-7
	}
	p, err := fitPCA(context.Background(), x, components)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(float64(p.mean[0])-100) > 0.1 || math.Abs(float64(p.mean[1])+7) > 0.1 {
		t.Errorf("mean %v", p.mean)
	}
	first := p.axes.Row(0)
	if got := math.Abs(float64(first[0])*cos + float64(first[1])*sin); got < 0.999 {
		t.Errorf("first axis %v: cosine %v with the widest direction", first, got)
	}
	for a := range components {
		for b := range components {
			sum := 0.0
			for j, v := range p.axes.Row(a) {
				sum += float64(v) * float64(p.axes.Row(b)[j])
			}
			want := 0.0
			if a == b {
				want = 1
			}
			if math.Abs(sum-want) > 1e-5 {
				t.Errorf("axes %d and %d: product %v", a, b, sum)
			}
		}
	}
	y := p.project(x)
	for a := range components { // coordinates do not covary, have mean 0 and the widths of the columns
		for b := range a + 1 {
			mean, covariance := 0.0, 0.0
			for i := range n {
				mean += float64(y.Row(i)[a]) / n
				covariance += float64(y.Row(i)[a]) * float64(y.Row(i)[b]) / n
			}
			want := 0.0
			if a == b {
				want = math.Pow(0.36, float64(a))
			}
			if math.Abs(mean) > 1e-4 || math.Abs(covariance-want) > 0.1*want+1e-4 {
				t.Errorf("seed %d: coordinate %d: mean %v, covariance with %d %v, want %v", seed, a, mean, b, covariance, want)
			}
		}
	}
	again, err := fitPCA(context.Background(), x, components)
	if err != nil || !reflect.DeepEqual(again, p) {
		t.Errorf("the same data gave other axes, %v", err)
	}
	if _, err := fitPCA(context.Background(), kernel.Matrix{Rows: 5, Cols: d, Data: x.Data[:5*d]}, 5); !errors.Is(err, ErrData) {
		t.Error(err)
	}
}

func TestMixture(t *testing.T) {
	ctx := context.Background()
	source := Source{Name: GMM, Points: 3000, Dimension: 12, Queries: 40, Seed: 5}
	d, err := Load(ctx, source)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Base) != 3000 || len(d.Queries) != 40 || d.Dimension() != 12 || d.Metric != index.L2 || d.Name != GMM {
		t.Fatalf("%d points, %d queries, %d dimensions, %v, %q", len(d.Base), len(d.Queries), d.Dimension(), d.Metric, d.Name)
	}
	if again, err := Load(ctx, source); err != nil || !reflect.DeepEqual(again, d) {
		t.Errorf("the same seed gave other data, %v", err)
	}
	limited := source
	limited.Limit = 100
	if l, err := Load(ctx, limited); err != nil || !reflect.DeepEqual(l.Base, d.Base[:100]) || !reflect.DeepEqual(l.Queries, d.Queries) {
		t.Errorf("the first 100 points are others, %v", err)
	}
	source.Seed++
	if other, err := Load(ctx, source); err != nil || reflect.DeepEqual(other.Base, d.Base) {
		t.Errorf("another seed gave the same data, %v", err)
	}
	variance := 0.0 // of a component: centres 1, clusters mixtureSpread²
	for _, v := range d.Base {
		variance += float64(v[0]) * float64(v[0]) / float64(len(d.Base))
	}
	if variance < 0.8 || variance > 1.8 {
		t.Errorf("variance of component 0 is %v, want about 1.25", variance)
	}
}

// digitFolder writes the four files of n training and m test images of 10×9 pixels.
func digitFolder(t *testing.T, n, m int) string {
	t.Helper()
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(11, 0))
	for stem, count := range map[string]int{"train": n, "t10k": m} {
		images := idx(count, 10, 9)
		for i := range images[16:] {
			images[16+i] = byte(rng.IntN(256))
		}
		labels := binary.BigEndian.AppendUint32([]byte{0, 0, 8, 1}, uint32(count))
		labels = append(labels, make([]byte, count)...)
		for name, b := range map[string][]byte{stem + "-images-idx3-ubyte.gz": zipped(images), stem + "-labels-idx1-ubyte.gz": zipped(labels)} {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

func TestDigits(t *testing.T) {
	ctx := context.Background()
	dir := digitFolder(t, 300, 20)
	d, err := Load(ctx, Source{Name: Fashion, Dir: dir, Queries: 15})
	if err != nil {
		t.Fatal(err)
	}
	if d.Name != Fashion || d.Metric != index.Cosine || len(d.Base) != 300 || len(d.Queries) != 15 || d.Dimension() != 64 {
		t.Errorf("%q, %v, %d points, %d queries, %d dimensions", d.Name, d.Metric, len(d.Base), len(d.Queries), d.Dimension())
	}
	for c := range 64 { // centred
		mean := 0.0
		for _, v := range d.Base {
			mean += float64(v[c]) / 300
		}
		if math.Abs(mean) > 1e-4 {
			t.Errorf("component %d has mean %v", c, mean)
		}
	}
	raw, err := Load(ctx, Source{Name: MNIST, Dir: dir, Queries: 15, Raw: true, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	if raw.Name != "mnist-raw" || raw.Metric != index.L2 || len(raw.Base) != 100 || raw.Dimension() != 90 {
		t.Errorf("%q, %v, %d points, %d dimensions", raw.Name, raw.Metric, len(raw.Base), raw.Dimension())
	}
	for _, v := range raw.Base {
		for _, x := range v {
			if x < 0 || x > 1 {
				t.Fatalf("pixel %v", x)
			}
		}
	}
	for want, s := range map[string]Source{
		"mnist has 20 test images": {Name: MNIST, Dir: dir, Queries: 21},
		"take more points":         {Name: MNIST, Dir: dir, Queries: 5, Limit: 64},
		"the four IDX files":       {Name: Fashion, Dir: t.TempDir()},
	} {
		if _, err := Load(ctx, s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := Load(cancelled, Source{Name: MNIST, Dir: dir, Queries: 5}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
