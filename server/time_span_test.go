package server

import (
	"context"
	"fmt"
	"testing"

	"github.com/akin-search/akin/encoder"
)

// stretches takes stretches out of any sound: without each it is of the class of that number.
type stretches []int

func (s stretches) Occlude(_ context.Context, raw []byte) ([]encoder.Occlusion, error) {
	if string(raw) == "silent" {
		return nil, fmt.Errorf("%w: nothing to hear", encoder.ErrInput)
	}
	var out []encoder.Occlusion
	for i, axis := range s {
		v := make([]float32, testDim)
		v[axis] = 1
		out = append(out, encoder.Occlusion{From: float64(i) / 2, To: float64(i+1) / 2, Vector: v})
	}
	return out, nil
}

// TestTimeSpan: an explanation of a verdict on a sound names the stretch that deviates, and only where it is asked for and there is a sound.
func TestTimeSpan(t *testing.T) {
	ts := start(t, func(o *Options) { o.Sounds = stretches{5, 0, 5} })
	type answered struct {
		Score float64
		Span  *span `json:"time_span"`
	}
	ask := func(body string) (a answered) {
		ts.ok("POST", "/anomaly", body, &a)
		return a
	}
	input := `"input":"` + b64("class 5") + `"`
	if a := ask(`{` + input + `,"explain":true}`); a.Span == nil || a.Span.From != 0.5 || a.Span.To != 1 || a.Span.Score >= a.Score {
		t.Errorf("%+v of %+v, want the second half second", a.Span, a)
	}
	for _, body := range []string{`{` + input + `}`, `{"vector":` + axis5 + `,"explain":true}`} {
		if a := ask(body); a.Span != nil {
			t.Errorf("%s names a stretch: %+v", body, a.Span)
		}
	}
	// Without the one stretch it is more unusual than it is: that explains nothing.
	ts = start(t, func(o *Options) { o.Sounds = stretches{5} })
	if a := ask(`{"input":"` + b64("class 0") + `","explain":true}`); a.Span != nil {
		t.Errorf("%+v explains a lower score, %v", a.Span, a.Score)
	}
}
