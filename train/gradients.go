package train

import (
	"math"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
)

// gradients is a graph whose gradients are the mean over several batches, and clipped. Batches are gathered one after the other: a
// contrastive loss sees only the negatives within each of them, so k batches of n rows are not one of k·n.
type gradients struct {
	*encoder.Graph
	dev     kernel.Device
	batches int             // that make a step
	clip    float64         // largest length of all gradients together; 0 = any
	sums    []kernel.Buffer // of the gradients so far; nil where a batch makes a step
}

func newGradients(dev kernel.Device, g *encoder.Graph, batches int, clip float64) *gradients {
	a := &gradients{Graph: g, dev: dev, batches: batches, clip: clip}
	if batches > 1 {
		a.sums = zeros(dev, g)
	}
	return a
}

// Gradient implements Trainable.
func (a *gradients) Gradient(i int) (kernel.Buffer, error) {
	if a.sums != nil {
		return a.sums[i], nil
	}
	return a.Graph.Gradient(i)
}

// Rows implements Trainable.
func (a *gradients) Rows(i int) []int {
	if a.sums != nil {
		return nil
	}
	return a.Graph.Rows(i)
}

// gather takes up the gradients of the graph's last step, that of batch number n, from 0, of those that make a step of the optimiser.
// After the last of them it makes them what the optimiser gets, and returns true.
func (a *gradients) gather(n int) (whole bool, err error) {
	for i, sum := range a.sums {
		g, err := a.Graph.Gradient(i)
		if err != nil {
			return false, err
		}
		if n == 0 {
			a.dev.Scale(sum, g, 1)
		} else {
			a.dev.Accumulate(sum, g)
		}
	}
	if n+1 < a.batches {
		return false, nil
	}
	factor := 1 / float64(a.batches)
	if a.clip > 0 {
		square := 0.0
		for i := range a.Trained() {
			g, err := a.Gradient(i)
			if err != nil {
				return false, err
			}
			norm := factor * a.dev.Norm(g)
			square += norm * norm
		}
		if norm := math.Sqrt(square); norm > a.clip { // Pascanu, Mikolov & Bengio 2013, algorithm 1
			factor *= a.clip / norm
		}
	}
	if factor == 1 {
		return true, nil
	}
	for i := range a.Trained() {
		g, err := a.Gradient(i)
		if err != nil {
			return false, err
		}
		a.dev.Scale(g, g, float32(factor))
	}
	return true, nil
}

// state copies the sums to the host, for a checkpoint between two batches of a step.
func (a *gradients) state() [][]float32 { return download(a.dev, a.sums) }

func (a *gradients) restore(state [][]float32) error {
	return upload(a.dev, "the gathered gradients", state, a.sums)
}
