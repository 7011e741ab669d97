package train

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A manifest lists pictures and their labels in a file of its own:
//
//	path,label,split              {"path": "a/1.jpg", "label": "cat", "split": "train"}
//	a/1.jpg,cat,train             {"path": "a/2.jpg", "label": null}
//	a/2.jpg,,test
//
// on the left as CSV (RFC 4180) with a header line and columns in any order, on the right as JSON, a line each. Paths are relative to the
// manifest's folder. An empty label, null or none is unlabelled. The split may be left out; it is train, validation (or val, dev) or test. Other
// columns are passed over. What is of split validation is kept aside of training, in place of a share of all: the pictures of another day
// or camera, for example, by which alarms are then calibrated.

// maxManifestLine is the longest line of a JSONL manifest.
const maxManifestLine = 1 << 20

// Rows are those of a manifest that are wanted.
type Rows int

// Parts of a manifest.
const (
	RowsTraining Rows = iota // rows that are not of split test
	RowsTest                 // rows of split test; all where there are none
)

// Listed is what a manifest lists.
type Listed struct {
	Dataset Dataset
	Skipped []Skipped // files left out as in Folder, or listed twice, and rows of a list of texts that cannot be used
	Left    int       // rows of the other part
}

// row is a line of a manifest.
type row struct {
	line        int
	path, label string
	split       split
}

// split is the part of a list that a row belongs to.
type split int

const (
	splitTrain split = iota
	splitValidation
	splitTest
)

// parseSplit reads what a list says of a row.
func parseSplit(text string) (split, error) {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "", "train", "training":
		return splitTrain, nil
	case "validation", "val", "dev":
		return splitValidation, nil
	case "test":
		return splitTest, nil
	}
	return 0, fmt.Errorf("is of split %q: use train, validation, test or none", text)
}

// IsManifest reports whether a file is a manifest or a list by its name: .csv, .tsv, .jsonl or .ndjson.
func IsManifest(file string) bool {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".csv", ".tsv", ".jsonl", ".ndjson":
		return true
	}
	return false
}

// Manifest reads the texts of a list that has them in its cells, see TextList; or the pictures that a manifest lists, in its order, and holds as many in memory as Folder does. An id is the path as listed, cleaned, with slashes; the classes are in
// lexical order. A row that cannot be understood is an error wrapping ErrDataset, as is a manifest without a picture.
func Manifest(file string, part Rows) (Listed, error) {
	if IsTextList(file) {
		return TextList(file, part)
	}
	rows, err := readManifest(file)
	if err != nil {
		return Listed{}, err
	}
	var out Listed
	rows, out.Left = part.of(rows)
	d, first, names := &out.Dataset, map[string]int{}, []string{}
	var files reader
	aside := map[string]bool{}
	for _, r := range rows {
		files.count(r.path)
	}
	for _, r := range rows {
		id := filepath.ToSlash(filepath.Clean(filepath.FromSlash(r.path)))
		skip := func(err error) {
			out.Skipped = append(out.Skipped, Skipped{Path: strings.ToValidUTF8(id, "\uFFFD"), Reason: err.Error()})
		}
		if line, twice := first[id]; twice {
			skip(fmt.Errorf("line %d lists it again: line %d counts", r.line, line))
			continue
		}
		first[id] = r.line
		path := filepath.FromSlash(id)
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(file), path)
		}
		raw, err := files.read(path, id)
		if err != nil {
			skip(err)
			continue
		}
		d.IDs, d.Raw, d.Files, names = append(d.IDs, id), append(d.Raw, raw), append(d.Files, path), append(names, r.label)
		aside[id] = r.split == splitValidation
	}
	d.keepAside(func(i int) bool { return aside[d.IDs[i]] })
	if d.Len() == 0 {
		return out, fmt.Errorf("%w: no picture in the %d rows of %s%s", ErrDataset, len(rows), file, firstOf(out.Skipped))
	}
	d.name(names)
	return out, nil
}

