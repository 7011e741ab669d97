package train

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/akin-search/akin/encoder/kernel"
)

// unitRows returns random rows of unit length. spread 0 makes them all alike; a large one makes them independent.
func unitRows(rng *rand.Rand, rows, cols int, spread float64) kernel.Matrix {
	m := kernel.NewMatrix(rows, cols)
	centre := make([]float64, cols)
	for i := range centre {
		centre[i] = rng.NormFloat64()
	}
	for r := range rows {
		row, norm := m.Row(r), 0.0
		v := make([]float64, cols)
		for i := range v {
			v[i] = centre[i] + spread*rng.NormFloat64()
			norm += v[i] * v[i]
		}
		for i := range v {
			row[i] = float32(v[i] / math.Sqrt(norm))
		}
	}
	return m
}

// The losses in float64, straight from their formulas.

func naiveContrastive(margin float64) func(e [][]float64, labels []int) float64 {
	return func(e [][]float64, labels []int) float64 {
		sum := 0.0
		for i := 0; i < len(e); i += 2 {
			d := 0.0
			for k := range e[i] {
				d += (e[i][k] - e[i+1][k]) * (e[i][k] - e[i+1][k])
			}
			d = math.Sqrt(d)
			if labels[i] == labels[i+1] {
				sum += d * d / 2
			} else {
				sum += math.Pow(math.Max(0, margin-d), 2) / 2
			}
		}
		return sum / float64(len(e)/2)
	}
}

func naiveSupCon(temperature float64) func(e [][]float64, labels []int) float64 {
	return func(e [][]float64, labels []int) float64 {
		sim := func(i, j int) (s float64) {
			for k := range e[i] {
				s += e[i][k] * e[j][k]
			}
			return s / temperature
		}
		sum, anchors := 0.0, 0
		for i := range e {
			denominator := 0.0
			for a := range e {
				if a != i {
					denominator += math.Exp(sim(i, a) - 1/temperature)
				}
			}
			part, positives := 0.0, 0
			for p := range e {
				if p != i && labels[p] == labels[i] {
					part += sim(i, p) - 1/temperature - math.Log(denominator)
					positives++
				}
			}
			if positives > 0 {
				sum -= part / float64(positives)
				anchors++
			}
		}
		return sum / float64(max(anchors, 1))
	}
}

type lossCase struct {
	name   string
	loss   Loss
	naive  func(e [][]float64, labels []int) float64
	labels func(rng *rand.Rand, rows int) []int
}

func lossCases() []lossCase {
	random := func(rng *rand.Rand, rows int) []int {
		labels := make([]int, rows)
		for i := range labels {
			labels[i] = rng.IntN(4)
		}
		labels[rows-1] = 99 // alone
		return labels
	}
	twins := func(rng *rand.Rand, rows int) []int {
		labels := rng.Perm(rows)
		for i := range labels {
			labels[i] /= 2
		}
		return labels
	}
	cases := []lossCase{{"contrastive", Contrastive(1.2), naiveContrastive(float64(float32(1.2))), random}}
	for _, temperature := range []float32{0.05, 0.1, 0.5, 2} {
		naive := naiveSupCon(float64(temperature))
		cases = append(cases,
			lossCase{fmt.Sprintf("supcon %v", temperature), SupCon(temperature), naive, random},
			lossCase{fmt.Sprintf("ntxent %v", temperature), NTXent(temperature), naive, twins})
	}
	return append(cases, pairedCases(random, twins)...)
}

func widen(m kernel.Matrix) [][]float64 {
	e := make([][]float64, m.Rows)
	for r := range e {
		for _, v := range m.Row(r) {
			e[r] = append(e[r], float64(v))
		}
	}
	return e
}

