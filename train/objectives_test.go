package train

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/akin-search/akin/encoder/kernel"
)

// checkSlopes compares the gradient of f at the values of x, which f reads, with central differences.
func checkSlopes(t *testing.T, name string, x []float64, grad []float32, f func() float64) {
	t.Helper()
	const h = 1e-5
	worst, largest := 0.0, 0.0
	for i, keep := range x {
		x[i] = keep + h
		up := f()
		x[i] = keep - h
		down := f()
		x[i] = keep
		slope := (up - down) / (2 * h)
		largest = max(largest, math.Abs(slope))
		if d := math.Abs(slope - float64(grad[i])); !(d <= worst) {
			worst = d
		}
	}
	if !(worst <= 1e-5+1e-4*largest) {
		t.Errorf("%s: the gradient is off by %v, its largest entry is %v", name, worst, largest)
	}
}

func flat64(m kernel.Matrix) []float64 {
	v := make([]float64, len(m.Data))
	for i, x := range m.Data {
		v[i] = float64(x)
	}
	return v
}

// naiveArcFace is equation 3 with angles, on weights of any length.
func naiveArcFace(e, w []float64, classes, dim int, labels []int, s, m float64) float64 {
	sum, rows := 0.0, 0
	for i, y := range labels {
		if y >= classes {
			continue
		}
		rows++
		total, target := 0.0, 0.0
		for c := range classes {
			row := w[c*dim : (c+1)*dim]
			cos := dot64(e[i*dim:(i+1)*dim], row) / math.Sqrt(dot64(row, row))
			if c == y {
				sin := math.Sqrt(math.Max(0, 1-cos*cos))
				if math.Acos(cos)+m <= math.Pi {
					cos = cos*math.Cos(m) - sin*math.Sin(m)
				} else {
					cos -= m * math.Sin(m)
				}
				target = s * cos
			}
			total += math.Exp(s * cos)
		}
		sum += math.Log(total) - target
	}
	return sum / float64(max(rows, 1))
}

func TestArcFaceAgainstFormula(t *testing.T) {
	const classes, dim, rows = 5, 6, 12
	for seed := range uint64(4) {
		for _, margin := range []float32{0, 0.3, 1} {
			rng := rand.New(rand.NewPCG(seed, 21))
			a := NewArcFace(classes, dim, 0.1, margin, seed).(*arcFace)
			emb, grad := unitRows(rng, rows, dim, 3), kernel.NewMatrix(rows, dim)
			labels := make([]int, rows)
			for i := range labels {
				labels[i] = rng.IntN(classes)
			}
			labels[3] = classes + 7 // no class
			w := flat64(a.weights)
			for i := range dim { // one row opposite to its class: θ+m passes π
				emb.Row(5)[i] = -a.unit.Row(labels[5])[i]
			}
			e := flat64(emb)
			// Nudge it off the pole, where the slope of θ is infinite.
			e[5*dim] += 0.05
			emb.Data[5*dim] = float32(e[5*dim])
			e[5*dim] = float64(emb.Data[5*dim])
			f := func() float64 {
				return naiveArcFace(e, w, classes, dim, labels, 10, float64(margin))
			}
			got := float64(a.Loss(&Batch{Labels: labels}, emb, grad))
			if want := f(); math.IsNaN(want) || math.Abs(got-want) > 1e-5*(1+want) {
				t.Fatalf("seed %d, margin %v: loss %v, want %v", seed, margin, got, want)
			}
			checkSlopes(t, "embeddings", e, grad.Data, f)
			// dL/dw = the projected dL/dunit over |w|
			wGrad := kernel.NewMatrix(classes, dim)
			for c := range classes {
				g, u := a.grad.Row(c), a.unit.Row(c)
				along := float32(0)
				for i := range g {
					along += g[i] * u[i]
				}
				for i := range g {
					wGrad.Row(c)[i] = (g[i] - along*u[i]) / float32(lengthOf(a.weights.Row(c)))
				}
			}
			checkSlopes(t, "weights", w, wGrad.Data, f)
		}
	}
}

