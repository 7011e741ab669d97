package index

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/akin-search/akin/index/distance"
)

// ScoreKind names how a detector measures strangeness.
type ScoreKind uint8

const (
	// ScoreAuto lets FitDetector choose, by leaving classes out; of one class it takes ScoreNeighbors.
	ScoreAuto ScoreKind = iota
	// ScoreCluster is the distance to the nearest cluster: 1−cos, or the Euclidean distance.
	ScoreCluster
	// ScoreMahalanobis is the Mahalanobis distance to the nearest cluster, by one shrunk covariance of all clusters. There is none
	// beyond 512 components, or where the known do not vary.
	ScoreMahalanobis
	// ScoreGaussian is √(−2·log p) of the class that is likeliest of those of the nearest clusters, by a normal distribution with a mean and variances
	// of its own for each class (gaussians.go), less what it is at the mean of the narrowest class. There is none where there is no ScoreMahalanobis.
	ScoreGaussian
	// ScoreNeighbors is the mean distance of the nearest known vectors: of DetectorNeighbors, and where all are of one class of one in 250, up to 20.
	ScoreNeighbors
	// ScoreCombined is the larger of ScoreGaussian and ScoreNeighbors, each less its median and over its interquartile range, as they were on
	// known vectors that were kept aside for it: strange is what is unlike every class, and also what is far from all that is known.
	ScoreCombined
)

// DetectorNeighbors is how many neighbours ScoreNeighbors takes the mean of, where there are several classes, or few points.
const DetectorNeighbors = 5

// Of many points of one class more neighbours count: items that calibrate may have near relatives among the known ones (of the same writer, lot or day) that
// items to come have not, and few neighbours would be just these.
const (
	mostNeighbors     = 20
	pointsPerNeighbor = 250
)

var scoreNames = [...]string{"auto", "cluster", "mahalanobis", "gaussian", "knn", "combined"}

// String returns the name that ParseScoreKind reads.
func (k ScoreKind) String() string {
	if int(k) < len(scoreNames) {
		return scoreNames[k]
	}
	return fmt.Sprintf("ScoreKind(%d)", int(k))
}

// ParseScoreKind reads a score's name; an unknown one is ErrInvalid.
func ParseScoreKind(s string) (ScoreKind, error) {
	if i := slices.Index(scoreNames[:], s); i >= 0 {
		return ScoreKind(i), nil
	}
	return 0, fmt.Errorf("score %q: %w: use auto, cluster, mahalanobis, gaussian, knn or combined", s, ErrInvalid)
}

// clusterModel is the clusters of all classes, and the covariance about them.
type clusterModel struct {
	space
	centers []float32       // rows of all clusters, class after class
	panels  distance.Panels // the same
	classOf []int           // of each cluster
	white   *whitening
	normal  *gaussians // nil where white is
}

// parts are the scores that others are made of. What was not asked for is 0.
type parts [4]float64

const (
	partCluster = iota
	partMahalanobis
	partGaussian
	partNeighbors
)

// scale makes parts comparable.
type scale struct{ middle, spread parts }

// scaleOf returns the medians and interquartile ranges of parts; a range of 0 becomes 1.
func scaleOf(all []parts) (s scale) {
	values := make([]float64, len(all))
	for i := range s.middle {
		for j, p := range all {
			values[j] = p[i]
		}
		slices.Sort(values)
		quantile := func(q float64) float64 { return values[int(q*float64(len(values)-1))] }
		s.spread[i] = 1
		if len(values) > 0 {
			s.middle[i] = quantile(0.5)
			if r := quantile(0.75) - quantile(0.25); r > 0 && !math.IsInf(r, 0) {
				s.spread[i] = r
			}
		}
	}
	return s
}

// score makes the score of a kind.
func (s *scale) score(k ScoreKind, p parts) float64 {
	if k != ScoreCombined {
		return p[k-ScoreCluster]
	}
	of := func(part int) float64 { return (p[part] - s.middle[part]) / s.spread[part] }
	return finite(max(of(partGaussian), of(partNeighbors)))
}

// finite makes a score that float64 cannot hold, or that far vectors leave undefined, the largest that it can.
func finite(x float64) float64 {
	if x != x || x > math.MaxFloat64 {
		return math.MaxFloat64
	}
	return x
}

// neighborScore is the mean distance of the nearest k hits, or of all where there are fewer.
func neighborScore(near []Hit, k int) float64 {
	near = near[:min(len(near), k)]
	var sum float64
	for _, h := range near {
		sum += float64(h.Distance)
	}
	return sum / float64(len(near))
}

