package server

import (
	"net/http"
	"strings"
	"testing"

	"github.com/akin-search/akin/index"
)

// badRequest is refused with a status and a message that holds all of want.
type badRequest struct {
	name        string
	method      string // POST if empty
	path        string // /search if empty
	contentType string // application/json if empty
	body        string
	status      int // 400 if 0
	want        []string
}

// TestBadInput sends what clients get wrong, over TCP. After each the server still answers a good request.
func TestBadInput(t *testing.T) {
	ts := start(t, func(o *Options) { o.BodyLimit = 4 << 20 })
	vector := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat("0.5,", n), ",") + "]" }
	formType, twoFields := form(t, "@input", "class 1", "limit", "zero")
	_, unknownField := form(t, "@input", "class 1", "k", "3")
	_, noFields := form(t)
	_, brokenFile := form(t, "@input", "not a picture")
	_, emptyFile := form(t, "@input", "")
	_, textInput := form(t, "input", "!!!")
	for _, c := range []badRequest{
		{name: "wrong dimension", body: `{"query":` + vector(7) + `}`, want: []string{"7", "wrong dimension", "8"}},
		{name: "dimension beyond any", body: `{"query":` + vector(5000) + `}`, want: []string{"query", "5000", "1 to 4096"}},
		{name: "wrong dimension, anomaly", path: "/anomaly", body: `{"vector":[1,2]}`, want: []string{"2", "wrong dimension", "8"}},
		{name: "wrong dimension, points", method: "PUT", path: "/collections/digits/points", body: `{"points":[{"id":"x","vector":[1]}]}`, want: []string{`"x"`, "wrong dimension", "8"}},
		{name: "NaN", body: `{"query":[NaN,0,0,0,0,0,0,0]}`, want: []string{"query[0]", "NaN", "finite number"}},
		{name: "Infinity", body: `{"query":[1,-Infinity,0,0,0,0,0,0]}`, want: []string{"query[1]", "-Infinity", "finite number"}},
		{name: "1e999", body: `{"query":[0,0,1e999,0,0,0,0,0]}`, want: []string{"query[2]", "1e999", "finite"}},
		{name: "beyond float32", method: "PUT", path: "/collections/digits/points", body: `{"points":[{"id":1,"vector":[0,0,1e39,0,0,0,0,0]}]}`, want: []string{"points[0].vector[2]", "1e39", "float32"}},
		{name: "zero vector", body: `{"query":` + strings.ReplaceAll(vector(8), "0.5", "0") + `}`, want: []string{"zero vector"}},
		{name: "null vector", body: `{"vector":null}`, want: []string{"vector, id, input and text", "null counts as not given"}},
		{name: "null in a vector", body: `{"query":[1,null,0,0,0,0,0,0]}`, want: []string{"query[1]", "null", "finite number"}},
		{name: "string in a vector", body: `{"query":[1,"2",0,0,0,0,0,0]}`, want: []string{"query[1]", "a string", "finite number"}},
		{name: "nested vector", body: `{"query":[[1,0,0,0,0,0,0,0]]}`, want: []string{"query[0]", "an array"}},
		{name: "empty vector", body: `{"query":[]}`, want: []string{"0 components", "1 to 4096"}},
		{name: "broken image", body: `{"query":{"input":"` + b64("GIF89a") + `"}}`, want: []string{"input", "cannot be decoded"}},
		{name: "broken image, embed", path: "/embed", body: `{"input":"` + b64("GIF89a") + `"}`, want: []string{"input", "cannot be decoded"}},
		{name: "broken image, second of two points", method: "PUT", path: "/collections/digits/points",
			body: `{"points":[{"id":"v","vector":` + axis0 + `},{"id":"g","input":"` + b64("class 1") + `"},{"id":"b","input":"` + b64("GIF89a") + `"}]}`,
			want: []string{"points[2].input", "cannot be decoded"}},
		{name: "bad base64", body: `{"input":"a*b="}`, want: []string{"input", "illegal base64", "standard base64"}},
		{name: "empty input", body: `{"input":""}`, want: []string{"input", "empty"}},
		{name: "unknown collection", path: "/collections/nowhere/points/query", body: `{"query":[1]}`, status: 404, want: []string{`"nowhere"`, "not found"}},
		{name: "unknown collection, get", method: "GET", path: "/collections/nowhere", status: 404, want: []string{`"nowhere"`}},
		{name: "unknown collection, put", method: "PUT", path: "/collections/nowhere/points", body: `{"points":[]}`, status: 404, want: []string{`"nowhere"`}},
		{name: "strange collection name", method: "GET", path: "/collections/%ff%00", status: 404, want: []string{"not found"}},
		{name: "alpha too small", path: "/anomaly/batch", body: `{"items":[{"vector":` + axis0 + `}],"alpha":0.001}`, want: []string{"items[0]", "0.001", "n = 999"}},
		{name: "alpha and fdr", path: "/anomaly/batch", body: `{"items":[{"vector":` + axis0 + `}],"alpha":0.1,"fdr":0.1}`, want: []string{"alpha and fdr", "one of them"}},
		{name: "fdr", path: "/anomaly/batch", body: `{"items":[{"vector":` + axis0 + `}],"fdr":1}`, want: []string{"fdr", "between 0 and 1"}},
		{name: "fdr too small", path: "/anomaly/batch", body: `{"items":[{"vector":` + axis5 + `}],"fdr":0.004}`, want: []string{"fdr", "0.004", "200 calibration scores", "0.00498", "n = 249"}},
		{name: "no items", path: "/anomaly/batch", body: `{"items":[]}`, want: []string{"no items"}},
		{name: "bad item", path: "/anomaly/batch", body: `{"items":[{"vector":` + axis0 + `},{}]}`, want: []string{"items[1]", "vector, id, input and text"}},
		{name: "batch without detector", path: "/collections/plain/anomaly/batch", body: `{"items":[{"vector":[1,2,3]}]}`, status: 409, want: []string{`"plain"`, "not calibrated", "/collections/plain/calibrate"}},
		{name: "classify without detector", path: "/collections/plain/classify", body: `{"vector":[1,2,3]}`, status: 409, want: []string{`"plain"`, "not calibrated"}},
		{name: "classify, alpha", path: "/classify", body: `{"vector":` + axis0 + `,"alpha":2}`, want: []string{"alpha 2", "between 0 and 1"}},
		{name: "calibrate, nothing kept aside", path: "/collections/plain/calibrate", body: `{}`, status: 409, want: []string{"not calibrated", "keep some aside"}},
		{name: "calibrate, holdout", path: "/calibrate", body: `{"holdout":0.7}`, want: []string{"holdout", "0.7", "0.5"}},
		{name: "calibrate, dimension", path: "/calibrate", body: `{"points":[{"id":1,"vector":[1]}]}`, want: []string{"wrong dimension", "8"}},
		{name: "feedback without id", path: "/anomaly/feedback", body: `{"verdict":"wrong"}`, want: []string{"no id"}},
		{name: "feedback without verdict", path: "/anomaly/feedback", body: `{"id":"7"}`, want: []string{"no verdict"}},
		{name: "feedback, verdict", path: "/anomaly/feedback", body: `{"id":"7","verdict":"maybe"}`, want: []string{"verdict", `"maybe"`, "wrong or right"}},
		{name: "feedback, into", path: "/anomaly/feedback", body: `{"id":"7","verdict":"right","into":"known"}`, want: []string{"into", "leave it out"}},
		{name: "feedback, unknown id", path: "/anomaly/feedback", body: `{"id":"nobody","verdict":"right"}`, status: 404, want: []string{`"nobody"`, "not found"}},
		{name: "feedback, other model", path: "/anomaly/feedback", body: `{"id":"7","verdict":"right","model_id":"model-z"}`, status: 409, want: []string{"model_id", "model-z"}},
		{name: "unknown id", body: `{"query":"nobody"}`, status: 404, want: []string{`"nobody"`, "not found"}},
		{name: "unknown integer id", path: "/anomaly", body: `{"id":123456}`, status: 404, want: []string{`"123456"`, "not found"}},
		{name: "limit 0", body: `{"query":` + axis0 + `,"limit":0}`, want: []string{"limit", "0", "1 to 10000"}},
		{name: "limit 10^9", body: `{"query":` + axis0 + `,"limit":1000000000}`, want: []string{"limit", "1000000000", "1 to 10000"}},
		{name: "limit 10^30", body: `{"query":` + axis0 + `,"limit":1000000000000000000000000000000}`, want: []string{"limit", "1 to 10000"}},
		{name: "limit 2.5", body: `{"query":` + axis0 + `,"limit":2.5}`, want: []string{"limit", "2.5", "whole number"}},
		{name: "limit as text", body: `{"query":` + axis0 + `,"limit":"3"}`, want: []string{"limit", "a string"}},
		{name: "negative limit", body: `{"query":` + axis0 + `,"limit":-1}`, want: []string{"limit", "-1", "1 to 10000"}},
		{name: "negative offset", body: `{"query":` + axis0 + `,"offset":-1}`, want: []string{"offset", "-1", "0 to"}},
		{name: "offset and limit", body: `{"query":` + axis0 + `,"offset":9995,"limit":10}`, want: []string{"offset 9995", "limit 10", "10000"}},
		{name: "offset and limit by id", body: `{"query":"3","offset":0,"limit":10000}`, want: []string{"9999"}},
		{name: "hnsw_ef 0", body: `{"query":` + axis0 + `,"params":{"hnsw_ef":0}}`, want: []string{"params.hnsw_ef", "0", "1 to 100000"}},
		{name: "unknown param", body: `{"query":` + axis0 + `,"params":{"ef":10}}`, want: []string{"params", `"ef"`, "hnsw_ef, exact"}},
		{name: "params of the wrong type", body: `{"query":` + axis0 + `,"params":[]}`, want: []string{"params", "an array", "an object"}},
		{name: "exact of the wrong type", body: `{"query":` + axis0 + `,"params":{"exact":1}}`, want: []string{"params.exact", "true or false"}},
		{name: "threshold of the wrong type", body: `{"query":` + axis0 + `,"score_threshold":"high"}`, want: []string{"score_threshold", "a string"}},
		{name: "threshold 1e999", body: `{"query":` + axis0 + `,"score_threshold":1e999}`, want: []string{"score_threshold", "1e999", "finite"}},
		{name: "unknown field", body: `{"query":` + axis0 + `,"top":3}`, want: []string{`"top"`, "limit", "offset", "score_threshold"}},
		{name: "long unknown field", body: `{"` + strings.Repeat("x", 100_000) + `":3}`, want: []string{"unknown field", "limit"}},
		{name: "unknown field, anomaly", path: "/anomaly", body: `{"limit":3}`, want: []string{`"limit"`, "alpha, explain"}},
		{name: "unknown field, point", method: "PUT", path: "/collections/digits/points", body: `{"points":[{"id":1,"vectors":[1]}]}`, want: []string{"points[0]", `"vectors"`, "vector, input, text, label, payload"}},
		{name: "field twice", body: `{"limit":3,"limit":4,"query":` + axis0 + `}`, want: []string{`"limit"`, "twice"}},
		{name: "trailing garbage", body: `{"query":` + axis0 + `} trailing`, want: []string{"trailing", "nothing more"}},
		{name: "two objects", body: `{"query":` + axis0 + `}{}`, want: []string{"an object", "nothing more"}},
		{name: "cut short", body: `{"query":[1,0,0`, want: []string{"ends at byte 15"}},
		{name: "empty body", body: ``, want: []string{"empty body", "query"}},
		{name: "empty body, no type", contentType: "-", want: []string{"empty body"}},
		{name: "white space", body: " \n ", want: []string{"empty body"}},
		{name: "empty object", body: `{}`, want: []string{"vector, id, input and text"}},
		{name: "an array", body: `[]`, want: []string{"an array", "an object"}},
		{name: "not JSON", body: `query=1`, want: []string{`"query"`, "an object"}},
		{name: "wrong content type", contentType: "text/plain", body: `{}`, status: 415, want: []string{"text/plain", "application/json"}},
		{name: "form of a browser", contentType: "application/x-www-form-urlencoded", body: `{"query":[1]}`, status: 415, want: []string{"x-www-form-urlencoded", "application/json", "/classify", "/verify-pair multipart/form-data"}},
		{name: "no content type", contentType: "-", body: `{}`, status: 415, want: []string{"application/json"}},
		{name: "form for points", method: "PUT", path: "/collections/digits/points", contentType: formType, body: twoFields, status: 415, want: []string{"multipart/form-data", "application/json"}},
		{name: "deeply nested", method: "PUT", path: "/collections/digits/points", body: `{"points":[{"id":1,"vector":` + axis0 + `,"payload":{"a":` + strings.Repeat("[", 1_000_000) + `}}]}`, want: []string{"points[0].payload", "nested deeper than 64 levels"}},
		{name: "deeply nested elsewhere", body: strings.Repeat(`{"params":`, 100_000), want: []string{`"params"`, "hnsw_ef"}},
		{name: "deep query", body: `{"query":` + strings.Repeat(`{"query":`, 100_000), want: []string{`"query"`}},
		{name: "body above the limit", body: `{"query":[` + strings.Repeat(" ", 5<<20) + `]}`, status: 413, want: []string{"4194304 bytes", "send less"}},
		{name: "wrong method", method: "GET", path: "/search", status: 405, want: []string{"GET", "/search", "use POST"}},
		{name: "wrong method, points", method: "POST", path: "/collections/digits/points", body: `{}`, status: 405, want: []string{"use PUT"}},
		{name: "wrong method, delete", method: "DELETE", path: "/collections/digits", status: 405, want: []string{"use GET, HEAD"}},
		{name: "method of no RFC", method: "FROBNICATE", path: "/search", status: 405, want: []string{"FROBNICATE", "POST"}},
		{name: "unknown path", path: "/serch", body: `{}`, status: 404, want: []string{"/serch", "POST /search"}},
		{name: "path in capitals", path: "/SEARCH", body: `{}`, status: 404, want: []string{"/SEARCH"}},
		{name: "strange path", method: "GET", path: "/%ff%01<b>", status: 404, want: []string{"no such path"}},
		{name: "vector and id", body: `{"vector":` + axis0 + `,"id":"3"}`, want: []string{"vector and id", "one of them"}},
		{name: "query and input", body: `{"query":` + axis0 + `,"input":"` + b64("class 1") + `"}`, want: []string{"query and input"}},
		{name: "id and input in query", body: `{"query":{"id":3,"input":"` + b64("class 1") + `"}}`, want: []string{"query", "id and input"}},
		{name: "nothing in query", body: `{"query":{}}`, want: []string{"query", "vector, id, input and text"}},
		{name: "query of the wrong type", body: `{"query":true}`, want: []string{"query", `"true"`, "a vector, an id"}},
		{name: "vector and input, anomaly", path: "/anomaly", body: `{"vector":` + axis0 + `,"input":"` + b64("class 1") + `"}`, want: []string{"vector and input"}},
		{name: "vector and input, point", method: "PUT", path: "/collections/digits/points", body: `{"points":[{"id":"p","vector":` + axis0 + `,"input":"` + b64("class 1") + `"}]}`, want: []string{"points[0]", `"p"`, "vector and input"}},
		{name: "neither, point", method: "PUT", path: "/collections/digits/points", body: `{"points":[{"id":"p"}]}`, want: []string{"points[0]", `"p"`, "neither"}},
		{name: "no id, point", method: "PUT", path: "/collections/digits/points", body: `{"points":[{"vector":` + axis0 + `}]}`, want: []string{"points[0]", "no id"}},
		{name: "null point", method: "PUT", path: "/collections/digits/points", body: `{"points":[null]}`, want: []string{"points[0]", "null", "an object"}},
		{name: "no points", method: "PUT", path: "/collections/digits/points", body: `{"points":[]}`, want: []string{"no points"}},
		{name: "points missing", method: "PUT", path: "/collections/digits/points", body: `{}`, want: []string{"no points"}},
		{name: "label too long", method: "PUT", path: "/collections/digits/points", body: `{"points":[{"id":1,"vector":` + axis0 + `,"label":"` + strings.Repeat("l", 1025) + `"}]}`, want: []string{"points[0].label", "1025", "1024"}},
		{name: "payload too large", method: "PUT", path: "/collections/digits/points", body: `{"points":[{"id":1,"vector":` + axis0 + `,"payload":{"a":"` + strings.Repeat("p", index.MaxPayload) + `"}}]}`, want: []string{"points[0].payload", "at most 1048576"}},
		{name: "payload no object", method: "PUT", path: "/collections/digits/points", body: `{"points":[{"id":1,"vector":` + axis0 + `,"payload":"x"}]}`, want: []string{"points[0].payload", "a string", "an object"}},
		{name: "delete nothing", path: "/collections/digits/points/delete", body: `{"points":[]}`, want: []string{"no points", "filter"}},
		{name: "delete ids and filter", path: "/collections/digits/points/delete", body: `{"points":[1],"filter":{"must":[{"has_id":[1]}]}}`, want: []string{"points and filter", "one of them"}},
		{name: "delete everything", path: "/collections/digits/points/delete", body: `{"filter":{"must":[]}}`, want: []string{"without conditions", "every point"}},
		{name: "filter no object", body: `{"query":` + axis0 + `,"filter":[]}`, want: []string{"filter", "an array", "an object"}},
		{name: "filter clause no array", body: `{"query":` + axis0 + `,"filter":{"must":{}}}`, want: []string{"filter.must", "an object", "an array"}},
		{name: "filter clause", body: `{"query":` + axis0 + `,"filter":{"min_should":1}}`, want: []string{"filter", `"min_should"`, "must, should, must_not"}},
		{name: "filter condition", body: `{"query":` + axis0 + `,"filter":{"must":[{"key":"a","geo":1}]}}`, want: []string{"filter.must[0]", `"geo"`, "match, range, is_empty, has_id"}},
		{name: "filter of nothing", body: `{"query":` + axis0 + `,"filter":{"should":[{"key":"a"}]}}`, want: []string{"filter", "should[0]", "0 of match", "one of them"}},
		{name: "filter without key", body: `{"query":` + axis0 + `,"filter":{"must_not":[{"match":{"value":1}}]}}`, want: []string{"must_not[0]", "key of 0 bytes"}},
		{name: "filter with two keys", body: `{"query":` + axis0 + `,"filter":{"must":[{"is_empty":{"key":"a"},"key":"b"}]}}`, want: []string{"filter.must[0]", "beside is_empty"}},
		{name: "filter match", body: `{"query":` + axis0 + `,"filter":{"must":[{"key":"a","match":{"text":"x"}}]}}`, want: []string{"filter.must[0].match", `"text"`, "value, any"}},
		{name: "filter match null", body: `{"query":` + axis0 + `,"filter":{"must":[{"key":"a","match":{"value":null}}]}}`, want: []string{"filter.must[0].match", "value or any", "null"}},
		{name: "filter match object", body: `{"query":` + axis0 + `,"filter":{"must":[{"key":"a","match":{"any":[1,{}]}}]}}`, want: []string{"filter.must[0].match.any[1]", "an object", "a string, a number"}},
		{name: "filter range", body: `{"query":` + axis0 + `,"filter":{"must":[{"key":"a","range":{"gt":"1"}}]}}`, want: []string{"filter.must[0].range.gt", "a string"}},
		{name: "filter range 1e999", body: `{"query":` + axis0 + `,"filter":{"must":[{"key":"a","range":{"gt":1e999}}]}}`, want: []string{"range.gt", "1e999"}},
		{name: "filter range of nothing", body: `{"query":` + axis0 + `,"filter":{"must":[{"key":"a","range":{}}]}}`, want: []string{"must[0]", "without bounds"}},
		{name: "filter ids", body: `{"query":` + axis0 + `,"filter":{"must":[{"has_id":[1.5]}]}}`, want: []string{"filter.must[0].has_id[0]", "1.5"}},
		{name: "filter long key", body: `{"query":` + axis0 + `,"filter":{"must":[{"key":"` + strings.Repeat("k", 1025) + `","match":{"value":1}}]}}`, want: []string{"filter.must[0].key", "1025", "1024"}},
		{name: "filter too deep", body: `{"query":` + axis0 + `,"filter":` + strings.Repeat(`{"must":[`, 100_000), want: []string{"deeper than 8"}},
		{name: "filter too long", body: `{"query":` + axis0 + `,"filter":{"must":[` + strings.Repeat(`{"has_id":[1]},`, 257), want: []string{"filter.must[256]", "256 conditions"}},
		{name: "filter with too many values", body: `{"query":` + axis0 + `,"filter":{"must":[{"has_id":[` + strings.Repeat("1,", 10_000) + `1]}]}}`, want: []string{"must[0]", "10001", "10000"}},
		{name: "delete null", path: "/collections/digits/points/delete", body: `{"points":[null]}`, want: []string{"points[0]", "an id"}},
		{name: "alpha 0", path: "/anomaly", body: `{"vector":` + axis0 + `,"alpha":0}`, want: []string{"alpha", "0"}},
		{name: "alpha 1", path: "/anomaly", body: `{"vector":` + axis0 + `,"alpha":1}`, want: []string{"alpha", "1"}},
		{name: "alpha -0.1", path: "/anomaly", body: `{"vector":` + axis0 + `,"alpha":-0.1}`, want: []string{"alpha", "-0.1"}},
		{name: "alpha below 1/(n+1)", path: "/anomaly", body: `{"vector":` + axis0 + `,"alpha":0.001}`, want: []string{"0.001", "200", "999"}},
		{name: "alpha below 1/(n+1), search", body: `{"vector":` + axis0 + `,"alpha":0.001}`, want: []string{"0.001", "999"}},
		{name: "not calibrated", path: "/collections/plain/anomaly", body: `{"vector":[1,0,0]}`, status: 409, want: []string{`"plain"`, "not calibrated"}},
		{name: "alpha, not calibrated", path: "/collections/plain/points/query", body: `{"vector":[1,0,0],"alpha":0.1}`, status: 409, want: []string{`"plain"`, "not calibrated"}},
		{name: "input for another model", path: "/collections/other/points/query", body: `{"input":"` + b64("class 1") + `"}`, status: 409, want: []string{"model mismatch", "model-a", "model-b"}},
		{name: "input for no model", path: "/collections/plain/points/query", body: `{"input":"` + b64("class 1") + `"}`, status: 409, want: []string{"model mismatch", "model-a"}},
		{name: "points for another model", method: "PUT", path: "/collections/other/points", body: `{"points":[{"id":1,"input":"` + b64("class 1") + `"}]}`, status: 409, want: []string{"model mismatch", "model-a", "model-b"}},
		{name: "model_id differs", body: `{"vector":` + axis0 + `,"model_id":"model-b"}`, status: 409, want: []string{"model_id", "model-b", "model-a"}},
		{name: "model_id differs, anomaly", path: "/anomaly", body: `{"vector":` + axis0 + `,"model_id":"model-b"}`, status: 409, want: []string{"model-b", "model-a"}},
		{name: "model_id differs, points", method: "PUT", path: "/collections/digits/points", body: `{"model_id":"model-b","points":[{"id":1,"vector":` + axis0 + `}]}`, status: 409, want: []string{"model-b", "model-a"}},
		{name: "model_id differs, embed", path: "/embed", body: `{"input":"` + b64("class 1") + `","model_id":"model-b"}`, status: 409, want: []string{"model-b", "model-a"}},
		{name: "model_id too long", body: `{"vector":` + axis0 + `,"model_id":"` + strings.Repeat("m", 2000) + `"}`, want: []string{"model_id", "2000 bytes", "at most 1024"}},
		{name: "model_id no string", body: `{"vector":` + axis0 + `,"model_id":7}`, want: []string{"model_id", "a number", "a string"}},
		{name: "id of invalid UTF-8", method: "PUT", path: "/collections/digits/points", body: `{"points":[{"id":"a` + "\xff" + `","vector":` + axis0 + `}]}`, want: []string{"points[0].id", "UTF-8"}},
		{name: "id of half a surrogate pair", body: `{"query":"\ud800"}`, want: []string{"query", "surrogate"}},
		{name: "id too long", method: "PUT", path: "/collections/digits/points", body: `{"points":[{"id":"` + strings.Repeat("i", 1025) + `","vector":` + axis0 + `}]}`, want: []string{"points[0].id", "1025", "1 to 1024"}},
		{name: "empty id", body: `{"id":""}`, want: []string{"id", "0 bytes", "1 to 1024"}},
		{name: "id 1.5", body: `{"id":1.5}`, want: []string{"id", "1.5", "integer"}},
		{name: "id of an object", path: "/anomaly", body: `{"id":{}}`, want: []string{"id", "an object"}},
		{name: "nothing to embed", path: "/embed", body: `{}`, want: []string{"give input"}},
		{name: "vector to embed", path: "/embed", body: `{"vector":[1]}`, want: []string{`"vector"`, "use input, text, model_id"}},
		{name: "form without a boundary", contentType: "multipart/form-data", body: twoFields, want: []string{"boundary"}},
		{name: "form with another boundary", contentType: "multipart/form-data; boundary=x", body: twoFields, want: []string{"boundary", `"x"`}},
		{name: "form of no fields", contentType: formType, body: noFields, want: []string{"form"}},
		{name: "form, bad limit", contentType: formType, body: twoFields, want: []string{"limit", `"zero"`}},
		{name: "form, unknown field", contentType: formType, body: unknownField, want: []string{`"k"`, "limit"}},
		{name: "form, broken image", contentType: formType, body: brokenFile, want: []string{"input", "cannot be decoded"}},
		{name: "form, empty file", contentType: formType, body: emptyFile, want: []string{"input", "empty"}},
		{name: "form, input no file", contentType: formType, body: textInput, want: []string{"input", "base64"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ts := *ts
			ts.t = t
			if c.method == "" {
				c.method = http.MethodPost
			}
			if c.path == "" {
				c.path = "/search"
			}
			switch {
			case c.contentType == "-":
				c.contentType = ""
			case c.contentType == "":
				c.contentType = "application/json"
			case c.contentType == formType: // each form has a boundary of its own
				first, _, _ := strings.Cut(c.body, "\r\n")
				c.contentType = "multipart/form-data; boundary=" + strings.Trim(first, "-")
			}
			if c.status == 0 {
				c.status = http.StatusBadRequest
			}
			a := ts.do(c.method, c.path, c.contentType, c.body)
			if a.status != c.status {
				t.Errorf("status %d, want %d: %s", a.status, c.status, a.body)
			}
			for _, w := range c.want {
				if !strings.Contains(a.text, w) {
					t.Errorf("message %q, want %q in it", a.text, w)
				}
			}
			if len(a.text) > 1000 {
				t.Errorf("a message of %d bytes", len(a.text))
			}
			var good struct{ Points []struct{ Label string } }
			ts.ok("POST", "/search", `{"query":`+axis0+`,"limit":1}`, &good)
			if len(good.Points) != 1 || good.Points[0].Label != "c0" {
				t.Errorf("afterwards a search finds %v", good.Points)
			}
		})
	}
	if log := ts.log.String(); log != "" {
		t.Errorf("the faults of clients are logged: %s", log)
	}
	var info struct {
		Count int `json:"points_count"`
	}
	if ts.ok("GET", "/collections/digits", "", &info); info.Count != 200 {
		t.Errorf("%d points afterwards, want 200: a refused write left something", info.Count)
	}
}

