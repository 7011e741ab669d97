package encoder

import (
	"github.com/akin-search/akin/encoder/kernel"
)

// runnerBatch is how many items a runner takes at once: enough to amortise reading the weights, few enough that the
// activations stay in the cache.
const runnerBatch = 16

// runner is a network without gorgonia: the same kernels, forward only. It is not for concurrent use.
type runner struct {
	network Network
	plan    *plan
	dev     kernel.Device
	layers  []func(n int)
	staging []float32
	input   kernel.Buffer
	output  kernel.Buffer
	host    []float32
}

func newRunner(dev kernel.Device, n Network, weights []kernel.Buffer) (*runner, error) {
	p, err := n.plan(runnerBatch)
	if err != nil {
		return nil, err
	}
	r := &runner{network: n, plan: p, dev: dev, staging: make([]float32, runnerBatch*p.input), input: dev.Alloc(runnerBatch * p.input),
		host: make([]float32, runnerBatch*p.dimension)}
	r.output = r.input
	for _, s := range p.steps {
		x, y := r.output, dev.Alloc(runnerBatch*s.out)
		var w, b kernel.Buffer
		if s.weights >= 0 {
			w, b = weights[s.weights], weights[s.weights+1]
		}
		switch {
		case s.conv != nil:
			l, err := dev.NewConv(*s.conv)
			if err != nil {
				return nil, err
			}
			r.layers = append(r.layers, func(n int) { l.Forward(n, x, w, b, y) })
		case s.linear != nil:
			l, err := dev.NewLinear(*s.linear)
			if err != nil {
				return nil, err
			}
			r.layers = append(r.layers, func(n int) { l.Forward(n, x, w, b, y) })
		default:
			l, err := dev.NewNormalize(*s.normalize)
			if err != nil {
				return nil, err
			}
			r.layers = append(r.layers, func(n int) { l.Forward(n, x, y) })
		}
		r.output = y
	}
	return r, nil
}

// run embeds up to runnerBatch items into out.
func (r *runner) run(features []Features, out [][]float32) {
	n, in, d := len(features), r.plan.input, r.plan.dimension
	for i, f := range features {
		r.plan.place(r.staging[i*in:(i+1)*in], r.network.Input, f.Data)
	}
	r.dev.Upload(r.input.Slice(0, n*in), r.staging[:n*in])
	for _, l := range r.layers {
		l(n)
	}
	r.dev.Download(r.host[:n*d], r.output.Slice(0, n*d))
	for i := range features {
		copy(out[i], r.host[i*d:(i+1)*d])
	}
}
