package train

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
)

var digits = sync.OnceValues(func() (Dataset, error) {
	d, _, err := MNIST("")
	return d, err
})

// fewDigits returns 1500 digits of MNIST to learn from and 300 to validate on.
func fewDigits(t *testing.T) (data, validation Dataset) {
	t.Helper()
	all, err := digits()
	if err != nil {
		t.Fatal(err)
	}
	items := integers(1800)
	return all.Subset(items[:1500]), all.Subset(items[1500:])
}

// smallNet takes 28×28 pixels in a millisecond or so a hundred.
var smallNet = encoder.Network{Input: encoder.Size{Height: 28, Width: 28, Channels: 1}, Layers: []encoder.Layer{
	{Kind: encoder.KindConv, Filters: 8, Kernel: 5, Stride: 2, Norm: true, ReLU: true, Pool: true},
	{Kind: encoder.KindConv, Filters: 16, Kernel: 3, Norm: true, ReLU: true, Pool: true},
	{Kind: encoder.KindLinear, Units: 16}, {Kind: encoder.KindNormalize}}}

// Every loss, and every source of negatives, lifts the kNN accuracy of real digits well above that of the untrained network.
func TestEveryLossLearnsDigits(t *testing.T) {
	d, v := fewDigits(t)
	floor := untrainedAccuracy(t, d, v)
	for _, c := range []struct {
		loss, negatives string
		gain            float64
	}{
		{"supcon", "", 0.1}, {"ntxent", "", 0.04}, {"vicreg", "", 0.02}, {"moco", "", 0.02}, {"multi-similarity", "", 0.1}, {"arcface", "", 0.05},
		{"contrastive", "", 0.05}, {"contrastive", "semi-hard", 0.05}, {"contrastive", "index", 0.05},
		{"triplet", "", 0.1}, {"triplet", "batch", 0.1}, {"triplet", "distance", 0.1},
		{"supcon", "memory", 0.1}, {"triplet", "memory", 0.1}, {"supcon", "index", 0.1}, {"triplet", "index", 0.1},
	} {
		t.Run(c.loss+" "+c.negatives, func(t *testing.T) {
			t.Parallel()
			m := mustRun(t, d, v, Options{Network: smallNet, Loss: c.loss, Negatives: c.negatives, Epochs: 4, Batch: 60, Seed: 1, Threads: 1})
			var rec Record
			if err := json.Unmarshal(m.Record, &rec); err != nil {
				t.Fatal(err)
			}
			got := rec.Curve[len(rec.Curve)-1].Validation
			t.Logf("accuracy %.3f, untrained %.3f", got, floor)
			if got < floor+c.gain {
				t.Errorf("accuracy %.3f, untrained %.3f: want %.2f more", got, floor, c.gain)
			}
		})
	}
}

func untrainedAccuracy(t *testing.T, d, v Dataset) float64 {
	t.Helper()
	pre, err := inspect(d, "")
	if err != nil {
		t.Fatal(err)
	}
	weights, err := smallNet.Initialize(rand.New(rand.NewPCG(1, 1)))
	if err != nil {
		t.Fatal(err)
	}
	e, err := encoder.NewEncoder(&encoder.Model{Network: smallNet, Preprocessing: inUnits(pre), Weights: weights}, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	base, queries := encodeAll(t, e, d), encodeAll(t, e, v)
	accuracy, err := KNNAccuracy(context.Background(), base, d.Labels, queries, v.Labels, 5)
	if err != nil {
		t.Fatal(err)
	}
	return accuracy
}

func encodeAll(t *testing.T, e *encoder.Encoder, d Dataset) kernel.Matrix {
	t.Helper()
	rows, err := e.Encode(context.Background(), d.Raw...)
	if err != nil {
		t.Fatal(err)
	}
	return kernel.MatrixOf(rows, e.Dimension())
}

func embedAll(t *testing.T, m *encoder.Model, d Dataset) kernel.Matrix {
	t.Helper()
	e, err := encoder.NewEncoder(m, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	return encodeAll(t, e, d)
}