// toClasses writes the distance of a prepared row to the nearest cluster of each class. It needs room for the distances to all clusters.
func (m *clusterModel) toClasses(row, room []float32, nearest []float64) {
	m.panelDistances(row, &m.panels, room)
	m.nearestOf(m.space, room, nearest)
}

// mahalanobisToClasses is toClasses with the Mahalanobis distance; the model has a covariance.
func (m *clusterModel) mahalanobisToClasses(row, room []float32, nearest []float64) {
	rows := make([]float32, 2*m.stride)
	centered, image := rows[:m.stride], rows[m.stride:]
	m.white.image(row, centered, image)
	m.white.to.panelDistances(image, &m.white.panels, room)
	m.nearestOf(m.white.to, room, nearest)
}

// room returns what distances to all clusters need.
func (m *clusterModel) room() []float32 { return make([]float32, m.panels.Room()) }

// nearestOf writes, of distances to all clusters, class after class, the least of each class. Of a class without clusters it is the largest
// distance that there is.
func (m *clusterModel) nearestOf(s space, distances []float32, nearest []float64) {
	of := 0
	for class := range nearest {
		// The bits of distances, which are not negative, sort like the distances, and are compared without a jump. What far vectors make infinite,
		// or undefined, comes last.
		least := math.Float32bits(math.MaxFloat32)
		for ; of < len(m.classOf) && m.classOf[of] == class; of++ {
			least = min(least, math.Float32bits(distances[of]))
		}
		nearest[class] = float64(s.hit("", math.Float32frombits(least)).Distance)
	}
}

// fitClusters clusters prepared rows class by class; rowsOf is by class and may have classes without rows.
func (s space) fitClusters(ctx context.Context, rowsOf [][]float32, o DetectorOptions) (clusterModel, error) {
	m := clusterModel{space: s}
	centers, errs := make([][]float32, len(rowsOf)), make([]error, len(rowsOf))
	workers(o.Threads, len(rowsOf), func(i int) {
		if len(rowsOf[i]) == 0 {
			return
		}
		r := rand.New(rand.NewPCG(o.Seed, uint64(i)))
		k := o.ClustersPerClass
		if k == 0 {
			if k, errs[i] = s.count(ctx, rowsOf[i], o.most, r); errs[i] != nil {
				return
			}
		}
		centers[i], errs[i] = s.cluster(ctx, rowsOf[i], k, o.Iterations, r)
	})
	for class, err := range errs {
		if err != nil {
			return clusterModel{}, err
		}
		m.addClass(class, centers[class])
	}
	return m, nil
}

func (m *clusterModel) addClass(class int, centers []float32) {
	m.centers = append(m.centers, centers...)
	for i := 0; i < len(centers); i += m.stride {
		m.panels.Append(centers[i : i+m.dim])
		m.classOf = append(m.classOf, class)
	}
}

// spread returns the mean of each cluster's rows, and the scatter about them of each class.
func (m *clusterModel) spread(rowsOf [][]float32) (means []float32, mean []float32, scatters []scatter) {
	means = slices.Clone(m.centers)
	scatters = make([]scatter, len(rowsOf))
	total, count := make([]float64, m.stride), 0
	first := 0
	for class, rows := range rowsOf {
		last := first
		for last < len(m.classOf) && m.classOf[last] == class {
			last++
		}
		if last == first {
			scatters[class] = scatterOf(nil, m.dim)
			continue
		}
		if every := 1 + (len(rows)/m.stride-1)/max(1, whiteWork/len(rowsOf)/(m.dim*m.dim)); every > 1 {
			var some []float32
			for i := 0; i < len(rows); i += every * m.stride {
				some = append(some, rows[i:i+m.stride]...)
			}
			rows = some
		}
		n := len(rows) / m.stride
		of, _ := m.assign(rows, m.centers[first*m.stride:last*m.stride])
		own := means[first*m.stride : last*m.stride]
		l2 := newSpace(L2, m.dim) // not scaled to unit length
		l2.center(rows, of, own)
		residuals := make([]float64, n*m.dim)
		for i, c := range of {
			for j, x := range rows[i*m.stride : i*m.stride+m.dim] {
				residuals[i*m.dim+j] = float64(x) - float64(own[c*m.stride+j])
				total[j] += float64(x)
			}
		}
		count += n
		scatters[class] = scatterOf(residuals, m.dim)
		first = last
	}
	mean = make([]float32, m.stride)
	for j, x := range total {
		mean[j] = float32(x / float64(max(1, count)))
	}
	return means, mean, scatters
}