// The loss against the formula, and its gradient against central differences of the formula, both in float64.
func TestLossesAgainstFormulas(t *testing.T) {
	for _, c := range lossCases() {
		for seed := range uint64(6) {
			rng := rand.New(rand.NewPCG(seed, 11))
			rows, cols := []int{2, 4, 12, 18, 30, 6}[seed], []int{3, 2, 5, 8, 16, 2}[seed]
			emb := unitRows(rng, rows, cols, []float64{10, 1, 0.3}[seed%3])
			labels := c.labels(rng, rows)
			grad := kernel.NewMatrix(rows, cols)
			for i := range grad.Data {
				grad.Data[i] = float32(math.NaN()) // must be overwritten
			}
			got := float64(c.loss(emb, labels, grad))
			e := widen(emb)
			want := c.naive(e, labels)
			if !(math.Abs(got-want) <= 1e-5*(1+math.Abs(want))) {
				t.Errorf("%s, seed %d: loss %v, want %v", c.name, seed, got, want)
			}
			const h = 1e-5
			worst, largest := 0.0, 0.0
			for r := range e {
				for k := range e[r] {
					keep := e[r][k]
					e[r][k] = keep + h
					up := c.naive(e, labels)
					e[r][k] = keep - h
					down := c.naive(e, labels)
					e[r][k] = keep
					slope := (up - down) / (2 * h)
					largest = max(largest, math.Abs(slope))
					if d := math.Abs(slope - float64(grad.Row(r)[k])); !(d <= worst) {
						worst = d
					}
				}
			}
			if !(worst <= 1e-5+1e-4*largest) {
				t.Errorf("%s, seed %d: the gradient is off by %v, its largest entry is %v", c.name, seed, worst, largest)
			}
		}
	}
}

func TestLossesEdgeCases(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 12))
	run := func(name string, loss Loss, emb kernel.Matrix, labels []int, want float64) kernel.Matrix {
		t.Helper()
		grad := kernel.NewMatrix(emb.Rows, emb.Cols)
		for i := range grad.Data {
			grad.Data[i] = 7
		}
		got := float64(loss(emb, labels, grad))
		if !(math.Abs(got-want) <= 1e-5*(1+want)) {
			t.Errorf("%s: loss %v, want %v", name, got, want)
		}
		for i, g := range grad.Data {
			if g != g || math.IsInf(float64(g), 0) {
				t.Fatalf("%s: gradient value %d is %v", name, i, g)
			}
		}
		return grad
	}
	zero := func(name string, grad kernel.Matrix) {
		t.Helper()
		for i, g := range grad.Data {
			if math.Abs(float64(g)) > 1e-5 {
				t.Fatalf("%s: gradient value %d is %v, want 0", name, i, g)
			}
		}
	}
	// Collapsed: all rows equal, so that the softmax is uniform over the n−1 others and pushes nowhere.
	same := unitRows(rng, 8, 5, 0)
	zeroAlong := func(name string, grad kernel.Matrix) { // the gradient is along the common direction, so tangentially nothing
		t.Helper()
		for r := range grad.Rows {
			dot := float32(0)
			for k, g := range grad.Row(r) {
				dot += g * same.Row(r)[k]
			}
			for k, g := range grad.Row(r) {
				if d := g - dot*same.Row(r)[k]; math.Abs(float64(d)) > 1e-5 {
					t.Fatalf("%s: tangential gradient %v", name, d)
				}
			}
		}
	}
	zeroAlong("collapsed supcon", run("collapsed supcon", SupCon(0.1), same, []int{0, 0, 1, 1, 1, 2, 2, 2}, math.Log(7)))
	zeroAlong("collapsed ntxent", run("collapsed ntxent", NTXent(0.1), same, []int{0, 0, 1, 1, 2, 2, 3, 3}, math.Log(7)))
	// Contrastive at distance 0: similar pairs cost nothing, dissimilar ones ½·margin² and have no direction.
	zero("collapsed contrastive", run("collapsed contrastive", Contrastive(1), same, []int{0, 0, 1, 1, 0, 1, 0, 1}, 0.25))

	other := unitRows(rng, 6, 4, 5)
	zero("no positives", run("no positives", SupCon(0.1), other, []int{1, 2, 3, 4, 5, 6}, 0))
	run("one class", SupCon(0.1), other, []int{1, 1, 1, 1, 1, 1}, naiveSupCon(float64(float32(0.1)))(widen(other), []int{1, 1, 1, 1, 1, 1}))
	run("opposite", SupCon(0.01), kernel.Matrix{Rows: 3, Cols: 1, Data: []float32{1, -1, 1}}, []int{0, 0, 1}, 100+math.Ln2/2) // two anchors: s = −100 against +100 costs 200; −100 twice costs log 2
	zero("apart", run("apart", Contrastive(1), kernel.Matrix{Rows: 2, Cols: 1, Data: []float32{1, -1}}, []int{0, 1}, 0))
	run("empty", SupCon(0.1), kernel.Matrix{}, nil, 0)
	run("empty", Contrastive(1), kernel.Matrix{}, nil, 0)

	for name, loss := range map[string]Loss{"supcon": SupCon(0.1), "ntxent": NTXent(0.1), "contrastive": Contrastive(1)} {
		bad := unitRows(rng, 4, 3, 5)
		bad.Data[4] = float32(math.NaN())
		if l := loss(bad, []int{0, 0, 1, 1}, kernel.NewMatrix(4, 3)); l == l {
			t.Errorf("%s: a NaN in the embeddings gives the loss %v", name, l)
		}
	}
}

