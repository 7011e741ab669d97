package index_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"os"

	"github.com/akin-search/akin/index"
)

func ExampleNew() {
	ix, err := index.New(index.Options{Dimension: 2})
	if err != nil {
		log.Fatal(err)
	}
	err = ix.Upsert([]string{"east", "north", "west"}, [][]float32{{3, 0}, {0, 2}, {-1, 0}})
	if err != nil {
		log.Fatal(err)
	}
	hits, err := ix.Search(context.Background(), []float32{1, 1}, 2, index.Params{})
	if err != nil {
		log.Fatal(err)
	}
	for _, h := range hits {
		fmt.Printf("%s %.3f\n", h.ID, h.Score)
	}
	_, err = ix.Search(context.Background(), []float32{1, 2, 3}, 1, index.Params{})
	fmt.Println(errors.Is(err, index.ErrDimension), err)
	// Output:
	// east 0.707
	// north 0.707
	// true vector of 3 components: wrong dimension: want 2
}

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "akin")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	store, err := index.Open(dir, index.StoreOptions{})
	if err != nil {
		log.Fatal(err)
	}
	digits, err := store.Create("digits", index.Config{Dimension: 2, ModelID: "sha256:…"})
	if err != nil {
		log.Fatal(err)
	}
	err = digits.Upsert(context.Background(), []index.Point{
		{ID: "a", Vector: []float32{1, 0}, Label: "7", Payload: map[string]any{"file": "a.png"}},
		{ID: "b", Vector: []float32{0, 1}, Label: "4"},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Close(); err != nil {
		log.Fatal(err)
	}

	if store, err = index.Open(dir, index.StoreOptions{}); err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	if digits, err = store.Collection("digits"); err != nil {
		log.Fatal(err)
	}
	hits, err := digits.Search(context.Background(), []float32{5, 1}, 1, index.Params{})
	if err != nil {
		log.Fatal(err)
	}
	points, err := digits.Get(hits[0].ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(points[0].ID, points[0].Label, points[0].Payload["file"])
	// Output: a 7 a.png
}

func ExampleFitDetector() {
	r := rand.New(rand.NewPCG(1, 1))
	draw := func(n int) (out []index.Labeled) {
		for i := range n {
			p := index.Labeled{Label: "cats", Vector: []float32{4, 0}}
			if i%2 == 1 {
				p = index.Labeled{Label: "dogs", Vector: []float32{0, 4}}
			}
			p.Vector[0] += float32(r.NormFloat64())
			p.Vector[1] += float32(r.NormFloat64())
			out = append(out, p)
		}
		return out
	}
	d, err := index.FitDetector(context.Background(), index.L2, draw(1000), draw(500), index.DetectorOptions{Seed: 1})
	if err != nil {
		log.Fatal(err)
	}
	for _, v := range [][]float32{{4.5, 0.5}, {1, 3}, {9, 9}} {
		verdict, err := d.Verdict(context.Background(), v, index.DefaultAlpha)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%v: anomaly %v, nearest %s, p-value %.2f\n", v, verdict.Anomaly, verdict.NearestClass, verdict.PValue)
	}
	_, err = d.Verdict(context.Background(), []float32{9, 9}, 0.001)
	fmt.Println(err)
	// Output:
	// [4.5 0.5]: anomaly false, nearest cats, p-value 0.85
	// [1 3]: anomaly false, nearest dogs, p-value 0.43
	// [9 9]: anomaly true, nearest dogs, p-value 0.00
	// alpha 0.001 with 500 calibration scores: alpha out of range: use at least 1/(n+1) = 0.002, or calibrate with n = 999 held-out vectors
}

func ExampleFilter() {
	dir, err := os.MkdirTemp("", "akin")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	store, err := index.Open(dir, index.StoreOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	shop, err := store.Create("shop", index.Config{Dimension: 2})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	err = shop.Upsert(ctx, []index.Point{
		{ID: "boots", Vector: []float32{1, 0}, Label: "shoe", Payload: map[string]any{"price": 90, "tags": []string{"new", "warm"}}},
		{ID: "sandals", Vector: []float32{1, 1}, Label: "shoe", Payload: map[string]any{"price": 30}},
		{ID: "socks", Vector: []float32{1, 0.1}, Label: "other", Payload: map[string]any{"price": 5, "tags": []string{"warm"}}},
	})
	if err != nil {
		log.Fatal(err)
	}
	limit := 100.0
	for _, f := range []index.Filter{
		{Must: []index.Condition{{Key: "tags", Match: "warm"}, {Key: "price", Range: &index.Range{LT: &limit}}}},
		{Must: []index.Condition{{Key: index.LabelKey, Any: []any{"shoe", "coat"}}}, MustNot: []index.Condition{{Key: "tags", Match: "new"}}},
	} {
		hits, err := shop.Search(ctx, []float32{1, 0}, 10, index.Params{Filter: &f})
		if err != nil {
			log.Fatal(err)
		}
		for _, h := range hits {
			fmt.Printf("%s %.3f\n", h.ID, h.Score)
		}
		fmt.Println("--")
	}
	// Output:
	// boots 1.000
	// socks 0.995
	// --
	// sandals 0.707
	// --
}
