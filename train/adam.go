package train

import "github.com/akin-search/akin/encoder/kernel"

// AdamW is the optimiser of Loshchilov & Hutter 2019, algorithm 2, with the customary β1 0.9, β2 0.999 and ε 1e-8. Of a
// table, only rows that have a gradient are updated, with their moments: what was not seen stays as it was.
type AdamW struct {
	dev           kernel.Device
	weights       Trainable
	first, second []kernel.Buffer // moments
	decay         float64
}

// NewAdamW returns the optimiser of w at step 0. decay is the decoupled weight decay λ: a step takes rate·λ off every weight.
func NewAdamW(dev kernel.Device, w Trainable, decay float64) *AdamW {
	return &AdamW{dev: dev, weights: w, first: zeros(dev, w), second: zeros(dev, w), decay: decay}
}

// Step implements Optimizer.
func (a *AdamW) Step(rate float64, t int) error {
	s := kernel.AdamStep{Rate: rate, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, Decay: a.decay, Step: t}
	for i := range a.first {
		g, err := a.weights.Gradient(i)
		if err != nil {
			return err
		}
		s.Rows, s.Cols = a.weights.Rows(i), a.weights.Parameter(i).Cols
		a.dev.Adam(a.weights.Weight(i), g, a.first[i], a.second[i], s)
	}
	return nil
}

// State implements Optimizer: the first moments, then the second ones.
func (a *AdamW) State() [][]float32 { return download(a.dev, a.first, a.second) }

// Restore implements Optimizer.
func (a *AdamW) Restore(state [][]float32) error {
	return upload(a.dev, "the moments", state, a.first, a.second)
}
