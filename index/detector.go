package index

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
)

// DefaultAlpha is the false-alarm rate for callers that name none.
const DefaultAlpha = 0.01

// MaxClusters bounds DetectorOptions.ClustersPerClass.
const MaxClusters = scanBlock

// Labeled is a vector with its class; "" is a class of its own.
type Labeled struct {
	Vector []float32
	Label  string
}

// Nearest returns the k nearest known vectors, nearest first.
type Nearest func(ctx context.Context, v []float32, k int) ([]Hit, error)

// DetectorOptions tunes FitDetector; zero means the default.
type DetectorOptions struct {
	Score            ScoreKind // default ScoreAuto
	ClustersPerClass int       // prototypes of a class; default: chosen by the data. A class with fewer different vectors has fewer
	Iterations       int       // k-means rounds at most, default 25
	Seed             uint64    // same seed, same data: same detector
	Threads          int       // default GOMAXPROCS; changes nothing in the result
	ModelID          string    // model of the vectors; a collection refuses a detector of another model
	most             int       // clusters of a class that are chosen
	Nearest          Nearest   // finds known vectors; default: compares with all of them, of which the detector then keeps a copy
}

// SetDefaults fills the zero fields.
func (o *DetectorOptions) SetDefaults() {
	if o.Iterations == 0 {
		o.Iterations = 25
	}
	if o.Threads == 0 {
		o.Threads = min(runtime.GOMAXPROCS(0), MaxThreads)
	}
}

// Validate reports the first field outside its limits.
func (o *DetectorOptions) Validate() error {
	switch {
	case int(o.Score) >= len(scoreNames):
		return fmt.Errorf("score %v: %w: use auto, cluster, mahalanobis, gaussian, knn or combined", o.Score, ErrInvalid)
	case o.ClustersPerClass < 0 || o.ClustersPerClass > MaxClusters:
		return fmt.Errorf("%d clusters per class: %w: use 1 to %d, or 0 to have it chosen", o.ClustersPerClass, ErrInvalid, MaxClusters)
	case o.Iterations < 1 || o.Iterations > 10_000:
		return fmt.Errorf("%d iterations: %w: use 1 to 10000", o.Iterations, ErrInvalid)
	case o.Threads < 1 || o.Threads > MaxThreads:
		return fmt.Errorf("threads %d: %w: use 1 to %d", o.Threads, ErrInvalid, MaxThreads)
	case len(o.ModelID) > MaxLabel:
		return fmt.Errorf("model id of %d bytes: %w: use up to %d", len(o.ModelID), ErrInvalid, MaxLabel)
	}
	return nil
}

// Detector tells vectors like the known classes from others. How strange a vector is, is its score: the distance to the nearest
// cluster of any class, or another ScoreKind. The score becomes a p-value by comparison with the scores of held-out points
// (conformal.go). So points drawn like the held-out ones are flagged with a probability of at most alpha, whatever their
// distribution. A Detector does not change; all methods are safe for concurrent use.
type Detector struct {
	clusterModel
	modelID string
	classes []string  // sorted
	kind    ScoreKind // of the score
	own     ScoreKind // of the distances to classes: ScoreCluster or ScoreMahalanobis
	k       int       // neighbours that count, DetectorNeighbors to mostNeighbors
	choice
	calibration
	sequence uint64 // of the collection's writes that it knows
	near     Nearest
}

