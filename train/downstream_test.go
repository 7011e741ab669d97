package train

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/akin-search/akin/encoder/kernel"
)

// blobs draws unit rows of classes around random directions. The classes of another seed's rows are the same.
func blobs(seed uint64, rows, cols, classes int, spread float64) (kernel.Matrix, []int) {
	centres, rng := unitRows(rand.New(rand.NewPCG(1, 31)), classes, cols, 10), rand.New(rand.NewPCG(seed, 32))
	m, labels := kernel.NewMatrix(rows, cols), make([]int, rows)
	for i := range rows {
		c := rng.IntN(classes)
		labels[i] = 10 * c
		v := make([]float64, cols)
		for j, x := range centres.Row(c) {
			v[j] = float64(x) + spread*rng.NormFloat64()
		}
		kernel.Unit(m.Row(i), v)
	}
	return m, labels
}

// naiveRetrieve sorts all rows and counts.
func naiveRetrieve(base kernel.Matrix, baseLabels []int, query []float32, label int) (first int, precision float64) {
	order := integers(base.Rows)
	slices.SortStableFunc(order, func(a, b int) int {
		switch x, y := dot(base.Row(a), query), dot(base.Row(b), query); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	r := 0
	for _, l := range baseLabels {
		if l == label {
			r++
		}
	}
	for i, row := range order {
		if baseLabels[row] == label && first == 0 {
			first = i + 1
		}
		if i >= r || baseLabels[row] != label {
			continue
		}
		hits := 0
		for _, other := range order[:i+1] {
			if baseLabels[other] == label {
				hits++
			}
		}
		precision += float64(hits) / float64(i+1) / float64(r)
	}
	return first, precision
}

func TestRetrieveAgainstNaive(t *testing.T) {
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 33))
		base, queries := gridRows(rng, []int{3, 9, 40, 700, 1500, 64}[seed%6], 5), gridRows(rng, 1+rng.IntN(80), 5) // many ties, far beyond ±1
		if seed >= 6 {
			base, queries = unitRows(rng, base.Rows, 5, 3), unitRows(rng, queries.Rows, 5, 3)
		}
		labels := func(n int) []int {
			l := make([]int, n)
			for i := range l {
				l[i] = int(math.Sqrt(float64(rng.IntN(30)))) // uneven: rare classes too
			}
			return l
		}
		e := evaluation{ctx: t.Context(), base: base, queries: queries, baseLabels: labels(base.Rows), queryLabels: labels(queries.Rows)}
		got, err := e.retrieve()
		if err != nil {
			t.Fatal(err)
		}
		for q := range queries.Rows {
			first, precision := naiveRetrieve(base, e.baseLabels, queries.Row(q), e.queryLabels[q])
			if seed >= 6 && math.Abs(got.precision[q]-precision) > 1e-9 || seed < 6 && math.Abs(got.precision[q]-precision) > 1e-12 {
				t.Fatalf("seed %d, query %d: average precision %v, want %v", seed, q, got.precision[q], precision)
			}
			for _, k := range []int{1, 5, 10} {
				if want := hit(first > 0 && first <= k); got.within(k)[q] != want {
					t.Fatalf("seed %d, query %d: recall@%d is %v, first at %d", seed, q, k, got.within(k)[q], first)
				}
			}
		}
	}
	// By hand, R = 3: right, wrong, right, right … gives (1 + 2/3)/3.
	base := kernel.Matrix{Rows: 5, Cols: 1, Data: []float32{0.5, 0.9, 0.8, 0.7, 0.6}}
	e := evaluation{ctx: t.Context(), base: base, baseLabels: []int{2, 1, 2, 1, 1}, queries: kernel.Matrix{Rows: 1, Cols: 1, Data: []float32{1}}, queryLabels: []int{1}}
	if r, err := e.retrieve(); err != nil || math.Abs(r.precision[0]-5./9) > 1e-12 || r.first[0] != 1 {
		t.Errorf("by hand: %+v, %v", r, err)
	}
}

