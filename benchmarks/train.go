package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
	"github.com/akin-search/akin/train"
)

// Defaults and limits of TrainOptions.
const (
	DefaultBatch  = 128
	DefaultSteps  = 200
	DefaultWarmup = 20

	MaxBatch = 1 << 14
	MaxSteps = 1 << 24
)

// What a measured step trains with. The time of a step does not depend on the values.
const (
	trainClasses = 10
	trainBatches = 8 // prepared batches, taken in turn
	trainRate    = 1e-3
	trainDecay   = 1e-4
)

// cpuBlock is how long a block of steps must take for its processor time to be exact enough.
const cpuBlock = 20 * time.Millisecond

// TrainOptions tunes Train. Zero means the default.
type TrainOptions struct {
	Network string // one of NetworkNames, default DefaultNetwork
	Batch   int    // images a step, default DefaultBatch
	Threads int    // default one a core
	Steps   int    // measured, default DefaultSteps
	Warmup  int    // steps before, not measured, default DefaultWarmup
	Seed    uint64 // of weights, images and labels

	Precision kernel.Precision // of the products, default float32
}

// SetDefaults fills the zero fields.
func (o *TrainOptions) SetDefaults() {
	if o.Network == "" {
		o.Network = DefaultNetwork
	}
	if o.Batch == 0 {
		o.Batch = DefaultBatch
	}
	if o.Threads == 0 {
		o.Threads = min(runtime.GOMAXPROCS(0), kernel.MaxThreads)
	}
	if o.Steps == 0 {
		o.Steps = DefaultSteps
	}
	if o.Warmup == 0 {
		o.Warmup = DefaultWarmup
	}
}

// Validate reports the first field outside its limits.
func (o TrainOptions) Validate() error {
	if _, err := NetworkOf(o.Network); err != nil {
		return err
	}
	if err := o.Precision.Supported(); err != nil {
		return err
	}
	switch {
	case o.Batch < 2 || o.Batch > MaxBatch:
		return fmt.Errorf("batch of %d: it must be 2 to %d: a contrastive loss compares", o.Batch, MaxBatch)
	case o.Threads < 1 || o.Threads > kernel.MaxThreads:
		return fmt.Errorf("%d threads: it must be 1 to %d", o.Threads, kernel.MaxThreads)
	case o.Steps < 1 || o.Steps > MaxSteps:
		return fmt.Errorf("%d steps: it must be 1 to %d", o.Steps, MaxSteps)
	case o.Warmup < 1 || o.Warmup > MaxSteps:
		return fmt.Errorf("%d steps of warm-up: it must be 1 to %d", o.Warmup, MaxSteps)
	}
	return nil
}

// TrainReport is the result of Train. Times are medians.
type TrainReport struct {
	Network          string           `json:"network"`
	Batch            int              `json:"batch"`
	Threads          int              `json:"threads"`
	Device           string           `json:"device"`
	Precision        kernel.Precision `json:"precision"`
	Steps            int              `json:"steps"`
	StepMS           float64          `json:"step_ms"` // wall clock, milliseconds
	CPUMS            float64          `json:"cpu_ms"`  // of all threads of the process, in blocks of steps
	SamplesPerSecond float64          `json:"samples_per_second"`
	GFLOPS           float64          `json:"gflops"`      // of the products, padding taps counted, over StepMS
	PeakGFLOPS       float64          `json:"peak_gflops"` // kernel.PeakFlops times threads
	FractionOfPeak   float64          `json:"fraction_of_peak"`
	AllocsPerStep    float64          `json:"allocs_per_step"` // means
	BytesPerStep     float64          `json:"bytes_per_step"`
	Parameters       int              `json:"parameters"` // trained ones
}

// WriteTable writes the report for people.
func (r TrainReport) WriteTable(w io.Writer) error {
	_, err := fmt.Fprintf(w, `%s: %d parameters, batch %d, %d threads, %s

step        %8.3f ms (median of %d), %.3f ms of processor time
images      %8.0f a second
arithmetic  %8.1f GFLOP/s, %.0f %% of the peak of %.1f
allocation  %8.1f a step, %.0f bytes
`, r.Network, r.Parameters, r.Batch, r.Threads, r.Device, r.StepMS, r.Steps, r.CPUMS, r.SamplesPerSecond, r.GFLOPS, 100*r.FractionOfPeak, r.PeakGFLOPS, r.AllocsPerStep, r.BytesPerStep)
	return err
}

