package train

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A list of texts has them in its cells, and a first line that names the columns:
//
//	text,label,split              {"text": "where is my card", "label": "card_arrival"}
//	where is my card,card,train   {"text_a": "where is my card", "text_b": "my card is lost", "score": 0.4}
//
// on the left as CSV (RFC 4180; .tsv: between tabs, without quotes), on the right as JSON, a line each. A text may also be called sentence, utterance
// or the like, a label intent, category or class; pairs have two columns, as text_a and text_b or question1 and question2, and a score: numbers
// of any range, which becomes 0 to 1, or two values, as 0 and 1; without that column all are alike. A split is as in a manifest. Where no column has such a name, the one whose cells are
// mostly different sentences is the text, and the only other one, if it repeats itself, the label.

// Names of columns, in small letters, with _ for blanks. The first is the usual one.
var (
	textNames  = []string{"text", "sentence", "utterance", "question", "query", "message", "content", "body", "document", "comment", "review"}
	leftNames  = []string{"text_a", "sentence1", "question1", "text1", "sentence_a", "sentence_1", "question_a", "question_1", "text_1", "s1", "premise"}
	rightNames = []string{"text_b", "sentence2", "question2", "text2", "sentence_b", "sentence_2", "question_b", "question_2", "text_2", "s2", "hypothesis"}
	classNames = []string{"label", "intent", "category", "class", "topic"}
	scoreNames = []string{"score", "similarity", "label", "duplicate", "is_duplicate", "paraphrase", "is_paraphrase", "relatedness_score", "gold_label"}
	splitNames = []string{"split"}
	idNames    = []string{"id"}
)

// textColumns are the columns of a list of texts: places, -1 for none.
type textColumns struct {
	text, first, other, label, score, split, id int
}

// columnNamed returns the place of the first of names that header has, -1 if none.
func columnNamed(header, names []string) int {
	for _, name := range names {
		for i, h := range header {
			if strings.ReplaceAll(strings.ToLower(strings.TrimSpace(h)), " ", "_") == name {
				return i
			}
		}
	}
	return -1
}

// Cells tell a column of texts without a name by which it is known, by the first textSample rows: a sentence has sentenceWords or more.
const (
	textSample    = 200
	sentenceWords = 3
)

// textColumnsIn finds the columns of a list of texts by what is in the cells: one column has sentences in more than half of them, nine of ten
// different from the others, and of the rest one at most is not called label, split or id: with more it is a table.
func textColumnsIn(header []string, rows [][]string) (c textColumns, ok bool) {
	c = textColumns{text: -1, first: -1, other: -1, label: columnNamed(header, classNames), score: -1, split: columnNamed(header, splitNames), id: columnNamed(header, idNames)}
	var rest []int // that repeat themselves, of others
	others := 0
	for i := range header {
		if i == c.label || i == c.split || i == c.id {
			continue
		}
		sentences, seen := 0, map[string]bool{}
		for _, row := range rows {
			if seen[row[i]] = true; len(strings.Fields(row[i])) >= sentenceWords {
				sentences++
			}
		}
		switch {
		case 2*sentences <= len(rows) || 10*len(seen) < 9*len(rows):
			if others++; 2*len(seen) <= len(rows) {
				rest = append(rest, i)
			}
		case c.text >= 0:
			return c, false
		default:
			c.text = i
		}
	}
	if c.label < 0 && len(rest) == 1 {
		c.label = rest[0]
	}
	return c, c.text >= 0 && others <= 1
}

// textColumnsOf finds the columns of a list of texts by their names. It is none where a column is called path, or none is a text.
func textColumnsOf(header []string) (c textColumns, ok bool) {
	if columnNamed(header, []string{"path"}) >= 0 {
		return c, false
	}
	c = textColumns{text: columnNamed(header, textNames), first: columnNamed(header, leftNames), other: columnNamed(header, rightNames),
		split: columnNamed(header, splitNames), id: columnNamed(header, idNames), label: -1, score: -1}
	switch {
	case c.first >= 0 && c.other >= 0:
		c.text, c.score = -1, columnNamed(header, scoreNames)
	case c.text >= 0:
		c.first, c.other, c.label = -1, -1, columnNamed(header, classNames)
	}
	return c, c.first >= 0 && c.other >= 0 || c.text >= 0
}

// textRow is a row of a list of texts, as it stands there.
type textRow struct {
	line           int
	id             string
	split          split
	text, other    string // other of a pair
	label          string // or the score of a pair
	score          float64
	reason, column string // why it is left out, "" if it is not
}

