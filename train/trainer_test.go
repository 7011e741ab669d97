package train

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
)

// stripes is a data set that is easy but not linearly separable: noisy bars, horizontal, vertical or diagonal, at random places.
func stripes(n int, seed uint64) Dataset {
	const side = 12
	rng := rand.New(rand.NewPCG(seed, 1))
	d := Dataset{Classes: []string{"horizontal", "vertical", "diagonal"}}
	for i := range n {
		class, at := i%3, rng.IntN(side)
		raw := append([]byte{0, 0, 8, 2}, make([]byte, 8+side*side)...)
		binary.BigEndian.PutUint32(raw[4:], side)
		binary.BigEndian.PutUint32(raw[8:], side)
		for p := range side {
			x, y := p, at
			if class == 1 {
				x, y = at, p
			} else if class == 2 {
				y = (p + at) % side
			}
			raw[12+y*side+x] = 255
		}
		for range 20 {
			raw[12+rng.IntN(side*side)] = byte(rng.IntN(256))
		}
		d.IDs, d.Raw, d.Labels = append(d.IDs, fmt.Sprintf("s%04d", i)), append(d.Raw, raw), append(d.Labels, class)
	}
	return d
}

func quick(loss string) Options {
	return Options{Loss: loss, Batch: 48, Epochs: 4, Rate: 5e-3, Dimension: 16, Seed: 3, Threads: 1, Augmentation: &Augmentation{Shift: 0.05}}
}