// FitDetector clusters the known vectors class by class, chooses the score, and calibrates with held-out vectors of the same
// classes, which must not be among the known: scores of points that shaped the clusters are too small. Metric is Cosine or L2.
// All vectors have the same dimension.
func FitDetector(ctx context.Context, metric Metric, known, heldOut []Labeled, o DetectorOptions) (*Detector, error) {
	o.SetDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if err := checkDetectorMetric(metric); err != nil {
		return nil, err
	}
	if len(known) == 0 || len(heldOut) == 0 {
		return nil, fmt.Errorf("%d known and %d held-out vectors: %w: give some of both", len(known), len(heldOut), ErrNotCalibrated)
	}
	dim := len(known[0].Vector)
	if dim < 1 || dim > MaxDimension {
		return nil, fmt.Errorf("vectors of %d components: %w: use 1 to %d", dim, ErrDimension, MaxDimension)
	}
	d := &Detector{modelID: o.ModelID, near: o.Nearest}
	d.space = newSpace(metric, dim)
	rows := make([]float32, len(known)*d.stride)
	seen := map[string]bool{}
	for i, p := range known {
		if len(p.Label) > MaxLabel {
			return nil, fmt.Errorf("known vector %d: label of %d bytes: %w: use up to %d", i, len(p.Label), ErrInvalid, MaxLabel)
		}
		if err := d.prepare(rows[i*d.stride:(i+1)*d.stride], p.Vector); err != nil {
			return nil, fmt.Errorf("known vector %d: %w", i, err)
		}
		seen[p.Label] = true
	}
	d.classes = slices.Sorted(maps.Keys(seen))
	classOf, rowsOf := make([]int, len(known)), make([][]float32, len(d.classes))
	for i, p := range known {
		class := d.class(p.Label)
		classOf[i], rowsOf[class] = class, append(rowsOf[class], rows[i*d.stride:(i+1)*d.stride]...)
	}
	if d.near == nil {
		var err error
		if d.near, err = nearestOf(metric, known); err != nil {
			return nil, err
		}
	}
	var err error
	if d.choice, o.most, err = d.chooseAll(ctx, rows, classOf, len(d.classes), o); err != nil {
		return nil, err
	}
	if d.clusterModel, err = d.fitClusters(ctx, rowsOf, o); err != nil {
		return nil, err
	}
	if d.dim <= maxWhite {
		means, mean, scatters := d.spread(rowsOf)
		var all scatter
		for _, sc := range scatters {
			all.add(sc, 1)
		}
		if w := d.whiten(all, mean); w != nil {
			if d.normal = d.fitGaussians(rowsOf, mean, o.Threads); d.normal != nil {
				d.white = w
				w.place(means)
			}
		}
	}
	if err := d.settle(o.Score); err != nil {
		return nil, err
	}
	if d.k = DetectorNeighbors; len(d.classes) == 1 && d.kind == ScoreNeighbors {
		d.k = min(max(len(known)/pointsPerNeighbor, DetectorNeighbors), mostNeighbors)
	}
	return d, d.calibrate(ctx, heldOut, o.Threads)
}

func checkDetectorMetric(metric Metric) error {
	if metric != Cosine && metric != L2 {
		return fmt.Errorf("metric %v: %w: a detector needs distances, use cosine or l2", metric, ErrInvalid)
	}
	return nil
}

// nearestOf finds known vectors by comparing with all.
func nearestOf(metric Metric, known []Labeled) (Nearest, error) {
	all, err := New(Options{Engine: EngineFlat, Metric: metric, Dimension: len(known[0].Vector)})
	if err != nil {
		return nil, err
	}
	ids, vectors := make([]string, len(known)), make([][]float32, len(known))
	for i, p := range known {
		ids[i], vectors[i] = strconv.Itoa(i), p.Vector
	}
	return func(ctx context.Context, v []float32, k int) ([]Hit, error) { return all.Search(ctx, v, k, Params{}) }, all.Upsert(ids, vectors)
}

// settle sets the kinds of score.
func (d *Detector) settle(asked ScoreKind) error {
	d.own = ScoreCluster
	kinds := []ScoreKind{ScoreCluster, ScoreNeighbors}
	if d.white != nil {
		d.own = d.best(ScoreCluster, ScoreMahalanobis)
		kinds = []ScoreKind{ScoreCluster, ScoreMahalanobis, ScoreGaussian, ScoreNeighbors, ScoreCombined}
	}
	switch d.kind = asked; {
	case asked == ScoreAuto && len(d.classes) == 1:
		d.kind = ScoreNeighbors // clusters of a class that are left out are no strangers: what tells them says little
	case asked == ScoreAuto:
		d.kind = d.best(kinds...)
		if x := d.figures[ScoreCombined]; x > 0 && (1-x <= combinedLeaves || 1-d.figures[d.kind] >= combinedShare*(1-x)) {
			d.kind = ScoreCombined
		}
	}
	if !slices.Contains(kinds, d.kind) {
		return fmt.Errorf("score %v: %w: these vectors of %d components have no covariance, use cluster or knn", d.kind, ErrInvalid, d.dim)
	}
	return nil
}

