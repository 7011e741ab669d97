package index

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// naive evaluates a filter on a point as the documentation of Condition reads: no catalogue, no entries.
func naive(f *Filter, p Point) bool {
	all := func(list []Condition, want bool) bool {
		return !slices.ContainsFunc(list, func(c Condition) bool { return naiveMeets(c, p) != want })
	}
	return all(f.Must, true) && all(f.MustNot, false) && (len(f.Should) == 0 || !all(f.Should, false))
}

func naiveMeets(c Condition, p Point) bool {
	if c.Filter != nil {
		return naive(c.Filter, p)
	}
	if c.HasID != nil {
		return slices.Contains(c.HasID, p.ID)
	}
	var values []any
	if c.Key == LabelKey {
		if p.Label != "" {
			values = []any{p.Label}
		}
	} else {
		for name, v := range p.Payload {
			values = append(values, naiveValues(name, c.Key, v)...)
		}
	}
	if c.IsEmpty {
		return len(values) == 0
	}
	return slices.ContainsFunc(values, func(v any) bool {
		x, isNumber := v.(float64)
		switch {
		case c.Match != nil:
			return v == c.Match
		case c.Any != nil:
			return slices.Contains(c.Any, v)
		}
		r := c.Range
		return isNumber && (r.GT == nil || x > *r.GT) && (r.GTE == nil || x >= *r.GTE) && (r.LT == nil || x < *r.LT) && (r.LTE == nil || x <= *r.LTE)
	})
}

// naiveValues returns what lies under key in a field called name.
func naiveValues(name, key string, v any) (out []any) {
	if list, ok := v.([]any); ok {
		for _, e := range list {
			out = append(out, naiveValues(name, key, e)...)
		}
		return out
	}
	if name == key && v != nil {
		return []any{v}
	}
	if rest, ok := strings.CutPrefix(key, name+"."); ok {
		if object, ok := v.(map[string]any); ok {
			for name, v := range object {
				out = append(out, naiveValues(name, rest, v)...)
			}
		}
	}
	return out
}

// randomPayload makes payloads in which every rule of Condition matters.
func randomPayload(r *rand.Rand, depth int) map[string]any {
	p := map[string]any{}
	for range r.IntN(4) {
		p[[]string{"a", "b", "c", "a.b", "b.", "@label"}[r.IntN(6)]] = randomValue(r, depth)
	}
	return p
}

var longText = strings.Repeat("long ", 40)

func randomValue(r *rand.Rand, depth int) any {
	switch n := r.IntN(12); {
	case n < 3:
		return []string{"x", "y", "1", "true", "", longText, longText + "er"}[r.IntN(7)]
	case n < 7:
		return []float64{-1, 0, 1, 2, 2.5, 1e300, math.Copysign(0, -1), float64(r.IntN(40))}[r.IntN(8)]
	case n == 7:
		return r.IntN(2) == 0
	case n == 8:
		return nil
	case depth == 0:
		return map[string]any{}
	case n < 11:
		list := make([]any, r.IntN(4))
		for i := range list {
			list[i] = randomValue(r, depth-1)
		}
		return list
	}
	return randomPayload(r, depth-1)
}

func randomFilter(r *rand.Rand, depth int) *Filter {
	clause := func(odds int) (list []Condition) {
		for r.IntN(odds) == 0 {
			list = append(list, randomCondition(r, depth))
		}
		return list
	}
	return &Filter{Must: clause(2), Should: clause(3), MustNot: clause(3)}
}

