package train

import "github.com/akin-search/akin/encoder/kernel"

// SGD is stochastic gradient descent with momentum, plain (Polyak 1964) or Nesterov's (Sutskever et al. 2013); kernel.MomentumStep has
// the formulas. Weight decay is part of the gradient, of all weights alike.
type SGD struct {
	dev      kernel.Device
	weights  Trainable
	velocity []kernel.Buffer
	step     kernel.MomentumStep
}

// NewSGD returns the optimiser of w at step 0.
func NewSGD(dev kernel.Device, w Trainable, momentum, decay float64, nesterov bool) *SGD {
	return &SGD{dev: dev, weights: w, velocity: zeros(dev, w), step: kernel.MomentumStep{Momentum: momentum, Decay: decay, Nesterov: nesterov}}
}

// Step implements Optimizer.
func (s *SGD) Step(rate float64, _ int) error {
	step := s.step
	step.Rate = rate
	for i, v := range s.velocity {
		g, err := s.weights.Gradient(i)
		if err != nil {
			return err
		}
		s.dev.Momentum(s.weights.Weight(i), g, v, step)
	}
	return nil
}

// State implements Optimizer: the velocities.
func (s *SGD) State() [][]float32 { return download(s.dev, s.velocity) }

// Restore implements Optimizer.
func (s *SGD) Restore(state [][]float32) error {
	return upload(s.dev, "the velocities", state, s.velocity)
}
