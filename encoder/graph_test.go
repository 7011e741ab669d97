package encoder

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/akin-search/akin/encoder/kernel"
	"github.com/akin-search/akin/encoder/op"
)

// testNetworks cover each kind of layer in each order that plan allows.
var testNetworks = map[string]Network{
	"mlp": {Input: Size{4, 3, 1}, Layers: []Layer{{Kind: KindLinear, Units: 9, ReLU: true}, {Kind: KindLinear, Units: 5}, {Kind: KindNormalize}}},
	"cnn": {Input: Size{9, 8, 3}, Layers: []Layer{{Kind: KindConv, Filters: 4, Kernel: 3, ReLU: true, Pool: true},
		{Kind: KindConv, Filters: 5, Kernel: 5, Stride: 2, ReLU: true}, {Kind: KindLinear, Units: 6, ReLU: true}, {Kind: KindLinear, Units: 4}, {Kind: KindNormalize}}},
	"default": Default(Size{12, 12, 1}, 8),
	"line": {Input: Size{6, 9, 1}, Layers: []Layer{{Kind: KindBands}, {Kind: KindConv, Filters: 5, Kernel: 5, Line: true, Norm: true, ReLU: true},
		{Kind: KindConv, Filters: 4, Kernel: 3, Line: true, Stride: 2, ReLU: true}, {Kind: KindStatistics}, {Kind: KindLinear, Units: 4}, {Kind: KindNormalize}}},
	"bands": {Input: Size{8, 7, 1}, Layers: []Layer{{Kind: KindConv, Filters: 4, Kernel: 3, Norm: true, ReLU: true, Pool: true}, {Kind: KindBands}, {Kind: KindStatistics},
		{Kind: KindLinear, Units: 4}, {Kind: KindNormalize}}},
	"cells": {Input: Size{13, 12, 3}, Layers: []Layer{{Kind: KindCells, Kernel: 4}, {Kind: KindConv, Filters: 6, Kernel: 3, Norm: true, ReLU: true}, {Kind: KindLinear, Units: 4}, {Kind: KindNormalize}}},
	"resnet": {Input: Size{8, 7, 1}, Layers: []Layer{{Kind: KindConv, Filters: 6, Kernel: 3, ReLU: true, Norm: true}, {Kind: KindResidual, Filters: 6},
		{Kind: KindResidual, Filters: 9, Stride: 2}, {Kind: KindGlobalPool}, {Kind: KindLinear, Units: 5}, {Kind: KindNormalize}}},
}

