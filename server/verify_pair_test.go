package server

import (
	"math"
	"net/http"
	"strings"
	"testing"
)

// TestVerifyPair compares inputs of one class and of two, alone and enrolled together, with and without scores to judge by.
func TestVerifyPair(t *testing.T) {
	scores := make([]float64, 199) // 0 to 0.99
	for i := range scores {
		scores[i] = float64(i) / 200
	}
	ts := start(t, func(o *Options) { o.Pairs = scores })
	one, other := `"`+b64("class 1")+`"`, `"`+b64("class 2")+`"`
	type answered struct {
		Score     float64
		Same      *bool
		PValue    float64 `json:"p_value"`
		Threshold float64
		FAR       float64
		ModelID   string `json:"model_id"`
	}
	ask := func(ts *testServer, body string) (a answered) {
		ts.ok("POST", "/verify-pair", body, &a)
		return a
	}
	for _, body := range []string{`{"a":` + one + `,"b":` + one + `}`, `{"a":[` + one + `, ` + one + `],"b":` + one + `,"far":0.01,"model_id":"` + testModel + `"}`} {
		a := ask(ts, body)
		if math.Abs(a.Score-1) > 1e-6 || a.Same == nil || !*a.Same || a.PValue != 1.0/200 || a.FAR != 0.01 || a.Threshold != scores[197] || a.ModelID != testModel {
			t.Errorf("%s: %+v", body, a)
		}
	}
	if a := ask(ts, `{"a":`+one+`,"b":`+other+`,"far":0.1}`); a.Score > 0.6 || *a.Same || a.PValue < 0.1 {
		t.Errorf("two classes: %+v", a)
	}
	for name, c := range map[string]struct {
		body, says string
		status     int
	}{
		"no b": {`{"a":` + one + `}`, "give a", 400}, "none enrolled": {`{"a":[],"b":` + one + `}`, "give a", 400}, "empty": {`{"a":[` + one + `,""],"b":` + one + `}`, "a[1]: it is empty", 400},
		"no list": {`{"a":[` + one + one + `],"b":` + one + `}`, `"," or "]"`, 400}, "far too small": {`{"a":` + one + `,"b":` + one + `,"far":0.001}`, "far: alpha 0.001", 400},
		"too many":    {`{"a":[` + strings.Repeat(one+",", 64) + one + `],"b":` + one + `}`, "more than 64", 400},
		"other model": {`{"a":` + one + `,"b":` + one + `,"model_id":"x"}`, "this server embeds with", 409}, "broken": {`{"a":"` + b64("GIF89a") + `","b":` + one + `}`, "cannot be decoded", 400},
	} {
		if a := ts.post("/verify-pair", c.body); a.status != c.status || !strings.Contains(a.text, c.says) {
			t.Errorf("%s: %d %s, want %d with %q", name, a.status, a.text, c.status, c.says)
		}
	}
	bare := start(t, nil)
	if a := ask(bare, `{"a":`+one+`,"b":`+one+`}`); a.Same != nil || math.Abs(a.Score-1) > 1e-6 {
		t.Errorf("without scores to judge by: %+v", a)
	}
	if a := bare.post("/verify-pair", `{"a":`+one+`,"b":`+one+`,"far":0.01}`); a.status != http.StatusConflict || !strings.Contains(a.text, "leave far out") {
		t.Errorf("a far without scores: %d %s", a.status, a.text)
	}
}
