package kernel

import "fmt"

// Matrix is a row-major float32 matrix in host memory: element (i, j) is Data[i*Cols+j].
type Matrix struct {
	Rows, Cols int
	Data       []float32
}

// NewMatrix returns a zeroed rows×cols matrix.
func NewMatrix(rows, cols int) Matrix {
	return Matrix{Rows: rows, Cols: cols, Data: make([]float32, rows*cols)}
}

// MatrixOf copies rows of cols floats each.
func MatrixOf(rows [][]float32, cols int) Matrix {
	m := NewMatrix(len(rows), cols)
	for i, row := range rows {
		copy(m.Row(i), row)
	}
	return m
}

// Row returns row i; writing to it writes to the matrix.
func (m Matrix) Row(i int) []float32 { return m.Data[i*m.Cols : (i+1)*m.Cols : (i+1)*m.Cols] }

// String returns the shape, as in "128×64".
func (m Matrix) String() string { return fmt.Sprintf("%d×%d", m.Rows, m.Cols) }
