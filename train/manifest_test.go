package train

import (
	"bytes"
	"errors"
	"image"
	"image/png"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// manifestFolder holds a.png, b/c.png and text.txt beside the manifest, and returns its path.
func manifestFolder(t *testing.T, name, content string) string {
	t.Helper()
	raw := encoded(t, func(b *bytes.Buffer, m image.Image) error { return png.Encode(b, m) })
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.png"), raw)
	write(t, filepath.Join(dir, "b", "c.png"), raw)
	write(t, filepath.Join(dir, "text.txt"), []byte("hello"))
	return write(t, filepath.Join(dir, name), []byte(content))
}

// TestManifest reads the same list as CSV and as JSON lines.
func TestManifest(t *testing.T) {
	for name, content := range map[string]string{
		"list.csv": "\xef\xbb\xbfNote, Label,PATH,split\nfirst,dog,b/c.png,train\n,,a.png,\nx,ant,text.txt,\nx,ant,gone.png,val\n\"again, again\",ant,./a.png,validation\nx,cat,b/../a.png,test\n",
		"list.jsonl": `{"path": "b/c.png", "label": "dog", "split": "train", "note": "first"}
{"path": "a.png", "label": null}

{"path": "text.txt", "label": "ant"}
{"path": "gone.png", "label": "ant", "split": "val"}
{"path": "./a.png", "label": "ant", "split": "validation"}
{"path": "b/../a.png", "label": "cat", "split": "test"}
`,
	} {
		file := manifestFolder(t, name, content)
		if !IsManifest(file) {
			t.Errorf("%s is not taken for a manifest", name)
		}
		got, err := Manifest(file, RowsTraining)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		d := got.Dataset
		if err := d.Validate(); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(d.IDs, []string{"b/c.png", "a.png"}) || !slices.Equal(d.Labels, []int{0, Unlabelled}) || !slices.Equal(d.Classes, []string{"dog"}) || got.Left != 1 {
			t.Errorf("%s: %q, labels %v of %q, %d left", name, d.IDs, d.Labels, d.Classes, got.Left)
		}
		reasons := []string{"text.txt: no PNG", "gone.png: ", "a.png: line "}
		for i, s := range got.Skipped {
			if i >= len(reasons) || !strings.HasPrefix(s.Path+": "+s.Reason, reasons[i]) {
				t.Errorf("%s: skipped %s: %s", name, s.Path, s.Reason)
			}
		}
		if len(got.Skipped) != len(reasons) {
			t.Errorf("%s: %d skipped", name, len(got.Skipped))
		}
		if got, err = Manifest(file, RowsTest); err != nil || got.Dataset.Len() != 1 || got.Dataset.Label(0) != "cat" || got.Left != 6-1 {
			t.Errorf("%s: test rows %+v, %v", name, got, err)
		}
	}
}

func TestManifestWithoutSplits(t *testing.T) {
	file := manifestFolder(t, "list.ndjson", "{\"path\": \"b/c.png\", \"label\": 10}\n{\"path\": \"a.png\", \"label\": 9}\n")
	for _, part := range []Rows{RowsTraining, RowsTest} {
		got, err := Manifest(file, part)
		if err != nil || got.Dataset.Len() != 2 || got.Left != 0 || !slices.Equal(got.Dataset.Classes, []string{"10", "9"}) || !slices.Equal(got.Dataset.Labels, []int{0, 1}) {
			t.Errorf("part %d: %+v, %v", part, got, err)
		}
	}
	if IsManifest("train-images-idx3-ubyte.gz") || IsManifest("photos") {
		t.Error("another file is taken for a manifest")
	}
}

func TestBrokenManifests(t *testing.T) {
	for _, c := range []struct{ name, content, want string }{
		{"a.csv", "", "want a first line path,label"},
		{"a.csv", "file,label\na.png,x\n", `the columns "file", "label", of which none is path`},
		{"a.csv", "path,label,path\n", `two columns "path"`},
		{"a.csv", "path,label\na.png\n", "line 2"},
		{"a.csv", "path,label\n\"a.png,x\n", "line"},
		{"a.csv", "path,label\n,x\n", "line 2 has no path"},
		{"a.csv", "path,label,split\na.png,x,holdout\n", `line 2 is of split "holdout": use train`},
		{"a.csv", "path,label\ngone.png,x\n", "no picture in the 1 rows"},
		{"a.jsonl", "", "no picture in the 0 rows"},
		{"a.jsonl", "[1]\n", "line 1"},
		{"a.jsonl", "{\"label\": \"x\"}\n", "line 1 has no path"},
		{"a.jsonl", "{\"path\": \"a.png\"}\n{\"path\": \"a.png\", \"label\": [1]}\n", "line 2"},
		{"a.jsonl", "{\"path\": \"a.png\", \"label\": true}\n", "want a string, a number or null"},
		{"a.jsonl", strings.Repeat(" ", maxManifestLine+1), "line 1 has more than"},
	} {
		_, err := Manifest(manifestFolder(t, c.name, c.content), RowsTraining)
		if !errors.Is(err, ErrDataset) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %.40q: %v, want %q", c.name, c.content, err, c.want)
		}
	}
	if _, err := Manifest(filepath.Join(t.TempDir(), "none.csv"), RowsTraining); err == nil {
		t.Error("a missing manifest is none")
	}
}

// FuzzManifest: no content panics, and what is read has rows with paths.
func FuzzManifest(f *testing.F) {
	f.Add("path,label\na.png,x\n", true)
	f.Add("{\"path\": \"a.png\", \"label\": 3}\n", false)
	f.Fuzz(func(t *testing.T, content string, comma bool) {
		read := jsonRows
		if comma {
			read = csvRows
		}
		rows, err := read(strings.NewReader(content))
		for _, r := range rows {
			if err == nil && (r.path == "" || r.line < 1) {
				t.Fatalf("row %+v", r)
			}
		}
	})
}
