//go:build !amd64 || noasm

package distance

func supported() []tier { return []tier{generic} }

func (tier) dot(a, b []float32) float32 { return dotGeneric(a, b) }
func (tier) l2(a, b []float32) float32  { return l2Generic(a, b) }

func (tier) dotRows(q, arena []float32, stride, limit int, rows []uint32, out []float32, _ *uint32) bool {
	return dotRowsGeneric(q, arena, stride, limit, rows, out)
}

func (tier) l2Rows(q, arena []float32, stride, limit int, rows []uint32, out []float32, _ *uint32) bool {
	return l2RowsGeneric(q, arena, stride, limit, rows, out)
}

func (tier) dotPanels(q, panels, out []float32) { dotPanelsGeneric(q, panels, out) }
func (tier) l2Panels(q, panels, out []float32)  { l2PanelsGeneric(q, panels, out) }

func (tier) insert(keys []uint64, n, ef int, rows []uint32, dist []float32) (length, low int) {
	return insertGeneric(keys, n, ef, rows, dist)
}

func (tier) unseen(list []uint32, stamps []uint16, gen uint16, near []uint32) int {
	return unseenGeneric(list, stamps, gen, near)
}

func (tier) codeRows(q *CodeQuery, arena []byte, stride, limit int, rows []uint32, out []float32, _ *uint32) bool {
	return codeRowsGeneric(q, arena, stride, limit, rows, out)
}

func (tier) open(keys []uint64, at int) int { return openGeneric(keys, at) }

func (tier) hadamard(x []float32) { hadamardBlocks(x) }

func (tier) table(q []float32, lut []byte) (scale, shift float32) { return tableGeneric(q, lut) }

func (tier) scan(record []uint32, lut []byte, at *Scale, out *[ScanWidth]float32) uint32 {
	return scanGeneric(record, lut, at, out)
}

func prefetch(*uint32, int) {}