// IsTextList reports whether a list, a manifest by its name, has texts in its cells: a column of texts by its name, or two of pairs. An unreadable
// file is none.
func IsTextList(file string) bool {
	l, err := openTextList(file)
	if err != nil {
		return false
	}
	defer l.Close() // read only: nothing to lose in closing
	_, ok := l.columns()
	return ok
}

// textList is an open list of texts.
type textList struct {
	*os.File
	header []string
	next   func() ([]string, int, error) // the cells of the next row, with its line; io.EOF at the end
	ahead  []listedCells                 // rows that were looked at
}

type listedCells struct {
	record []string
	line   int
	err    error
}

// openTextList reads the names of the columns.
func openTextList(file string) (l *textList, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	l = &textList{File: f}
	r := bufio.NewReader(f)
	switch strings.ToLower(filepath.Ext(file)) {
	case ".csv":
		l.next, l.header, err = csvCells(r)
	case ".tsv":
		l.header, _, err = listHeader(file, r)
		l.next = tabCells(r)
	default:
		if l.header, _, err = listHeader(file, r); err == nil {
			l.next = jsonCells(r, l.header)
		}
	}
	if err != nil {
		f.Close() // read only, and it is err that says what is wrong
		return nil, err
	}
	return l, nil
}

// columns finds the columns by their names, or by the first rows.
func (l *textList) columns() (c textColumns, ok bool) {
	if c, ok = textColumnsOf(l.header); ok || columnNamed(l.header, []string{"path"}) >= 0 {
		return c, ok
	}
	var whole [][]string
	for len(l.ahead) < textSample {
		record, line, err := l.next()
		l.ahead = append(l.ahead, listedCells{record, line, err})
		if err != nil && line == 0 { // the end, or nothing can be read behind
			break
		}
		if err == nil && len(record) == len(l.header) {
			whole = append(whole, record)
		}
	}
	return textColumnsIn(l.header, whole)
}

// cells returns those of the next row, with its line; io.EOF at the end.
func (l *textList) cells() ([]string, int, error) {
	if len(l.ahead) == 0 {
		return l.next()
	}
	c := l.ahead[0]
	l.ahead = l.ahead[1:]
	return c.record, c.line, c.err
}

// listHeader returns the names of a list's columns. Of CSV and TSV it reads the first line; of JSON it leaves all of it.
func listHeader(file string, r *bufio.Reader) (header []string, lines int, err error) {
	if mark, err := r.Peek(len(utf8Mark)); err == nil && string(mark) == utf8Mark {
		if _, err := r.Discard(len(mark)); err != nil {
			return nil, 0, err
		}
	}
	switch strings.ToLower(filepath.Ext(file)) {
	case ".csv":
		c := csv.NewReader(r)
		header, err = c.Read()
	case ".tsv":
		var line string
		line, err = r.ReadString('\n')
		if line != "" {
			header, err = tabbed(line), nil
		}
	default:
		start, _ := r.Peek(r.Size())
		for _, line := range bytes.SplitAfter(start, []byte("\n")) {
			if line = bytes.TrimSpace(line); len(line) == 0 {
				continue
			}
			d := json.NewDecoder(bytes.NewReader(line))
			return jsonNames(d), 0, nil
		}
	}
	return header, 1, err
}

// utf8Mark is the byte order mark of UTF-8, which spreadsheets write.
const utf8Mark = "\xef\xbb\xbf"

// jsonNames returns the names of an object's fields, as far as it can be read.
func jsonNames(d *json.Decoder) (names []string) {
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			break
		}
		names = append(names, name)
		var skipped json.RawMessage
		if d.Decode(&skipped) != nil {
			break
		}
	}
	return names
}

// tabbed returns the fields of a line of TSV. Quotes around a field, as spreadsheets write them, are taken off.
func tabbed(line string) []string {
	fields := strings.Split(strings.TrimRight(line, "\r\n"), "\t")
	for i, f := range fields {
		if len(f) > 1 && f[0] == '"' && f[len(f)-1] == '"' {
			if inner := f[1 : len(f)-1]; !strings.Contains(strings.ReplaceAll(inner, `""`, ""), `"`) {
				fields[i] = strings.ReplaceAll(inner, `""`, `"`)
			}
		}
	}
	return fields
}

