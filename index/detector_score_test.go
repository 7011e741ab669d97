package index

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// TestMahalanobisIsTheDenseInverse compares with √((x−c)ᵀ·Σ⁻¹·(x−c)) of a covariance that is made and inverted by hand.
func TestMahalanobisIsTheDenseInverse(t *testing.T) {
	const dim, n = 7, 400
	r := rand.New(rand.NewPCG(11, 1))
	s := newSpace(L2, dim)
	rowsOf := make([][]float32, 3)
	for i := range n {
		v := make([]float32, dim)
		for j := range v { // a mean of 100 in every component, variances from 1 to 49
			v[j] = 100 + float32(r.NormFloat64()*float64(j+1)) + float32(i%3*40)
		}
		v[1] += 0.7 * v[0]
		row := make([]float32, s.stride)
		must(t, s.prepare(row, v))
		rowsOf[i%3] = append(rowsOf[i%3], row...)
	}
	m, err := s.fitClusters(ctx, rowsOf, DetectorOptions{ClustersPerClass: 1, Iterations: 5, Threads: 1})
	must(t, err)
	means, mean, scatters := m.spread(rowsOf)
	var all scatter
	for _, sc := range scatters {
		all.add(sc, 1)
	}
	m.white = s.whiten(all, mean)
	m.white.place(means)

	// By hand: means, S, Ledoit and Wolf's intensity by its sums, and the inverse.
	cov, centers := mat.NewSymDense(dim, nil), make([][]float64, 3)
	var residuals [][]float64
	for class, rows := range rowsOf {
		centers[class] = make([]float64, dim)
		count := len(rows) / s.stride
		for i := range count {
			for j := range dim {
				centers[class][j] += float64(rows[i*s.stride+j]) / float64(count)
			}
		}
		for i := range count {
			x := make([]float64, dim)
			for j := range x {
				x[j] = float64(rows[i*s.stride+j]) - centers[class][j]
			}
			residuals = append(residuals, x)
			cov.SymRankOne(cov, 1.0/n, mat.NewVecDense(dim, x))
		}
	}
	mu := mat.Trace(cov) / dim
	var apart, noise float64
	for i := range dim {
		for j := range dim {
			target := 0.0
			if i == j {
				target = mu
			}
			apart += math.Pow(cov.At(i, j)-target, 2)
			for _, x := range residuals {
				noise += math.Pow(x[i]*x[j]-cov.At(i, j), 2) / n / n
			}
		}
	}
	shrunk, lambda := all.shrunk(dim)
	if want := max(leastShrinkage, min(noise, apart)/apart); math.Abs(lambda-want) > 1e-6 {
		t.Fatalf("intensity %v, want %v", lambda, want)
	}
	few := scatterOf(residuals[0][:dim:dim], dim) // with one row more than none all is noise
	few.add(scatterOf(residuals[1], dim), 1)
	if _, l := few.shrunk(dim); l < 0.3 {
		t.Errorf("intensity %v of two rows", l)
	}
	want := mat.NewSymDense(dim, nil)
	for i := range dim {
		for j := i; j < dim; j++ {
			x := (1 - lambda) * cov.At(i, j)
			if i == j {
				x += lambda * mu
			}
			want.SetSym(i, j, x)
			if math.Abs(shrunk.At(i, j)-x) > 1e-5*mu {
				t.Fatalf("covariance %d %d is %v, want %v", i, j, shrunk.At(i, j), x)
			}
		}
	}
	var inverse mat.Dense
	must(t, inverse.Inverse(want))
	for range 50 {
		x, row := make([]float32, dim), make([]float32, s.stride)
		for j := range x {
			x[j] = 100 + float32(r.NormFloat64()*60)
		}
		must(t, s.prepare(row, x))
		nearest := make([]float64, 3)
		m.mahalanobisToClasses(row, m.room(), nearest)
		for class, got := range nearest {
			d := mat.NewVecDense(dim, nil)
			for j := range x {
				d.SetVec(j, float64(x[j])-centers[class][j])
			}
			if want := math.Sqrt(mat.Inner(d, &inverse, d)); math.Abs(got-want) > 1e-4*want {
				t.Fatalf("class %d: %v, want %v", class, got, want)
			}
		}
	}
}

