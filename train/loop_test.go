package train

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
)

// TestResumeWithEverything: every loss with LARS, gathered and clipped gradients, averaged weights and early stopping, interrupted at
// many places, between the batches of a step too.
func TestResumeWithEverything(t *testing.T) {
	d, v := stripes(200, 1), stripes(60, 2)
	for _, loss := range lossNames {
		t.Run(loss, func(t *testing.T) {
			o, d := quick(loss), d
			if loss == LossPairs.String() {
				for i := range 100 {
					d.Pairs = append(d.Pairs, Pair{d.IDs[i], d.IDs[(7*i+3)%200], float64(i%5) / 4})
				}
			}
			o.Network = encoder.Network{Input: encoder.Size{Height: 12, Width: 12, Channels: 1}, Layers: []encoder.Layer{
				{Kind: encoder.KindConv, Filters: 8, Kernel: 3, Norm: true, ReLU: true, Pool: true}, {Kind: encoder.KindConv, Filters: 8, Kernel: 3, Norm: true, ReLU: true, Pool: true}, {Kind: encoder.KindLinear, Units: 16}, {Kind: encoder.KindNormalize}}}
			o.Batch, o.Optimizer, o.Rate, o.EMA, o.Accumulate, o.Clip, o.Patience = 16, "lars", 1, 0.9, 3, 0.5, 3
			checkResumes(t, d, v, o, modelBytes(t, mustRun(t, d, v, o)), 4)
		})
	}
}

// TestEarlyStopping: the run ends after so many epochs without a better accuracy, and the model is that of the best one.
func TestEarlyStopping(t *testing.T) {
	d, v := stripes(200, 1), stripes(90, 2)
	o := quick("supcon")
	o.Epochs, o.Patience = 30, 3
	pre, err := inspect(d, "")
	if err != nil {
		t.Fatal(err)
	}
	o.SetDefaults(d.Len(), len(d.Classes), pre.Size)
	var r *run
	var weights [][][]float32
	o.Progress = func(p Progress) {
		if p.Validation >= 0 {
			weights = append(weights, r.modelWeights())
		}
	}
	if r, err = newRun(context.Background(), d, v, pre, o); err != nil {
		t.Fatal(err)
	}
	if err := r.prepare(); err != nil {
		t.Fatal(err)
	}
	defer r.dev.Close()
	defer r.graph.Close()
	if err := r.train(context.Background()); err != nil {
		t.Fatal(err)
	}
	m, err := r.model(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	rec := recordOf(t, m)
	best := slices.MaxFunc(rec.Curve, func(a, b Epoch) int {
		return int(math.Copysign(1, a.Validation-b.Validation)) * min(1, int(1e9*math.Abs(a.Validation-b.Validation)))
	})
	if n := len(rec.Curve); n == o.Epochs || rec.Best != n-o.Patience || rec.Curve[rec.Best-1].Validation != best.Validation {
		t.Errorf("stopped after %d epochs, the best is %d: %+v", n, rec.Best, rec.Curve)
	}
	for i := range m.Weights {
		if !slices.Equal(m.Weights[i], weights[rec.Best-1][i]) {
			t.Fatalf("parameter %d is not that of epoch %d", i, rec.Best)
		}
	}
}

// TestAverageIsSaved: with averaged weights, the model and its accuracy are those of the average.
func TestAverageIsSaved(t *testing.T) {
	o := quick("supcon")
	o.EMA = 0.9
	r := newTestRun(t, stripes(200, 1), o)
	if err := r.train(context.Background()); err != nil {
		t.Fatal(err)
	}
	m, err := r.model(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range r.average.weights() {
		if !slices.Equal(m.Weights[i], w) {
			t.Fatalf("parameter %d of the model is not the average", i)
		}
		if slices.Equal(m.Weights[i], r.graph.Weights()[i]) {
			t.Fatalf("parameter %d of the average is the last weights: nothing is proved", i)
		}
	}
}

// keyed checks the keys that it is given.
type keyed struct {
	stateless
	t    *testing.T
	run  *run
	keys kernel.Matrix
	seen int
}

// Keys compares the keys with what the averaged weights make of the same pictures; there is no augmentation.
func (k *keyed) Keys(b *Batch, keys kernel.Matrix) {
	e, err := k.run.encoder(k.run.average.weights())
	if err != nil {
		k.t.Fatal(err)
	}
	for i, item := range b.Items {
		want, err := e.EncodeFeatures(context.Background(), k.run.features[item:item+1])
		if err != nil {
			k.t.Fatal(err)
		}
		if !slices.Equal(want[0], keys.Row(i)) {
			k.t.Fatalf("batch %d: key %d is %v, want %v", k.seen, i, keys.Row(i), want[0])
		}
	}
	k.keys = keys
	k.seen++
}

// TestKeys: an objective that takes keys gets those of the averaged weights, by the running statistics, before each batch.
func TestKeys(t *testing.T) {
	o := quick("supcon")
	o.EMA, o.Epochs, o.Augmentation = 0.9, 2, &Augmentation{}
	r := newTestRun(t, stripes(100, 1), o)
	k := &keyed{stateless: stateless{SupCon(0.1)}, t: t, run: r}
	r.objective = k
	if err := r.equip(nil); err != nil {
		t.Fatal(err)
	}
	if err := r.train(context.Background()); err != nil {
		t.Fatal(err)
	}
	if k.seen != r.steps {
		t.Errorf("%d batches of keys for %d batches", k.seen, r.steps)
	}
	r.EMA, r.average = 0, nil
	if err := r.equip(nil); err == nil {
		t.Error("keys without averaged weights were accepted")
	}
}

// TestKeysAreOtherViews: keys and batch show the same items under different augmentations, each run the same ones.
func TestKeysAreOtherViews(t *testing.T) {
	o := quick("supcon")
	o.EMA = 0.9
	inputs := func() (input, keys []float32) {
		r := newTestRun(t, stripes(100, 1), o)
		r.objective = &keyed{stateless: stateless{SupCon(0.1)}, t: t, run: r}
		if err := r.equip(nil); err != nil {
			t.Fatal(err)
		}
		l := r.load(context.Background())
		defer l.stop()
		b, ok := l.next(context.Background())
		if !ok {
			t.Fatal("no batch")
		}
		return b.input, b.keys
	}
	input, keys := inputs()
	if len(keys) != len(input) || slices.Equal(input, keys) {
		t.Error("the keys show the same views as the batch")
	}
	if _, again := inputs(); !slices.Equal(keys, again) {
		t.Error("another run draws other views")
	}
}
