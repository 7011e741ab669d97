package encoder

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// ModalityTable is the modality of rows of numbers and categories.
const ModalityTable = "table"

// Kinds of columns.
const (
	ColumnNumber   = "number"
	ColumnCategory = "category"
	ColumnUnused   = "unused" // it may be in a row, and does not count
)

// Table says what a row is made of.
type Table struct {
	Named   bool     `json:"named"` // rows may be objects
	Columns []Column `json:"columns"`
}

// Column says how a cell becomes features. A number v is one, (v - Mean)/Deviation. Where it has a Width, its tails are heavy, and it is two: (asinh((v -
// Middle)/Width) - Mean)/Deviation, which tells what lies close together, and (v - FarMean)/FarDeviation, which keeps what is far out far; of the squared
// distance of two rows the first has three quarters, the second one. A
// category is one for each of its Values and one more for all others, of which that of the value is 1 and the rest 0. Where Missing, the last one is 1 for
// a cell without a value, and the others 0. Categories are put on one scale with numbers: two rows of different values are as far apart as two rows that
// differ in a number are on average.
type Column struct {
	Name         string   `json:"name"` // of an array: its number from 1
	Kind         string   `json:"kind"`
	Middle       float64  `json:"middle,omitempty"`
	Width        float64  `json:"width,omitempty"` // 0 = none
	Mean         float64  `json:"mean,omitempty"`
	Deviation    float64  `json:"deviation,omitempty"`
	FarMean      float64  `json:"far_mean,omitempty"`
	FarDeviation float64  `json:"far_deviation,omitempty"`
	Values       []string `json:"values,omitempty"` // of a category, ascending
	Missing      bool     `json:"missing,omitempty"`
}

// bentShare is the share of the bent number of the squared distance of a column with heavy tails.
const bentShare = 0.75

// maxFeature bounds the features of numbers, in deviations.
const maxFeature = 1e6

// features is how many features a column makes.
func (c *Column) features() (n int) {
	switch c.Kind {
	case ColumnNumber:
		if n = 1; c.Width != 0 {
			n = 2
		}
	case ColumnCategory:
		n = len(c.Values) + 1
	default:
		return 0
	}
	if c.Missing {
		n++
	}
	return n
}

// Features is how many features a row has.
func (t *Table) Features() (n int) {
	for i := range t.Columns {
		n += t.Columns[i].features()
	}
	return n
}

// Offsets returns where the features of each column begin, and where the last ones end.
func (t *Table) Offsets() []int {
	at := make([]int, len(t.Columns)+1)
	for i := range t.Columns {
		at[i+1] = at[i] + t.Columns[i].features()
	}
	return at
}

// put writes the features of a cell.
func (c *Column) put(dst []float32, cell Cell) error {
	if c.Kind == ColumnUnused {
		return nil
	}
	clear(dst)
	if cell.Kind == CellMissing {
		if !c.Missing {
			return fmt.Errorf("column %s has no value, and had one in every row of the training", c.Name)
		}
		dst[len(dst)-1] = 1
		return nil
	}
	if c.Kind == ColumnCategory {
		i, known := slices.BinarySearch(c.Values, cell.Text)
		if !known {
			i = len(c.Values)
		}
		dst[i] = 1
		return nil
	}
	v := cell.Number
	if cell.Kind == CellText {
		var err error
		if v, err = finiteNumber(strings.TrimSpace(cell.Text)); err != nil {
			return fmt.Errorf("column %s: %w", c.Name, err)
		}
	}
	scaled := func(v, mean, deviation float64) float64 { return min(max((v-mean)/deviation, -maxFeature), maxFeature) }
	if c.Width == 0 {
		dst[0] = float32(scaled(v, c.Mean, c.Deviation))
		return nil
	}
	dst[0] = float32(math.Sqrt(bentShare) * scaled(math.Asinh((v-c.Middle)/c.Width), c.Mean, c.Deviation))
	dst[1] = float32(math.Sqrt(1-bentShare) * scaled(v, c.FarMean, c.FarDeviation))
	return nil
}