func TestNearestMeanByHand(t *testing.T) {
	// Means point to (1, 0) for 5 and, of (0, 1) and (0.6, 0.8), to (0.32, 0.95) for 9: (0.8, 0.6) is nearer to 9's (0.82) than to 5's (0.8),
	// though its nearest row would be … 9's too; (0.9, 0.44) is nearer to 5's.
	base := kernel.Matrix{Rows: 3, Cols: 2, Data: []float32{1, 0, 0, 1, 0.6, 0.8}}
	queries := kernel.Matrix{Rows: 3, Cols: 2, Data: []float32{0.8, 0.6, 0.9, 0.43589, -1, 0}}
	e := evaluation{ctx: t.Context(), base: base, baseLabels: []int{5, 9, 9}, queries: queries, queryLabels: []int{9, 5, 7}}
	if got, err := e.nearestMean(); err != nil || !slices.Equal(got, []float64{1, 1, 0}) {
		t.Errorf("right: %v, %v", got, err)
	}
}

func TestLogisticGradient(t *testing.T) {
	x, labels := blobs(1, 60, 4, 3, 0.5)
	l := logistic{x: homogeneous(x, make([]float64, 4), 2), classes: 3}
	for _, label := range labels {
		l.y = append(l.y, label/10)
	}
	rng := rand.New(rand.NewPCG(4, 34))
	w := make([]float64, 15)
	for i := range w {
		w[i] = rng.NormFloat64()
	}
	grad := make([]float64, 15)
	loss, err := l.loss(t.Context(), w, grad)
	if err != nil {
		t.Fatal(err)
	}
	naive := func(w []float64) (sum float64) {
		for i, y := range l.y {
			z, total := make([]float64, 3), 0.0
			for c := range z {
				for j, v := range l.x.Row(i) {
					z[c] += w[c*5+j] * float64(v)
				}
				total += math.Exp(z[c])
			}
			sum += math.Log(total) - z[y]
		}
		return sum / float64(len(l.y))
	}
	if want := naive(w); math.Abs(loss-want) > 1e-5 {
		t.Errorf("loss %v, want %v", loss, want)
	}
	for i := range w {
		const h = 1e-5
		up, down := slices.Clone(w), slices.Clone(w)
		up[i] += h
		down[i] -= h
		if want := (naive(up) - naive(down)) / (2 * h); math.Abs(grad[i]-want) > 1e-5 {
			t.Errorf("slope %d: %v, want %v", i, grad[i], want)
		}
	}

	// At the minimum the penalized slope is zero, the biases' too.
	const penalty = 0.01
	fit, err := l.fit(t.Context(), penalty, nil)
	if err != nil {
		t.Fatal(err)
	}
	clear(grad)
	if _, err = l.loss(t.Context(), fit, grad); err != nil {
		t.Fatal(err)
	}
	for i, g := range grad {
		if (i+1)%5 != 0 {
			g += penalty * fit[i]
		}
		if math.Abs(g) > 1e-3 {
			t.Errorf("slope %d at the minimum is %v", i, g)
		}
	}
}

// TestLinearProbeFindsWhatMeansCannot has one class on both sides of the other: along one axis the means are the same.
func TestLinearProbeAndMeans(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 35))
	m, labels := kernel.NewMatrix(400, 3), make([]int, 400)
	for i := range 400 { // long in y, apart by a little in x: the difference of the means is lost in y for rows of unit length
		labels[i] = i % 2
		x := 0.05
		if labels[i] == 1 {
			x = -0.05
		}
		kernel.Unit(m.Row(i), []float64{x + 0.01*rng.NormFloat64(), rng.NormFloat64() + float64(i%2), 1})
	}
	e := evaluation{ctx: t.Context(), base: m, baseLabels: labels, queries: m, queryLabels: labels}
	probe, err := e.linearProbe()
	if err != nil {
		t.Fatal(err)
	}
	means, err := e.nearestMean()
	if err != nil {
		t.Fatal(err)
	}
	if mean(probe) < 0.98 || mean(means) > 0.9 {
		t.Errorf("linear probe %v, nearest mean %v; want nearly all against many wrong", mean(probe), mean(means))
	}
	// One row a class leaves nothing to choose a penalty by, and still gives a classifier.
	one := evaluation{ctx: t.Context(), base: kernel.Matrix{Rows: 2, Cols: 3, Data: m.Data[:6]}, baseLabels: labels[:2], queries: m, queryLabels: labels}
	if probe, err = one.linearProbe(); err != nil || mean(probe) < 0.5 {
		t.Errorf("of one row a class: %v, %v", mean(probe), err)
	}
}

