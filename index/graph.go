package index

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
)

// graph is a hierarchical navigable small world (Malkov & Yashunin, IEEE TPAMI 2018) on flat memory.
//
//	slot      0        1        2      …
//	vectors  [row    ][row    ][row    ]…          padded to whole cache lines
//	links    [n a b …][n c d …][n …    ]…          layer 0: a count, then neighbours
//	upper              [n e …]         …           layers 1, 2, … of the slots that have them (graph_upper.go)
//	owner     "id"     "id"     tombstone          more than one id where vectors are equal
//
// One writer at a time holds writing; searches hold mu shared. Slots change their state, and arenas move, while mu is held
// exclusively, which is short. Links change beside searches: every word of a link list is read and written atomically, and a
// list that is half old and half new is still a list of slots worth visiting.
//
// Writes happen in rounds of at most roundSize slots (graph_insert.go): all slots of a round look for neighbours in the graph
// as it was before the round and among each other, then the new links are added target by target. Both halves run in
// parallel, and neither depends on the number of threads. Tombstones are swept out by and by (graph_sweep.go).
type graph struct {
	space
	opt     Options
	perLink float64 // 1/ln M: mean level of a slot

	writing sync.Mutex // one writer
	rounds  rounds     // scratch of the writer
	free    []uint32   // slots to use again; the writer's
	draws   uint64     // levels drawn so far; the writer's
	most    int        // slots that grow may make room for in advance, 0 for any; the writer's
	sweepAt int        // next slot to sweep, −1 when no sweep is on; the writer's
	inLinks []int32    // links of layer 0 that lead to a slot; the writer's

	freeUpper [maxLevel + 1][]uint32 // blocks to use again, by level; the writer's

	mu      sync.RWMutex
	vectors []float32           // slot·stride; none where they are on disk
	codes   codeStore           // nil where walks compare the vectors
	disk    *onDisk             // nil where vectors are in memory
	edges   *edgeCodes          // nil unless searches go by codes of links
	links   []uint32            // slot·(2M+1), words accessed atomically; none where they are packed
	packed  *packedLinks        // nil where links are not
	upper   []uint32            // blocks of upper layers (graph_upper.go), words of lists accessed atomically
	upperAt []uint32            // slot's block in it
	state   []slotState         // what a slot holds
	owner   []member            // the first id of a live slot
	ordOf   []uint32            // the ordinal of a slot's only owner; severalOwners, or noOrdinal where there is none
	slotAt  []uint32            // slots by ordinal; noSlot where there is none
	more    map[uint32][]member // further ids of a slot, sorted
	slotOf  map[string]uint32
	entry   uint32 // where searches start
	top     int    // level of the entry, −1 when there is none
	lives   int    // slots in state live
	hidden  int    // slots in state pending, dead or condemned

	radius float64 // Dot: no vector is longer; the writer's
	walks  sync.Pool
}

// member is a point that owns a slot.
type member struct {
	id string
	tag
}

// tag is what a collection keeps beside an id: a number to find it by in a snapshot, and one to find it by in a selection.
type tag struct {
	seq     uint64
	ordinal uint32
}

const (
	noSlot        = ^uint32(0)
	severalOwners = noOrdinal - 1
)

// slotState is a bit, so that a set of states is a mask.
type slotState uint8

const (
	free      slotState = 1 << iota // in the list of free slots; no link leads here
	pending                         // has a vector, is being linked
	live                            // answers searches
	dead                            // tombstone: searches pass through
	condemned                       // tombstone that the sweep is cutting off
)

const (
	maxLevel  = 31
	roundSize = 256
	// scanFactor: below ef·scanFactor live slots a scan is as fast as a walk.
	scanFactor = 4
	// A sweep starts when a fifth of the slots, and at least minDead, are tombstones. It looks at sweepPace slots for each
	// id written, so that it is over long before as many tombstones have come again.
	minDead     = 64
	deadPerSlot = 0.2
	sweepPace   = 16
)