// TestNoEncoder: a server of vectors only says so.
func TestNoEncoder(t *testing.T) {
	ts := start(t, func(o *Options) { o.Encoder, o.Default = nil, "" })
	input := `{"input":"` + b64("class 1") + `"}`
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/embed", input},
		{"POST", "/collections/digits/points/query", input},
		{"POST", "/collections/digits/anomaly", input},
		{"PUT", "/collections/digits/points", `{"points":[{"id":1,` + input[1:] + `]}`},
	} {
		a := ts.do(c.method, c.path, "application/json", c.body)
		if a.status != 400 || !strings.Contains(a.text, "no model") || !strings.Contains(a.text, "send a vector") {
			t.Errorf("%s: %d %s", c.path, a.status, a.text)
		}
	}
	if a := ts.post("/search", `{"query":`+axis0+`}`); a.status != 404 || !strings.Contains(a.text, "/collections/{c}/points/query") {
		t.Errorf("no default collection: %d %s", a.status, a.text)
	}
	ts.ok("GET", "/readyz", "", nil)
}

// TestNotReady: a default collection that is not there.
func TestNotReady(t *testing.T) {
	ts := start(t, func(o *Options) { o.Default = "later" })
	if a := ts.do("GET", "/readyz", "", ""); a.status != 503 || !strings.Contains(a.text, `"later"`) {
		t.Errorf("%d %s", a.status, a.text)
	}
	ts.ok("GET", "/livez", "", nil)
	if a := ts.post("/search", `{"query":`+axis0+`}`); a.status != 404 || !strings.Contains(a.text, `"later"`) {
		t.Errorf("%d %s", a.status, a.text)
	}
}
