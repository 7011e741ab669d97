package benchmarks

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strconv"
	"text/tabwriter"

	"github.com/akin-search/akin/index"
)

// selectivities are the shares of the points that the filters of RunbookFilter let pass.
var selectivities = []float64{0.5, 0.1, 0.01, 0.001}

// Correlations say where the points that pass a filter lie, seen from the query.
const (
	NearQuery    = "near"   // around it: most of its nearest neighbours pass
	FarFromQuery = "far"    // elsewhere: none of them does, or few
	Anywhere     = "random" // without regard to it
)

// filterLoss is how much less recall a filter may leave than there is without one.
const filterLoss = 0.01

// FilterReport is the result of Filtered.
type FilterReport struct {
	Setup
	BuildSeconds float64      `json:"build_seconds"` // of the collection, its store included
	Recall       float64      `json:"recall"`        // without a filter
	QPS          float64      `json:"qps"`
	Filters      []FilterCell `json:"filters"`
	Bar          Bar          `json:"bar"` // recall lost by the worst filter
}

// FilterCell is one kind of filter.
type FilterCell struct {
	Selectivity float64 `json:"selectivity"` // share of the points that pass, k points at least
	Correlation string  `json:"correlation"` // near, far or random
	Passing     int     `json:"passing"`     // points that pass, of every query's filter
	// Overlap is the share of the k nearest neighbours without a filter that pass it: what the correlation comes to.
	Overlap float64 `json:"overlap"`
	Recall  float64 `json:"recall"` // share of the k nearest that pass which were found
	QPS     float64 `json:"qps"`    // queries a second of one thread, median of the rounds
	P50     float64 `json:"p50_us"`
	P99     float64 `json:"p99_us"`
}

// filtered is a cell with the filter of each query: the points whose field is from … from+Passing−1.
type filtered struct {
	*FilterCell
	field    string
	from     []int
	edge     []float64
	qps      []float64
	p50, p99 []float64
}

// The fields that filters ask about; both number the points 0 … n−1.
const (
	fieldPlace  = "place"  // neighbours have numbers close to each other
	fieldRandom = "random" // in a random order
)

// Filtered fills a collection and asks its queries among the points that pass a filter of their own: a range of a number in the
// payload that is near, far from or without regard to the query. The nearest that pass are found by comparing all.
func Filtered(ctx context.Context, d Data, o RunbookOptions) (FilterReport, error) {
	if err := o.check(d); err != nil {
		return FilterReport{}, err
	}
	r := FilterReport{Setup: o.setup(RunbookFilter, d)}
	rng := rand.New(rand.NewPCG(o.Seed, 0x66696c746572)) // "filter"
	order := newOrder(d, rng)
	numbers := map[string][]int{fieldPlace: order.placeOf, fieldRandom: rng.Perm(len(d.Base))}
	err := o.inCollection(d, func(c *index.Collection) (err error) {
		r.BuildSeconds, err = o.fill(ctx, c, len(d.Base), func(i int) index.Point {
			payload := map[string]any{fieldPlace: numbers[fieldPlace][i], fieldRandom: numbers[fieldRandom][i]}
			return index.Point{ID: strconv.Itoa(i), Vector: d.Base[i], Payload: payload}
		})
		if err != nil {
			return err
		}
		o.say("stored in %.1f s", r.BuildSeconds)
		return r.run(ctx, d, o, c, order, numbers, rng)
	})
	return r, err
}

func (r *FilterReport) run(ctx context.Context, d Data, o RunbookOptions, c searcher, order *order, numbers map[string][]int, rng *rand.Rand) error {
	exact, err := findTruth(ctx, d, o.K, o.Threads)
	if err != nil {
		return err
	}
	plain, err := ask(ctx, c, exact, index.Params{EF: o.EF}, nil)
	if err != nil {
		return err
	}
	r.Recall, r.QPS = plain.recall, plain.qps
	o.say("without a filter: recall@%d %.4f, %.0f queries/s", o.K, r.Recall, r.QPS)

	places := make([]int, len(d.Queries))
	for i, q := range d.Queries {
		places[i] = order.place(q)
	}
	var cells []*filtered
	for _, share := range selectivities {
		for _, kind := range []string{NearQuery, FarFromQuery, Anywhere} {
			f := newFiltered(share, kind, o.K, len(d.Base), places, rng)
			if err := f.findEdges(ctx, exact, numbers[f.field]); err != nil {
				return err
			}
			cells = append(cells, f)
		}
	}
	for round := range o.Rounds {
		for _, f := range cells {
			if err := f.ask(ctx, c, exact, numbers[f.field], o.EF); err != nil {
				return fmt.Errorf("%s filter of %g: %w", f.Correlation, f.Selectivity, err)
			}
		}
		o.say("round %d of %d", round+1, o.Rounds)
	}
	worst := 1.0
	for _, f := range cells {
		f.QPS, f.P50, f.P99 = rounded(median(f.qps), 1), rounded(median(f.p50), 2), rounded(median(f.p99), 2)
		worst = min(worst, f.Recall)
		r.Filters = append(r.Filters, *f.FilterCell)
	}
	r.Bar = bar("recall lost by the worst filter", rounded(max(0, r.Recall-worst), 6), filterLoss)
	return nil
}