func TestCovarianceThatIsNone(t *testing.T) {
	s := newSpace(L2, 2)
	for name, rows := range map[string][]float64{"none": nil, "one": {1, 2}, "zeros": {0, 0, 0, 0}, "tiny": {1e-60, 0, 0, 1e-60}, "huge": {1e300, 0, 0, 1e300}} {
		if w := s.whiten(scatterOf(rows, 2), make([]float32, s.stride)); w != nil {
			t.Errorf("%s: %v", name, w)
		}
	}
}

// TestScoresFollowTheirFormulas: neighbours by hand, the larger of two by its formula, far vectors do not become NaN.
func TestScoresFollowTheirFormulas(t *testing.T) {
	r := rand.New(rand.NewPCG(12, 1))
	centers := clusters(r, 12, 16, 12, 0.5)
	known, heldOut := labeled(r, centers, 4, 300, 0.4), labeled(r, centers, 4, 100, 0.4)
	by := map[ScoreKind]*Detector{}
	for kind := ScoreCluster; kind <= ScoreCombined; kind++ {
		d, err := FitDetector(ctx, L2, known, heldOut, DetectorOptions{Score: kind, Seed: 1})
		must(t, err)
		if d.Score() != kind || (d.Neighbors() > 0) != (kind >= ScoreNeighbors) {
			t.Fatalf("%v: score %v, neighbours %d", kind, d.Score(), d.Neighbors())
		}
		by[kind] = d
	}
	larger := map[bool]int{}
	for _, p := range append(labeled(r, centers, 4, 50, 1.5), heldOut[:50]...) {
		score := func(k ScoreKind) float64 {
			v, err := by[k].Verdict(ctx, p.Vector, 0.1)
			must(t, err)
			return v.Score
		}
		var all []float64
		for _, k := range known {
			var d float64
			for j, x := range k.Vector {
				d += math.Pow(float64(x-p.Vector[j]), 2)
			}
			all = append(all, math.Sqrt(d))
		}
		slices.Sort(all)
		want := (all[0] + all[1] + all[2] + all[3] + all[4]) / 5
		if got := score(ScoreNeighbors); math.Abs(got-want) > 1e-5 {
			t.Fatalf("neighbours %v, want %v", got, want)
		}
		scale := by[ScoreCombined].scale
		gaussian := (score(ScoreGaussian) - scale.middle[partGaussian]) / scale.spread[partGaussian]
		neighbors := (score(ScoreNeighbors) - scale.middle[partNeighbors]) / scale.spread[partNeighbors]
		larger[gaussian > neighbors]++
		if got := score(ScoreCombined); math.Abs(got-max(gaussian, neighbors)) > 1e-9 {
			t.Fatalf("combined %v, want the larger of %v and %v", got, gaussian, neighbors)
		}
	}
	if len(larger) < 2 {
		t.Errorf("one of the two is always the larger: %v", larger)
	}
	far := slices.Repeat([]float32{2e17}, 16)
	for kind, d := range by {
		v, err := d.Verdict(ctx, far, 0.1)
		must(t, err)
		if !v.Anomaly || math.IsInf(v.Score, 0) || math.IsNaN(v.Score) {
			t.Errorf("%v: far away: %+v", kind, v)
		}
		if _, err := d.VerdictOf(far, nil, 0.1); (err == nil) != (d.Neighbors() == 0) || err != nil && !errors.Is(err, ErrNotCalibrated) {
			t.Errorf("%v without neighbours: %v", kind, err)
		}
	}
	tiny := func(n int) []Labeled {
		all := labeled(r, centers, 4, n, 0.4)
		for _, p := range all {
			for j := range p.Vector {
				p.Vector[j] *= 1e-25
			}
		}
		return all
	}
	d, err := FitDetector(ctx, L2, tiny(300), tiny(100), DetectorOptions{Score: ScoreGaussian})
	must(t, err)
	for class := range d.classes { // along the only direction of each
		d.normal.classes[class].count = 2
		axis := d.normal.rows[(d.normal.classes[class].first+1)*d.stride:]
		for j := range far {
			far[j] = float32(math.Copysign(2e17, float64(axis[j])))
		}
		if got := d.normal.score(class, far, 16*4e34); got != math.MaxFloat64 {
			t.Errorf("farther than float32 tells along an axis of class %d: %v", class, got)
		}
	}
	v, err := d.Verdict(ctx, far, 0.1)
	must(t, err)
	if !v.Anomaly || math.IsInf(v.Score, 0) {
		t.Errorf("farther than float32 tells: %+v", v)
	}
	b, err := by[ScoreNeighbors].MarshalBinary()
	must(t, err)
	var read Detector
	must(t, read.UnmarshalBinary(b))
	if _, err := read.Verdict(ctx, far, 0.1); !errors.Is(err, ErrNotCalibrated) {
		t.Errorf("read from bytes: %v", err)
	}
}

