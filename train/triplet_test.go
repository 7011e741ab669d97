package train

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/akin-search/akin/encoder/kernel"
)

func dot64(a, b []float64) (s float64) {
	for i := range a {
		s += a[i] * b[i]
	}
	return s
}

// naiveSimilarities are all dot products.
func naiveSimilarities(e [][]float64) [][]float64 {
	s := make([][]float64, len(e))
	for i := range e {
		for j := range e {
			s[i] = append(s[i], dot64(e[i], e[j]))
		}
	}
	return s
}

// naiveTriplets are the triplets of the definitions, by loops over all rows.
func naiveTriplets(kind Negatives, e [][]float64, labels []int) (out []Triplet) {
	sim := naiveSimilarities(e)
	for a := range e {
		far, near := -1, -1 // the farthest positive, the nearest negative
		for j := range e {
			switch {
			case labels[j] != labels[a]:
				if near < 0 || sim[a][j] > sim[a][near] {
					near = j
				}
			case j != a:
				if far < 0 || sim[a][j] < sim[a][far] {
					far = j
				}
			}
		}
		if far < 0 || near < 0 {
			continue
		}
		if kind == NegativesHard {
			out = append(out, Triplet{a, far, near})
			continue
		}
		for p := range e {
			if p == a || labels[p] != labels[a] {
				continue
			}
			best, last := -1, -1
			for n := range e {
				if labels[n] == labels[a] {
					continue
				}
				s := sim[a][n]
				if last < 0 || s < sim[a][last] {
					last = n
				}
				if s < sim[a][p] && (best < 0 || s > sim[a][best]) {
					best = n
				}
			}
			if best < 0 {
				best = last
			}
			out = append(out, Triplet{a, p, best})
		}
	}
	return out
}

func naiveTripletLoss(margin float64, kind Negatives) func(e [][]float64, labels []int) float64 {
	return func(e [][]float64, labels []int) float64 {
		sim := naiveSimilarities(e)
		sum, active := 0.0, 0
		for _, t := range naiveTriplets(kind, e, labels) {
			if cost := 2*sim[t.Anchor][t.Negative] - 2*sim[t.Anchor][t.Positive] + margin; cost > 0 {
				sum, active = sum+cost, active+1
			}
		}
		return sum / float64(max(active, 1))
	}
}

func naiveTripletAll(margin float64) func(e [][]float64, labels []int) float64 {
	return func(e [][]float64, labels []int) float64 {
		sim := naiveSimilarities(e)
		sum, active := 0.0, 0
		for a := range e {
			for p := range e {
				for n := range e {
					if p == a || labels[p] != labels[a] || labels[n] == labels[a] {
						continue
					}
					if cost := 2*sim[a][n] - 2*sim[a][p] + margin; cost > 0 {
						sum, active = sum+cost, active+1
					}
				}
			}
		}
		return sum / float64(max(active, 1))
	}
}

func naiveMinedContrastive(margin float64, kind Negatives) func(e [][]float64, labels []int) float64 {
	return func(e [][]float64, labels []int) float64 {
		sim := naiveSimilarities(e)
		ts := naiveTriplets(kind, e, labels)
		sum := 0.0
		for _, t := range ts {
			positive := 2 - 2*sim[t.Anchor][t.Positive]
			gap := math.Max(0, margin-math.Sqrt(2-2*sim[t.Anchor][t.Negative]))
			sum += positive/2 + gap*gap/2
		}
		return sum / float64(max(len(ts), 1))
	}
}

func naiveMultiSimilarity(temperature, lambda float64) func(e [][]float64, labels []int) float64 {
	const alpha, epsilon = 2, 0.1
	beta := 1 / temperature
	return func(e [][]float64, labels []int) float64 {
		sim := naiveSimilarities(e)
		sum, anchors := 0.0, 0
		for i := range e {
			farthest, nearest := math.Inf(1), math.Inf(-1)
			for j := range e {
				if s := sim[i][j]; labels[j] != labels[i] {
					nearest = math.Max(nearest, s)
				} else if j != i {
					farthest = math.Min(farthest, s)
				}
			}
			if math.IsInf(farthest, 1) || math.IsInf(nearest, -1) {
				continue
			}
			anchors++
			pull, push := 1.0, 1.0
			for j := range e {
				s := sim[i][j]
				if labels[j] != labels[i] && s > farthest-epsilon {
					push += math.Exp(beta * (s - lambda))
				}
				if labels[j] == labels[i] && j != i && s < nearest+epsilon {
					pull += math.Exp(-alpha * (s - lambda))
				}
			}
			sum += math.Log(pull)/alpha + math.Log(push)/beta
		}
		return sum / float64(max(anchors, 1))
	}
}

