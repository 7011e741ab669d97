package index

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sort"
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

// DetectorOptions tunes FitDetector; zero means the default.
type DetectorOptions struct {
	ClustersPerClass int    // prototypes of a class, default 8; a class with fewer different vectors has fewer
	Iterations       int    // k-means rounds at most, default 25
	Seed             uint64 // same seed, same data: same detector
	Threads          int    // default GOMAXPROCS; changes nothing in the result
	ModelID          string // model of the vectors; a collection refuses a detector of another model
}

// SetDefaults fills the zero fields.
func (o *DetectorOptions) SetDefaults() {
	if o.ClustersPerClass == 0 {
		o.ClustersPerClass = 8
	}
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
	case o.ClustersPerClass < 1 || o.ClustersPerClass > MaxClusters:
		return fmt.Errorf("%d clusters per class: %w: use 1 to %d", o.ClustersPerClass, ErrInvalid, MaxClusters)
	case o.Iterations < 1 || o.Iterations > 10_000:
		return fmt.Errorf("%d iterations: %w: use 1 to 10000", o.Iterations, ErrInvalid)
	case o.Threads < 1 || o.Threads > MaxThreads:
		return fmt.Errorf("threads %d: %w: use 1 to %d", o.Threads, ErrInvalid, MaxThreads)
	case len(o.ModelID) > MaxLabel:
		return fmt.Errorf("model id of %d bytes: %w: use up to %d", len(o.ModelID), ErrInvalid, MaxLabel)
	}
	return nil
}

// Detector tells vectors like the known classes from others. Its score is the distance to the nearest cluster of any class:
// 1−cos, or the Euclidean distance. The score becomes a p-value by comparison with the scores of held-out points (split
// conformal: Vovk, Gammerman & Shafer 2005; for anomalies: Laxhammar & Falkman 2010):
//
//	p = (1 + #{calibration scores ≥ score}) / (n + 1)
//
// So points drawn like the held-out ones are flagged with a probability of at most alpha, whatever their distribution. A
// Detector does not change; all methods are safe for concurrent use.
type Detector struct {
	space
	modelID string
	classes []string  // sorted
	centers []float32 // rows of all clusters, class after class
	classOf []int     // of each cluster
	scores  []float64 // of the calibration, ascending
}

// ClassDistance is the distance from a vector to the nearest cluster of a class.
type ClassDistance struct {
	Class    string
	Distance float64
}

// Verdict says whether a vector is unlike everything known.
type Verdict struct {
	Score          float64         // distance to the nearest cluster
	PValue         float64         // how usual a score at least this large is for known data, in (0, 1]
	Threshold      float64         // scores above it are anomalies at this alpha
	Alpha          float64         // false-alarm rate that was asked for
	Anomaly        bool            // PValue <= Alpha, which is Score > Threshold
	NearestClass   string          // class of the nearest cluster
	ClassDistances []ClassDistance // all classes, nearest first
}

// FitDetector clusters the known vectors class by class and calibrates with held-out vectors of the same classes, which must
// not be among the known: scores of points that shaped the clusters are too small. Metric is Cosine or L2. All vectors have the
// same dimension.
func FitDetector(ctx context.Context, metric Metric, known, heldOut []Labeled, o DetectorOptions) (*Detector, error) {
	o.SetDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if metric != Cosine && metric != L2 {
		return nil, fmt.Errorf("metric %v: %w: a detector needs distances, use cosine or l2", metric, ErrInvalid)
	}
	if len(known) == 0 || len(heldOut) == 0 {
		return nil, fmt.Errorf("%d known and %d held-out vectors: %w: give some of both", len(known), len(heldOut), ErrNotCalibrated)
	}
	dim := len(known[0].Vector)
	if dim < 1 || dim > MaxDimension {
		return nil, fmt.Errorf("vectors of %d components: %w: use 1 to %d", dim, ErrDimension, MaxDimension)
	}
	d := &Detector{space: newSpace(metric, dim), modelID: o.ModelID}
	rowsOf := map[string][]float32{}
	row := make([]float32, d.stride)
	for i, p := range known {
		if len(p.Label) > MaxLabel {
			return nil, fmt.Errorf("known vector %d: label of %d bytes: %w: use up to %d", i, len(p.Label), ErrInvalid, MaxLabel)
		}
		if err := d.prepare(row, p.Vector); err != nil {
			return nil, fmt.Errorf("known vector %d: %w", i, err)
		}
		rowsOf[p.Label] = append(rowsOf[p.Label], row...)
	}
	for class := range rowsOf {
		d.classes = append(d.classes, class)
	}
	slices.Sort(d.classes)

	centers, errs := make([][]float32, len(d.classes)), make([]error, len(d.classes))
	workers(o.Threads, len(d.classes), func(i int) {
		r := rand.New(rand.NewPCG(o.Seed, uint64(i)))
		centers[i], errs[i] = d.cluster(ctx, rowsOf[d.classes[i]], o.ClustersPerClass, o.Iterations, r)
	})
	for i, err := range errs {
		if err != nil {
			return nil, err
		}
		d.addClass(i, centers[i])
	}
	return d, d.calibrate(ctx, heldOut, o.Threads)
}

func (d *Detector) addClass(class int, centers []float32) {
	d.centers = append(d.centers, centers...)
	for range len(centers) / d.stride {
		d.classOf = append(d.classOf, class)
	}
}

