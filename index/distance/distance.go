package distance

import "fmt"

// Dot returns the inner product Σ aᵢ·bᵢ. a and b have the same length.
func Dot(a, b []float32) float32 {
	checkPair(a, b)
	return active.dot(a, b)
}

// SquaredL2 returns the squared Euclidean distance Σ (aᵢ−bᵢ)². a and b have the same length.
func SquaredL2(a, b []float32) float32 {
	checkPair(a, b)
	return active.l2(a, b)
}

// DotRows fills out[i] with the inner product of q and row rows[i] of the arena.
//
// Row r is arena[r*stride : r*stride+len(q)]. The rows are prefetched; so are the 192 bytes at next, which may be nil:
// the place that the caller reads after this call. out has at least len(rows) elements.
func DotRows(q, arena []float32, stride int, rows []uint32, out []float32, next *uint32) {
	limit := checkRows(q, arena, stride, rows, out)
	if len(rows) > 0 && !active.dotRows(q, arena, stride, limit, rows, out, next) {
		panicRow(rows, stride, limit)
	}
}

// SquaredL2Rows is DotRows for the squared Euclidean distance.
func SquaredL2Rows(q, arena []float32, stride int, rows []uint32, out []float32, next *uint32) {
	limit := checkRows(q, arena, stride, rows, out)
	if len(rows) > 0 && !active.l2Rows(q, arena, stride, limit, rows, out, next) {
		panicRow(rows, stride, limit)
	}
}

func checkPair(a, b []float32) {
	if len(a) != len(b) {
		panic(fmt.Sprintf("distance: vectors of %d and %d components", len(a), len(b)))
	}
}

// checkRows returns where the last row of the arena may start. The kernels compare every row with it.
func checkRows(q, arena []float32, stride int, rows []uint32, out []float32) (limit int) {
	if stride < len(q) || stride < 1 || len(out) < len(rows) {
		panic(fmt.Sprintf("distance: %d components in rows of %d, %d rows, room for %d results", len(q), stride, len(rows), len(out)))
	}
	return len(arena) - len(q)
}

func panicRow(rows []uint32, stride, limit int) {
	for _, r := range rows {
		if int(r)*stride > limit {
			panic(fmt.Sprintf("distance: row %d starts at %d, the last may start at %d", r, int(r)*stride, limit))
		}
	}
}