// TestCombinedIsChosen: strangers between classes of which one is wide are told by how wide each class is, and it is taken though left-out classes, which
// lie apart, are told as well by the distance to the nearest center.
func TestCombinedIsChosen(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 2))
	draw := func(n int) (out []Labeled) {
		for i := range n {
			class := i % 6
			v := make([]float32, 8)
			v[class] = 10
			for j := range v {
				v[j] += float32(r.NormFloat64()) * []float32{0.8, 0.3}[min(1, class)]
			}
			out = append(out, Labeled{v, fmt.Sprint("class ", class)})
		}
		return out
	}
	for _, metric := range []Metric{L2, Cosine} {
		known, heldOut := draw(1200), draw(300)
		d, err := FitDetector(ctx, metric, known, heldOut, DetectorOptions{})
		must(t, err)
		plain, err := FitDetector(ctx, metric, known, heldOut, DetectorOptions{Score: ScoreCluster})
		must(t, err)
		if f := d.Chosen(); d.Score() != ScoreCombined || f["cluster"] < 0.99 {
			t.Errorf("%v: score %v of %v", metric, d.Score(), f)
		}
		found := map[*Detector]int{}
		for _, p := range draw(600) {
			for j := range p.Vector { // off the center of a narrow class, by as much as is usual in the wide one
				p.Vector[j] += float32(r.NormFloat64()) * 0.7
			}
			for _, d := range []*Detector{d, plain} {
				v, err := d.Verdict(ctx, p.Vector, 0.05)
				must(t, err)
				if v.Anomaly && p.Label != "class 0" {
					found[d]++
				}
			}
		}
		if 4*found[d] < 5*found[plain] {
			t.Errorf("%v: %d of 500 found, %d by the nearest center", metric, found[d], found[plain])
		}
	}
}

