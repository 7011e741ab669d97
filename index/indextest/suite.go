package indextest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/akin-search/akin/index"
)

// Engine is what Run tests.
type Engine struct {
	// New returns an empty index.
	New func(t testing.TB, o index.Options) index.Index
	// Recall is the least mean recall@10 at default Params; 1 for exact engines.
	Recall float64
}

// Run tests an engine with every metric.
func Run(t *testing.T, e Engine) {
	for _, m := range []index.Metric{index.Cosine, index.L2, index.Dot} {
		t.Run(m.String(), func(t *testing.T) {
			s := suite{e, m}
			t.Run("Model", s.model)
			t.Run("Concurrent", s.concurrent)
			if slow && m != index.Cosine {
				return // the rest is one caller after the other, in the same code as with cosine
			}
			t.Run("Empty", s.empty)
			t.Run("BadInput", s.badInput)
			t.Run("FewPoints", s.fewPoints)
			t.Run("UpsertReplaces", s.upsertReplaces)
			t.Run("DeleteAndAddAgain", s.deleteAndAddAgain)
			t.Run("Copies", s.copies)
			t.Run("Duplicates", s.duplicates)
			t.Run("Ties", s.ties)
			t.Run("Distances", s.distances)
			t.Run("DeletedCluster", s.deletedCluster)
			t.Run("Recall", s.recall)
			t.Run("Within", s.within)
		})
	}
}

type suite struct {
	Engine
	metric index.Metric
}

// least is the recall to demand where an approximate engine shall reach r, but a poor one cannot.
func (s suite) least(r float64) float64 {
	if s.Recall < 0.9 {
		return s.Recall
	}
	return r
}

// pair is an index and the oracle that knows what is in it.
type pair struct {
	t      *testing.T
	index  index.Index
	oracle *Oracle
}

func (s suite) pair(t *testing.T, dim int) pair {
	return pair{t, s.New(t, index.Options{Metric: s.metric, Dimension: dim, Seed: 7}), NewOracle(s.metric)}
}

func (p pair) upsert(ids []string, vectors [][]float32) {
	p.t.Helper()
	if err := p.index.Upsert(ids, vectors); err != nil {
		p.t.Fatal(err)
	}
	p.oracle.Upsert(ids, vectors)
	p.checkLen()
}

func (p pair) delete(ids ...string) {
	p.t.Helper()
	if err := p.index.Delete(ids); err != nil {
		p.t.Fatal(err)
	}
	p.oracle.Delete(ids)
	p.checkLen()
}

func (p pair) checkLen() {
	p.t.Helper()
	if got, want := p.index.Len(), len(p.oracle.Vectors); got != want {
		p.t.Fatalf("Len is %d, want %d", got, want)
	}
}

// search returns the hits after checking all that holds for approximate hits too: how many there are, that they exist, are
// sorted and have the right distances and scores. The recall is the share of hits as near as the oracle's k-th.
func (p pair) search(q []float32, k int, params index.Params) (hits []index.Hit, recall float64) {
	p.t.Helper()
	hits, err := p.index.Search(context.Background(), q, k, params)
	if err != nil {
		p.t.Fatal(err)
	}
	want := p.oracle.Search(q)
	want = want[:min(k, len(want))]
	if len(hits) != len(want) {
		p.t.Fatalf("k %d of %d points, %+v: %d hits", k, len(p.oracle.Vectors), params, len(hits))
	}
	seen := map[string]bool{}
	near := 0
	for i, h := range hits {
		v, ok := p.oracle.Vectors[h.ID]
		if !ok || seen[h.ID] {
			p.t.Fatalf("hit %d is %q: deleted, or here twice", i, h.ID)
		}
		seen[h.ID] = true
		d := Distance(p.oracle.Metric, q, v)
		if !isClose(float64(h.Distance), d) || !isClose(float64(h.Score), Score(p.oracle.Metric, d)) {
			p.t.Fatalf("hit %d %q: distance %v and score %v, want distance %v", i, h.ID, h.Distance, h.Score, d)
		}
		if i > 0 && (h.Distance < hits[i-1].Distance || h.Distance == hits[i-1].Distance && h.ID < hits[i-1].ID) {
			p.t.Fatalf("hits %d and %d are in the wrong order: %v, %v", i-1, i, hits[i-1], h)
		}
		if d <= want[len(want)-1].Distance+tolerance(d) {
			near++
		}
	}
	if len(hits) == 0 {
		return hits, 1
	}
	return hits, float64(near) / float64(len(hits))
}