// Train measures whole training steps: upload of the batch, forward, SupCon at temperature 0.1, backward and AdamW, on random
// images of ten classes. Eight prepared batches take turns, so that the input changes; there is no augmentation.
func Train(ctx context.Context, o TrainOptions) (r TrainReport, err error) {
	o.SetDefaults()
	if err := o.Validate(); err != nil {
		return r, err
	}
	before, err := kernel.PeakFlops()
	if err != nil {
		return r, err
	}
	t, err := newTraining(o)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	warm := time.Now()
	for range o.Warmup {
		if err := t.next(ctx); err != nil {
			return r, err
		}
	}
	block := int(cpuBlock / max(1, time.Since(warm)/time.Duration(o.Warmup)))
	wall, cpu, err := t.measure(ctx, o.Steps, max(1, min(block, o.Steps/5)), &r)
	if err != nil {
		return r, err
	}
	after, err := kernel.PeakFlops()
	if err != nil {
		return r, err
	}
	_, flops, err := t.network.Flops()
	if err != nil {
		return r, err
	}
	r.Network, r.Batch, r.Threads, r.Device, r.Precision, r.Steps, r.Parameters = o.Network, o.Batch, o.Threads, t.dev.Name(), o.Precision, o.Steps, t.parameters()
	r.StepMS, r.CPUMS = rounded(wall, 4), rounded(cpu, 4)
	r.SamplesPerSecond = rounded(1e3*float64(o.Batch)/wall, 0)
	r.GFLOPS = rounded(float64(flops*o.Batch)/wall/1e6, 2)
	r.PeakGFLOPS = rounded(max(before, after)*float64(o.Threads)/1e9, 1)
	r.FractionOfPeak = rounded(r.GFLOPS/r.PeakGFLOPS, 4)
	return r, nil
}

// training is a network in training on a pool of random batches.
type training struct {
	network encoder.Network
	weights [][]float32 // at the start
	dev     kernel.Device
	graph   *encoder.Graph
	adam    *train.AdamW
	pool    []trainBatch
	labels  []int // of the batch in work, for the loss
	done    int
}

type trainBatch struct {
	images [][]float32
	input  []float32 // the images as the graph takes them
	labels []int
}

func newTraining(o TrainOptions) (t *training, err error) {
	t = &training{}
	if t.network, err = NetworkOf(o.Network); err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(o.Seed, 0x74726169)) // "trai"
	if t.weights, err = t.network.Initialize(rng); err != nil {
		return nil, err
	}
	loss, err := train.LossSupCon.New(train.DefaultTemperature, 0)
	if err != nil {
		return nil, err
	}
	if t.dev, err = kernel.NewCPUWith(o.Threads, o.Precision); err != nil {
		return nil, err
	}
	t.graph, err = encoder.NewGraph(t.dev, t.network, t.weights, o.Batch, 0, func(emb, grad kernel.Matrix) float32 { return loss(emb, t.labels, grad) })
	if err != nil {
		return nil, errors.Join(err, t.dev.Close())
	}
	t.adam = train.NewAdamW(t.dev, t.graph, trainDecay)
	for range trainBatches {
		b := trainBatch{input: make([]float32, t.graph.InputSize()), labels: make([]int, o.Batch)}
		for i := range o.Batch {
			image := make([]float32, digit.Height*digit.Width*digit.Channels)
			for j := range image {
				image[j] = rng.Float32()
			}
			b.images = append(b.images, image)
			b.labels[i] = rng.IntN(trainClasses)
			t.graph.Place(b.input, i, image)
		}
		t.pool = append(t.pool, b)
	}
	return t, nil
}

// step takes one step and returns the loss before it.
func (t *training) step() (float32, error) {
	b := t.pool[t.done%len(t.pool)]
	t.labels = b.labels
	loss, err := t.graph.Step(b.input)
	if err != nil {
		return 0, err
	}
	if math.IsNaN(float64(loss)) || math.IsInf(float64(loss), 0) {
		return 0, fmt.Errorf("the loss is %g at step %d", loss, t.done+1)
	}
	t.done++
	return loss, t.adam.Step(trainRate, t.done)
}

func (t *training) next(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	_, err := t.step()
	return err
}

// measure returns the median milliseconds of a step, by the wall clock and of the processor, and puts the allocations into r.
func (t *training) measure(ctx context.Context, steps, block int, r *TrainReport) (wall, cpu float64, err error) {
	walls, cpus := make([]float64, 0, steps), make([]float64, 0, steps/block)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	used, err := cpuTime()
	if err != nil {
		return 0, 0, err
	}
	last := time.Now()
	for i := range steps {
		if err := t.next(ctx); err != nil {
			return 0, 0, err
		}
		now := time.Now()
		walls = append(walls, 1e3*now.Sub(last).Seconds())
		last = now
		if (i+1)%block == 0 {
			u, err := cpuTime()
			if err != nil {
				return 0, 0, err
			}
			cpus = append(cpus, 1e3*(u-used).Seconds()/float64(block))
			used = u
		}
	}
	runtime.ReadMemStats(&after)
	r.AllocsPerStep = rounded(float64(after.Mallocs-before.Mallocs)/float64(steps), 2)
	r.BytesPerStep = rounded(float64(after.TotalAlloc-before.TotalAlloc)/float64(steps), 0)
	return median(walls), median(cpus), nil
}

// parameters counts the trained weights.
func (t *training) parameters() (n int) {
	for i := range t.graph.Trained() {
		n += t.graph.Weight(i).Len()
	}
	return n
}

func (t *training) close() error { return errors.Join(t.graph.Close(), t.dev.Close()) }