// The class weights learn: by themselves they find rows that do not move, and the first step of Adam is the rate.
func TestArcFaceLearns(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 22))
	a := NewArcFace(3, 8, 0.1, 0.2, 5).(*arcFace)
	emb, grad := unitRows(rng, 9, 8, 3), kernel.NewMatrix(9, 8)
	b := &Batch{Labels: []int{0, 1, 2, 0, 1, 2, 0, 1, 2}}
	for i := range 9 { // rows of a class are alike
		copy(emb.Row(i), emb.Row(i%3))
	}
	first := a.Loss(b, emb, grad)
	before := slices.Clone(a.weights.Data)
	a.Learn(0.01, 1)
	for i, w := range a.weights.Data {
		if d := math.Abs(float64(w - before[i])); d > 0.0101 {
			t.Fatalf("weight %d moved by %v at rate 0.01", i, d)
		}
	}
	for range 200 {
		a.Loss(b, emb, grad)
		a.Learn(0.01, 1)
	}
	if last := a.Loss(b, emb, grad); !(last < first/4) {
		t.Errorf("the loss went from %v to %v", first, last)
	}
	none := kernel.NewMatrix(2, 8)
	none.Data[0] = 7
	if l := a.Loss(&Batch{Labels: []int{3, 9}}, unitRows(rng, 2, 8, 3), none); l != 0 || none.Data[0] != 0 {
		t.Errorf("rows without a class: loss %v, gradient %v", l, none.Data)
	}
	emb.Data[2] = float32(math.NaN())
	if l := a.Loss(b, emb, grad); l == l {
		t.Errorf("NaN gives the loss %v", l)
	}
}

func TestMoCoAgainstFormula(t *testing.T) {
	const dim, rows, queue, temperature = 6, 5, 12, 0.2
	rng := rand.New(rand.NewPCG(1, 23))
	m := NewMoCo(temperature, queue, dim)
	type past struct {
		item int
		key  []float64
	}
	var all []past // the queue of the definition, oldest first
	for step := range 6 {
		items := rng.Perm(9)[:rows] // 9 items: some are in the queue
		b := &Batch{Items: items, Labels: make([]int, rows)}
		emb, keys, grad := unitRows(rng, rows, dim, 3), unitRows(rng, rows, dim, 3), kernel.NewMatrix(rows, dim)
		grad.Data[0] = 7
		m.Keys(b, keys)
		e, k := flat64(emb), flat64(keys)
		f := func() float64 {
			sum := 0.0
			for i, item := range items {
				q := e[i*dim : (i+1)*dim]
				positive := dot64(q, k[i*dim:(i+1)*dim]) / float64(float32(temperature))
				total := math.Exp(positive)
				for _, p := range all {
					if p.item != item {
						total += math.Exp(dot64(q, p.key) / float64(float32(temperature)))
					}
				}
				sum += math.Log(total) - positive
			}
			return sum / rows
		}
		got := float64(m.Loss(b, emb, grad))
		if want := f(); math.Abs(got-want) > 1e-5*(1+want) {
			t.Errorf("step %d: loss %v, want %v", step, got, want)
		}
		checkSlopes(t, fmt.Sprintf("step %d", step), e, grad.Data, f)
		clear(keys.Data) // the matrix is the trainer's
		for i, item := range items {
			all = append(all, past{item, slices.Clone(k[i*dim : (i+1)*dim])})
		}
		all = all[max(0, len(all)-queue):]
	}
	emb, grad, keys := unitRows(rng, rows, dim, 3), kernel.NewMatrix(rows, dim), unitRows(rng, rows, dim, 3)
	b := &Batch{Items: integers(rows), Labels: make([]int, rows)}
	if n := testing.AllocsPerRun(10, func() { m.Keys(b, keys); m.Loss(b, emb, grad) }); n != 0 && !raceDetector {
		t.Errorf("%v allocations a step", n)
	}
	emb.Data[1] = float32(math.NaN())
	m.Keys(b, keys)
	if l := m.Loss(b, emb, grad); l == l {
		t.Errorf("NaN gives the loss %v", l)
	}
}

// naiveAcross is SupCon of the rows e against memory rows, none of which is left out.
func naiveAcross(e [][]float64, labels []int, m [][]float64, among []int, temperature float64) float64 {
	sum, anchors := 0.0, 0
	for i := range e {
		total, part, positives := 0.0, 0.0, 0
		for j := range m {
			total += math.Exp(dot64(e[i], m[j]) / temperature)
		}
		for j := range m {
			if among[j] == labels[i] {
				part += math.Log(total) - dot64(e[i], m[j])/temperature
				positives++
			}
		}
		if positives > 0 {
			sum, anchors = sum+part/float64(positives), anchors+1
		}
	}
	return sum / float64(max(anchors, 1))
}

