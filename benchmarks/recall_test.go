package benchmarks

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/akin-search/akin/index"
)

func smallMixture(t testing.TB) Data {
	t.Helper()
	d, err := Load(context.Background(), Source{Name: GMM, Points: 1500, Dimension: 16, Queries: 50, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// smallReport measures all engines on a small mixture.
func smallReport(t testing.TB) Report {
	t.Helper()
	r, err := Recall(context.Background(), smallMixture(t), Options{EF: []int{64, 5, 16, 10}, Rounds: 1})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRecall(t *testing.T) {
	r := smallReport(t)
	if r.Dataset != GMM || r.K != 10 || r.Queries != 50 || r.Points != 1500 || r.Dimension != 16 || r.Metric != index.L2 || r.CPU == "" || r.Threads < 1 {
		t.Errorf("%+v", r)
	}
	if len(r.Engines) != 3 {
		t.Fatalf("%d engines", len(r.Engines))
	}
	for i, want := range []struct {
		engine index.Engine
		ef     []int
		recall float64 // at the last ef
	}{
		{index.EngineGraph, []int{10, 16, 64}, 0.95}, // 5 counts as k
		{index.EngineCoder, []int{10, 16, 64}, 0.1},
		{index.EngineFlat, []int{0}, 1},
	} {
		e := r.Engines[i]
		if e.Engine != want.engine || e.Quantization != "float32" || e.BytesPerVector < 16*4 || e.BytesPerVector > 2000 || e.BuildSeconds < 0 {
			t.Errorf("%+v", e)
		}
		if best := slices.MaxFunc(e.Curve, func(a, b Point) int { return cmp.Compare(a.Recall, b.Recall) }); e.MaxRecall != best.Recall {
			t.Errorf("%s: max_recall %v, the curve has %v", e.Engine, e.MaxRecall, best.Recall)
		}
		var efs []int
		for _, p := range e.Curve {
			efs = append(efs, p.EF)
			if p.Recall < 0 || p.Recall > 1 || p.QPS <= 0 || p.P50 <= 0 || p.P99 < p.P50 {
				t.Errorf("%s: %+v", e.Engine, p)
			}
			if mean := 1e6 / p.QPS; mean < p.P50/3 || mean > p.P99*50 {
				t.Errorf("%s: %+v: the mean of %.1f µs does not go with p50 and p99", e.Engine, p, mean)
			}
		}
		if !reflect.DeepEqual(efs, want.ef) {
			t.Errorf("%s: ef %v, want %v", e.Engine, efs, want.ef)
		}
		if got := e.Curve[len(e.Curve)-1].Recall; got < want.recall {
			t.Errorf("%s: recall %v, want %v or more", e.Engine, got, want.recall)
		}
	}
}

// Other programs read this.
func TestReportJSON(t *testing.T) {
	b, err := json.Marshal(smallReport(t))
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	text, number := reflect.TypeFor[string](), reflect.TypeFor[float64]()
	list := reflect.TypeFor[[]any]()
	check := func(what string, v any, want map[string]reflect.Type) map[string]any {
		t.Helper()
		object, ok := v.(map[string]any)
		if !ok || len(object) != len(want) {
			t.Fatalf("%s is %v, want the keys of %v", what, v, want)
		}
		for key, kind := range want {
			if reflect.TypeOf(object[key]) != kind {
				t.Errorf("%s: %q is %T, want %v", what, key, object[key], kind)
			}
		}
		return object
	}
	top := check("report", got, map[string]reflect.Type{
		"dataset": text, "k": number, "queries": number, "engines": list,
		"points": number, "dimension": number, "metric": text, "cpu": text, "threads": number, "peer": text,
	})
	if top["metric"] != "l2" {
		t.Errorf("metric %v", top["metric"])
	}
	for _, e := range top["engines"].([]any) {
		engine := check("engine", e, map[string]reflect.Type{
			"engine": text, "quantization": text, "build_seconds": number, "bytes_per_vector": number, "curve": list, "builds": list, "at": list,
			"rss_bytes": number, "max_recall": number,
		})
		for _, b := range engine["builds"].([]any) {
			check("build", b, map[string]reflect.Type{"threads": number, "seconds": number, "cpu_seconds": number})
		}
		for _, at := range engine["at"].([]any) {
			check("at", at, map[string]reflect.Type{"recall": number, "qps": number, "times_peer": number})
		}
		for _, p := range engine["curve"].([]any) {
			check("point", p, map[string]reflect.Type{"ef": number, "recall": number, "qps": number, "p50_us": number, "p99_us": number})
		}
	}
}

// TestQuantizations: each is built, says its name and its bytes, and finds about as much as float32.
func TestQuantizations(t *testing.T) {
	quantizations := []index.Quantization{index.QuantizationFloat32, index.QuantizationInt8, index.QuantizationInt8Disk, index.QuantizationAuto}
	d, err := Load(context.Background(), Source{Name: GMM, Points: 2000, Dimension: 64, Queries: 50})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Recall(context.Background(), d, Options{EF: []int{64}, Rounds: 1, Engines: []index.Engine{index.EngineGraph}, Quantizations: quantizations})
	if err != nil {
		t.Fatal(err)
	}
	plain := r.Engines[0]
	for i, e := range r.Engines {
		want := quantizations[i].Pick(index.EngineGraph, 64)
		if e.Quantization != want || e.MaxRecall < plain.MaxRecall-0.01 {
			t.Errorf("%s: %s with recall %v, float32 has %v", want, e.Quantization, e.MaxRecall, plain.MaxRecall)
		}
	}
	vectors := 4.0 * 64
	if links := plain.BytesPerVector - vectors; r.Engines[1].BytesPerVector > plain.BytesPerVector+0.3*vectors || r.Engines[2].BytesPerVector > 0.45*(vectors+links) {
		t.Errorf("bytes a vector: float32 %v, int8 %v, int8-disk %v", plain.BytesPerVector, r.Engines[1].BytesPerVector, r.Engines[2].BytesPerVector)
	}
}

func TestTable(t *testing.T) {
	var b strings.Builder
	if err := smallReport(t).WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"gmm: 1500 points × 16, l2, k = 10", "recall@10", "graph", "coder", "flat        float32    -   ", "bytes/vector", "float32"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestOptionsRefused(t *testing.T) {
	d := smallMixture(t)
	for _, c := range []struct {
		options  Options
		sentinel error
		want     string
	}{
		{Options{K: -1}, ErrInvalid, "k -1: invalid option: use 1 to 10000"},
		{Options{K: index.MaxK + 1}, ErrInvalid, "use 1 to 10000"},
		{Options{K: 1501}, ErrInvalid, "gmm has 1500 points"},
		{Options{EF: []int{10, 0}}, ErrInvalid, "ef 0: invalid option: use 1 to 100000"},
		{Options{EF: []int{index.MaxEF + 1}}, ErrInvalid, "use 1 to 100000"},
		{Options{Engines: []index.Engine{"hnsw"}}, index.ErrInvalid, "use graph, flat or coder"},
		{Options{Engines: []index.Engine{"flat", "flat"}}, ErrInvalid, "engine flat twice"},
		{Options{Quantizations: []index.Quantization{"int1"}}, index.ErrInvalid, `quantization "int1"`},
		{Options{Quantizations: []index.Quantization{"float32", "float32"}}, ErrInvalid, "quantization float32 twice"},
		{Options{Threads: -1}, ErrInvalid, "threads -1"},
		{Options{Rounds: -1}, ErrInvalid, "rounds -1"},
	} {
		c.options.Progress = func(line string) { t.Errorf("%q: was not refused up front", line) }
		if _, err := Recall(context.Background(), d, c.options); !errors.Is(err, c.sentinel) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.options, err, c.want)
		}
	}
	d.Queries = d.Queries[:0]
	if _, err := Recall(context.Background(), d, Options{}); !errors.Is(err, ErrData) {
		t.Error(err)
	}
}

// An interruption at any line of progress ends the run with context.Canceled.
func TestRecallCancelled(t *testing.T) {
	d := smallMixture(t)
	run := func(stopAt int) (lines int, err error) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		_, err = Recall(ctx, d, Options{EF: []int{10}, Rounds: 2, Progress: func(string) {
			if lines++; lines == stopAt {
				cancel()
			}
		}})
		return lines, err
	}
	total, err := run(-1)
	if err != nil || total < 5 {
		t.Fatalf("%d lines, %v", total, err)
	}
	for stop := 1; stop < total; stop++ {
		if lines, err := run(stop); !errors.Is(err, context.Canceled) || lines != stop {
			t.Errorf("stopped at line %d: %d lines, %v", stop, lines, err)
		}
	}
}