// class returns the number of a class, −1 of one that is not known.
func (d *Detector) class(label string) int {
	if i, ok := slices.BinarySearch(d.classes, label); ok {
		return i
	}
	return -1
}

// calibrate measures the held-out vectors.
func (d *Detector) calibrate(ctx context.Context, heldOut []Labeled, threads int) error {
	const block = 64
	items := make([]calibrated, len(heldOut))
	errs := make([]error, (len(heldOut)+block-1)/block)
	workers(threads, len(errs), func(b int) {
		if errs[b] = ctx.Err(); errs[b] != nil {
			return
		}
		for i := b * block; i < min((b+1)*block, len(heldOut)) && errs[b] == nil; i++ {
			label := d.class(heldOut[i].Label)
			if label < 0 {
				errs[b] = fmt.Errorf("held-out vector %d: no known vector has its label %q: %w: hold out vectors of known classes only", i, heldOut[i].Label, ErrInvalid)
				continue
			}
			near, err := d.neighbors(ctx, heldOut[i].Vector)
			var m measured
			if err == nil {
				m, err = d.measure(heldOut[i].Vector, near, true)
			}
			if err != nil {
				errs[b] = fmt.Errorf("held-out vector %d: %w", i, err)
				continue
			}
			items[i] = calibrated{score: m.score, own: m.own[label], nearest: m.nearest, label: label}
		}
	})
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	d.calibration = newCalibration(items, len(d.classes))
	return nil
}

// workers calls f for 0 to n−1 from a number of goroutines.
func workers(threads, n int, f func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(threads, n) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				f(int(i))
			}
		})
	}
	wg.Wait()
}

// Neighbors returns how many of the nearest known vectors a verdict needs to be given: 0, or DetectorNeighbors or more.
func (d *Detector) Neighbors() int {
	if d.kind == ScoreNeighbors || d.kind == ScoreCombined {
		return d.k
	}
	return 0
}

// neighbors finds what a verdict needs.
func (d *Detector) neighbors(ctx context.Context, v []float32) ([]Hit, error) {
	if d.Neighbors() == 0 {
		return nil, nil
	}
	if d.near == nil {
		return nil, fmt.Errorf("detector that was read from bytes: %w: it does not have the known vectors, use VerdictOf with the nearest of them", ErrNotCalibrated)
	}
	return d.near(ctx, v, d.Neighbors())
}

// measured is what a detector makes of a vector.
type measured struct {
	score     float64
	nearest   int       // class of the nearest cluster
	distances []float64 // to the nearest cluster of each class
	own       []float64 // the same by the distance that classes are told apart by
}

// measure makes it of a vector and its neighbours; own only where it is asked for.
func (d *Detector) measure(v []float32, near []Hit, own bool) (m measured, err error) {
	if len(d.classes) == 0 {
		return m, fmt.Errorf("detector without classes: %w: make it with FitDetector", ErrNotCalibrated)
	}
	if d.Neighbors() > 0 && len(near) == 0 {
		return m, fmt.Errorf("no neighbours among the known vectors: %w: the score %v needs the %d nearest", ErrNotCalibrated, d.kind, d.Neighbors())
	}
	row := make([]float32, d.stride)
	if err := d.prepare(row, v); err != nil {
		return m, err
	}
	var p parts
	m.distances = make([]float64, len(d.classes))
	room := d.room()
	d.toClasses(row, room, m.distances)
	m.own = m.distances
	m.nearest = leastOf(m.distances)
	p[partCluster] = m.distances[m.nearest]
	if d.kind == ScoreMahalanobis || own && d.own == ScoreMahalanobis {
		distances := make([]float64, len(d.classes))
		d.mahalanobisToClasses(row, room, distances)
		p[partMahalanobis] = distances[leastOf(distances)]
		if d.own == ScoreMahalanobis {
			m.own = distances
		}
	}
	if d.kind == ScoreGaussian || d.kind == ScoreCombined {
		p[partGaussian] = d.normal.nearest(row, m.distances)
	}
	if d.Neighbors() > 0 {
		p[partNeighbors] = neighborScore(near, d.k)
	}
	m.score = d.scale.score(d.kind, p)
	return m, nil
}