// TextList reads the texts, or pairs of them, that a list has in its cells. The id of a text is what the column id says, or the number of its line,
// with a or b for the two of a pair; a text that pairs have several times is one item. Rows that cannot be used are skipped and named. No text at all
// is an error wrapping ErrDataset.
func TextList(file string, part Rows) (out Listed, err error) {
	bad := func(err error) (Listed, error) { return out, fmt.Errorf("%w: %s: %w", ErrDataset, file, err) }
	rows, paired, err := readTextList(file)
	if err != nil {
		return bad(err)
	}
	if paired {
		if err := rescale(rows); err != nil {
			return bad(err)
		}
	}
	kept := rows[:0:0]
	var test []textRow
	for _, r := range rows {
		if r.split == splitTest {
			test = append(test, r)
		} else {
			kept = append(kept, r)
		}
	}
	if out.Left = len(test); part == RowsTest && len(test) > 0 {
		kept, out.Left = test, len(kept)
	}
	l := textLister{Listed: &out, seen: map[string]bool{}, texts: map[string]string{}, learned: map[string]bool{}, aside: map[string]bool{}}
	for _, r := range kept {
		if paired && part == RowsTraining && r.split != splitValidation {
			l.learned[r.text], l.learned[r.other] = true, true
		}
	}
	for _, r := range kept {
		l.add(r, paired)
	}
	if out.Dataset.Len() == 0 {
		return bad(fmt.Errorf("no text in %d rows%s", len(kept), firstOf(out.Skipped)))
	}
	out.Dataset.name(l.labels)
	out.Dataset.keepAside(func(i int) bool { return l.aside[out.Dataset.IDs[i]] })
	return out, nil
}

// textLister gathers the rows of a list.
type textLister struct {
	*Listed
	seen   map[string]bool   // ids
	texts  map[string]string // of pairs: the id of each
	labels []string

	learned map[string]bool // texts of pairs that are not kept aside
	aside   map[string]bool // ids that are
}

func (l *textLister) add(r textRow, paired bool) {
	skip := func(reason string) {
		l.Skipped = append(l.Skipped, Skipped{Path: fmt.Sprintf("line %d", r.line), Reason: reason})
	}
	id := r.id
	if id == "" {
		id = strconv.Itoa(r.line)
	}
	switch {
	case r.reason != "":
		skip(r.reason)
	case strings.TrimSpace(r.text) == "" || paired && strings.TrimSpace(r.other) == "":
		skip("a text is empty")
	case len(id) >= maxIDBytes:
		skip(fmt.Sprintf("the id has %d bytes, it may have %d", len(id), maxIDBytes-1))
	case l.seen[id]:
		skip(fmt.Sprintf("the id %q is listed again: the first counts", id))
	case r.split == splitValidation && (l.learned[r.text] || l.learned[r.other]): // neither new nor to be learned from
		skip("it is of split validation, and a text of it is in a row that is learned from")
	case paired:
		l.seen[id] = true
		a, b := l.item(id+"a", r.text), l.item(id+"b", r.other)
		l.Dataset.Pairs = append(l.Dataset.Pairs, Pair{A: a, B: b, Score: r.score})
		l.aside[a], l.aside[b] = r.split == splitValidation, r.split == splitValidation
	default:
		l.seen[id] = true
		l.append(id, r.text, r.label)
		l.aside[id] = r.split == splitValidation
	}
}

// item returns the id of a text of a pair, which it adds where it is new.
func (l *textLister) item(id, text string) string {
	if known, ok := l.texts[text]; ok {
		return known
	}
	l.texts[text] = id
	l.append(id, text, "")
	return id
}

func (l *textLister) append(id, text, label string) {
	d := &l.Dataset
	d.IDs, d.Raw, l.labels = append(d.IDs, id), append(d.Raw, []byte(text)), append(l.labels, label)
}

// alikeScore is that of a pair in a list without scores.
const alikeScore = "1"

// rescale reads the scores of pairs and brings them to 0 to 1, by the least and the largest. Rows without one are to be left out. All may be 1: alike.
func rescale(rows []textRow) error {
	low, high := math.Inf(1), math.Inf(-1)
	for i := range rows {
		r := &rows[i]
		if r.reason != "" {
			continue
		}
		var err error
		switch strings.ToLower(r.label) {
		case "true", "yes", "duplicate", "paraphrase":
			r.score = 1
		case "false", "no", "not_duplicate", "not_paraphrase":
			r.score = 0
		default:
			if r.score, err = strconv.ParseFloat(r.label, 64); err != nil || math.IsNaN(r.score) || math.IsInf(r.score, 0) {
				r.reason = fmt.Sprintf("%s %q is no number: want a score, or 1 and 0 for pairs that are alike and not", r.column, r.label)
				continue
			}
		}
		low, high = min(low, r.score), max(high, r.score)
	}
	if low == 1 && high == 1 {
		return nil
	}
	if !(low < high) {
		return fmt.Errorf("of %d pairs none has another score than the others: want two kinds, or grades, or 1 for all that are alike", len(rows))
	}
	for i := range rows {
		rows[i].score = (rows[i].score - low) / (high - low)
	}
	return nil
}

