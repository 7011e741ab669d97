package benchmarks

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/akin-search/akin/encoder"
)

// soak is how many steps TestTrainFlatMemory takes: go test ./benchmarks -run FlatMemory -soak 10000.
var soak = flag.Int("soak", 300, "steps of the flat-memory test")

// TestNetworks: sizes by hand. Parameters of the normalisation are two trained ones and two running ones a channel.
func TestNetworks(t *testing.T) {
	norm := func(channels int) int { return 4 * channels }
	for name, want := range map[string]int{
		"mlp":     784*256 + 256 + 256*128 + 128 + 128*64 + 64,
		"cnn":     9*16 + 16 + 9*16*32 + 32 + 7*7*32*128 + 128 + 128*64 + 64,
		"default": 9*16 + norm(16) + 9*16*32 + 9*32*32 + 2*norm(32) + 9*32*64 + 9*64*64 + 2*norm(64) + 3*3*64*64 + 64,
		"resnet": 9*32 + norm(32) + 2*(9*32*32+norm(32)) + 9*32*64 + 9*64*64 + 32*64 + 3*norm(64) +
			9*64*128 + 9*128*128 + 64*128 + 3*norm(128) + 128*64 + 64,
	} {
		n, err := NetworkOf(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got, err := parametersOf(n); err != nil || got != want {
			t.Errorf("%s has %d parameters, %v; want %d", name, got, err, want)
		}
		if n.Input != digit {
			t.Errorf("%s takes %v", name, n.Input)
		}
	}
	if _, err := NetworkOf("vgg"); err == nil || !strings.Contains(err.Error(), "mlp, cnn, default, resnet") {
		t.Errorf("an unknown network: %v", err)
	}
}

// TestTrain measures a few steps: the numbers fit together, and a step of a small network allocates next to nothing.
func TestTrain(t *testing.T) {
	for _, name := range []string{"mlp", "cnn"} {
		r, err := Train(context.Background(), TrainOptions{Network: name, Batch: 64, Threads: 1, Steps: 40, Warmup: 5})
		if err != nil {
			t.Fatal(err)
		}
		if r.Network != name || r.Batch != 64 || r.Threads != 1 || r.Steps != 40 || !strings.HasPrefix(r.Device, "cpu/") {
			t.Errorf("%+v", r)
		}
		if r.AllocsPerStep > 400 || r.BytesPerStep > 64<<10 {
			t.Errorf("%s: a step allocates %.1f times, %.0f bytes", name, r.AllocsPerStep, r.BytesPerStep)
		}
		if perSecond := 64e3 / r.StepMS; r.StepMS <= 0 || r.CPUMS <= 0 || r.SamplesPerSecond < 0.99*perSecond-1 || r.SamplesPerSecond > 1.01*perSecond+1 {
			t.Errorf("%s: %g ms a step, %g ms of the processor, %g images a second", name, r.StepMS, r.CPUMS, r.SamplesPerSecond)
		}
		if r.FractionOfPeak <= 0 || r.FractionOfPeak > 1.1 || r.GFLOPS <= 0 {
			t.Errorf("%s: %g GFLOP/s of %g are %g of the peak", name, r.GFLOPS, r.PeakGFLOPS, r.FractionOfPeak)
		}
	}
}

// TestTrainLearns: what is measured is training, or its time means nothing: eight batches are learnt by heart.
func TestTrainLearns(t *testing.T) {
	o := TrainOptions{Network: "mlp", Batch: 32, Threads: 1, Seed: 5}
	o.SetDefaults()
	run, err := newTraining(o)
	if err != nil {
		t.Fatal(err)
	}
	defer closing(t, run)
	var first, last float32
	for i := range 25 * trainBatches {
		loss, err := run.step()
		if err != nil {
			t.Fatal(err)
		}
		if i < trainBatches {
			first += loss
		}
		if i >= 24*trainBatches {
			last += loss
		}
	}
	if last > 0.8*first {
		t.Errorf("seed %d: the loss went from %g to %g", o.Seed, first/trainBatches, last/trainBatches)
	}
}

// TestTrainFlatMemory: steps leave nothing behind.
func TestTrainFlatMemory(t *testing.T) {
	o := TrainOptions{Network: "cnn", Batch: 16, Threads: 2}
	o.SetDefaults()
	run, err := newTraining(o)
	if err != nil {
		t.Fatal(err)
	}
	defer closing(t, run)
	heap := func(steps int) uint64 {
		for range steps {
			if _, err := run.step(); err != nil {
				t.Fatal(err)
			}
		}
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap(20)
	after := heap(*soak)
	t.Logf("%d steps: from %d to %d bytes in use", *soak, before, after)
	if after > before+256<<10 {
		t.Errorf("after %d steps %d bytes are in use, before %d", *soak, after, before)
	}
}

func closing(t *testing.T, run *training) {
	t.Helper()
	if err := run.close(); err != nil {
		t.Error(err)
	}
}

func TestTrainOptions(t *testing.T) {
	for want, o := range map[string]TrainOptions{
		`network "vgg": use one of`:       {Network: "vgg"},
		"batch of 1: it must be 2":        {Batch: 1},
		"2000 threads: it must be 1":      {Threads: 2000},
		"-1 steps: it must be 1":          {Steps: -1},
		"-1 steps of warm-up: it must be": {Warmup: -1},
	} {
		if _, err := Train(context.Background(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	enough := errors.New("enough")
	cancel(enough)
	if _, err := Train(ctx, TrainOptions{Network: "mlp", Batch: 2}); !errors.Is(err, enough) {
		t.Errorf("a cancelled run: %v", err)
	}
}

// BenchmarkTrainStep is for profiles: go test ./benchmarks -run none -bench TrainStep/cnn -cpuprofile cpu.out.
func BenchmarkTrainStep(b *testing.B) {
	for _, name := range NetworkNames() {
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/threads=%d", name, threads), func(b *testing.B) {
				o := TrainOptions{Network: name, Threads: threads}
				o.SetDefaults()
				run, err := newTraining(o)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				for b.Loop() {
					if _, err := run.step(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(o.Batch)*float64(b.N)/b.Elapsed().Seconds(), "images/s")
				if err := run.close(); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}

// modelOf makes a model of the network and the weights that a run starts with.
func modelOf(t *training) *encoder.Model {
	return &encoder.Model{Network: t.network, Weights: t.weights,
		Preprocessing: encoder.Preprocessing{Modality: encoder.ModalityImage, Size: digit, Mean: []float32{0}, Deviation: []float32{1}}}
}

// parametersOf counts the weights of a network.
func parametersOf(n encoder.Network) (sum int, err error) {
	weights, err := n.Initialize(rand.New(rand.NewPCG(1, 1)))
	for _, w := range weights {
		sum += len(w)
	}
	return sum, err
}