// exact searches with Exact and demands all of the nearest.
func (p pair) exact(q []float32, k int) []index.Hit {
	p.t.Helper()
	hits, recall := p.search(q, k, index.Params{Exact: true})
	if recall < 1 {
		p.t.Fatalf("exact search for %d of %d points: recall %v", k, len(p.oracle.Vectors), recall)
	}
	return hits
}

// tolerance is the rounding of a float32 distance of vectors of length about 1.
func tolerance(d float64) float64 { return 4e-6 + 2e-6*math.Abs(d) }

// isClose allows for the root of L2, which makes an error of 1e-7 in a square near 0 one of 3e-4.
func isClose(got, want float64) bool {
	return math.Abs(got-want) <= tolerance(want) || math.Abs(got*got-want*want) <= 4e-7
}

func names(prefix string, from, n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%s%05d", prefix, from+i)
	}
	return ids
}

func (s suite) empty(t *testing.T) {
	p := s.pair(t, 3)
	p.upsert(nil, nil)
	p.delete("nobody")
	for _, params := range []index.Params{{}, {EF: 5}, {Exact: true}} {
		p.search([]float32{1, 2, 3}, 10, params)
		p.search([]float32{1, 2, 3}, index.MaxK, params)
	}
}

func (s suite) badInput(t *testing.T) {
	p := s.pair(t, 3)
	p.upsert([]string{"a", "b"}, [][]float32{{1, 0, 0}, {0, 1, 0}})
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	good := []float32{1, 2, 3}
	vectors := map[string]struct {
		v    []float32
		want error
		text string
	}{
		"too short": {[]float32{1, 2}, index.ErrDimension, "want 3"},
		"too long":  {[]float32{1, 2, 3, 4}, index.ErrDimension, "want 3"},
		"nil":       {nil, index.ErrDimension, "want 3"},
		"NaN":       {[]float32{1, nan, 3}, index.ErrNotFinite, "component 1"},
		"infinite":  {[]float32{1, 2, inf}, index.ErrNotFinite, "component 2"},
	}
	if s.metric == index.Cosine {
		vectors["zero"] = struct {
			v    []float32
			want error
			text string
		}{[]float32{0, 0, 0}, index.ErrZeroVector, "cosine"}
	} else {
		vectors["huge"] = struct {
			v    []float32
			want error
			text string
		}{[]float32{3e38, 3e38, 3e38}, index.ErrNotFinite, "length"}
		p.search([]float32{0, 0, 0}, 2, index.Params{})
	}
	for name, c := range vectors {
		_, err := p.index.Search(context.Background(), c.v, 1, index.Params{})
		wantError(t, "search "+name, err, c.want, c.text)
		// All or nothing: the good vector before the bad one is not taken.
		err = p.index.Upsert([]string{"new", "a"}, [][]float32{good, c.v})
		wantError(t, "upsert "+name, err, c.want, c.text)
		wantError(t, "upsert "+name, err, c.want, `"a"`)
	}
	for name, ids := range map[string][]string{
		"empty": {"new", ""}, "long": {"new", strings.Repeat("x", index.MaxID+1)}, "not UTF-8": {"new", "a\xff"},
		"too few": {"new"}, "too many": {"new", "b", "c"},
	} {
		wantError(t, "ids "+name, p.index.Upsert(ids, [][]float32{good, good}), index.ErrInvalid, "")
	}
	for _, k := range []int{0, -1, index.MaxK + 1, 1e9} {
		_, err := p.index.Search(context.Background(), good, k, index.Params{})
		wantError(t, "k", err, index.ErrInvalid, fmt.Sprint(index.MaxK))
	}
	for _, ef := range []int{-1, index.MaxEF + 1} {
		_, err := p.index.Search(context.Background(), good, 1, index.Params{EF: ef})
		wantError(t, "ef", err, index.ErrInvalid, fmt.Sprint(index.MaxEF))
	}
	p.checkLen()
	p.exact(good, 2)
	p.upsert([]string{strings.Repeat("ü", index.MaxID/2)}, [][]float32{good})
	p.delete("", strings.Repeat("x", index.MaxID+1))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := p.index.Search(ctx, good, 1, index.Params{Exact: true}); !errors.Is(err, context.Canceled) {
		t.Errorf("search with a cancelled context: %v", err)
	}
}