// TestGaussians: axes are eigenvectors of the covariance, whether it is decomposed or the products of rows; a score is what a dense covariance gives; classes
// of one row, of equal rows and without any have a score or none.
func TestGaussians(t *testing.T) {
	const dim = 24
	r := rand.New(rand.NewPCG(17, 1))
	s := newSpace(L2, dim)
	rowsOf := make([][]float32, 6)
	for class, n := range []int{400, 60, 12, 1, 0, 8} { // more rows than components and fewer
		for range n {
			row := make([]float32, s.stride)
			for j := range dim {
				row[j] = 100 + float32(class) + float32(r.NormFloat64())*float32(1+3*max(0, 4-j))
				if class == 5 {
					row[j] = float32(j)
				}
			}
			rowsOf[class] = append(rowsOf[class], row...)
		}
	}
	origin := slices.Repeat([]float32{100}, s.stride)
	g := s.fitGaussians(rowsOf, origin, 2)
	x := make([]float32, s.stride)
	for j := range dim {
		x[j] = 100 + float32(r.NormFloat64())
	}
	centered, square := g.centered(x)
	for class, rows := range rowsOf {
		f, c := s.fitClass(rows), g.classes[class]
		if got := g.score(class, centered, square); f.n == 0 {
			if got != math.MaxFloat64 {
				t.Errorf("class %d has no rows and the score %v", class, got)
			}
			continue
		}
		want := []int{8, 8, 8, 0, 0, 0}[class]
		if c.count != 1+want || len(f.axes) != want {
			t.Fatalf("class %d: %d rows, %d axes, want %d", class, c.count, len(f.axes), want)
		}
		cov := mat.NewSymDense(dim, nil)
		for i := range f.n {
			res := mat.NewVecDense(dim, nil)
			for j := range dim {
				res.SetVec(j, float64(rows[i*s.stride+j])-f.mean[j])
			}
			cov.SymRankOne(cov, 1/math.Max(1, float64(f.n-1)), res)
		}
		// Σ by its definition, from what each direction varies by.
		var total float64
		for j := range dim {
			total += cov.At(j, j)
		}
		keep := 0.5 * float64(f.n-1) / float64(f.n-1+dim)
		var squares, degrees float64
		for _, rows := range rowsOf {
			f := s.fitClass(rows)
			squares, degrees = squares+f.squares, degrees+float64(max(0, f.n-1))
		}
		own := (total*math.Max(1, float64(f.n-1))/dim + 5*squares/degrees/dim) / float64(f.n-1+5)
		rest := total
		for _, v := range f.variances {
			rest -= v
		}
		sigma := keep*rest/float64(dim-want) + (1-keep)*own
		sum := mat.NewSymDense(dim, nil)
		for j := range dim {
			sum.SetSym(j, j, sigma)
		}
		for k, axis := range f.axes {
			u := mat.NewVecDense(dim, axis)
			var image mat.VecDense
			image.MulVec(cov, u)
			image.AddScaledVec(&image, -f.variances[k], u)
			if mat.Norm(&image, 2) > 1e-6*f.variances[0] || math.Abs(mat.Norm(u, 2)-1) > 1e-9 || k > 0 && f.variances[k] > f.variances[k-1] {
				t.Fatalf("class %d: axis %d is no eigenvector: %v", class, k, mat.Norm(&image, 2))
			}
			sum.SymRankOne(sum, keep*f.variances[k]+(1-keep)*own-sigma, u)
		}
		var chol mat.Cholesky
		if !chol.Factorize(sum) {
			t.Fatal("no covariance")
		}
		d := mat.NewVecDense(dim, nil)
		for j := range dim {
			d.SetVec(j, float64(x[j])-f.mean[j])
		}
		var solved mat.VecDense
		must(t, chol.SolveVecTo(&solved, d))
		wanted := math.Sqrt(mat.Dot(d, &solved) + chol.LogDet() - g.smallest)
		if got := g.score(class, centered, square); math.Abs(got-wanted) > 1e-3*wanted {
			t.Errorf("class %d: score %v, want %v", class, got, wanted)
		}
	}
	if g := s.fitGaussians([][]float32{rowsOf[3], rowsOf[5]}, origin, 1); g != nil {
		t.Errorf("nothing varies: %+v", g)
	}
	// Of more classes than are looked at, those of the nearest clusters.
	distances := make([]float64, 6)
	for class := range distances {
		distances[class] = float64(class)
	}
	if got, want := g.nearest(x, distances), min(g.score(0, centered, square), g.score(1, centered, square), g.score(2, centered, square), g.score(3, centered, square), g.score(5, centered, square)); got != want {
		t.Errorf("nearest %v, want %v", got, want)
	}
	many := make([][]float32, 3*gaussianNearest)
	for class := range many {
		many[class] = slices.Clone(rowsOf[0][:20*s.stride])
	}
	g = s.fitGaussians(many, origin, 1)
	for i := range g.classes {
		if i%3 != 1 {
			g.classes[i].precision = 0
		}
	}
	distances = slices.Repeat([]float64{2}, len(many))
	for i := range gaussianNearest {
		distances[3*i] = 1
	}
	if got := g.nearest(x, distances); got != math.MaxFloat64 {
		t.Errorf("a class beyond the nearest is asked: %v", got)
	}
	if distances[0] = 3; g.nearest(x, distances) == math.MaxFloat64 {
		t.Error("a class among the nearest is not asked")
	}
}

