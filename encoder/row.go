package encoder

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// CellKind says what a cell holds.
type CellKind uint8

// Kinds of cells.
const (
	CellMissing CellKind = iota // no value
	CellNumber
	CellText
)

// Cell is a value of a row.
type Cell struct {
	Kind   CellKind
	Number float64
	Text   string // of a number as it is written
}

// Row is a row of a table.
type Row struct {
	Names []string // of the cells; nil where the row is an array
	Cells []Cell
}

// ParseRow reads a row: a JSON array of numbers, texts and nulls, or a JSON object of such by the names of their columns. True and false are the numbers
// 1 and 0; null and texts that Missing knows are no value. Errors wrap ErrInput.
func ParseRow(raw []byte) (r Row, err error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || raw[0] != '{' && raw[0] != '[' {
		return r, fmt.Errorf("%w: %d bytes that are no row: want a JSON array of its values, or an object of them by the names of their columns", ErrInput, len(raw))
	}
	if !json.Valid(raw) {
		var v any
		return r, fmt.Errorf("%w: a row that is no JSON: %v", ErrInput, json.Unmarshal(raw, &v))
	}
	p := rowParser{rest: raw[1:]}
	named := raw[0] == '{'
	for {
		switch p.peek() {
		case '}', ']':
			if len(r.Cells) == 0 {
				return r, fmt.Errorf("%w: a row without a value", ErrInput)
			}
			return r, nil
		case ',':
			p.rest = p.rest[1:]
			continue
		}
		name := ""
		if named {
			if name, err = p.text(); err != nil {
				return r, err
			}
			p.peek()
			p.rest = p.rest[1:] // the colon
		}
		c, err := p.cell()
		if err != nil {
			if !named {
				name = strconv.Itoa(len(r.Cells) + 1)
			}
			return r, fmt.Errorf("%w: column %s: %w", ErrInput, name, err)
		}
		if named {
			r.Names = append(r.Names, name)
		}
		r.Cells = append(r.Cells, c)
	}
}

// IsRow reports whether raw bytes are a row.
func IsRow(raw []byte) bool {
	if at := bytes.TrimLeft(raw[:min(len(raw), FormatBytes)], " \t\r\n"); len(at) == 0 || at[0] != '{' && at[0] != '[' {
		return false
	}
	_, err := ParseRow(raw)
	return err == nil
}

// rowParser walks through valid JSON.
type rowParser struct{ rest []byte }

// peek skips white space and returns the next byte.
func (p *rowParser) peek() byte {
	p.rest = bytes.TrimLeft(p.rest, " \t\r\n")
	return p.rest[0]
}

// text reads a string.
func (p *rowParser) text() (string, error) {
	end := 1
	for p.rest[end] != '"' {
		if p.rest[end] == '\\' {
			end++
		}
		end++
	}
	literal := p.rest[:end+1]
	p.rest = p.rest[end+1:]
	if bytes.IndexByte(literal, '\\') < 0 {
		return strings.ToValidUTF8(string(literal[1:end]), "\uFFFD"), nil
	}
	var s string
	err := json.Unmarshal(literal, &s)
	return s, err
}

// cell reads a value.
func (p *rowParser) cell() (Cell, error) {
	switch c := p.peek(); c {
	case '{', '[':
		return Cell{}, fmt.Errorf("%.20q: want a number, a text or null", p.rest)
	case '"':
		s, err := p.text()
		if err != nil || Missing(s) {
			return Cell{}, err
		}
		return Cell{Kind: CellText, Text: s}, nil
	}
	end := bytes.IndexAny(p.rest, " \t\r\n,]}")
	literal := string(p.rest[:end])
	p.rest = p.rest[end:]
	switch literal {
	case "null":
		return Cell{}, nil
	case "true":
		return Cell{CellNumber, 1, literal}, nil
	case "false":
		return Cell{CellNumber, 0, literal}, nil
	}
	v, err := finiteNumber(literal)
	return Cell{CellNumber, v, literal}, err
}

// finiteNumber reads a decimal number.
func finiteNumber(text string) (float64, error) {
	v, err := strconv.ParseFloat(text, 64)
	if (err != nil && !math.IsInf(v, 0)) || strings.ContainsAny(text, "xX_") {
		return 0, fmt.Errorf("%.40q: want a number", text)
	}
	if math.IsInf(v, 0) || math.IsNaN(v) {
		return 0, fmt.Errorf("%.40q: want a finite number, or null for none", text)
	}
	return v, nil
}

// Missing reports whether a text stands for no value: it is empty, or one of NA, N/A, NaN, null, none and ?, in letters of any case.
func Missing(text string) bool {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "", "na", "n/a", "nan", "null", "none", "?":
		return true
	}
	return false
}

// ParseCell makes a cell of a text: a number where it is one.
func ParseCell(text string) Cell {
	text = strings.TrimSpace(text)
	if Missing(text) {
		return Cell{}
	}
	if v, err := finiteNumber(text); err == nil {
		return Cell{CellNumber, v, text}
	}
	return Cell{Kind: CellText, Text: strings.ToValidUTF8(text, "\uFFFD")}
}

// AppendRow appends the JSON of a row to b, as ParseRow reads it.
func AppendRow(b []byte, r Row) []byte {
	opening, closing := byte('['), byte(']')
	if r.Names != nil {
		opening, closing = '{', '}'
	}
	b = append(b, opening)
	for i, c := range r.Cells {
		if i > 0 {
			b = append(b, ',')
		}
		if r.Names != nil {
			b = append(appendText(b, r.Names[i]), ':')
		}
		switch {
		case c.Kind == CellMissing:
			b = append(b, "null"...)
		case c.Kind == CellNumber && c.Text != "" && json.Valid([]byte(c.Text)):
			b = append(b, c.Text...)
		case c.Kind == CellNumber:
			b = strconv.AppendFloat(b, c.Number, 'g', -1, 64)
		default:
			b = appendText(b, c.Text)
		}
	}
	return append(b, closing)
}

func appendText(b []byte, s string) []byte {
	text, _ := json.Marshal(s) // a string always can be
	return append(b, text...)
}
