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
	// QuantizationInt8 compares codes of a byte a component, kept beside the vectors: faster, for a quarter more memory.
	QuantizationInt8 Quantization = "int8"
	// QuantizationBinary compares codes of a bit a component, those of a slot's 32 neighbours at a time, and codes of a byte only for
	// the nearest: the fastest for long vectors up to a recall of about 0.997, for twice the memory. For MinBinaryDimension components and
	// more, and an M of at most MaxBinaryM.
	QuantizationBinary Quantization = "binary"
	// QuantizationInt8Disk compares the same codes and keeps no vectors in memory, and packs its links: the best candidates are read from
	// disk. The least memory. For collections of a Store only.
	QuantizationInt8Disk Quantization = "int8-disk"
	// QuantizationAuto is what is fastest for the dimension: see Quantization.Pick.
	QuantizationAuto Quantization = "auto"
)

// codesFrom is the dimension from which on codes are faster than vectors (docs/decisions/0005-quantisation.md).
const codesFrom = 64

// quantizations are all that a graph can have.
var quantizations = []Quantization{QuantizationFloat32, QuantizationInt8, QuantizationBinary, QuantizationInt8Disk}

// String returns the quantisation's name.
func (q Quantization) String() string { return string(q) }

// ParseQuantization reads a quantisation's name; an unknown one is ErrInvalid.
func ParseQuantization(s string) (Quantization, error) {
	if slices.Contains(quantizations, Quantization(s)) || Quantization(s) == QuantizationAuto {
		return Quantization(s), nil
	}
	return "", fmt.Errorf("quantization %q: %w: use one of %s", s, ErrInvalid, QuantizationNames())
}

// QuantizationNames lists what ParseQuantization reads, for people.
func QuantizationNames() string {
	names := make([]string, len(quantizations))
	for i, q := range quantizations {
		names[i] = q.String()
	}
	return strings.Join(append(names, QuantizationAuto.String()), ", ")
}

// Pick returns what auto, or nothing, stands for with this engine and dimension, and else the quantisation itself.
func (q Quantization) Pick(e Engine, dimension int) Quantization {
	switch {
	case q == "" || q == QuantizationAuto && (e != EngineGraph || dimension < codesFrom):
		return QuantizationFloat32
	case q == QuantizationAuto:
		return QuantizationInt8
	}
	return q
}
