package train

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/akin-search/akin/encoder/kernel"
)

// DownstreamOptions say how an embedding is measured. The zero value will do.
type DownstreamOptions struct {
	Seed    uint64 // of every random choice: pairs, starts of the clustering, resamples
	Threads int    // 0 means one a core; they do not change the figures
}

func (o DownstreamOptions) validate() error {
	if o.Threads < 0 || o.Threads > kernel.MaxThreads {
		return fmt.Errorf("%w: %d threads: it must be 0 (one a core) to %d", ErrEvaluate, o.Threads, kernel.MaxThreads)
	}
	return nil
}

// Downstream is what one embedding is good for, measured on queries that base answers. Shares are 0 to 1.
//
// A query whose class base does not have counts as wrong everywhere.
type Downstream struct {
	KNNAccuracy         float64 `json:"knn_accuracy"`          // vote of the 5 nearest of base by cosine
	NearestMeanAccuracy float64 `json:"nearest_mean_accuracy"` // class of the nearest mean direction: see nearestMean
	LinearProbeAccuracy float64 `json:"linear_probe_accuracy"` // logistic regression on the embedding: see linearProbe
	RecallAt1           float64 `json:"recall_at_1"`           // the nearest of base is of the query's class
	RecallAt5           float64 `json:"recall_at_5"`           // one of the 5 nearest is
	RecallAt10          float64 `json:"recall_at_10"`          // one of the 10 nearest is
	MAPAtR              float64 `json:"map_at_r"`              // see retrieve

	// Of k-means among the queries alone, told nothing but the number of their classes: see kMeans.
	NMI        float64 `json:"nmi"`        // against the classes: see NMI
	ARI        float64 `json:"ari"`        // against the classes: see ARI
	Silhouette float64 `json:"silhouette"` // of the clusters themselves: see Silhouette

	// Of clusters by density among the queries alone, at most 10 000 of them, told nothing: see dbscan. Noise counts as a cluster for NMI and ARI.
	DBSCANNMI      float64 `json:"dbscan_nmi"`
	DBSCANARI      float64 `json:"dbscan_ari"`
	DBSCANClusters int     `json:"dbscan_clusters"` // without noise
	DBSCANNoise    float64 `json:"dbscan_noise"`    // share of the queries in no cluster

	// Of pairs of queries, of one class or of two: see VerifyPairs.
	Verification

	// Intervals hold 95 %, by the figures' JSON names, for those of classifying, retrieval and pairs, NMI and ARI: see bootstrap. They are of the choice
	// of the queries.
	Intervals map[string]Interval `json:"intervals"`
}

const (
	downstreamK     = 5
	downstreamPairs = 100_000
)

