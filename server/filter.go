package server

import (
	"fmt"

	"github.com/akin-search/akin/index"
)

// ParseFilter reads a filter in the JSON of the field filter of a search, which is Qdrant's:
//
//	{"must": [CONDITION…], "should": [CONDITION…], "must_not": [CONDITION…]}
//
//	CONDITION  {"key": "a.b", "match": {"value": "x"}}            a string, a number, true or false
//	           {"key": "a.b", "match": {"any": ["x", 2]}}
//	           {"key": "a.b", "range": {"gt": 1, "lte": 2}}       gt, gte, lt, lte
//	           {"is_empty": {"key": "a.b"}}
//	           {"has_id": ["id", 17]}
//	           another filter
//
// The key "@label" is the point's label (index.LabelKey). The limits are those of index.Filter.
func ParseFilter(text string) (*index.Filter, error) {
	o := filterObject{filter: &index.Filter{}, depth: 1}
	r := reader{buf: []byte(text)}
	if err := r.all(&o); err != nil {
		return nil, fmt.Errorf("filter: %w", err)
	}
	return o.filter, o.filter.Validate()
}

// filter reads a filter; what stands in it is checked when it is used.
func (r *reader) filter() (*index.Filter, error) {
	o := filterObject{filter: &index.Filter{}, depth: 1}
	return o.filter, r.object(&o)
}

// filterObject is a filter that is so many levels deep.
type filterObject struct {
	filter *index.Filter
	depth  int
}

var filterFields = []string{"must", "should", "must_not"}

func (*filterObject) fields() []string { return filterFields }

func (o *filterObject) read(field string, r *reader) error {
	list := &o.filter.Must
	switch field {
	case "should":
		list = &o.filter.Should
	case "must_not":
		list = &o.filter.MustNot
	}
	if o.depth > index.MaxFilterDepth {
		return badf("nested deeper than %d filters: use fewer levels", index.MaxFilterDepth)
	}
	return r.array(func(i int) error {
		if i == index.MaxFilterConditions {
			return badf("more than %d conditions: use fewer, or match any for many values of one key", index.MaxFilterConditions)
		}
		c := conditionObject{depth: o.depth}
		err := r.object(&c)
		if err == nil && c.IsEmpty && c.Key != "" {
			err = badf("key stands beside is_empty: give it within")
		}
		if c.IsEmpty {
			c.Key = c.empty
		}
		*list = append(*list, c.Condition)
		return err
	})
}

// conditionObject is a condition of a filter that is so many levels deep.
type conditionObject struct {
	index.Condition
	empty string // the key of is_empty
	depth int
}

var conditionFields = []string{"key", "match", "range", "is_empty", "has_id", "must", "should", "must_not"}

func (*conditionObject) fields() []string { return conditionFields }

func (o *conditionObject) read(field string, r *reader) (err error) {
	switch field {
	case "key":
		o.Key, err = r.text(index.MaxKey)
	case "match":
		err = r.object((*matchObject)(&o.Condition))
		if err == nil && o.Match == nil && o.Any == nil {
			err = badf("nothing to match: give value or any (null counts as not given)")
		}
	case "range":
		o.Range = &index.Range{}
		err = r.object((*rangeObject)(o.Range))
	case "is_empty":
		o.IsEmpty = true
		err = r.object((*emptyObject)(&o.empty))
	case "has_id":
		o.HasID = []string{}
		err = r.array(func(int) error {
			id, err := r.id()
			o.HasID = append(o.HasID, id)
			return err
		})
	default:
		if o.Filter == nil {
			o.Filter = &index.Filter{}
		}
		inner := filterObject{filter: o.Filter, depth: o.depth + 1}
		err = inner.read(field, r)
	}
	return err
}

type matchObject index.Condition

var matchFields = []string{"value", "any"}

func (*matchObject) fields() []string { return matchFields }

func (o *matchObject) read(field string, r *reader) (err error) {
	if field == "value" {
		o.Match, err = r.scalar()
		return err
	}
	o.Any = []any{}
	return r.array(func(int) error {
		v, err := r.scalar()
		o.Any = append(o.Any, v)
		return err
	})
}

type rangeObject index.Range

var rangeFields = []string{"gt", "gte", "lt", "lte"}

func (*rangeObject) fields() []string { return rangeFields }

func (o *rangeObject) read(field string, r *reader) (err error) {
	bound := map[string]**float64{"gt": &o.GT, "gte": &o.GTE, "lt": &o.LT, "lte": &o.LTE}[field]
	*bound, err = r.optionalFloat()
	return err
}

type emptyObject string

var emptyFields = []string{"key"}

func (*emptyObject) fields() []string { return emptyFields }

func (o *emptyObject) read(_ string, r *reader) error {
	key, err := r.text(index.MaxKey)
	*o = emptyObject(key)
	return err
}

// scalar reads a string, a number or a bool.
func (r *reader) scalar() (any, error) {
	switch c := r.peek(); {
	case c == '"':
		return r.string()
	case c == '-' || c-'0' <= 9:
		return r.float64()
	case r.word("true"):
		return true, nil
	case r.word("false"):
		return false, nil
	}
	return nil, r.unexpected("a string, a number, true or false")
}