// naiveVICReg is written from the paper's equations 1 to 6 with Z = √d·E and s divided by d, as the authors' program does.
func naiveVICReg(e [][]float64, _ []int) float64 {
	n, d := len(e)/2, len(e[0])
	if n < 2 {
		return 0
	}
	z := func(view, i, j int) float64 { return math.Sqrt(float64(d)) * e[2*i+view][j] }
	s := 0.0
	for i := range n {
		for j := range d {
			s += math.Pow(z(0, i, j)-z(1, i, j), 2) / float64(n*d)
		}
	}
	v, c := 0.0, 0.0
	for view := range 2 {
		mean := make([]float64, d)
		for j := range d {
			for i := range n {
				mean[j] += z(view, i, j) / float64(n)
			}
		}
		for j := range d {
			for k := range d {
				cov := 0.0
				for i := range n {
					cov += (z(view, i, j) - mean[j]) * (z(view, i, k) - mean[k]) / float64(n-1)
				}
				if j == k {
					v += math.Max(0, 1-math.Sqrt(cov+1e-4)) / float64(d)
				} else {
					c += cov * cov / float64(d)
				}
			}
		}
	}
	return 25*s + 25*v + c
}

// pairedCases are the losses of this file and its neighbours, for the checks that all losses go through.
func pairedCases(random, twins func(rng *rand.Rand, rows int) []int) []lossCase {
	wide := func(x float32) float64 { return float64(x) }
	cases := []lossCase{
		{"vicreg", VICReg(), naiveVICReg, twins},
		{"triplet all", TripletLoss(0.3, NegativesBatch, 1), naiveTripletAll(wide(0.3)), random},
	}
	for _, kind := range []Negatives{NegativesHard, NegativesSemiHard} {
		for _, margin := range []float32{0.2, 1.1} {
			cases = append(cases, lossCase{fmt.Sprintf("triplet %v %v", kind, margin), TripletLoss(margin, kind, 1), naiveTripletLoss(wide(margin), kind), random},
				lossCase{fmt.Sprintf("contrastive %v %v", kind, margin), MinedContrastive(margin, kind, 1), naiveMinedContrastive(wide(margin), kind), random})
		}
	}
	for _, temperature := range []float32{0.025, 0.3} {
		cases = append(cases, lossCase{fmt.Sprintf("multi-similarity %v", temperature), MultiSimilarity(temperature, 0.5), naiveMultiSimilarity(wide(temperature), 0.5), random})
	}
	return cases
}

// Random and distance-weighted triplets: every anchor comes with every positive and a negative; the same similarities give the same
// draws; random ones come about equally often, and distance-weighted ones favour the near ones far beyond their share.
func TestMinersDraw(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	const rows, cols = 60, 16
	emb, labels := unitRows(rng, rows, cols, 2), make([]int, rows)
	for i := range labels {
		labels[i] = i % 3
	}
	s := similarities{labels: labels, among: labels, self: true, dimension: cols, value: make([]float32, rows*rows)}
	kernel.Gemm(false, true, rows, rows, cols, emb.Data, cols, emb.Data, cols, s.value, rows, false)
	for _, kind := range []Negatives{NegativesRandom, NegativesDistance} {
		m, again := newMiner(kind, 7), newMiner(kind, 7)
		got := slices.Clone(m.mine(s))
		if len(got) != rows*19 {
			t.Fatalf("%v: %d triplets, want one an anchor and positive", kind, len(got))
		}
		if !slices.Equal(got, again.mine(s)) || !slices.Equal(got, m.mine(s)) {
			t.Errorf("%v: the same similarities give other triplets", kind)
		}
		if slices.Equal(got, newMiner(kind, 8).mine(s)) {
			t.Errorf("%v: another seed gives the same triplets", kind)
		}
		count, similarity := make([]int, rows), 0.0
		for _, x := range got {
			if labels[x.Anchor] != labels[x.Positive] || labels[x.Anchor] == labels[x.Negative] || x.Anchor == x.Positive {
				t.Fatalf("%v: no triplet: %v", kind, x)
			}
			count[x.Negative]++
			similarity += float64(s.row(x.Anchor)[x.Negative]) / float64(len(got))
		}
		if kind == NegativesRandom && (slices.Min(count) < 5 || slices.Max(count) > 45) { // 19 each, ±4.4
			t.Errorf("negatives come %d to %d times", slices.Min(count), slices.Max(count))
		}
		mean, n := 0.0, 0
		for i := range rows {
			for j := range rows {
				if s.negative(i, j) {
					mean, n = mean+float64(s.row(i)[j]), n+1
				}
			}
		}
		mean /= float64(n)
		if gain := similarity - mean; kind == NegativesRandom && math.Abs(gain) > 0.03 || kind == NegativesDistance && gain < 0.03 {
			t.Errorf("%v: negatives have similarity %.3f, all of them %.3f", kind, similarity, mean)
		}
	}
}

