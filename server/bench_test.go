package server

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"testing"

	"github.com/goccy/go-json"
	"github.com/valyala/fasthttp"

	"github.com/akin-search/akin/index"
)

// searchBody is a small search: 64 components, ten points.
func searchBody(r *rand.Rand) []byte {
	b := []byte(`{"query":[`)
	for i := range 64 {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, "%v", float32(r.NormFloat64()))
	}
	return append(b, `],"limit":10}`...)
}

// BenchmarkSearch is one search of 10 000 points with 64 components, from the parsed HTTP request to the response's bytes.
func BenchmarkSearch(b *testing.B) {
	store, err := index.Open(b.TempDir(), index.StoreOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	col, err := store.Create("bench", index.Config{Dimension: 64})
	if err != nil {
		b.Fatal(err)
	}
	r := rand.New(rand.NewPCG(testSeed, 0))
	points := make([]index.Point, 10_000)
	for i := range points {
		v := make([]float32, 64)
		for j := range v {
			v[j] = float32(r.NormFloat64())
		}
		points[i] = index.Point{ID: fmt.Sprint(i), Vector: v, Label: fmt.Sprint(i % 10), Payload: map[string]any{"file": fmt.Sprintf("%d.png", i)}}
	}
	if err := col.Upsert(context.Background(), points); err != nil {
		b.Fatal(err)
	}
	s, err := New(Options{Store: store, Default: "bench", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	handler := s.app.Server().Handler
	query := make([]float32, 64)
	query[3] = 1
	b.Run("index", func(b *testing.B) { // what of it is the search itself
		for b.Loop() {
			if _, err := col.Search(context.Background(), query, 10, index.Params{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	for name, more := range map[string]string{"ids": `,"with_payload":false}`, "payload": `}`} {
		body := append(bytes.TrimSuffix(searchBody(r), []byte("}")), more...)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var ctx fasthttp.RequestCtx
			ctx.Request.Header.SetMethod(http.MethodPost)
			ctx.Request.Header.SetContentType("application/json")
			ctx.Request.SetRequestURI("/search")
			ctx.Request.SetBody(body)
			for b.Loop() {
				handler(&ctx)
				if ctx.Response.StatusCode() != http.StatusOK {
					b.Fatalf("%s", ctx.Response.Body())
				}
			}
		})
	}
}

// BenchmarkRead reads the body of a search, and for comparison leaves that to a general decoder, which checks less.
func BenchmarkRead(b *testing.B) {
	body := searchBody(rand.New(rand.NewPCG(testSeed, 0)))
	b.Run("reader", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var req searchRequest
			r := reader{buf: body}
			if err := r.all(&req); err != nil || len(req.vector) != 64 {
				b.Fatal(err)
			}
		}
	})
	b.Run("go-json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var req struct {
				Query []float32 `json:"query"`
				Limit int       `json:"limit"`
			}
			d := json.NewDecoder(bytes.NewReader(body))
			d.DisallowUnknownFields()
			if err := d.Decode(&req); err != nil || len(req.Query) != 64 {
				b.Fatal(err)
			}
		}
	})
	b.Run("go-json-unmarshal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var req struct {
				Query []float32 `json:"query"`
				Limit int       `json:"limit"`
			}
			if err := json.Unmarshal(body, &req); err != nil || len(req.Query) != 64 {
				b.Fatal(err)
			}
		}
	})
}