func wantError(t *testing.T, what string, err, want error, text string) {
	t.Helper()
	if !errors.Is(err, want) || !strings.Contains(fmt.Sprint(err), text) {
		t.Errorf("%s: %v, want %v and %q", what, err, want, text)
	}
}

func (s suite) fewPoints(t *testing.T) {
	p := s.pair(t, 5)
	r := rand.New(rand.NewPCG(1, 1))
	for i, v := range Clustered(r, 40, 5, 3, 1) {
		p.upsert(names("p", i, 1), [][]float32{v})
		for _, k := range []int{1, i + 1, i + 2, 100, index.MaxK} {
			if _, recall := p.search(v, k, index.Params{}); recall < s.least(1) {
				t.Fatalf("%d points, k %d: recall %v", i+1, k, recall)
			}
		}
	}
}

func (s suite) upsertReplaces(t *testing.T) {
	p := s.pair(t, 4)
	p.upsert([]string{"a", "b"}, [][]float32{{1, 0, 0, 0}, {0, 1, 0, 0}})
	p.upsert([]string{"a"}, [][]float32{{0, 0, 1, 0}})
	if h := p.exact([]float32{0, 0, 1, 0}, 1); h[0].ID != "a" {
		t.Fatalf("nearest is %v", h[0])
	}
	p.exact([]float32{1, 0, 0, 0}, 2)
	// The last of equal ids wins; the oracle's map does the same.
	p.upsert([]string{"c", "a", "c"}, [][]float32{{1, 1, 0, 0}, {0, 0, 0, 1}, {0, 1, 1, 0}})
	p.exact([]float32{1, 2, 3, 4}, 3)
	for range 300 { // the same vector again and again
		p.upsert([]string{"a"}, [][]float32{{0, 0, 0, 1}})
	}
	for i := range 300 { // and another one each time
		p.upsert([]string{"a"}, [][]float32{{1, float32(i), 0, 1}})
	}
	p.exact([]float32{1, 2, 3, 4}, 10)
	p.search([]float32{1, 2, 3, 4}, 3, index.Params{})
}

func (s suite) deleteAndAddAgain(t *testing.T) {
	p := s.pair(t, 6)
	r := rand.New(rand.NewPCG(2, 2))
	v := Clustered(r, 600, 6, 10, 0.5)
	ids := names("p", 0, len(v))
	for range 3 {
		p.upsert(ids, v)
		p.exact(v[0], 10)
		p.delete(ids[:300]...)
		p.delete(ids[250:350]...)
		for i := 0; i < len(v); i += 37 {
			p.search(v[i], 10, index.Params{})
			p.exact(v[i], 10)
		}
		p.upsert(ids[100:200], v[100:200])
		p.exact(v[150], 10)
		p.delete(ids...)
		p.search(v[0], 10, index.Params{})
		p.upsert(ids[:1], v[:1])
		p.search(v[0], 10, index.Params{EF: 1})
	}
}

func (s suite) copies(t *testing.T) {
	p := s.pair(t, 2)
	ids, v, q := []string{"a", "b"}, [][]float32{{3, 4}, {5, -1}}, []float32{30, 1}
	p.upsert(ids, v)
	if v[0][0] != 3 || v[1][1] != -1 {
		t.Fatal("Upsert changed its input")
	}
	ids[0], v[0][0], v[1][1] = "z", 100, 100
	p.exact(q, 2)
	if q[0] != 30 || q[1] != 1 {
		t.Fatal("Search changed the query")
	}
}

