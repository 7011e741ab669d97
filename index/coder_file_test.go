package index

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand"
	randv2 "math/rand/v2"
	"strings"
	"testing"

	"github.com/coder/hnsw"
)

// coderGraph makes a graph of the library's own.
func coderGraph(t testing.TB, distance hnsw.DistanceFunc, n, dim int) (*hnsw.Graph[string], map[string][]float32) {
	t.Helper()
	g := hnsw.NewGraph[string]()
	g.Distance, g.Rng = distance, rand.New(rand.NewSource(1))
	vectors := map[string][]float32{}
	for i, v := range spread(randv2.New(randv2.NewPCG(12, 12)), n, dim, true) {
		id := fmt.Sprintf("key %d ü", i)
		vectors[id] = v
		g.Add(hnsw.MakeNode(id, v))
	}
	return g, vectors
}

func exported(t testing.TB, g *hnsw.Graph[string]) []byte {
	t.Helper()
	var b bytes.Buffer
	must(t, g.Export(&b))
	return b.Bytes()
}

// TestCoderImport reads what the library saved.
func TestCoderImport(t *testing.T) {
	for name, c := range map[string]struct {
		distance hnsw.DistanceFunc
		metric   Metric
	}{"cosine": {hnsw.CosineDistance, Cosine}, "euclidean": {hnsw.EuclideanDistance, L2}} {
		t.Run(name, func(t *testing.T) {
			const n, dim = 400, 9
			g, want := coderGraph(t, c.distance, n, dim)
			for i := range 30 { // leaves links to keys that are gone
				g.Delete(fmt.Sprintf("key %d ü", i))
				delete(want, fmt.Sprintf("key %d ü", i))
			}
			file := exported(t, g)
			got := map[string][]float32{}
			info, err := ReadCoder(bytes.NewReader(file), func(id string, v []float32) error {
				got[id] = append([]float32(nil), v...)
				return nil
			})
			must(t, err)
			if info.Metric != c.metric || info.Dimension != dim || info.Points != n-30 || info.M != 16 || info.Layers < 2 {
				t.Errorf("%+v", info)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Error("other vectors came than were saved")
			}
			stop := errors.New("enough")
			if _, err := ReadCoder(bytes.NewReader(file), func(string, []float32) error { return stop }); !errors.Is(err, stop) {
				t.Errorf("each's error becomes %v", err)
			}
			if info, err := ReadCoder(iotestOneByte{bytes.NewReader(file)}, nil); err != nil || info.Points != n-30 {
				t.Errorf("byte by byte: %+v, %v", info, err)
			}
		})
	}
	empty, err := ReadCoder(bytes.NewReader(exported(t, hnsw.NewGraph[string]())), nil)
	if err != nil || empty != (CoderGraph{Metric: Cosine, M: 16}) {
		t.Errorf("an empty graph: %+v, %v", empty, err)
	}
}

// iotestOneByte reads a byte at a time.
type iotestOneByte struct{ io.Reader }

func (r iotestOneByte) Read(p []byte) (int, error) { return r.Reader.Read(p[:min(1, len(p))]) }