func modelBytes(t *testing.T, m *encoder.Model) []byte {
	t.Helper()
	b, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustRun(t *testing.T, d, v Dataset, o Options) *encoder.Model {
	t.Helper()
	m, err := Run(context.Background(), d, v, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestRunLearns: each loss lifts the kNN accuracy of the validation items above that of raw pixels.
func TestRunLearns(t *testing.T) {
	d, v := stripes(600, 1), stripes(150, 2)
	for loss, floor := range map[string]float64{"supcon": 0.95, "contrastive": 0.9, "ntxent": 0.6} {
		t.Run(loss, func(t *testing.T) {
			o := quick(loss)
			o.Epochs = 8
			m := mustRun(t, d, v, o)
			var rec Record
			if err := json.Unmarshal(m.Record, &rec); err != nil {
				t.Fatal(err)
			}
			if len(rec.Curve) != o.Epochs || rec.DataHash != hashOf(t, d) || rec.Items != d.Len() || rec.Options.Loss != loss {
				t.Fatalf("record %+v", rec)
			}
			last := rec.Curve[o.Epochs-1]
			if last.Validation < floor {
				t.Errorf("validation accuracy %.3f, want at least %.2f", last.Validation, floor)
			}
			if last.Loss >= rec.Curve[0].Loss {
				t.Errorf("the loss went from %.4f to %.4f", rec.Curve[0].Loss, last.Loss)
			}
		})
	}
}

// TestRunIsDeterministic: the same seed gives the same file on one thread and on three; another seed another one.
func TestRunIsDeterministic(t *testing.T) {
	d, v := stripes(200, 1), stripes(30, 2)
	o := quick("supcon")
	o.Epochs = 2
	want := modelBytes(t, mustRun(t, d, v, o))
	o.Threads = 3
	if !bytes.Equal(want, modelBytes(t, mustRun(t, d, v, o))) {
		t.Error("three threads give another model than one")
	}
	o.Seed++
	if bytes.Equal(want, modelBytes(t, mustRun(t, d, v, o))) {
		t.Error("another seed gives the same model")
	}
}

// TestMixedPrecision: bf16 trains as well as float32, to another model, and to the same on one thread and on three. Where the processor
// lacks it, the run is refused.
func TestMixedPrecision(t *testing.T) {
	d, v := stripes(400, 1), stripes(150, 2)
	o := quick("supcon")
	o.Network = encoder.Network{Input: encoder.Size{Height: 12, Width: 12, Channels: 1}, Layers: []encoder.Layer{
		{Kind: encoder.KindConv, Filters: 16, Kernel: 3, Norm: true, ReLU: true}, {Kind: encoder.KindResidual, Filters: 32, Stride: 2},
		{Kind: encoder.KindGlobalPool}, {Kind: encoder.KindLinear, Units: 16}, {Kind: encoder.KindNormalize}}}
	curve := func(o Options) (last Epoch, precision kernel.Precision, model []byte) {
		m := mustRun(t, d, v, o)
		var rec Record
		if err := json.Unmarshal(m.Record, &rec); err != nil {
			t.Fatal(err)
		}
		return rec.Curve[len(rec.Curve)-1], rec.Options.Precision, modelBytes(t, m)
	}
	float, precision, floatModel := curve(o)
	if precision != kernel.Float32 {
		t.Errorf("a run without precision is recorded as %v", precision)
	}
	o.Precision = kernel.BF16
	if kernel.BF16.Supported() != nil {
		if _, err := Run(context.Background(), d, v, o); !errors.Is(err, ErrOptions) || !errors.Is(err, kernel.ErrNoBF16) {
			t.Errorf("bf16 without its instructions: %v", err)
		}
		return
	}
	mixed, precision, model := curve(o)
	if precision != kernel.BF16 || bytes.Equal(model, floatModel) {
		t.Errorf("a run in bf16 is recorded as %v, or gives the float32 model", precision)
	}
	if mixed.Validation < float.Validation-0.02 || mixed.Loss > 1.05*float.Loss {
		t.Errorf("bf16 ends at accuracy %.3f and loss %.4f, float32 at %.3f and %.4f", mixed.Validation, mixed.Loss, float.Validation, float.Loss)
	}
	o.Threads = 3
	if _, _, three := curve(o); !bytes.Equal(model, three) {
		t.Error("three threads give another model than one")
	}
}

// TestResume interrupts a run at many places, within epochs and at their ends, and compares the end with an uninterrupted run.
func TestResume(t *testing.T) {
	d, v := stripes(200, 1), stripes(30, 2)
	for _, loss := range []string{"supcon", "ntxent", "contrastive"} {
		t.Run(loss, func(t *testing.T) {
			o := quick(loss)
			if loss == "supcon" { // with running statistics, which have no moments
				o.Network = encoder.Network{Input: encoder.Size{Height: 12, Width: 12, Channels: 1}, Layers: []encoder.Layer{
					{Kind: encoder.KindConv, Filters: 8, Kernel: 3, Norm: true, ReLU: true, Pool: true}, {Kind: encoder.KindResidual, Filters: 8},
					{Kind: encoder.KindGlobalPool}, {Kind: encoder.KindLinear, Units: 16}, {Kind: encoder.KindNormalize}}}
			}
			want := modelBytes(t, mustRun(t, d, v, o))
			checkResumes(t, d, v, o, want, 2)
		})
	}
}

// countdown is a context that is cancelled once Err has been asked so many times: by the training loop before each step, and by
// validation.
type countdown struct {
	context.Context
	left atomic.Int64
}

func newCountdown(n int) *countdown {
	c := &countdown{Context: context.Background()}
	c.left.Store(int64(n))
	return c
}

func (c *countdown) Err() error {
	if c.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

// TestSplitKeepsItems: an item stays on its side when the data grows, shrinks or changes order.
func TestSplitKeepsItems(t *testing.T) {
	small, large := stripes(200, 1), stripes(300, 1)
	side := func(d Dataset) map[string]bool {
		_, part, err := d.Split(0.3, 5)
		if err != nil {
			t.Fatal(err)
		}
		in := map[string]bool{}
		for _, id := range part.IDs {
			in[id] = true
		}
		return in
	}
	a, b := side(small), side(large)
	if len(a) < 30 || len(a) > 90 {
		t.Errorf("%d of 200 items are in the part of 0.3", len(a))
	}
	for _, id := range small.IDs {
		if a[id] != b[id] {
			t.Errorf("%s changes sides when the data grows", id)
		}
	}
}

// TestFewItems: small data without labels, or with one class, trains with the defaults.
func TestFewItems(t *testing.T) {
	d := stripes(30, 1)
	one := d
	one.Classes, one.Labels = []string{"good"}, make([]int, 30)
	none := d
	none.Classes, none.Labels = nil, slices.Repeat([]int{Unlabelled}, 30)
	for name, set := range map[string]Dataset{"one class": one, "no labels": none, "three classes": d} {
		if _, err := Run(context.Background(), set, Dataset{}, Options{Epochs: 1}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCheckpointIsGuarded(t *testing.T) {
	d, v := stripes(100, 1), stripes(30, 2)
	o := quick("supcon")
	o.Epochs = 1
	o.Checkpoint = filepath.Join(t.TempDir(), "run.ckpt")
	resume := o
	resume.Resume = true
	if _, err := Run(context.Background(), d, v, resume); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("no checkpoint: %v", err)
	}
	mustRun(t, d, v, o)
	other := resume
	other.Rate = 1e-4
	if _, err := Run(context.Background(), d, v, other); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("other options: %v", err)
	}
	if _, err := Run(context.Background(), stripes(100, 9), v, resume); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("other data: %v", err)
	}
	b, err := os.ReadFile(o.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]byte{nil, b[:len(b)/2], append(bytes.Clone(b[:100]), append([]byte{b[100] ^ 1}, b[101:]...)...)} {
		if err := os.WriteFile(o.Checkpoint, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Run(context.Background(), d, v, resume); !errors.Is(err, ErrCheckpoint) {
			t.Errorf("a damaged checkpoint of %d bytes: %v", len(bad), err)
		}
	}
}

func TestOptionsAreValidated(t *testing.T) {
	d := stripes(100, 1)
	for name, change := range map[string]func(*Options){
		"loss": func(o *Options) { o.Loss = "mse" }, "temperature": func(o *Options) { o.Temperature = -1 }, "batch": func(o *Options) { o.Batch = 1 },
		"epochs": func(o *Options) { o.Epochs = -2 }, "rate": func(o *Options) { o.Rate = 1e9 }, "augmentation": func(o *Options) { o.Augmentation.Rotate = 999 },
		"resume": func(o *Options) { o.Resume = true }, "margin": func(o *Options) { o.Margin = 3 },
		"precision": func(o *Options) { o.Precision = 7 },
	} {
		o := quick("supcon")
		change(&o)
		if _, err := Run(context.Background(), d, Dataset{}, o); !errors.Is(err, ErrOptions) {
			t.Errorf("%s: %v", name, err)
		}
	}
	unlabelled := stripes(100, 1)
	for i := range unlabelled.Labels {
		unlabelled.Labels[i] = Unlabelled
	}
	unlabelled.Classes = nil
	if _, err := Run(context.Background(), unlabelled, Dataset{}, quick("supcon")); !errors.Is(err, ErrOptions) {
		t.Errorf("supcon without labels: %v", err)
	}
}

// TestBrokenItemsAreLeftOut: a truncated picture costs a report, not the run; mostly broken data is refused.
func TestBrokenItemsAreLeftOut(t *testing.T) {
	d := stripes(100, 1)
	d.Raw[7], d.Raw[60] = d.Raw[7][:30], []byte("no image")
	var skipped []string
	o := quick("supcon")
	o.Epochs = 1
	o.Skip = func(s Skipped) { skipped = append(skipped, s.Path) }
	var rec Record
	if err := json.Unmarshal(mustRun(t, d, Dataset{}, o).Record, &rec); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(skipped) != "[s0007 s0060]" || rec.Items != 98 {
		t.Errorf("skipped %v, trained on %d", skipped, rec.Items)
	}
	for i := 1; i < 70; i++ {
		d.Raw[i] = d.Raw[0][:30]
	}
	if _, err := Run(context.Background(), d, Dataset{}, quick("supcon")); !errors.Is(err, ErrDataset) {
		t.Errorf("70 of 100 broken: %v", err)
	}
}
