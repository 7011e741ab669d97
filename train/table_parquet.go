package train

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"github.com/parquet-go/parquet-go"

	"github.com/akin-search/akin/encoder"
)

// openParquet opens the columns of a Parquet file that have one value a row; columns of lists and of groups are left out. What the library panics on is
// an error: it has had such on broken files.
func openParquet(path string) (s *sheet, err error) {
	s = &sheet{label: -1}
	var place []int // of a leaf: its column, or -1
	var nested []Skipped
	err = withParquet(path, func(f *parquet.File) error {
		for _, c := range f.Root().Columns() {
			column := -1
			if c.Leaf() && !c.Repeated() {
				column = len(s.names)
				s.names = append(s.names, strings.ToValidUTF8(c.Name(), "\uFFFD"))
			} else {
				nested = append(nested, Skipped{"column " + c.Name(), "lists and groups of values are left out"})
			}
			for range leaves(c) {
				place = append(place, column)
			}
		}
		return nil
	})
	s.names, s.width = distinctNames(s.names), len(s.names)
	s.each = func(use func(int, []encoder.Cell) error, skip func(Skipped)) error {
		for _, n := range nested {
			skip(n)
		}
		return withParquet(path, func(f *parquet.File) error { return s.eachParquet(f, place, use, skip) })
	}
	return s, err
}

// leaves counts the columns of values below c, and c itself if it is one.
func leaves(c *parquet.Column) (n int) {
	if c.Leaf() {
		return 1
	}
	for _, below := range c.Columns() {
		n += leaves(below)
	}
	return n
}

// withParquet opens a file for use.
func withParquet(path string, use func(*parquet.File) error) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a broken Parquet file: %v", p)
		}
		err = errors.Join(err, f.Close())
	}()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	opened, err := parquet.OpenFile(f, info.Size())
	if err != nil {
		return err
	}
	return use(opened)
}

func (s *sheet) eachParquet(f *parquet.File, place []int, use func(int, []encoder.Cell) error, skip func(Skipped)) error {
	number, cells, rows := 0, make([]encoder.Cell, s.width), make([]parquet.Row, 256)
	one := func(r parquet.Row) error {
		clear(cells)
		for _, v := range r {
			at := v.Column()
			if at < 0 || at >= len(place) || place[at] < 0 {
				continue
			}
			c := parquetCell(v)
			if c.Kind == encoder.CellNumber && math.IsInf(c.Number, 0) {
				skip(Skipped{fmt.Sprintf("row %d", number), fmt.Sprintf("column %s is %g: want a finite number, or none", s.names[place[at]], c.Number)})
				return nil
			}
			cells[place[at]] = c
		}
		if err := use(number, cells); err != nil {
			return fmt.Errorf("row %d: %w", number, err)
		}
		return nil
	}
	for _, g := range f.RowGroups() {
		if err := eachRow(g.Rows(), rows, func(r parquet.Row) error {
			defer func() { number++ }()
			return one(r)
		}); err != nil {
			return err
		}
	}
	return nil
}

// eachRow calls use for every row, and closes them.
func eachRow(from parquet.Rows, room []parquet.Row, use func(parquet.Row) error) (err error) {
	defer func() { err = errors.Join(err, from.Close()) }()
	for {
		n, err := from.ReadRows(room)
		for _, r := range room[:n] {
			if err := use(r); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// parquetCell makes a cell of a value.
func parquetCell(v parquet.Value) encoder.Cell {
	number := func(x float64) encoder.Cell {
		if math.IsNaN(x) {
			return encoder.Cell{}
		}
		return encoder.Cell{Kind: encoder.CellNumber, Number: x, Text: formatNumber(x)}
	}
	switch {
	case v.IsNull():
		return encoder.Cell{}
	case v.Kind() == parquet.Boolean && v.Boolean():
		return number(1)
	case v.Kind() == parquet.Boolean:
		return number(0)
	case v.Kind() == parquet.Int32:
		return number(float64(v.Int32()))
	case v.Kind() == parquet.Int64:
		return number(float64(v.Int64()))
	case v.Kind() == parquet.Float:
		return number(float64(v.Float()))
	case v.Kind() == parquet.Double:
		return number(v.Double())
	}
	text := encoder.ParseCell(string(v.ByteArray()))
	if text.Kind == encoder.CellNumber {
		text.Kind = encoder.CellText // it came as a text
	}
	return text
}
