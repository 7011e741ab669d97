package distance

// The reference: what every tier computes, up to the order of the sums. Four sums let the CPU overlap the additions.

func dotGeneric(a, b []float32) float32 {
	var s0, s1, s2, s3 float32
	b = b[:len(a)]
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return (s0 + s1) + (s2 + s3)
}

func l2Generic(a, b []float32) float32 {
	var s0, s1, s2, s3 float32
	b = b[:len(a)]
	i := 0
	for ; i+4 <= len(a); i += 4 {
		d0, d1, d2, d3 := a[i]-b[i], a[i+1]-b[i+1], a[i+2]-b[i+2], a[i+3]-b[i+3]
		s0 += d0 * d0
		s1 += d1 * d1
		s2 += d2 * d2
		s3 += d3 * d3
	}
	for ; i < len(a); i++ {
		d := a[i] - b[i]
		s0 += d * d
	}
	return (s0 + s1) + (s2 + s3)
}

// dotRowsGeneric reports whether every row starts at limit or before.
func dotRowsGeneric(q, arena []float32, stride, limit int, rows []uint32, out []float32) bool {
	for i, r := range rows {
		if int(r)*stride > limit {
			return false
		}
		out[i] = dotGeneric(q, arena[int(r)*stride:])
	}
	return true
}

// l2RowsGeneric reports whether every row starts at limit or before.
func l2RowsGeneric(q, arena []float32, stride, limit int, rows []uint32, out []float32) bool {
	for i, r := range rows {
		if int(r)*stride > limit {
			return false
		}
		out[i] = l2Generic(q, arena[int(r)*stride:])
	}
	return true
}

func dotPanelsGeneric(q, panels, out []float32) {
	for first := 0; first < len(out); first += PanelRows {
		sums := (*[PanelRows]float32)(out[first:])
		*sums = [PanelRows]float32{}
		for i, x := range q {
			for j, y := range panels[first*len(q)+i*PanelRows:][:PanelRows] {
				sums[j] += x * y
			}
		}
	}
}

func l2PanelsGeneric(q, panels, out []float32) {
	for first := 0; first < len(out); first += PanelRows {
		sums := (*[PanelRows]float32)(out[first:])
		*sums = [PanelRows]float32{}
		for i, x := range q {
			for j, y := range panels[first*len(q)+i*PanelRows:][:PanelRows] {
				sums[j] += (x - y) * (x - y)
			}
		}
	}
}
