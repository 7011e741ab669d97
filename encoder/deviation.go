package encoder

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// ColumnDeviation is how far a cell of a row is from those of others, in the units of the table.
type ColumnDeviation struct {
	Column string   `json:"column"`
	Value  any      `json:"value"`           // a number, a text, or null for none
	Mean   *float64 `json:"mean,omitempty"`  // of the others, where they have numbers
	Usual  *string  `json:"usual,omitempty"` // the most frequent of the others, of categories
	Share  *float64 `json:"share,omitempty"` // of the others that have the same category, or no value either
	Z      float64  `json:"z"`               // in the others' standard deviations, by the features
}

// Smallest deviations of the others that count: of numbers, in deviations of all rows of the training, and of having a category.
const (
	leastSpread         = 0.05
	leastCategorySpread = 0.25
)

// Deviating returns the columns of a row, most of them at most, that deviate most from those of other rows, the largest |Z| first. Errors of the
// row wrap ErrInput; others that cannot be decoded are left out. Only a model of rows has columns.
func (e *Encoder) Deviating(raw []byte, others [][]byte, most int) ([]ColumnDeviation, error) {
	d, ok := e.decoder.(*tableDecoder)
	if !ok {
		return nil, fmt.Errorf("%w: modality %q has no columns", ErrSpec, e.model.Preprocessing.Modality)
	}
	row, err := d.cells(raw)
	if err != nil {
		return nil, err
	}
	f, err := d.Decode(raw)
	if err != nil {
		return nil, err
	}
	var cells [][]Cell
	var features []Features
	for _, other := range others {
		c, err := d.cells(other)
		if err != nil {
			continue
		}
		if g, err := d.Decode(other); err == nil {
			cells, features = append(cells, c), append(features, g)
		}
	}
	if len(cells) == 0 {
		return nil, nil
	}
	var out []ColumnDeviation
	for i := range d.Table.Columns {
		if d.Table.Columns[i].Kind == ColumnUnused {
			continue
		}
		column := make([]Cell, len(cells))
		own := make([]float64, len(cells))
		for j := range cells {
			column[j], own[j] = cells[j][i], float64(features[j].Data[d.at[i]])
		}
		out = append(out, d.Table.Columns[i].deviation(row[i], float64(f.Data[d.at[i]]), column, own))
	}
	slices.SortStableFunc(out, func(a, b ColumnDeviation) int { return cmp.Compare(math.Abs(b.Z), math.Abs(a.Z)) })
	return out[:min(most, len(out))], nil
}

// deviation compares a cell and its first feature with those of others.
func (c *Column) deviation(cell Cell, feature float64, others []Cell, features []float64) ColumnDeviation {
	out := ColumnDeviation{Column: c.Name}
	var sum, square, numbers, n float64
	same, frequent := 0, map[string]int{}
	for i, o := range others {
		if o.Kind == cell.Kind && (o.Kind == CellMissing || c.Kind == ColumnCategory && o.Text == cell.Text) {
			same++
		}
		if o.Kind == CellMissing {
			continue
		}
		n, sum, square, numbers = n+1, sum+features[i], square+features[i]*features[i], numbers+o.Number
		frequent[o.Text]++
	}
	share := float64(same) / float64(len(others))
	if c.Kind == ColumnNumber && n > 0 {
		mean := numbers / n
		out.Mean = &mean
	}
	switch {
	case cell.Kind == CellNumber && c.Kind == ColumnNumber:
		out.Value = cell.Number
		if n > 0 {
			out.Z = (feature - sum/n) / max(math.Sqrt(max(0, square/n-sum/n*sum/n)), leastSpread)
		}
		return out
	case cell.Kind != CellMissing:
		out.Value = cell.Text
	}
	if c.Kind == ColumnCategory && n > 0 {
		usual := ""
		for v, count := range frequent {
			if count > frequent[usual] || count == frequent[usual] && v < usual {
				usual = v
			}
		}
		out.Usual = &usual
	}
	out.Share = &share
	out.Z = (1 - share) / max(math.Sqrt(share*(1-share)), leastCategorySpread)
	return out
}