// MeasureDownstream measures an embedding: queries with known labels are classified, searched for and told apart by what base knows, and
// clustered by themselves. Both matrices hold unit rows of one width, all with labels; base and queries have two classes or more each,
// and one class of the queries has two rows. Errors wrap ErrEvaluate. The same input, seed and CPU tier give the same bits on any number
// of threads. It stops soon when ctx ends.
func MeasureDownstream(ctx context.Context, base kernel.Matrix, baseLabels []int, queries kernel.Matrix, queryLabels []int, o DownstreamOptions) (Downstream, error) {
	var d Downstream
	if err := checkSearch(base, baseLabels, queries, queryLabels); err != nil {
		return d, err
	}
	if err := o.validate(); err != nil {
		return d, err
	}
	classes, _ := itemsByClass(queryLabels)
	if !measurable(baseLabels, queryLabels) {
		known, _ := itemsByClass(baseLabels)
		return d, fmt.Errorf("%w: %d classes in base, %d classes and %d rows in the queries; it needs two classes in each, and two rows of a class in the queries",
			ErrEvaluate, len(known), len(classes), queries.Rows)
	}
	e := evaluation{ctx: ctx, base: base, queries: queries, baseLabels: baseLabels, queryLabels: queryLabels, DownstreamOptions: o}
	nearest, _, err := e.nearest(min(downstreamK, base.Rows))
	if err != nil {
		return d, err
	}
	means, err := e.nearestMean()
	if err != nil {
		return d, err
	}
	probe, err := e.linearProbe()
	if err != nil {
		return d, err
	}
	found, err := e.retrieve()
	if err != nil {
		return d, err
	}
	clusters, err := kMeans(ctx, queries, len(classes), o)
	if err != nil {
		return d, err
	}
	if d.NMI, err = NMI(clusters, queryLabels); err != nil {
		return d, err
	}
	if d.ARI, err = ARI(clusters, queryLabels); err != nil {
		return d, err
	}
	if d.Silhouette, err = Silhouette(queries, clusters); err != nil {
		return d, err
	}
	if err := d.byDensity(ctx, queries, queryLabels, o.Threads); err != nil {
		return d, err
	}
	pairs, err := drawPairs(queries, queryLabels, downstreamPairs, o.Seed)
	if err != nil {
		return d, err
	}
	d.Verification = verify(pairs, nil, farOne)
	figures := []perQuery{
		{"knn_accuracy", &d.KNNAccuracy, nearest},
		{"nearest_mean_accuracy", &d.NearestMeanAccuracy, means},
		{"linear_probe_accuracy", &d.LinearProbeAccuracy, probe},
		{"recall_at_1", &d.RecallAt1, found.within(1)},
		{"recall_at_5", &d.RecallAt5, found.within(5)},
		{"recall_at_10", &d.RecallAt10, found.within(10)},
		{"map_at_r", &d.MAPAtR, found.precision},
	}
	if d.Intervals, err = bootstrap(ctx, figures, o); err != nil {
		return d, err
	}
	verified, err := verifyIntervals(ctx, pairs, queries.Rows, o)
	if err != nil {
		return d, err
	}
	maps.Copy(d.Intervals, verified)
	agreed, err := agreementIntervals(ctx, clusters, queryLabels, o)
	maps.Copy(d.Intervals, agreed)
	return d, err
}

// byDensity clusters by dbscan and compares with the classes.
func (d *Downstream) byDensity(ctx context.Context, queries kernel.Matrix, labels []int, threads int) error {
	if n := queries.Rows; n > dbscanRows { // spread over all
		some, of := kernel.NewMatrix(dbscanRows, queries.Cols), make([]int, dbscanRows)
		for i := range of {
			copy(some.Row(i), queries.Row(i*n/dbscanRows))
			of[i] = labels[i*n/dbscanRows]
		}
		queries, labels = some, of
	}
	clusters, err := dbscan(ctx, queries, threads)
	if err != nil {
		return err
	}
	seen := map[int]int{}
	for _, c := range clusters {
		seen[c]++
	}
	d.DBSCANNoise = float64(seen[noise]) / float64(len(clusters))
	delete(seen, noise)
	d.DBSCANClusters = len(seen)
	if d.DBSCANNMI, err = NMI(clusters, labels); err != nil {
		return err
	}
	d.DBSCANARI, err = ARI(clusters, labels)
	return err
}

// measurable reports whether there are classes enough for MeasureDownstream.
func measurable(baseLabels, queryLabels []int) bool {
	known, _ := itemsByClass(baseLabels)
	classes, _ := itemsByClass(queryLabels)
	return len(known) > 1 && len(classes) > 1 && len(classes) < len(queryLabels)
}

// evaluation is one base asked by one set of queries.
type evaluation struct {
	ctx                     context.Context
	base, queries           kernel.Matrix
	baseLabels, queryLabels []int
	DownstreamOptions
}

// eachBlock calls a worker's function for every block of 0 … blocks−1, on so many threads (0: one a core). newWorker makes what one
// worker needs. It stops at the next block when ctx ends.
func eachBlock(ctx context.Context, threads, blocks int, newWorker func() func(block int)) error {
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	var next atomic.Int64
	run := func() {
		work := newWorker()
		for ctx.Err() == nil {
			block := int(next.Add(1)) - 1
			if block >= blocks {
				return
			}
			work(block)
		}
	}
	var wait sync.WaitGroup
	for range min(blocks, threads) - 1 {
		wait.Go(run)
	}
	run()
	wait.Wait()
	return context.Cause(ctx)
}

// hit is 1 for a right answer and 0 for a wrong one.
func hit(right bool) float64 {
	if right {
		return 1
	}
	return 0
}