func TestNTXentIsSupConOfTwins(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 12))
	emb, labels := unitRows(rng, 10, 6, 2), []int{0, 1, 2, 3, 4, 4, 3, 2, 1, 0}
	a, b := kernel.NewMatrix(10, 6), kernel.NewMatrix(10, 6)
	if x, y := NTXent(0.2)(emb, labels, a), SupCon(0.2)(emb, labels, b); x != y || fmt.Sprint(a.Data) != fmt.Sprint(b.Data) {
		t.Fatalf("%v and %v", x, y)
	}
}

// A scratch grown by a large batch must not leak into a smaller one, and calls after the first allocate nothing.
func TestLossesReuseScratch(t *testing.T) {
	for _, c := range lossCases() {
		rng := rand.New(rand.NewPCG(3, 12))
		large, small := unitRows(rng, 20, 7, 3), unitRows(rng, 8, 7, 3)
		largeLabels, smallLabels := c.labels(rng, 20), c.labels(rng, 8)
		first, second := kernel.NewMatrix(8, 7), kernel.NewMatrix(8, 7)
		a := c.loss(small, smallLabels, first)
		c.loss(large, largeLabels, kernel.NewMatrix(20, 7))
		b := c.loss(small, smallLabels, second)
		if a != b || fmt.Sprint(first.Data) != fmt.Sprint(second.Data) {
			t.Errorf("%s: %v, then %v", c.name, a, b)
		}
		if n := testing.AllocsPerRun(10, func() { c.loss(small, smallLabels, first) }); n != 0 && !raceDetector {
			t.Errorf("%s: %v allocations a call", c.name, n)
		}
	}
}

func TestLossPanics(t *testing.T) {
	m := kernel.NewMatrix
	for name, f := range map[string]func(){
		"labels":           func() { SupCon(1)(m(4, 2), []int{1, 1}, m(4, 2)) },
		"gradient's shape": func() { SupCon(1)(m(4, 2), []int{1, 1, 1, 1}, m(2, 4)) },
		"odd":              func() { Contrastive(1)(m(3, 2), []int{1, 1, 1}, m(3, 2)) },
		"three":            func() { NTXent(1)(m(6, 2), []int{1, 1, 1, 2, 2, 2}, m(6, 2)) },
		"one":              func() { NTXent(1)(m(3, 2), []int{1, 1, 2}, m(3, 2)) },
		"temperature":      func() { SupCon(0) },
		"margin":           func() { Contrastive(float32(math.NaN())) },
	} {
		func() {
			defer func() {
				if r := recover(); r == nil || !strings.HasPrefix(fmt.Sprint(r), "train: ") {
					t.Errorf("%s: recovered %v", name, r)
				}
			}()
			f()
		}()
	}
}

