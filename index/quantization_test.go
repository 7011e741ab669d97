package index

import (
	"errors"
	"strings"
	"testing"
)

func TestParseQuantization(t *testing.T) {
	for _, q := range quantizations {
		if got, err := ParseQuantization(q.String()); got != q || err != nil {
			t.Errorf("%q: %q, %v", q, got, err)
		}
	}
	for _, name := range []string{"", "int3", "Float32"} {
		if got, err := ParseQuantization(name); got != "" || !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "use one of float32") {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
}