func TestAgreementKnownValues(t *testing.T) {
	// NMI and ARI by hand. u and v agree in 4 of 6: the table is {2 1 0; 0 1 2}.
	u, v := []int{0, 0, 0, 1, 1, 1}, []int{7, 7, 8, 8, 9, 9}
	hu, hv := math.Log(2), math.Log(3)
	joint := -2*(2./6)*math.Log(2./6) - 2*(1./6)*math.Log(1./6)
	for name, c := range map[string]struct {
		f    func(u, v []int) (float64, error)
		u, v []int
		want float64
	}{
		"nmi":                {NMI, u, v, 2 * (hu + hv - joint) / (hu + hv)},
		"nmi turned":         {NMI, v, u, 2 * (hu + hv - joint) / (hu + hv)},
		"nmi renamed":        {NMI, []int{3, 1, 3}, []int{-5, 9, -5}, 1},
		"nmi independent":    {NMI, []int{0, 0, 1, 1}, []int{0, 1, 0, 1}, 0},
		"nmi one part each":  {NMI, []int{4, 4}, []int{1, 1}, 1},
		"nmi one part":       {NMI, []int{4, 4}, []int{1, 2}, 0},
		"ari":                {ARI, u, v, (2 - 6*3/15.) / ((6+3)/2. - 6*3/15.)}, // pairs: 2 in both, 6 and 3 in each, of 15
		"ari renamed":        {ARI, []int{3, 1, 3}, []int{-5, 9, -5}, 1},
		"ari independent":    {ARI, []int{0, 0, 1, 1}, []int{0, 1, 0, 1}, -0.5},
		"ari together apart": {ARI, []int{0, 0, 0}, []int{1, 2, 3}, 0},
		"ari all together":   {ARI, []int{0, 0, 0}, []int{2, 2, 2}, 1},
		"ari all apart":      {ARI, []int{0, 1, 2}, []int{3, 4, 5}, 1},
		"ari one row":        {ARI, []int{0}, []int{3}, 1},
	} {
		if got, err := c.f(c.u, c.v); err != nil || math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: %v, want %v (%v)", name, got, c.want, err)
		}
	}
	// Intervals against the figures of the resamples themselves.
	rng := rand.New(rand.NewPCG(3, 4))
	u, v = make([]int, 40), make([]int, 40)
	for i := range u {
		u[i], v[i] = rng.IntN(4), rng.IntN(3)
		if i%2 == 0 {
			v[i] = u[i] % 3
		}
	}
	got, err := agreementIntervals(t.Context(), u, v, DownstreamOptions{Seed: 9})
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func(u, v []int) (float64, error){"nmi": NMI, "ari": ARI} {
		var all []float64
		for sample := range resamples {
			rng := rand.New(rand.NewPCG(9, 0x626f6f74<<16|uint64(sample)))
			su, sv := make([]int, len(u)), make([]int, len(u))
			for i := range su {
				j := rng.IntN(len(u))
				su[i], sv[i] = u[j], v[j]
			}
			x, err := f(su, sv)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, x)
		}
		if want := middle(all); math.Abs(want.Low-got[name].Low) > 1e-12 || math.Abs(want.High-got[name].High) > 1e-12 || want.Low >= want.High {
			t.Errorf("%s: interval %v, want %v", name, got[name], want)
		}
	}
	for _, f := range []func(u, v []int) (float64, error){NMI, ARI} {
		for _, v := range [][]int{{}, {1, 2, 3}} {
			if _, err := f(v[:len(v)/2], v); !errors.Is(err, ErrEvaluate) {
				t.Errorf("partitions of %d and %d rows: %v", len(v)/2, len(v), err)
			}
		}
	}
}

