package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akin-search/akin/index"
)

func TestVerify(t *testing.T) {
	dir := t.TempDir()
	s, err := index.Open(filepath.Join(dir, "db"), index.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Create("c", index.Config{Dimension: 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Upsert(t.Context(), []index.Point{{ID: "a", Vector: []float32{1, 2}, Raw: []byte("raw")}, {ID: "b", Vector: []float32{2, 1}}}); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := akin(t, "verify", "--dir", dir); code != 1 || !strings.Contains(errs, "Stop it first") {
		t.Errorf("of an open store: %d %q", code, errs)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := akin(t, "verify", "--dir", dir); code != 0 || !strings.Contains(out, "all is sound") || !strings.Contains(out, "2 of 2") {
		t.Errorf("%d %q %q", code, out, errs)
	}
	snapshots, err := filepath.Glob(filepath.Join(dir, "db", "snapshot-*"))
	if err != nil || len(snapshots) != 1 {
		t.Fatal(snapshots, err)
	}
	if err := os.Truncate(snapshots[0], 9); err != nil {
		t.Fatal(err)
	}
	r := mustAkin[index.VerifyReport](t, "verify", "--dir", dir)
	if len(r.Findings) != 1 || !r.Findings[0].Mended || r.Collections[0].Points != 2 {
		t.Errorf("%+v", r)
	}
	if err := os.Remove(filepath.Join(dir, "db", "MANIFEST")); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := akin(t, "verify", "--dir", dir); code != 1 || !strings.Contains(out, "DAMAGED") || !strings.Contains(errs, "1 of 1 findings") {
		t.Errorf("%d %q %q", code, out, errs)
	}
	if code, _, errs := akin(t, "verify", "--dir", filepath.Join(dir, "none")); code != 1 || !strings.Contains(errs, "--dir") {
		t.Errorf("%d %q", code, errs)
	}
}
