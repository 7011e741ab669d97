package train

import (
	"bufio"
	"context"
	"fmt"
	"math"
	"os"
	"strconv"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/train/vectors"
)

// openVectors opens a file of one array.
func openVectors(format vectors.Format[float64]) func(path string) (*sheet, error) {
	return func(path string) (*sheet, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close() // read only: nothing to lose in closing
		rows, err := format(context.Background(), bufio.NewReaderSize(f, 1<<20), 0)
		if err != nil {
			return nil, err
		}
		return sheetOf(rows, nil), nil
	}
}

// openNpz opens arrays of rows and of labels, which become the last column.
func openNpz(path string) (*sheet, error) {
	rows, labels, err := vectors.Npz(context.Background(), path)
	if err != nil {
		return nil, err
	}
	return sheetOf(rows, labels), nil
}

// sheetOf makes a sheet of rows of numbers, and of labels, which may be nil.
func sheetOf(rows [][]float64, labels []string) *sheet {
	s := &sheet{label: -1}
	if len(rows) > 0 {
		s.width = len(rows[0])
	}
	if labels != nil {
		s.label = s.width
		s.width++
	}
	s.each = func(use func(int, []encoder.Cell) error, skip func(Skipped)) error {
		cells := make([]encoder.Cell, s.width)
	next:
		for number, values := range rows {
			for j, v := range values {
				cells[j] = encoder.Cell{Kind: encoder.CellNumber, Number: v, Text: formatNumber(v)}
				if math.IsNaN(v) {
					cells[j] = encoder.Cell{}
				} else if math.IsInf(v, 0) {
					skip(Skipped{fmt.Sprintf("row %d", number), fmt.Sprintf("value %d is %g: want a finite number, or NaN for none", j+1, v)})
					continue next
				}
			}
			if labels != nil {
				cells[s.label] = encoder.ParseCell(labels[number])
			}
			if err := use(number, cells); err != nil {
				return fmt.Errorf("row %d: %w", number, err)
			}
		}
		return nil
	}
	return s
}

// rowStore keeps raw rows: up to mostHeld bytes in memory, and the others in a file without a name, which is mapped until the process ends.
type rowStore struct {
	kept    [][]byte
	free    []byte // rows in memory share allocations
	held    int64
	file    *os.File
	out     *bufio.Writer
	lengths []int // of the rows in the file
}

// add keeps a row.
func (s *rowStore) add(raw []byte) error {
	if s.held+int64(len(raw)) <= mostHeld && s.file == nil {
		if len(s.free) < len(raw) {
			s.free = make([]byte, max(len(raw), 1<<18))
		}
		n := copy(s.free, raw)
		s.kept, s.free, s.held = append(s.kept, s.free[:n:n]), s.free[n:], s.held+int64(n)
		return nil
	}
	if s.file == nil {
		f, err := os.CreateTemp("", ".akin-rows-*")
		if err == nil {
			err = os.Remove(f.Name()) // only the name goes while it is open
		}
		if err != nil {
			return fmt.Errorf("rows beyond %d bytes go to a file: %w", mostHeld, err)
		}
		s.file, s.out = f, bufio.NewWriterSize(f, 1<<20)
	}
	s.lengths = append(s.lengths, len(raw))
	if _, err := s.out.Write(raw); err != nil {
		return fmt.Errorf("rows beyond %d bytes go to a file in %s: %w: make room there", mostHeld, os.TempDir(), err)
	}
	return nil
}

// rows returns all rows in their order.
func (s *rowStore) rows() ([][]byte, error) {
	if s.file == nil {
		return s.kept, nil
	}
	if err := s.out.Flush(); err != nil {
		return nil, fmt.Errorf("rows beyond %d bytes go to a file in %s: %w: make room there", mostHeld, os.TempDir(), err)
	}
	var size int64
	for _, n := range s.lengths {
		size += int64(n)
	}
	mapped, err := mapFile(s.file, size)
	if err != nil {
		return nil, fmt.Errorf("rows beyond %d bytes: %w", mostHeld, err)
	}
	for _, n := range s.lengths {
		s.kept, mapped = append(s.kept, mapped[:n:n]), mapped[n:]
	}
	return s.kept, s.file.Close()
}

// formatNumber writes a number as a label or an id is written.
func formatNumber(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
