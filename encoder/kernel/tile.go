package kernel

import "unsafe"

// tile is one call of a micro-kernel: C[rows × cols] (+)= Σ over segments and k of A[i, k]·B[k, j], with the epilogue fused.
//
// A and B are addressed by strides in bytes, so that one kernel serves matrix products in every transposition and, with
// segments, convolutions straight from the padded image: a segment is one row of the filter (forward) or one row of
// pixels (weight gradient), and no patch matrix is ever written.
//
//	for s := 0; s < segs; s++ {
//		for k := 0; k < kc; k++ {
//			for i, j := … { C[i, j] += A[i*ars + k*acs] * B[k*brs + j*4] }
//			…
//		}
//		a, b = a + kc*acs + aseg, b + kc*brs + bseg
//	}
type tile struct {
	a, b, c, bias  unsafe.Pointer
	ars, acs, aseg int // A: bytes between rows, between k, and from the end of a segment to the next
	brs, bseg      int // B: bytes between k, and from the end of a segment to the next
	crs            int // C: bytes between rows
	kc, segs       int // k per segment, segments; both at least 1
	flags          int
	mask           uint64       // AVX-512: a bit for each column in use
	lanes          *[2][8]int32 // AVX2 edge kernels: −1 for each column in use
	cols           int          // columns in use, for the reference
}

const (
	tileAdd  = 1 // add to C instead of overwriting it
	tileBias = 2 // add bias[j]
	tileReLU = 4 // then max(·, 0)
)

// tileShape is a family of micro-kernels of one width: kernels[r] computes r rows, for r up to maxRows.
type tileShape struct {
	kernels []func(*tile)
}

func (s *tileShape) maxRows() int { return len(s.kernels) - 1 }

// edgeLanes[n] masks n of 16 columns.
var edgeLanes = func() (m [17][2][8]int32) {
	for n := range m {
		for j := range n {
			m[n][j/8][j%8] = -1
		}
	}
	return m
}()

// split is how rows × cols of C are cut into tiles: as evenly as the kernels allow, the higher ones first.
type split struct {
	cols        int
	high, low   func(*tile) // low is one row less
	rows        int         // of a high tile
	highs, lows int
}

// splitOf cuts rows × cols; cols is at most the tier's width.
func (tr *tier) splitOf(rows, cols int) split { return tr.choose(cols).split(rows, cols) }

func (s *tileShape) split(rows, cols int) split {
	parts := (rows + s.maxRows() - 1) / s.maxRows()
	high := (rows + parts - 1) / parts
	lows := parts*high - rows
	sp := split{cols: cols, high: s.kernels[high], rows: high, highs: parts - lows, lows: lows}
	if lows > 0 {
		sp.low = s.kernels[high-1]
	}
	return sp
}

// columns sets the masks for the split's columns.
func (t *tile) columns(s *split) {
	t.cols = s.cols
	t.mask = 1<<uint(s.cols) - 1
	if s.cols <= 16 {
		t.lanes = &edgeLanes[s.cols]
	}
}

// run computes the split's rows from a and c on, which it leaves as they were; columns was called for the split. Pointers never pass
// the end: the collector rejects such ones.
func (t *tile) run(s *split) {
	a, c := t.a, t.c
	row := 0
	for range s.highs {
		t.a, t.c = unsafe.Add(a, row*t.ars), unsafe.Add(c, row*t.crs)
		s.high(t)
		row += s.rows
	}
	for range s.lows {
		t.a, t.c = unsafe.Add(a, row*t.ars), unsafe.Add(c, row*t.crs)
		s.low(t)
		row += s.rows - 1
	}
	t.a, t.c = a, c
}

// referenceRows is the height of the reference tile.
const referenceRows = 4

// tileReference is the oracle of the assembly and the kernel of the generic tier.
func tileReference(rows int) func(*tile) {
	return func(t *tile) {
		var acc [referenceRows][16]float32
		a, b := 0, 0 // offsets, since a pointer may not pass the end
		for range t.segs {
			for range t.kc {
				bk := unsafe.Slice((*float32)(unsafe.Add(t.b, b)), t.cols)
				for i := range rows {
					x := *(*float32)(unsafe.Add(t.a, a+i*t.ars))
					r := acc[i][:len(bk)]
					for j, v := range bk {
						r[j] += x * v
					}
				}
				a, b = a+t.acs, b+t.brs
			}
			a, b = a+t.aseg, b+t.bseg
		}
		for i := range rows {
			c := unsafe.Slice((*float32)(unsafe.Add(t.c, i*t.crs)), t.cols)
			for j := range c {
				v := acc[i][j]
				if t.flags&tileAdd != 0 {
					v += c[j]
				}
				if t.flags&tileBias != 0 {
					v += unsafe.Slice((*float32)(t.bias), t.cols)[j]
				}
				if t.flags&tileReLU != 0 {
					v = max(v, 0)
				}
				c[j] = v
			}
		}
	}
}
