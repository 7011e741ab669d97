package server

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/akin-search/akin/index"
)

// found is the result of a search.
type found struct {
	Points []struct {
		ID      string
		Score   float32
		Payload map[string]any
		Label   *string
		Vector  []float32
	}
	ModelID string `json:"model_id"`
	Anomaly *struct {
		Score, Threshold, Alpha float64
		PValue                  float64 `json:"p_value"`
		IsAnomaly               bool    `json:"is_anomaly"`
		NearestClass            string  `json:"nearest_class"`
	}
}

func (f found) ids() []string {
	ids := []string{}
	for _, p := range f.Points {
		ids = append(ids, p.ID)
	}
	return ids
}

func (ts *testServer) search(path, body string) (f found) {
	ts.t.Helper()
	ts.ok("POST", path, body, &f)
	return f
}

func TestSearch(t *testing.T) {
	ts := start(t, nil)
	all := ts.search("/search", `{"query":`+axis0+`,"limit":30}`)
	if len(all.Points) != 30 || all.ModelID != testModel || all.Anomaly == nil || all.Anomaly.IsAnomaly || all.Anomaly.NearestClass != "c0" {
		t.Errorf("%+v", all)
	}
	for i, p := range all.Points {
		if *p.Label != "c0" || i > 0 && p.Score > all.Points[i-1].Score {
			t.Errorf("hit %d: %+v", i, p)
		}
	}
	if far := ts.search("/search", `{"query":`+axis5+`}`); !far.Anomaly.IsAnomaly || len(far.Points) != 10 {
		t.Errorf("far from everything: %+v", far.Anomaly)
	}
	// One question in all its forms.
	want := all.ids()[:10]
	for _, body := range []string{
		`{"vector":` + axis0 + `}`,
		`{"query":{"vector":` + axis0 + `}}`,
		`{"query":` + axis0 + `,"params":{"exact":true,"hnsw_ef":100},"model_id":"model-a","alpha":0.05}`,
		`{"query":` + axis0 + `,"limit":null,"offset":null,"params":null,"score_threshold":null,"id":null,"with_vector":false}`,
	} {
		for _, path := range []string{"/search", "/search/", "/collections/digits/points/query"} {
			if have := ts.search(path, body).ids(); !reflect.DeepEqual(have, want) {
				t.Errorf("%s %s finds %v, want %v", path, body, have, want)
			}
		}
	}
	if page := ts.search("/search", `{"query":`+axis0+`,"offset":4,"limit":3}`).ids(); !reflect.DeepEqual(page, want[4:7]) {
		t.Errorf("a page has %v, want %v", page, want[4:7])
	}
	if beyond := ts.search("/search", `{"query":`+axis0+`,"offset":9990}`).ids(); len(beyond) != 0 {
		t.Errorf("beyond the end: %v", beyond)
	}
	// A point's neighbours do not contain the point.
	for _, body := range []string{`{"query":8}`, `{"query":"8"}`, `{"id":8}`, `{"query":{"id":"8"}}`} {
		f := ts.search("/search", body)
		if len(f.Points) != 10 || strings.Contains(fmt.Sprintf("%q", f.ids()), `"8"`) || *f.Points[0].Label != "c0" {
			t.Errorf("%s finds %v", body, f.ids())
		}
	}
	everyone := ts.search("/search", `{"query":8,"limit":9999}`)
	if len(everyone.Points) != 199 {
		t.Errorf("%d points beside one of 200", len(everyone.Points))
	}
	input := `{"query":{"input":"` + b64("class 3") + `"},"limit":1}`
	if f := ts.search("/search", input); *f.Points[0].Label != "c3" {
		t.Errorf("input finds %v", f)
	}
	bare := ts.search("/search", `{"query":`+axis0+`,"with_payload":false}`)
	if p := bare.Points[0]; p.Label != nil || p.Payload != nil || p.Vector != nil {
		t.Errorf("a bare hit has %+v", p)
	}
	if p := ts.search("/search", `{"query":`+axis0+`,"with_vector":true}`).Points[0]; len(p.Vector) != testDim {
		t.Errorf("a hit with its vector has %+v", p)
	}
}

