package index

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
)

// The demo's size: 54 000 unit vectors of 64 components around 90 centers, and 1000 queries like them.
func benchData() (data, queries [][]float32) {
	v := clusters(rand.New(rand.NewPCG(1, 2)), 55_000, 64, 90, 0.5)
	return v[:54_000], v[54_000:]
}

func BenchmarkBuild(b *testing.B) {
	data, _ := benchData()
	ids := numbered(len(data))
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("graph/54000x64/threads=%d", threads), func(b *testing.B) {
			for range b.N {
				must(b, graphOf(b, Options{Dimension: 64, Threads: threads}).Upsert(ids, data))
			}
		})
	}
}

// BenchmarkSearch reports queries per second of one goroutine, or of all cores, beside the recall@10.
func BenchmarkSearch(b *testing.B) {
	data, queries := benchData()
	for _, metric := range []Metric{Cosine, L2} {
		g := graphOf(b, Options{Dimension: 64, Metric: metric})
		must(b, g.Upsert(numbered(len(data)), data))
		for _, p := range []Params{{EF: 16}, {EF: 32}, {}, {EF: 128}, {Exact: true}} {
			recall := 1.0
			name := "exact"
			if !p.Exact {
				recall = recallOf(b, g, queries, p)
				name = fmt.Sprintf("ef=%d", max(p.EF, 0))
				if p.EF == 0 {
					name = "ef=default"
				}
			}
			b.Run(fmt.Sprintf("%v/54000x64/%s", metric, name), func(b *testing.B) {
				b.ReportAllocs()
				for i := range b.N {
					if _, err := g.Search(ctx, queries[i%len(queries)], 10, p); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "queries/s")
				b.ReportMetric(recall, "recall@10")
			})
		}
		b.Run(fmt.Sprintf("%v/54000x64/ef=default/parallel", metric), func(b *testing.B) {
			var next atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := g.Search(ctx, queries[next.Add(1)%int64(len(queries))], 10, Params{}); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "queries/s")
		})
	}
}

var (
	openPoints = flag.Int("open.points", 54_000, "points of BenchmarkOpen, of 64 components")
	openDir    = flag.String("open.dir", "", "folder in which BenchmarkOpen keeps its store; empty makes one for the run")
)

// BenchmarkOpen is the time from a closed store to the first answer.
func BenchmarkOpen(b *testing.B) {
	dir := *openDir
	if dir == "" {
		dir = b.TempDir()
	}
	data := clusters(rand.New(rand.NewPCG(1, 2)), *openPoints+1, 64, 90, 0.5)
	query := data[*openPoints]
	s, err := Open(dir, StoreOptions{})
	must(b, err)
	if _, err := s.Collection("c"); errors.Is(err, ErrNotFound) {
		c, err := s.Create("c", Config{Dimension: 64})
		must(b, err)
		points := make([]Point, *openPoints)
		for i := range points {
			points[i] = Point{ID: fmt.Sprintf("p%07d", i), Vector: data[i], Label: "class"}
		}
		must(b, c.Upsert(ctx, points))
	}
	must(b, s.Close())
	data = nil
	for b.Loop() {
		s, err := Open(dir, StoreOptions{})
		must(b, err)
		c := collectionOf(b, s, "c")
		if c.Len() != *openPoints {
			b.Fatalf("%d points", c.Len())
		}
		if _, err := c.Search(ctx, query, 10, Params{}); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		must(b, s.Close())
		runtime.GC()
		b.StartTimer()
	}
}

func BenchmarkFitDetector(b *testing.B) {
	r := rand.New(rand.NewPCG(8, 8))
	centers := clusters(r, 90, 64, 90, 0.5)
	known, heldOut := labeled(r, centers, 9, 54_000, 0.5), labeled(r, centers, 9, 3000, 0.5)
	b.ResetTimer()
	for range b.N {
		if _, err := FitDetector(ctx, Cosine, known, heldOut, DetectorOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
