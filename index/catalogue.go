package index

import (
	"strings"
	"sync"
)

// catalogue is what filters are answered from: for every field the points that have it, and those that have each value. It
// lives in memory, is read from the records by the first filter or write after Open, and follows every write.
//
//	points    ordinal ◄──► id            small numbers, stable while a point exists, used again afterwards
//	fields    path ──► present                        set of ordinals
//	               ├─► text, bools ──► value ──► …    sets of ordinals
//	               └─► numbers                        (value, ordinal), sorted
//	wide      points with more than maxIndexed values: present by id alone, their records are read when a filter asks
//
// A point with a label and a number takes some 180 bytes (BenchmarkFilterCompile), a string of its own 150 more. Strings longer
// than maxText count by their SHA-256.
type catalogue struct {
	mu        sync.RWMutex // searches hold it while they use a selection: it is made of live sets
	ordinalOf map[string]uint32
	ids       []string // of each ordinal
	valuesOf  [][]posting
	free      []uint32
	all, wide ordinals
	fields    map[string]*field
	filed     int       // postings of all points
	scratch   sync.Pool // of *bitmap
}

type field struct {
	path    string
	present ordinals
	values  map[scalar]*value
	numbers numbers
}

// value is a string or a bool of a field, and who has it.
type value struct {
	scalar
	points ordinals
}

// posting is where a point stands: in a value of a field, or, where that is nil, perhaps among its numbers.
type posting struct {
	field  *field
	value  *value
	number float64
}

func newCatalogue() *catalogue {
	return &catalogue{ordinalOf: map[string]uint32{}, fields: map[string]*field{}}
}

// start begins anew with points whose values put will enter. Their ordinals are their places.
func (c *catalogue) start(ids []string) {
	c.all, c.wide, c.free, c.fields, c.filed = ordinals{}, ordinals{}, nil, map[string]*field{}, 0
	c.ids, c.valuesOf = ids, make([][]posting, len(ids))
	c.ordinalOf = make(map[string]uint32, len(ids))
	for i, id := range ids {
		c.ordinalOf[id] = uint32(i)
		c.all.add(uint32(i))
	}
}

// put takes points in, or replaces what was known of them, and returns their ordinals.
func (c *catalogue) put(ids []string, entries [][]entry) []uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]uint32, len(ids))
	for i, id := range ids {
		ord, ok := c.ordinalOf[id]
		if ok {
			c.clear(ord)
		} else {
			ord = c.take(id)
		}
		c.file(ord, entries[i])
		out[i] = ord
	}
	return out
}

// delete forgets points that exist.
func (c *catalogue) delete(ids []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		ord, ok := c.ordinalOf[id]
		if !ok {
			continue
		}
		c.clear(ord)
		delete(c.ordinalOf, id)
		c.all.remove(ord)
		c.ids[ord] = ""
		c.free = append(c.free, ord)
	}
}

// take gives a new point its ordinal.
func (c *catalogue) take(id string) uint32 {
	var ord uint32
	if n := len(c.free); n > 0 {
		ord, c.free = c.free[n-1], c.free[:n-1]
	} else {
		ord = uint32(len(c.ids))
		c.ids, c.valuesOf = append(c.ids, ""), append(c.valuesOf, nil)
	}
	id = strings.Clone(id)
	c.ids[ord], c.ordinalOf[id] = id, ord
	c.all.add(ord)
	return ord
}

// file enters the values of a point that has none.
func (c *catalogue) file(ord uint32, entries []entry) {
	if len(entries) > maxIndexed {
		c.wide.add(ord)
		return
	}
	if len(entries) == 0 {
		return
	}
	postings := make([]posting, len(entries))
	for i, e := range entries {
		f := c.fields[e.path]
		if f == nil {
			f = &field{path: strings.Clone(e.path), values: map[scalar]*value{}}
			c.fields[f.path] = f
		}
		f.present.add(ord)
		postings[i] = posting{field: f, number: e.number}
		switch e.kind {
		case isObject:
		case isNumber:
			f.numbers.add(number{e.number, ord})
		default:
			v := f.values[e.scalar]
			if v == nil {
				v = &value{scalar: e.scalar}
				v.text = strings.Clone(v.text)
				f.values[v.scalar] = v
			}
			v.points.add(ord)
			postings[i].value = v
		}
	}
	c.valuesOf[ord] = postings
	c.filed += len(postings)
}

// clear takes the values of a point out.
func (c *catalogue) clear(ord uint32) {
	c.wide.remove(ord)
	for _, p := range c.valuesOf[ord] {
		f := p.field
		f.present.remove(ord)
		if p.value == nil {
			f.numbers.remove(number{p.number, ord}) // does nothing for an object
		} else if p.value.points.remove(ord); p.value.points.n == 0 {
			delete(f.values, p.value.scalar)
		}
		if f.present.n == 0 {
			delete(c.fields, f.path)
		}
	}
	c.filed -= len(c.valuesOf[ord])
	c.valuesOf[ord] = nil
}
