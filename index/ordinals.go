package index

import (
	"math/bits"
	"slices"
)

// noOrdinal is that of no point.
const noOrdinal = ^uint32(0)

// ordinals is a set of point ordinals: a sorted list while that is smaller, else bits.
type ordinals struct {
	list []uint32
	bits bitmap // nil while there is a list
	n    int
}

// sparse is how many times the list is smaller than the bits when an ordinals turns: 32 would be even.
const sparse = 32

func (s *ordinals) add(x uint32) {
	if s.bits == nil {
		i, found := slices.BinarySearch(s.list, x)
		if found {
			return
		}
		s.list = slices.Insert(s.list, i, x)
		s.n++
		if s.n >= 2*lanes && s.n*sparse > int(s.list[s.n-1]) {
			s.bits = make(bitmap, s.list[s.n-1]/64+1)
			s.bits.addAll(s.list)
			s.list = nil
		}
		return
	}
	for int(x/64) >= len(s.bits) {
		s.bits = append(s.bits, 0)
	}
	if !s.bits.has(x) {
		s.bits.set(x)
		s.n++
	}
}

func (s *ordinals) remove(x uint32) {
	if s.bits == nil {
		if i, found := slices.BinarySearch(s.list, x); found {
			s.list = slices.Delete(s.list, i, i+1)
			s.n--
		}
		return
	}
	if !s.bits.has(x) {
		return
	}
	s.bits[x/64] &^= 1 << (x % 64)
	if s.n--; s.n*sparse*4 < len(s.bits)*64 {
		s.list = make([]uint32, 0, s.n)
		s.bits.each(func(x uint32) { s.list = append(s.list, x) })
		s.bits = nil
	}
}

// addTo adds the set to b, which has room for all ordinals.
func (s *ordinals) addTo(b bitmap) {
	if s.bits == nil {
		b.addAll(s.list)
		return
	}
	for i, w := range s.bits {
		b[i] |= w
	}
}

// bitmap is a set with a bit for every ordinal.
type bitmap []uint64

// has takes any ordinal.
func (b bitmap) has(x uint32) bool {
	i := int(x / 64)
	return i < len(b) && b[i]>>(x%64)&1 != 0
}

func (b bitmap) set(x uint32) { b[x/64] |= 1 << (x % 64) }

func (b bitmap) addAll(list []uint32) {
	for _, x := range list {
		b.set(x)
	}
}

// and keeps what is in o, too; andNot what is not. Both have the same length.
func (b bitmap) and(o bitmap) {
	for i, w := range o {
		b[i] &= w
	}
}

func (b bitmap) andNot(o bitmap) {
	for i, w := range o {
		b[i] &^= w
	}
}

func (b bitmap) or(o bitmap) {
	for i, w := range o {
		b[i] |= w
	}
}

func (b bitmap) count() (n int) {
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	return n
}

func (b bitmap) each(f func(x uint32)) {
	for i, w := range b {
		for ; w != 0; w &= w - 1 {
			f(uint32(i*64 + bits.TrailingZeros64(w)))
		}
	}
}
