package encoder

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/akin-search/akin/encoder/kernel"
)

// TestFrozenLayers: with any number of layers frozen, the loss and the gradients of the others are those of the whole graph, once its
// running statistics have become those of the batch; and a step changes neither weights nor statistics of the frozen ones.
func TestFrozenLayers(t *testing.T) {
	for name, n := range testNetworks {
		t.Run(name, func(t *testing.T) {
			const items = 7
			dev := newCPU(t, 2)
			whole, err := NewGraph(dev, n, weightsOf(t, n), items, 0, weighted)
			if err != nil {
				t.Fatal(err)
			}
			defer whole.Close()
			batch, _ := batchOf(whole, n, items)
			want := float32(0)
			for range 200 {
				if want, err = whole.Step(batch); err != nil {
					t.Fatal(err)
				}
			}
			weights := whole.Weights()
			for frozen := 1; frozen <= n.Freezable(); frozen++ {
				g, err := NewGraph(dev, n, weights, items, frozen, weighted)
				if err != nil {
					t.Fatal(err)
				}
				got, err := g.Step(batch)
				if err != nil {
					t.Fatal(err)
				}
				if math.Abs(float64(got-want)) > 1e-4*(1+math.Abs(float64(want))) {
					t.Errorf("%d frozen: loss %g, want %g", frozen, got, want)
				}
				first := whole.Trained() - g.Trained()
				if weightless := whole.plan.steps[frozen].params == 0; first < 0 || (first == 0) != weightless {
					t.Errorf("%d frozen: %d of %d parameters are trained", frozen, g.Trained(), whole.Trained())
				}
				for i := range g.Trained() {
					a, b := gradientOf(t, g, i), gradientOf(t, whole, first+i)
					for j := range a {
						if math.Abs(float64(a[j]-b[j])) > 2e-3*(1+math.Abs(float64(b[j]))) {
							t.Fatalf("%d frozen: gradient %d of %s is %g, want %g", frozen, j, g.Parameter(i).Name, a[j], b[j])
						}
					}
				}
				after := g.Weights()
				for i, p := range whole.plan.parameters {
					if i < whole.plan.steps[frozen].params && !slices.Equal(after[i], weights[i]) {
						t.Errorf("%d frozen: a step changed %s", frozen, p.Name)
					}
				}
				if err := g.Close(); err != nil {
					t.Error(err)
				}
			}
			if g, err := NewGraph(dev, n, weights, items, n.Freezable()+1, weighted); !errors.Is(err, ErrSpec) {
				t.Errorf("all layers frozen: %v, %v", g, err)
			}
		})
	}
}

func gradientOf(t *testing.T, g *Graph, i int) []float32 {
	t.Helper()
	b, err := g.Gradient(i)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]float32, b.Len())
	g.dev.Download(out, b)
	return out
}

// TestInference: batches laid out for the graph give the encoder's embeddings, bit by bit, also after the weights have changed.
func TestInference(t *testing.T) {
	for name, n := range testNetworks {
		t.Run(name, func(t *testing.T) {
			const items = runnerBatch + 3
			dev, err := kernel.NewCPU(1)
			if err != nil {
				t.Fatal(err)
			}
			f, err := NewInference(dev, n)
			if err != nil {
				t.Fatal(err)
			}
			weights := weightsOf(t, n)
			dimension, err := n.Dimension()
			if err != nil {
				t.Fatal(err)
			}
			g, err := NewGraph(dev, n, weights, items, 0, weighted)
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			batch, features := batchOf(g, n, items)
			for range 2 {
				if err := f.SetWeights(weights); err != nil {
					t.Fatal(err)
				}
				got := kernel.NewMatrix(items, dimension)
				if err := f.Run(batch, got); err != nil {
					t.Fatal(err)
				}
				e, err := NewEncoder(&Model{Network: n, Weights: weights, Preprocessing: preprocessing(n.Input)}, "test", 1)
				if err != nil {
					t.Fatal(err)
				}
				want, err := e.EncodeFeatures(context.Background(), features)
				if err != nil {
					t.Fatal(err)
				}
				for i := range want {
					if !slices.Equal(got.Row(i), want[i]) {
						t.Fatalf("item %d: %v, the encoder gives %v", i, got.Row(i), want[i])
					}
				}
				for _, w := range weights {
					for i := range w {
						w[i] *= 1.25
					}
				}
			}
			if err := f.Run(batch[1:], kernel.NewMatrix(items, dimension)); err == nil {
				t.Error("a batch of the wrong size was accepted")
			}
			if err := f.SetWeights(weights[1:]); !errors.Is(err, ErrSpec) {
				t.Errorf("too few weights: %v", err)
			}
		})
	}
}