func TestSilhouetteAgainstNaive(t *testing.T) {
	for seed := range uint64(5) {
		m, parts := blobs(seed, 50, 4, 2+int(seed), 0.3)
		parts[7] = 999 // alone
		total := 0.0
		for i := range m.Rows {
			sum, n := map[int]float64{}, map[int]float64{}
			for j := range m.Rows {
				if i != j {
					sum[parts[j]] += 1 - dot(m.Row(i), m.Row(j))
					n[parts[j]]++
				}
			}
			if n[parts[i]] == 0 {
				continue
			}
			a, b := sum[parts[i]]/n[parts[i]], math.Inf(1)
			for p := range sum {
				if p != parts[i] {
					b = min(b, sum[p]/n[p])
				}
			}
			total += (b - a) / max(a, b)
		}
		if got, err := Silhouette(m, parts); err != nil || math.Abs(got-total/50) > 1e-6 {
			t.Errorf("seed %d: %v, want %v (%v)", seed, got, total/50, err)
		}
	}
	if _, err := Silhouette(kernel.NewMatrix(3, 2), []int{1, 1, 1}); !errors.Is(err, ErrEvaluate) {
		t.Errorf("one part: %v", err)
	}
}

func TestKMeans(t *testing.T) {
	m, labels := blobs(3, 2500, 16, 7, 0.05)
	clusters, err := kMeans(t.Context(), m, 7, DownstreamOptions{Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	if ari, err := ARI(clusters, labels); err != nil || ari < 0.999 {
		t.Errorf("tight classes: ARI %v, %v", ari, err)
	}
	// More clusters than distinct rows: as many clusters as rows differ, and an end.
	if clusters, err = kMeans(t.Context(), kernel.Matrix{Rows: 4, Cols: 2, Data: []float32{1, 0, 1, 0, 0, 1, 0, 1}}, 3, DownstreamOptions{}); err != nil {
		t.Fatal(err)
	}
	if clusters[0] == clusters[2] || clusters[1] == clusters[3] {
		t.Errorf("rows across are in clusters %v", clusters)
	}
}

func TestBootstrap(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 36))
	values := make([]float64, 400)
	for i := range values {
		values[i] = hit(rng.Float64() < 0.8)
	}
	var m, all float64
	got, err := bootstrap(t.Context(), []perQuery{{"m", &m, values}, {"all", &all, slices.Repeat([]float64{1}, 400)}}, DownstreamOptions{Seed: 9})
	if err != nil {
		t.Fatal(err)
	}
	half := 1.96 * math.Sqrt(m*(1-m)/400) // the normal approximation
	if i := got["m"]; math.Abs(i.Low-(m-half)) > 0.006 || math.Abs(i.High-(m+half)) > 0.006 || m != mean(values) {
		t.Errorf("mean %v with interval %+v, want about ±%v", m, i, half)
	}
	if got["all"] != (Interval{1, 1}) {
		t.Errorf("the interval of ones is %+v", got["all"])
	}
}

func TestMeasureDownstream(t *testing.T) {
	base, baseLabels := blobs(1, 3000, 16, 10, 0.25)
	queries, queryLabels := blobs(2, 1000, 16, 10, 0.25)
	measure := func(threads int) Downstream {
		d, err := MeasureDownstream(t.Context(), base, baseLabels, queries, queryLabels, DownstreamOptions{Seed: 5, Threads: threads})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	d := measure(1)
	if again := measure(3); !reflect.DeepEqual(d, again) {
		t.Errorf("one thread gives %+v, three %+v", d, again)
	}
	knn, err := KNNAccuracy(t.Context(), base, baseLabels, queries, queryLabels, 5)
	if err != nil || knn != d.KNNAccuracy {
		t.Errorf("kNN accuracy %v, alone %v (%v)", d.KNNAccuracy, knn, err)
	}
	one, err := KNNAccuracy(t.Context(), base, baseLabels, queries, queryLabels, 1)
	if err != nil || one != d.RecallAt1 {
		t.Errorf("recall@1 %v, accuracy of the nearest %v (%v)", d.RecallAt1, one, err)
	}
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var figures map[string]any
	if err := json.Unmarshal(b, &figures); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"knn_accuracy", "nearest_mean_accuracy", "linear_probe_accuracy", "recall_at_1", "recall_at_5", "recall_at_10", "map_at_r",
		"nmi", "ari", "silhouette", "dbscan_nmi", "dbscan_ari", "dbscan_noise", "pair_auroc", "pair_eer", "tar_at_far_1"} {
		v, ok := figures[key].(float64)
		if !ok || !(v > 0 && v < 1) {
			t.Errorf("%s is %v in %s", key, figures[key], b)
		}
		if i, ok := d.Intervals[key]; ok && !(i.Low <= v && v <= i.High && i.High-i.Low < 0.1) {
			t.Errorf("%s is %v, its interval %+v", key, v, i)
		}
	}
	if len(d.Intervals) != 12 {
		t.Errorf("intervals %+v, want those of twelve figures", d.Intervals)
	}
}

