//go:build amd64 && !noasm

package distance

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

//go:generate go run gen.go gen_codes.go gen_scan.go

// supported lists the tiers of this machine, fastest first.
func supported() []tier {
	var t []tier
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VL {
		t = append(t, avx512)
	}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		t = append(t, avx2)
	}
	return append(t, generic)
}

// hasVNNI: sums of byte products in one instruction, which the oldest machines with AVX-512 lack.
var hasVNNI = cpu.X86.HasAVX512VNNI

// The switches call the assembly directly: through a function variable every argument would escape to the heap.

func (t tier) dot(a, b []float32) float32 {
	switch t {
	case avx512:
		return dot512(unsafe.SliceData(a), unsafe.SliceData(b), len(a))
	case avx2:
		return dot256(unsafe.SliceData(a), unsafe.SliceData(b), len(a))
	}
	return dotGeneric(a, b)
}

func (t tier) l2(a, b []float32) float32 {
	switch t {
	case avx512:
		return l2x512(unsafe.SliceData(a), unsafe.SliceData(b), len(a))
	case avx2:
		return l2x256(unsafe.SliceData(a), unsafe.SliceData(b), len(a))
	}
	return l2Generic(a, b)
}

func (t tier) dotRows(q, arena []float32, stride, limit int, rows []uint32, out []float32, next *uint32) bool {
	switch t {
	case avx512:
		return dotRows512(unsafe.SliceData(q), unsafe.SliceData(arena), len(q), stride, limit, &rows[0], len(rows), &out[0], next)
	case avx2:
		return dotRows256(unsafe.SliceData(q), unsafe.SliceData(arena), len(q), stride, limit, &rows[0], len(rows), &out[0], next)
	}
	return dotRowsGeneric(q, arena, stride, limit, rows, out)
}

func (t tier) l2Rows(q, arena []float32, stride, limit int, rows []uint32, out []float32, next *uint32) bool {
	switch t {
	case avx512:
		return l2Rows512(unsafe.SliceData(q), unsafe.SliceData(arena), len(q), stride, limit, &rows[0], len(rows), &out[0], next)
	case avx2:
		return l2Rows256(unsafe.SliceData(q), unsafe.SliceData(arena), len(q), stride, limit, &rows[0], len(rows), &out[0], next)
	}
	return l2RowsGeneric(q, arena, stride, limit, rows, out)
}

func (t tier) dotPanels(q, panels, out []float32) {
	switch n := len(out) / PanelRows; t {
	case avx512:
		dotPanels512(unsafe.SliceData(q), unsafe.SliceData(panels), len(q), n, &out[0])
	case avx2:
		dotPanels256(unsafe.SliceData(q), unsafe.SliceData(panels), len(q), n, &out[0])
	default:
		dotPanelsGeneric(q, panels, out)
	}
}

func (t tier) l2Panels(q, panels, out []float32) {
	switch n := len(out) / PanelRows; t {
	case avx512:
		l2Panels512(unsafe.SliceData(q), unsafe.SliceData(panels), len(q), n, &out[0])
	case avx2:
		l2Panels256(unsafe.SliceData(q), unsafe.SliceData(panels), len(q), n, &out[0])
	default:
		l2PanelsGeneric(q, panels, out)
	}
}

func (t tier) insert(keys []uint64, n, ef int, rows []uint32, dist []float32) (length, low int) {
	if t == avx512 {
		return insert512(unsafe.SliceData(keys), n, ef, &rows[0], &dist[0], len(rows))
	}
	return insertGeneric(keys, n, ef, rows, dist)
}

func (t tier) unseen(list []uint32, stamps []uint16, gen uint16, near []uint32) int {
	if t == generic {
		return unseenGeneric(list, stamps, gen, near)
	}
	return unseenScalar(&list[0], len(list), unsafe.SliceData(stamps), len(stamps), gen, &near[0])
}

// codeRows gives the same bits on every tier.
func (t tier) codeRows(q *CodeQuery, arena []byte, stride, limit int, rows []uint32, out []float32, next *uint32) bool {
	code, shift := q.Code, 128*q.Sum
	switch {
	case t == avx512 && hasVNNI:
		return codeRows512(unsafe.SliceData(code), unsafe.SliceData(arena), len(code), stride, limit, &rows[0], len(rows), &out[0], next, shift, q.Mul, q.Add)
	case t >= avx2 && len(code) >= 16: // the kernel takes registers of 16 components
		return codeRows256(unsafe.SliceData(code), unsafe.SliceData(arena), len(code), stride, limit, &rows[0], len(rows), &out[0], next, shift, q.Mul, q.Add)
	}
	return codeRowsGeneric(q, arena, stride, limit, rows, out)
}

func (t tier) open(keys []uint64, at int) int {
	if t == avx512 {
		return open512(unsafe.SliceData(keys), len(keys), at)
	}
	return openGeneric(keys, at)
}

func (t tier) hadamard(x []float32) {
	if t == generic {
		hadamardBlocks(x)
		return
	}
	hadamard64(&x[0], len(x)/hadamardBlock)
}

func (t tier) table(q []float32, lut []byte) (scale, shift float32) {
	if t == generic {
		return tableGeneric(q, lut)
	}
	largest, total := tableSums(&q[0], len(q)/4)
	scale, inverse := tableScale(largest)
	tableEntries(&q[0], len(q)/4, inverse, &lut[0])
	return scale, -total
}

func (t tier) scan(record []uint32, lut []byte, at *Scale, out *[ScanWidth]float32) uint32 {
	switch t {
	case avx512:
		return scan512(&record[0], len(lut)/64, &lut[0], at, &out[0])
	case avx2:
		return scan256(&record[0], len(lut)/32, &lut[0], at, &out[0])
	}
	return scanGeneric(record, lut, at, out)
}
