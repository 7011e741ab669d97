package index

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestPackedLinks changes lists at random: each stays as it was set, the others do not change, a list that was replaced can be
// read until settle, and what is free is used again.
func TestPackedLinks(t *testing.T) {
	const slots, most = 200, 2 * MaxM
	r := rand.New(rand.NewPCG(3, 3))
	p := newPackedLinks()
	p.at = make([]uint32, slots)
	want := make([][]uint32, slots)
	buf := make([]uint32, most)
	var retired []packedPlace
	var content [][]uint32
	var middle int64
	for step := range 20_000 {
		slot := r.IntN(slots)
		links := make([]uint32, r.IntN(1+r.IntN(most+1)))
		limit := uint32(1) << r.IntN(32) // slots are below 1<<31
		for i := range links {
			links[i] = r.Uint32N(limit)
		}
		p.set(uint32(slot), links)
		want[slot] = links
		for i, old := range retired {
			if !slices.Equal(p.block(old.at)[:old.words], content[i]) {
				t.Fatalf("step %d: a replaced list was written over", step)
			}
		}
		if n := len(p.retired); n > len(retired) {
			last := p.retired[n-1]
			retired, content = append(retired, last), append(content, slices.Clone(p.block(last.at)[:last.words]))
		}
		if r.IntN(50) == 0 {
			p.settle()
			retired, content = retired[:0], content[:0]
			for i, w := range want {
				if got := p.list(uint32(i), buf); !slices.Equal(got, w) {
					t.Fatalf("step %d: slot %d has %v, want %v", step, i, got, w)
				}
				if (p.first(uint32(i)) == nil) != (len(w) == 0) {
					t.Fatalf("step %d: slot %d of %d links has its first word wrong", step, i, len(w))
				}
			}
		}
		if step == 10_000 {
			middle = p.bytes()
		}
	}
	if end := p.bytes(); end > middle+middle/4 {
		t.Errorf("memory grew from %d to %d bytes", middle, end)
	}
}

// TestPackedLinksAreSmall: 18 links of 60 000 slots, as MNIST has them, take 10 words and the place.
func TestPackedLinksAreSmall(t *testing.T) {
	p := newPackedLinks()
	p.at = make([]uint32, 60_000)
	links := make([]uint32, 18)
	for i := range p.at {
		for j := range links {
			links[j] = uint32((i + j*1000) % len(p.at))
		}
		p.set(uint32(i), links)
	}
	if n := p.bytes() / int64(len(p.at)); n > 44 {
		t.Errorf("%d bytes a slot, want 44", n)
	}
}

func BenchmarkPackedLinks(b *testing.B) {
	p := newPackedLinks()
	p.at = make([]uint32, 1)
	links := make([]uint32, 18)
	for i := range links {
		links[i] = uint32(i * 3000)
	}
	p.set(0, links)
	buf := make([]uint32, 32)
	for b.Loop() {
		p.list(0, buf)
	}
}
