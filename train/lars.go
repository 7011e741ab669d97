package train

import "github.com/akin-search/akin/encoder/kernel"

// larsTrust is the trust coefficient η of You et al. 2017, section 5.
const larsTrust = 0.001

// LARS is layer-wise adaptive rate scaling for large batches (You, Gitman & Ginsburg 2017, "Large batch training of convolutional
// networks", algorithm 1): SGD with momentum where each weight tensor w with gradient g has the rate
//
//	rate · η·‖w‖ / (‖g‖ + λ·‖w‖),  η = 0.001
//
// so that every layer moves by the same share of its length. Biases and the scales of normalisations keep the plain rate and have no
// weight decay λ, as Chen et al. 2020 (SimCLR) have it: their lengths say nothing, and the former start at zero.
type LARS struct {
	dev      kernel.Device
	weights  Trainable
	velocity []kernel.Buffer
	momentum float64
	decay    float64
}

// NewLARS returns the optimiser of w at step 0.
func NewLARS(dev kernel.Device, w Trainable, momentum, decay float64) *LARS {
	return &LARS{dev: dev, weights: w, velocity: zeros(dev, w), momentum: momentum, decay: decay}
}

// Step implements Optimizer.
func (l *LARS) Step(rate float64, _ int) error {
	for i, v := range l.velocity {
		g, err := l.weights.Gradient(i)
		if err != nil {
			return err
		}
		w, s := l.weights.Weight(i), kernel.MomentumStep{Rate: rate, Momentum: l.momentum}
		if l.weights.Parameter(i).Role == kernel.RoleWeight {
			s.Decay = l.decay
			// A tensor at zero, or without gradient and decay, keeps the plain rate: it has no length to go by.
			if length, slope := l.dev.Norm(w), l.dev.Norm(g)+l.decay*l.dev.Norm(w); length > 0 && slope > 0 {
				s.Rate *= larsTrust * length / slope
			}
		}
		l.dev.Momentum(w, g, v, s)
	}
	return nil
}

// State implements Optimizer: the velocities.
func (l *LARS) State() [][]float32 { return download(l.dev, l.velocity) }

// Restore implements Optimizer.
func (l *LARS) Restore(state [][]float32) error {
	return upload(l.dev, "the velocities", state, l.velocity)
}