// readTextList reads the rows of a list, and tells whether they are of pairs.
func readTextList(file string) (rows []textRow, paired bool, err error) {
	l, err := openTextList(file)
	if err != nil {
		return nil, false, err
	}
	defer l.Close() // read only: nothing to lose in closing
	header := l.header
	c, ok := l.columns()
	if !ok {
		return nil, false, fmt.Errorf("the columns are %s, and none is a text: name one %s, or two %s and %s", quoteList(header), textNames[0], leftNames[0], rightNames[0])
	}
	paired = c.text < 0
	for {
		record, line, err := l.cells()
		if err == io.EOF {
			return rows, paired, nil
		}
		row := textRow{line: line}
		if err != nil {
			if row.reason = err.Error(); line == 0 {
				return nil, paired, err
			}
			rows = append(rows, row)
			continue
		}
		field := func(i int) string {
			if i < 0 {
				return ""
			}
			return strings.TrimSpace(record[i])
		}
		if len(record) != len(header) {
			row.reason = fmt.Sprintf("it has %d columns, the first line has %d", len(record), len(header))
			rows = append(rows, row)
			continue
		}
		row.id = field(c.id)
		if row.split, err = parseSplit(field(c.split)); err != nil {
			return nil, paired, fmt.Errorf("line %d %w", line, err)
		}
		if paired {
			row.text, row.other, row.label = field(c.first), field(c.other), alikeScore
			if c.score >= 0 {
				row.label, row.column = field(c.score), header[c.score]
			}
		} else {
			row.text, row.label = field(c.text), field(c.label)
		}
		rows = append(rows, row)
	}
}

func csvCells(r *bufio.Reader) (func() ([]string, int, error), []string, error) {
	if mark, err := r.Peek(len(utf8Mark)); err == nil && string(mark) == utf8Mark {
		if _, err := r.Discard(len(mark)); err != nil {
			return nil, nil, err
		}
	}
	c := csv.NewReader(r)
	header, err := c.Read()
	if err == io.EOF {
		err = errors.New("it is empty: want a first line text,label")
	}
	return func() ([]string, int, error) {
		record, err := c.Read()
		if err == io.EOF {
			return nil, 0, err
		}
		var parse *csv.ParseError
		if errors.As(err, &parse) && errors.Is(err, csv.ErrFieldCount) {
			return record, parse.Line, nil // who asks says it
		}
		if err != nil {
			return nil, 0, err // a quote that does not end: what follows would be read wrongly
		}
		line, _ := c.FieldPos(0)
		return record, line, nil
	}, header, err
}

func tabCells(r *bufio.Reader) func() ([]string, int, error) {
	line := 1
	return func() ([]string, int, error) {
		for {
			text, err := r.ReadString('\n')
			line++
			if text == "" && err != nil {
				return nil, 0, err
			}
			if strings.TrimSpace(text) != "" {
				return tabbed(text), line, nil
			}
		}
	}
}

func jsonCells(r *bufio.Reader, header []string) func() ([]string, int, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxManifestLine)
	line := 0
	return func() ([]string, int, error) {
		for lines.Scan() {
			line++
			if len(bytes.TrimSpace(lines.Bytes())) == 0 {
				continue
			}
			var o map[string]json.RawMessage
			if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
				return nil, line, fmt.Errorf("it is no JSON object: %w", err)
			}
			record := make([]string, len(header))
			for i, name := range header {
				if raw, ok := o[name]; ok {
					record[i] = jsonText(raw)
				}
			}
			return record, line, nil
		}
		if errors.Is(lines.Err(), bufio.ErrTooLong) {
			return nil, 0, fmt.Errorf("line %d has more than %d bytes", line+1, maxManifestLine)
		}
		if lines.Err() != nil {
			return nil, 0, lines.Err()
		}
		return nil, 0, io.EOF
	}
}

// jsonText returns a string, or a number or another value as it is written, "" for null.
func jsonText(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil || string(raw) == "null" {
		return text
	}
	return string(raw)
}