func randomCondition(r *rand.Rand, depth int) Condition {
	key := []string{"a", "b", "c", "a.b", "a.a", "b.", "a.b.c", "zzz", LabelKey}[r.IntN(9)]
	scalar := func() any {
		if key == LabelKey {
			return fmt.Sprintf("class %d", r.IntN(6))
		}
		for {
			switch v := randomValue(r, 0).(type) {
			case string, float64, bool:
				return v
			}
		}
	}
	bound := func() *float64 {
		if r.IntN(2) == 0 {
			return nil
		}
		x := float64(r.IntN(20)-2) / 2
		return &x
	}
	switch n := r.IntN(8); {
	case n < 3:
		return Condition{Key: key, Match: scalar()}
	case n == 3:
		return Condition{Key: key, Any: []any{scalar(), scalar(), scalar()}}
	case n == 4:
		low := 0.5
		rng := Range{GT: bound(), GTE: bound(), LT: bound(), LTE: bound()}
		if rng == (Range{}) {
			rng.GTE = &low
		}
		return Condition{Key: key, Range: &rng}
	case n == 5:
		return Condition{Key: key, IsEmpty: true}
	case n == 6 || depth == 0:
		return Condition{HasID: []string{somePoint(r.IntN(200), 0, 1).ID, somePoint(r.IntN(200), 0, 1).ID, "nobody"}}
	}
	return Condition{Filter: randomFilter(r, depth-1)}
}

// TestFilterModel runs random writes on a collection and on a map, reopens in between, and compares filtered searches, and the
// deletion of what passes a filter, with a loop over all points.
func TestFilterModel(t *testing.T) {
	for _, config := range []Config{{Engine: EngineGraph}, {Engine: EngineFlat}, {Engine: EngineCoder},
		{Engine: EngineGraph, Quantization: QuantizationInt8}, {Engine: EngineGraph, Quantization: QuantizationInt8Disk}} {
		engine := config.Engine
		t.Run(fmt.Sprint(engine, config.Quantization), func(t *testing.T) {
			const seed, dim = 7, 6
			t.Logf("seed %d", seed)
			r := rand.New(rand.NewPCG(seed, 1))
			dir := t.TempDir()
			s := openStore(t, dir)
			c, err := s.Create("c", Config{Dimension: dim, Engine: engine, Quantization: config.Quantization, Metric: L2})
			must(t, err)
			model := map[string]Point{}
			passed := 0
			for step := range smaller(60) {
				switch n := r.IntN(12); {
				case n < 7:
					points := make([]Point, 1+r.IntN(60))
					for i := range points {
						p := somePoint(r.IntN(200), step, dim)
						p.Raw = nil
						if r.IntN(4) == 0 {
							p.Vector = somePoint(r.IntN(3), 0, dim).Vector // shares a slot
						}
						if p.Payload = randomPayload(r, 3); r.IntN(30) == 0 {
							many := make([]any, maxIndexed+1)
							for i := range many {
								many[i] = float64(i)
							}
							p.Payload["c"] = many
						}
						points[i] = p
						model[p.ID] = p
					}
					must(t, c.Upsert(ctx, points))
				case n < 9:
					ids := make([]string, r.IntN(20))
					for i := range ids {
						ids[i] = somePoint(r.IntN(200), 0, dim).ID
						delete(model, ids[i])
					}
					must(t, c.Delete(ctx, ids))
				case n == 9:
					f := randomFilter(r, 1)
					if f.isZero() {
						continue
					}
					must(t, c.DeleteWhere(ctx, f))
					for id, p := range model {
						if naive(f, p) {
							delete(model, id)
						}
					}
				case n == 10:
					must(t, c.Snapshot(ctx))
				default:
					s = reopen(t, s, dir)
					c = collectionOf(t, s, "c")
				}
				if c.Len() != len(model) {
					t.Fatalf("step %d: %d points, want %d", step, c.Len(), len(model))
				}
				for range 12 {
					passed += checkFiltered(t, c, model, randomFilter(r, 2), somePoint(r.IntN(200), 0, dim).Vector, 1+r.IntN(40))
				}
			}
			if passed < smaller(1000) {
				t.Errorf("only %d hits were looked at", passed)
			}
		})
	}
}

