package kernel

import (
	"fmt"
	"math"
)

// CellFeatures is how many features CellsShape has of a channel.
const CellFeatures = 5

// CellsShape describes square cells of Side pixels of an image, each channel by five features of what it holds, which nothing trains: its mean,
// and the square roots of how far the highest and the lowest value are from it, and of how much a value differs from that right of it and from that below
// it, on average. Rows and columns that fill no cell are dropped. It has no gradient: nothing before it is trained.
//
//	x [Batch][Height][Width][Channels]
//	y [Batch][Height/Side+2·OutPad][Width/Side+2·OutPad][5·Channels]
type CellsShape struct {
	Batch, Height, Width, Channels int
	Side                           int // 2 or more
	OutPad                         int
}

// Out returns the height and width of y, its border not counted.
func (s CellsShape) Out() (h, w int) { return s.Height / s.Side, s.Width / s.Side }

// Validate reports the first value that no kernel can serve.
func (s CellsShape) Validate() error {
	if s.Batch < 1 || s.Channels < 1 || s.Side < 2 || s.Height < s.Side || s.Width < s.Side {
		return shapeError("cells", s)
	}
	if s.OutPad < 0 {
		return fmt.Errorf("kernel: cells with a border of %d: it must be at least 0", s.OutPad)
	}
	return nil
}

// Parameters are none.
func (s CellsShape) Parameters() []Parameter { return nil }

// Output returns the floats of one item of y.
func (s CellsShape) Output() int {
	h, w := s.Out()
	return (h + 2*s.OutPad) * (w + 2*s.OutPad) * CellFeatures * s.Channels
}

// Differentiable is always false.
func (s CellsShape) Differentiable() bool { return false }

// Flops returns 0: there is no product.
func (s CellsShape) Flops() int { return 0 }

// cellItems is how many items a thread describes at a time.
const cellItems = 8

type cpuCells struct {
	CellsShape
	sizes  sizes
	dev    *cpuDevice
	wide   int         // values of a row, whole registers of them
	rows   [][]float32 // of a thread at work: Side rows of an image, with zeros behind
	column [][]float32 // and what cellRows makes of them
}

func newCells(d *cpuDevice, s CellsShape) *cpuCells {
	lanes := max(1, d.tier.lanes)
	l := &cpuCells{CellsShape: s, sizes: sizesOf(s, s.Batch, s.Height*s.Width*s.Channels), dev: d, wide: (s.Width*s.Channels + lanes - 1) / lanes * lanes}
	for range (s.Batch + cellItems - 1) / cellItems {
		l.rows = append(l.rows, make([]float32, s.Side*l.stride()))
		l.column = append(l.column, make([]float32, CellFeatures*l.wide))
	}
	return l
}

// stride is how far rows are apart: there is room to look a pixel on.
func (l *cpuCells) stride() int { return l.wide + l.Channels }

func (l *cpuCells) Forward(n int, x Buffer, params []Buffer, y Buffer) {
	l.sizes.checkForward(n, x, params, y)
	size := l.Height * l.Width * l.Channels
	l.dev.parallel((n+cellItems-1)/cellItems, func(chunk int) {
		for i := chunk * cellItems; i < min(n, (chunk+1)*cellItems); i++ {
			l.describe(floats(y)[i*l.Output():][:l.Output()], floats(x)[i*size:][:size], l.rows[chunk], l.column[chunk])
		}
	})
}

// describe writes the features of an image's cells.
func (l *cpuCells) describe(out, img, rows, column []float32) {
	h, w := l.Out()
	row, stride, wide := l.Width*l.Channels, l.stride(), l.wide
	outRow := (w + 2*l.OutPad) * CellFeatures * l.Channels
	size, pairs := float32(l.Side*l.Side), float32(l.Side*(l.Side-1))
	sums, high, low, across, down := column[:wide], column[wide:2*wide], column[2*wide:3*wide], column[3*wide:4*wide], column[4*wide:]
	for r := range h {
		for i := range l.Side {
			copy(rows[i*stride:], img[(r*l.Side+i)*row:][:row])
		}
		if l.dev.tier.cellRows != nil {
			l.dev.tier.cellRows(&column[0], &rows[0], 4*stride, 4*l.Channels, l.Side, wide)
		} else {
			cellRowsReference(column, rows, stride, l.Channels, l.Side, wide)
		}
		to := out[(r+l.OutPad)*outRow+l.OutPad*CellFeatures*l.Channels:]
		for q := range w {
			for c := range l.Channels {
				at := q*l.Side*l.Channels + c
				sum, most, least, right, below := sums[at], high[at], low[at], across[at], down[at]
				for x := 1; x < l.Side; x++ {
					at += l.Channels
					sum, most, least, below = sum+sums[at], max(most, high[at]), min(least, low[at]), below+down[at]
					if x+1 < l.Side { // the last one's neighbour is in the next cell
						right += across[at]
					}
				}
				mean, f := sum/size, to[:CellFeatures]
				f[0], f[1], f[2], f[3], f[4] = mean, root(most-mean), root(mean-least), root(right/pairs), root(below/pairs)
				to = to[CellFeatures:]
			}
		}
	}
}

// cellRowsReference is tier.cellRows, with strides in values.
func cellRowsReference(out, rows []float32, stride, next, side, n int) {
	for j := range n {
		v := rows[j]
		sum, high, low, across, down := v, v, v, abs(rows[j+next]-v), float32(0)
		for r := 1; r < side; r++ {
			at := r*stride + j
			above := v
			v = rows[at]
			sum, high, low, across, down = sum+v, max(high, v), min(low, v), across+abs(rows[at+next]-v), down+abs(v-above)
		}
		out[j], out[n+j], out[2*n+j], out[3*n+j], out[4*n+j] = sum, high, low, across, down
	}
}

func abs(v float32) float32 { return math.Float32frombits(math.Float32bits(v) &^ (1 << 31)) }

// root is 0 below 0, where rounding leaves the mean beyond the highest value.
func root(v float32) float32 { return float32(math.Sqrt(float64(max(v, 0)))) }

// Backward does nothing.
func (l *cpuCells) Backward(int, Buffer, []Buffer, Buffer, Buffer, Buffer, []Buffer) {}
