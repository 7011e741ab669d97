package index

import (
	"math"
	"sync/atomic"

	"github.com/akin-search/akin/index/distance"
)

// edgeCodes keep one bit a component of every link of layer 0, packed so that one kernel call estimates the distances of all
// neighbours of a slot (SymphonyQG: Gou et al., SIGMOD 2025; the codes are RaBitQ's: Gao & Long, SIGMOD 2024).
//
// Be c and x the rotated vectors of a slot and of its neighbour, d = x − c, s the signs of d, one bit each. Then
//
//	|x−q|² = |c−q|² + |d|² − 2d(q−c)            and d(q−c) is about |d|²/(s·d) · s·(q−c)
//	       ≈ |c−q|² + A + B·(s·q)               A = |d|² + 2|d|²/(s·d)·(s·c)   B = −2|d|²/(s·d)
//
// without bias over random rotations; the error is about 0.76·|d||q−c|/√D (RaBitQ, theorem 3.2, with s·d ≈ 0.8·√D·|d|). |c−q|²
// is exact: a walk takes it where it looks at the neighbours of c. s·q is looked up, four components at a time. For
// Cosine and Dot everything is halved, and Dot adds what lengths make of it: −xq = −cq + ½|d|² + ½|c|² − ½|x|² − d(q−c).
//
// A list of links that is not full is filled up, behind its count, with near slots that were not chosen as neighbours: they
// cost nothing here, and only walks by edge codes see them.
//
//	list    [n  link link link … fill fill fill]
//	record  [A ×32][B ×32][nibbles of 4 components × 32 neighbours]…     see distance.Scan
//
// Words of records are written atomically beside searches. A record that is half old and half new gives wrong estimates, which
// cost a walk time or a candidate; what a search returns it has measured.
type edgeCodes struct {
	codes   *int8Codes // the rotated vectors come from here
	words   int        // of a record
	records []uint32   // slot·words
	used    []uint8    // places of a slot's record in use; the writer's
}

// Limits of QuantizationBinary.
const (
	MinBinaryDimension = 256                    // fewer bits say too little about a neighbour
	MaxBinaryM         = distance.ScanWidth / 2 // neighbours are scored 32 at a time
)

// edgeScratch is what walk and edges need for one record.
type edgeScratch struct {
	record  []uint32
	center  []float32 // decoded vector, or rotated query; zeros behind the dimension
	nibbles []byte    // of one place
	lut     []byte
	est     [distance.ScanWidth]float32
}

func newEdgeCodes(codes *int8Codes) *edgeCodes {
	return &edgeCodes{codes: codes, words: distance.ScanWords((codes.dim + lanes - 1) / lanes * lanes)}
}

func (e *edgeCodes) scratch() *edgeScratch {
	dim := e.words - distance.ScanWords(0)
	return &edgeScratch{record: make([]uint32, e.words), center: make([]float32, dim), nibbles: make([]byte, (e.codes.dim+3)/4), lut: make([]byte, 4*dim)}
}

// table makes the rotated query q what estimates are looked up for, all of them.
func (s *edgeScratch) table(q []float32) (at distance.Scale) {
	copy(s.center, q) // zeros follow
	at.Scale, at.Shift = distance.ScanTable(s.center, s.lut)
	at.Limit = float32(math.Inf(1))
	return at
}

func (e *edgeCodes) bytes(slots int) int64 { return int64(slots) * int64(4*e.words+1) }

func (e *edgeCodes) record(slot uint32) []uint32 {
	return e.records[int(slot)*e.words : (int(slot)+1)*e.words]
}

func (e *edgeCodes) grow(slots int) (swap func()) {
	records := newArena[uint32](slots * e.words)[:slots*e.words]
	copy(records, e.records)
	used := make([]uint8, slots)
	copy(used, e.used)
	return func() { e.records, e.used = records, used }
}

// noEdge is the A of a place that is not in use: its estimate is below no limit.
var noEdge = math.Float32bits(float32(math.Inf(1)))

// reset empties the record of a slot.
func (e *edgeCodes) reset(slot uint32) {
	e.used[slot] = 0
	for i := range e.record(slot)[:distance.ScanWidth] {
		atomic.StoreUint32(&e.record(slot)[i], noEdge)
	}
}

