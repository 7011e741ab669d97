package encoder

import (
	"context"
	"errors"
	"math"
	"testing"
)

// embedder embeds what it knows.
type embedder map[string][]float32

func (e embedder) Encode(_ context.Context, raw ...[]byte) (out [][]float32, err error) {
	for _, b := range raw {
		v, known := e[string(b)]
		if !known {
			return nil, ErrInput
		}
		out = append(out, v)
	}
	return out, nil
}

// TestSimilarity: an item and itself are alike, whatever is enrolled beside it is averaged, and nothing enrolled is refused.
func TestSimilarity(t *testing.T) {
	e := embedder{"x": {1, 0}, "y": {0, 1}, "-x": {-1, 0}}
	for _, c := range []struct {
		enrolled []string
		asked    string
		want     float64
	}{{[]string{"x"}, "x", 1}, {[]string{"x"}, "y", 0}, {[]string{"x", "y"}, "x", math.Sqrt(0.5)}, {[]string{"x"}, "-x", -1}, {[]string{"x", "-x"}, "x", 0}} {
		var raw [][]byte
		for _, s := range c.enrolled {
			raw = append(raw, []byte(s))
		}
		got, err := Similarity(t.Context(), e, raw, []byte(c.asked))
		if err != nil || math.Abs(got-c.want) > 1e-6 {
			t.Errorf("%v against %s: %g, %v, want %g", c.enrolled, c.asked, got, err, c.want)
		}
	}
	if _, err := Similarity(t.Context(), e, nil, []byte("x")); !errors.Is(err, ErrInput) {
		t.Errorf("nothing enrolled: %v", err)
	}
	if _, err := Similarity(t.Context(), e, [][]byte{[]byte("z")}, []byte("x")); !errors.Is(err, ErrInput) {
		t.Errorf("an input that cannot be decoded: %v", err)
	}
}
