package main

import (
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/hnsw"
)

// TestExchange moves a graph of coder/hnsw into a collection, serves it without a model, and moves it back.
func TestExchange(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "theirs.hnsw")
	saved, err := hnsw.LoadSavedGraph[string](path)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewSource(1))
	saved.Rng, saved.Distance = rand.New(rand.NewSource(2)), hnsw.EuclideanDistance
	for i := range 300 {
		saved.Add(hnsw.MakeNode(fmt.Sprintf("item-%d", i), []float32{r.Float32(), r.Float32(), r.Float32()}))
	}
	if err := saved.Save(); err != nil {
		t.Fatal(err)
	}
	work := filepath.Join(dir, "work")
	in := mustAkin[exchanged](t, "import", "--from", "coder", path, "--dir", work, "--collection", "old", "--json")
	if in.Points != 300 || in.Dimension != 3 || in.Metric.String() != "l2" || in.Collection != "old" {
		t.Errorf("%+v", in)
	}
	back := filepath.Join(dir, "back.hnsw")
	if out := mustAkin[exchanged](t, "export", "--to", "coder", back, "--dir", work, "--collection", "old", "--json"); out.Points != 300 {
		t.Errorf("%+v", out)
	}
	again, err := hnsw.LoadSavedGraph[string](back)
	if err != nil || again.Len() != 300 {
		t.Fatalf("the library reads %d points, %v", again.Len(), err)
	}
	for i := range 300 {
		key := fmt.Sprintf("item-%d", i)
		want, _ := saved.Lookup(key)
		if got, ok := again.Lookup(key); !ok || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%s is %v, was %v", key, got, want)
		}
	}

	s := startServing(t, "serve", "--dir", work, "--collection", "old", "--addr", "127.0.0.1:0", "--shadow-rate", "1")
	res, err := http.Post(s.url+"/search", "application/json", strings.NewReader(`{"id":"item-7","limit":2}`))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if res.Body.Close(); err != nil || res.StatusCode != http.StatusOK || strings.Count(string(body), `"id":"item-`) != 2 {
		t.Errorf("search: %d %s %v", res.StatusCode, body, err)
	}
	s.stop(t)

	damaged := filepath.Join(dir, "damaged.hnsw")
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(damaged, b[:len(b)-5], 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"already exists: name a new one": {"import", "--from", "coder", path, "--dir", work, "--collection", "old"},
		"the file ends too early":        {"import", "--from", "coder", damaged, "--dir", work, "--collection", "new"},
		`--from "": the one format`:      {"import", path, "--dir", work},
		`--to "faiss"`:                   {"export", "--to", "faiss", damaged, "--dir", work},
		`--engine: engine "tree"`:        {"import", "--from", "coder", path, "--dir", work, "--engine", "tree"},
		"back.hnsw: file already exists": {"export", "--to", "coder", back, "--dir", work, "--collection", "old"},
		`the collections ["old"]`:        {"export", "--to", "coder", filepath.Join(dir, "x"), "--dir", work},
		"no collections in":              {"export", "--to", "coder", filepath.Join(dir, "x"), "--dir", filepath.Join(dir, "nothing")},
		"no such file":                   {"import", "--from", "coder", filepath.Join(dir, "missing"), "--dir", work},
	} {
		if code, _, errs := akin(t, args...); code != 1 || !strings.Contains(errs, want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("akin %v: %d %q, want %q", args, code, errs, want)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, ".akin-export-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
