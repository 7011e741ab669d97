package index

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"sync"
	"unsafe"
)

// The image of a graph is all that it takes to answer: the memory of a graph as it lies, section after section, so that reading
// it is little more than reading a file. The sections of S slots, in the byte order of the machine that wrote them:
//
//	states    S · u8       free 0, live 1, dead 2
//	levels    S · u8
//	sequences S · u64      of the first point of a live slot, else 0
//	lengths   S · u16      of its id, else 0
//	ids       bytes        of the first points, slot after slot
//	twins     bytes        further points of a slot: slot u32, seq u64, length u16, id; slot after slot, by rising id;
//	                       little-endian
//	inLinks   S · i32
//	upper     u32…         lists of layers 1, 2, … of the slots that have them: (M+1) words a layer
//	links     S·(2M+1) · u32
//	vectors   S·stride · f32, unless they stay in the store
//	codes     of a quantised graph: codeStore.sections
//	edges     S · u8, S·words · u32: edgeCodes.used and records, where links have codes
//	rows      S · row of rowFile, where vectors are not in memory: read from here on, slot by slot
type imageHead struct {
	Order  uint32 `json:"order"` // byteOrder as this machine writes it
	Dim    int    `json:"dimension"`
	Stride int    `json:"stride"`
	Metric Metric `json:"metric"`
	M      int    `json:"m"`
	Slots  int    `json:"slots"`
	Points int    `json:"points"`
	IDs    int    `json:"id_bytes"`
	Twins  int    `json:"twin_bytes"`
	Upper  int    `json:"upper_words"`
	Entry  uint32 `json:"entry"`
	Top    int    `json:"top"`
	Draws  uint64 `json:"draws"`
	Radius uint64 `json:"radius"` // bits of the float64
	// Quantization is left out of images of float32.
	Quantization Quantization `json:"quantization,omitempty"`
	Codes        int          `json:"code_bytes,omitempty"` // codes and edges
}

const (
	imageFree = iota
	imageLive
	imageDead
)

// byteOrder is 1, 2, 3, 4 in little-endian memory.
const byteOrder = 0x04030201

// order returns byteOrder as this machine keeps it.
func order() uint32 {
	return binary.LittleEndian.Uint32(binary.NativeEndian.AppendUint32(nil, byteOrder))
}

// check compares the sections with the size of the whole, before memory is taken for them.
func (h *imageHead) check(bytes int64) error {
	for _, n := range []int{h.Slots, h.IDs, h.Twins, h.Upper, h.Codes} {
		if n < 0 || int64(n) > bytes {
			return fmt.Errorf("image of %d slots and %d bytes: %w", h.Slots, bytes, ErrCorrupt)
		}
	}
	slot := 1 + 1 + 8 + 2 + 4 + 4*(2*h.M+1)
	if h.Quantization == QuantizationInt8Disk {
		slot += 4*h.Dim + 4
	} else {
		slot += 4 * h.Stride
	}
	if int64(h.Slots) > bytes/int64(slot) || int64(slot)*int64(h.Slots)+int64(h.IDs)+int64(h.Twins)+4*int64(h.Upper)+int64(h.Codes) != bytes {
		return fmt.Errorf("image of %d slots and %d bytes: %w", h.Slots, bytes, ErrCorrupt)
	}
	return nil
}

// bytesOf is the memory of a slice.
func bytesOf[T uint16 | uint32 | int32 | uint64 | float32 | float64](s []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(*new(T))))
}