// TestScoreIsChosen: where classes are told apart by directions in which the others hardly vary, a covariance sees more than a
// plain distance; where classes are rings about one center, only neighbours do, alone or in the combination, which is preferred. With one class it is
// neighbours, whatever leaving out its clusters says.
func TestScoreIsChosen(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 1))
	// Classes lie 4 apart in the first two components, of a deviation of 0.3, and vary by 3 in the others.
	flat := func(class int) []float32 {
		v := []float32{4 * float32(class/3), 4 * float32(class%3), 0, 0, 0, 0}
		for j := range v {
			v[j] += float32(r.NormFloat64()) * []float32{0.3, 0.3, 3, 3, 3, 3}[j]
		}
		return v
	}
	ring := func(class int) []float32 {
		angle, radius := r.Float64()*2*math.Pi, float64(class+1)*10+r.NormFloat64()*0.2
		return []float32{float32(radius * math.Cos(angle)), float32(radius * math.Sin(angle))}
	}
	draw := func(f func(int) []float32, label func(int) string, n int) (out []Labeled) {
		for i := range n {
			out = append(out, Labeled{f(i % 9), label(i % 9)})
		}
		return out
	}
	named := func(class int) string { return fmt.Sprint("class ", class) }
	d, err := FitDetector(ctx, L2, draw(flat, named, 2000), draw(flat, named, 100), DetectorOptions{ClustersPerClass: 1})
	must(t, err)
	t.Logf("flat: %v %v", d.Score(), d.Chosen())
	if f := d.Chosen(); d.Score() != ScoreMahalanobis || f["mahalanobis"] < 0.98 || f["cluster"] > 0.75 || d.own != ScoreMahalanobis {
		t.Errorf("flat classes: score %v of %v", d.Score(), f)
	}
	d, err = FitDetector(ctx, L2, draw(ring, named, 2000), draw(ring, named, 100), DetectorOptions{ClustersPerClass: 1})
	must(t, err)
	t.Logf("rings: %v %v", d.Score(), d.Chosen())
	if f := d.Chosen(); d.Score() != ScoreCombined || f["knn"] < 0.99 || f["cluster"] > 0.8 {
		t.Errorf("rings: score %v of %v", d.Score(), f)
	}
	d, err = FitDetector(ctx, L2, draw(flat, func(int) string { return "" }, 2000), draw(flat, func(int) string { return "" }, 100), DetectorOptions{})
	must(t, err)
	if f := d.Chosen(); len(f) != 5 || d.Score() != ScoreNeighbors {
		t.Errorf("one class: score %v of %v", d.Score(), f)
	}
	// Too few to tell.
	d, err = FitDetector(ctx, L2, draw(flat, named, 30), draw(flat, named, 9), DetectorOptions{})
	must(t, err)
	if d.Score() != ScoreCluster || len(d.Chosen()) != 0 {
		t.Errorf("few: score %v of %v", d.Score(), d.Chosen())
	}
}