// newGraph makes a graph. disk is where vectors are with QuantizationInt8Disk, and only there.
func newGraph(o Options, disk *onDisk) *graph {
	g := &graph{
		space: newSpace(o.Metric, o.Dimension), opt: o, perLink: 1 / math.Log(float64(o.M)),
		sweepAt: -1, top: -1, upper: []uint32{0}, more: map[uint32][]member{}, slotOf: map[string]uint32{},
	}
	if g.metric == Dot {
		g.stride = newSpace(o.Metric, o.Dimension+1).stride
	}
	switch o.Quantization {
	case QuantizationInt8:
		g.codes = newInt8Codes(g.space, o.Seed)
	case QuantizationBinary:
		codes := newInt8Codes(g.space, o.Seed)
		g.codes, g.edges = codes, newEdgeCodes(codes)
	case QuantizationInt8Disk:
		g.codes, g.disk, g.packed = newInt8Codes(g.space, o.Seed), disk, newPackedLinks()
	}
	return g
}

func (g *graph) Len() int {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return len(g.slotOf)
}

func (g *graph) has(id string) bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	_, ok := g.slotOf[id]
	return ok
}

func (g *graph) Bytes() int64 {
	g.mu.RLock()
	defer g.mu.RUnlock()
	n := int64(len(g.vectors)+len(g.links)+len(g.upper)+len(g.upperAt)+len(g.inLinks))*4 + int64(len(g.state))
	if g.packed != nil {
		n += g.packed.bytes()
	}
	if g.disk != nil {
		n += int64(len(g.disk.rows.fresh)+len(g.disk.rows.since)) * 8
	}
	if g.codes != nil {
		n += g.codes.bytes(len(g.state))
	}
	if g.edges != nil {
		n += g.edges.bytes(len(g.state))
	}
	return n
}

func (g *graph) Upsert(ids []string, vectors [][]float32) error {
	return g.put(ids, vectors, nil)
}

func (g *graph) put(ids []string, vectors [][]float32, tags []tag) error {
	rows, err := g.prepareAll(ids, vectors)
	if err != nil {
		return err
	}
	g.writing.Lock()
	defer g.writing.Unlock()
	if most := g.mostSlots(); len(g.state)+len(ids) > most {
		return fmt.Errorf("%d more points: %w: a graph of quantization %s with m %d holds %d", len(ids), ErrInvalid, g.opt.Quantization, g.opt.M, most)
	}
	g.lift(rows)
	if g.disk != nil {
		g.disk.rows.open()
	}
	last := make(map[string]int, len(ids))
	for i, id := range ids {
		last[id] = i
	}
	points := make([]newPoint, 0, min(len(ids), roundSize))
	g.grow(len(last) - len(g.free))
	for i, id := range ids {
		if last[id] == i {
			p := newPoint{member: member{id, tag{ordinal: noOrdinal}}, row: rows[i*g.stride : (i+1)*g.stride]}
			if tags != nil {
				p.tag = tags[i]
			}
			points = append(points, p)
		}
		if len(points) == roundSize || i == len(ids)-1 {
			g.insertRound(points)
			g.sweep(len(points) * sweepPace)
			points = points[:0]
		}
	}
	return nil
}

func (g *graph) Delete(ids []string) error {
	g.writing.Lock()
	defer g.writing.Unlock()
	g.mu.Lock()
	n := 0
	for _, id := range ids {
		if slot, ok := g.slotOf[id]; ok {
			g.disown(slot, id)
			n++
		}
	}
	g.mu.Unlock()
	g.sweep(n * sweepPace)
	return nil
}

// Search returns the k nearest. It allocates nothing but the hits.
func (g *graph) Search(ctx context.Context, q []float32, k int, p Params) ([]Hit, error) {
	if p.ScoreThreshold != nil {
		return within(g.metric, k, p, func(k int, p Params) ([]Hit, error) { return g.Search(ctx, q, k, p) })
	}
	ef, err := p.candidates(k)
	if err != nil {
		return nil, err
	}
	if err := p.compiled(); err != nil {
		return nil, err
	}
	w := g.getWalk()
	defer g.walks.Put(w)
	if err := g.prepare(w.query, q); err != nil {
		return nil, err
	}
	g.mu.RLock()
	defer g.mu.RUnlock()
	if p.chosen != nil {
		return g.searchChosen(ctx, w, k, ef, p)
	}
	if p.Exact || g.lives <= ef*scanFactor {
		return g.exact(ctx, w, k)
	}
	if p.without != "" {
		if slot, ok := g.slotOf[p.without]; ok {
			w.without = slot + 1
			defer func() { w.without = 0 }()
		}
	}
	if g.edges != nil {
		ef = estimates(k, ef)
	}
	if err := g.walkDown(ctx, w, ef); err != nil {
		return nil, err
	}
	if g.codes != nil {
		if err := g.rescore(ctx, w, k, ef); err != nil {
			return nil, err
		}
	}
	hits := g.hits(w, k, nil)
	if len(hits) < min(k, len(g.slotOf)) {
		return g.exact(ctx, w, k) // the walk ran dry
	}
	return hits, nil
}

