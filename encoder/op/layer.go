package op

import (
	"gorgonia.org/gorgonia"

	"github.com/akin-search/akin/encoder/kernel"
)

// layer is y = kernel(x, parameters), and SymDiff makes its gradient one operation. Its nodes are x and the trained parameters; the
// running statistics belong to the layer, gorgonia does not see them.
type layer struct {
	base
	dev     kernel.Device
	kernel  kernel.Layer
	batch   int
	grad    bool            // whether dx is computed
	trained []int           // places of the trained parameters in params
	params  []kernel.Buffer // all of them
}

// Layer applies a layer of the given shape and batch to x, one row an item. params holds the shape's parameters in its order, and nodes
// a node for each of them that is trained, or none where the layer is frozen.
func Layer(dev kernel.Device, s kernel.Shape, batch int, x *gorgonia.Node, params []*Array, nodes gorgonia.Nodes) (*gorgonia.Node, error) {
	k, err := dev.NewLayer(s)
	if err != nil {
		return nil, err
	}
	l := &layer{base: newBase("layer", 1+len(nodes), NewArray(dev.Alloc(batch*s.Output()), batch, s.Output())), dev: dev, kernel: k, batch: batch, grad: s.Differentiable()}
	for i, p := range s.Parameters() {
		l.params = append(l.params, params[i].Buffer)
		if p.Role.Trained() && len(nodes) > 0 {
			l.trained = append(l.trained, i)
		}
	}
	return gorgonia.ApplyOp(l, append(gorgonia.Nodes{x}, nodes...)...)
}

// Touched returns the rows of a layer's table that its last gradient has, and false where the layer of a node has none. See kernel.Sparse.
func Touched(n *gorgonia.Node) (rows []int, sparse bool) {
	if l, ok := n.Op().(*layer); ok {
		if s, ok := l.kernel.(kernel.Sparse); ok {
			return s.Touched(), true
		}
	}
	return nil, false
}

func (l *layer) Do(in ...gorgonia.Value) (gorgonia.Value, error) {
	x, err := l.buffer(in, 0)
	if err != nil {
		return nil, err
	}
	for i, place := range l.trained {
		if l.params[place], err = l.buffer(in, 1+i); err != nil {
			return nil, err
		}
	}
	l.kernel.Forward(l.batch, x, l.params, l.out.Buffer)
	return l.out, nil
}

func (l *layer) DiffWRT(n int) []bool {
	wrt := make([]bool, n)
	for i := range wrt {
		wrt[i] = i > 0 || l.grad
	}
	return wrt
}

func (l *layer) SymDiff(in gorgonia.Nodes, out, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	like := func(n *gorgonia.Node) *Array {
		s := n.Shape()
		return NewArray(l.dev.Alloc(s[0]*s[1]), s[0], s[1])
	}
	g := &layerGrad{layer: l, grads: make([]kernel.Buffer, len(l.params))}
	results := make([]*Array, len(in)) // of x and the trained parameters
	for i := range in {
		if i > 0 || l.grad {
			results[i] = like(in[i])
		}
		if i > 0 {
			g.grads[l.trained[i-1]] = results[i].Buffer
		}
	}
	if l.grad {
		g.dx = results[0].Buffer
	}
	// The operation's own output is its first result; the others are picked off.
	first := 0
	if !l.grad {
		first = 1
	}
	g.base = newBase("layerGrad", 3, results[first])
	root, err := gorgonia.ApplyOp(g, in[0], out, grad)
	if err != nil {
		return nil, err
	}
	nodes := make(gorgonia.Nodes, len(in))
	nodes[first] = root
	for i := first + 1; i < len(in); i++ {
		if nodes[i], err = pick(root, results[i]); err != nil {
			return nil, err
		}
	}
	return nodes, nil
}

// layerGrad computes all gradients of a layer.
type layerGrad struct {
	base
	layer *layer
	dx    kernel.Buffer
	grads []kernel.Buffer
}

func (g *layerGrad) Do(in ...gorgonia.Value) (gorgonia.Value, error) {
	var b [3]kernel.Buffer
	for i := range b {
		var err error
		if b[i], err = g.buffer(in, i); err != nil {
			return nil, err
		}
	}
	g.layer.kernel.Backward(g.layer.batch, b[0], g.layer.params, b[1], b[2], g.dx, g.grads)
	return g.out, nil
}