// checkFiltered compares an exact filtered search with a loop, and returns how many points pass.
func checkFiltered(t *testing.T, c *Collection, model map[string]Point, f *Filter, q []float32, k int) int {
	t.Helper()
	hits, err := c.Search(ctx, q, k, Params{Exact: true, Filter: f})
	must(t, err)
	s := newSpace(L2, len(q))
	var want []Hit
	for id, p := range model {
		if naive(f, p) {
			want = append(want, s.hit(id, s.between(q, p.Vector)))
		}
	}
	slices.SortFunc(want, compareHits)
	passing := len(want)
	want = want[:min(k, len(want))]
	if len(hits) != len(want) {
		t.Fatalf("filter %+v: %d hits, want %d", f, len(hits), len(want))
	}
	for i, h := range hits {
		// The kernel of one pair may round otherwise than that of many.
		if math.Abs(float64(h.Distance-want[i].Distance)) > 1e-5 || !naive(f, model[h.ID]) {
			t.Fatalf("filter %+v: hit %d is %v, want %v", f, i, h, want[i])
		}
	}
	if !slices.IsSortedFunc(hits, func(a, b Hit) int { return cmp.Compare(a.Distance, b.Distance) }) {
		t.Fatalf("filter %+v: hits %v are out of order", f, hits)
	}
	return passing
}

func TestFilterValidate(t *testing.T) {
	nan := math.NaN()
	deep := &Filter{}
	for range MaxFilterDepth - 1 {
		deep = &Filter{Must: []Condition{{Filter: deep}}}
	}
	one := Condition{Key: "a", Match: 1}
	for name, c := range map[string]struct {
		f    *Filter
		want []string
	}{
		"nothing":         {&Filter{Must: []Condition{one, {}}}, []string{"must[1]", "0 of match", "one of them"}},
		"two":             {&Filter{Should: []Condition{{Key: "a", Match: "x", IsEmpty: true}}}, []string{"should[0]", "2 of match"}},
		"no key":          {&Filter{MustNot: []Condition{{Match: "x"}}}, []string{"must_not[0]", "key of 0 bytes", "1024"}},
		"long key":        {&Filter{Must: []Condition{{Key: strings.Repeat("k", MaxKey+1), IsEmpty: true}}}, []string{"1025", "1024"}},
		"broken key":      {&Filter{Must: []Condition{{Key: "\xff", IsEmpty: true}}}, []string{"UTF-8"}},
		"key of ids":      {&Filter{Must: []Condition{{Key: "id", HasID: []string{"x"}}}}, []string{`"id"`, "no key"}},
		"a slice":         {&Filter{Must: []Condition{{Key: "a", Match: []string{"x"}}}}, []string{"[]string", "a string, a number or a bool"}},
		"NaN":             {&Filter{Must: []Condition{{Key: "a", Match: nan}}}, []string{"NaN", "finite"}},
		"nil in any":      {&Filter{Must: []Condition{{Key: "a", Any: []any{"x", nil}}}}, []string{"<nil>"}},
		"empty any":       {&Filter{Must: []Condition{{Key: "a", Any: []any{}}}}, []string{"0 values", "10000"}},
		"no bounds":       {&Filter{Must: []Condition{{Key: "a", Range: &Range{}}}}, []string{"without bounds", "gte"}},
		"bound NaN":       {&Filter{Must: []Condition{{Key: "a", Range: &Range{LT: &nan}}}}, []string{"NaN"}},
		"bad id":          {&Filter{Must: []Condition{{HasID: []string{""}}}}, []string{"empty id"}},
		"deep":            {&Filter{Must: []Condition{{Filter: deep}}}, []string{"deeper than 8", "must[0].must[0]"}},
		"many conditions": {&Filter{Must: slices.Repeat([]Condition{one}, MaxFilterConditions+1)}, []string{"must[256]", "more than 256"}},
		"many values":     {&Filter{Must: slices.Repeat([]Condition{{Key: "a", Any: slices.Repeat([]any{1}, MaxFilterValues/2)}}, 3)}, []string{"must[2]", "15000", "10000"}},
	} {
		err := c.f.Validate()
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, part := range c.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q lacks %q", name, err, part)
			}
		}
	}
	must(t, deep.Validate())
	must(t, (&Filter{}).Validate())
	ix := graphOf(t, Options{Dimension: 2})
	if _, err := ix.Search(ctx, []float32{1, 2}, 1, Params{Filter: &Filter{}}); !errors.Is(err, ErrInvalid) {
		t.Errorf("an index by itself: %v", err)
	}
}
