package server

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// fuzzTargets are all endpoints that read a body; writes go to a collection of their own.
var fuzzTargets = []struct{ method, path string }{
	{"POST", "/search"},
	{"POST", "/collections/plain/points/query"},
	{"POST", "/anomaly"},
	{"POST", "/embed"},
	{"POST", "/verify-pair"},
	{"PUT", "/collections/other/points"},
	{"POST", "/collections/other/points/delete"},
	{"POST", "/collections/digits/points/query/batch"},
}

// FuzzBodies: no body makes the server fail; every answer is an envelope.
func FuzzBodies(f *testing.F) {
	s, err := New(Options{Store: testStore(f), Default: "digits", Encoder: &fakeEncoder{}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	formType, formBody := form(f, "@input", "class 1", "limit", "3")
	for _, body := range []string{
		`{"query":` + axis0 + `,"limit":3,"offset":1,"params":{"hnsw_ef":10,"exact":true},"score_threshold":0.5,"with_payload":true,"with_vector":true}`,
		`{"query":{"input":"` + b64("class 2") + `"},"alpha":0.1}`, `{"id":"3","explain":true}`, `{"query":17}`, `{"input":"` + b64("class 2") + `","model_id":"model-a"}`,
		`{"points":[{"id":"p","vector":` + axis0 + `,"label":"l\u00e9","payload":{"a":[1,{"b":null}]}},{"id":-3,"vector":` + axis5 + `}]}`,
		`{"query":` + axis0 + `,"filter":` + manyFilters + `}`, `{"filter":` + manyFilters + `}`,
		`{"searches":[{"query":` + axis0 + `,"params":{"recall_target":0.9}},{"query":3,"score_threshold":0.5},{"query":{"input":"` + b64("class 1") + `"}}]}`,
		`{"points":["p",3]}`, ``, `{}`, `[]`, `{"vector":[1e999]}`, `{"vector":null}`, `{"points":[{"id":"\ud800"}]}`,
	} {
		for i := range fuzzTargets {
			f.Add(uint8(i), "application/json", []byte(body))
		}
	}
	f.Add(uint8(0), formType, []byte(formBody))
	f.Add(uint8(2), formType, []byte(strings.Replace(formBody, "limit", "alpha", 1)))
	handler := s.app.Server().Handler
	f.Fuzz(func(t *testing.T, target uint8, contentType string, body []byte) {
		var ctx fasthttp.RequestCtx
		to := fuzzTargets[int(target)%len(fuzzTargets)]
		ctx.Request.Header.SetMethod(to.method)
		ctx.Request.SetRequestURI(to.path)
		ctx.Request.Header.SetContentType(contentType)
		ctx.Request.SetBody(body)
		handler(&ctx)
		if status := ctx.Response.StatusCode(); status < 200 || status >= 500 || !json.Valid(ctx.Response.Body()) {
			t.Fatalf("%s %s %q: %d %s", to.method, to.path, body, status, ctx.Response.Body())
		}
	})
}