// writeImage writes the sections. A sweep that is on begins anew when they are read. No write may run meanwhile; searches may.
func (g *graph) writeImage(w io.Writer) (imageHead, error) {
	le := binary.LittleEndian
	h := imageHead{Order: order(), Dim: g.dim, Stride: g.stride, Metric: g.metric, M: g.opt.M, Slots: len(g.state), Points: len(g.slotOf),
		Entry: g.entry, Top: g.top, Draws: g.draws, Radius: math.Float64bits(g.radius)}
	states, levels := make([]byte, h.Slots), make([]byte, h.Slots)
	seqs, lengths := make([]uint64, h.Slots), make([]uint16, h.Slots)
	var ids, twins []byte
	var upper []uint32
	for i, s := range g.state {
		switch s {
		case live:
			states[i] = imageLive
			seqs[i], lengths[i] = g.owner[i].seq, uint16(len(g.owner[i].id))
			ids = append(ids, g.owner[i].id...)
			for _, m := range g.more[uint32(i)] {
				twins = le.AppendUint64(le.AppendUint32(twins, uint32(i)), m.seq)
				twins = append(le.AppendUint16(twins, uint16(len(m.id))), m.id...)
			}
		case dead, condemned:
			states[i] = imageDead
		}
		levels[i] = byte(g.level(uint32(i)))
		upper = append(upper, g.lists(uint32(i))...)
	}
	h.IDs, h.Twins, h.Upper = len(ids), len(twins), len(upper)
	if err := writeAll(w, states, levels, bytesOf(seqs), bytesOf(lengths), ids, twins, bytesOf(g.inLinks), bytesOf(upper)); err != nil {
		return h, err
	}
	if err := g.writeLinks(w); err != nil {
		return h, err
	}
	sections := [][]byte{bytesOf(g.vectors)}
	if g.codes != nil {
		codes := g.codeSections()
		h.Quantization, h.Codes = g.opt.Quantization, sizeOf(codes)
		sections = append(sections, codes...)
	}
	if err := writeAll(w, sections...); err != nil || g.disk == nil {
		return h, err
	}
	return h, g.disk.rows.copyTo(w, h.Slots, func(slot uint32) bool { return g.state[slot] != free })
}

func writeAll(w io.Writer, sections ...[]byte) error {
	for _, section := range sections {
		if _, err := w.Write(section); err != nil {
			return err
		}
	}
	return nil
}

// codeSections is the memory of codes and edges.
func (g *graph) codeSections() [][]byte {
	s := g.codes.sections(len(g.state))
	if e := g.edges; e != nil {
		s = append(s, e.used[:len(g.state)], bytesOf(e.records[:len(g.state)*e.words]))
	}
	return s
}

func sizeOf(sections [][]byte) (n int) {
	for _, s := range sections {
		n += len(s)
	}
	return n
}

// readImage makes the graph of an image. What it returns has been checked so far that no search and no write can fail on it.
func readImage(ctx context.Context, h imageHead, from *sumReader, o Options, disk *onDisk) (*graph, error) {
	g := newGraph(o, disk)
	if h.Order != order() {
		return nil, fmt.Errorf("image of a machine with another byte order: %w", ErrFormat)
	}
	if h.Dim != g.dim || h.Stride != g.stride || h.Metric != g.metric || h.M != o.M {
		return nil, fmt.Errorf("image of dimension %d, stride %d, metric %d, m %d: %w", h.Dim, h.Stride, h.Metric, h.M, ErrCorrupt)
	}
	if want := g.opt.Quantization; h.Quantization != want && (h.Quantization != "" || want != QuantizationFloat32) || g.codes != nil && h.Codes/max(1, h.Slots) < h.Dim {
		return nil, fmt.Errorf("image of quantization %q with %d bytes of codes: %w", h.Quantization, h.Codes, ErrCorrupt)
	}
	if err := h.check(from.bytes); err != nil {
		return nil, err
	}
	n := h.Slots
	states, levels := make([]byte, n), make([]byte, n)
	seqs, lengths, ids, twins := make([]uint64, n), make([]uint16, n), make([]byte, h.IDs), make([]byte, h.Twins)
	g.inLinks = make([]int32, n)
	upper := make([]uint32, h.Upper)
	if err := from.read(ctx, states, levels, bytesOf(seqs), bytesOf(lengths), ids, twins, bytesOf(g.inLinks), bytesOf(upper)); err != nil {
		return nil, err
	}
	if err := g.setSlots(states, levels, upper); err != nil {
		return nil, err
	}
	// The map of the points takes about as long as the rest, and nothing of the rest.
	var named error
	var naming sync.WaitGroup
	naming.Go(func() { named = g.setPoints(h.Points, seqs, lengths, ids, twins) })
	if g.disk == nil {
		g.vectors = newArena[float32](n * g.stride)[:n*g.stride]
	}
	err := g.readLinks(ctx, from)
	if err == nil {
		err = from.read(ctx, bytesOf(g.vectors))
	}
	if err == nil {
		err = g.readCodes(ctx, from, h.Codes)
	}
	if err == nil && g.disk != nil {
		err = from.skip(ctx, int64(n)*g.disk.rows.size())
	}
	naming.Wait()
	if err == nil {
		err = named
	}
	if err != nil {
		return nil, err
	}
	g.entry, g.top, g.draws, g.radius = h.Entry, h.Top, h.Draws, math.Float64frombits(h.Radius)
	if err := g.checkLinks(); err != nil {
		return nil, err
	}
	return g, nil
}