func TestScoreThreshold(t *testing.T) {
	ts := start(t, nil)
	for body, want := range map[string][]string{
		`{"query":[0,0.25,0]}`:                          {"a", "b", "c"},
		`{"query":[0,0.25,0],"score_threshold":1.5}`:    {"a", "b"},
		`{"query":[0,0.25,0],"score_threshold":0.25}`:   {"a"},
		`{"query":[0,0.25,0],"score_threshold":0.2}`:    {},
		`{"query":[0,0.25,0],"score_threshold":-1e300}`: {},
	} {
		if have := ts.search("/collections/plain/points/query", body).ids(); !reflect.DeepEqual(have, want) {
			t.Errorf("Euclidean %s: %v, want %v", body, have, want)
		}
	}
	all := ts.search("/search", `{"query":`+axis0+`,"limit":200}`)
	some := ts.search("/search", fmt.Sprintf(`{"query":%s,"limit":200,"score_threshold":%v}`, axis0, all.Points[20].Score))
	if n := len(some.Points); n < 20 || n > 22 { // the score is printed as a float32
		t.Errorf("%d points above the score of the 21st", n)
	}
}

func TestForms(t *testing.T) {
	ts := start(t, nil)
	contentType, body := form(t, "@input", "class 2", "limit", "3", "with_payload", "false", "params", `{"exact":true}`)
	a := ts.do("POST", "/search", contentType, body)
	if a.status != http.StatusOK || strings.Count(a.body, `"id"`) != 3 || !strings.Contains(a.body, `"nearest_class":"c2"`) {
		t.Errorf("search: %d %s", a.status, a.body)
	}
	contentType, body = form(t, "input", b64("class 2"), "alpha", "0.05", "explain", "true", "model_id", testModel)
	a = ts.do("POST", "/anomaly", contentType, body)
	if a.status != http.StatusOK || !strings.Contains(a.body, `"alpha":0.05`) || strings.Count(a.body, `"label":"c2"`) != 5 {
		t.Errorf("anomaly: %d %s", a.status, a.body)
	}
	contentType, body = form(t, "@input", "class 2")
	if a = ts.do("POST", "/embed", contentType, body); a.status != http.StatusOK || !strings.Contains(a.body, `"dimension":8`) {
		t.Errorf("embed: %d %s", a.status, a.body)
	}
	contentType, body = form(t, "query", "8", "limit", "1")
	if a = ts.do("POST", "/search", contentType, body); a.status != http.StatusOK || !strings.Contains(a.body, `"label":"c0"`) {
		t.Errorf("by id: %d %s", a.status, a.body)
	}
	contentType, body = form(t, "query", `{"id":"8"}`, "limit", "1")
	if a = ts.do("POST", "/search", contentType, body); a.status != http.StatusOK {
		t.Errorf("by an object: %d %s", a.status, a.body)
	}
	contentType, body = form(t, "vector", axis0, "limit", " 2 ")
	if a = ts.do("POST", "/search", contentType, body); a.status != http.StatusOK || strings.Count(a.body, `"id"`) != 2 {
		t.Errorf("by vector: %d %s", a.status, a.body)
	}
}

func TestPoints(t *testing.T) {
	ts := start(t, nil)
	var wrote struct {
		Status string
		Points int
	}
	ts.ok("PUT", "/collections/digits/points?wait=true", `{"model_id":"model-a","points":[
		{"id":"new","input":"`+b64("class 6")+`","label":"six","payload":{"from":"input","deep":{"list":[1,"two",null]}}},
		{"id":18446744073709551615,"vector":[0,0,0,0,0,0,0,2],"payload":null,"label":null,"input":null},
		{"id":"0","vector":[0,0,0,0,0,0,0,1],"label":"moved"}]}`, &wrote)
	if wrote.Status != "completed" || wrote.Points != 202 {
		t.Errorf("%+v", wrote)
	}
	six := ts.search("/search", `{"query":{"input":"`+b64("class 6")+`"},"limit":1,"with_vector":true}`).Points[0]
	if six.ID != "new" || *six.Label != "six" || six.Score < 0.9999 || !reflect.DeepEqual(six.Payload["deep"], map[string]any{"list": []any{1.0, "two", nil}}) {
		t.Errorf("%+v", six)
	}
	seven := ts.search("/search", `{"query":[0,0,0,0,0,0,0,3],"limit":2}`)
	if !reflect.DeepEqual(seven.ids(), []string{"0", "18446744073709551615"}) || seven.Points[1].Payload != nil || *seven.Points[1].Label != "" {
		t.Errorf("%+v", seven)
	}
	ts.ok("POST", "/collections/digits/points/delete", `{"points":["0",18446744073709551615,"never"]}`, &wrote)
	if wrote.Status != "completed" || wrote.Points != 200 {
		t.Errorf("%+v", wrote)
	}
	if a := ts.post("/search", `{"query":0}`); a.status != http.StatusNotFound {
		t.Errorf("a deleted point is found: %s", a.body)
	}
	// The encoder sees large writes in batches, and every point gets its own vector.
	var many []string
	for i := range encodeBatch + 10 {
		many = append(many, fmt.Sprintf(`{"id":"m%d","input":"%s"}`, i, b64(fmt.Sprintf("class %d", i%4))))
	}
	before := ts.enc.items
	ts.ok("PUT", "/collections/digits/points", `{"points":[`+strings.Join(many, ",")+`]}`, &wrote)
	if wrote.Points != 200+len(many) || ts.enc.items-before != len(many) {
		t.Errorf("%+v, %d inputs embedded", wrote, ts.enc.items-before)
	}
	if f := ts.search("/search", `{"query":"m3","limit":1}`); *f.Points[0].Label != "" || f.Points[0].ID[0] != 'm' {
		t.Errorf("%+v", f)
	}
}

