package train

import (
	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
)

// AdamW is the optimiser of Loshchilov & Hutter 2019, algorithm 2, with the customary β1 0.9, β2 0.999 and ε 1e-8, for the trained
// weights of one graph. Its state lies on the device.
type AdamW struct {
	dev           kernel.Device
	graph         *encoder.Graph
	first, second []kernel.Buffer
	decay         float64
}

// NewAdamW returns the optimiser of g at step 0. decay is the decoupled weight decay λ: a step takes rate·λ off every weight.
func NewAdamW(dev kernel.Device, g *encoder.Graph, decay float64) *AdamW {
	a := &AdamW{dev: dev, graph: g, decay: decay}
	for i := range g.Trained() {
		n := g.Weight(i).Len()
		a.first = append(a.first, dev.Alloc(n))
		a.second = append(a.second, dev.Alloc(n))
	}
	return a
}

// Step updates the weights by the gradients of the last graph step; t counts from 1.
func (a *AdamW) Step(rate float64, t int) error {
	s := kernel.AdamStep{Rate: rate, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, Decay: a.decay, Step: t}
	for i := range a.first {
		g, err := a.graph.Gradient(i)
		if err != nil {
			return err
		}
		a.dev.Adam(a.graph.Weight(i), g, a.first[i], a.second[i], s)
	}
	return nil
}

// State implements Optimizer: the first moments, then the second ones.
func (a *AdamW) State() [][]float32 { return download(a.dev, a.first, a.second) }

// Restore implements Optimizer.
func (a *AdamW) Restore(state [][]float32) error { return upload(a.dev, state, a.first, a.second) }