func TestNumberOfClustersIsChosen(t *testing.T) {
	for _, metric := range []Metric{Cosine, L2} {
		for _, want := range []int{1, 2, 6, 16} {
			s := newSpace(metric, 12)
			r := rand.New(rand.NewPCG(uint64(want), 3))
			v := clusters(r, 900, 12, want, 0.1)
			rows := make([]float32, len(v)*s.stride)
			for i := range v {
				must(t, s.prepare(rows[i*s.stride:(i+1)*s.stride], v[i]))
			}
			got, err := s.count(ctx, rows, 64, rand.New(rand.NewPCG(1, 1)))
			must(t, err)
			// k-means++ may join two of many; it never should find a multiple.
			if got < want-want/6 || got > want+want/2 {
				t.Errorf("%v: %d clusters, %d were made", metric, got, want)
			}
		}
	}
	s := newSpace(L2, 2)
	same := slices.Repeat([]float32{1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 50)
	if got, err := s.count(ctx, same, 64, rand.New(rand.NewPCG(1, 1))); got != 1 || err != nil {
		t.Errorf("%d clusters of equal rows, %v", got, err)
	}
}

func TestAUROC(t *testing.T) {
	for _, c := range []struct {
		in, out []float64
		want    float64
	}{
		{[]float64{1, 2}, []float64{3, 4}, 1}, {[]float64{3, 4}, []float64{1, 2}, 0}, {[]float64{1, 1}, []float64{1}, 0.5},
		{[]float64{1, 3, 3, 5}, []float64{3, 4}, (1 + 2*0.5 + 3) / 8},
	} {
		if got := auroc(c.in, c.out); got != c.want {
			t.Errorf("%v against %v: %v, want %v", c.in, c.out, got, c.want)
		}
	}
}

// TestFewestAlarms: a rate at which nothing could be called is refused, and so many of the least p-values, and no fewer, are called.
func TestFewestAlarms(t *testing.T) {
	c := NewConformal(make([]float64, 99))
	for _, rate := range []float64{0, 1, -1, 0.0099, 1e-9} {
		if err := c.CheckFDR(rate); !errors.Is(err, ErrAlpha) {
			t.Errorf("rate %v: %v", rate, err)
		}
	}
	for _, x := range []struct {
		rate float64
		m, k int
	}{{0.01, 1, 1}, {0.01, 7, 7}, {0.05, 5, 1}, {0.05, 6, 2}, {0.05, 100, 20}, {0.5, 50, 1}, {0.01, 29, 29}, {0.01, 58, 58}} {
		must(t, c.CheckFDR(x.rate))
		if k := c.FewestAlarms(x.rate, x.m); k != x.k {
			t.Errorf("rate %v of %d: %d, want %d", x.rate, x.m, k, x.k)
		}
		for _, alarms := range []int{x.k - 1, x.k} {
			p := slices.Repeat([]float64{1}, x.m)
			for i := range alarms {
				p[i] = c.MinAlpha()
			}
			called, err := BenjaminiHochberg(p, x.rate)
			must(t, err)
			if slices.Contains(called, true) != (alarms == x.k) {
				t.Errorf("rate %v of %d: %d of the least p-values give %v", x.rate, x.m, alarms, called)
			}
		}
	}
}

// TestBenjaminiHochberg takes the example of the paper's section 3.2: 15 p-values, of which the rate of 0.05 calls 4.
func TestBenjaminiHochberg(t *testing.T) {
	p := []float64{0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000}
	r := rand.New(rand.NewPCG(14, 1))
	r.Shuffle(len(p), func(i, j int) { p[i], p[j] = p[j], p[i] })
	called, err := BenjaminiHochberg(p, 0.05)
	must(t, err)
	for i, x := range p {
		if called[i] != (x <= 0.0095) {
			t.Errorf("%v: called %v", x, called[i])
		}
	}
	// The second is above its line and is called for the third: 0.02 > 2·0.05/6, 0.024 ≤ 3·0.05/6.
	called, err = BenjaminiHochberg([]float64{0.02, 0.9, 0.001, 0.8, 0.024, 0.7}, 0.05)
	must(t, err)
	if !slices.Equal(called, []bool{true, false, true, false, true, false}) {
		t.Errorf("called %v", called)
	}
	if called, err := BenjaminiHochberg(nil, 0.05); len(called) != 0 || err != nil {
		t.Errorf("none: %v, %v", called, err)
	}
	for _, rate := range []float64{0, 1, -1, math.NaN()} {
		if _, err := BenjaminiHochberg(p, rate); !errors.Is(err, ErrAlpha) {
			t.Errorf("rate %v: %v", rate, err)
		}
	}
}

// TestPValuesInCategories: also within every class the share of alarms is at most alpha, where classes differ in their spread,
// so that the p-values of all together are too small in one and too large in the other.
func TestPValuesInCategories(t *testing.T) {
	const seeds, n, tests, alpha = 60, 400, 200, 0.05
	draw := func(r *rand.Rand, n int) (out []Labeled) {
		for i := range n {
			wide := i%4 == 0
			x, spread, label := float32(0), 0.5, "narrow"
			if wide {
				x, spread, label = 60, 4, "wide"
			}
			out = append(out, Labeled{[]float32{x + float32(r.NormFloat64()*spread), float32(r.NormFloat64() * spread)}, label})
		}
		return out
	}
	alarms, overall := map[string]float64{}, map[string]float64{}
	for seed := range uint64(seeds) {
		r := rand.New(rand.NewPCG(seed, 15))
		d, err := FitDetector(ctx, L2, draw(r, n), draw(r, n), DetectorOptions{Score: ScoreCluster, ClustersPerClass: 1, Seed: seed})
		must(t, err)
		for _, p := range draw(r, tests) {
			v, err := d.Verdict(ctx, p.Vector, alpha)
			must(t, err)
			share := map[string]float64{"narrow": 1.0 / (tests * 3 / 4), "wide": 1.0 / (tests / 4)}[p.Label] / seeds
			if v.ClassPValue <= alpha {
				alarms[p.Label] += share
			}
			if v.Anomaly {
				overall[p.Label] += share
			}
		}
	}
	t.Logf("alarms in classes %v, overall %v", alarms, overall)
	for class, size := range map[string]float64{"narrow": n * 3 / 4, "wide": n / 4} {
		want := math.Floor(alpha*(size+1)) / (size + 1)
		err := math.Sqrt(alpha * (1 - alpha) * (1/size + n/size/tests) / seeds)
		if math.Abs(alarms[class]-want) > 4*err {
			t.Errorf("%s: %.4f of %v alarms, ± %.4f", class, alarms[class], want, err)
		}
	}
	if overall["wide"] < 2*alpha {
		t.Errorf("the classes do not differ: overall %v", overall)
	}
}

func TestScoreNames(t *testing.T) {
	for k := ScoreAuto; k <= ScoreCombined; k++ {
		if got, err := ParseScoreKind(k.String()); got != k || err != nil {
			t.Errorf("%v: %v, %v", k, got, err)
		}
	}
	if _, err := ParseScoreKind("best"); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
}

// TestNeighborsOfOneClass: of many points of one class more neighbours count, of several classes or few points five; the file keeps how many.
func TestNeighborsOfOneClass(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 14))
	draw := func(n int, labels ...string) (out []Labeled) {
		for i := range n {
			v := make([]float32, 6)
			for j := range v {
				v[j] = float32(r.NormFloat64())
			}
			out = append(out, Labeled{v, labels[i%len(labels)]})
		}
		return out
	}
	for _, c := range []struct {
		known  int
		labels []string
		score  ScoreKind
		want   int
	}{{100, []string{"a"}, ScoreAuto, 5}, {1499, []string{"a"}, ScoreAuto, 5}, {2100, []string{"a"}, ScoreAuto, 8}, {6000, []string{"a"}, ScoreAuto, 20}, {2100, []string{"a", "b"}, ScoreNeighbors, 5}, {2100, []string{"a"}, ScoreCombined, 5}} {
		known := draw(c.known, c.labels...)
		d, err := FitDetector(ctx, L2, known, draw(60, c.labels...), DetectorOptions{Score: c.score, Seed: 1})
		must(t, err)
		b, err := d.MarshalBinary()
		must(t, err)
		var back Detector
		must(t, back.UnmarshalBinary(b))
		if d.Neighbors() != c.want || back.Neighbors() != c.want {
			t.Errorf("%d points of %q by %v: %d neighbours, from the file %d, want %d", c.known, c.labels, c.score, d.Neighbors(), back.Neighbors(), c.want)
		}
		if c.score != ScoreAuto {
			continue
		}
		x := draw(1, "a")[0].Vector
		v, err := d.Verdict(ctx, x, 0.1)
		must(t, err)
		var all []float64
		for _, k := range known {
			var sum float64
			for j, y := range k.Vector {
				sum += math.Pow(float64(y-x[j]), 2)
			}
			all = append(all, math.Sqrt(sum))
		}
		slices.Sort(all)
		var mean float64
		for _, y := range all[:c.want] {
			mean += y / float64(c.want)
		}
		if math.Abs(v.Score-mean) > 1e-5 {
			t.Errorf("%d points: score %g, want %g", c.known, v.Score, mean)
		}
		for _, k := range []byte{0, DetectorNeighbors, mostNeighbors + 1} {
			d.k = int(k)
			b, err := d.MarshalBinary()
			must(t, err)
			if err := back.UnmarshalBinary(b); k != DetectorNeighbors && !errors.Is(err, ErrCorrupt) || k == DetectorNeighbors && (err != nil || back.Neighbors() != 5) {
				t.Errorf("%d neighbours: %v", k, err)
			}
		}
	}
}
