package benchmarks

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/akin-search/akin/index"
	"github.com/akin-search/akin/index/distance"
)

// Runbook is a measurement of an index in use, where Recall measures indexes at rest.
type Runbook string

const (
	RunbookChurn     Runbook = "churn"      // deletes and inserts, round after round
	RunbookFilter    Runbook = "filter"     // searches among the points that match a condition
	RunbookColdStart Runbook = "cold-start" // the time from opening a store to its first answer
	RunbookMixed     Runbook = "mixed"      // searches beside writes
)

// Runbooks returns all of them.
func Runbooks() []Runbook {
	return []Runbook{RunbookChurn, RunbookFilter, RunbookColdStart, RunbookMixed}
}

// ParseRunbook reads a runbook's name; an unknown one is ErrInvalid.
func ParseRunbook(s string) (Runbook, error) {
	if r := Runbook(s); slices.Contains(Runbooks(), r) {
		return r, nil
	}
	names := make([]string, len(Runbooks()))
	for i, r := range Runbooks() {
		names[i] = string(r)
	}
	return "", fmt.Errorf("runbook %q: %w: use %s", s, ErrInvalid, strings.Join(names, ", "))
}

// RunbookEF is the EF at which runbooks search where none is named: one at which a graph still misses a little, so that what it
// loses shows.
const RunbookEF = 48

// DefaultPhase of RunbookMixed.
const DefaultPhase = 2 * time.Second

// RunbookOptions tunes a runbook. Zero means the default.
type RunbookOptions struct {
	K       int    // neighbours of a query, default DefaultK
	EF      int    // candidates of a search, default RunbookEF
	Rounds  int    // what a round is depends on the runbook, default DefaultRounds
	Seed    uint64 // of the index and of the choice of points
	Threads int    // for building and for the truth, default GOMAXPROCS
	// Quantization of the graph, default float32.
	Quantization index.Quantization
	// Phase is how long RunbookMixed searches in a round without writes, and then beside them; default DefaultPhase.
	Phase time.Duration
	// Folder is where stores are made, in a folder of their own that is deleted afterwards. "" is the system's for temporary files.
	Folder string
	// Progress is told in a line what has been done; nil for silence.
	Progress func(line string)
}

// SetDefaults fills the zero fields.
func (o *RunbookOptions) SetDefaults() {
	if o.K == 0 {
		o.K = DefaultK
	}
	if o.EF == 0 {
		o.EF = RunbookEF
	}
	if o.Rounds == 0 {
		o.Rounds = DefaultRounds
	}
	if o.Threads == 0 {
		o.Threads = min(runtime.GOMAXPROCS(0), index.MaxThreads)
	}
	if o.Quantization == "" {
		o.Quantization = index.QuantizationFloat32
	}
	if o.Phase == 0 {
		o.Phase = DefaultPhase
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
}

// Validate reports the first field outside its limits.
func (o *RunbookOptions) Validate() error {
	if o.Phase < time.Millisecond || o.Phase > time.Hour {
		return fmt.Errorf("phase of %v: %w: use 1 ms to 1 h", o.Phase, ErrInvalid)
	}
	if _, err := index.ParseQuantization(o.Quantization.String()); err != nil {
		return err
	}
	c := Options{K: o.K, EF: []int{o.EF}, Threads: o.Threads, Rounds: o.Rounds}
	return c.Validate()
}

// check fills in the defaults and refuses options and data that a runbook cannot use.
func (o *RunbookOptions) check(d Data) error {
	o.SetDefaults()
	if err := o.Validate(); err != nil {
		return err
	}
	if err := d.Validate(); err != nil {
		return err
	}
	o.Quantization = o.Quantization.Pick(index.EngineGraph, d.Dimension()) // what auto comes to
	// A share of the points is deleted or filtered away; what is left has to hold k.
	if least := 4 * o.K; len(d.Base) < least {
		return fmt.Errorf("%s: %w: %d points for k %d; a runbook wants %d or more", d.Name, ErrData, len(d.Base), o.K, least)
	}
	return nil
}

func (o *RunbookOptions) say(format string, a ...any) { o.Progress(fmt.Sprintf(format, a...)) }

// Setup says what a runbook was run on.
type Setup struct {
	Runbook   Runbook      `json:"runbook"`
	Dataset   string       `json:"dataset"`
	K         int          `json:"k"`
	EF        int          `json:"ef"`
	Queries   int          `json:"queries"`
	Points    int          `json:"points"`
	Dimension int          `json:"dimension"`
	Metric    index.Metric `json:"metric"`
	CPU       string       `json:"cpu"`     // kernels in use: avx512, avx2 or generic
	Threads   int          `json:"threads"` // that built; queries are asked by one
	Seed      uint64       `json:"seed"`
	// Quantization is how vectors are kept for the traversal.
	Quantization index.Quantization `json:"quantization"`
}

func (o *RunbookOptions) setup(r Runbook, d Data) Setup {
	return Setup{
		Runbook: r, Dataset: d.Name, K: o.K, EF: o.EF, Queries: len(d.Queries), Points: len(d.Base), Dimension: d.Dimension(),
		Metric: d.Metric, CPU: distance.Tier(), Threads: o.Threads, Seed: o.Seed, Quantization: o.Quantization,
	}
}

func (s Setup) String() string {
	return fmt.Sprintf("%s on %s: %d points × %d, %v, %v, k = %d, ef = %d; %d queries on one thread, %s",
		s.Runbook, s.Dataset, s.Points, s.Dimension, s.Metric, s.Quantization, s.K, s.EF, s.Queries, s.CPU)
}

// numbered returns the ids 0 to n−1.
func numbered(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = strconv.Itoa(i)
	}
	return ids
}

