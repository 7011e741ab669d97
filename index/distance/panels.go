package distance

import "fmt"

// PanelRows is how many rows a panel has.
const PanelRows = 16

// Panels are the same few rows for many queries, such as the centres of clusters, kept for DotPanels and SquaredL2Panels: component after component
// of 16 rows at a time. They take a third of the time of the same rows in an arena, and are slow to change.
//
//	panel p   [ component 0 of rows 16p…16p+15 | component 1 of the same | … ]
//
// The zero value has no rows.
type Panels struct {
	values    []float32
	dim, rows int
}

// Append adds a row; all rows have the same length.
func (p *Panels) Append(row []float32) {
	if p.rows > 0 && p.dim != len(row) {
		panic(fmt.Sprintf("distance: row of %d components in panels of %d", len(row), p.dim))
	}
	p.dim = len(row)
	if p.rows%PanelRows == 0 {
		p.values = append(p.values, make([]float32, PanelRows*p.dim)...)
	}
	panel := p.values[p.rows/PanelRows*PanelRows*p.dim:]
	for i, x := range row {
		panel[i*PanelRows+p.rows%PanelRows] = x
	}
	p.rows++
}

// Len returns the number of rows.
func (p *Panels) Len() int { return p.rows }

// Room returns how many results the kernels write: Len rounded up to full panels. Those behind Len say nothing.
func (p *Panels) Room() int { return (p.rows + PanelRows - 1) / PanelRows * PanelRows }

// Dot fills out with the inner product of q and each row.
func (p *Panels) Dot(q, out []float32) {
	if p.check(q, out) {
		active.dotPanels(q, p.values, out[:p.Room()])
	}
}

// SquaredL2 is Dot for the squared Euclidean distance.
func (p *Panels) SquaredL2(q, out []float32) {
	if p.check(q, out) {
		active.l2Panels(q, p.values, out[:p.Room()])
	}
}

// check reports whether there is something to compute.
func (p *Panels) check(q, out []float32) bool {
	if p.rows > 0 && len(q) != p.dim || len(out) < p.Room() {
		panic(fmt.Sprintf("distance: %d components for panels of %d, room for %d results of %d", len(q), p.dim, len(out), p.Room()))
	}
	return p.rows > 0
}
