package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/akin-search/akin/encoder/kernel"
)

// clusters returns unit rows around random directions, one a class, and the classes; row i is of class i mod classes.
func clusters(rows, classes, dim int, spread float64, seed uint64) (kernel.Matrix, []int) {
	rng := rand.New(rand.NewPCG(seed, 1))
	centres := make([]float64, classes*dim)
	for i := range centres {
		centres[i] = rng.NormFloat64()
	}
	m, labels := kernel.NewMatrix(rows, dim), make([]int, rows)
	for i := range rows {
		labels[i] = i % classes
		row, length := m.Row(i), 0.0
		for j := range row {
			v := centres[labels[i]*dim+j] + spread*rng.NormFloat64()
			row[j] = float32(v)
			length += v * v
		}
		for j := range row {
			row[j] /= float32(math.Sqrt(length))
		}
	}
	return m, labels
}

// keep returns labels with all but the first few of each class taken away.
func keep(labels []int, perClass int) []int {
	given, count := make([]int, len(labels)), map[int]int{}
	for i, l := range labels {
		if given[i] = Unlabelled; count[l] < perClass {
			given[i] = l
			count[l]++
		}
	}
	return given
}

// densePropagation is Propagate from its formulas: all pairs, Gaussian elimination, float64.
func densePropagation(emb kernel.Matrix, labels []int, o PropagateOptions) (best []int, confidence []float64) {
	n := emb.Rows
	k := min(o.Neighbours, n-1)
	distance := func(i, j int) float64 { return 1 - dot(emb.Row(i), emb.Row(j)) }
	near, ends := make([][]int, n), make([]float64, n)
	for i := range n {
		for j := range n {
			if j != i {
				near[i] = append(near[i], j)
			}
		}
		slices.SortFunc(near[i], func(a, b int) int {
			if distance(i, a) < distance(i, b) {
				return -1
			}
			return 1
		})
		near[i] = near[i][:k]
		ends[i] = distance(i, near[i][k-1])
	}
	slices.Sort(ends)
	scale := ends[n/2]
	w, degree := make([][]float64, n), make([]float64, n)
	for i := range w {
		w[i] = make([]float64, n)
	}
	for i := range n {
		for _, j := range near[i] {
			a := math.Exp(-o.Sharpness * distance(i, j) / scale)
			w[i][j] += a
			w[j][i] += a
		}
	}
	for i := range n {
		for j := range n {
			degree[i] += w[i][j]
		}
	}
	classes := slices.Max(labels) + 1
	count := make([]float64, classes)
	for _, l := range labels {
		if l != Unlabelled {
			count[l]++
		}
	}
	var certain []float64
	best, confidence, certain = denseSpread(w, degree, labels, labels, count, o.Alpha)
	for _, part := range growth {
		if sumOf(count) >= fewSeeds*float64(classes) {
			break
		}
		from := slices.Clone(labels)
		for c := range classes {
			order := make([]int, 0, n)
			for i := range n {
				if labels[i] == Unlabelled && best[i] == c {
					order = append(order, i)
				}
			}
			slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(certain[b], certain[a]) })
			given := sumOf(count)
			for at := range order {
				if float64(at)+count[c] < part*float64(n)*count[c]/given {
					from[order[at]] = c
				}
			}
		}
		best, confidence, certain = denseSpread(w, degree, labels, from, count, min(o.Alpha, growthAlpha))
	}
	return best, confidence
}

func sumOf(v []float64) (sum float64) {
	for _, x := range v {
		sum += x
	}
	return sum
}

// denseSpread spreads the labels from, among which are those given, count of each class.
func denseSpread(w [][]float64, degree []float64, labels, from []int, count []float64, alpha float64) (best []int, confidence, certain []float64) {
	n, classes := len(w), len(count)
	system := make([][]float64, n) // [I − αS | Y]
	for i := range system {
		system[i] = make([]float64, n+classes)
		for j := range n {
			system[i][j] = -alpha * w[i][j] / math.Sqrt(degree[i]*degree[j])
		}
		system[i][i]++
		if from[i] != Unlabelled {
			system[i][n+from[i]] = 1
		}
	}
	for p := range n { // Gauss–Jordan; the matrix is positive definite, so it needs no pivoting
		for i := range n {
			if i == p {
				continue
			}
			factor := system[i][p] / system[p][p]
			for j := p; j < n+classes; j++ {
				system[i][j] -= factor * system[p][j]
			}
		}
	}
	mass := make([]float64, classes)
	for i, l := range labels {
		if l != Unlabelled {
			continue
		}
		for c := range classes {
			mass[c] += system[i][n+c] / system[i][i]
		}
	}
	best, confidence, certain = slices.Clone(labels), make([]float64, n), make([]float64, n)
	for i, l := range labels {
		if confidence[i] = 1; l != Unlabelled {
			continue
		}
		share, total := make([]float64, classes), 0.0
		for c := range share {
			share[c] = system[i][n+c] / system[i][i] / mass[c] * count[c]
			total += share[c]
		}
		entropy := 0.0
		for c, f := range share {
			entropy -= f / total * math.Log(f/total)
			if best[i] == Unlabelled || f > share[best[i]] {
				best[i] = c
			}
		}
		confidence[i], certain[i] = 1-entropy/math.Log(float64(classes)), share[best[i]]/total
	}
	return best, confidence, certain
}

