package encoder

import (
	"github.com/akin-search/akin/encoder/kernel"
)

// A runner takes up to runnerBatch items at once: enough to amortise reading the weights, few enough that the activations stay in the
// cache; and fewer where these would exceed runnerValues.
const (
	runnerBatch  = 16
	runnerValues = 1 << 24
)

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

// newRunner makes a runner with weights as plan.folded returns them, in dev's memory.
func newRunner(dev kernel.Device, n Network, weights []kernel.Buffer) (*runner, error) {
	p, err := n.planFor(1, len(n.Layers))
	if err != nil {
		return nil, err
	}
	batch := max(1, min(runnerBatch, runnerValues/p.activations))
	if p, err = n.planFor(batch, len(n.Layers)); err != nil {
		return nil, err
	}
	r := &runner{network: n, plan: p, dev: dev, staging: make([]float32, batch*p.input), input: dev.Alloc(batch * p.input), host: make([]float32, batch*p.dimension)}
	r.output = r.input
	for _, s := range p.steps {
		l, err := dev.NewLayer(s.shape)
		if err != nil {
			return nil, err
		}
		x, params, y := r.output, weights[s.params:s.params+len(s.shape.Parameters())], dev.Alloc(batch*s.shape.Output())
		r.layers = append(r.layers, func(n int) { l.Forward(n, x, params, y) })
		r.output = y
	}
	return r, nil
}

// run embeds up to a batch of items into out.
func (r *runner) run(features []Features, out [][]float32) {
	in, d := r.plan.input, r.plan.dimension
	for i, f := range features {
		r.plan.place(r.staging[i*in:(i+1)*in], r.network.Input, f.Data)
	}
	host := r.forward(r.staging, len(features))
	for i := range features {
		copy(out[i], host[i*d:(i+1)*d])
	}
}

// forward embeds the first n items of a batch with borders; the result is valid until the next call.
func (r *runner) forward(batch []float32, n int) []float32 {
	in, host := r.plan.input, r.host[:n*r.plan.dimension]
	r.dev.Upload(r.input.Slice(0, n*in), batch[:n*in])
	for _, l := range r.layers {
		l(n)
	}
	r.dev.Download(host, r.output.Slice(0, len(host)))
	return host
}
