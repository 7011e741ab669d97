package kernel

import "fmt"

// FixedShape is y = x·w + b, with x [Batch][In], w [In][Out], b [Out] and y [Batch][Out], of which nothing is trained. It has no gradient: nothing
// before it is trained either.
type FixedShape struct{ Batch, In, Out int }

// Validate reports the first value that no kernel can serve.
func (s FixedShape) Validate() error {
	if s.Batch < 1 || s.In < 1 || s.Out < 1 {
		return shapeError("fixed linear layer", s)
	}
	return nil
}

// Parameters are w and b.
func (s FixedShape) Parameters() []Parameter {
	return []Parameter{{"w", s.In, s.Out, RoleFixed}, {"b", 1, s.Out, RoleFixed}}
}

// Output returns Out.
func (s FixedShape) Output() int { return s.Out }

// Differentiable is always false.
func (s FixedShape) Differentiable() bool { return false }

// Flops returns 2·In·Out.
func (s FixedShape) Flops() int { return 2 * s.In * s.Out }

// cpuFixed is a linear layer without a gradient.
type cpuFixed struct{ *cpuLinear }

func (cpuFixed) Backward(int, Buffer, []Buffer, Buffer, Buffer, Buffer, []Buffer) {}

// BesideShape is a linear layer whose outputs come beside the first Keep values of its input: y = [x[:Keep], x·w + b, or ReLU of it], with x
// [Batch][In], w [In][Out], b [Out] and y [Batch][Keep+Out]. It is a dense connection (Huang et al. 2017, "Densely connected convolutional
// networks", equation 2) of a part of the input.
type BesideShape struct {
	LinearShape
	Keep int
}

// Validate reports the first value that no kernel can serve.
func (s BesideShape) Validate() error {
	if err := s.LinearShape.Validate(); err != nil {
		return err
	}
	if s.Keep < 1 || s.Keep > s.In {
		return fmt.Errorf("kernel: a linear layer beside %d of its %d inputs: it must be 1 to all of them", s.Keep, s.In)
	}
	return nil
}

// Output returns Keep + Out.
func (s BesideShape) Output() int { return s.Keep + s.Out }

// cpuBeside is a linear layer whose outputs are moved behind what is kept.
type cpuBeside struct {
	BesideShape
	sizes        sizes
	dev          *cpuDevice
	linear       *cpuLinear
	out, outGrad []float32 // of the linear layer
}

func newBeside(d *cpuDevice, s BesideShape) *cpuBeside {
	return &cpuBeside{s, sizesOf(s, s.Batch, s.In), d, newLinear(d, s.LinearShape), aligned(s.Batch * s.LinearShape.Out), aligned(s.Batch * s.LinearShape.Out)}
}

// each calls use with the first n rows of x, of y, and of the linear layer's outputs.
func (l *cpuBeside) each(n int, x, y, out []float32, use func(x, y, out []float32)) {
	for i := range n {
		use(x[i*l.In:][:l.In], y[i*l.Output():][:l.Output()], out[i*l.Out:][:l.Out])
	}
}

func (l *cpuBeside) Forward(n int, x Buffer, params []Buffer, y Buffer) {
	l.sizes.checkForward(n, x, params, y)
	l.linear.Forward(n, x, params, bufferOf(l.out))
	l.each(n, floats(x), floats(y), l.out, func(x, y, out []float32) {
		copy(y, x[:l.Keep])
		copy(y[l.Keep:], out)
	})
}

// Backward is that of the linear layer, and dx = dy too where it is kept.
func (l *cpuBeside) Backward(n int, x Buffer, params []Buffer, y, dy, dx Buffer, grads []Buffer) {
	l.sizes.checkBackward(n, x, params, y, dy, dx, grads)
	l.each(n, floats(x), floats(dy), l.outGrad, func(_, dy, grad []float32) { copy(grad, dy[l.Keep:]) })
	l.linear.Backward(n, x, params, bufferOf(l.out), bufferOf(l.outGrad), dx, grads)
	if l.InputGrad {
		l.each(n, floats(dx), floats(dy), l.outGrad, func(dx, dy, _ []float32) { l.dev.tier.add(dx[:l.Keep], dy[:l.Keep]) })
	}
}