// readCodes reads codes and edges, if the graph has any.
func (g *graph) readCodes(ctx context.Context, from *sumReader, bytes int) error {
	if g.codes == nil {
		return nil
	}
	g.codes.grow(len(g.state), nil, g.stride)()
	if g.edges != nil {
		g.edges.grow(len(g.state))()
	}
	codes := g.codeSections()
	if n := sizeOf(codes); n != bytes {
		return fmt.Errorf("image with %d bytes of codes, want %d: %w", bytes, n, ErrCorrupt)
	}
	return from.read(ctx, codes...)
}

// setSlots sets states and upper layers.
func (g *graph) setSlots(states, levels []byte, upper []uint32) error {
	g.state, g.upperAt, g.owner = make([]slotState, len(states)), make([]uint32, len(states)), make([]member, len(states))
	g.growUpper(len(upper) + len(states)) // a slot has one level word at most
	for i, s := range states {
		words := int(levels[i]) * (g.opt.M + 1)
		if s > imageDead || levels[i] > maxLevel || s == imageFree && words > 0 || words > len(upper) {
			return fmt.Errorf("image: slot %d of kind %d has level %d: %w", i, s, levels[i], ErrCorrupt)
		}
		switch s {
		case imageFree:
			g.state[i] = free
			g.free = append(g.free, uint32(i))
		case imageLive:
			g.state[i] = live
			g.lives++
		case imageDead:
			g.state[i] = dead
			g.hidden++
		}
		if words > 0 {
			g.upperAt[i] = g.takeBlock(int(levels[i]))
			upper = upper[copy(g.lists(uint32(i)), upper):]
		}
	}
	if len(upper) > 0 {
		return fmt.Errorf("image: %d words of upper layers too many: %w", len(upper), ErrCorrupt)
	}
	return nil
}

// setPoints says whose the live slots are. The ids stay in the block that they were read into.
func (g *graph) setPoints(points int, seqs []uint64, lengths []uint16, ids, twins []byte) error {
	wrong := func(slot uint32) error { return fmt.Errorf("image: the id of slot %d is wrong: %w", slot, ErrCorrupt) }
	if points < g.lives || points > g.lives+len(twins)/15 {
		return fmt.Errorf("image: %d points in %d slots: %w", points, g.lives, ErrCorrupt)
	}
	g.slotOf = make(map[string]uint32, points)
	for i, s := range g.state {
		n := int(lengths[i])
		if n > len(ids) || (s == live) != (n > 0) {
			return wrong(uint32(i))
		}
		if s == live {
			id := unsafe.String(&ids[0], n)
			g.owner[i], ids = member{id, tag{seq: seqs[i]}}, ids[n:]
			g.slotOf[id] = uint32(i)
		}
	}
	if len(ids) > 0 {
		return wrong(uint32(len(g.state)))
	}
	for r := (reader{b: twins}); len(r.b) > 0; {
		slot, seq := r.uint32(), r.uint64()
		id := string(r.bytes(int(r.uint16())))
		if r.bad || id == "" || int(slot) >= len(g.state) || g.state[slot] != live {
			return wrong(slot)
		}
		last := g.owner[slot].id
		if more := g.more[slot]; len(more) > 0 {
			last = more[len(more)-1].id
		}
		if id <= last {
			return wrong(slot)
		}
		g.more[slot] = append(g.more[slot], member{id, tag{seq: seq}})
		g.slotOf[id] = slot
	}
	if len(g.slotOf) != points { // an id stands twice
		return fmt.Errorf("image: %d ids of %d points: %w", len(g.slotOf), points, ErrCorrupt)
	}
	g.setOrdinals()
	return nil
}

