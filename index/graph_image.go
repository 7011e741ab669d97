package index

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// The image of a graph is everything but the points: they lie in the store and are put back one by one. Its sealed content is
//
//	dimension u32   metric u8   M u32   slots u32   entry u32   top i32   levels drawn u64   points u32
//	for each slot   what u8: free 0, live 1, dead 2
//	                unless free, level u8 and for each layer: count u16, neighbours u32…
//	                if dead, components f32…
//	for each point, by rising sequence number: seq u64, slot u32
//
// The vector of a tombstone is nowhere else: its point is gone, but searches still pass through.

const (
	imageFree = iota
	imageLive
	imageDead
)

// image returns the sealed image of the graph that belongs to owner. A sweep that is on begins anew when it is read.
func (g *graph) image(owner string) []byte {
	g.writing.Lock()
	defer g.writing.Unlock()
	le := binary.LittleEndian
	size := 64 + len(g.state)*(6+4*(2*g.opt.M+1)) + 12*len(g.slotOf) + 4*g.dim*g.hidden
	b := newRecord(kindGraph, size)
	b = append(le.AppendUint32(b, uint32(g.dim)), byte(g.metric))
	b = le.AppendUint32(b, uint32(g.opt.M))
	b = le.AppendUint32(b, uint32(len(g.state)))
	b = le.AppendUint32(b, g.entry)
	b = le.AppendUint32(b, uint32(int32(g.top)))
	b = le.AppendUint64(b, g.draws)
	b = le.AppendUint32(b, uint32(len(g.slotOf)))
	for i, s := range g.state {
		slot := uint32(i)
		switch s {
		case live:
			b = append(b, imageLive)
		case dead, condemned:
			b = append(b, imageDead)
		default:
			b = append(b, imageFree)
			continue
		}
		b = append(b, byte(g.level(slot)))
		for layer := range g.level(slot) + 1 {
			list := g.list(slot, layer)
			b = le.AppendUint16(b, uint16(list[0]))
			for _, v := range list[1 : 1+list[0]] {
				b = le.AppendUint32(b, v)
			}
		}
		if s != live {
			for _, x := range g.vector(slot)[:g.dim] {
				b = le.AppendUint32(b, math.Float32bits(x))
			}
		}
	}
	for _, p := range g.seats() {
		b = le.AppendUint32(le.AppendUint64(b, p.seq), p.slot)
	}
	return seal(b, owner)
}

// seat is where a point is.
type seat struct {
	seq  uint64
	slot uint32
}

func (g *graph) seats() []seat {
	seats := make([]seat, 0, len(g.slotOf))
	for i, s := range g.state {
		if s != live {
			continue
		}
		seats = append(seats, seat{g.owner[i].seq, uint32(i)})
		for _, m := range g.more[uint32(i)] {
			seats = append(seats, seat{m.seq, uint32(i)})
		}
	}
	slices.SortFunc(seats, func(a, b seat) int { return cmp.Compare(a.seq, b.seq) })
	return seats
}

// restorer puts points back into a graph that was read from an image.
type restorer struct {
	*graph
	seats  []seat
	placed []bool // slot has its vector
}

// readImage makes a graph of an image whose live slots are pending until place has put their points back and finish is called.
func readImage(record []byte, owner string, o Options) (*restorer, error) {
	content, err := unseal(record, kindGraph, owner)
	if err != nil {
		return nil, err
	}
	g := newGraph(o)
	r := reader{b: content}
	dim, metric, m, slots := r.uint32(), r.uint8(), r.uint32(), r.uint32()
	if int(dim) != g.dim || Metric(metric) != g.metric || int(m) != o.M || int(slots) > len(r.b) {
		return nil, fmt.Errorf("image of %d slots, dimension %d, metric %d, m %d: %w", slots, dim, metric, m, ErrCorrupt)
	}
	g.entry = r.uint32()
	g.top = int(int32(r.uint32()))
	g.draws = r.uint64()
	points := r.uint32()
	g.grow(int(slots))
	res := &restorer{graph: g, placed: make([]bool, slots)}
	for range slots {
		if err := res.readSlot(&r); err != nil {
			return nil, err
		}
	}
	if r.bad || len(r.b) != 12*int(points) {
		return nil, fmt.Errorf("image is cut short: %w", ErrCorrupt)
	}
	for range points {
		s := seat{r.uint64(), r.uint32()}
		if n := len(res.seats); n > 0 && res.seats[n-1].seq >= s.seq || s.slot >= slots || g.state[s.slot] != pending {
			return nil, fmt.Errorf("image puts point %d into slot %d: %w", s.seq, s.slot, ErrCorrupt)
		}
		res.seats = append(res.seats, s)
	}
	return res, res.checkLinks()
}