func weightsOf(t *testing.T, n Network) [][]float32 {
	t.Helper()
	w, err := n.Initialize(rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	p, err := n.plan(1)
	if err != nil {
		t.Fatal(err)
	}
	for i, q := range p.parameters { // biases off zero, scales off one
		for j := range w[i] {
			if q.Role == kernel.RoleBias || q.Role == kernel.RoleScale {
				w[i][j] += 0.2 * float32(rng.NormFloat64())
			}
		}
	}
	return w
}

func newCPU(t *testing.T, threads int) kernel.Device {
	t.Helper()
	d, err := kernel.NewCPU(threads)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// weighted is a smooth loss that tells every embedding value apart: Σ c·e + e²/2 · c'.
func weighted(emb, grad kernel.Matrix) float32 {
	var sum float64
	for i, v := range emb.Data {
		a, b := math.Sin(float64(i)), math.Cos(float64(2*i))
		sum += a*float64(v) + b*float64(v)*float64(v)/2
		grad.Data[i] = float32(a + b*float64(v))
	}
	return float32(sum)
}

func batchOf(g *Graph, n Network, items int) (batch []float32, features []Features) {
	rng := rand.New(rand.NewPCG(5, 6))
	batch = make([]float32, g.InputSize())
	for i := range items {
		f := Features{Data: make([]float32, n.Input.values()), Shape: []int{n.Input.Height, n.Input.Width, n.Input.Channels}}
		for j := range f.Data {
			f.Data[j] = float32(rng.NormFloat64())
		}
		features = append(features, f)
		g.Place(batch, i, f.Data)
	}
	return batch, features
}

// TestGraphGradients compares gradients through the whole graph with finite differences.
func TestGraphGradients(t *testing.T) {
	for name, n := range testNetworks {
		t.Run(name, func(t *testing.T) {
			dev := newCPU(t, 2)
			g, err := NewGraph(dev, n, weightsOf(t, n), 3, 0, weighted)
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			batch, _ := batchOf(g, n, 3)
			step := func() float64 {
				v, err := g.Step(batch)
				if err != nil {
					t.Fatal(err)
				}
				return float64(v)
			}
			at := step()
			grads := make([][]float32, g.Trained())
			for i := range grads {
				b, err := g.Gradient(i)
				if err != nil {
					t.Fatal(err)
				}
				grads[i] = make([]float32, b.Len())
				dev.Download(grads[i], b)
			}
			rng := rand.New(rand.NewPCG(7, 8))
			const h = 1.0 / 2048
			compared, kinks := 0, 0
			for i := range grads {
				w := make([]float32, len(grads[i]))
				dev.Download(w, g.Weight(i))
				for range 12 {
					j := rng.IntN(len(w))
					set := func(v float32) float64 {
						old := w[j]
						w[j] = v
						dev.Upload(g.Weight(i), w)
						w[j] = old
						return step()
					}
					up, down := set(w[j]+h), set(w[j]-h)
					dev.Upload(g.Weight(i), w)
					if right, left := (up-at)/h, (at-down)/h; math.Abs(right-left) > 0.01*(1+math.Abs(right)) {
						kinks++
						continue
					}
					compared++
					if want := (up - down) / (2 * h); math.Abs(float64(grads[i][j])-want) > 0.01*(1+math.Abs(want)) {
						t.Errorf("%s[%d]: gradient %g, finite difference %g", g.plan.parameters[g.trained[i]].Name, j, grads[i][j], want)
					}
				}
			}
			if kinks > compared/4 {
				t.Errorf("%d of %d differences met a kink: nothing is proved", kinks, kinks+compared)
			}
		})
	}
}

// TestRunnerEqualsGraph: inference without gorgonia gives the graph's embeddings to 1e-5, whatever the company. Where the graph
// normalises over its batch, the runner does so by the running statistics, which on one and the same batch become equal to it.
func TestRunnerEqualsGraph(t *testing.T) {
	for name, n := range testNetworks {
		t.Run(name, func(t *testing.T) {
			const items = 2*runnerBatch + 3
			g, err := NewGraph(newCPU(t, 2), n, weightsOf(t, n), items, 0, weighted)
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			batch, features := batchOf(g, n, items)
			for range 200 { // long enough for the running statistics to arrive at the batch's
				if _, err := g.Step(batch); err != nil {
					t.Fatal(err)
				}
			}
			want, err := embeddingOf(g)
			if err != nil {
				t.Fatal(err)
			}
			m := &Model{Network: n, Weights: g.Weights(), Preprocessing: preprocessing(n.Input)}
			e, err := NewEncoder(m, "test", 2)
			if err != nil {
				t.Fatal(err)
			}
			got, err := e.EncodeFeatures(context.Background(), features)
			if err != nil {
				t.Fatal(err)
			}
			for i := range got {
				alone, err := e.EncodeFeatures(context.Background(), features[i:i+1])
				if err != nil {
					t.Fatal(err)
				}
				for j, v := range got[i] {
					if math.Abs(float64(v-want.Row(i)[j])) > 1e-5 {
						t.Fatalf("item %d, dimension %d: runner %g, graph %g", i, j, v, want.Row(i)[j])
					}
					if alone[0][j] != v {
						t.Fatalf("item %d alone gives other bits than in a batch", i)
					}
				}
			}
		})
	}
}

func preprocessing(s Size) Preprocessing {
	p := Preprocessing{Modality: ModalityImage, Size: s}
	for range s.Channels {
		p.Mean, p.Deviation = append(p.Mean, 0.1), append(p.Deviation, 0.3)
	}
	return p
}

// BenchmarkStep is forward, loss and backward of a batch of 128 on one thread.
func BenchmarkStep(b *testing.B) {
	size := Size{28, 28, 1}
	for name, n := range map[string]Network{
		"mlp": {Input: size, Layers: []Layer{{Kind: KindLinear, Units: 256, ReLU: true}, {Kind: KindLinear, Units: 128, ReLU: true}, {Kind: KindLinear, Units: 64}, {Kind: KindNormalize}}},
		"cnn": {Input: size, Layers: []Layer{{Kind: KindConv, Filters: 16, Kernel: 3, ReLU: true, Pool: true}, {Kind: KindConv, Filters: 32, Kernel: 3, ReLU: true, Pool: true},
			{Kind: KindLinear, Units: 128, ReLU: true}, {Kind: KindLinear, Units: 64}, {Kind: KindNormalize}}},
		"default": Default(size, 64),
		"cells":   ForPatches(64),
		"resnet": {Input: size, Layers: []Layer{{Kind: KindConv, Filters: 32, Kernel: 3, ReLU: true, Norm: true}, {Kind: KindResidual, Filters: 32}, {Kind: KindResidual, Filters: 64, Stride: 2},
			{Kind: KindResidual, Filters: 128, Stride: 2}, {Kind: KindGlobalPool}, {Kind: KindLinear, Units: 64}, {Kind: KindNormalize}}},
	} {
		b.Run(name, func(b *testing.B) {
			dev, err := kernel.NewCPU(1)
			if err != nil {
				b.Fatal(err)
			}
			w, err := n.Initialize(rand.New(rand.NewPCG(1, 2)))
			if err != nil {
				b.Fatal(err)
			}
			g, err := NewGraph(dev, n, w, 128, 0, weighted)
			if err != nil {
				b.Fatal(err)
			}
			defer g.Close()
			batch, _ := batchOf(g, n, 128)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := g.Step(batch); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// embeddingOf copies the embeddings of the last Step to the host.
func embeddingOf(g *Graph) (kernel.Matrix, error) {
	a, ok := g.embedding.Value().(*op.Array)
	if !ok {
		return kernel.Matrix{}, fmt.Errorf("the embedding is a %T", g.embedding.Value())
	}
	m := kernel.NewMatrix(g.plan.batch, g.plan.dimension)
	g.dev.Download(m.Data, a.Buffer)
	return m, nil
}
