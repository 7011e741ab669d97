package op

import (
	"fmt"
	"hash"
	"hash/fnv"
	"sync/atomic"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/akin-search/akin/encoder/kernel"
)

// Array is a gorgonia value in a device's memory: rows × cols float32.
type Array struct {
	Buffer kernel.Buffer
	shape  tensor.Shape
}

// NewArray wraps a Buffer of rows·cols floats; a Buffer of another length is a programmer's error.
func NewArray(b kernel.Buffer, rows, cols int) *Array {
	if b.Len() != rows*cols {
		panic(fmt.Sprintf("op: a buffer of %d is not %d×%d", b.Len(), rows, cols))
	}
	return &Array{Buffer: b, shape: tensor.Shape{rows, cols}}
}

func (a *Array) Shape() tensor.Shape { return a.shape }
func (a *Array) Size() int           { return a.Buffer.Len() }
func (a *Array) Data() any           { return a.Buffer }
func (a *Array) Dtype() tensor.Dtype { return tensor.Float32 }
func (a *Array) Type() hm.Type       { return matrixType() }
func (a *Array) MemSize() uintptr    { return uintptr(4 * a.Buffer.Len()) }

// Uintptr identifies the value to gorgonia's tracing; nothing reads through it.
func (a *Array) Uintptr() uintptr { return a.Buffer.Address() }

func (a *Array) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "Array%v", a.shape) }

// matrixType makes a type anew: unification changes types in place, so none is shared.
func matrixType() hm.Type { return gorgonia.TensorType{Dims: 2, Of: tensor.Float32} }

// Input adds an input or parameter node holding a.
func Input(g *gorgonia.ExprGraph, name string, a *Array) *gorgonia.Node {
	n := gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(a.shape...), gorgonia.WithName(name))
	if err := gorgonia.UnsafeLet(n, a); err != nil {
		panic(fmt.Sprintf("op: binding %s: %v", name, err)) // the node was made for this value
	}
	return n
}

var instances atomic.Uint64

// base is what all operations share: n matrix inputs, one output.
type base struct {
	name   string
	id     uint64
	inputs int
	out    *Array // nil for a scalar output
}

func newBase(name string, inputs int, out *Array) base {
	return base{name: name, id: instances.Add(1), inputs: inputs, out: out}
}

func (b *base) Arity() int { return b.inputs }

func (b *base) Type() hm.Type {
	t := make([]hm.Type, b.inputs+1)
	for i := range t {
		t[i] = matrixType()
	}
	if b.out == nil {
		t[b.inputs] = tensor.Float32
	}
	return hm.NewFnType(t...)
}

func (b *base) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) {
	if b.out == nil {
		return tensor.ScalarShape(), nil
	}
	return b.out.shape.Clone(), nil
}

func (b *base) ReturnsPtr() bool      { return false }
func (b *base) CallsExtern() bool     { return false }
func (b *base) OverwritesInput() int  { return -1 }
func (b *base) WriteHash(h hash.Hash) { fmt.Fprintf(h, "%s#%d", b.name, b.id) }
func (b *base) String() string        { return fmt.Sprintf("%s#%d", b.name, b.id) }

func (b *base) Hashcode() uint32 {
	h := fnv.New32a()
	b.WriteHash(h)
	return h.Sum32()
}

// buffer returns the Buffer of input i.
func (b *base) buffer(in []gorgonia.Value, i int) (kernel.Buffer, error) {
	if i >= len(in) {
		return kernel.Buffer{}, fmt.Errorf("op: %v got %d inputs, needs more than %d", b, len(in), i)
	}
	a, ok := in[i].(*Array)
	if !ok {
		return kernel.Buffer{}, fmt.Errorf("op: input %d of %v is a %T, not an Array", i, b, in[i])
	}
	return a.Buffer, nil
}

// side is a further output of the operation whose node it takes as input: the edge puts it after.
type side struct{ base }

func pick(from *gorgonia.Node, out *Array) (*gorgonia.Node, error) {
	return gorgonia.ApplyOp(&side{newBase("side", 1, out)}, from)
}

func (s *side) Do(...gorgonia.Value) (gorgonia.Value, error) { return s.out, nil }