// exact compares w.query with all live slots. The caller holds mu.
func (g *graph) exact(ctx context.Context, w *walk, k int) ([]Hit, error) {
	if g.disk != nil {
		return g.exactFromDisk(ctx, w, k)
	}
	w.nearest.reset(k, func(slot uint32) string { return g.owner[slot].id })
	use := func(slot uint32) bool { return g.state[slot] == live }
	if err := g.scan(ctx, w.query, g.vectors, len(g.state), use, &w.nearest); err != nil {
		return nil, err
	}
	w.pool = w.pool[:0]
	for i, slot := range w.nearest.rows {
		w.pool = append(w.pool, makeKey(w.nearest.dist[i], slot))
	}
	slices.Sort(w.pool)
	return g.hits(w, k, nil), nil
}

// hits turns the keys of w.pool, nearest first, into the first k results of those chosen, nil for all. The caller holds mu.
func (g *graph) hits(w *walk, k int, chosen *selection) []Hit {
	found := w.hits[:0]
	var edge float32 // distance of the k-th
	for _, key := range w.pool {
		if len(found) >= k && key.distance() > edge {
			break
		}
		slot := key.slot()
		if g.state[slot] != live {
			continue
		}
		edge = key.distance()
		if m := &g.owner[slot]; chosen == nil || chosen.has(m.ordinal) {
			found = append(found, g.hit(m.id, edge))
		}
		if len(g.more) > 0 {
			for n, more := 0, g.more[slot]; n < k && len(more) > 0; more = more[1:] {
				if chosen == nil || chosen.has(more[0].ordinal) {
					found = append(found, g.hit(more[0].id, edge))
					n++
				}
			}
		}
	}
	sortHits(found)
	hits := slices.Clone(found[:min(k, len(found))])
	clear(found)
	w.hits = found[:0]
	return hits
}

func (g *graph) vector(slot uint32) []float32 {
	return g.vectors[int(slot)*g.stride : (int(slot)+1)*g.stride]
}

// list returns the links of a slot in a layer, which are not packed: the count, then room for the neighbours.
func (g *graph) list(slot uint32, layer int) []uint32 {
	if layer == 0 {
		n := 2*g.opt.M + 1
		return g.links[int(slot)*n : (int(slot)+1)*n]
	}
	n := g.opt.M + 1
	return g.upper[int(g.upperAt[slot])+1+(layer-1)*n:][:n]
}

// neighbours returns the links of a slot in a layer. Where they are packed they are unpacked into buf, which has room for 2M.
func (g *graph) neighbours(slot uint32, layer int, buf []uint32) []uint32 {
	if layer == 0 && g.packed != nil {
		return g.packed.list(slot, buf)
	}
	list := g.list(slot, layer)
	return list[1 : 1+atomic.LoadUint32(&list[0])]
}

// firstLink is where the links of a slot in a layer begin in memory; it may be nil.
func (g *graph) firstLink(slot uint32, layer int) *uint32 {
	if layer == 0 && g.packed != nil {
		return g.packed.first(slot)
	}
	return &g.list(slot, layer)[0]
}

// mostSlots is how many slots there may be.
func (g *graph) mostSlots() int {
	if g.packed == nil {
		return math.MaxInt32
	}
	return math.MaxUint32 / packedWords(2*g.opt.M, 31) // were all lists full
}

// room is how many links a slot may have in a layer.
func (g *graph) room(layer int) int {
	if layer == 0 {
		return 2 * g.opt.M
	}
	return g.opt.M
}
