package index

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// packedLinks keep the lists of layer 0 where memory matters more than speed: as long as they are, each with as few bits a link as
// its greatest slot needs. With M 16 a list has some 18 links of 33 words: of 60 000 slots it takes 10 words, not 33.
//
//	at       slot ──► place of its list in words, 0 for the empty one
//	chunks   [ … [links << 16 | width−1 << 11 | count][links …] … ]      a list lies in one chunk
//
// A list is never changed: the writer makes another and stores its place, atomically. Searches that began before read the old one
// on, so its words are used again only after the writer has held the graph's mu exclusively, which searches hold shared to their
// end. Chunks do not move: there is nothing to copy when they grow, and no room in advance.
type packedLinks struct {
	at     []uint32 // words accessed atomically
	chunks atomic.Pointer[[][]uint32]

	mu      sync.Mutex // of the writer's goroutines
	next    int        // the first word of the last chunk that no list has had
	free    [][]uint32 // places to use again, by words
	retired []packedPlace
}

// packedPlace is a list that searches may still read.
type packedPlace struct {
	at    uint32
	words int
}

const (
	packedChunk = 1 << 14 // words
	packedHead  = 16      // bits
	packedCount = 1<<11 - 1
)

func newPackedLinks() *packedLinks {
	p := &packedLinks{}
	p.clear()
	return p
}

// clear drops all lists and slots. The caller holds the graph's mu exclusively.
func (p *packedLinks) clear() {
	p.at, p.next, p.free, p.retired = p.at[:0], packedChunk, nil, nil
	p.chunks.Store(&[][]uint32{})
}

// packedWords is how many words so many links of a width take.
func packedWords(count, width int) int { return (packedHead + count*width + 31) / 32 }

// block returns the words from a place to the end of its chunk.
func (p *packedLinks) block(at uint32) []uint32 {
	return (*p.chunks.Load())[at/packedChunk][at%packedChunk:]
}

// list returns the links of a slot, in memory of buf, which has room for them.
func (p *packedLinks) list(slot uint32, buf []uint32) []uint32 {
	at := atomic.LoadUint32(&p.at[slot])
	if at == 0 {
		return buf[:0]
	}
	block := p.block(at)
	head := block[0]
	count, width := int(head&packedCount), head>>11&31+1
	buf = buf[:count]
	mask := uint64(1)<<width - 1
	acc, have := uint64(head>>packedHead), uint32(32-packedHead)
	next := 1
	for i := range buf {
		if have < width {
			acc |= uint64(block[next]) << (have & 63)
			have += 32
			next++
		}
		buf[i] = uint32(acc & mask)
		acc >>= width & 63
		have -= width
	}
	return buf
}

// first returns the first word of a slot's list, nil of an empty one.
func (p *packedLinks) first(slot uint32) *uint32 {
	at := atomic.LoadUint32(&p.at[slot])
	if at == 0 {
		return nil
	}
	return &p.block(at)[0]
}

// set replaces the list of a slot. The writer only, for one slot at a time.
func (p *packedLinks) set(slot uint32, links []uint32) {
	old := p.at[slot]
	if len(links) == 0 && old == 0 {
		return
	}
	var most uint32
	for _, v := range links {
		most = max(most, v)
	}
	width := max(1, bits.Len32(most))
	at, block := p.swap(old, packedWords(len(links), width), len(links) == 0)
	if block != nil {
		pack(block, links, width)
	}
	atomic.StoreUint32(&p.at[slot], at)
}

// pack writes a list.
func pack(block, links []uint32, width int) {
	acc, have := uint64(len(links)|(width-1)<<11), packedHead
	next := 0
	for _, v := range links {
		acc |= uint64(v) << have
		if have += width; have >= 32 {
			block[next] = uint32(acc)
			next++
			acc >>= 32
			have -= 32
		}
	}
	if have > 0 {
		block[next] = uint32(acc)
	}
}

// swap retires the list at old, if there is one, and returns the place of so many words, unless there is to be none.
func (p *packedLinks) swap(old uint32, words int, none bool) (at uint32, block []uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if old != 0 {
		head := p.block(old)[0]
		p.retired = append(p.retired, packedPlace{old, packedWords(int(head&packedCount), int(head>>11&31+1))})
	}
	if none {
		return 0, nil
	}
	if words < len(p.free) && len(p.free[words]) > 0 {
		last := len(p.free[words]) - 1
		at, p.free[words] = p.free[words][last], p.free[words][:last]
		return at, p.block(at)[:words]
	}
	chunks := *p.chunks.Load()
	if p.next+words > packedChunk {
		if len(chunks) > 0 {
			p.give(uint32((len(chunks)-1)*packedChunk+p.next), packedChunk-p.next)
		}
		p.next = 0
		if len(chunks) == 0 {
			p.next = 1 // place 0 is none
		}
		chunks = append(chunks, make([]uint32, packedChunk))
		p.chunks.Store(&chunks)
	}
	at = uint32((len(chunks)-1)*packedChunk + p.next)
	p.next += words
	return at, p.block(at)[:words]
}

// give lets words be used again.
func (p *packedLinks) give(at uint32, words int) {
	if words == 0 {
		return
	}
	for len(p.free) <= words {
		p.free = append(p.free, nil)
	}
	p.free[words] = append(p.free[words], at)
}

// settle lets the words of replaced lists be used again. The caller holds the graph's mu exclusively.
func (p *packedLinks) settle() {
	for _, r := range p.retired {
		p.give(r.at, r.words)
	}
	p.retired = p.retired[:0]
}

// bytes is the memory of places and lists, free words and all.
func (p *packedLinks) bytes() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	chunks := len(*p.chunks.Load())
	return int64(len(p.at)+max(0, chunks-1)*packedChunk)*4 + int64(p.next%packedChunk)*4
}

// memory is the memory that lists of so many slots, M links each, take, or what they take already if that is more.
func (p *packedLinks) memory(slots, m int) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	lists := slots * (1 + packedWords(m, max(1, bits.Len(uint(slots)))))
	return 4 * int64(max(lists, slots+(1+len(*p.chunks.Load()))*packedChunk))
}
