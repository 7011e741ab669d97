package kernel

import (
	"sync"
	"unsafe"
)

// panelK is how many rows of B a packed panel holds: 256 × 32 floats fit a 32 KiB first-level cache.
const panelK = 256

// packRows is the height of A from which copying B into a panel pays.
const packRows = 16

// product is C = op(A)·op(B) with an epilogue, row-major, as Gemm documents it; bias and flags as in tile.
type product struct {
	transA, transB bool
	m, k           int
	a              []float32
	lda            int
	b              []float32
	ldb            int
	c              []float32
	ldc            int
	bias           []float32
	flags          int
}

// columns computes columns j to j+cols of C, cols at most the tier's width; panel is scratch of panelK × width.
func (p *product) columns(tr *tier, panel []float32, t *tile, j, cols int) {
	ars, acs := p.lda, 1
	if p.transA {
		ars, acs = 1, p.lda
	}
	*t = tile{ars: 4 * ars, acs: 4 * acs, crs: 4 * p.ldc, segs: 1}
	t.c = unsafe.Pointer(&p.c[j])
	if p.bias != nil {
		t.bias = unsafe.Pointer(&p.bias[j])
	}
	sp := tr.splitOf(p.m, cols)
	t.columns(&sp)
	for k0 := 0; k0 < p.k; k0 += panelK {
		t.kc = min(panelK, p.k-k0)
		t.a = unsafe.Pointer(&p.a[k0*acs])
		switch {
		case p.transB:
			packTransposed(panel, p.b[j*p.ldb+k0:], p.ldb, t.kc, cols)
			t.b, t.brs = unsafe.Pointer(&panel[0]), 4*cols
		case p.m >= packRows && p.ldb > cols:
			pack(panel, p.b[k0*p.ldb+j:], p.ldb, t.kc, cols)
			t.b, t.brs = unsafe.Pointer(&panel[0]), 4*cols
		default:
			t.b, t.brs = unsafe.Pointer(&p.b[k0*p.ldb+j]), 4*p.ldb
		}
		t.flags = p.flags
		if k0 > 0 {
			t.flags |= tileAdd
		}
		if k0+t.kc < p.k {
			t.flags &^= tileBias | tileReLU
		}
		t.run(&sp)
	}
}

// pack copies kc rows of cols floats, ld apart, into a panel.
func pack(panel, b []float32, ld, kc, cols int) {
	if cols == 32 {
		for r := range kc {
			*(*[32]float32)(panel[32*r:]) = *(*[32]float32)(b[r*ld:])
		}
		return
	}
	for r := range kc {
		copy(panel[r*cols:(r+1)*cols], b[r*ld:])
	}
}

// packTransposed writes panel[r][j] = b[j][r], rows of b being ld apart; four rows of b at a time share a line of the panel.
func packTransposed[T float32 | uint32](panel, b []T, ld, kc, cols int) {
	j := 0
	for ; j+4 <= cols; j += 4 {
		b0, b1, b2, b3 := b[j*ld:][:kc], b[(j+1)*ld:][:kc], b[(j+2)*ld:][:kc], b[(j+3)*ld:][:kc]
		for r := range b0 {
			d := (*[4]T)(panel[r*cols+j:])
			d[0], d[1], d[2], d[3] = b0[r], b1[r], b2[r], b3[r]
		}
	}
	for ; j < cols; j++ {
		for r, v := range b[j*ld:][:kc] {
			panel[r*cols+j] = v
		}
	}
}

// gemmScratch is what one caller of Gemm needs.
type gemmScratch struct {
	panel []float32
	tile  tile
}

var gemmPool = sync.Pool{New: func() any { return &gemmScratch{panel: aligned(panelK * 32)} }}

// Gemm computes C = op(A)·op(B), or C += op(A)·op(B) when accumulate is set, on the calling goroutine. All three are
// row-major float32: op(A) is m×k, op(B) is k×n, C is m×n; op transposes when transA or transB is set; lda, ldb and ldc are
// the row lengths of the matrices as they are stored. It is safe for concurrent use.
func Gemm(transA, transB bool, m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int, accumulate bool) {
	gemm(best, transA, transB, m, n, k, a, lda, b, ldb, c, ldc, accumulate)
}

func gemm(tr *tier, transA, transB bool, m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int, accumulate bool) {
	if m == 0 || n == 0 {
		return
	}
	checkGemm(transA, transB, m, n, k, a, lda, b, ldb, c, ldc)
	if k == 0 {
		if !accumulate {
			for i := range m {
				clear(c[i*ldc : i*ldc+n])
			}
		}
		return
	}
	s := gemmPool.Get().(*gemmScratch)
	defer gemmPool.Put(s)
	p := product{transA: transA, transB: transB, m: m, k: k, a: a, lda: lda, b: b, ldb: ldb, c: c, ldc: ldc}
	if accumulate {
		p.flags = tileAdd
	}
	for j := 0; j < n; j += tr.wide {
		p.columns(tr, s.panel, &s.tile, j, min(tr.wide, n-j))
	}
	s.tile = tile{}
}

// checkGemm panics when a slice is shorter than its shape: the tiles read through pointers.
func checkGemm(transA, transB bool, m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int) {
	extent := func(rows, cols, ld int) int {
		if cols > ld {
			panic("kernel: Gemm row length is shorter than its columns")
		}
		if rows == 0 {
			return 0
		}
		return (rows-1)*ld + cols
	}
	ar, ac, br, bc := m, k, k, n
	if transA {
		ar, ac = k, m
	}
	if transB {
		br, bc = n, k
	}
	if len(a) < extent(ar, ac, lda) || len(b) < extent(br, bc, ldb) || len(c) < extent(m, n, ldc) {
		panic("kernel: Gemm matrix is shorter than its shape")
	}
}
