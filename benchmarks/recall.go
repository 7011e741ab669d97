package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"

	"github.com/akin-search/akin/index"
	"github.com/akin-search/akin/index/distance"
)

// Defaults of Options.
const (
	DefaultK      = 10
	DefaultRounds = 5
)

// Options tunes Recall. Zero means the default.
type Options struct {
	K int // neighbours of a query, default DefaultK
	// EF are the values of the dial to measure, default 10 to 400 in ten steps. They are sorted; one below K counts as K, as it
	// does in a search.
	EF      []int
	Engines []index.Engine // default graph, coder, flat
	// Quantizations of the graph, each of which is built and measured; default float32.
	Quantizations []index.Quantization
	Seed          uint64 // of the engines
	Threads       int    // for building and for the truth, default GOMAXPROCS; queries are timed on one
	Rounds        int    // of timing, default DefaultRounds
	// Peer is the program of another library's index to take turns with (peers/README.md), "" for none. All are then built on one
	// thread, which is the index that is asked, and once more on Threads.
	Peer string
	// Progress is told in a line what has been done; nil for silence.
	Progress func(line string)
}

// SetDefaults fills the zero fields and puts EF in order.
func (o *Options) SetDefaults() {
	if o.K == 0 {
		o.K = DefaultK
	}
	if len(o.EF) == 0 {
		o.EF = DefaultEF()
	}
	if len(o.Engines) == 0 {
		o.Engines = []index.Engine{index.EngineGraph, index.EngineCoder, index.EngineFlat}
	}
	if len(o.Quantizations) == 0 {
		o.Quantizations = []index.Quantization{index.QuantizationFloat32}
	}
	if o.Threads == 0 {
		o.Threads = min(runtime.GOMAXPROCS(0), index.MaxThreads)
	}
	if o.Rounds == 0 {
		o.Rounds = DefaultRounds
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
}

// DefaultEF returns the values that are measured where none are named.
func DefaultEF() []int { return []int{10, 16, 24, 32, 48, 64, 96, 128, 200, 400} }

// Validate reports the first field outside its limits.
func (o *Options) Validate() error {
	if o.K < 1 || o.K > index.MaxK {
		return fmt.Errorf("k %d: %w: use 1 to %d", o.K, ErrInvalid, index.MaxK)
	}
	for _, ef := range o.EF {
		if ef < 1 || ef > index.MaxEF {
			return fmt.Errorf("ef %d: %w: use 1 to %d", ef, ErrInvalid, index.MaxEF)
		}
	}
	for i, e := range o.Engines {
		if _, err := index.ParseEngine(e.String()); err != nil {
			return err
		}
		if slices.Contains(o.Engines[:i], e) {
			return fmt.Errorf("engine %s twice: %w: name each once", e, ErrInvalid)
		}
	}
	for i, q := range o.Quantizations {
		if _, err := index.ParseQuantization(q.String()); err != nil {
			return err
		}
		if slices.Contains(o.Quantizations[:i], q) {
			return fmt.Errorf("quantization %s twice: %w: name each once", q, ErrInvalid)
		}
		if q != index.QuantizationFloat32 && !slices.Contains(o.Engines, index.EngineGraph) {
			return fmt.Errorf("quantization %s: %w: only engine %s has it; measure that too", q, ErrInvalid, index.EngineGraph)
		}
	}
	switch {
	case o.Threads < 1 || o.Threads > index.MaxThreads:
		return fmt.Errorf("threads %d: %w: use 1 to %d", o.Threads, ErrInvalid, index.MaxThreads)
	case o.Rounds < 1 || o.Rounds > 1000:
		return fmt.Errorf("rounds %d: %w: use 1 to 1000", o.Rounds, ErrInvalid)
	}
	return distance.Err()
}

// sweep returns the values of ef to measure an engine at: for flat the 0 of an engine without a dial.
func (o *Options) sweep(e index.Engine) []int {
	if e == index.EngineFlat {
		return []int{0}
	}
	efs := make([]int, len(o.EF))
	for i, ef := range o.EF {
		efs[i] = max(ef, o.K)
	}
	slices.Sort(efs)
	return slices.Compact(efs)
}

// Recall builds each engine on the base and measures recall and speed of the queries. Bad options and data are refused before
// anything is built. It stops within one query, or one batch of points, when ctx ends.
func Recall(ctx context.Context, d Data, o Options) (r Report, err error) {
	o.SetDefaults()
	if err := o.Validate(); err != nil {
		return Report{}, err
	}
	if err := d.Validate(); err != nil {
		return Report{}, err
	}
	if o.K > len(d.Base) {
		return Report{}, fmt.Errorf("k %d: %w: %s has %d points; use at most as many", o.K, ErrInvalid, d.Name, len(d.Base))
	}
	core := lastCore()
	var other *peer
	if o.Peer != "" {
		if other, err = startPeer(ctx, o.Peer, d, core); err != nil {
			return Report{}, cancelled(ctx, err)
		}
		defer func() {
			if stopped := other.stop(); err == nil {
				err = cancelled(ctx, stopped)
			}
		}()
	}

	start := time.Now()
	exact, err := findTruth(ctx, d, o.K, o.Threads)
	if err != nil {
		return Report{}, err
	}
	o.Progress(fmt.Sprintf("%s: the %d exact neighbours of %d queries in %d points × %d by %v (%.1f s)",
		d.Name, o.K, len(d.Queries), len(d.Base), d.Dimension(), d.Metric, time.Since(start).Seconds()))

	r = Report{
		Dataset: d.Name, K: o.K, Queries: len(d.Queries), Points: len(d.Base), Dimension: d.Dimension(),
		Metric: d.Metric, CPU: distance.Tier(), Threads: o.Threads,
	}
	var open closers
	defer func() { err = errors.Join(err, open.Close()) }()
	all, err := buildAll(ctx, d, other, core, &r, o, &open)
	if err != nil {
		return Report{}, cancelled(ctx, err)
	}
	var settings []*setting
	for i, c := range all {
		e := &r.Engines[i]
		efs := o.sweep(e.Engine)
		e.Curve = make([]Point, len(efs))
		for j, ef := range efs {
			s := &setting{engine: e.Engine, contestant: c, ef: ef, point: &e.Curve[j]}
			if err := s.measureRecall(ctx, exact); err != nil {
				return Report{}, cancelled(ctx, fmt.Errorf("engine %s, ef %d: %w", e.Engine, ef, err))
			}
			e.MaxRecall = max(e.MaxRecall, s.point.Recall)
			settings = append(settings, s)
		}
	}
	if err := measureSpeed(ctx, settings, o); err != nil {
		return Report{}, cancelled(ctx, err)
	}
	r.compare()
	return r, nil
}

// cancelled returns why ctx ended, if it has: a peer that was killed for it says something else.
func cancelled(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// buildAll builds every engine and the peer, in turns where they are built more than once, and fills r.Engines. The first of an
// engine's indexes is the one to ask.
func buildAll(ctx context.Context, d Data, other *peer, core int, r *Report, o Options, open *closers) ([]contestant, error) {
	threads := []int{o.Threads}
	for _, e := range o.Engines {
		if e != index.EngineGraph {
			r.Engines = append(r.Engines, EngineReport{Engine: e, Quantization: index.QuantizationFloat32})
			continue
		}
		for _, q := range o.Quantizations {
			r.Engines = append(r.Engines, EngineReport{Engine: e, Quantization: q.Pick(e, d.Dimension())})
		}
	}
	count := len(r.Engines) // without the peer
	if other != nil {
		r.Peer = other.name
		r.Engines = append(r.Engines, EngineReport{Engine: index.Engine(other.name), Quantization: index.QuantizationFloat32})
		if o.Threads > 1 {
			threads = []int{1, o.Threads}
		}
	}
	all := make([]contestant, len(r.Engines))
	for n, t := range threads {
		for i := range r.Engines {
			e := &r.Engines[i]
			var b Build
			var bytes float64
			if i < count {
				ix, built, err := buildOne(ctx, d, index.Options{Engine: e.Engine, Quantization: e.Quantization, Seed: o.Seed, Threads: t}, o.Progress, open)
				if err != nil {
					return nil, fmt.Errorf("engine %s: %w", e.Engine, err)
				}
				b, bytes = built, float64(ix.(index.Sized).Bytes())
				if n == 0 {
					all[i] = ours{ix, d.Queries, core}
					if e.RSSBytes, err = residentBytes(); err != nil {
						o.Progress(fmt.Sprintf("rss_bytes is 0: %v", err))
					}
				}
			} else {
				var err error
				if b, bytes, err = other.build(index.DefaultM, index.DefaultEfConstruction, o.Seed, t); err != nil {
					return nil, err
				}
				all[i] = other
			}
			e.Builds = append(e.Builds, b)
			e.BuildSeconds, e.BytesPerVector = b.Seconds, rounded(bytes/float64(len(d.Base)), 1)
			o.Progress(fmt.Sprintf("%s: built in %.1f s on %d threads, %.1f s of processor time, %.1f bytes a vector",
				e.name(), b.Seconds, t, b.CPUSeconds, e.BytesPerVector))
		}
	}
	return all, nil
}

// buildBatch is the points of one Upsert: few enough that an interruption does not wait long.
const buildBatch = 4096

// closers are indexes to close when all is measured.
type closers []io.Closer

func (c closers) Close() (err error) {
	for _, x := range c {
		err = errors.Join(err, x.Close())
	}
	return err
}

// buildOne is build, in a store where vectors are to stay on disk.
func buildOne(ctx context.Context, d Data, o index.Options, progress func(line string), open *closers) (index.Index, Build, error) {
	if o.Quantization != index.QuantizationInt8Disk {
		return build(ctx, d, o, progress)
	}
	o.Metric, o.Dimension = d.Metric, d.Dimension()
	s, err := newStored(o)
	if err != nil {
		return nil, Build{}, err
	}
	*open = append(*open, s)
	return fill(ctx, d, s, o, progress)
}

// build fills an index for the data and measures its Upserts. Every few seconds it tells how far it is.
func build(ctx context.Context, d Data, o index.Options, progress func(line string)) (index.Index, Build, error) {
	o.Metric, o.Dimension = d.Metric, d.Dimension()
	o.SetDefaults()
	ix, err := index.New(o)
	if err != nil {
		return nil, Build{}, err
	}
	return fill(ctx, d, ix, o, progress)
}

// fill puts the data into an empty index.
func fill(ctx context.Context, d Data, ix index.Index, o index.Options, progress func(line string)) (index.Index, Build, error) {
	name := (&EngineReport{Engine: o.Engine, Quantization: o.Quantization}).name()
	ids := numbered(len(d.Base))
	runtime.GC() // of what came before
	used, err := cpuTime()
	if err != nil {
		return nil, Build{}, err
	}
	start := time.Now()
	said := start
	for from := 0; from < len(ids); from += buildBatch {
		if err := ctx.Err(); err != nil {
			return nil, Build{}, err
		}
		to := min(from+buildBatch, len(ids))
		if err := ix.Upsert(ids[from:to], d.Base[from:to]); err != nil {
			return nil, Build{}, err
		}
		if now := time.Now(); now.Sub(said) > 5*time.Second {
			progress(fmt.Sprintf("%s: %d of %d points in %.0f s", name, to, len(ids), now.Sub(start).Seconds()))
			said = now
		}
	}
	end, err := cpuTime()
	return ix, newBuild(o.Threads, time.Since(start), end-used), err
}