// The weights against equation 4 in plain arithmetic, where it does not overflow.
func TestDistanceWeights(t *testing.T) {
	m := newMiner(NegativesDistance, 1)
	distances := []float64{0.1, 0.5, 0.9, 1.2, 1.39, 1.41, 2}
	row := make([]float32, len(distances))
	for i, d := range distances {
		row[i] = float32(1 - d*d/2)
	}
	m.negatives = integers(len(row))
	const n = 8.0
	m.weigh(row, n)
	want := make([]float64, len(row))
	for i, d := range distances {
		if d < 1.4 {
			d = math.Max(d, 0.5)
			want[i] = 1 / (math.Pow(d, n-2) * math.Pow(1-d*d/4, (n-3)/2))
		}
	}
	at := 0.0
	for i, cumulated := range m.weights {
		if got := (cumulated - at) / m.weights[0]; math.Abs(got-want[i]/want[0]) > 1e-4 {
			t.Errorf("at distance %v: weight %v, want %v", distances[i], got, want[i]/want[0])
		}
		at = cumulated
	}
	far := []float32{-1, -0.9, -0.8}
	m.negatives = integers(3)
	if m.weigh(far, 64); !slices.Equal(m.weights, []float64{1, 2, 3}) {
		t.Errorf("where all are far: %v, want equal weights", m.weights)
	}
}

func TestPairedLossesEdgeCases(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	same, other := unitRows(rng, 8, 5, 0), unitRows(rng, 8, 5, 4)
	two := []int{0, 0, 0, 0, 1, 1, 1, 1}
	for _, c := range []struct {
		name     string
		loss     Loss
		collapse float64 // the loss of rows that are all alike
	}{
		{"hard", TripletLoss(0.2, NegativesHard, 1), 0.2}, {"semi-hard", TripletLoss(0.2, NegativesSemiHard, 1), 0.2},
		{"random", TripletLoss(0.2, NegativesRandom, 1), 0.2}, {"distance", TripletLoss(0.2, NegativesDistance, 1), 0.2}, {"all", TripletLoss(0.2, NegativesBatch, 1), 0.2},
		{"mined contrastive", MinedContrastive(1, NegativesHard, 1), 0.5},
		{"multi-similarity", MultiSimilarity(0.02, 0.5), math.Log(1+3*math.Exp(-1))/2 + math.Log(1+4*math.Exp(25))*0.02},
	} {
		run := func(what string, emb kernel.Matrix, labels []int, want float64) {
			t.Helper()
			grad := kernel.NewMatrix(emb.Rows, emb.Cols)
			for i := range grad.Data {
				grad.Data[i] = 7
			}
			got := float64(c.loss(emb, labels, grad))
			if !(math.Abs(got-want) <= 1e-3*(1+want)) {
				t.Errorf("%s, %s: loss %v, want %v", c.name, what, got, want)
			}
			for _, g := range grad.Data {
				if g != g || math.IsInf(float64(g), 0) || want == 0 && g != 0 {
					t.Fatalf("%s, %s: gradient %v", c.name, what, grad.Data)
				}
			}
		}
		run("collapsed", same, two, c.collapse)
		run("one class", other, make([]int, 8), 0)
		run("no positive", other, integers(8), 0)
		run("no rows", kernel.Matrix{}, nil, 0)
		bad := unitRows(rng, 4, 3, 5)
		for i := range bad.Data {
			bad.Data[i] = float32(math.NaN())
		}
		if l := c.loss(bad, []int{0, 0, 1, 1}, kernel.NewMatrix(4, 3)); l == l {
			t.Errorf("%s: NaN embeddings give the loss %v", c.name, l)
		}
	}
	// Solved: classes at opposite ends.
	apart := kernel.Matrix{Rows: 4, Cols: 1, Data: []float32{1, 1, -1, -1}}
	for name, loss := range map[string]Loss{"hard": TripletLoss(0.2, NegativesHard, 1), "all": TripletLoss(0.2, NegativesBatch, 1), "contrastive": MinedContrastive(1, NegativesSemiHard, 1)} {
		grad := kernel.NewMatrix(4, 1)
		grad.Data[0] = 7
		if l := loss(apart, []int{0, 0, 1, 1}, grad); l != 0 || name != "contrastive" && grad.Data[0] != 0 {
			t.Errorf("%s, solved: loss %v, gradient %v", name, l, grad.Data)
		}
	}
}