// newFiltered chooses a range of numbers for every query.
func newFiltered(share float64, kind string, k, n int, places []int, rng *rand.Rand) *filtered {
	passing := max(k, int(math.Round(share*float64(n))))
	f := &filtered{
		FilterCell: &FilterCell{Selectivity: rounded(float64(passing)/float64(n), 6), Correlation: kind, Passing: passing},
		field:      fieldPlace, from: make([]int, len(places)), edge: make([]float64, len(places)),
	}
	for i, place := range places {
		switch kind {
		case NearQuery:
			f.from[i] = place - passing/2
		case FarFromQuery:
			f.from[i] = (place+n/2)%n - passing/2
		case Anywhere:
			f.field, f.from[i] = fieldRandom, rng.IntN(n-passing+1)
		}
		f.from[i] = min(max(0, f.from[i]), n-passing)
	}
	return f
}

// findEdges compares every query with all points that pass, and measures the overlap.
func (f *filtered) findEdges(ctx context.Context, exact *truth, numbers []int) error {
	rowOf := make([]int, len(numbers))
	for row, n := range numbers {
		rowOf[n] = row
	}
	overlap, nearest := 0, 0
	for i := range exact.data.Queries {
		if err := ctx.Err(); err != nil {
			return err
		}
		near := make(farthestFirst, 0, exact.k)
		for _, row := range rowOf[f.from[i] : f.from[i]+f.Passing] {
			near.addAll(exact, exact.data.Queries[i], row, row+1)
		}
		rows := make([]int32, len(near))
		for j, c := range near {
			rows[j] = int32(c.row)
			if exact.distance(i, c.row) <= exact.edge[i] {
				overlap++
			}
		}
		nearest += exact.k
		f.edge[i] = exact.edgeOf(i, rows)
	}
	f.Overlap = rounded(float64(overlap)/float64(nearest), 6)
	return nil
}

// ask asks every query with its filter. A hit that does not pass is an error.
func (f *filtered) ask(ctx context.Context, c searcher, exact *truth, numbers []int, ef int) error {
	one := *exact
	one.edge, one.passes = f.edge, func(query, row int) bool {
		return numbers[row] >= f.from[query] && numbers[row] < f.from[query]+f.Passing
	}
	a, err := askEach(ctx, c, &one, func(query int) index.Params {
		low, high := float64(f.from[query]), float64(f.from[query]+f.Passing)
		return index.Params{EF: ef, Filter: &index.Filter{Must: []index.Condition{{Key: f.field, Range: &index.Range{GTE: &low, LT: &high}}}}}
	}, nil)
	if err != nil {
		return err
	}
	f.Recall = a.recall
	f.qps, f.p50, f.p99 = append(f.qps, a.qps), append(f.p50, a.p50), append(f.p99, a.p99)
	return nil
}

// WriteTable writes the report for people.
func (r FilterReport) WriteTable(w io.Writer) error {
	return writeRunbook(w, r.Setup, func(t *tabwriter.Writer) {
		fmt.Fprintf(t, "passing\tlie\toverlap\trecall@%d\tQPS\tp50 µs\tp99 µs\t\n", r.K)
		fmt.Fprintf(t, "all\t-\t1.000\t%.4f\t%.0f\t-\t-\t\n", r.Recall, r.QPS)
		for _, f := range r.Filters {
			fmt.Fprintf(t, "%g %%\t%s\t%.3f\t%.4f\t%.0f\t%.1f\t%.1f\t\n", 100*f.Selectivity, f.Correlation, f.Overlap, f.Recall, f.QPS, f.P50, f.P99)
		}
	}, r.Bar)
}