// setOrdinals gives the points ordinals in the order of members.
func (g *graph) setOrdinals() {
	g.ordOf, g.slotAt = make([]uint32, len(g.state)), make([]uint32, 0, len(g.slotOf))
	for i, s := range g.state {
		g.ordOf[i] = noOrdinal
		if s != live {
			continue
		}
		g.owner[i].ordinal = uint32(len(g.slotAt))
		g.ordOf[i] = g.owner[i].ordinal
		g.slotAt = append(g.slotAt, uint32(i))
		more := g.more[uint32(i)]
		for j := range more {
			more[j].ordinal = uint32(len(g.slotAt))
			g.ordOf[i] = severalOwners
			g.slotAt = append(g.slotAt, uint32(i))
		}
	}
}

// checkLinks refuses links that lead nowhere.
func (g *graph) checkLinks() error {
	const block = 1 << 14
	errs := make([]error, (len(g.state)+block-1)/block)
	workers(g.opt.Threads, len(errs), func(b int) {
		buf := make([]uint32, g.room(0))
		for i := b * block; i < min((b+1)*block, len(g.state)) && errs[b] == nil; i++ {
			errs[b] = g.checkSlot(uint32(i), buf)
		}
	})
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	if empty := g.lives+g.hidden == 0; empty != (g.top < 0) || g.top < -1 ||
		!empty && (int(g.entry) >= len(g.state) || g.state[g.entry] == free || g.level(g.entry) != g.top) {
		return fmt.Errorf("image: entry %d of level %d: %w", g.entry, g.top, ErrCorrupt)
	}
	return nil
}

func (g *graph) checkSlot(slot uint32, buf []uint32) error {
	if g.state[slot] == free {
		if len(g.neighbours(slot, 0, buf)) != 0 {
			return fmt.Errorf("image: free slot %d has links: %w", slot, ErrCorrupt)
		}
		return nil
	}
	for layer := range g.level(slot) + 1 {
		if layer > 0 || g.packed == nil {
			if list := g.list(slot, layer); int(list[0]) >= len(list) {
				return fmt.Errorf("image: slot %d has %d neighbours: %w", slot, list[0], ErrCorrupt)
			}
		}
		for _, v := range g.neighbours(slot, layer, buf) {
			if int(v) >= len(g.state) || v == slot || g.state[v] == free || layer > 0 && g.level(v) < layer {
				return fmt.Errorf("image: slot %d links to %d in layer %d: %w", slot, v, layer, ErrCorrupt)
			}
		}
	}
	if g.edges == nil {
		return nil
	}
	if int(g.edges.used[slot]) >= len(g.list(slot, 0)) {
		return fmt.Errorf("image: slot %d has %d codes of neighbours: %w", slot, g.edges.used[slot], ErrCorrupt)
	}
	for _, v := range g.fills(slot) {
		if int(v) >= len(g.state) || v == slot || g.state[v] == free {
			return fmt.Errorf("image: slot %d is near %d: %w", slot, v, ErrCorrupt)
		}
	}
	return nil
}

// members calls f for every point.
func (g *graph) members(f func(m member)) {
	for i, s := range g.state {
		if s != live {
			continue
		}
		f(g.owner[i])
		for _, m := range g.more[uint32(i)] {
			f(m)
		}
	}
}
