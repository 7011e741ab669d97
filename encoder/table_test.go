package encoder

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestParseRow(t *testing.T) {
	number := func(v float64, text string) Cell { return Cell{CellNumber, v, text} }
	for _, c := range []struct {
		raw  string
		want Row
		err  string
	}{
		{` [1, -2.5e1, null, "a", "NaN", true] `, Row{nil, []Cell{number(1, "1"), number(-25, "-2.5e1"), {}, {Kind: CellText, Text: "a"}, {}, number(1, "true")}}, ""},
		{"{\"a\":0 ,\n\"b \\\"c\\u00e9\": \"x\\\\\"}", Row{[]string{"a", "b \"cé"}, []Cell{number(0, "0"), {Kind: CellText, Text: `x\`}}}, ""},
		{`{"a":1,"a":2}`, Row{[]string{"a", "a"}, []Cell{number(1, "1"), number(2, "2")}}, ""}, // the decoder refuses it
		{``, Row{}, "no row"},
		{`3`, Row{}, "no row"},
		{`[1,2`, Row{}, "no JSON: unexpected end"},
		{`[]`, Row{}, "without a value"},
		{`{"a":{"b":1}}`, Row{}, "column a: "},
		{`[1,[2]]`, Row{}, "column 2: "},
		{`[1e999]`, Row{}, "want a finite number"},
	} {
		got, err := ParseRow([]byte(c.raw))
		if c.err != "" {
			if !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v, want ErrInput with %q", c.raw, err, c.err)
			}
			continue
		}
		if err != nil || !slices.Equal(got.Names, c.want.Names) || !slices.Equal(got.Cells, c.want.Cells) {
			t.Errorf("%s: %+v, %v, want %+v", c.raw, got, err, c.want)
		}
		again, err := ParseRow(AppendRow(nil, got))
		if err != nil || !slices.Equal(got.Names, again.Names) {
			t.Errorf("%s written again: %+v, %v", c.raw, again, err)
		}
	}
}

func TestParseCell(t *testing.T) {
	for text, want := range map[string]Cell{
		" 1.50 ": {CellNumber, 1.5, "1.50"}, "-3e-2": {CellNumber, -0.03, "-3e-2"}, "": {}, " NA": {}, "n/a": {}, "?": {}, "none": {}, "12A": {Kind: CellText, Text: "12A"},
		"inf": {Kind: CellText, Text: "inf"}, "0x10": {Kind: CellText, Text: "0x10"}, "1_000": {Kind: CellText, Text: "1_000"},
	} {
		if got := ParseCell(text); got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}

// sensors are columns of every kind.
func sensors() Preprocessing {
	return Preprocessing{Modality: ModalityTable, Size: Size{1, 1, 9}, Table: &Table{Named: true, Columns: []Column{
		{Name: "temp", Kind: ColumnNumber, Mean: 20, Deviation: 2},
		{Name: "note", Kind: ColumnUnused},
		{Name: "flow", Kind: ColumnNumber, Middle: 1, Width: 2, Mean: 0.5, Deviation: 0.25, FarMean: 3, FarDeviation: 8, Missing: true},
		{Name: "kind", Kind: ColumnCategory, Values: []string{"1", "a", "b"}, Missing: true},
	}}}
}

func TestTableDecoder(t *testing.T) {
	d, err := sensors().Decoder()
	if err != nil {
		t.Fatal(err)
	}
	flow, far := float32(math.Sqrt(0.75)*(math.Asinh((7.0-1)/2)-0.5)/0.25), float32(0.5*(7-3)/8)
	for _, c := range []struct {
		raw  string
		want []float32
		err  string
	}{
		{`{"temp":24,"flow":7,"kind":"b","note":"x"}`, []float32{2, flow, far, 0, 0, 0, 1, 0, 0}, ""},
		{`{"kind":"a","temp":"18"}`, []float32{-1, 0, 0, 1, 0, 1, 0, 0, 0}, ""},
		{`[20, null, 7, "never seen"]`, []float32{0, flow, far, 0, 0, 0, 0, 1, 0}, ""},
		{`[20, 9, 7, null]`, []float32{0, flow, far, 0, 0, 0, 0, 0, 1}, ""},
		{`[20, 9, 7, 1]`, []float32{0, flow, far, 0, 1, 0, 0, 0, 0}, ""},
		{`[1e30, 9, 7, 1]`, []float32{maxFeature, flow, far, 0, 1, 0, 0, 0, 0}, ""},
		{`[20, 9, 1e30, 1]`, []float32{0, float32(math.Sqrt(0.75) * (math.Asinh((1e30-1)/2) - 0.5) / 0.25), 0.5 * maxFeature, 0, 1, 0, 0, 0, 0}, ""},
		{`[20, 9, 7]`, nil, "a row of 3 values: want 4: temp, note, flow, kind"},
		{`{"temp":20,"pressure":3}`, nil, `no column is called "pressure": use temp, note, flow, kind`},
		{`{"temp":20,"temp":3}`, nil, `temp is given twice`},
		{`{"flow":20}`, nil, `column temp has no value, and had one in every row of the training`},
		{`{"temp":"warm"}`, nil, `column temp: "warm": want a number`},
		{`{"temp":"inf"}`, nil, `want a finite number`},
	} {
		f, err := d.Decode([]byte(c.raw))
		if c.err != "" {
			if !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v, want ErrInput with %q", c.raw, err, c.err)
			}
			continue
		}
		if err != nil || !slices.Equal(f.Data, c.want) || !slices.Equal(f.Shape, []int{1, 1, 9}) {
			t.Errorf("%s: %+v, %v, want %v", c.raw, f, err, c.want)
		}
	}
	nameless := sensors()
	nameless.Table.Named = false
	if d, err = nameless.Decoder(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Decode([]byte(`{"temp":20}`)); !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), "want an array of 4 values") {
		t.Errorf("names for columns without any: %v", err)
	}
}

func TestTableValidate(t *testing.T) {
	for name, change := range map[string]func(*Preprocessing){
		"no table":         func(p *Preprocessing) { p.Table = nil },
		"size":             func(p *Preprocessing) { p.Size.Channels = 7 },
		"deviation 0":      func(p *Preprocessing) { p.Table.Columns[0].Deviation = 0 },
		"mean NaN":         func(p *Preprocessing) { p.Table.Columns[0].Mean = math.NaN() },
		"width below 0":    func(p *Preprocessing) { p.Table.Columns[0].Width = -1 },
		"no far deviation": func(p *Preprocessing) { p.Table.Columns[2].FarDeviation = 0 },
		"kind":             func(p *Preprocessing) { p.Table.Columns[1].Kind = "text" },
		"a name twice":     func(p *Preprocessing) { p.Table.Columns[1].Name = "temp" },
		"values unordered": func(p *Preprocessing) { p.Table.Columns[3].Values = []string{"b", "a", "c"} },
	} {
		p := sensors()
		change(&p)
		if _, err := p.Decoder(); !errors.Is(err, ErrSpec) {
			t.Errorf("%s: %v, want ErrSpec", name, err)
		}
	}
}

func FuzzParseRow(f *testing.F) {
	for _, s := range []string{`[1,null,"a"]`, `{"a":1e5,"b":"\u00e9\"","c":false}`, "{}", `[[`, "\xff", `{"a":[]}`} {
		f.Add([]byte(s))
	}
	d, err := sensors().Decoder()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := ParseRow(raw)
		if err != nil {
			if !errors.Is(err, ErrInput) {
				t.Fatal(err)
			}
			return
		}
		again, err := ParseRow(AppendRow(nil, r))
		if err != nil || len(again.Cells) != len(r.Cells) {
			t.Fatalf("%q became %+v, %v", raw, again, err)
		}
		for i, c := range r.Cells {
			if c.Kind != again.Cells[i].Kind || c.Kind == CellNumber && c.Number != again.Cells[i].Number {
				t.Fatalf("%q: cell %d became %+v", raw, i, again.Cells[i])
			}
		}
		if x, err := d.Decode(raw); err == nil {
			for _, v := range x.Data {
				if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
					t.Fatalf("%q makes %v", raw, x.Data)
				}
			}
		}
	})
}
