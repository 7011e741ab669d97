package index

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestOrdinals compares with a map, growing and shrinking through both forms.
func TestOrdinals(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	var s ordinals
	model := map[uint32]bool{}
	forms := map[bool]bool{}
	for step := range 40_000 {
		x := uint32(r.IntN(3000))
		if step/10_000%2 == 0 == (r.IntN(10) > 0) {
			s.add(x)
			model[x] = true
		} else {
			s.remove(x)
			delete(model, x)
		}
		forms[s.bits == nil] = true
		if step%500 > 0 {
			continue
		}
		b := make(bitmap, 3000/64+1)
		s.addTo(b)
		var have []uint32
		b.each(func(x uint32) { have = append(have, x) })
		if want := slices.Sorted(maps.Keys(model)); !slices.Equal(have, want) || s.n != len(want) || b.count() != len(want) {
			t.Fatalf("step %d: %d ordinals of %d", step, s.n, len(want))
		}
	}
	if len(forms) != 2 {
		t.Error("the set kept one form")
	}
}

// TestNumbers compares ranges with a loop.
func TestNumbers(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	var s numbers
	model := map[number]bool{}
	for step := range 6000 {
		x := number{float64(r.IntN(300)) / 4, uint32(r.IntN(2000))}
		if step < 3000 {
			x.value = float64(step) // in order
		}
		if step > 4000 && r.IntN(3) > 0 || model[x] {
			for x = range model { // any
				break
			}
			s.remove(x)
			s.remove(x)
			delete(model, x)
		} else {
			s.add(x)
			model[x] = true
		}
		if step%100 > 0 {
			continue
		}
		lo, hi := float64(r.IntN(80)), float64(r.IntN(3000))
		for _, rng := range []Range{{GT: &lo}, {GTE: &lo, LT: &hi}, {LTE: &hi}, {GTE: &lo, LTE: &lo}, {GT: &hi, LTE: &lo}} {
			have, want := make(bitmap, 2000/64+1), make(bitmap, 2000/64+1)
			s.addTo(have, &rng)
			for x := range model {
				if !rng.below(x.value) && !rng.above(x.value) {
					want.set(x.ordinal)
				}
			}
			if !slices.Equal(have, want) {
				t.Fatalf("step %d: %d numbers in a range, want %d", step, have.count(), want.count())
			}
		}
	}
}

// TestCatalogueForgets: what is deleted leaves nothing behind, and ordinals are used again.
func TestCatalogueForgets(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	c := newCatalogue()
	ids := numbered(500)
	for range 5 {
		for _, id := range ids {
			var entries []entry
			for name, v := range randomPayload(r, 3) {
				entries = appendEntries(entries, name, v)
			}
			slices.SortFunc(entries, compareEntries)
			c.put([]string{id}, [][]entry{slices.Compact(entries)})
		}
		c.delete(ids[:300])
		c.delete(ids)
	}
	if len(c.fields) > 0 || c.all.n > 0 || c.wide.n > 0 || len(c.ordinalOf) > 0 || len(c.free) != len(ids) || len(c.ids) != len(ids) {
		t.Errorf("%d fields, %d points, %d ids, %d of %d ordinals free", len(c.fields), c.all.n, len(c.ordinalOf), len(c.free), len(c.ids))
	}
}