// duplicates puts equal vectors under hundreds of ids among others, which must stay within reach.
func (s suite) duplicates(t *testing.T) {
	p := s.pair(t, 8)
	r := rand.New(rand.NewPCG(3, 3))
	v := Clustered(r, 1000, 8, 10, 0.7)
	p.upsert(names("other", 0, 500), v[:500])
	same := make([][]float32, 700)
	for i := range same {
		same[i] = v[i%2]
	}
	p.upsert(names("same", 0, len(same)), same)
	p.upsert(names("other", 500, 500), v[500:])
	for _, k := range []int{1, 10, 351, 700} {
		if hits, recall := p.search(v[0], k, index.Params{}); recall < s.least(1) && s.metric != index.Dot {
			t.Errorf("k %d: recall %v, last hit %v", k, recall, hits[k-1])
		}
	}
	var sum float64
	for i := 2; i < len(v); i += 10 {
		_, recall := p.search(v[i], 10, index.Params{})
		sum += recall / 100
	}
	if sum < s.Recall {
		t.Errorf("recall of the others is %v", sum)
	}
	for i := 0; i < 700; i += 3 {
		p.delete(names("same", i, 2)...)
	}
	p.exact(v[0], 400)
	p.delete("other00000", "other00001")
	p.delete(names("same", 0, 700)...)
	p.exact(v[0], 10)
	p.search(v[0], 10, index.Params{})
}

func (s suite) ties(t *testing.T) {
	p := s.pair(t, 2)
	// Mirror images: equal distances, different vectors.
	p.upsert([]string{"b", "d", "a", "c"}, [][]float32{{1, 1}, {1, -1}, {1, -1}, {1, 1}})
	for k := 1; k <= 4; k++ {
		hits := p.exact([]float32{1, 0}, k)
		var ids string
		for _, h := range hits {
			ids += h.ID
		}
		if ids != "abcd"[:k] {
			t.Fatalf("k %d: %s", k, ids)
		}
	}
}

func (s suite) distances(t *testing.T) {
	for _, dim := range []int{1, 2, 15, 16, 17, 33, 100, index.MaxDimension} {
		p := s.pair(t, dim)
		r := rand.New(rand.NewPCG(4, uint64(dim)))
		n := min(400, 40_000/dim)
		v := Clustered(r, n, dim, 4, 1)
		p.upsert(names("p", 0, n), v)
		for _, q := range Clustered(r, 10, dim, 4, 1) {
			p.exact(q, n/2)
			p.search(q, 10, index.Params{EF: 10})
		}
	}
}

// deletedCluster deletes all that lies around the query: the answer is in the next cluster.
func (s suite) deletedCluster(t *testing.T) {
	p := s.pair(t, 8)
	r := rand.New(rand.NewPCG(5, 5))
	a, b := Clustered(r, 400, 8, 1, 0.05), Clustered(r, 2000, 8, 1, 0.05)
	p.upsert(names("a", 0, len(a)), a)
	p.upsert(names("b", 0, len(b)), b)
	p.delete(names("a", 1, len(a)-1)...)
	hits, _ := p.search(a[5], 10, index.Params{EF: 16})
	if s.metric != index.Dot && s.least(1) == 1 && hits[0].ID != "a00000" {
		t.Errorf("the last of the cluster was not found: %v", hits[0])
	}
	p.delete("a00000")
	p.search(a[5], 10, index.Params{EF: 16})
	p.exact(a[5], 10)
}

func (s suite) recall(t *testing.T) {
	const dim, queries = 64, 200
	n := 4000
	if slow {
		n = 1500
	}
	p := s.pair(t, dim)
	r := rand.New(rand.NewPCG(6, 6))
	v := Clustered(r, n+queries, dim, 40, 0.5)
	p.upsert(names("p", 0, n), v[:n])
	var sum float64
	for _, q := range v[n:] {
		_, recall := p.search(q, 10, index.Params{})
		sum += recall / queries
	}
	t.Logf("recall@10 of %d × %d: %.4f", n, dim, sum)
	if sum < s.Recall {
		t.Errorf("recall@10 is %.4f, want %.4f", sum, s.Recall)
	}
}