func TestMeasureDownstreamErrors(t *testing.T) {
	m, labels := blobs(1, 40, 4, 3, 0.2)
	same := slices.Repeat([]int{1}, 40)
	for want, c := range map[string]struct {
		base, queries []int
		threads       int
	}{
		"1 classes in base":                     {same, labels, 0},
		"1 classes and 40 rows":                 {labels, same, 0},
		"40 classes and 40 rows":                {labels, integers(40), 0},
		"-1 threads":                            {labels, labels, -1},
		"queries 40×4 with 160 values and 3 la": {labels, labels[:3], 0},
	} {
		_, err := MeasureDownstream(t.Context(), m, c.base, m, c.queries, DownstreamOptions{Threads: c.threads})
		if !errors.Is(err, ErrEvaluate) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	m, labels = blobs(1, 20000, 32, 40, 0.2)
	if _, err := MeasureDownstream(ctx, m, labels, m, labels, DownstreamOptions{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("out of time: %v", err)
	}
}

func BenchmarkDownstream(b *testing.B) {
	base, baseLabels := blobs(1, 60000, 64, 10, 0.15)
	queries, queryLabels := blobs(2, 10000, 64, 10, 0.15)
	for b.Loop() {
		if _, err := MeasureDownstream(b.Context(), base, baseLabels, queries, queryLabels, DownstreamOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

func TestLabelEfficiency(t *testing.T) {
	base, baseLabels := blobs(1, 400, 12, 6, 0.35)
	queries, queryLabels := blobs(2, 300, 12, 6, 0.35)
	curve := func(threads int, perClass ...int) []LabelPoint {
		points, err := LabelEfficiency(t.Context(), base, baseLabels, queries, queryLabels, perClass, DownstreamOptions{Seed: 4, Threads: threads})
		if err != nil {
			t.Fatal(err)
		}
		return points
	}
	points := curve(1, 1, 5, 30)
	if again := curve(3, 1, 5, 30); !reflect.DeepEqual(points, again) {
		t.Errorf("one thread gives %+v, three %+v", points, again)
	}
	if alone := curve(0, 5); !reflect.DeepEqual(alone[0], points[1]) {
		t.Errorf("5 labels a class give %+v in company and %+v alone", points[1], alone[0])
	}
	for i, p := range points {
		for _, s := range []Spread{p.KNNAccuracy, p.NearestMeanAccuracy, p.LinearProbeAccuracy} {
			if !(s.Min < s.Median && s.Median < s.Max) {
				t.Errorf("%d labels a class: %+v; ten draws should differ", p.PerClass, s)
			}
		}
		if i > 0 && !(p.KNNAccuracy.Median > points[i-1].KNNAccuracy.Median && p.LinearProbeAccuracy.Median > points[i-1].LinearProbeAccuracy.Median) {
			t.Errorf("more labels do not help: %+v after %+v", p, points[i-1])
		}
	}
	if one := points[0]; one.KNNAccuracy != one.NearestMeanAccuracy {
		t.Errorf("of one label a class the nearest and the nearest mean are the same: %+v", one)
	}
	for _, n := range []int{0, 200} {
		_, err := LabelEfficiency(t.Context(), base, baseLabels, queries, queryLabels, []int{n}, DownstreamOptions{})
		if !errors.Is(err, ErrEvaluate) || !strings.Contains(err.Error(), "labels a class: it must be 1 to ") {
			t.Errorf("%d labels a class: %v", n, err)
		}
	}
}