// searcher is what queries are asked of: an index or a collection.
type searcher interface {
	Search(ctx context.Context, q []float32, k int, p index.Params) ([]index.Hit, error)
}

// timedSearch asks one query, and returns the microseconds that it took too.
func timedSearch(ctx context.Context, ix searcher, q []float32, k int, p index.Params) ([]index.Hit, float64, error) {
	start := time.Now()
	hits, err := ix.Search(ctx, q, k, p)
	return hits, float64(time.Since(start).Nanoseconds()) / 1e3, err
}

// asked is what a pass over the queries gave.
type asked struct {
	recall   float64
	qps      float64
	p50, p99 float64 // µs
}

// ask asks every query once and compares the hits with the truth, whose rows are those of the ids that rowOf knows; nil where an id
// is the number of its row.
func ask(ctx context.Context, ix searcher, exact *truth, p index.Params, rowOf map[string]int) (asked, error) {
	return askEach(ctx, ix, exact, func(int) index.Params { return p }, rowOf)
}

// askEach is ask with parameters for each query. QPS is by processor time, the latencies are by the wall clock.
func askEach(ctx context.Context, ix searcher, exact *truth, params func(query int) index.Params, rowOf map[string]int) (a asked, err error) {
	queries := exact.data.Queries
	all, took := make([][]index.Hit, len(queries)), make([]float64, len(queries))
	unpin, err := pin(lastCore())
	if err != nil {
		return asked{}, err
	}
	defer unpin()
	used, err := cpuTime()
	if err != nil {
		return asked{}, err
	}
	for i, q := range queries {
		if err := ctx.Err(); err != nil {
			return asked{}, err
		}
		if all[i], took[i], err = timedSearch(ctx, ix, q, exact.k, params(i)); err != nil {
			return asked{}, err
		}
	}
	end, err := cpuTime()
	if err != nil {
		return asked{}, err
	}
	for i, hits := range all {
		for j, h := range hits {
			if rowOf == nil {
				break
			}
			row, ok := rowOf[h.ID]
			if !ok {
				return asked{}, fmt.Errorf("query %d: hit %q is no point of those that should answer", i, h.ID)
			}
			hits[j].ID = strconv.Itoa(row)
		}
		recall, err := exact.recall(i, hits)
		if err != nil {
			return asked{}, err
		}
		a.recall += recall
	}
	slices.Sort(took)
	a.recall = rounded(a.recall/float64(len(queries)), 6)
	a.qps = rounded(float64(len(queries))/max(end-used, 1).Seconds(), 1)
	a.p50, a.p99 = rounded(quantile(took, 0.50), 2), rounded(quantile(took, 0.99), 2)
	return a, nil
}

// Bar is what a runbook demands of a figure.
type Bar struct {
	What   string  `json:"what"`
	Figure float64 `json:"figure"`
	Limit  float64 `json:"limit"` // the figure must not be above it
	Passed bool    `json:"passed"`
}

func bar(what string, figure, limit float64) Bar {
	return Bar{What: what, Figure: figure, Limit: limit, Passed: figure <= limit}
}

func (b Bar) String() string {
	verdict := "passed"
	if !b.Passed {
		verdict = "MISSED"
	}
	return fmt.Sprintf("%s: %.4g, at most %.4g: %s", b.What, b.Figure, b.Limit, verdict)
}

// writeRunbook writes a report for people: what was measured on, a table, and the bars.
func writeRunbook(w io.Writer, s Setup, table func(*tabwriter.Writer), bars ...Bar) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%v\n\n", s)
	t := tabwriter.NewWriter(&b, 0, 0, 3, ' ', tabwriter.AlignRight)
	table(t)
	t.Flush() // into memory: nothing to fail
	b.WriteByte('\n')
	for _, bar := range bars {
		fmt.Fprintln(&b, bar)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
