package index

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestThousandsOfDuplicates: 5000 equal vectors and as many near ones. Each finds a distance of 0, and equal ones come by id, at
// once and after a restart.
func TestThousandsOfDuplicates(t *testing.T) {
	const n, dim = 5000, 16
	r := rand.New(rand.NewPCG(3, 3))
	dir := t.TempDir()
	s := openStore(t, dir)
	c, err := s.Create("c", Config{Dimension: dim, Metric: L2})
	must(t, err)
	base := somePoint(0, 0, dim).Vector
	points := make([]Point, 2*n)
	for i := range points {
		v := append([]float32(nil), base...)
		if i >= n {
			v[r.IntN(dim)] += float32(1+r.IntN(1000)) * 1e-6
		}
		points[i] = Point{ID: fmt.Sprintf("%05d", i), Vector: v}
	}
	must(t, c.Upsert(ctx, points))
	for range 2 {
		hits, err := c.Search(ctx, base, 20, Params{})
		must(t, err)
		for i, h := range hits {
			if h.ID != points[i].ID || h.Distance != 0 {
				t.Fatalf("hit %d: %+v", i, h)
			}
		}
		for _, p := range points[n:] {
			hits, err := c.Search(ctx, p.Vector, 1, Params{})
			must(t, err)
			if len(hits) != 1 || hits[0].Distance != 0 {
				t.Fatalf("point %q finds %v", p.ID, hits)
			}
		}
		s = reopen(t, s, dir)
		c = collectionOf(t, s, "c")
	}
}

// TestLimitsOfPoints stores points at the limits of dimension and id.
func TestLimitsOfPoints(t *testing.T) {
	for _, dim := range []int{1, 2, 15, 17, MaxDimension} {
		dir := t.TempDir()
		s := openStore(t, dir)
		c, err := s.Create("c", Config{Dimension: dim})
		must(t, err)
		model := map[string]Point{}
		for i, id := range []string{"x", strings.Repeat("ü", MaxID/2), strings.Repeat("x", MaxID), "\x00", "a/b\n", "\U0010FFFF", " "} {
			p := somePoint(i, 0, dim)
			p.ID = id
			model[id] = p
			must(t, c.Upsert(ctx, []Point{p}))
		}
		s = reopen(t, s, dir)
		checkCollection(t, collectionOf(t, s, "c"), model)
	}
}
