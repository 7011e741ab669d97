package train

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestAside: what a list says is of split validation is what Split keeps aside, of every kind of list, whatever the share.
func TestAside(t *testing.T) {
	list := func(header, row string) string {
		b := header + "\n"
		for i := range 9 {
			b += fmt.Sprintf(row, i, []string{"train", "validation", "", "val", "test"}[i%5]) + "\n"
		}
		return b
	}
	var pictures strings.Builder
	pictures.WriteString("path,split\na.png,val\nb/c.png,train\n")
	for name, c := range map[string]struct {
		file       string
		rest, part []string
	}{
		"pictures": {manifestFolder(t, "list.csv", pictures.String()), []string{"b/c.png"}, []string{"a.png"}},
		"texts":    {listFile(t, "a.csv", list("id,text,split", "t%d,one,%s")), []string{"t0", "t2", "t5", "t7"}, []string{"t1", "t3", "t6", "t8"}},
		"rows":     {writeTable(t, "a.csv", []byte(list("id,temp,split", "r%d,1,%s"))), []string{"r0", "r2", "r5", "r7"}, []string{"r1", "r3", "r6", "r8"}},
		"pairs": {
			listFile(t, "p.csv", "id,text_a,text_b,score,split\n1,one,two,0.5,train\n2,three,two,1,dev\n3,four,five,0,Dev\n4,six,seven,1,test\n5,two,one,0,val\n"),
			[]string{"1a", "1b"}, []string{"3a", "3b"}},
	} {
		read := Manifest
		if IsTable(c.file) {
			read = func(file string, part Rows) (Listed, error) { return Table(file, TableOptions{Rows: part}) }
		}
		l, err := read(c.file, RowsTraining)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if name == "pairs" { // of which a text is learned from: neither new nor to be learned from
			if len(l.Skipped) != 2 || l.Skipped[0].Path != "line 3" || !strings.Contains(l.Skipped[1].Reason, "a row that is learned from") {
				t.Errorf("skipped %v", l.Skipped)
			}
		}
		for _, fraction := range []float64{0, 0.5} {
			rest, part, err := l.Dataset.Split(fraction, 1)
			if err != nil || !slices.Equal(rest.IDs, c.rest) || !slices.Equal(part.IDs, c.part) {
				t.Errorf("%s: learns from %q, keeps %q aside, %v; want %q and %q", name, rest.IDs, part.IDs, err, c.rest, c.part)
			}
			if rest.Aside != nil || part.Aside != nil || rest.Validate() != nil || part.Validate() != nil {
				t.Errorf("%s: parts that are to be parted again: %v, %v", name, rest.Aside, part.Aside)
			}
			if name == "pairs" && (len(rest.Pairs) != 1 || len(part.Pairs) != 1 || part.Pairs[0].A != "3a") {
				t.Errorf("pairs %v and %v", rest.Pairs, part.Pairs)
			}
		}
		if name == "pairs" {
			all := listFile(t, "q.csv", "text_a,text_b,score,split\none,two,0.5,train\nthree,two,1,dev\n")
			if l, err := read(all, RowsTest); err != nil || len(l.Dataset.Pairs) != 2 { // where nothing is learned, all of a list without test rows
				t.Errorf("%d of 2 pairs to be judged, %v", len(l.Dataset.Pairs), err)
			}
		}
		if l, err := read(c.file, RowsTest); err != nil || name != "pictures" && l.Dataset.Aside != nil {
			t.Errorf("%s: rows of split test: %v, %v", name, l.Dataset.Aside, err)
		}
	}
}

// TestAsideClasses: items of classes that are learned from, or of others alone.
func TestAsideClasses(t *testing.T) {
	d := Dataset{IDs: []string{"a", "b", "c", "d"}, Raw: [][]byte{{1}, {1}, {1}, {1}}, Labels: []int{0, 0, 1, Unlabelled}, Classes: []string{"cat", "dog"}}
	for _, c := range []struct {
		aside []bool
		want  string
	}{
		{[]bool{true, false, false, false}, ""},
		{[]bool{true, false, false, true}, ""},
		{[]bool{false, false, true, false}, ""}, // another class alone
		{[]bool{false, false, true, true}, ""},
		{[]bool{true, false, true, false}, `class "dog" are of split validation`},
		{[]bool{true, true, true, true}, "all of its 4 items"},
	} {
		d.Aside = c.aside
		_, part, err := d.Split(0.1, 0)
		if c.want == "" && (err != nil || part.Len() == 0) || c.want != "" && (!errors.Is(err, ErrDataset) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v: %v, want %q", c.aside, err, c.want)
		}
	}
	if d.Aside = []bool{true}; d.Validate() == nil {
		t.Error("one of four is said to be aside: no error")
	}
}

// TestSplitWords: of every kind of list a split that is misspelt is an error, which names the row; a column of a table that has no such word is a feature.
func TestSplitWords(t *testing.T) {
	for name, file := range map[string]string{
		"pictures": manifestFolder(t, "list.csv", "path,split\na.png,Val\nb/c.png,trian\n"),
		"json":     manifestFolder(t, "list.jsonl", "{\"path\": \"a.png\", \"split\": \"TEST\"}\n{\"path\": \"b/c.png\", \"split\": \"trian\"}\n"),
		"texts":    listFile(t, "a.csv", "text,split\none,Train\ntwo,trian\n"),
		"rows":     writeTable(t, "a.csv", []byte("temp,split\n1,VALIDATION\n2,trian\n")),
	} {
		var err error
		if IsTable(file) {
			_, err = Table(file, TableOptions{})
		} else {
			_, err = Manifest(file, RowsTraining)
		}
		if !errors.Is(err, ErrDataset) || !strings.Contains(err.Error(), `is of split "trian": use train, validation, test or none`) || !strings.Contains(err.Error(), "line") && !strings.Contains(err.Error(), "row a-00001") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
