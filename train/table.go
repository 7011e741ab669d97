package train

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/train/vectors"
)

// A table is a file of rows: CSV (also with semicolons, tabs or bars between the values), a JSON object or array a line, Parquet, NPY, NPZ, fvecs or
// bvecs. A raw item is a row as encoder.ParseRow reads it, by the names of its columns where these have names.

// TableOptions say which columns of a table are none of the features, and which rows are wanted.
type TableOptions struct {
	Label string // the column of the classes, by its name or, where columns have none, its number from 1; NoLabel for none; "" for the first of labelNames that there is
	Rows  Rows   // by a column "split", as in a manifest
}

// NoLabel stands for no column of classes.
const NoLabel = "none"

// fewClasses is how many values a column of classes that is found by its name may have in any case; more than half as many as rows are measured, and
// name nothing.
const fewClasses = 20

// labelNames are what columns of classes are called.
var labelNames = []string{"label", "class", "target", "y"}

// sheet is a table before it is known what its columns are for.
type sheet struct {
	names []string // nil: the columns have none
	width int      // columns
	label int      // the column of the labels, where the format says it, else -1
	// each calls use for every row that can be read, with its number from 0 and a cell a column, and skip for the others. It can be called again.
	each func(use func(number int, cells []encoder.Cell) error, skip func(Skipped)) error
}

// tableFormats are the endings of files that are tables; those of text may be lists of files too.
var tableFormats = map[string]func(path string) (*sheet, error){
	".csv": openCSV, ".tsv": openCSV, ".jsonl": openJSONL, ".ndjson": openJSONL, ".parquet": openParquet, ".npz": openNpz,
	".npy": openVectors(vectors.Npy[float64]), ".fvecs": openVectors(vectors.Fvecs[float64]), ".bvecs": openVectors(vectors.Bvecs[float64]),
}

// TableFormats are the formats of tables.
const TableFormats = ".csv, .tsv, .jsonl, .ndjson, .parquet, .npy, .npz, .fvecs or .bvecs"

// IsTable reports whether a file is a table: by its name, and where that is also one of a manifest, by its having no column "path", and none of texts: see IsTextList.
func IsTable(file string) bool {
	_, known := tableFormats[strings.ToLower(filepath.Ext(file))]
	return known && !(IsManifest(file) && (IsTextList(file) || slices.ContainsFunc(firstNames(file), func(name string) bool { return strings.EqualFold(name, "path") })))
}

// Table reads the rows of a table. Ids are those of a column "id", which is no feature, if it has another one for each row, else the file's name up to its first dot and the
// number of the row from 0; the classes are in lexical order. Rows beyond a gigabyte lie in a file without a name, until the process ends. A
// row that cannot be understood is skipped; a table without a row is an error wrapping ErrDataset.
func Table(file string, o TableOptions) (Listed, error) {
	out, err := readTable(file, o)
	if err != nil {
		err = fmt.Errorf("%w: %s: %w", ErrDataset, file, err)
	}
	return out, err
}

func readTable(file string, o TableOptions) (out Listed, err error) {
	open, known := tableFormats[strings.ToLower(filepath.Ext(file))]
	if !known {
		return out, fmt.Errorf("it is no table by its name: use %s", TableFormats)
	}
	s, err := open(file)
	if err != nil {
		return out, err
	}
	is, err := s.specials(o.Label)
	if err != nil {
		return out, err
	}
	prefix, _, _ := strings.Cut(filepath.Base(file), ".")
	prefix = strings.ToValidUTF8(prefix, "_")
	var store rowStore
	var rows []row
	features := encoder.Row{}
	for i, name := range s.names {
		if !is.feature(i) {
			continue
		}
		features.Names = append(features.Names, name)
	}
	err = s.each(func(number int, cells []encoder.Cell) error {
		r := row{line: len(rows), path: fmt.Sprintf("%s-%05d", prefix, number), label: textAt(cells, is.label)}
		if r.split, err = parseSplit(textAt(cells, is.split)); err != nil {
			return fmt.Errorf("row %s %w; or give the column another name, if it is no split", r.path, err)
		}
		if is.named {
			r.path = textAt(cells, is.id)
		}
		features.Cells = features.Cells[:0]
		for i, c := range cells {
			if is.feature(i) {
				features.Cells = append(features.Cells, c)
			}
		}
		if len(features.Cells) == 0 {
			return errors.New("no column is left besides those of labels, splits and ids")
		}
		rows = append(rows, r)
		return store.add(encoder.AppendRow(nil, features))
	}, func(k Skipped) { out.Skipped = append(out.Skipped, k) })
	if err != nil {
		return out, err
	}
	raw, err := store.rows()
	if err != nil {
		return out, err
	}
	kept, left := o.Rows.of(rows)
	if out.Left = left; len(kept) == 0 {
		if len(rows)+len(out.Skipped) == 0 {
			return out, errors.New("it has names of columns at most, and no row")
		}
		return out, fmt.Errorf("none of its %d rows can be used%s", len(rows)+len(out.Skipped), firstOf(out.Skipped))
	}
	var names []string
	d := &out.Dataset
	for _, r := range kept {
		d.IDs, d.Raw, names = append(d.IDs, r.path), append(d.Raw, raw[r.line]), append(names, r.label)
	}
	d.name(names)
	d.keepAside(func(i int) bool { return kept[i].split == splitValidation })
	return out, nil
}

// special are the columns that are no features, -1 where there is none, and whether that of ids has another one for each row.
type special struct {
	label, split, id int
	named            bool
}

func (is special) feature(column int) bool {
	return column != is.label && column != is.split && column != is.id
}

// textAt returns the text of a cell, "" for none.
func textAt(cells []encoder.Cell, at int) string {
	if at < 0 {
		return ""
	}
	return cells[at].Text
}

// specials finds the columns that are no features; label is that of TableOptions.
func (s *sheet) specials(label string) (special, error) {
	at := func(name string) int {
		return slices.IndexFunc(s.names, func(n string) bool { return strings.EqualFold(n, name) })
	}
	is := special{label: s.label, split: at("split"), id: at("id")}
	switch number, err := strconv.Atoi(label); {
	case label == NoLabel:
		is.label = -1
	case label == "":
		for i := 0; i < len(labelNames) && is.label < 0; i++ {
			is.label = at(labelNames[i])
		}
	case s.names == nil && err == nil && number >= 1 && number <= s.width:
		is.label = number - 1
	case at(label) >= 0:
		is.label = at(label)
	case s.names == nil:
		return is, fmt.Errorf("label column %q: the columns have no names: give a number from 1 to %d", label, s.width)
	default:
		return is, fmt.Errorf("label column %q: the columns are %s", label, quoteList(s.names))
	}
	if is == (special{-1, -1, -1, false}) {
		return is, nil
	}
	labels, ids, rows, split := map[string]bool{}, map[string]bool{}, 0, false
	err := s.each(func(_ int, cells []encoder.Cell) error {
		rows++
		labels[textAt(cells, is.label)] = true
		if text := textAt(cells, is.split); text != "" {
			_, err := parseSplit(text)
			split = split || err == nil // a split is one by its words: another that is then misspelt is a mistake
		}
		if id := textAt(cells, is.id); id != "" && len(id) <= maxIDBytes {
			ids[id] = true
		}
		return nil
	}, func(Skipped) {}) // the rows are read again
	if !split {
		is.split = -1
	}
	is.named = is.id >= 0 && len(ids) == rows
	if label == "" && is.label != s.label && len(labels) > max(fewClasses, rows/2) {
		is.label = -1
	}
	return is, err
}
