package index

import (
	"context"
	"fmt"
	"runtime"

	"github.com/akin-search/akin/index/distance"
)

// Limits. A value outside is refused with ErrInvalid or ErrDimension, never cut.
const (
	MaxDimension = 4096    // components of a vector, at least 1
	MaxID        = 1 << 10 // bytes of an id (UTF-8), at least 1
	MaxK         = 10_000  // hits of one search, at least 1
	MaxEF        = 100_000 // candidates of one graph search
	MaxM         = 256     // links of a graph node, at least 2
	MaxThreads   = 1024    // workers of one call
)

// Defaults of Options and Params.
const (
	DefaultM              = 16
	DefaultEfConstruction = 200
	DefaultEF             = 64 // Params.EF 0 means max(DefaultEF, k)
)

// Hit is one search result.
//
// Score follows Qdrant: the cosine similarity, the Euclidean distance, or the
// inner product. Distance is smaller for nearer vectors whatever the metric:
// 1−cos, the Euclidean distance, or minus the inner product.
type Hit struct {
	ID       string
	Score    float32
	Distance float32
}

// Params tunes one search. The zero value is right for most.
type Params struct {
	// EF is the number of candidates that a graph search keeps: more finds more
	// and takes longer. 0 means max(DefaultEF, k); a value below k counts as k.
	EF int
	// Exact compares with every point instead of walking the graph.
	Exact bool
	// ScoreThreshold leaves out hits with a worse Hit.Score: a smaller one, or with L2 a larger one. With it a graph search
	// looks at as much as it takes to find all that is within, up to k hits. nil leaves out none.
	ScoreThreshold *float32
	// RecallTarget, in (0, 1), makes a Collection choose EF, or Exact, so that this share of the k nearest is found on
	// average, as far as it can tell: Collection.Plan says what it chooses. 0 leaves EF as it is. An Index by itself refuses it
	// with ErrInvalid.
	RecallTarget float64
	// Filter says which points may be found; nil for all. Only a Collection knows what points carry: an Index by itself
	// refuses a filter with ErrInvalid.
	Filter *Filter

	chosen  *selection // what a collection made of Filter
	without string     // a point of a graph that the walk does not see; "" for none
}

// Index finds the stored vectors nearest to a query. All methods are safe for
// concurrent use; searches run beside writes.
//
// Hits come nearest first: by Distance, equal distances by ID. A search returns
// min(k, Len()) hits at most; an empty index gives none and no error.
type Index interface {
	// Upsert adds vectors under their ids and replaces those that exist. All is
	// validated before anything changes. The vectors are copied. Where an id
	// stands twice in one call, the last one wins.
	Upsert(ids []string, vectors [][]float32) error
	// Delete removes ids; ids that do not exist are ignored.
	Delete(ids []string) error
	// Search returns the k nearest, or those of them that Params.ScoreThreshold lets through.
	Search(ctx context.Context, q []float32, k int, p Params) ([]Hit, error)
	// Len returns the number of ids.
	Len() int
}

// Sized is implemented by every engine of this package.
type Sized interface {
	// Bytes returns the memory of vectors and links in bytes, ids not counted.
	Bytes() int64
}

// Options says what New builds. Dimension is required; zero means the default elsewhere.
type Options struct {
	Engine         Engine // default EngineGraph
	Metric         Metric // default Cosine
	Dimension      int    // 1 to MaxDimension
	M              int    // graph: links of a new node; twice as many are kept at layer 0; default DefaultM
	EfConstruction int    // graph: candidates while inserting; default DefaultEfConstruction
	Seed           uint64 // graph: same seed and same calls give the same graph, whatever Threads says
	Threads        int    // workers of one Upsert, default GOMAXPROCS
	// Quantization is what a graph compares on its way; default QuantizationFloat32, the only one of the other engines.
	Quantization Quantization
}

// SetDefaults fills the zero fields.
func (o *Options) SetDefaults() {
	if o.Engine == "" {
		o.Engine = EngineGraph
	}
	if o.M == 0 {
		o.M = DefaultM
	}
	if o.EfConstruction == 0 {
		o.EfConstruction = max(DefaultEfConstruction, o.M)
	}
	o.Quantization = o.Quantization.Pick(o.Engine, o.Dimension)
	if o.Threads == 0 {
		o.Threads = min(runtime.GOMAXPROCS(0), MaxThreads)
	}
}

// Validate reports the first field outside its limits.
func (o *Options) Validate() error {
	if _, err := ParseEngine(string(o.Engine)); err != nil {
		return err
	}
	if _, err := ParseQuantization(string(o.Quantization)); err != nil {
		return err
	}
	if o.Engine != EngineGraph && o.Quantization != QuantizationFloat32 {
		return fmt.Errorf("quantization %s: %w: engine %s has %s only; use engine %s", o.Quantization, ErrInvalid, o.Engine, QuantizationFloat32, EngineGraph)
	}
	switch {
	case !o.Metric.valid():
		return fmt.Errorf("metric %d: %w: use Cosine, L2 or Dot", int(o.Metric), ErrInvalid)
	case o.Dimension < 1 || o.Dimension > MaxDimension:
		return fmt.Errorf("dimension %d: %w: use 1 to %d", o.Dimension, ErrInvalid, MaxDimension)
	case o.M < 2 || o.M > MaxM:
		return fmt.Errorf("m %d: %w: use 2 to %d", o.M, ErrInvalid, MaxM)
	case o.EfConstruction < o.M || o.EfConstruction > MaxEF:
		return fmt.Errorf("ef_construction %d: %w: use m (%d) to %d", o.EfConstruction, ErrInvalid, o.M, MaxEF)
	case o.Quantization == QuantizationBinary && o.Dimension < MinBinaryDimension:
		return fmt.Errorf("quantization %s of dimension %d: %w: use int8 below %d", o.Quantization, o.Dimension, ErrInvalid, MinBinaryDimension)
	case o.Quantization == QuantizationBinary && o.M > MaxBinaryM:
		return fmt.Errorf("quantization %s with m %d: %w: use at most %d", o.Quantization, o.M, ErrInvalid, MaxBinaryM)
	case o.Threads < 1 || o.Threads > MaxThreads:
		return fmt.Errorf("threads %d: %w: use 1 to %d", o.Threads, ErrInvalid, MaxThreads)
	}
	return nil
}

// New returns an empty index. AKIN_CPU naming a tier that this machine does not have is an error too (package distance).
func New(o Options) (Index, error) {
	if err := distance.Err(); err != nil {
		return nil, err
	}
	o.SetDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Quantization == QuantizationInt8Disk {
		return nil, fmt.Errorf("quantization %s: %w: it reads vectors from a store: use Store.Create, or %s", o.Quantization, ErrInvalid, QuantizationInt8)
	}
	switch o.Engine {
	case EngineFlat:
		return newFlat(o), nil
	case EngineCoder:
		return newCoder(o), nil
	default:
		return newGraph(o, nil), nil
	}
}
