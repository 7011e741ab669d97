package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestBagRows: rows that are not stored have unit length and are nearly orthogonal, and two numbers have two rows.
func TestBagRows(t *testing.T) {
	const n, dim = 200, 128
	rows := NewMatrix(n, dim)
	for i := range n {
		BagRow(rows.Row(i), 1000+i)
	}
	square := 0.0
	for i := range n {
		for j := range i + 1 {
			dot := 0.0
			for k, v := range rows.Row(i) {
				dot += float64(v) * float64(rows.Row(j)[k])
			}
			if i == j {
				if math.Abs(dot-1) > 1e-5 {
					t.Fatalf("row %d has the squared length %g", i, dot)
				}
				continue
			}
			square += dot * dot
			if math.Abs(dot) > 0.6 {
				t.Fatalf("rows %d and %d have the cosine %g", i, j, dot)
			}
		}
	}
	if variance := square / (n * (n - 1) / 2); variance < 0.8/dim || variance > 1.2/dim {
		t.Errorf("the cosines of different rows have the variance %g, want 1/%d", variance, dim)
	}
}

// TestBagTouches: only rows of the batch have a gradient, those of the last batch have none any more, and a step of Adam on the rows alone is
// that on all for them, and leaves the others.
func TestBagTouches(t *testing.T) {
	s := BagShape{Batch: 2, Entries: 3, Fields: 2, Rows: 6, Out: 32} // whole vectors: the loops behind them round otherwise
	dev := mustCPU(t, 2, best)
	l := newLayer(t, dev, s)
	rng := rand.New(rand.NewPCG(1, 2))
	params, grads := randomParams(rng, s), gradsOf(dev, s)
	y, dy := dev.Alloc(2*s.Out), bufferOf(random(rng, 2*s.Out))
	for _, c := range []struct {
		x    []float32
		want []int
	}{
		{[]float32{4, 1, 2, 1, 4, 1 /**/, 2, 1, 9, 1, 0, 1}, []int{4, 2, 0}},
		{[]float32{1, 1, 5, 0, 3, 1 /**/, 5, 0.5, 5, 0.5, 5, 0.5}, []int{1, 5}}, // what comes behind weight 0 does not count
	} {
		x := bufferOf(c.x)
		l.Forward(2, x, params, y)
		l.Backward(2, x, params, y, dy, Buffer{}, grads)
		got := l.(Sparse).Touched()
		if !slices.Equal(got, c.want) {
			t.Fatalf("touched %v, want %v", got, c.want)
		}
		for row := range s.Rows {
			g := floats(grads[0])[row*s.Out:][:s.Out]
			if slices.ContainsFunc(g, func(v float32) bool { return v != 0 }) != slices.Contains(c.want, row) {
				t.Errorf("row %d has the gradient %v", row, g)
			}
		}
	}
	step := AdamStep{Rate: 0.1, Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8, Decay: 0.1, Step: 3}
	var state [2][]Buffer
	for i := range state {
		r := rand.New(rand.NewPCG(3, 4))
		for range 2 {
			state[i] = append(state[i], bufferOf(random(r, s.Rows*s.Out)))
		}
		v := random(r, s.Rows*s.Out)
		for j := range v {
			v[j] = v[j] * v[j]
		}
		state[i] = append(state[i], bufferOf(v))
		if i == 1 {
			step.Rows, step.Cols = []int{1, 5}, s.Out
		}
		dev.Adam(state[i][0], grads[0], state[i][1], state[i][2], step)
	}
	untouched := rand.New(rand.NewPCG(3, 4))
	for k := range 2 {
		before := random(untouched, s.Rows*s.Out)
		for row := range s.Rows {
			want := floats(state[0][k])
			if !slices.Contains(step.Rows, row) {
				want = before
			}
			mustEqual(t, "row", s.Out, floats(state[1][k])[row*s.Out:][:s.Out], want[row*s.Out:][:s.Out])
		}
	}
}
