package train

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
)

// small returns the graph of a small network whose loss is linear in the embeddings, and a batch for each of n random inputs.
func small(t *testing.T, n int) (kernel.Device, *encoder.Graph, [][]float32) {
	t.Helper()
	dev := device(t)
	net := encoder.Network{Input: encoder.Size{Height: 6, Width: 6, Channels: 1}, Layers: []encoder.Layer{
		{Kind: encoder.KindConv, Filters: 4, Kernel: 3, Norm: true, ReLU: true}, {Kind: encoder.KindLinear, Units: 5}, {Kind: encoder.KindNormalize}}}
	rng := rand.New(rand.NewPCG(8, 9))
	weights, err := net.Initialize(rng)
	if err != nil {
		t.Fatal(err)
	}
	g, err := encoder.NewGraph(dev, net, weights, 3, 0, func(emb, grad kernel.Matrix) float32 {
		sum := 0.0
		for i, x := range emb.Data {
			grad.Data[i] = float32(10 * math.Cos(float64(i)))
			sum += float64(grad.Data[i] * x)
		}
		return float32(sum)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	batches := make([][]float32, n)
	for i := range batches {
		batches[i] = normals(rng, g.InputSize())
	}
	return dev, g, batches
}

// TestGradientsAreGatheredAndClipped against the mean and the length in float64.
func TestGradientsAreGatheredAndClipped(t *testing.T) {
	for name, c := range map[string]struct {
		batches int
		clip    float64
	}{"one": {1, 0}, "one clipped": {1, 0.5}, "three": {3, 0}, "three clipped": {3, 0.5}, "within": {2, 1e6}} {
		t.Run(name, func(t *testing.T) {
			dev, graph, batches := small(t, c.batches)
			a := newGradients(dev, graph, c.batches, c.clip)
			for round := range 2 { // the second starts anew
				var mean [][]float64
				for n, b := range batches {
					if _, err := graph.Step(b); err != nil {
						t.Fatal(err)
					}
					for i := range graph.Trained() {
						g, err := graph.Gradient(i)
						if err != nil {
							t.Fatal(err)
						}
						if len(mean) == i {
							mean = append(mean, make([]float64, g.Len()))
						}
						for j, x := range download(dev, []kernel.Buffer{g})[0] {
							mean[i][j] += float64(x) / float64(c.batches)
						}
					}
					if n == 1 { // a checkpoint in between
						state := a.state()
						a = newGradients(dev, graph, c.batches, c.clip)
						if err := a.restore(state); err != nil {
							t.Fatal(err)
						}
					}
					whole, err := a.gather(n)
					if err != nil || whole != (n == c.batches-1) {
						t.Fatalf("batch %d makes a step: %v, %v", n, whole, err)
					}
				}
				square := 0.0
				for _, table := range mean {
					for _, x := range table {
						square += x * x
					}
				}
				factor := 1.0
				if c.clip > 0 {
					factor = min(1, c.clip/math.Sqrt(square))
				}
				if c.clip == 0.5 && factor > 0.9 {
					t.Fatal("the gradients are short: nothing is proved")
				}
				for i, table := range mean {
					g, err := a.Gradient(i)
					if err != nil {
						t.Fatal(err)
					}
					for j, x := range download(dev, []kernel.Buffer{g})[0] {
						if want := factor * table[j]; math.Abs(float64(x)-want) > 1e-5*(1+math.Abs(want)) {
							t.Fatalf("round %d, gradient %d[%d] = %g, want %g", round, i, j, x, want)
						}
					}
				}
			}
		})
	}
}

// TestAverageOfWeights against the recurrence in float64, running statistics included, through State and Restore.
func TestAverageOfWeights(t *testing.T) {
	dev, graph, batches := small(t, 20)
	a := newAverage(dev, graph, 0.6)
	var want [][]float64
	for _, w := range graph.Weights() {
		want = append(want, widen(kernel.Matrix{Rows: 1, Cols: len(w), Data: w})[0])
	}
	o := NewSGD(dev, graph, 0.5, 0, false)
	for i, b := range batches {
		if _, err := graph.Step(b); err != nil {
			t.Fatal(err)
		}
		step := i + 1
		if err := o.Step(0.1, step); err != nil {
			t.Fatal(err)
		}
		a.update(step)
		decay := min(0.6, float64(step+1)/float64(step+10))
		for j, w := range graph.Weights() {
			for k, x := range w {
				want[j][k] = decay*want[j][k] + (1-decay)*float64(x)
			}
		}
		if i == 10 {
			state := a.state()
			a = newAverage(dev, graph, 0.6)
			if err := a.restore(state); err != nil {
				t.Fatal(err)
			}
		}
	}
	for j, w := range a.weights() {
		for k, x := range w {
			if math.Abs(float64(x)-want[j][k]) > 1e-5*(1+math.Abs(want[j][k])) {
				t.Fatalf("table %d: average %g, want %g", j, x, want[j][k])
			}
		}
	}
}