func leastOf(x []float64) int {
	best := 0
	for i := range x {
		if x[i] < x[best] {
			best = i
		}
	}
	return best
}

// ClassDistance is the distance from a vector to the nearest cluster of a class.
type ClassDistance struct {
	Class    string
	Distance float64 // 1−cos, or Euclidean
}

// Verdict says whether a vector is unlike everything known.
type Verdict struct {
	Score          float64         // how strange it is, larger is stranger; of the kind that Detector.Score names
	PValue         float64         // how usual a score at least this large is for known data, in (0, 1]
	ClassPValue    float64         // the same among held-out points whose nearest class is the same one
	Threshold      float64         // scores above it are anomalies at this alpha
	Alpha          float64         // false-alarm rate that was asked for
	Anomaly        bool            // PValue <= Alpha, which is Score > Threshold
	NearestClass   string          // class of the nearest cluster
	ClassDistances []ClassDistance // all classes, nearest first
}

// Verdict judges a vector at a false-alarm rate alpha in (0, 1), DefaultAlpha for example, and looks for its neighbours if it
// needs them. ErrAlpha: the calibration has too few scores for so small an alpha; the error names how many it takes.
func (d *Detector) Verdict(ctx context.Context, v []float32, alpha float64) (Verdict, error) {
	near, err := d.neighbors(ctx, v)
	if err != nil {
		return Verdict{}, err
	}
	return d.VerdictOf(v, near, alpha)
}

// VerdictOf is Verdict for a vector whose nearest known vectors, Neighbors of them, were found already.
func (d *Detector) VerdictOf(v []float32, near []Hit, alpha float64) (Verdict, error) {
	m, err := d.measure(v, near, false)
	if err != nil {
		return Verdict{}, err
	}
	return d.verdict(m, alpha)
}

func (d *Detector) verdict(m measured, alpha float64) (Verdict, error) {
	threshold, err := d.Threshold(alpha)
	if err != nil {
		return Verdict{}, err
	}
	out := Verdict{Score: m.score, Alpha: alpha, Threshold: threshold, NearestClass: d.classes[m.nearest], ClassDistances: make([]ClassDistance, len(m.distances))}
	for i, x := range m.distances {
		out.ClassDistances[i] = ClassDistance{d.classes[i], x}
	}
	slices.SortStableFunc(out.ClassDistances, func(a, b ClassDistance) int { return cmp.Compare(a.Distance, b.Distance) })
	out.PValue, out.ClassPValue = d.PValue(m.score), pValue(d.byNearest[m.nearest], m.score)
	out.Anomaly = out.PValue <= alpha
	return out, nil
}

// Score returns the kind of the score.
func (d *Detector) Score() ScoreKind { return d.kind }

// Chosen returns how well each score told left-out classes from the others (AUROC), by its name, where the known vectors were
// enough to tell: docs/decisions/0015-verdicts.md says how.
func (d *Detector) Chosen() map[string]float64 {
	out := map[string]float64{}
	for kind, x := range d.figures {
		if x > 0 {
			out[ScoreKind(kind).String()] = x
		}
	}
	return out
}

// Classes returns the names of the known classes, sorted.
func (d *Detector) Classes() []string { return slices.Clone(d.classes) }

// Clusters returns the number of clusters of all classes.
func (d *Detector) Clusters() int { return len(d.classOf) }

// ModelID returns the model of the vectors.
func (d *Detector) ModelID() string { return d.modelID }

// Metric returns the metric of the vectors.
func (d *Detector) Metric() Metric { return d.metric }

// Dimension returns the dimension of the vectors.
func (d *Detector) Dimension() int { return d.dim }
