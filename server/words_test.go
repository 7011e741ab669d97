package server

import (
	"context"
	"strings"
	"testing"

	"github.com/akin-search/akin/encoder"
)

// omissions leaves each word out of any text: without "odd" it is of class 0.
type omissions struct{}

func (omissions) Omit(_ context.Context, raw []byte) (out []encoder.Omission, err error) {
	for i, w := range strings.Fields(string(raw)) {
		v := make([]float32, testDim)
		if v[5] = 1; w == "odd" {
			v[5], v[0] = 0, 1
		}
		out = append(out, encoder.Omission{Words: w, From: i, Vector: v})
	}
	return out, nil
}

// TestWords: an explanation of a verdict on a text names the words that deviate, the most deviating first, and only where it is asked for. A text is
// given as it is, or as bytes.
func TestWords(t *testing.T) {
	ts := start(t, func(o *Options) { o.Texts = omissions{} })
	type answered struct {
		Score float64
		Words []word
	}
	for _, body := range []string{`{"input":"` + b64("class 5 is odd or so and more") + `","explain":true}`, `{"text":"class 5 is odd or so and more","explain":true}`} {
		var a answered
		ts.ok("POST", "/anomaly", body, &a)
		if len(a.Words) != explainWords || a.Words[0].Word != "odd" || a.Words[0].Place != 3 || a.Words[0].Score >= a.Words[1].Score {
			t.Errorf("%s: %+v", body, a)
		}
	}
	var a answered
	ts.ok("POST", "/anomaly", `{"text":"class 5 is odd"}`, &a)
	if a.Words != nil {
		t.Errorf("words that nobody asked for: %+v", a)
	}
	for body, want := range map[string]string{`{"text":"","explain":true}`: "text: it is empty", `{"text":"a","input":"` + b64("a") + `"}`: "give one of them"} {
		if a := ts.post("/anomaly", body); a.status != 400 || !strings.Contains(a.text, want) {
			t.Errorf("%s: %d %s, want %q", body, a.status, a.text, want)
		}
	}
}
