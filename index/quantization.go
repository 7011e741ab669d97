package index

import (
	"fmt"
	"slices"
	"strings"
)

// Quantization says what a graph search compares on its way. What it returns is always sorted by, and comes with, the distances
// of the float32 vectors.
type Quantization string

const (
	// QuantizationFloat32 compares the vectors themselves, the default.
	QuantizationFloat32 Quantization = "float32"
)

// quantizations are all that there are.
var quantizations = []Quantization{QuantizationFloat32}

// String returns the quantisation's name.
func (q Quantization) String() string { return string(q) }

// ParseQuantization reads a quantisation's name; an unknown one is ErrInvalid.
func ParseQuantization(s string) (Quantization, error) {
	if slices.Contains(quantizations, Quantization(s)) {
		return Quantization(s), nil
	}
	names := make([]string, len(quantizations))
	for i, q := range quantizations {
		names[i] = q.String()
	}
	return "", fmt.Errorf("quantization %q: %w: use one of %s", s, ErrInvalid, strings.Join(names, ", "))
}
