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

type cpuCells struct {
	CellsShape
	sizes sizes
}

func (l cpuCells) Forward(n int, x Buffer, params []Buffer, y Buffer) {
	l.sizes.checkForward(n, x, params, y)
	h, w := l.Out()
	row, wide := l.Width*l.Channels, (w+2*l.OutPad)*CellFeatures*l.Channels
	for i := range n {
		img, out := floats(x)[i*l.Height*row:], floats(y)[i*l.Output():]
		for r := range h {
			for q := range w {
				from, to := img[r*l.Side*row+q*l.Side*l.Channels:], out[(r+l.OutPad)*wide+(q+l.OutPad)*CellFeatures*l.Channels:]
				for c := range l.Channels {
					l.describe(to[c*CellFeatures:][:CellFeatures], from[c:], row)
				}
			}
		}
	}
}

// describe writes the features of a channel's cell, whose rows are so many values apart.
func (l cpuCells) describe(to, from []float32, row int) {
	var sum, across, down float32
	low, high := from[0], from[0]
	step, side := l.Channels, l.Side*l.Channels
	for r := 0; r < l.Side*row; r += row {
		left := from[r]
		for at := r; at < r+side; at += step {
			v := from[at]
			sum += v
			if v < low {
				low = v
			}
			if v > high {
				high = v
			}
			across += abs(v - left)
			left = v
			if r > 0 {
				down += abs(v - from[at-row])
			}
		}
	}
	mean, pairs := sum/float32(l.Side*l.Side), float32(l.Side*(l.Side-1))
	to[0], to[1], to[2], to[3], to[4] = mean, root(high-mean), root(mean-low), root(across/pairs), root(down/pairs)
}

func abs(v float32) float32 { return math.Float32frombits(math.Float32bits(v) &^ (1 << 31)) }

// root is 0 below 0, where rounding leaves the mean beyond the highest value.
func root(v float32) float32 { return float32(math.Sqrt(float64(max(v, 0)))) }

// Backward does nothing.
func (l cpuCells) Backward(int, Buffer, []Buffer, Buffer, Buffer, Buffer, []Buffer) {}
