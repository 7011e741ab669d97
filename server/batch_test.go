package server

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/akin-search/akin/index"
)

func TestSearchBatch(t *testing.T) {
	ts := start(t, nil)
	const path = "/collections/digits/points/query/batch"
	bodies := []string{
		`{"query":` + axis0 + `}`,
		`{"query":8,"limit":3,"with_payload":false}`,
		`{"query":{"input":"` + b64("class 3") + `"},"limit":2,"with_vector":true}`,
		`{"id":"9","score_threshold":0.9,"limit":500,"alpha":0.05}`,
		`{"vector":` + axis5 + `,"offset":3,"limit":4,"params":{"exact":true}}`,
		`{"query":{"input":"` + b64("class 2") + `"},"model_id":"model-a"}`,
	}
	var got []found
	ts.ok("POST", path, `{"searches":[`+strings.Join(bodies, ",")+`]}`, &got)
	if len(got) != len(bodies) {
		t.Fatalf("%d results for %d searches", len(got), len(bodies))
	}
	for i, body := range bodies {
		if want := ts.search("/collections/digits/points/query", body); !reflect.DeepEqual(got[i], want) {
			t.Errorf("%s in a batch gives\n%+v\nand alone\n%+v", body, got[i], want)
		}
	}
	good := `{"query":` + axis0 + `}`
	many := strings.Repeat(good+",", 1000) + good
	for body, want := range map[string]string{
		`{"searches":[]}`:                                                               "no searches: give at least one",
		`{"searches":[` + many + `]}`:                                                   "searches[1000]: more than 1000 searches",
		`{"searches":[` + good + `,{"query":[1,2]}]}`:                                   "searches[1]: vector of 2 components: wrong dimension: want 8",
		`{"searches":[` + good + `,{"limit":3}]}`:                                       "searches[1]: nothing to ask about",
		`{"searches":[` + good + `,{"query":1,"limit":0}]}`:                             "searches[1].limit: 0: use a whole number from 1 to 10000",
		`{"searches":[` + good + `,{"query":1,"limit":10000}]}`:                         "searches[1]: offset 0 and limit 10000",
		`{"searches":[` + good + `,{"query":{"input":"` + b64("no") + `"}}]}`:           "searches[1].input: item 0",
		`{"searches":[` + good + `,{"query":1,"model_id":"x"}]}`:                        "searches[1].model_id: ",
		`{"searches":[` + good + `,{"query":1,"color":2}]}`:                             `searches[1]: unknown field "color"`,
		`{"searches":[` + good + `,{"query":"nobody"}]}`:                                `searches[1]: collection "digits": point "nobody"`,
		`{"searches":[` + good + `,{"query":1,"alpha":2}]}`:                             "searches[1]: alpha 2",
		`{"searches":[` + good + `,{"query":[0,0,0,0,0,0,0,0]}, {"query":[0]}]}`:        "searches[1]: zero vector",
		`{"searches":[` + strings.Repeat(`{"query":1,"limit":9999},`, 10) + good + `]}`: "batch of 11 queries for 100010 hits",
	} {
		a := ts.do("POST", path, "application/json", body)
		status := http.StatusBadRequest
		if strings.Contains(want, "nobody") {
			status = http.StatusNotFound
		}
		if strings.Contains(want, "model_id") {
			status = http.StatusConflict
		}
		if a.status != status || !strings.Contains(unquoted(a.body), want) {
			t.Errorf("%.90s: %d %.300s, want %q", body, a.status, a.body, want)
		}
	}
}

// unquoted undoes JSON's escapes of quotes.
func unquoted(s string) string { return strings.ReplaceAll(s, `\"`, `"`) }

// TestSearchBatchInputs has more inputs than go to the encoder at once.
func TestSearchBatchInputs(t *testing.T) {
	ts := start(t, nil)
	var list []string
	for i := range 300 {
		list = append(list, fmt.Sprintf(`{"query":{"input":"%s"},"limit":1}`, b64(fmt.Sprintf("class %d", i%4))))
	}
	var got []found
	ts.ok("POST", "/collections/digits/points/query/batch", `{"searches":[`+strings.Join(list, ",")+`]}`, &got)
	for i, f := range got {
		if want := fmt.Sprintf("c%d", i%4); *f.Points[0].Label != want {
			t.Errorf("search %d finds class %s, want %s", i, *f.Points[0].Label, want)
		}
	}
}

// TestRecallTarget: the answer says how the target was met.
func TestRecallTarget(t *testing.T) {
	var store *index.Store
	ts := start(t, func(o *Options) { store = o.Store })
	col, err := store.Collection("digits")
	if err != nil {
		t.Fatal(err)
	}
	if err := col.MeasureRecall(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	var walked, few struct {
		EF     int     `json:"ef_used"`
		Recall float64 `json:"recall_estimate"`
		Reason string  `json:"exact_reason"`
		Points []any
	}
	ts.ok("POST", "/search", `{"query":`+axis0+`,"params":{"recall_target":0.9}}`, &walked)
	if walked.EF < 8 || walked.Recall < 0.9 || walked.Recall >= 1 || walked.Reason != "" || len(walked.Points) != 10 {
		t.Errorf("%+v", walked)
	}
	ts.ok("POST", "/search", `{"query":`+axis0+`,"params":{"recall_target":0.9},"limit":150}`, &few)
	if few.EF != 0 || few.Recall != 1 || !strings.Contains(few.Reason, "200 points are few") || len(few.Points) != 150 {
		t.Errorf("%+v", few)
	}
	a := ts.do("POST", "/collections/digits/points/query/batch", "application/json",
		`{"searches":[{"query":`+axis0+`},{"query":`+axis0+`,"params":{"recall_target":0.9}},{"query":1,"params":{"recall_target":0.9}},{"query":1,"params":{"recall_target":0.9,"exact":true}}]}`)
	if a.status != http.StatusOK || strings.Count(a.body, `"ef_used"`) != 3 || strings.Count(a.body, `"recall_estimate":1`) != 1 || strings.Contains(a.body, "exact_reason") {
		t.Errorf("batch: %d %s", a.status, a.body)
	}
	for body, want := range map[string]string{
		`{"query":1,"params":{"recall_target":1}}`:               "params.recall_target: 1: use a number between 0 and 1",
		`{"query":1,"params":{"recall_target":0}}`:               "params.recall_target: 0: use",
		`{"query":1,"params":{"recall_target":"high"}}`:          "params.recall_target: a string",
		`{"query":1,"params":{"recall_target":0.9,"hnsw_ef":9}}`: "give one of them",
	} {
		if a := ts.do("POST", "/search", "application/json", body); a.status != http.StatusBadRequest || !strings.Contains(a.body, want) {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
	var info struct {
		Recall struct {
			Curve []struct{ K, Points int }
			Live  []any
		}
	}
	ts.ok("GET", "/collections/digits", "", &info)
	if len(info.Recall.Curve) != 1 || info.Recall.Curve[0].K != 10 || info.Recall.Curve[0].Points != 200 || info.Recall.Live == nil {
		t.Errorf("info %+v", info)
	}
}
