package index

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestParseQuantization(t *testing.T) {
	for _, q := range quantizations {
		if got, err := ParseQuantization(q.String()); got != q || err != nil {
			t.Errorf("%q: %q, %v", q, got, err)
		}
	}
	if got, err := ParseQuantization("auto"); got != QuantizationAuto || err != nil {
		t.Errorf("auto: %q, %v", got, err)
	}
	for _, name := range []string{"", "int3", "Float32"} {
		if got, err := ParseQuantization(name); got != "" || !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "use one of float32") {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
}

func TestPickQuantization(t *testing.T) {
	for _, c := range []struct {
		asked     Quantization
		engine    Engine
		dimension int
		want      Quantization
	}{
		{"", EngineGraph, 64, QuantizationFloat32},
		{QuantizationAuto, EngineGraph, 64, QuantizationInt8},
		{QuantizationAuto, EngineGraph, codesFrom - 1, QuantizationFloat32},
		{QuantizationAuto, EngineFlat, 64, QuantizationFloat32},
		{QuantizationInt8Disk, EngineGraph, 3, QuantizationInt8Disk},
	} {
		if got := c.asked.Pick(c.engine, c.dimension); got != c.want {
			t.Errorf("%q of %s with %d dimensions is %s, want %s", c.asked, c.engine, c.dimension, got, c.want)
		}
	}
	dir := t.TempDir()
	s := openStore(t, dir)
	c, err := s.Create("c", Config{Dimension: 64, Quantization: QuantizationAuto})
	must(t, err)
	if got := c.Config().Quantization; got != QuantizationInt8 {
		t.Errorf("the collection's quantization is %q", got)
	}
	s = reopen(t, s, dir)
	if got := collectionOf(t, s, "c").Config().Quantization; got != QuantizationInt8 {
		t.Errorf("the reopened collection's quantization is %q", got)
	}
}

func TestQuantizationRefused(t *testing.T) {
	for _, o := range []Options{
		{Dimension: 8, Quantization: "int3"},
		{Dimension: 8, Quantization: QuantizationInt8Disk},
		{Dimension: 8, Quantization: QuantizationInt8, Engine: EngineFlat},
		{Dimension: 8, Quantization: QuantizationInt8, Engine: EngineCoder},
	} {
		if _, err := New(o); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "use ") || !strings.Contains(err.Error(), o.Quantization.String()) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// TestQuantizedTightClusters: where neighbours lie closer than the codes can tell, a greater ef finds them all the same.
func TestQuantizedTightClusters(t *testing.T) {
	const dim, n = 64, 3000
	for _, metric := range []Metric{Cosine, L2} {
		v := clusters(rand.New(rand.NewPCG(4, 4)), n+200, dim, 10, 0.03)
		g := graphOf(t, Options{Dimension: dim, Metric: metric, Quantization: QuantizationInt8})
		must(t, g.Upsert(numbered(n), v[:n]))
		if recall := recallOf(t, g, v[n:], Params{EF: 200}); recall < 0.995 {
			t.Errorf("%v: recall@10 is %.4f, want 0.995", metric, recall)
		}
	}
}

// TestQuantizedGraphs: what holds for float32 holds with codes. The graph does not depend on threads, survives churn, and finds
// as much as the graph of float32; what it returns has true distances (package indextest).
func TestQuantizedGraphs(t *testing.T) {
	const dim = 48
	n := smaller(6000)
	for _, metric := range []Metric{Cosine, L2, Dot} {
		v := clusters(rand.New(rand.NewPCG(6, 6)), 2*n+300, dim, 40, 0.6)
		if metric == L2 { // far from the origin
			for _, x := range v {
				for i := range x {
					x[i] += 50
				}
			}
		}
		ids := numbered(n)
		build := func(q Quantization, threads int) *graph {
			g := graphOf(t, Options{Dimension: dim, Metric: metric, Quantization: q, Threads: threads, Seed: 5})
			must(t, g.Upsert(ids, v[:n]))
			must(t, g.Delete(ids[:n/3]))
			must(t, g.Upsert(ids[:n/3], v[n:n+n/3]))
			checkGraph(t, g)
			return g
		}
		plain, a, b := build(QuantizationFloat32, 2), build(QuantizationInt8, 1), build(QuantizationInt8, 3)
		if !slices.Equal(a.links, b.links) || !slices.EqualFunc(a.codeSections(), b.codeSections(), bytes.Equal) {
			t.Errorf("%v: threads change the graph", metric)
		}
		want, got := recallOf(t, plain, v[2*n:], Params{}), recallOf(t, a, v[2*n:], Params{})
		t.Logf("%v: recall@10 %.4f, of float32 %.4f", metric, got, want)
		if got < want-0.005 {
			t.Errorf("%v: recall@10 %.4f, of float32 %.4f", metric, got, want)
		}
	}
}
