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
	outputs []kernel.Buffer // of the layers
	staging []float32
	input   kernel.Buffer
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
	x := r.input
	for _, s := range p.steps {
		l, err := dev.NewLayer(s.shape)
		if err != nil {
			return nil, err
		}
		in, params, y := x, weights[s.params:s.params+len(s.shape.Parameters())], dev.Alloc(batch*s.shape.Output())
		r.layers = append(r.layers, func(n int) { l.Forward(n, in, params, y) })
		r.outputs = append(r.outputs, y)
		x = y
	}
	return r, nil
}

// run embeds up to a batch of items into out.
func (r *runner) run(features []Features, out [][]float32) {
	for i, f := range features {
		r.place(i, f)
	}
	scatter(out, r.forward(r.staging, len(features)))
}

// place puts an item into row i of the staging memory.
func (r *runner) place(i int, f Features) {
	in := r.plan.input
	r.plan.place(r.staging[i*in:(i+1)*in], r.network.Input, f.Data)
}

// scatter deals rows of equal length out.
func scatter(out [][]float32, rows []float32) {
	d := len(rows) / len(out)
	for i := range out {
		copy(out[i], rows[i*d:(i+1)*d])
	}
}

// forward embeds the first n items of a batch with borders; the result is valid until the next call.
func (r *runner) forward(batch []float32, n int) []float32 {
	return r.forwardFrom(0, batch, n)
}

// forwardFrom is forward of what the layers before one have left.
func (r *runner) forwardFrom(layer int, batch []float32, n int) []float32 {
	host := r.host[:n*r.plan.dimension]
	r.through(layer, len(r.layers), batch, n, host)
	return host
}

// through runs layers from one to another on the first n items of a batch, as the layer before leaves them, and copies the result to y.
func (r *runner) through(from, to int, batch []float32, n int, y []float32) {
	x, values := r.input, r.plan.input
	if from > 0 {
		x, values = r.outputs[from-1], r.plan.steps[from-1].shape.Output()
	}
	r.dev.Upload(x.Slice(0, n*values), batch[:n*values])
	for _, l := range r.layers[from:to] {
		l(n)
	}
	r.dev.Download(y, r.outputs[to-1].Slice(0, len(y)))
}
