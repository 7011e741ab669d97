package kernel

import (
	"fmt"
	"unsafe"
)

// Buffer is a run of float32 in the memory of the Device that allocated it. The zero Buffer stands for "none".
type Buffer struct {
	p unsafe.Pointer
	n int
}

// Len returns the number of float32.
func (b Buffer) Len() int { return b.n }

// IsNone reports whether b is the zero Buffer.
func (b Buffer) IsNone() bool { return b.n == 0 }

// Address identifies the memory; it is not for reading through.
func (b Buffer) Address() uintptr { return uintptr(b.p) }

// Slice returns elements lo to hi of b, sharing its memory.
func (b Buffer) Slice(lo, hi int) Buffer {
	if lo < 0 || hi < lo || hi > b.n {
		panic(fmt.Sprintf("kernel: Slice(%d, %d) of a Buffer of %d", lo, hi, b.n))
	}
	return Buffer{p: unsafe.Add(b.p, 4*lo), n: hi - lo}
}

// Device makes layers for one kind of hardware. It runs one layer at a time.
type Device interface {
	// Name tells the hardware and the kernels in use, as in "cpu/avx512".
	Name() string
	// Alloc returns a zeroed Buffer.
	Alloc(n int) Buffer
	// Upload copies src to dst; their lengths must be equal.
	Upload(dst Buffer, src []float32)
	// Download copies src to dst; their lengths must be equal.
	Download(dst []float32, src Buffer)
	// NewLayer makes a layer; the shape is one of this package's.
	NewLayer(Shape) (Layer, error)
	// Adam takes one optimiser step; see AdamStep.
	Adam(w, g, m, v Buffer, s AdamStep)
	// Momentum takes one optimiser step; see MomentumStep.
	Momentum(w, g, v Buffer, s MomentumStep)
	// Accumulate adds src to dst.
	Accumulate(dst, src Buffer)
	// Average computes dst = keep·dst + (1−keep)·src.
	Average(dst, src Buffer, keep float64)
	// Norm returns the Euclidean length of b, the same whatever the threads.
	Norm(b Buffer) float64
	// Scale multiplies src by s into dst.
	Scale(dst, src Buffer, s float32)
	// Close ends the device's threads. Its buffers and layers must not be used afterwards.
	Close() error
}

// Shape describes a layer bound to sizes: ConvShape, NormConvShape, ResidualShape, BandsShape, CellsShape, GlobalPoolShape, StatisticsShape, BagShape, LinearShape,
// FixedShape, BesideShape or NormalizeShape.
type Shape interface {
	// Validate reports the first value that no kernel can serve.
	Validate() error
	// Parameters lists what Layer takes as params, in its order.
	Parameters() []Parameter
	// Output returns the floats of one item of y, its border included.
	Output() int
	// Differentiable reports whether Backward computes dx.
	Differentiable() bool
	// Flops returns the floating-point operations of one item's forward products; those of backward are the same again for the
	// weights, and again for dx where Differentiable.
	Flops() int
}

// Role says what a parameter is to its layer, and so how it starts and whether it is trained.
type Role int

// Roles of parameters.
const (
	RoleWeight   Role = iota // trained, starts random
	RoleBias                 // trained, starts at 0
	RoleScale                // trained, starts at 1
	RoleTable                // trained, rows of unit length at first; few of them have a gradient: see Sparse
	RoleMean                 // running statistic of the batches, starts at 0
	RoleVariance             // running statistic, starts at 1
	RoleFixed                // not trained, starts random
)

// Trained reports whether Backward computes a gradient for the role.
func (r Role) Trained() bool { return r <= RoleTable }

// Parameter is a Rows × Cols matrix that belongs to a layer.
type Parameter struct {
	Name       string
	Rows, Cols int
	Role       Role
}

// Len returns Rows · Cols.
func (p Parameter) Len() int { return p.Rows * p.Cols }

// Layer runs a Shape on the first n items of its batch. It owns scratch memory and is not for concurrent use.
type Layer interface {
	// Forward computes y, and updates running statistics among params.
	Forward(n int, x Buffer, params []Buffer, y Buffer)
	// Backward computes the gradients of the trained parameters into grads, and of x into dx where the shape is Differentiable,
	// from the last Forward's x, params and y and the gradient dy of y. The values of a border of dy are ignored; a border of dx is
	// not written.
	Backward(n int, x Buffer, params []Buffer, y, dy, dx Buffer, grads []Buffer)
}

// Sparse is a Layer whose first parameter is a table (RoleTable): only few rows have a gradient.
type Sparse interface {
	// Touched returns the rows that the last Backward gave a gradient, each once, until the next one.
	Touched() []int
}

// ConvShape is a 2-D convolution with bias, zero-padded by Kernel/2 on each side, then optionally ReLU and 2×2 max pooling. With Line the
// filter is one row high, and it convolves along the width alone.
//
//	x [Batch][Height+2·InPad][Width+2·InPad][Channels]
//	w [Kernel, or 1 with Line][Kernel][Channels][Filters], b [Filters]
//	y [Batch][OutHeight+2·OutPad][OutWidth+2·OutPad][Filters]
type ConvShape struct {
	Batch, Height, Width, Channels int
	Filters                        int
	Kernel                         int // odd
	Line                           bool
	Stride                         int // 1 or more
	ReLU                           bool
	Pool                           bool // 2×2 max pooling, stride 2, odd last row and column dropped; needs ReLU
	Add                            bool // what y holds is added before ReLU; not with Pool, and forward only
	InPad                          int  // border of x, in pixels: at least Kernel/2
	OutPad                         int  // border of y
	InputGrad                      bool // Backward also computes dx
}