// calibrate sets the scores.
func (d *Detector) calibrate(ctx context.Context, heldOut []Labeled, threads int) error {
	const block = 512
	scores := make([]float64, len(heldOut))
	errs := make([]error, (len(heldOut)+block-1)/block)
	workers(threads, len(errs), func(b int) {
		if errs[b] = ctx.Err(); errs[b] != nil {
			return
		}
		for i := b * block; i < min((b+1)*block, len(heldOut)) && errs[b] == nil; i++ {
			if _, ok := slices.BinarySearch(d.classes, heldOut[i].Label); !ok {
				errs[b] = fmt.Errorf("held-out vector %d: no known vector has its label %q: %w: hold out vectors of known classes only", i, heldOut[i].Label, ErrInvalid)
				continue
			}
			var err error
			if scores[i], _, err = d.Score(heldOut[i].Vector); err != nil {
				errs[b] = fmt.Errorf("held-out vector %d: %w", i, err)
			}
		}
	})
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	slices.Sort(scores)
	d.scores = scores
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

// distancesTo returns the distance to the nearest cluster of each class.
func (d *Detector) distancesTo(v []float32) ([]float64, error) {
	if len(d.classes) == 0 {
		return nil, fmt.Errorf("detector without classes: %w: make it with FitDetector", ErrNotCalibrated)
	}
	row := make([]float32, d.stride)
	if err := d.prepare(row, v); err != nil {
		return nil, err
	}
	nearest := slices.Repeat([]float64{math.Inf(1)}, len(d.classes))
	var out [scanBlock]float32
	for first := 0; first < len(d.classOf); first += scanBlock {
		of := d.classOf[first:min(first+scanBlock, len(d.classOf))]
		d.distances(row, d.centers[first*d.stride:], blockRows[:len(of)], out[:], nil)
		for i, class := range of {
			nearest[class] = min(nearest[class], float64(d.hit("", out[i]).Distance))
		}
	}
	return nearest, nil
}

// Score returns the distance to the nearest cluster, and its class.
func (d *Detector) Score(v []float32) (score float64, class string, err error) {
	nearest, err := d.distancesTo(v)
	if err != nil {
		return 0, "", err
	}
	best := 0
	for i, x := range nearest {
		if x < nearest[best] {
			best = i
		}
	}
	return nearest[best], d.classes[best], nil
}

// Verdict judges a vector at a false-alarm rate alpha in (0, 1), DefaultAlpha for example. ErrAlpha: the calibration has too
// few scores for so small an alpha; the error names how many it takes.
func (d *Detector) Verdict(v []float32, alpha float64) (Verdict, error) {
	nearest, err := d.distancesTo(v)
	if err != nil {
		return Verdict{}, err
	}
	threshold, err := d.Threshold(alpha)
	if err != nil {
		return Verdict{}, err
	}
	out := Verdict{Alpha: alpha, Threshold: threshold, ClassDistances: make([]ClassDistance, len(nearest))}
	for i, x := range nearest {
		out.ClassDistances[i] = ClassDistance{d.classes[i], x}
	}
	slices.SortStableFunc(out.ClassDistances, func(a, b ClassDistance) int { return cmp.Compare(a.Distance, b.Distance) })
	out.Score, out.NearestClass = out.ClassDistances[0].Distance, out.ClassDistances[0].Class
	out.PValue = d.PValue(out.Score)
	out.Anomaly = out.PValue <= alpha
	return out, nil
}

// PValue returns (1 + #{calibration scores ≥ score}) / (n + 1).
func (d *Detector) PValue(score float64) float64 {
	return d.pValue(len(d.scores) - sort.SearchFloat64s(d.scores, score))
}

// pValue is the p-value of a score that count calibration scores reach.
func (d *Detector) pValue(count int) float64 { return float64(1+count) / float64(len(d.scores)+1) }

// Threshold returns the score that anomalies at this alpha exceed: the largest calibration score that is none.
func (d *Detector) Threshold(alpha float64) (float64, error) {
	if !(alpha > 0 && alpha < 1) {
		return 0, fmt.Errorf("alpha %v: %w: use a number between 0 and 1, %v for example", alpha, ErrAlpha, DefaultAlpha)
	}
	n := len(d.scores)
	if alpha < d.MinAlpha() {
		need := math.Ceil(1/alpha) - 1
		if 1/(need+1) > alpha {
			need++ // rounding
		}
		return 0, fmt.Errorf("alpha %v with %d calibration scores: %w: use at least 1/(n+1) = %.3g, or calibrate with n = %.0f held-out vectors",
			alpha, n, ErrAlpha, d.MinAlpha(), need)
	}
	// An anomaly is reached by at most so many calibration scores that their p-value still is <= alpha. The one after these,
	// from the top, is the threshold.
	most := sort.Search(n, func(count int) bool { return d.pValue(count) > alpha }) - 1
	return d.scores[n-1-most], nil
}

// MinAlpha returns the smallest alpha that Verdict accepts, 1/(n+1).
func (d *Detector) MinAlpha() float64 { return d.pValue(0) }

// Calibration returns the number n of calibration scores.
func (d *Detector) Calibration() int { return len(d.scores) }

// Classes returns the names of the known classes, sorted.
func (d *Detector) Classes() []string { return slices.Clone(d.classes) }

// Clusters returns the number of clusters of all classes.
func (d *Detector) Clusters() int { return len(d.classOf) }

// ModelID returns the model of the vectors.
func (d *Detector) ModelID() string { return d.modelID }

// Metric returns the metric of the scores.
func (d *Detector) Metric() Metric { return d.metric }

// Dimension returns the dimension of the vectors.
func (d *Detector) Dimension() int { return d.dim }
