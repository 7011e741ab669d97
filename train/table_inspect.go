package train

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/akin-search/akin/encoder"
)

const (
	inspectedRows   = 20_000 // about so many are looked at for how numbers are spread; all of them for everything else
	mostCategories  = 64     // values of a column that are told apart, the most frequent ones
	numbersOf       = 0.9    // share of the cells of a column of numbers that are numbers, at least: the others are mistakes
	heavyTail       = 10     // kurtosis of a column from which it is bent; 3 is that of a normal distribution
	narrowestMiddle = 1e-3   // width of the middle half of a column, in deviations, below which it is no measure of the whole
)

// columnSeen is what was seen of a column.
type columnSeen struct {
	name             string
	numbers, missing int
	texts            int // that are no numbers
	values           map[string]int
	sample           []float64
}

// mostValues is how many values of a column are counted.
const mostValues = 1 << 14

func (c *columnSeen) see(cell encoder.Cell, sampled bool) {
	switch cell.Kind {
	case encoder.CellMissing:
		c.missing++
		return
	case encoder.CellNumber:
		c.numbers++
		if sampled {
			c.sample = append(c.sample, cell.Number)
		}
	default:
		c.texts++
	}
	if _, known := c.values[cell.Text]; known || len(c.values) < mostValues {
		c.values[cell.Text]++
	}
}

// inspectTable finds what the columns are: numbers, which are brought to mean 0 and deviation 1, and where their tails are heavy bent by the inverse hyperbolic
// sine, too; categories; or nothing to go by, where there is no value or a different text in nearly every row.
func inspectTable(d Dataset) (encoder.Preprocessing, error) {
	p, _, err := lookAtTable(d)
	return p, err
}

func lookAtTable(d Dataset) (p encoder.Preprocessing, seen []*columnSeen, err error) {
	p.Modality = encoder.ModalityTable
	place, named, rows := map[string]int{}, 0, 0
	for i := range d.Len() {
		raw, err := d.Item(i)
		if err != nil {
			return p, nil, err
		}
		row, err := encoder.ParseRow(raw)
		if err != nil {
			continue // Decode reports it
		}
		if rows++; row.Names != nil {
			named++
		}
		for j, cell := range row.Cells {
			name := strconv.Itoa(j + 1)
			if row.Names != nil {
				name = row.Names[j]
			}
			at, known := place[name]
			if !known {
				at = len(seen)
				place[name], seen = at, append(seen, &columnSeen{name: name, values: map[string]int{}, missing: rows - 1})
			}
			seen[at].see(cell, i%max(1, d.Len()/inspectedRows) == 0)
		}
		for _, c := range seen {
			if c.numbers+c.texts+c.missing < rows { // an object without it
				c.missing++
			}
		}
	}
	if rows == 0 {
		return p, nil, fmt.Errorf("%w: none of the items looked at is a row", ErrDataset)
	}
	p.Table = &encoder.Table{Named: 2*named > rows}
	for _, c := range seen {
		p.Table.Columns = append(p.Table.Columns, c.column())
	}
	p.Size = encoder.Size{Height: 1, Width: 1, Channels: p.Table.Features()}
	if n := p.Size.Channels; n == 0 || n > encoder.MaxChannels {
		return p, seen, fmt.Errorf("%w: %d columns make %d features: want 1 to %d", ErrDataset, len(seen), n, encoder.MaxChannels)
	}
	return p, seen, nil
}

// column decides what a column is.
func (c *columnSeen) column() encoder.Column {
	out := encoder.Column{Name: c.name, Kind: encoder.ColumnUnused, Missing: c.missing > 0}
	n := c.numbers + c.texts
	switch {
	case n > 0 && float64(c.numbers) >= numbersOf*float64(n) && len(c.sample) > 0:
		out.Kind = encoder.ColumnNumber
		c.spread(&out)
	case n > 0 && (2*len(c.values) <= n || len(c.values) <= 3):
		out.Kind = encoder.ColumnCategory
		values := make([]string, 0, len(c.values))
		for v := range c.values {
			values = append(values, v)
		}
		slices.SortFunc(values, func(a, b string) int { return cmp.Or(cmp.Compare(c.values[b], c.values[a]), cmp.Compare(a, b)) })
		out.Values = slices.Sorted(slices.Values(values[:min(len(values), mostCategories)]))
	default:
		out.Missing = false
	}
	return out
}

// spread measures how the numbers of a column are spread.
func (c *columnSeen) spread(out *encoder.Column) {
	out.Mean, out.Deviation = meanDeviation(c.sample)
	if out.Deviation <= 1e-9*math.Abs(out.Mean) || out.Deviation == 0 { // always the same: another value is as far off as it is large
		out.Mean = c.sample[0]
		out.Deviation = cmp.Or(math.Abs(out.Mean), 1)
		return
	}
	kurtosis := 0.0
	for _, v := range c.sample {
		z := (v - out.Mean) / out.Deviation
		kurtosis += z * z * z * z / float64(len(c.sample))
	}
	if kurtosis <= heavyTail {
		return
	}
	slices.Sort(c.sample)
	at := func(q float64) float64 { return c.sample[int(q*float64(len(c.sample)-1))] }
	out.Middle, out.Width = at(0.5), (at(0.75)-at(0.25))/1.349 // the deviation, of a normal distribution
	if out.Width <= narrowestMiddle*out.Deviation {
		out.Width = out.Deviation
	}
	out.FarMean, out.FarDeviation = out.Mean, out.Deviation
	bent := make([]float64, len(c.sample))
	for i, v := range c.sample {
		bent[i] = math.Asinh((v - out.Middle) / out.Width)
	}
	out.Mean, out.Deviation = meanDeviation(bent)
}

func meanDeviation(values []float64) (mean, deviation float64) {
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		deviation += (v - mean) * (v - mean) / float64(len(values))
	}
	return mean, math.Sqrt(deviation)
}

// DescribeTable says what the columns of a table were found to be.
func DescribeTable(d Dataset) (string, error) {
	p, seen, err := lookAtTable(d)
	if err != nil {
		return "", err
	}
	var numbers, bent, missing int
	var categories, unused []string
	for i, c := range p.Table.Columns {
		switch c.Kind {
		case encoder.ColumnNumber:
			numbers++
			if c.Width != 0 {
				bent++
			}
		case encoder.ColumnCategory:
			categories = append(categories, fmt.Sprintf("%s %d", c.Name, len(c.Values)))
		default:
			unused = append(unused, c.Name)
		}
		if c.Missing {
			missing += seen[i].missing
		}
	}
	text := fmt.Sprintf("%d rows of %d columns: %d of numbers", d.Len(), len(seen), numbers)
	if bent > 0 {
		text += fmt.Sprintf(", %d of them with heavy tails", bent)
	}
	if len(categories) > 0 {
		text += fmt.Sprintf("; %d of categories (%s)", len(categories), some(categories))
	}
	if missing > 0 {
		text += fmt.Sprintf("; %d missing values", missing)
	}
	if len(unused) > 0 {
		text += fmt.Sprintf("; %d left out, without a value or with another text in nearly every row (%s); to learn from a column of sentences, call it text", len(unused), some(unused))
	}
	return text, nil
}

// some joins the first few of a list.
func some(list []string) string {
	const most = 8
	if len(list) > most {
		return fmt.Sprintf("%s, …", strings.Join(list[:most], ", "))
	}
	return strings.Join(list, ", ")
}
