package encoder

import (
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"

	"github.com/akin-search/akin/encoder/kernel"
	"github.com/akin-search/akin/encoder/op"
)

// Graph is a network with a loss, forward and backward, for one batch size: the Siamese branches are the rows of the batch,
// which share the weights. It is not for concurrent use.
type Graph struct {
	network Network
	plan    *plan
	dev     kernel.Device
	machine gorgonia.VM

	input     *op.Array
	staging   []float32      // the batch on the host, with borders
	frozen    [][]float32    // weights of the frozen layers, as they came
	weights   []*op.Array    // of the frozen layers, folded, and of the others
	folded    int            // so many of them are of the frozen layers
	trained   []int          // places in weights
	owners    gorgonia.Nodes // of the trained ones, the layers that they belong to
	embedding *gorgonia.Node
	loss      *gorgonia.Node
	grads     gorgonia.Nodes
}

// NewGraph builds the graph of n with the given weights, which it copies to the device. The first frozen layers are not trained: they run
// as in inference, by their running statistics, and cost no gradient.
func NewGraph(dev kernel.Device, n Network, weights [][]float32, batch, frozen int, loss op.LossFunc) (*Graph, error) {
	if batch < 1 {
		return nil, fmt.Errorf("encoder: batch of %d: it must be at least 1", batch)
	}
	whole, err := n.plan(1)
	if err != nil {
		return nil, err
	}
	if err := whole.checkWeights(weights); err != nil {
		return nil, err
	}
	if most := n.Freezable(); frozen < 0 || frozen > most {
		return nil, fmt.Errorf("%w: %d of %d layers frozen: it must be 0 to %d, so that a layer with weights is left to train", ErrSpec, frozen, len(n.Layers), most)
	}
	p, err := n.planFor(batch, frozen)
	if err != nil {
		return nil, err
	}
	g := &Graph{network: n, plan: p, dev: dev, staging: make([]float32, batch*p.input), folded: p.steps[frozen].params}
	for _, w := range weights[:whole.steps[frozen].params] {
		g.frozen = append(g.frozen, slices.Clone(w))
	}
	weights = whole.folded(weights, frozen)
	e := gorgonia.NewGraph()
	g.input = op.NewArray(dev.Alloc(batch*p.input), batch, p.input)
	x := op.Input(e, "x", g.input)
	var params gorgonia.Nodes // of the trained ones
	for i, q := range p.parameters {
		b := dev.Alloc(q.Len())
		dev.Upload(b, weights[i])
		a := op.NewArray(b, q.Rows, q.Cols)
		g.weights = append(g.weights, a)
		if q.Role.Trained() && i >= g.folded {
			g.trained = append(g.trained, i)
			params = append(params, op.Input(e, q.Name, a))
		}
	}
	left := params
	for i, s := range p.steps {
		all := g.weights[s.params : s.params+len(s.shape.Parameters())]
		n := 0
		for _, q := range s.shape.Parameters() {
			if q.Role.Trained() && i >= frozen {
				n++
			}
		}
		if x, err = op.Layer(dev, s.shape, batch, x, all, left[:n]); err != nil {
			return nil, fmt.Errorf("encoder: building the graph: %w", err)
		}
		left = left[n:]
		for range n {
			g.owners = append(g.owners, x)
		}
	}
	g.embedding = x
	if g.loss, err = op.Loss(dev, loss, x); err != nil {
		return nil, fmt.Errorf("encoder: building the loss: %w", err)
	}
	if g.grads, err = gorgonia.Grad(g.loss, params...); err != nil {
		return nil, fmt.Errorf("encoder: differentiating the graph: %w", err)
	}
	g.machine = gorgonia.NewTapeMachine(e)
	return g, nil
}

// InputSize returns the length of a batch as Place and Step use it.
func (g *Graph) InputSize() int { return len(g.staging) }

// Place writes one item's features, Height·Width·Channels floats, into row i of a batch of InputSize floats. It touches
// only that row and may run beside Step.
func (g *Graph) Place(batch []float32, i int, features []float32) {
	g.plan.place(batch[i*g.plan.input:(i+1)*g.plan.input], g.network.Input, features)
}

// Step runs forward and backward on a batch of InputSize floats and returns the loss. Weights do not change.
func (g *Graph) Step(batch []float32) (float32, error) {
	g.dev.Upload(g.input.Buffer, batch)
	g.machine.Reset()
	if err := g.machine.RunAll(); err != nil {
		return 0, fmt.Errorf("encoder: running the graph: %w", err)
	}
	v, ok := g.loss.Value().(*gorgonia.F32)
	if !ok {
		return 0, fmt.Errorf("encoder: the loss is a %T, not a float32", g.loss.Value())
	}
	return float32(*v), nil
}

// Trained returns how many parameters are trained; running statistics and frozen layers are not.
func (g *Graph) Trained() int { return len(g.trained) }

// Parameter describes trained parameter i.
func (g *Graph) Parameter(i int) kernel.Parameter { return g.plan.parameters[g.trained[i]] }

// Weight returns trained parameter i in the device's memory; writing to it changes the network.
func (g *Graph) Weight(i int) kernel.Buffer { return g.weights[g.trained[i]].Buffer }

// Gradient returns dLoss/dWeight of trained parameter i as of the last Step.
func (g *Graph) Gradient(i int) (kernel.Buffer, error) {
	a, ok := g.grads[i].Value().(*op.Array)
	if !ok {
		return kernel.Buffer{}, fmt.Errorf("encoder: the gradient of %s is a %T", g.plan.parameters[g.trained[i]].Name, g.grads[i].Value())
	}
	return a.Buffer, nil
}

// Rows returns the rows of trained parameter i whose gradient the last Step may have made other than 0; nil for all of them.
func (g *Graph) Rows(i int) []int {
	if g.Parameter(i).Role != kernel.RoleTable {
		return nil
	}
	rows, _ := op.Touched(g.owners[i])
	return rows
}

// Live returns what training changes, in the device's memory: the trained parameters and the running statistics between them.
func (g *Graph) Live() []kernel.Buffer {
	var live []kernel.Buffer
	for _, w := range g.weights[g.folded:] {
		live = append(live, w.Buffer)
	}
	return live
}

// Weights copies all parameters, frozen layers and running statistics included, to the host.
func (g *Graph) Weights() [][]float32 { return g.WeightsOf(g.Live()) }

// WeightsOf is Weights with other buffers in place of Live.
func (g *Graph) WeightsOf(live []kernel.Buffer) [][]float32 {
	var out [][]float32
	for _, w := range g.frozen {
		out = append(out, slices.Clone(w))
	}
	for _, b := range live {
		w := make([]float32, b.Len())
		g.dev.Download(w, b)
		out = append(out, w)
	}
	return out
}

// SetWeights replaces the weights that training changes by those that Weights returned for a graph with the same frozen layers.
func (g *Graph) SetWeights(weights [][]float32) error {
	live := g.Live()
	if len(weights) != len(g.frozen)+len(live) {
		return fmt.Errorf("%w: %d weight matrices for a network of %d", ErrSpec, len(weights), len(g.frozen)+len(live))
	}
	weights = weights[len(g.frozen):]
	for i, b := range live {
		if len(weights[i]) != b.Len() {
			return fmt.Errorf("%w: parameter %s has %d weights, the network needs %d", ErrSpec, g.plan.parameters[g.folded+i].Name, len(weights[i]), b.Len())
		}
	}
	for i, b := range live {
		g.dev.Upload(b, weights[i])
	}
	return nil
}

// Close releases the machine; the device stays open.
func (g *Graph) Close() error { return g.machine.Close() }