// name sets classes, in lexical order, and labels by the names of the items' classes, "" for none.
func (d *Dataset) name(names []string) {
	d.Classes = slices.Compact(slices.Sorted(slices.Values(names)))
	if len(d.Classes) > 0 && d.Classes[0] == "" {
		d.Classes = d.Classes[1:]
	}
	for _, name := range names {
		label, labelled := slices.BinarySearch(d.Classes, name)
		if !labelled {
			label = Unlabelled
		}
		d.Labels = append(d.Labels, label)
	}
}

// of returns the rows of a part, and how many are of the other.
func (p Rows) of(rows []row) (kept []row, left int) {
	var training, test []row
	for _, r := range rows {
		if r.split == splitTest {
			test = append(test, r)
		} else {
			training = append(training, r)
		}
	}
	if p == RowsTest && len(test) > 0 {
		return test, len(training)
	}
	return training, len(test)
}

// readManifest reads the rows of a manifest.
func readManifest(file string) (rows []row, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	r := bufio.NewReader(f)
	if mark, err := r.Peek(3); err == nil && bytes.Equal(mark, []byte("\xef\xbb\xbf")) { // of UTF-8, which spreadsheets write
		if _, err := r.Discard(len(mark)); err != nil {
			return nil, err
		}
	}
	if strings.EqualFold(filepath.Ext(file), ".csv") {
		rows, err = csvRows(r)
	} else {
		rows, err = jsonRows(r)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDataset, file, err)
	}
	return rows, nil
}

func csvRows(r io.Reader) ([]row, error) {
	c := csv.NewReader(r)
	c.TrimLeadingSpace, c.ReuseRecord = true, true
	header, err := c.Read()
	if err == io.EOF {
		return nil, errors.New("it is empty: want a first line path,label")
	}
	if err != nil {
		return nil, err
	}
	column := map[string]int{"path": -1, "label": -1, "split": -1}
	for i, name := range header {
		name = strings.ToLower(strings.TrimSpace(name))
		if at, wanted := column[name]; wanted && at >= 0 {
			return nil, fmt.Errorf("two columns %q: want one", name)
		} else if wanted {
			column[name] = i
		}
	}
	if column["path"] < 0 {
		return nil, fmt.Errorf("the first line has the columns %s, of which none is path: want path,label or path,label,split", quoteList(header))
	}
	var rows []row
	for {
		record, err := c.Read()
		if err == io.EOF {
			return rows, nil
		}
		if err != nil {
			return nil, err // names the line
		}
		line, _ := c.FieldPos(0)
		field := func(name string) string {
			if i := column[name]; i >= 0 {
				return strings.TrimSpace(record[i])
			}
			return ""
		}
		r := row{line: line, path: field("path"), label: field("label")}
		if r.path == "" {
			return nil, fmt.Errorf("line %d has no path", line)
		}
		if r.split, err = parseSplit(field("split")); err != nil {
			return nil, fmt.Errorf("line %d %w", line, err)
		}
		rows = append(rows, r)
	}
}

func jsonRows(r io.Reader) ([]row, error) {
	var rows []row
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxManifestLine)
	line := 1
	for ; lines.Scan(); line++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var o struct {
			Path, Split string
			Label       jsonLabel
		}
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return nil, fmt.Errorf("line %d: %w: want {\"path\": \"…\", \"label\": \"…\"}", line, err)
		}
		if o.Path == "" {
			return nil, fmt.Errorf("line %d has no path: want {\"path\": \"…\", \"label\": \"…\"}", line)
		}
		part, err := parseSplit(o.Split)
		if err != nil {
			return nil, fmt.Errorf("line %d %w", line, err)
		}
		rows = append(rows, row{line, o.Path, string(o.Label), part})
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return nil, fmt.Errorf("line %d has more than %d bytes", line, maxManifestLine)
	}
	return rows, lines.Err()
}

// jsonLabel is a string, a number, which names the class as it is written, or null.
type jsonLabel string

// UnmarshalJSON reads a label.
func (l *jsonLabel) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	if b[0] == '"' {
		return json.Unmarshal(b, (*string)(l))
	}
	var n json.Number
	if err := json.Unmarshal(b, &n); err != nil {
		return fmt.Errorf("label %s: want a string, a number or null", b)
	}
	*l = jsonLabel(n)
	return nil
}