// TestCoderExport hands collections to the library and back.
func TestCoderExport(t *testing.T) {
	s := openStore(t, t.TempDir())
	const n, dim = 700, 9
	v := spread(randv2.New(randv2.NewPCG(13, 13)), n, dim, true)
	for i := range 60 {
		v[i] = v[0] // equal vectors
	}
	for _, m := range []Metric{Cosine, L2} {
		for _, e := range []Engine{EngineGraph, EngineFlat} {
			c, err := s.Create(fmt.Sprintf("%v-%v", m, e), Config{Dimension: dim, Metric: m, Engine: e, Seed: 4})
			must(t, err)
			fill(t, c, 0, v)
			must(t, c.Delete(ctx, []string{"3", "99"}))
			var b, again bytes.Buffer
			must(t, c.ExportCoder(ctx, &b))
			must(t, c.ExportCoder(ctx, &again))
			if !bytes.Equal(b.Bytes(), again.Bytes()) {
				t.Errorf("%s: two exports differ", c.Name())
			}
			g := hnsw.NewGraph[string]()
			g.Rng = rand.New(rand.NewSource(2))
			must(t, g.Import(bytes.NewReader(b.Bytes())))
			if g.Len() != n-2 || g.Dims() != dim {
				t.Fatalf("%s: the library has %d points of %d dimensions", c.Name(), g.Len(), g.Dims())
			}
			points, err := c.Get("0", "1", "5", "42", "699")
			must(t, err)
			for _, p := range points {
				if w, ok := g.Lookup(p.ID); !ok || fmt.Sprint(w) != fmt.Sprint(p.Vector) {
					t.Errorf("%s: point %s is %v, was %v", c.Name(), p.ID, w, p.Vector)
				}
			}
			var found tally
			for i := 100; i < n; i += 7 {
				nearest, err := c.Search(ctx, v[i], 10, Params{Exact: true})
				must(t, err)
				var hits []Hit
				for _, node := range g.Search(v[i], 100) {
					hits = append(hits, Hit{ID: node.Key, Distance: float32(math.Inf(1))})
				}
				found.add(matches(hits, nearest), 10)
			}
			t.Logf("%s: of its 100 hits the library has %.3f of the 10 nearest", c.Name(), found.recall())
			if found.recall() < 0.8 {
				t.Errorf("%s: of its 100 hits the library has %.3f of the 10 nearest", c.Name(), found.recall())
			}
			g.Add(hnsw.MakeNode("new", points[0].Vector)) // it can go on with it
			g.Delete("5")
			info, err := ReadCoder(bytes.NewReader(exported(t, g)), nil)
			if err != nil || info.Points != n-2 || info.Metric != m {
				t.Errorf("%s: back again: %+v, %v", c.Name(), info, err)
			}
		}
	}
	c, err := s.Create("dot", Config{Dimension: 3, Metric: Dot})
	must(t, err)
	if err := c.ExportCoder(ctx, io.Discard); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "dot") {
		t.Errorf("dot: %v", err)
	}
	c, err = s.Create("empty", Config{Dimension: 3})
	must(t, err)
	var b bytes.Buffer
	must(t, c.ExportCoder(ctx, &b))
	must(t, hnsw.NewGraph[string]().Import(bytes.NewReader(b.Bytes())))
	full := errors.New("disk full")
	if err := collectionOf(t, s, "l2-flat").ExportCoder(ctx, failingWriter{full}); !errors.Is(err, full) {
		t.Errorf("a writer's error becomes %v", err)
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

// coderBytes makes a file by hand.
func coderBytes(version, m int, ml float64, ef int, distance string, rest ...any) []byte {
	var b []byte
	num := func(n int) { b = binary.AppendVarint(b, int64(n)) }
	num(version)
	num(m)
	b = binary.LittleEndian.AppendUint64(b, math.Float64bits(ml))
	num(ef)
	num(len(distance))
	b = append(b, distance...)
	for _, x := range rest {
		switch x := x.(type) {
		case int:
			num(x)
		case string:
			num(len(x))
			b = append(b, x...)
		case []float32:
			num(len(x))
			for _, f := range x {
				b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
			}
		}
	}
	return b
}

func TestCoderBad(t *testing.T) {
	v := []float32{1, 2}
	good := coderBytes(1, 16, 0.25, 20, "cosine", 2, 2, "a", v, 1, "b", "b", v, 1, "gone", 1, "a", v, 0)
	if info, err := ReadCoder(bytes.NewReader(good), nil); err != nil || info.Points != 2 || info.Layers != 2 {
		t.Fatalf("%+v, %v", info, err)
	}
	huge := 1 << 40
	for text, c := range map[string]struct {
		want error
		file []byte
	}{
		"version 2":              {ErrFormat, coderBytes(2, 16, 0.25, 20, "cosine", 0)},
		"M 0":                    {ErrCorrupt, coderBytes(1, 0, 0.25, 20, "cosine", 0)},
		"Ml NaN":                 {ErrCorrupt, coderBytes(1, 16, math.NaN(), 20, "cosine", 0)},
		"EfSearch -1":            {ErrCorrupt, coderBytes(1, 16, 0.25, -1, "cosine", 0)},
		`distance "manhattan"`:   {ErrInvalid, coderBytes(1, 16, 0.25, 20, "manhattan", 0)},
		"layers 65":              {ErrCorrupt, coderBytes(1, 16, 0.25, 20, "cosine", 65)},
		"nodes -1":               {ErrCorrupt, coderBytes(1, 16, 0.25, 20, "cosine", 1, -1)},
		"length of a key":        {ErrCorrupt, coderBytes(1, 16, 0.25, 20, "cosine", 1, 1, huge)},
		"components":             {ErrCorrupt, coderBytes(1, 16, 0.25, 20, "cosine", 1, 1, "a", huge)},
		"neighbours":             {ErrCorrupt, coderBytes(1, 16, 0.25, 20, "cosine", 1, 1, "a", v, huge)},
		"neighbour's key":        {ErrCorrupt, coderBytes(1, 16, 0.25, 20, "cosine", 1, 1, "a", v, 1, -5)},
		"twice":                  {ErrCorrupt, coderBytes(1, 16, 0.25, 20, "cosine", 1, 2, "a", v, 0, "a", v, 0)},
		"not in the layer below": {ErrCorrupt, coderBytes(1, 16, 0.25, 20, "cosine", 2, 1, "a", v, 0, 1, "b", v, 0)},
		"more follows":           {ErrCorrupt, append(coderBytes(1, 16, 0.25, 20, "cosine", 0), 0)},
		"empty id":               {ErrInvalid, coderBytes(1, 16, 0.25, 20, "cosine", 1, 1, "", v, 0)},
		"are the keys strings":   {ErrInvalid, coderBytes(1, 16, 0.25, 20, "cosine", 1, 1, "\xff", v, 0)},
		"others 2":               {ErrDimension, coderBytes(1, 16, 0.25, 20, "cosine", 1, 2, "a", v, 0, "b", []float32{1}, 0)},
		"zero vector":            {ErrZeroVector, coderBytes(1, 16, 0.25, 20, "cosine", 1, 1, "a", []float32{0, 0}, 0)},
		"component 1":            {ErrNotFinite, coderBytes(1, 16, 0.25, 20, "euclidean", 1, 1, "a", []float32{0, float32(math.NaN())}, 0)},
		"overflow":               {ErrCorrupt, bytes.Repeat([]byte{0xff}, 100)},
	} {
		if _, err := ReadCoder(bytes.NewReader(c.file), nil); !errors.Is(err, c.want) || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for n := range good {
		if _, err := ReadCoder(bytes.NewReader(good[:n]), nil); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "too early") {
			t.Errorf("cut at byte %d: %v", n, err)
		}
	}
	ints := hnsw.NewGraph[int]()
	ints.Rng = rand.New(rand.NewSource(3))
	for i, v := range spread(randv2.New(randv2.NewPCG(14, 14)), 50, 4, true) {
		ints.Add(hnsw.MakeNode(i, v))
	}
	var b bytes.Buffer
	must(t, ints.Export(&b))
	if _, err := ReadCoder(&b, nil); err == nil || !strings.Contains(err.Error(), "string") {
		t.Errorf("integer keys: %v", err)
	}
	broken := errors.New("broken disk")
	if _, err := ReadCoder(io.MultiReader(bytes.NewReader(good[:20]), failingReader{broken}), nil); !errors.Is(err, broken) {
		t.Errorf("a reader's error becomes %v", err)
	}
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

// FuzzReadCoder: whatever is read, there is no panic; and what is accepted the library reads as well, with as many points.
func FuzzReadCoder(f *testing.F) {
	g, _ := coderGraph(f, hnsw.CosineDistance, 20, 3)
	f.Add(exported(f, g))
	g, _ = coderGraph(f, hnsw.EuclideanDistance, 6, 1)
	f.Add(exported(f, g))
	f.Add(coderBytes(1, 16, 0.25, 20, "cosine", 2, 1, "a", []float32{1}, 1, "b", 1, "a", []float32{1}, 0))
	f.Add(coderBytes(1, 2, 1, 0, "euclidean", 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		info, err := ReadCoder(bytes.NewReader(b), func(id string, v []float32) error {
			n++
			return nil
		})
		if err != nil {
			return
		}
		g := hnsw.NewGraph[string]()
		if err := g.Import(bytes.NewReader(b)); err != nil || g.Len() != info.Points || n != info.Points {
			t.Fatalf("%+v with %d points; the library has %d, %v", info, n, g.Len(), err)
		}
	})
}
