package index

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"
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

// BenchmarkFilteredSearch reports, for filters by chance and for those whose points are all near the queries or far from them,
// queries a second of one goroutine, beside those of a scan.
func BenchmarkFilteredSearch(b *testing.B) {
	data, queries := benchData()
	g := graphOf(b, Options{Dimension: 64})
	ids, tags := numbered(len(data)), make([]tag, len(data))
	for i := range tags {
		tags[i].ordinal = uint32(i)
	}
	must(b, g.put(ids, data, tags))
	// The queries are those of one neighbourhood; near is what lies there.
	first := queries[0]
	slices.SortFunc(queries, func(x, y []float32) int { return cmp.Compare(g.between(first, x), g.between(first, y)) })
	hits, err := g.Search(ctx, first, MaxK, Params{Exact: true})
	must(b, err)
	near := map[string]bool{}
	for _, h := range hits {
		near[h.ID] = true
	}
	hood := queries[:8]
	r := rand.New(rand.NewPCG(6, 6))
	run := func(name string, queries [][]float32, s *selection) {
		for way, p := range map[string]Params{"search": {chosen: s}, "scan": {chosen: s, Exact: true}} {
			b.Run(name+"/"+way, func(b *testing.B) {
				for i := range b.N {
					if _, err := g.Search(ctx, queries[i%len(queries)], 10, p); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "queries/s")
			})
		}
	}
	run("none", queries, nil)
	for _, share := range []float64{0.9, 0.5, 0.2, 0.1, 0.05, 0.01, 0.001} {
		some := func(of int, side func(id string) bool) *selection {
			return chosenOf(ids, func(i int) bool { return side(ids[i]) && r.Float64() < share*float64(len(ids))/float64(of) })
		}
		run(fmt.Sprintf("chance/%g", share), queries, some(len(ids), func(string) bool { return true }))
		run(fmt.Sprintf("near/%g", share), hood, some(MaxK, func(id string) bool { return near[id] }))
		run(fmt.Sprintf("far/%g", share), hood, some(len(ids)-MaxK, func(id string) bool { return !near[id] }))
	}
}

// BenchmarkFilterCompile makes selections of half a million points: of one label of ten, of a range over half of them, of both.
func BenchmarkFilterCompile(b *testing.B) {
	const n = 500_000
	r := rand.New(rand.NewPCG(7, 7))
	c := newCatalogue()
	ids, entries := numbered(n), make([][]entry, n)
	for i := range entries {
		entries[i] = []entry{{LabelKey, scalar{kind: isText, text: fmt.Sprint(i % 10)}}, {"price", scalar{kind: isNumber, number: r.Float64()}}}
	}
	before := memory()
	c.put(ids, entries)
	b.Logf("%d bytes a point with a label and a number", (memory()-before)/n)
	runtime.KeepAlive(entries)
	runtime.KeepAlive(ids)
	half := 0.5
	label, price := Condition{Key: LabelKey, Match: "3"}, Condition{Key: "price", Range: &Range{LT: &half}}
	for name, f := range map[string]*Filter{"label": {Must: []Condition{label}}, "range": {Must: []Condition{price}}, "both": {Must: []Condition{label, price}}} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				s, err := c.choose(f, nil)
				must(b, err)
				c.drop(s.bitmap)
			}
		})
	}
}

// memory returns the bytes of the heap in use.
func memory() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkHits reads what a server wants of ten hits: labels and payloads of points that have a raw input of a small image as well.
func BenchmarkHits(b *testing.B) {
	s := openStore(b, b.TempDir())
	c, err := s.Create("c", Config{Dimension: 64})
	must(b, err)
	data := clusters(rand.New(rand.NewPCG(1, 2)), 5000, 64, 90, 0.5)
	points := make([]Point, len(data))
	for i, v := range data {
		points[i] = Point{ID: fmt.Sprint(i), Vector: v, Label: fmt.Sprint(i % 10), Raw: make([]byte, 2000),
			Payload: map[string]any{"file": fmt.Sprintf("%d.png", i), "width": 28, "tags": []any{"a", "b"}}}
	}
	must(b, c.Upsert(ctx, points))
	ids := make([]string, 10)
	next := func(n int) {
		for i := range ids {
			ids[i] = points[(n*131+i*17)%len(points)].ID
		}
	}
	b.Run("get", func(b *testing.B) {
		b.ReportAllocs()
		for n := range b.N {
			next(n)
			if _, err := c.Get(ids...); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("look", func(b *testing.B) {
		b.ReportAllocs()
		for n := range b.N {
			next(n)
			if _, err := c.Look(FieldLabel|FieldPayload, ids...); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkVerdict is a search for ten hits, by itself and with a verdict of each kind of score from the same walk, with the clusters that the data
// choose. It reports the ratios, which take -benchtime 30x or more.
func BenchmarkVerdict(b *testing.B) {
	data, queries := benchData()
	s, err := Open(b.TempDir(), StoreOptions{})
	must(b, err)
	defer s.Close()
	c, err := s.Create("c", Config{Dimension: 64})
	must(b, err)
	points, known := make([]Point, len(data)), make([]Labeled, len(data))
	for i, id := range numbered(len(data)) {
		known[i] = Labeled{data[i], fmt.Sprint(i % 9)}
		points[i] = Point{ID: id, Vector: data[i], Label: known[i].Label}
	}
	must(b, c.Upsert(ctx, points))
	heldOut := make([]Labeled, len(queries))
	for i, v := range queries {
		heldOut[i] = Labeled{v, "0"}
	}
	detectors := map[ScoreKind]*Detector{}
	for kind := ScoreCluster; kind <= ScoreCombined; kind++ {
		detectors[kind], err = FitDetector(ctx, Cosine, known, heldOut, DetectorOptions{Score: kind})
		must(b, err)
	}
	// In turns, all queries at a time, so that none finds what it reads in the cache: the least time of many passes is that of one which nothing
	// disturbed.
	var least [ScoreCombined + 1]time.Duration
	leastOf := make([][len(least)]time.Duration, len(queries))
	b.ResetTimer()
	for pass := range b.N {
		for kind := range least {
			d := detectors[ScoreKind(kind)]
			for i, q := range queries {
				began := time.Now()
				hits, err := c.Search(ctx, q, 10, Params{})
				if d != nil && err == nil {
					_, err = d.VerdictOf(q, hits, DefaultAlpha)
				}
				took := time.Since(began)
				must(b, err)
				if at := &leastOf[i][kind]; pass == 0 || took < *at {
					*at = took
				}
			}
		}
	}
	for _, of := range leastOf {
		for kind, took := range of {
			least[kind] += took
		}
	}
	for kind := ScoreCluster; kind <= ScoreCombined; kind++ {
		b.ReportMetric(float64(least[kind])/float64(least[0]), kind.String()+"/search")
	}
	b.ReportMetric(float64(least[0].Microseconds())/float64(len(queries)), "µs/search")
}
