package index

import (
	"cmp"
	"slices"
	"sort"
)

// numbers are the numbers of a field, sorted, with the ordinals of their points: blocks of at most blockOfNumbers, so that no
// write moves more than one.
type numbers struct{ blocks [][]number }

type number struct {
	value   float64
	ordinal uint32
}

const blockOfNumbers = 512

func compareNumbers(a, b number) int {
	return cmp.Or(cmp.Compare(a.value, b.value), cmp.Compare(a.ordinal, b.ordinal))
}

// block returns the block that x is in, or belongs to, if there is any.
func (s *numbers) block(x number) int {
	i := sort.Search(len(s.blocks), func(i int) bool { return compareNumbers(s.blocks[i][0], x) > 0 })
	return max(i-1, 0)
}

// add takes a number that is not there yet.
func (s *numbers) add(x number) {
	if len(s.blocks) == 0 {
		s.blocks = [][]number{{x}}
		return
	}
	at := s.block(x)
	b := s.blocks[at]
	i, _ := slices.BinarySearchFunc(b, x, compareNumbers)
	b = slices.Insert(b, i, x)
	s.blocks[at] = b
	if len(b) <= blockOfNumbers {
		return
	}
	// Numbers that come in order, as times do, leave full blocks behind.
	cut := len(b) / 2
	if at == len(s.blocks)-1 && i == len(b)-1 {
		cut = len(b) - 1
	}
	s.blocks = slices.Insert(s.blocks, at+1, slices.Clone(b[cut:]))
	s.blocks[at] = slices.Clone(b[:cut])
}

func (s *numbers) remove(x number) {
	if len(s.blocks) == 0 {
		return
	}
	at := s.block(x)
	i, found := slices.BinarySearchFunc(s.blocks[at], x, compareNumbers)
	if !found {
		return
	}
	if s.blocks[at] = slices.Delete(s.blocks[at], i, i+1); len(s.blocks[at]) == 0 {
		s.blocks = slices.Delete(s.blocks, at, at+1)
	}
}

// addTo adds the ordinals of the numbers within r to b.
func (s *numbers) addTo(b bitmap, r *Range) {
	first := sort.Search(len(s.blocks), func(i int) bool { return !r.below(s.blocks[i][len(s.blocks[i])-1].value) })
	blocks := s.blocks[first:]
	blocks = blocks[:sort.Search(len(blocks), func(i int) bool { return r.above(blocks[i][0].value) })]
	for i, block := range blocks {
		if i > 0 && i < len(blocks)-1 { // all within: this is where the time goes
			for _, x := range block {
				b.set(x.ordinal)
			}
			continue
		}
		for _, x := range block {
			if !r.below(x.value) && !r.above(x.value) {
				b.set(x.ordinal)
			}
		}
	}
}
