package benchmarks

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/akin-search/akin/index"
)

// Report is the result of Recall.
type Report struct {
	Dataset   string         `json:"dataset"`
	K         int            `json:"k"`
	Queries   int            `json:"queries"`
	Points    int            `json:"points"`
	Dimension int            `json:"dimension"`
	Metric    index.Metric   `json:"metric"`
	CPU       string         `json:"cpu"`     // kernels in use: avx512, avx2 or generic
	Threads   int            `json:"threads"` // that built; queries are timed on one
	Engines   []EngineReport `json:"engines"` // in the order they were asked for, a peer last
	Peer      string         `json:"peer"`    // engine that the others are compared with, "" for none
}

// EngineReport is what was measured of one engine.
type EngineReport struct {
	Engine         index.Engine       `json:"engine"`
	Quantization   index.Quantization `json:"quantization"`  // how vectors are kept for the traversal
	BuildSeconds   float64            `json:"build_seconds"` // by the wall clock, on Report.Threads
	Builds         []Build            `json:"builds"`
	BytesPerVector float64            `json:"bytes_per_vector"` // vectors and links, ids not counted
	RSSBytes       int64              `json:"rss_bytes"`        // resident set of the whole process after the build; 0 where the system does not say
	MaxRecall      float64            `json:"max_recall"`       // the highest of the curve
	Curve          []Point            `json:"curve"`            // by ascending EF
	At             []AtRecall         `json:"at"`               // read off the curve
}

// name tells the engines of a report apart.
func (e *EngineReport) name() string { return fmt.Sprintf("%s (%s)", e.Engine, e.Quantization) }

// Point is an engine at one value of ef.
type Point struct {
	EF     int     `json:"ef"`     // 0 where the engine has no such dial
	Recall float64 `json:"recall"` // recall@k, 0 to 1
	QPS    float64 `json:"qps"`    // queries a second of one thread's processor time
	P50    float64 `json:"p50_us"` // microseconds that half of the queries take at most
	P99    float64 `json:"p99_us"`
}

// title says what was measured on.
func (r Report) title() string {
	return fmt.Sprintf("%s: %d points × %d, %v, k = %d", r.Dataset, r.Points, r.Dimension, r.Metric, r.K)
}

// WriteTable writes the report for people.
func (r Report) WriteTable(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s; %d queries on one thread, %s\n\n", r.title(), r.Queries, r.CPU)
	curves := tabwriter.NewWriter(&b, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintf(curves, "engine\tquantization\tef\trecall@%d\tQPS\tp50 µs\tp99 µs\t\n", r.K)
	for _, e := range r.Engines {
		for _, p := range e.Curve {
			ef := fmt.Sprint(p.EF)
			if p.EF == 0 {
				ef = "-"
			}
			fmt.Fprintf(curves, "%s\t%s\t%s\t%.4f\t%.0f\t%.1f\t%.1f\t\n", e.Engine, e.Quantization, ef, p.Recall, p.QPS, p.P50, p.P99)
		}
	}
	curves.Flush() // into memory: nothing to fail
	b.WriteByte('\n')
	engines := tabwriter.NewWriter(&b, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintf(engines, "engine\tquantization\tbuild s\tthreads\tCPU s\tbytes/vector\tRSS MB\tbest recall\t")
	for _, t := range targets {
		fmt.Fprintf(engines, "QPS at %v\t", t)
		if r.Peer != "" {
			fmt.Fprintf(engines, "× %s\t", r.Peer)
		}
	}
	fmt.Fprintln(engines)
	for _, e := range r.Engines {
		for i, built := range e.Builds {
			fmt.Fprintf(engines, "%s\t%s\t%.2f\t%d\t%.2f\t", e.Engine, e.Quantization, built.Seconds, built.Threads, built.CPUSeconds)
			if i == 0 {
				e.writeComparison(engines, r.Peer != "")
			}
			fmt.Fprintln(engines)
		}
	}
	engines.Flush()
	_, err := io.WriteString(w, b.String())
	return err
}

// megabytes of a size that may be unknown.
func megabytes(n int64) string {
	if n == 0 {
		return "?"
	}
	return fmt.Sprintf("%.0f", float64(n)/1e6)
}

// writeComparison writes the cells that an engine has once, however often it was built.
func (e EngineReport) writeComparison(w io.Writer, peer bool) {
	cell := func(format string, x float64) {
		if x == 0 {
			fmt.Fprint(w, "-\t")
			return
		}
		fmt.Fprintf(w, format+"\t", x)
	}
	cell("%.1f", e.BytesPerVector)
	fmt.Fprintf(w, "%s\t%.4f\t", megabytes(e.RSSBytes), e.MaxRecall)
	for _, at := range e.At {
		cell("%.0f", at.QPS)
		if peer {
			cell("%.2f", at.TimesPeer)
		}
	}
}
