package index

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
)

// maxIndexed is how many values of a point the catalogue takes in. The few points that have more are looked at one by one.
const maxIndexed = 1000

// maxText is the longest string that stands for itself, in bytes; of a longer one a prefix and its SHA-256 are kept.
const maxText = 64

// scalar is a value that a field can be compared with.
type scalar struct {
	kind   scalarKind
	text   string // shortened
	number float64
}

type scalarKind uint8

const (
	isObject scalarKind = iota // compares with nothing, but is there
	isText
	isNumber
	isTrue
	isFalse
)

// scalarOf makes a scalar of a Go value.
func scalarOf(v any) (scalar, bool) {
	switch x := v.(type) {
	case string:
		return scalar{kind: isText, text: shorten(x)}, true
	case bool:
		if x {
			return scalar{kind: isTrue}, true
		}
		return scalar{kind: isFalse}, true
	case float64:
		return scalar{kind: isNumber, number: x}, true
	case float32:
		return scalar{kind: isNumber, number: float64(x)}, true
	case int:
		return scalar{kind: isNumber, number: float64(x)}, true
	case int64:
		return scalar{kind: isNumber, number: float64(x)}, true
	case uint64:
		return scalar{kind: isNumber, number: float64(x)}, true
	}
	return scalar{}, false
}

// shorten makes what stands for a string: itself, or maxText+1 bytes, so that it cannot be taken for a short one.
func shorten(s string) string {
	if len(s) <= maxText {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return s[:maxText+1-len(sum)] + string(sum[:])
}

// entry is a value that a point has under a path.
type entry struct {
	path string
	scalar
}

func compareEntries(a, b entry) int {
	return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.kind, b.kind), cmp.Compare(a.text, b.text), cmp.Compare(a.number, b.number))
}

// entriesOf returns what a point can be filtered by, sorted, each once. payload is JSON, empty for none.
func entriesOf(label string, payload []byte) ([]entry, error) {
	var out []entry
	if label != "" {
		out = append(out, entry{LabelKey, scalar{kind: isText, text: shorten(label)}})
	}
	if len(payload) == 0 {
		return out, nil
	}
	var object map[string]any
	if err := json.Unmarshal(payload, &object); err != nil {
		return nil, fmt.Errorf("payload: %w: %w", ErrCorrupt, err)
	}
	for name, v := range object {
		if name != LabelKey {
			out = appendEntries(out, name, v)
		}
	}
	out = slices.DeleteFunc(out, func(e entry) bool { return e.path == "" || len(e.path) > MaxKey })
	slices.SortFunc(out, compareEntries)
	return slices.Compact(out), nil
}

func appendEntries(out []entry, path string, v any) []entry {
	switch x := v.(type) {
	case nil:
		return out
	case []any:
		for _, element := range x {
			out = appendEntries(out, path, element)
		}
		return out
	case map[string]any:
		out = append(out, entry{path: path})
		for name, field := range x {
			out = appendEntries(out, path+"."+name, field)
		}
		return out
	}
	s, _ := scalarOf(v) // JSON has no other values
	return append(out, entry{path, s})
}