// validate reports the first value that is missing or out of range.
func (t *Table) validate() error {
	seen := map[string]bool{}
	for i := range t.Columns {
		c := &t.Columns[i]
		if seen[c.Name] || c.Name == "" {
			return fmt.Errorf("%w: column %d is called %q: it needs a name of its own", ErrSpec, i+1, c.Name)
		}
		seen[c.Name] = true
		switch c.Kind {
		case ColumnUnused:
		case ColumnNumber:
			for _, v := range []float64{c.Middle, c.Width, c.Mean, c.Deviation, c.FarMean, c.FarDeviation} {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					return fmt.Errorf("%w: column %s: %g: its middle, width, means and deviations must be finite", ErrSpec, c.Name, v)
				}
			}
			if !(c.Deviation > 0) || c.Width < 0 {
				return fmt.Errorf("%w: column %s has deviation %g and width %g: they must be above 0, or the width 0", ErrSpec, c.Name, c.Deviation, c.Width)
			}
			if c.Width > 0 && !(c.FarDeviation > 0) {
				return fmt.Errorf("%w: column %s has a width and a far deviation of %g: it must be above 0; tables of an older akin have none: train them anew", ErrSpec, c.Name, c.FarDeviation)
			}
		case ColumnCategory:
			if !slices.IsSorted(c.Values) || len(slices.Compact(slices.Clone(c.Values))) < len(c.Values) {
				return fmt.Errorf("%w: column %s: its values must be ascending", ErrSpec, c.Name)
			}
		default:
			return fmt.Errorf("%w: column %s is of kind %q: use %s, %s or %s", ErrSpec, c.Name, c.Kind, ColumnNumber, ColumnCategory, ColumnUnused)
		}
	}
	return nil
}

// validateTable is Validate of rows.
func (p Preprocessing) validateTable() error {
	if p.Table == nil {
		return fmt.Errorf("%w: modality %q without a table", ErrSpec, p.Modality)
	}
	if err := p.Table.validate(); err != nil {
		return err
	}
	if n := p.Table.Features(); n < 1 || n > MaxChannels {
		return fmt.Errorf("%w: rows of %d features: use 1 to %d", ErrSpec, n, MaxChannels)
	} else if want := (Size{1, 1, n}); p.Size != want {
		return fmt.Errorf("%w: features of %+v of a table that makes %+v", ErrSpec, p.Size, want)
	}
	return nil
}

// tableDecoder decodes rows.
type tableDecoder struct {
	Preprocessing
	at    []int          // where each column's features begin
	place map[string]int // of each column
}

func newTableDecoder(p Preprocessing) Decoder {
	d := &tableDecoder{Preprocessing: p, at: p.Table.Offsets(), place: map[string]int{}}
	for i, c := range p.Table.Columns {
		d.place[c.Name] = i
	}
	return d
}

// cells returns the cells of a row by column.
func (d *tableDecoder) cells(raw []byte) ([]Cell, error) {
	row, err := ParseRow(raw)
	if err != nil {
		return nil, err
	}
	columns := d.Table.Columns
	if row.Names == nil {
		if len(row.Cells) != len(columns) {
			return nil, fmt.Errorf("%w: a row of %d values: want %d: %s", ErrInput, len(row.Cells), len(columns), d.names())
		}
		return row.Cells, nil
	}
	if !d.Table.Named {
		return nil, fmt.Errorf("%w: a row with names: the columns have none: want an array of %d values", ErrInput, len(columns))
	}
	cells, given := make([]Cell, len(columns)), make([]bool, len(columns))
	for i, name := range row.Names {
		at, known := d.place[name]
		if !known {
			return nil, fmt.Errorf("%w: no column is called %.40q: use %s", ErrInput, name, d.names())
		}
		if given[at] {
			return nil, fmt.Errorf("%w: column %s is given twice", ErrInput, name)
		}
		cells[at], given[at] = row.Cells[i], true
	}
	return cells, nil
}

// names lists the first columns for an error.
func (d *tableDecoder) names() string {
	const most = 20
	var names []string
	for _, c := range d.Table.Columns[:min(most, len(d.Table.Columns))] {
		names = append(names, c.Name)
	}
	if n := len(d.Table.Columns); n > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names, ", "), n-most)
	}
	return strings.Join(names, ", ")
}

func (d *tableDecoder) Decode(raw []byte) (Features, error) {
	cells, err := d.cells(raw)
	if err != nil {
		return Features{}, err
	}
	f := Features{Data: make([]float32, d.Size.Channels), Shape: []int{1, 1, d.Size.Channels}}
	for i, cell := range cells {
		if err := d.Table.Columns[i].put(f.Data[d.at[i]:d.at[i+1]], cell); err != nil {
			return Features{}, fmt.Errorf("%w: %w", ErrInput, err)
		}
	}
	return f, nil
}
