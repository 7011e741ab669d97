package index

import (
	"fmt"
	"math"
	"unicode/utf8"
)

// LabelKey is the key of a point's label in filters. A payload field of this very name cannot be filtered by.
const LabelKey = "@label"

// Limits of a filter. A value outside is refused with ErrInvalid.
const (
	MaxFilterDepth      = 8       // filters within filters
	MaxFilterConditions = 256     // of a filter and all within it
	MaxFilterValues     = 10_000  // of all Any and HasID together
	MaxKey              = 1 << 10 // bytes of a key; fields with longer paths cannot be filtered by
)

// Filter says which points a search may return: those that meet all of Must, at least one of Should unless it is empty, and
// none of MustNot. The zero value lets all points pass. The names are Qdrant's.
type Filter struct {
	Must    []Condition
	Should  []Condition
	MustNot []Condition
}

// Condition is about a field of the payload, the label, or the id: exactly one of Match, Any, Range, IsEmpty, HasID and Filter
// is set, the first four with a Key.
//
// A Key is a path: "a.b" is the field b of the object a, or of any object in the array a; a field whose own name is "a.b" has
// that path, too. LabelKey is the point's label. A field with an array meets a condition when any element does, however
// deeply arrays are nested. Strings, numbers and booleans are compared with their own kind only; numbers as float64.
type Condition struct {
	Key   string
	Match any    // the field is this string, number or bool
	Any   []any  // the field is one of these; one value at least
	Range *Range // the field is a number within
	// IsEmpty: there is no such field, or it is null, or an array of nothing but nulls and such arrays. A point has a field
	// when the condition stands in MustNot.
	IsEmpty bool
	HasID   []string // the point has one of these ids; one at least
	Filter  *Filter  // the point passes this filter
}

// Range holds the bounds of a number; nil for none, one at least.
type Range struct{ GT, GTE, LT, LTE *float64 }

// Validate reports the first condition that is outside the limits.
func (f *Filter) Validate() error {
	v := filterCheck{}
	return v.filter(f, "", 1)
}

// filterCheck counts what all conditions have together.
type filterCheck struct{ conditions, values int }

func (v *filterCheck) filter(f *Filter, place string, depth int) error {
	if depth > MaxFilterDepth {
		return fmt.Errorf("filter: %s: nested deeper than %d: %w: use fewer levels", place, MaxFilterDepth, ErrInvalid)
	}
	for _, clause := range []struct {
		name string
		list []Condition
	}{{"must", f.Must}, {"should", f.Should}, {"must_not", f.MustNot}} {
		for i := range clause.list {
			at := fmt.Sprintf("%s[%d]", clause.name, i)
			if place != "" {
				at = place + "." + at
			}
			if v.conditions++; v.conditions > MaxFilterConditions {
				return fmt.Errorf("filter: %s: more than %d conditions: %w: use fewer, or any for many values of one key", at, MaxFilterConditions, ErrInvalid)
			}
			if err := v.condition(&clause.list[i], at, depth); err != nil {
				return err
			}
		}
	}
	return nil
}

func (v *filterCheck) condition(c *Condition, at string, depth int) error {
	kinds := 0
	for _, given := range []bool{c.Match != nil, c.Any != nil, c.Range != nil, c.IsEmpty, c.HasID != nil, c.Filter != nil} {
		if given {
			kinds++
		}
	}
	if kinds != 1 {
		return fmt.Errorf("filter: %s: %d of match, any, range, is_empty, has_id and filter are given: %w: give one of them", at, kinds, ErrInvalid)
	}
	if c.Filter != nil || c.HasID != nil {
		if c.Key != "" {
			return fmt.Errorf("filter: %s: key %.40q: %w: has_id and nested filters have no key", at, c.Key, ErrInvalid)
		}
	} else if c.Key == "" || len(c.Key) > MaxKey || !utf8.ValidString(c.Key) {
		return fmt.Errorf("filter: %s: key of %d bytes: %w: use 1 to %d bytes of UTF-8", at, len(c.Key), ErrInvalid, MaxKey)
	}
	if c.Filter != nil {
		return v.filter(c.Filter, at, depth+1)
	}
	switch {
	case c.Match != nil:
		return checkValue(c.Match, at)
	case c.Range != nil:
		return c.Range.check(at)
	case c.IsEmpty:
		return nil
	}
	n := len(c.Any) + len(c.HasID)
	if v.values += n; n == 0 || v.values > MaxFilterValues {
		return fmt.Errorf("filter: %s: %d values in any and has_id: %w: use 1 to %d, all conditions together", at, v.values, ErrInvalid, MaxFilterValues)
	}
	for _, x := range c.Any {
		if err := checkValue(x, at); err != nil {
			return err
		}
	}
	for _, id := range c.HasID {
		if err := checkID(id); err != nil {
			return fmt.Errorf("filter: %s: %w", at, err)
		}
	}
	return nil
}

func checkValue(v any, at string) error {
	s, ok := scalarOf(v)
	text, _ := v.(string)
	switch {
	case !ok:
		return fmt.Errorf("filter: %s: value of type %T: %w: use a string, a number or a bool", at, v, ErrInvalid)
	case s.kind == isNumber && (math.IsNaN(s.number) || math.IsInf(s.number, 0)):
		return fmt.Errorf("filter: %s: value %v: %w: use finite numbers", at, s.number, ErrInvalid)
	case !utf8.ValidString(text):
		return fmt.Errorf("filter: %s: value %.40q: %w: use UTF-8", at, text, ErrInvalid)
	}
	return nil
}

func (r *Range) check(at string) error {
	bounds := 0
	for _, b := range []*float64{r.GT, r.GTE, r.LT, r.LTE} {
		if b == nil {
			continue
		}
		bounds++
		if math.IsNaN(*b) || math.IsInf(*b, 0) {
			return fmt.Errorf("filter: %s: range to %v: %w: use finite numbers, or leave the bound out", at, *b, ErrInvalid)
		}
	}
	if bounds == 0 {
		return fmt.Errorf("filter: %s: range without bounds: %w: use gt, gte, lt or lte", at, ErrInvalid)
	}
	return nil
}

// below reports whether x lies below the range.
func (r *Range) below(x float64) bool { return r.GT != nil && x <= *r.GT || r.GTE != nil && x < *r.GTE }

// above reports whether x lies above the range.
func (r *Range) above(x float64) bool { return r.LT != nil && x >= *r.LT || r.LTE != nil && x > *r.LTE }

// isZero reports whether the filter lets all points pass.
func (f *Filter) isZero() bool { return len(f.Must)+len(f.Should)+len(f.MustNot) == 0 }