// fill puts near slots behind the count links of a list. The farthest come first: new links take their places.
func (e *edgeCodes) fill(slot uint32, list []uint32, count int, near []key) {
	near = near[:min(len(near), len(list)-1-count)]
	for i, k := range near {
		atomic.StoreUint32(&list[count+len(near)-i], k.slot())
	}
	e.used[slot] = uint8(count + len(near))
}

// fills are the near slots behind the links of a slot.
func (g *graph) fills(slot uint32) []uint32 {
	list := g.list(slot, 0)
	return list[1+list[0] : 1+max(list[0], uint32(g.edges.used[slot]))]
}

// encodeEdges makes the record of a slot anew from its list.
func (g *graph) encodeEdges(w *walk, slot uint32) {
	e, s := g.edges, w.edges
	clear(s.record)
	for i := range s.record[:distance.ScanWidth] {
		s.record[i] = noEdge
	}
	e.codes.decode(s.center, slot)
	for place, to := range g.list(slot, 0)[1 : 1+e.used[slot]] {
		a, b := g.encodeEdge(s, slot, to)
		s.record[place], s.record[distance.ScanWidth+place] = math.Float32bits(a), math.Float32bits(b)
		word, shift := nibblePlace(place)
		for _, n := range s.nibbles {
			s.record[word] |= uint32(n) << shift
			word += 4
		}
	}
	for i, x := range s.record {
		atomic.StoreUint32(&e.record(slot)[i], x)
	}
}

// addEdge makes the code of one place of a list.
func (g *graph) addEdge(slot uint32, place int) {
	w := g.getWalk()
	defer g.walks.Put(w)
	e, s := g.edges, w.edges
	e.used[slot] = max(e.used[slot], uint8(place+1))
	e.codes.decode(s.center, slot)
	a, b := g.encodeEdge(s, slot, g.list(slot, 0)[1+place])
	record := e.record(slot)
	word, shift := nibblePlace(place)
	for _, n := range s.nibbles {
		atomic.StoreUint32(&record[word], record[word]&^(15<<shift)|uint32(n)<<shift)
		word += 4
	}
	atomic.StoreUint32(&record[place], math.Float32bits(a))
	atomic.StoreUint32(&record[distance.ScanWidth+place], math.Float32bits(b))
}

// nibblePlace returns where the first nibble of a place lies in a record; the others follow 4 words apart.
func nibblePlace(place int) (word, shift int) {
	return distance.ScanWords(0) + place%16/4, place%4*8 + place/16*4
}

// dropCondemned takes from behind the links of a list what the sweep is cutting off.
func (g *graph) dropCondemned(slot uint32) {
	e, list := g.edges, g.list(slot, 0)
	for place := int(list[0]); place < int(e.used[slot]); {
		if g.state[list[1+place]] != condemned {
			place++
			continue
		}
		e.used[slot]--
		last := int(e.used[slot])
		atomic.StoreUint32(&e.record(slot)[last], noEdge)
		if place < last {
			atomic.StoreUint32(&list[1+place], list[1+last])
			g.addEdge(slot, place)
		}
	}
}

// encodeEdge makes the code of the slot to as seen from slot, which s.center is the decoded vector of: s.nibbles, A and B.
func (g *graph) encodeEdge(s *edgeScratch, slot, to uint32) (a, b float32) {
	row := g.edges.codes.row(to)
	scale, _ := distance.CodeTrailerOf(row)
	row = row[:g.dim]
	var sumAbs, sumCenter float32 // s·d and s·c
	for i := 0; i < len(row); i += 4 {
		n := min(4, len(row)-i)
		four, center := row[i:i+n], s.center[i:i+n]
		var nibble uint32
		for j, b := range four {
			d := math.Float32bits(scale*float32(int32(b)-128) - center[j])
			sign := d & (1 << 31)
			nibble |= ^d >> 31 << j
			sumAbs += math.Float32frombits(d ^ sign)
			sumCenter += math.Float32frombits(math.Float32bits(center[j]) ^ sign)
		}
		s.nibbles[i/4] = byte(nibble)
	}
	square := distance.SquaredL2(g.vector(slot)[:g.dim], g.vector(to)[:g.dim])
	if sumAbs > 0 {
		b = square / sumAbs
	}
	if g.metric == L2 {
		return square + 2*b*sumCenter, -2 * b
	}
	a = square/2 + b*sumCenter
	if g.metric == Dot {
		c, x := g.edges.codes.norm[slot], g.edges.codes.norm[to]
		a += float32((c*c - x*x) / 2)
	}
	return a, -b
}