// TestPropagateIsTheClosedForm: labels and confidences are those of (I − αS)⁻¹Y, for few classes and for more than are solved for together.
func TestPropagateIsTheClosedForm(t *testing.T) {
	for _, test := range []struct {
		rows, classes, given int
		o                    PropagateOptions
	}{
		{90, 3, 1, PropagateOptions{}},
		{90, 3, 5, PropagateOptions{}},
		{120, 4, 2, PropagateOptions{Neighbours: 5, Alpha: 0.9, Sharpness: 1}},
		{160, 40, 1, PropagateOptions{Neighbours: 12, Alpha: 0.99}},
	} {
		t.Run(fmt.Sprintf("%d of %d, %d given", test.classes, test.rows, test.given), func(t *testing.T) {
			emb, truth := clusters(test.rows, test.classes, 6, 0.8, 5)
			given := keep(truth, test.given)
			got, err := Propagate(t.Context(), emb, given, test.o)
			if err != nil {
				t.Fatal(err)
			}
			test.o.SetDefaults()
			want, confidence := densePropagation(emb, given, test.o)
			doubtful := 0
			for i := range want {
				if math.Abs(got.Confidence[i]-confidence[i]) > 1e-4 {
					t.Errorf("row %d has confidence %.6f, want %.6f", i, got.Confidence[i], confidence[i])
				}
				if got.Labels[i] != want[i] {
					t.Errorf("row %d has label %d, want %d", i, got.Labels[i], want[i])
				}
				if confidence[i] < 0.9 {
					doubtful++
				}
			}
			if doubtful < 10 {
				t.Errorf("only %d rows are doubtful: the test says little", doubtful)
			}
		})
	}
}

// TestPropagateLearns: from one label a class it finds nearly all of well-parted clusters, keeps what was given even where it is wrong, and
// does not depend on the number of threads.
func TestPropagateLearns(t *testing.T) {
	emb, truth := clusters(1500, 5, 16, 0.35, 9)
	given := keep(truth, 1)
	given[700] = (truth[700] + 1) % 5
	var first Propagation
	for _, threads := range []int{1, 3} {
		p, err := Propagate(t.Context(), emb, given, PropagateOptions{Threads: threads})
		if err != nil {
			t.Fatal(err)
		}
		right := 0
		for i, l := range p.Labels {
			if l == truth[i] {
				right++
			}
		}
		if right < 1400 || p.Labels[700] != given[700] || p.Confidence[700] != 1 {
			t.Errorf("%d of 1500 labels are right; row 700 was given %d and has %d", right, given[700], p.Labels[700])
		}
		if first.Labels == nil {
			first = p
		} else if !slices.Equal(first.Labels, p.Labels) || !slices.Equal(first.Confidence, p.Confidence) {
			t.Error("three threads give other labels than one")
		}
	}
}

// TestPropagateReaches: rows that no chain of neighbours joins to a label stay without; equal rows have equal labels.
func TestPropagateReaches(t *testing.T) {
	emb := kernel.NewMatrix(40, 4)
	for i := range 40 {
		emb.Row(i)[i/10] = 1 // four points of ten equal rows
	}
	given := make([]int, 40)
	for i := range given {
		given[i] = Unlabelled
	}
	given[0], given[10] = 0, 1
	p, err := Propagate(t.Context(), emb, given, PropagateOptions{Neighbours: 9})
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range p.Labels {
		if want := []int{0, 1, Unlabelled, Unlabelled}[i/10]; l != want {
			t.Errorf("row %d has label %d, want %d", i, l, want)
		}
		if l == Unlabelled && p.Confidence[i] != 0 {
			t.Errorf("row %d has no label and confidence %g", i, p.Confidence[i])
		}
	}
}

func TestPropagateRefuses(t *testing.T) {
	emb, truth := clusters(20, 2, 4, 0.1, 1)
	broken := kernel.MatrixOf([][]float32{{1, 0}, {0, float32(math.NaN())}}, 2)
	for name, test := range map[string]struct {
		emb    kernel.Matrix
		labels []int
		o      PropagateOptions
		want   error
	}{
		"alpha 1":          {emb, truth, PropagateOptions{Alpha: 1}, ErrOptions},
		"no neighbours":    {emb, truth, PropagateOptions{Neighbours: -1}, ErrOptions},
		"sharpness NaN":    {emb, truth, PropagateOptions{Sharpness: math.NaN()}, ErrOptions},
		"threads":          {emb, truth, PropagateOptions{Threads: -1}, ErrOptions},
		"one class":        {emb, make([]int, 20), PropagateOptions{}, ErrDataset},
		"a label below -1": {emb, append([]int{-2}, truth[1:]...), PropagateOptions{}, ErrDataset},
		"too few labels":   {emb, truth[:19], PropagateOptions{}, ErrEvaluate},
		"a NaN":            {broken, []int{0, 1}, PropagateOptions{}, ErrEvaluate},
	} {
		if _, err := Propagate(t.Context(), test.emb, test.labels, test.o); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Propagate(ctx, emb, keep(truth, 1), PropagateOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestConfident: the given labels stay, and each class keeps its most confident share.
func TestConfident(t *testing.T) {
	given := []int{0, 1, Unlabelled, Unlabelled, Unlabelled, Unlabelled, Unlabelled, Unlabelled}
	p := Propagation{Labels: []int{0, 1, 0, 0, 0, 0, 1, Unlabelled}, Confidence: []float64{1, 1, 0.5, 0.9, 0.2, 0.9, 0.1, 0}}
	for share, want := range map[float64][]int{
		0:   given,
		0.5: {0, 1, Unlabelled, 0, Unlabelled, 0, 1, Unlabelled},
		0.6: {0, 1, 0, 0, Unlabelled, 0, 1, Unlabelled},
		1:   p.Labels,
	} {
		if got := p.Confident(given, share); !slices.Equal(got, want) {
			t.Errorf("the most confident %g are %v, want %v", share, got, want)
		}
	}
}
