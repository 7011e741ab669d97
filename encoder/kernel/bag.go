package kernel

import (
	"fmt"
	"math"
)

// BagFields is how many values an entry of a bag has at least: its row and its weight.
const BagFields = 2

// MaxBagRow is the largest row that an entry of a bag can name: a float32 holds every whole number up to it.
const MaxBagRow = 1<<24 - 1

// BagShape is an embedding bag: the sum of rows of a table, each times a weight. Of an entry's values the first is the row and the second the
// weight; others are passed over. A bag ends at its first entry of weight 0.
//
//	x [Batch][Entries][Fields]
//	w [Rows][Out]
//	y [Batch][Out] = Σ weight · w[row]
//
// A row of Rows or more is not stored: it is the one that BagRow makes of its number, and is not trained.
type BagShape struct{ Batch, Entries, Fields, Rows, Out int }

// Validate reports the first value that no kernel can serve.
func (s BagShape) Validate() error {
	if s.Batch < 1 || s.Entries < 1 || s.Rows < 1 || s.Out < 1 {
		return shapeError("embedding bag", s)
	}
	if s.Fields < BagFields {
		return fmt.Errorf("kernel: embedding bag of entries with %d values: it needs %d, the row and the weight", s.Fields, BagFields)
	}
	if s.Rows > MaxBagRow {
		return fmt.Errorf("kernel: embedding bag of %d rows: at most %d", s.Rows, MaxBagRow)
	}
	return nil
}

// Parameters are w.
func (s BagShape) Parameters() []Parameter { return []Parameter{{"w", s.Rows, s.Out, RoleTable}} }

// Output returns Out.
func (s BagShape) Output() int { return s.Out }

// Differentiable is always false: x names rows.
func (s BagShape) Differentiable() bool { return false }

// Flops returns 2·Entries·Out, of a bag that is full.
func (s BagShape) Flops() int { return 2 * s.Entries * s.Out }

// BagRow writes the unit row of a number: components of one size whose signs are drawn by SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable
// pseudorandom number generators") from it, so that the rows of two numbers are nearly orthogonal (Achlioptas 2003, "Database-friendly random
// projections").
func BagRow(dst []float32, row int) {
	size := float32(1 / math.Sqrt(float64(len(dst))))
	state, signs := uint64(row)*0xd1342543de82ef95, uint64(0)
	for i := range dst {
		if i%64 == 0 {
			state += 0x9e3779b97f4a7c15
			signs = (state ^ state>>30) * 0xbf58476d1ce4e5b9
			signs = (signs ^ signs>>27) * 0x94d049bb133111eb
			signs ^= signs >> 31
		}
		dst[i] = math.Float32frombits(math.Float32bits(size) | uint32(signs>>(i%64)&1)<<31)
	}
}

// cpuBag computes a bag item by item, and its gradient column block by column block: the order of the sums is that of the entries, whatever
// the threads.
type cpuBag struct {
	BagShape
	sizes             sizes
	dev               *cpuDevice
	blocks            int         // of columns
	touched           []int       // rows that the last gradient has
	marked            []bool      // those
	rows              [][]float32 // scratch, one a chunk of items: rows that are not stored
	n                 int         // items of the call in work
	x, table, y       []float32   // of the call in work; backward y is its gradient, and table that of w
	forward, backward func(int)
}

// bagChunk is how many items a thread takes at once.
const bagChunk = 16

func newBag(d *cpuDevice, s BagShape) *cpuBag {
	l := &cpuBag{BagShape: s, sizes: sizesOf(s, s.Batch, s.Entries*s.Fields), dev: d, blocks: max(1, min(d.threads, s.Out/16)), touched: []int{}}
	for range (s.Batch + bagChunk - 1) / bagChunk {
		l.rows = append(l.rows, make([]float32, s.Out))
	}
	l.forward = func(chunk int) {
		for i := chunk * bagChunk; i < min((chunk+1)*bagChunk, l.n); i++ {
			out := l.y[i*l.Out:][:l.Out]
			clear(out)
			l.each(i, func(row int, weight *float32) {
				if row < l.Rows {
					l.dev.tier.plus(out, l.table[row*l.Out:][:l.Out], weight)
					return
				}
				BagRow(l.rows[chunk], row)
				l.dev.tier.plus(out, l.rows[chunk], weight)
			})
		}
	}
	l.backward = func(block int) {
		lo, hi := chunk(block, l.blocks, l.Out)
		for i := range l.n {
			g := l.y[i*l.Out:][lo:hi]
			l.each(i, func(row int, weight *float32) {
				if row < l.Rows {
					l.dev.tier.plus(l.table[row*l.Out+lo:row*l.Out+hi], g, weight)
				}
			})
		}
	}
	return l
}

// each calls use with the entries of item i.
func (l *cpuBag) each(i int, use func(row int, weight *float32)) {
	item := l.x[i*l.Entries*l.Fields:][:l.Entries*l.Fields]
	for e := 0; e < len(item); e += l.Fields {
		if item[e+1] == 0 {
			return
		}
		use(int(item[e]), &item[e+1])
	}
}

func (l *cpuBag) Forward(n int, x Buffer, params []Buffer, y Buffer) {
	l.sizes.checkForward(n, x, params, y)
	l.n, l.x, l.table, l.y = n, floats(x), floats(params[0]), floats(y)
	l.dev.parallel((n+bagChunk-1)/bagChunk, l.forward)
}

// Backward computes dw[row] = Σ weight·dy, and leaves the other rows at 0: those of the last call are cleared. grads[0] is the same Buffer in
// all calls, and zeroed at first.
func (l *cpuBag) Backward(n int, x Buffer, params []Buffer, y, dy, dx Buffer, grads []Buffer) {
	l.sizes.checkBackward(n, x, params, y, dy, dx, grads)
	l.n, l.x, l.table, l.y = n, floats(x), floats(grads[0]), floats(dy)
	if l.marked == nil {
		l.marked = make([]bool, l.Rows)
	}
	for _, row := range l.touched {
		clear(l.table[row*l.Out:][:l.Out])
		l.marked[row] = false
	}
	l.touched = l.touched[:0]
	for i := range n {
		l.each(i, func(row int, _ *float32) {
			if row < l.Rows && !l.marked[row] {
				l.marked[row] = true
				l.touched = append(l.touched, row)
			}
		})
	}
	l.dev.parallel(l.blocks, l.backward)
}

// Touched implements Sparse.
func (l *cpuBag) Touched() []int { return l.touched }
