package op

import (
	"gorgonia.org/gorgonia"

	"github.com/akin-search/akin/encoder/kernel"
)

type normalize struct {
	base
	dev    kernel.Device
	kernel kernel.Normalize
	batch  int
}

// Normalize scales each row of x [Batch × Cols] to unit length.
func Normalize(dev kernel.Device, s kernel.NormalizeShape, x *gorgonia.Node) (*gorgonia.Node, error) {
	k, err := dev.NewNormalize(s)
	if err != nil {
		return nil, err
	}
	out := NewArray(dev.Alloc(s.Batch*s.Cols), s.Batch, s.Cols)
	return gorgonia.ApplyOp(&normalize{newBase("normalize", 1, out), dev, k, s.Batch}, x)
}

func (l *normalize) Do(in ...gorgonia.Value) (gorgonia.Value, error) {
	b, err := buffers[[1]kernel.Buffer](&l.base, in)
	if err != nil {
		return nil, err
	}
	l.kernel.Forward(l.batch, b[0], l.out.Buffer)
	return l.out, nil
}

func (l *normalize) DiffWRT(int) []bool { return []bool{true} }

func (l *normalize) SymDiff(in gorgonia.Nodes, out, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	s := in[0].Shape()
	g := &normalizeGrad{newBase("normalizeGrad", 3, NewArray(l.dev.Alloc(s[0]*s[1]), s[0], s[1])), l}
	dx, err := gorgonia.ApplyOp(g, in[0], out, grad)
	return gorgonia.Nodes{dx}, err
}

type normalizeGrad struct {
	base
	layer *normalize
}

func (g *normalizeGrad) Do(in ...gorgonia.Value) (gorgonia.Value, error) {
	b, err := buffers[[3]kernel.Buffer](&g.base, in)
	if err != nil {
		return nil, err
	}
	g.layer.kernel.Backward(g.layer.batch, b[0], b[1], b[2], g.out.Buffer)
	return g.out, nil
}