// The memory adds the loss against the last embeddings once it is full, and its gradient to the batch.
func TestMemoryAgainstFormula(t *testing.T) {
	const rows, dim, capacity = 6, 5, 15
	temperature := float64(float32(0.3))
	o := Options{Temperature: 0.3}
	m := newMemory("supcon", o.pairwise(LossSupCon), o.pairwise(LossSupCon), capacity, dim)
	rng := rand.New(rand.NewPCG(1, 24))
	var past [][]float64
	var pastLabels []int
	for step := range 6 {
		emb, grad := unitRows(rng, rows, dim, 3), kernel.NewMatrix(rows, dim)
		b := &Batch{Items: rng.Perm(40)[:rows], Labels: make([]int, rows)}
		for i := range b.Labels {
			b.Labels[i] = rng.IntN(3)
		}
		e := flat64(emb)
		f := func() float64 {
			var r [][]float64
			for i := range rows {
				r = append(r, e[i*dim:(i+1)*dim])
			}
			loss := naiveSupCon(temperature)(r, b.Labels)
			if len(past) == capacity {
				loss += naiveAcross(r, b.Labels, past, pastLabels, temperature)
			}
			return loss
		}
		got := float64(m.Loss(b, emb, grad))
		if want := f(); math.Abs(got-want) > 1e-5*(1+want) {
			t.Errorf("step %d: loss %v, want %v", step, got, want)
		}
		checkSlopes(t, fmt.Sprintf("step %d", step), e, grad.Data, f)
		past, pastLabels = append(past, widen(emb)...), append(pastLabels, b.Labels...)
		past, pastLabels = past[max(0, len(past)-capacity):], pastLabels[max(0, len(past)-capacity):]
		pastLabels = pastLabels[len(pastLabels)-len(past):]
	}
	emb, grad := unitRows(rng, rows, dim, 3), kernel.NewMatrix(rows, dim)
	b := &Batch{Items: integers(rows), Labels: []int{0, 0, 1, 1, 2, 2}}
	if n := testing.AllocsPerRun(10, func() { m.Loss(b, emb, grad) }); n != 0 && !raceDetector {
		t.Errorf("%v allocations a step", n)
	}
}

// Objectives that keep state go on bit by bit from their State, and refuse that of others.
func TestObjectivesRestore(t *testing.T) {
	const rows, dim = 6, 5
	o := Options{Temperature: 0.1, Margin: 0.2}
	labels := []int{0, 0, 1, 1, 2, 2}
	for name, fresh := range map[string]func() Objective{
		"arcface": func() Objective { return NewArcFace(3, dim, 0.1, 0.3, 1) },
		"moco":    func() Objective { return NewMoCo(0.1, 14, dim) },
		"memory":  func() Objective { return newMemory("m", o.pairwise(LossTriplet), o.pairwise(LossTriplet), 14, dim) },
	} {
		rng := rand.New(rand.NewPCG(2, 25))
		step := func(x Objective, emb, keys kernel.Matrix, items []int) (float32, []float32) {
			grad, b := kernel.NewMatrix(rows, dim), &Batch{Items: items, Labels: labels}
			if k, ok := x.(KeyObjective); ok {
				k.Keys(b, keys)
			}
			loss := x.Loss(b, emb, grad)
			if l, ok := x.(Learner); ok {
				l.Learn(0.01, 1)
			}
			return loss, grad.Data
		}
		one, two := fresh(), fresh()
		for i := range 9 {
			emb, keys, items := unitRows(rng, rows, dim, 3), unitRows(rng, rows, dim, 3), rng.Perm(100)[:rows]
			l1, g1 := step(one, emb, keys, items)
			if i >= 4 {
				l2, g2 := step(two, emb, keys, items)
				if l1 != l2 || !slices.Equal(g1, g2) {
					t.Errorf("%s, step %d: loss %v, restored %v", name, i, l1, l2)
				}
			}
			if i == 3 {
				if err := two.Restore(one.State()); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
		}
		state := one.State()
		short := append(slices.Clone(state[:len(state)-1]), state[len(state)-1][:0])
		for _, bad := range [][][]float32{nil, short, state[1:]} {
			if err := fresh().Restore(bad); !errors.Is(err, ErrCheckpoint) {
				t.Errorf("%s: a state of %v values: %v", name, sizesOf(bad), err)
			}
		}
	}
	damaged := newRecent(4, 2).state()
	damaged[3] = numbers(9, 0)
	if err := newRecent(4, 2).restore(damaged); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("a memory of 9 of 4: %v", err)
	}
	for _, n := range []int{0, 1, 1 << 30, math.MaxInt32, 8_000_000} {
		if got := integerOf(numbers(n)[0]); got != n {
			t.Errorf("%d became %d", n, got)
		}
	}
}