func TestLossKind(t *testing.T) {
	for k, name := range lossNames {
		kind := LossKind(k)
		if got, err := ParseLoss(name); err != nil || got != kind || kind.String() != name {
			t.Errorf("%q: %v, %v", name, got, err)
		}
		loss, err := kind.New(0, 0)
		if own, ok := map[LossKind]string{LossArcFace: "use NewArcFace or NewMoCo", LossMoCo: "use NewArcFace or NewMoCo", LossPairs: "use NewPairScores", LossSemi: "use Sum", LossOneClass: "use Sum"}[kind]; ok {
			if err == nil || !strings.Contains(err.Error(), own) {
				t.Errorf("%v: error %v", kind, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(1, 1))
		if l := loss(unitRows(rng, 4, 3, 5), []int{0, 0, 1, 1}, kernel.NewMatrix(4, 3)); !(l > 0) {
			t.Errorf("%s: loss %v", kind, l)
		}
	}
	if k, err := ParseLoss("infonce"); err != nil || k != LossNTXent {
		t.Errorf("infonce: %v, %v", k, err)
	}
	if _, err := ParseLoss("SupCon"); err == nil || !strings.Contains(err.Error(), "supcon, ntxent, contrastive, triplet, multi-similarity, arcface, vicreg, moco") {
		t.Errorf("error %v", err)
	}
	nan := float32(math.NaN())
	for _, c := range []struct {
		kind                LossKind
		temperature, margin float32
		want                string
	}{
		{LossSupCon, -1, 0, "temperature -1, want 0.005 to 10"}, {LossNTXent, nan, 0, "temperature NaN"},
		{LossContrastive, 0, 2.5, "margin 2.5"}, {LossContrastive, 0, nan, "margin NaN"}, {LossKind(99), 0, 0, "no loss of kind LossKind(99); want one of supcon, ntxent, contrastive"},
	} {
		if _, err := c.kind.New(c.temperature, c.margin); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: error %v, want %q", c, err, c.want)
		}
	}
}

func TestExpShifted(t *testing.T) {
	worst := 0.0
	for i := range 400_000 {
		x := -float32(i) * 2.25e-4 // 0 to −90
		v := []float32{x}
		sum := expShifted(v, 0, 1)
		want := math.Exp(float64(x))
		if x < -87 {
			want = 0
		}
		if sum != float64(v[0]) {
			t.Fatalf("exp(%v): value %v, sum %v", x, v[0], sum)
		}
		if want == 0 {
			if sum != 0 {
				t.Fatalf("exp(%v) = %v, want 0", x, sum)
			}
			continue
		}
		worst = max(worst, math.Abs(sum/want-1))
	}
	if worst > 3e-7 {
		t.Errorf("relative error %v", worst)
	}
	v := []float32{3, 2, float32(math.Inf(-1)), 3}
	if sum := expShifted(v, 3, 2); v[0] != 1 || v[3] != 1 || v[2] != 0 || math.Abs(float64(v[1])-math.Exp(-2)) > 1e-7 || math.Abs(sum-2-math.Exp(-2)) > 1e-7 {
		t.Errorf("%v, sum %v", v, sum)
	}
	nan := float32(math.NaN())
	if sum := expShifted([]float32{nan, 0}, 0, 1); sum == sum {
		t.Errorf("NaN became %v", sum)
	}
}

func BenchmarkLoss(b *testing.B) {
	const rows, cols = 256, 64
	rng := rand.New(rand.NewPCG(1, 1))
	emb, grad := unitRows(rng, rows, cols, 3), kernel.NewMatrix(rows, cols)
	classes, twins := make([]int, rows), make([]int, rows)
	for i := range classes {
		classes[i], twins[i] = i/28, i/2
	}
	for _, c := range []struct {
		name   string
		loss   Loss
		labels []int
	}{{"SupCon", SupCon(0.1), classes}, {"NTXent", NTXent(0.1), twins}, {"Contrastive", Contrastive(1), classes}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				c.loss(emb, c.labels, grad)
			}
		})
	}
	b.Run("SupCon without Gemm", func(b *testing.B) {
		s := newSimilaritySoftmax("SupCon", 0.1)
		sim := make([]float32, rows*rows)
		kernel.Gemm(false, true, rows, rows, cols, emb.Data, cols, emb.Data, cols, sim, rows, false)
		work := make([]float32, len(sim))
		for b.Loop() {
			copy(work, sim)
			s.gradient(similarities{value: work, labels: classes, among: classes, self: true, dimension: cols})
			for i := range grad.Data {
				grad.Data[i] *= 0.5
			}
		}
	})
}