// readSlot reads the next slot. Its neighbours are checked when all slots are known.
func (res *restorer) readSlot(r *reader) error {
	g := res.graph
	what := r.uint8()
	level := 0
	if what != imageFree {
		level = int(r.uint8())
	}
	if r.bad || what > imageDead || level > maxLevel {
		return fmt.Errorf("image: slot %d of kind %d has level %d: %w", len(g.state), what, level, ErrCorrupt)
	}
	slot := g.take(level)
	if what == imageFree {
		g.release(slot)
		// Not in use yet: take would give this slot again instead of the next.
		g.free = g.free[:0]
		return nil
	}
	for layer := range level + 1 {
		list := g.list(slot, layer)
		n := int(r.uint16())
		if n >= len(list) {
			return fmt.Errorf("image: slot %d has %d neighbours: %w", slot, n, ErrCorrupt)
		}
		list[0] = uint32(n)
		for i := range n {
			list[1+i] = r.uint32()
		}
	}
	if what == imageDead {
		g.state[slot] = dead
		res.placed[slot] = true
		for i := range g.dim {
			x := math.Float32frombits(r.uint32())
			if x != x || math.IsInf(float64(x), 0) {
				return fmt.Errorf("image: slot %d has a vector with %v: %w", slot, x, ErrCorrupt)
			}
			g.vector(slot)[i] = x
		}
	}
	return nil
}

// checkLinks refuses links that lead nowhere, and counts those that come in.
func (res *restorer) checkLinks() error {
	g := res.graph
	for i, s := range g.state {
		slot := uint32(i)
		if s == free {
			g.free = append(g.free, slot)
			continue
		}
		for layer := range g.level(slot) + 1 {
			list := g.list(slot, layer)
			for _, v := range list[1 : 1+list[0]] {
				if int(v) >= len(g.state) || v == slot || g.state[v] == free || g.level(v) < layer {
					return fmt.Errorf("image: slot %d links to %d in layer %d: %w", slot, v, layer, ErrCorrupt)
				}
				if layer == 0 {
					g.inLinks[v]++
				}
			}
		}
	}
	if empty := len(g.free) == len(g.state); empty != (g.top < 0) || g.top < -1 ||
		!empty && (int(g.entry) >= len(g.state) || g.state[g.entry] == free || g.level(g.entry) != g.top) {
		return fmt.Errorf("image: entry %d of level %d: %w", g.entry, g.top, ErrCorrupt)
	}
	return nil
}

// place puts a point back. It reports whether the image has the point.
func (res *restorer) place(m member, row []float32) (bool, error) {
	i, ok := slices.BinarySearchFunc(res.seats, m.seq, func(s seat, seq uint64) int { return cmp.Compare(s.seq, seq) })
	if !ok {
		return false, nil
	}
	g, slot := res.graph, res.seats[i].slot
	if !res.placed[slot] {
		copy(g.vector(slot), row)
		res.placed[slot] = true
	} else if !slices.Equal(g.vector(slot)[:g.dim], row) {
		return false, fmt.Errorf("image: point %q shares slot %d with another vector: %w", m.id, slot, ErrCorrupt)
	}
	g.own(slot, m)
	return true, nil
}

// finish makes tombstones of the slots whose points are gone, and returns how many. Their vectors went with the points: the
// mean of the neighbours leads searches through as well.
func (res *restorer) finish() (lost int) {
	g := res.graph
	for i, s := range g.state {
		if s != pending {
			continue
		}
		slot := uint32(i)
		lost++
		g.state[slot] = dead
		mean := g.vector(slot)
		list := g.list(slot, 0)
		for _, v := range list[1 : 1+list[0]] {
			if res.placed[v] {
				for j, x := range g.vector(v)[:g.dim] {
					mean[j] += x / float32(list[0])
				}
			}
		}
		if n := length(mean[:g.dim]); g.metric == Cosine && n > 0 {
			for j := range mean {
				mean[j] = float32(float64(mean[j]) / n)
			}
		}
	}
	if g.metric == Dot {
		for i := 0; i < len(g.vectors); i += g.stride {
			g.radius = max(g.radius, length(g.vectors[i:i+g.dim]))
		}
		g.liftTo(g.vectors)
	}
	return lost
}
