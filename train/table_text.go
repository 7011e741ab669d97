package train

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/akin-search/akin/encoder"
)

// delimiters are what may stand between the values of a line.
const delimiters = ",;\t|"

// openText opens a file and passes over a mark of UTF-8, which spreadsheets write.
func openText(path string) (*os.File, *bufio.Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	r := bufio.NewReaderSize(f, 1<<16)
	if mark, err := r.Peek(3); err == nil && bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		if _, err := r.Discard(len(mark)); err != nil {
			return nil, nil, errors.Join(err, f.Close())
		}
	}
	return f, r, nil
}

// newCSV returns a reader of r's lines, with the delimiter that its first line has most of.
func newCSV(r *bufio.Reader) *csv.Reader {
	first, _ := r.Peek(1 << 14) // fewer where there are no more
	line, _, _ := bytes.Cut(first, []byte("\n"))
	c := csv.NewReader(r)
	most := 0
	for _, d := range delimiters {
		if n := strings.Count(string(line), string(d)); n > most {
			c.Comma, most = d, n
		}
	}
	c.FieldsPerRecord, c.TrimLeadingSpace, c.ReuseRecord = -1, c.Comma != '\t', true // of a line of tabs it would trim the empty values
	return c
}

// openCSV opens lines of values. The first line is one of names if none of its values is a number.
func openCSV(path string) (*sheet, error) {
	f, r, err := openText(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only: nothing to lose in closing
	first, err := newCSV(r).Read()
	if err == io.EOF {
		return nil, errors.New("it is empty")
	}
	if err != nil {
		return nil, err
	}
	s := &sheet{width: len(first), label: -1}
	if !slices.ContainsFunc(first, func(text string) bool { return encoder.ParseCell(text).Kind == encoder.CellNumber }) {
		s.names = distinctNames(first)
	}
	s.each = func(use func(int, []encoder.Cell) error, skip func(Skipped)) error {
		return s.eachLine(path, use, skip)
	}
	return s, nil
}

// distinctNames returns names without spaces around them, each once. A first column without a name is one of ids, as data frames write it.
func distinctNames(header []string) []string {
	seen := map[string]bool{}
	names := make([]string, len(header))
	for i, name := range header {
		if name = strings.ToValidUTF8(strings.TrimSpace(name), "\uFFFD"); name == "" {
			if name = fmt.Sprintf("column %d", i+1); i == 0 {
				name = "id"
			}
		}
		for n, plain := 2, name; seen[name]; n++ {
			name = fmt.Sprintf("%s_%d", plain, n)
		}
		seen[name], names[i] = true, name
	}
	return names
}

func (s *sheet) eachLine(path string, use func(int, []encoder.Cell) error, skip func(Skipped)) (err error) {
	f, r, err := openText(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	c := newCSV(r)
	if s.names != nil {
		if _, err := c.Read(); err != nil {
			return err
		}
	}
	cells := make([]encoder.Cell, s.width)
	for number := 0; ; number++ {
		record, err := c.Read()
		if err == io.EOF {
			return nil
		}
		var wrong *csv.ParseError
		if errors.As(err, &wrong) {
			skip(Skipped{fmt.Sprintf("line %d", wrong.Line), wrong.Err.Error()})
			continue
		}
		if err != nil {
			return err
		}
		line, _ := c.FieldPos(0)
		if len(record) != s.width {
			skip(Skipped{fmt.Sprintf("line %d", line), fmt.Sprintf("%d values, the first line has %d", len(record), s.width)})
			continue
		}
		for i, text := range record {
			cells[i] = encoder.ParseCell(text)
		}
		if err := use(number, cells); err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
	}
}

// openJSONL opens a JSON object or array a line. The columns of objects are all names that there are; a name that a row does not have is no value.
func openJSONL(path string) (*sheet, error) {
	s := &sheet{label: -1}
	seen := map[string]bool{}
	err := eachJSON(path, func(_ int, r encoder.Row) error {
		s.width = max(s.width, len(r.Cells))
		for _, name := range r.Names {
			if !seen[name] {
				seen[name], s.names = true, append(s.names, name)
			}
		}
		return nil
	}, func(Skipped) {}) // the rows are read again
	if err != nil {
		return nil, err
	}
	place := map[string]int{}
	for i, name := range s.names {
		place[name] = i
	}
	if s.names != nil {
		s.width = len(s.names)
	}
	s.each = func(use func(int, []encoder.Cell) error, skip func(Skipped)) error {
		cells := make([]encoder.Cell, s.width)
		return eachJSON(path, func(line int, r encoder.Row) error {
			if r.Names == nil && (s.names != nil || len(r.Cells) != s.width) {
				skip(Skipped{fmt.Sprintf("line %d", line), fmt.Sprintf("an array of %d values: others have names, or %d values", len(r.Cells), s.width)})
				return nil
			}
			clear(cells)
			for i, c := range r.Cells {
				at := i
				if r.Names != nil {
					at = place[r.Names[i]]
				}
				cells[at] = c
			}
			return use(line-1, cells)
		}, skip)
	}
	return s, nil
}

// eachJSON calls use for every line that is a row, with its number from 1.
func eachJSON(path string, use func(line int, r encoder.Row) error, skip func(Skipped)) (err error) {
	f, r, err := openText(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxManifestLine)
	for line := 1; lines.Scan(); line++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		row, err := encoder.ParseRow(lines.Bytes())
		if err != nil {
			skip(Skipped{fmt.Sprintf("line %d", line), err.Error()})
			continue
		}
		if err := use(line, row); err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("a line has more than %d bytes", maxManifestLine)
	}
	return lines.Err()
}

// firstNames returns the names of the columns as the first line has them, nil where there are none or it cannot be read.
func firstNames(path string) []string {
	f, r, err := openText(path)
	if err != nil {
		return nil
	}
	defer f.Close() // read only: nothing to lose in closing
	if first, _ := r.Peek(1); len(first) == 1 && (first[0] == '{' || first[0] == '[') {
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, maxManifestLine)
		lines.Scan()
		row, _ := encoder.ParseRow(lines.Bytes())
		return row.Names
	}
	names, _ := newCSV(r).Read()
	for i, name := range names {
		names[i] = strings.TrimSpace(name)
	}
	return names
}