// Pad returns the zero padding in pixels.
func (s ConvShape) Pad() int { return s.Kernel / 2 }

// kernelRows is the height of the filter, and padRows the padding above and below.
func (s ConvShape) kernelRows() int {
	if s.Line {
		return 1
	}
	return s.Kernel
}
func (s ConvShape) padRows() int { return s.kernelRows() / 2 }

// weights returns the number of weights, biases not counted.
func (s ConvShape) weights() int { return s.kernelRows() * s.Kernel * s.Channels * s.Filters }

// Conved returns the height and width before pooling.
func (s ConvShape) Conved() (h, w int) {
	return (s.Height + s.Stride - 1) / s.Stride, (s.Width + s.Stride - 1) / s.Stride
}

// Out returns the height and width of y, its border not counted.
func (s ConvShape) Out() (h, w int) {
	h, w = s.Conved()
	if s.Pool {
		h, w = h/2, w/2
	}
	return h, w
}

// Validate reports the first value that no kernel can serve.
func (s ConvShape) Validate() error {
	switch {
	case s.Batch < 1 || s.Height < 1 || s.Width < 1 || s.Channels < 1 || s.Filters < 1:
		return shapeError("convolution", s)
	case s.Kernel < 1 || s.Kernel%2 == 0:
		return fmt.Errorf("kernel: convolution kernel %d: it must be odd, as in 1, 3 or 5", s.Kernel)
	case s.Stride < 1:
		return fmt.Errorf("kernel: convolution stride %d: it must be at least 1", s.Stride)
	case s.Pool && !s.ReLU:
		return fmt.Errorf("kernel: convolution with pooling needs ReLU")
	case s.Add && (s.Pool || s.InputGrad):
		return fmt.Errorf("kernel: convolution that adds to its output has neither pooling nor gradients")
	case s.InPad < s.Pad() || s.OutPad < 0:
		return fmt.Errorf("kernel: convolution borders %d and %d: the input's must be at least %d, the output's at least 0", s.InPad, s.OutPad, s.Pad())
	}
	if h, w := s.Out(); h < 1 || w < 1 {
		return fmt.Errorf("kernel: convolution output is %d×%d: the image is too small for this pooling", h, w)
	}
	return nil
}

// Parameters are w and b.
func (s ConvShape) Parameters() []Parameter {
	return []Parameter{{"w", s.kernelRows() * s.Kernel * s.Channels, s.Filters, RoleWeight}, {"b", 1, s.Filters, RoleBias}}
}

// Output returns the floats of one item of y.
func (s ConvShape) Output() int {
	h, w := s.Out()
	return (h + 2*s.OutPad) * (w + 2*s.OutPad) * s.Filters
}

// input returns the floats of one item of x.
func (s ConvShape) input() int {
	return (s.Height + 2*s.InPad) * (s.Width + 2*s.InPad) * s.Channels
}

// Differentiable returns InputGrad.
func (s ConvShape) Differentiable() bool { return s.InputGrad }

// Flops counts a multiplication and an addition a tap, padding taps not excluded.
func (s ConvShape) Flops() int {
	h, w := s.Conved()
	return 2 * h * w * s.weights()
}

// LinearShape is y = x·w + b, then optionally ReLU, with x [Batch][In], w [In][Out], b [Out] and y [Batch][Out].
type LinearShape struct {
	Batch, In, Out int
	ReLU           bool
	InputGrad      bool // Backward also computes dx
}

// Validate reports the first value that no kernel can serve.
func (s LinearShape) Validate() error {
	if s.Batch < 1 || s.In < 1 || s.Out < 1 {
		return shapeError("linear layer", s)
	}
	return nil
}

// Parameters are w and b.
func (s LinearShape) Parameters() []Parameter {
	return []Parameter{{"w", s.In, s.Out, RoleWeight}, {"b", 1, s.Out, RoleBias}}
}

// Output returns Out.
func (s LinearShape) Output() int { return s.Out }

// Differentiable returns InputGrad.
func (s LinearShape) Differentiable() bool { return s.InputGrad }

// Flops returns 2·In·Out.
func (s LinearShape) Flops() int { return 2 * s.In * s.Out }

// NormalizeShape scales each row of x [Batch][Cols] to unit Euclidean length: y = x / sqrt(‖x‖² + 1e-12).
type NormalizeShape struct{ Batch, Cols int }

// Validate reports the first value that no kernel can serve.
func (s NormalizeShape) Validate() error {
	if s.Batch < 1 || s.Cols < 1 {
		return shapeError("normalisation", s)
	}
	return nil
}

// Parameters are none.
func (s NormalizeShape) Parameters() []Parameter { return nil }

// Output returns Cols.
func (s NormalizeShape) Output() int { return s.Cols }

// Differentiable is always true.
func (s NormalizeShape) Differentiable() bool { return true }

// Flops returns 0: there is no product.
func (s NormalizeShape) Flops() int { return 0 }

func shapeError(what string, s Shape) error {
	return fmt.Errorf("kernel: %s %+v: every size must be at least 1", what, s)
}
