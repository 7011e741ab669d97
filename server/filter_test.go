package server

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/akin-search/akin/index"
)

// manyFilters has one of everything.
const manyFilters = `{"must":[{"key":"@label","match":{"any":["c1","c2"]}},{"key":"n","range":{"gte":10,"lt":90}},{"must_not":[{"is_empty":{"key":"name"}}]}],
	"should":[{"key":"name","match":{"value":"<14>"}},{"has_id":[22,"38"]},{"key":"n","match":{"value":30}},{"key":"n","match":{"value":true}}],"must_not":[{"has_id":["22"]}]}`

// TestFilter: of the 200 points, point i has the label c(i mod 4), and if i is even the payload {"n": i, "name": "<i>"}.
func TestFilter(t *testing.T) {
	ts := start(t, nil)
	for filter, want := range map[string]func(i int) bool{
		`{}`:   func(int) bool { return true },
		`null`: func(int) bool { return true },
		`{"must":[{"key":"@label","match":{"value":"c2"}}]}`:                                       func(i int) bool { return i%4 == 2 },
		`{"must":[{"key":"label","match":{"value":"c2"}}]}`:                                        func(i int) bool { return false },
		`{"must":[{"key":"n","range":{"gt":10,"lte":20}}]}`:                                        func(i int) bool { return i%2 == 0 && i > 10 && i <= 20 },
		`{"must":[{"key":"name","match":{"value":"<8>"}}]}`:                                        func(i int) bool { return i == 8 },
		`{"must":[{"key":"n","match":{"any":[1,2,3,4]}}]}`:                                         func(i int) bool { return i == 2 || i == 4 },
		`{"must":[{"is_empty":{"key":"n"}}],"must_not":[{"key":"@label","match":{"any":["c1"]}}]}`: func(i int) bool { return i%4 == 3 },
		`{"should":[{"has_id":[5,"7"]},{"must":[{"key":"n","match":{"value":6.0}}]}]}`:             func(i int) bool { return i == 5 || i == 6 || i == 7 },
		manyFilters: func(i int) bool { return i == 14 || i == 38 || i == 30 },
	} {
		all := map[string]bool{}
		for i := range 200 {
			if want(i) {
				all[fmt.Sprint(i)] = true
			}
		}
		for _, more := range []string{``, `,"params":{"exact":true}`} {
			body := `{"query":` + axis0 + `,"limit":500,"with_payload":false,"filter":` + filter + more + `}`
			have := map[string]bool{}
			for _, id := range ts.search("/search", body).ids() {
				have[id] = true
			}
			if !reflect.DeepEqual(have, all) {
				t.Errorf("%s finds %v, want %v", body, have, all)
			}
		}
	}
	// A form takes a filter, a batch one for each search, and a point that is asked about is still not its own neighbour.
	contentType, body := form(t, "query", "8", "limit", "5", "filter", `{"must":[{"has_id":[8,12,13]}]}`)
	if a := ts.do("POST", "/search", contentType, body); a.status != http.StatusOK || strings.Count(a.body, `"id"`) != 2 {
		t.Errorf("form: %d %s", a.status, a.body)
	}
	a := ts.post("/collections/digits/points/query/batch", `{"searches":[{"query":8,"filter":{"must":[{"has_id":[12]}]}},{"query":8,"filter":{"must":[{"has_id":[13]}]}}]}`)
	if a.status != http.StatusOK || !strings.Contains(a.body, `"id":"12"`) || !strings.Contains(a.body, `"id":"13"`) || strings.Count(a.body, `"id"`) != 2 {
		t.Errorf("batch: %d %s", a.status, a.body)
	}
	var wrote struct{ Points int }
	ts.ok("POST", "/collections/digits/points/delete", `{"filter":{"must":[{"key":"@label","match":{"value":"c2"}},{"key":"n","range":{"lt":100}}]}}`, &wrote)
	if wrote.Points != 175 {
		t.Errorf("%d points are left of 200 without 25", wrote.Points)
	}
}

// FuzzParseFilter: what can be parsed can be searched with.
func FuzzParseFilter(f *testing.F) {
	for _, text := range []string{manyFilters, `{}`, `{"must":[{}]}`, `{"must":[{"must":[{"should":[]}]}]}`, `{"should":[{"key":"a","match":{"value":1e308}}]}`,
		`{"must":[{"key":"a","range":{"gt":1,"gte":2,"lt":0,"lte":null}}]}`, `{"must_not":[{"key":"\u00e9","match":{"any":[true,"\ud83d\ude00",-0]}}]}`} {
		f.Add(text)
	}
	col, err := testStore(f).Collection("digits")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		filter, err := ParseFilter(text)
		if err != nil {
			return
		}
		if _, err := col.Search(context.Background(), []float32{1, 0, 0, 0, 0, 0, 0, 0}, 10, index.Params{Filter: filter}); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	})
}