func TestVICRegEdgeCases(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	same := unitRows(rng, 8, 5, 0)
	grad := kernel.NewMatrix(8, 5)
	// All alike: no variance at all, 25·2·(1−√ε), and no direction to part in.
	if l := VICReg()(same, make([]int, 8), grad); math.Abs(float64(l)-50*0.99) > 1e-3 {
		t.Errorf("collapsed: loss %v", l)
	}
	for _, g := range grad.Data {
		if math.Abs(float64(g)) > 1e-2 {
			t.Fatalf("collapsed: gradient %v", grad.Data)
		}
	}
	one := unitRows(rng, 2, 5, 3)
	if l := VICReg()(one, []int{0, 0}, kernel.NewMatrix(2, 5)); l != 0 {
		t.Errorf("one pair: loss %v", l)
	}
	one.Data[3] = float32(math.NaN())
	two := kernel.Matrix{Rows: 4, Cols: 5, Data: append(slices.Clone(one.Data), one.Data...)}
	if l := VICReg()(two, []int{0, 0, 1, 1}, kernel.NewMatrix(4, 5)); l == l {
		t.Errorf("NaN gives the loss %v", l)
	}
}

func TestPairedLossPanics(t *testing.T) {
	m := kernel.NewMatrix
	for name, f := range map[string]func(){
		"shape": func() { TripletLoss(1, NegativesBatch, 1)(m(4, 2), []int{1, 1}, m(4, 2)) }, "odd": func() { VICReg()(m(3, 2), []int{1, 1, 1}, m(3, 2)) },
		"margin": func() { TripletLoss(0, NegativesHard, 1) }, "margin of all": func() { TripletLoss(-1, NegativesBatch, 1) }, "margin of pairs": func() { MinedContrastive(0, NegativesHard, 1) },
		"lambda": func() { MultiSimilarity(0.1, float32(math.NaN())) },
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

func TestNegatives(t *testing.T) {
	for k, name := range negativesNames {
		if got, err := ParseNegatives(name); err != nil || got != Negatives(k) || got.String() != name {
			t.Errorf("%q: %v, %v", name, got, err)
		}
	}
	if _, err := ParseNegatives("Hard"); err == nil || !strings.Contains(err.Error(), "batch, random, hard, semi-hard, distance, memory, index") {
		t.Errorf("error %v", err)
	}
	_, _, err := Options{Loss: "vicreg", Negatives: "index"}.choice()
	if !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), "loss vicreg cannot learn on negatives index: use batch") {
		t.Errorf("error %v", err)
	}
	if _, _, err := (Options{Loss: "triplet", Negatives: "hardest"}).choice(); !errors.Is(err, ErrOptions) {
		t.Errorf("error %v", err)
	}
	if kind, n, err := (Options{Loss: "triplet"}).choice(); kind != LossTriplet || n != NegativesSemiHard || err != nil {
		t.Errorf("%v, %v, %v", kind, n, err)
	}
}