func TestHeaders(t *testing.T) {
	ts := start(t, nil)
	if a := ts.do("HEAD", "/healthz", "", ""); a.status != http.StatusOK || a.body != "" {
		t.Errorf("HEAD: %d %q", a.status, a.body)
	}
	if a := ts.do("GET", "/search", "", ""); a.header.Get("Allow") != "POST" {
		t.Errorf("Allow %q", a.header.Get("Allow"))
	}
	for _, ct := range []string{"application/json; charset=utf-8", "Application/JSON", " application/json ;x=y"} {
		if a := ts.do("POST", "/search", ct, `{"query":`+axis0+`}`); a.status != http.StatusOK {
			t.Errorf("%q: %s", ct, a.body)
		}
	}
	req, err := http.NewRequest("POST", ts.url+"/search", strings.NewReader("\x1f\x8b"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Content-Encoding", "gzip")
	if a := ts.send(req); a.status != http.StatusUnsupportedMediaType || !strings.Contains(a.text, "uncompressed") {
		t.Errorf("gzip: %d %s", a.status, a.text)
	}
}

// TestInternal: the server's own faults cost one request, are logged and not shown.
func TestInternal(t *testing.T) {
	ts := start(t, nil)
	for input, logged := range map[string]string{"panic": "the encoder fell over", "fail": "secret detail of the disk"} {
		a := ts.post("/search", `{"input":"`+b64(input)+`"}`)
		if a.status != http.StatusInternalServerError || a.text != internalError {
			t.Errorf("%s: %d %s", input, a.status, a.body)
		}
		if !strings.Contains(ts.log.String(), logged) || !strings.Contains(ts.log.String(), "path=/search") {
			t.Errorf("%s: logged %q", input, ts.log)
		}
		ts.search("/search", `{"query":`+axis0+`}`)
	}
	if !strings.Contains(ts.log.String(), "fakeEncoder") {
		t.Errorf("no stack in %q", ts.log)
	}
}

// TestFull: a write beyond the store's memory is refused whole, with the limit.
func TestFull(t *testing.T) {
	const limit = 100_000
	store, err := index.Open(t.TempDir(), index.StoreOptions{MaxMemory: limit})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	col, err := store.Create("small", index.Config{Dimension: 2})
	if err != nil {
		t.Fatal(err)
	}
	ts := start(t, func(o *Options) { o.Store, o.Default, o.Encoder = store, "small", nil })
	points := make([]string, 1000)
	for i := range points {
		points[i] = fmt.Sprintf(`{"id":%d,"vector":[1,%d]}`, i, i)
	}
	a := ts.do("PUT", "/collections/small/points", "application/json", `{"points":[`+strings.Join(points, ",")+`]}`)
	if a.status != http.StatusInsufficientStorage || !strings.Contains(a.text, fmt.Sprint(limit)) || col.Len() != 0 {
		t.Errorf("%d %s, %d points", a.status, a.body, col.Len())
	}
	a = ts.do("PUT", "/collections/small/points", "application/json", `{"points":[`+points[1]+`]}`)
	if a.status != http.StatusOK || col.Len() != 1 {
		t.Errorf("%d %s, %d points", a.status, a.body, col.Len())
	}
}
