package op

import (
	"gorgonia.org/gorgonia"

	"github.com/akin-search/akin/encoder/kernel"
)

// weighted is what kernel.Conv and kernel.Linear have in common.
type weighted interface {
	Forward(n int, x, w, b, y kernel.Buffer)
	Backward(n int, x, w, y, dy, dx, dw, db kernel.Buffer)
}

// layer is y = kernel(x, w, b), and SymDiff makes its gradient one operation.
type layer struct {
	base
	dev       kernel.Device
	kernel    weighted
	batch     int
	inputGrad bool
}

func (l *layer) Do(in ...gorgonia.Value) (gorgonia.Value, error) {
	b, err := buffers[[3]kernel.Buffer](&l.base, in)
	if err != nil {
		return nil, err
	}
	l.kernel.Forward(l.batch, b[0], b[1], b[2], l.out.Buffer)
	return l.out, nil
}

func (l *layer) DiffWRT(int) []bool { return []bool{l.inputGrad, true, true} }

func (l *layer) SymDiff(in gorgonia.Nodes, out, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	like := func(n *gorgonia.Node) *Array {
		s := n.Shape()
		return NewArray(l.dev.Alloc(s[0]*s[1]), s[0], s[1])
	}
	g := &layerGrad{base: newBase(l.name+"Grad", 5, like(in[1])), layer: l, db: like(in[2])}
	if l.inputGrad {
		g.dx = like(in[0])
	}
	dw, err := gorgonia.ApplyOp(g, in[0], in[1], in[2], out, grad)
	if err != nil {
		return nil, err
	}
	db, err := pick(dw, g.db)
	if err != nil || !l.inputGrad {
		return gorgonia.Nodes{nil, dw, db}, err
	}
	dx, err := pick(dw, g.dx)
	return gorgonia.Nodes{dx, dw, db}, err
}

// layerGrad computes all gradients of a layer; dw is its output, db and dx are picked off.
type layerGrad struct {
	base
	layer  *layer
	dx, db *Array
}

func (g *layerGrad) Do(in ...gorgonia.Value) (gorgonia.Value, error) {
	b, err := buffers[[5]kernel.Buffer](&g.base, in)
	if err != nil {
		return nil, err
	}
	var dx kernel.Buffer
	if g.dx != nil {
		dx = g.dx.Buffer
	}
	g.layer.kernel.Backward(g.layer.batch, b[0], b[1], b[3], b[4], dx, g.out.Buffer, g.db.Buffer)
	return g.out, nil
}

// Conv applies a fused convolution to x [Batch × Height·Width·Channels with border], w [Kernel²·Channels × Filters] and
// b [1 × Filters].
func Conv(dev kernel.Device, s kernel.ConvShape, x, w, b *gorgonia.Node) (*gorgonia.Node, error) {
	k, err := dev.NewConv(s)
	if err != nil {
		return nil, err
	}
	_, _, _, y := s.Sizes()
	out := NewArray(dev.Alloc(y), s.Batch, y/s.Batch)
	return gorgonia.ApplyOp(&layer{newBase("conv", 3, out), dev, k, s.Batch, s.InputGrad}, x, w, b)
}

// Linear applies a fused linear layer to x [Batch × In], w [In × Out] and b [1 × Out].
func Linear(dev kernel.Device, s kernel.LinearShape, x, w, b *gorgonia.Node) (*gorgonia.Node, error) {
	k, err := dev.NewLinear(s)
	if err != nil {
		return nil, err
	}
	out := NewArray(dev.Alloc(s.Batch*s.Out), s.Batch, s.Out)
	return gorgonia.ApplyOp(&layer{newBase("linear", 3, out), dev, k, s.Batch, s.InputGrad}, x, w, b)
}
