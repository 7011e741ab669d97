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

	NewConv(ConvShape) (Conv, error)
	NewLinear(LinearShape) (Linear, error)
	NewNormalize(NormalizeShape) (Normalize, error)
	// Adam takes one optimiser step; see AdamStep.
	Adam(w, g, m, v Buffer, s AdamStep)
	// Scale multiplies src by s into dst.
	Scale(dst, src Buffer, s float32)
	// Close ends the device's threads. Its buffers and layers must not be used afterwards.
	Close() error
}

// ConvShape is a 2-D convolution with bias, zero-padded by Kernel/2 on each side, then optionally ReLU and 2×2 max pooling.
//
//	x [Batch][Height+2·InPad][Width+2·InPad][Channels]
//	w [Kernel][Kernel][Channels][Filters], b [Filters]
//	y [Batch][OutHeight+2·OutPad][OutWidth+2·OutPad][Filters]
type ConvShape struct {
	Batch, Height, Width, Channels int
	Filters                        int
	Kernel                         int // odd
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

// Sizes returns the lengths of x, w, b and y.
func (s ConvShape) Sizes() (x, w, b, y int) {
	oh, ow := s.Out()
	return s.Batch * (s.Height + 2*s.InPad) * (s.Width + 2*s.InPad) * s.Channels, s.Kernel * s.Kernel * s.Channels * s.Filters,
		s.Filters, s.Batch * (oh + 2*s.OutPad) * (ow + 2*s.OutPad) * s.Filters
}

// Validate reports the first value that no kernel can serve.
func (s ConvShape) Validate() error {
	switch {
	case s.Batch < 1 || s.Height < 1 || s.Width < 1 || s.Channels < 1 || s.Filters < 1:
		return fmt.Errorf("kernel: convolution %+v: batch, height, width, channels and filters must be at least 1", s)
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

// Conv runs a ConvShape on the first n images of its batch.
type Conv interface {
	Forward(n int, x, w, b, y Buffer)
	// Backward computes dw and db, and dx if the shape asks for it, from the last Forward's x, w and y and the gradient dy of
	// y. Borders of dy are ignored; borders of dx are not written.
	Backward(n int, x, w, y, dy, dx, dw, db Buffer)
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
		return fmt.Errorf("kernel: linear %+v: batch, in and out must be at least 1", s)
	}
	return nil
}

// Linear runs a LinearShape on the first n rows of its batch.
type Linear interface {
	Forward(n int, x, w, b, y Buffer)
	Backward(n int, x, w, y, dy, dx, dw, db Buffer)
}

// NormalizeShape scales each row of x [Batch][Cols] to unit Euclidean length: y = x / sqrt(‖x‖² + 1e-12).
type NormalizeShape struct{ Batch, Cols int }

// Validate reports the first value that no kernel can serve.
func (s NormalizeShape) Validate() error {
	if s.Batch < 1 || s.Cols < 1 {
		return fmt.Errorf("kernel: normalize %+v: batch and cols must be at least 1", s)
	}
	return nil
}

// Normalize runs a NormalizeShape on the first n rows of its batch.
type Normalize interface {
	Forward(n int, x, y Buffer)
	Backward(n int, x, y, dy, dx Buffer)
}
