package op

import (
	"fmt"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/akin-search/akin/encoder/kernel"
)

// LossFunc returns the loss of a batch of embeddings and writes dLoss/dEmbedding to grad.
type LossFunc func(emb, grad kernel.Matrix) float32

// loss computes its gradient along with its value: they share nearly all of the work.
type loss struct {
	base
	dev       kernel.Device
	f         LossFunc
	emb, grad kernel.Matrix
	value     gorgonia.F32
}

// Loss applies f to x [Batch × Cols] on the host.
func Loss(dev kernel.Device, f LossFunc, x *gorgonia.Node) (*gorgonia.Node, error) {
	s := x.Shape()
	l := &loss{base: newBase("loss", 1, nil), dev: dev, f: f, emb: kernel.NewMatrix(s[0], s[1]), grad: kernel.NewMatrix(s[0], s[1])}
	return gorgonia.ApplyOp(l, x)
}

func (l *loss) Do(in ...gorgonia.Value) (gorgonia.Value, error) {
	x, err := l.buffer(in, 0)
	if err != nil {
		return nil, err
	}
	l.dev.Download(l.emb.Data, x)
	l.value = gorgonia.F32(l.f(l.emb, l.grad))
	return &l.value, nil
}

func (l *loss) DiffWRT(int) []bool { return []bool{true} }

func (l *loss) SymDiff(in gorgonia.Nodes, out, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	s := in[0].Shape()
	g := &lossGrad{newBase("lossGrad", 2, NewArray(l.dev.Alloc(s[0]*s[1]), s[0], s[1])), l}
	dx, err := gorgonia.ApplyOp(g, out, grad)
	return gorgonia.Nodes{dx}, err
}

// lossGrad is the stored gradient times the gradient of the loss itself; its edge to the loss puts it after.
type lossGrad struct {
	base
	loss *loss
}

func (g *lossGrad) Type() hm.Type { return hm.NewFnType(tensor.Float32, tensor.Float32, matrixType()) }

func (g *lossGrad) Do(in ...gorgonia.Value) (gorgonia.Value, error) {
	s, ok := in[1].(*gorgonia.F32)
	if !ok {
		return nil, fmt.Errorf("op: the gradient of the loss is a %T, not a float32", in[1])
	}
	g.loss.dev.Upload(g.out.Buffer, g.loss.grad.Data)
	g.loss.dev.Scale(g.out.Buffer, g.out.Buffer, float32(*s))
	return g.out, nil
}
