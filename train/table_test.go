package train

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/akin-search/akin/encoder"
)

func writeTable(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// npyOf is an array as NumPy writes it, column by column where fortran.
func npyOf(descr, shape string, values any) []byte {
	header := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': %s, }", descr, shape)
	for (10+len(header)+1)%64 != 0 {
		header += " "
	}
	b := binary.LittleEndian.AppendUint16([]byte("\x93NUMPY\x01\x00"), uint16(len(header)+1))
	b, err := binary.Append(append(append(b, header...), '\n'), binary.LittleEndian, values)
	if err != nil {
		panic(err)
	}
	return b
}

func npzOf(t *testing.T, arrays map[string][]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for name, b := range arrays {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write(b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func parquetOf(t *testing.T) []byte {
	t.Helper()
	type row struct {
		Temp  float64  `parquet:"temp"`
		Count *int32   `parquet:"count,optional"`
		Kind  string   `parquet:"kind"`
		Tags  []string `parquet:"tags,list"`
		Class bool     `parquet:"class"`
	}
	var out bytes.Buffer
	w, two := parquet.NewGenericWriter[row](&out), int32(2)
	if _, err := w.Write([]row{{1.5, &two, "a", []string{"x", "y"}, true}, {math.NaN(), nil, "12", nil, false}, {math.Inf(1), nil, "a", nil, false}, {3, nil, "a", nil, true}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestTableFormats(t *testing.T) {
	for _, c := range []struct {
		name    string
		content []byte
		options TableOptions
		raw     []string
		labels  []string // nil: none
		ids     string   // of the first
		skipped []string
		left    int
	}{
		{name: "a.csv", content: []byte("temp,kind,label\n1.5,a,x\n,\"b, c\",y\n2,a,x\n3,?,\n"),
			raw: []string{`{"temp":1.5,"kind":"a"}`, `{"temp":null,"kind":"b, c"}`, `{"temp":2,"kind":"a"}`, `{"temp":3,"kind":null}`}, labels: []string{"x", "y", "x", ""}, ids: "a-00000"},
		{name: "a.b.csv", content: []byte("\xef\xbb\xbfid;Temp;Class\nm1;1;x\nm2;2;x\n"), raw: []string{`{"Temp":1}`, `{"Temp":2}`}, labels: []string{"x", "x"}, ids: "m1"},
		{name: "a.csv", content: []byte(",temp\n0,5\n1,6\n"), raw: []string{`{"temp":5}`, `{"temp":6}`}, ids: "0"}, // as data frames are written
		{name: "a.csv", content: []byte("id,temp\nm,5\nm,6\n"), raw: []string{`{"temp":5}`, `{"temp":6}`}, ids: "a-00000"},
		{name: "a.tsv", content: []byte("1\t\tx\n2\t3\ty\n"), raw: []string{`[1,null,"x"]`, `[2,3,"y"]`}, ids: "a-00000"},
		{name: "a.csv", content: []byte("1,x\n2,y\n3,x\n"), options: TableOptions{Label: "2"}, raw: []string{`[1]`, `[2]`, `[3]`}, labels: []string{"x", "y", "x"}, ids: "a-00000"},
		{name: "a.csv", content: []byte("y,temp\n1,5\n1,6\n"), options: TableOptions{Label: NoLabel}, raw: []string{`{"y":1,"temp":5}`, `{"y":1,"temp":6}`}, ids: "a-00000"},
		{name: "a.csv", content: []byte("temp,state\n1,5\n2,5\n"), options: TableOptions{Label: "State"}, raw: []string{`{"temp":1}`, `{"temp":2}`}, labels: []string{"5", "5"}, ids: "a-00000"},
		{name: "a.csv", content: []byte("temp,split,a\n1,train,0\n2,test,0\n3,val,0\n"), raw: []string{`{"temp":1,"a":0}`, `{"temp":3,"a":0}`}, ids: "a-00000", left: 1},
		{name: "a.csv", content: []byte("temp,split,a\n1,train,0\n2,test,0\n"), options: TableOptions{Rows: RowsTest}, raw: []string{`{"temp":2,"a":0}`}, ids: "a-00001", left: 1},
		{name: "a.csv", content: []byte("temp,split\n1,left\n2,right\n"), raw: []string{`{"temp":1,"split":"left"}`, `{"temp":2,"split":"right"}`}, ids: "a-00000"},
		{name: "a.csv", content: []byte("a,b\n1,2\n1\n\"x\"y,2\n3,4\n"), raw: []string{`{"a":1,"b":2}`, `{"a":3,"b":4}`}, ids: "a-00000", skipped: []string{"1 values, the first line has 2", `extraneous or missing`}},
		{name: "a.jsonl", content: []byte("{\"t\":1,\"label\":\"x\"}\n\n{\"u\":\"b\",\"t\":null,\"label\":\"x\"}\n[1]\n{\"t\":\n"),
			raw: []string{`{"t":1,"u":null}`, `{"t":null,"u":"b"}`}, labels: []string{"x", "x"}, ids: "a-00000", skipped: []string{"others have names", "no JSON"}},
		{name: "a.ndjson", content: []byte("[1,2]\n[3,4]\n[5]\n"), raw: []string{`[1,2]`, `[3,4]`}, ids: "a-00000", skipped: []string{"an array of 1 values"}},
		{name: "a.npy", content: npyOf("<f8", "(2, 2)", []float64{1, math.NaN(), 0.1, 4}), raw: []string{`[1,null]`, `[0.1,4]`}, ids: "a-00000"},
		{name: "a.npz", content: npzOf(t, map[string][]byte{"X.npy": npyOf("<i4", "(2, 1)", []int32{7, -8}), "y.npy": npyOf("|u1", "(2,)", []byte{1, 0})}), raw: []string{`[7]`, `[-8]`}, labels: []string{"1", "0"}, ids: "a-00000"},
		{name: "a.npy", content: npyOf("<f8", "(2, 1)", []float64{math.Inf(-1), 4}), raw: []string{`[4]`}, ids: "a-00001", skipped: []string{"value 1 is -Inf"}},
		{name: "a.fvecs", content: []byte{1, 0, 0, 0, 0, 0, 0x80, 0x3f}, raw: []string{`[1]`}, ids: "a-00000"},
		{name: "a.bvecs", content: []byte{2, 0, 0, 0, 3, 255}, raw: []string{`[3,255]`}, ids: "a-00000"},
		{name: "a.parquet", content: parquetOf(t), raw: []string{`{"temp":1.5,"count":2,"kind":"a"}`, `{"temp":null,"count":null,"kind":"12"}`, `{"temp":3,"count":null,"kind":"a"}`},
			labels: []string{"1", "0", "1"}, ids: "a-00000", skipped: []string{"lists and groups", "column temp is +Inf"}},
	} {
		path := writeTable(t, c.name, c.content)
		if !IsTable(path) {
			t.Errorf("%s: %q is no table", c.name, c.content)
		}
		l, err := Table(path, c.options)
		if err != nil {
			t.Errorf("%s: %q: %v", c.name, c.content, err)
			continue
		}
		d := l.Dataset
		if err := d.Validate(); err != nil {
			t.Error(err)
		}
		var raw, labels []string
		for i := range d.Len() {
			raw, labels = append(raw, string(d.Raw[i])), append(labels, d.Label(i))
		}
		if c.labels == nil {
			c.labels = make([]string, len(c.raw))
		}
		if !slices.Equal(raw, c.raw) || !slices.Equal(labels, c.labels) || d.IDs[0] != c.ids || l.Left != c.left {
			t.Errorf("%s: %.60q: rows %q, labels %q, first id %q, %d left; want %q, %q, %q, %d", c.name, c.content, raw, labels, d.IDs[0], l.Left, c.raw, c.labels, c.ids, c.left)
		}
		if len(l.Skipped) != len(c.skipped) {
			t.Errorf("%s: skipped %+v, want %q", c.name, l.Skipped, c.skipped)
			continue
		}
		for i, want := range c.skipped {
			if !strings.Contains(l.Skipped[i].Reason, want) {
				t.Errorf("%s: skipped %+v, want %q", c.name, l.Skipped[i], want)
			}
		}
	}
}

// A column with a name of classes and as many values as rows is none of them, unless it is asked for.
func TestMeasuredLabels(t *testing.T) {
	var lines strings.Builder
	lines.WriteString("y,temp\n")
	for i := range 30 {
		fmt.Fprintf(&lines, "%d,5\n", i)
	}
	path := writeTable(t, "a.csv", []byte(lines.String()))
	for label, classes := range map[string]int{"": 0, "y": 30} {
		l, err := Table(path, TableOptions{Label: label})
		if err != nil || len(l.Dataset.Classes) != classes {
			t.Errorf("label column %q: classes %q, %v", label, l.Dataset.Classes, err)
		}
	}
}

func TestTableRefuses(t *testing.T) {
	for _, c := range []struct {
		name, content string
		options       TableOptions
		want          string
	}{
		{"a.csv", "", TableOptions{}, "it is empty"},
		{"a.csv", "temp,label\n", TableOptions{}, "and no row"},
		{"a.csv", "temp,kind\n1,a\n", TableOptions{Label: "state"}, `label column "state": the columns are "temp", "kind"`},
		{"a.csv", "1,2\n", TableOptions{Label: "3"}, "give a number from 1 to 2"},
		{"a.csv", "label,split\na,train\na,train\n", TableOptions{}, "no column is left"},
		{"a.jsonl", "{}\n", TableOptions{}, "a row without a value"},
		{"a.npy", "not an array", TableOptions{}, "no NumPy file"},
		{"a.npz", "not an archive", TableOptions{}, "zip"},
		{"a.parquet", "PAR1 and nothing else PAR1", TableOptions{}, "a.parquet"},
		{"a.txt", "1,2", TableOptions{}, "no table by its name"},
	} {
		_, err := Table(writeTable(t, c.name, []byte(c.content)), c.options)
		if !errors.Is(err, ErrDataset) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s of %q: %v, want ErrDataset with %q", c.name, c.content, err, c.want)
		}
	}
	if IsTable(writeTable(t, "list.csv", []byte("Path,label\na.png,cat\n"))) || IsTable(writeTable(t, "list.jsonl", []byte(`{"path": "a.png"}`))) || IsTable("pictures.idx") {
		t.Error("a manifest, or an IDX file, is taken for a table")
	}
}

// TestRowStore: rows beyond what is held come back from the file.
func TestRowStore(t *testing.T) {
	defer func(held int64) { mostHeld = held }(mostHeld)
	mostHeld = 10
	var s rowStore
	want := []string{"[1,2,3]", "[4]", "[5,6]", "[7]"}
	for _, raw := range want {
		if err := s.add([]byte(raw)); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := s.rows()
	if err != nil || s.file == nil {
		t.Fatalf("%v, file %v", err, s.file)
	}
	for i, raw := range rows {
		if string(raw) != want[i] {
			t.Errorf("row %d is %q", i, raw)
		}
	}
}

func TestInspectTable(t *testing.T) {
	var lines strings.Builder
	lines.WriteString("n,heavy,same,kind,code,note,empty,gap\n")
	for i := range 100 {
		heavy := i % 10
		if i == 99 {
			heavy = 100_000
		}
		gap := fmt.Sprint(i % 7)
		if i%10 == 0 {
			gap = ""
		}
		n := fmt.Sprint(i)
		if i == 50 {
			n = "broken"
		}
		fmt.Fprintf(&lines, "%s,%d,5,%s,%d%s,t%d,,%s\n", n, heavy, []string{"a", "b", "c"}[i%3], i%4, []string{"", "x"}[i%2], i, gap)
	}
	l, err := Table(writeTable(t, "a.csv", []byte(lines.String())), TableOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := inspectTable(l.Dataset)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	columns := p.Table.Columns
	for i, want := range []encoder.Column{
		{Name: "n", Kind: encoder.ColumnNumber}, {Name: "heavy", Kind: encoder.ColumnNumber}, {Name: "same", Kind: encoder.ColumnNumber},
		{Name: "kind", Kind: encoder.ColumnCategory}, {Name: "code", Kind: encoder.ColumnCategory}, {Name: "note", Kind: encoder.ColumnUnused},
		{Name: "empty", Kind: encoder.ColumnUnused}, {Name: "gap", Kind: encoder.ColumnNumber, Missing: true},
	} {
		if c := columns[i]; c.Name != want.Name || c.Kind != want.Kind || c.Missing != want.Missing {
			t.Errorf("column %+v, want %+v", c, want)
		}
	}
	if columns[0].Width != 0 || columns[1].Width == 0 {
		t.Errorf("bent %+v and not %+v", columns[0], columns[1])
	}
	if c := columns[1]; math.Abs(c.FarMean-1004.41) > 1e-6 || c.FarDeviation < 9000 {
		t.Errorf("heavy tails as they are: %+v", c)
	}
	if c := columns[0]; c.FarDeviation != 0 || c.Deviation == 0 {
		t.Errorf("without heavy tails: %+v", c)
	}
	if columns[2].Mean != 5 || columns[2].Deviation != 5 {
		t.Errorf("a column that is always 5: %+v", columns[2])
	}
	if !slices.Equal(columns[3].Values, []string{"a", "b", "c"}) || !slices.Equal(columns[4].Values, []string{"0", "1x", "2", "3x"}) {
		t.Errorf("values %q and %q", columns[3].Values, columns[4].Values)
	}
	text, err := DescribeTable(l.Dataset)
	if want := "100 rows of 8 columns: 4 of numbers, 1 of them with heavy tails; 2 of categories (kind 3, code 4); 10 missing values; 2 left out, without a value or with another text in nearly every row (note, empty); to learn from a column of sentences, call it text"; text != want || err != nil {
		t.Errorf("%s, %v, want %s", text, err, want)
	}
	if name, err := modalityOf(l.Dataset); name != encoder.ModalityTable || err != nil {
		t.Errorf("modality %q, %v", name, err)
	}
}

func TestADBench(t *testing.T) {
	dir := t.TempDir()
	content := npzOf(t, map[string][]byte{"X.npy": npyOf("<f4", "(5, 1)", []float32{0, 1, 2, 3, 4}), "y.npy": npyOf("<i8", "(5,)", []int64{0, 1, 0, 0, 0})})
	if err := os.WriteFile(filepath.Join(dir, "6_cardio.npz"), content, 0o644); err != nil {
		t.Fatal(err)
	}
	files, err := ADBenchFiles(dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	training, test, err := ADBench(files["cardio"], nil)
	if err != nil {
		t.Fatal(err)
	}
	text := func(d Dataset) (all string) {
		for i := range d.Len() {
			all += string(d.Raw[i]) + d.Label(i) + " "
		}
		return all
	}
	if got := text(training); got != "[0]normal [2]normal " {
		t.Errorf("training is %s", got)
	}
	if got := text(test); got != "[3]normal [4]normal [1]anomaly " {
		t.Errorf("test is %s", got)
	}
	first := map[string]int{}
	for seed := range uint64(60) {
		training, test, err := ADBench(files["cardio"], rand.New(rand.NewPCG(seed, 1)))
		if err != nil || training.Len() != 2 || test.Len() != 3 || test.Label(2) != ADBenchAnomaly {
			t.Fatalf("%s and %s, %v", text(training), text(test), err)
		}
		for _, raw := range training.Raw {
			first[string(raw)]++
		}
	}
	for _, raw := range []string{"[0]", "[2]", "[3]", "[4]"} { // each in about half of the 60
		if n := first[raw]; n < 15 || n > 45 {
			t.Errorf("%s is in the first half %d of 60 times", raw, n)
		}
	}
	if _, _, err := ADBench(writeTable(t, "1_a.npz", npzOf(t, map[string][]byte{"X.npy": npyOf("<f4", "(2, 1)", []float32{0, 1}), "y.npy": npyOf("<i8", "(2,)", []int64{0, 2})})), nil); !errors.Is(err, ErrDataset) || !strings.Contains(err.Error(), `row 1 has y "2"`) {
		t.Error(err)
	}
}
