package index

import "slices"

// selection is what a filter lets pass: a set of ordinals of a catalogue.
type selection struct {
	bitmap
	count int
	ids   []string // of all ordinals
}

// choose compiles a valid filter. The caller holds mu, shared, until it calls the function that comes back. entries returns
// what a point of too many values has.
func (c *catalogue) choose(f *Filter, entries func(id string) ([]entry, error)) (*selection, error) {
	s := &selection{bitmap: c.blank(), ids: c.ids}
	c.filter(f, s.bitmap)
	if c.wide.n > 0 {
		wide := c.blank()
		defer c.drop(wide)
		c.wide.addTo(wide)
		s.bitmap.andNot(wide)
		var failed error
		wide.each(func(ord uint32) {
			if failed != nil {
				return
			}
			e, err := entries(c.ids[ord])
			if err == nil && f.passes(c.ids[ord], e) {
				s.bitmap.set(ord)
			}
			failed = err
		})
		if failed != nil {
			c.drop(s.bitmap)
			return nil, failed
		}
	}
	s.count = s.bitmap.count()
	return s, nil
}

// blank returns an empty bitmap with room for all ordinals, to be dropped after use.
func (c *catalogue) blank() bitmap {
	words := (len(c.ids) + 63) / 64
	if b, ok := c.scratch.Get().(*bitmap); ok && cap(*b) >= words {
		clear((*b)[:words])
		return (*b)[:words]
	}
	return make(bitmap, words, words+words/8)
}

func (c *catalogue) drop(b bitmap) { c.scratch.Put(&b) }

// filter adds what passes f to out, which is empty.
func (c *catalogue) filter(f *Filter, out bitmap) {
	c.all.addTo(out)
	some := c.blank()
	defer func() { c.drop(some) }()
	for i := range f.Must {
		clear(some)
		c.condition(&f.Must[i], some)
		out.and(some)
	}
	if len(f.Should) > 0 {
		clear(some)
		for i := range f.Should {
			c.condition(&f.Should[i], some)
		}
		out.and(some)
	}
	if len(f.MustNot) > 0 {
		clear(some)
		for i := range f.MustNot {
			c.condition(&f.MustNot[i], some)
		}
		out.andNot(some)
	}
}

// condition adds what meets it to out.
func (c *catalogue) condition(q *Condition, out bitmap) {
	f := c.fields[q.Key]
	switch {
	case q.Filter != nil:
		b := c.blank()
		c.filter(q.Filter, b)
		out.or(b)
		c.drop(b)
	case q.HasID != nil:
		for _, id := range q.HasID {
			if ord, ok := c.ordinalOf[id]; ok {
				out.set(ord)
			}
		}
	case q.IsEmpty:
		b := c.blank()
		c.all.addTo(b)
		if f != nil {
			gone := c.blank()
			f.present.addTo(gone)
			b.andNot(gone)
			c.drop(gone)
		}
		out.or(b)
		c.drop(b)
	case f == nil:
	case q.Range != nil:
		f.numbers.addTo(out, q.Range)
	case q.Match != nil:
		f.addMatches(q.Match, out)
	default:
		for _, v := range q.Any {
			f.addMatches(v, out)
		}
	}
}

func (f *field) addMatches(v any, out bitmap) {
	s, _ := scalarOf(v)
	if s.kind == isNumber {
		f.numbers.addTo(out, &Range{GTE: &s.number, LTE: &s.number})
		return
	}
	if v := f.values[s]; v != nil {
		v.points.addTo(out)
	}
}

// passes reports whether a point with these entries passes, without a catalogue.
func (f *Filter) passes(id string, entries []entry) bool {
	for i := range f.Must {
		if !f.Must[i].meets(id, entries) {
			return false
		}
	}
	for i := range f.MustNot {
		if f.MustNot[i].meets(id, entries) {
			return false
		}
	}
	for i := range f.Should {
		if f.Should[i].meets(id, entries) {
			return true
		}
	}
	return len(f.Should) == 0
}

func (q *Condition) meets(id string, entries []entry) bool {
	switch {
	case q.Filter != nil:
		return q.Filter.passes(id, entries)
	case q.HasID != nil:
		return slices.Contains(q.HasID, id)
	}
	there := false
	for _, e := range entries {
		if e.path == q.Key {
			there = true
			if q.fits(e.scalar) {
				return true
			}
		}
	}
	return q.IsEmpty && !there
}

// fits reports whether one value of a field is what q asks for.
func (q *Condition) fits(have scalar) bool {
	if q.Range != nil {
		return have.kind == isNumber && !q.Range.below(have.number) && !q.Range.above(have.number)
	}
	for _, v := range append(q.Any[:len(q.Any):len(q.Any)], q.Match) {
		if want, ok := scalarOf(v); ok && want == have {
			return true
		}
	}
	return false
}
