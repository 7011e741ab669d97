package kernel

import (
	"fmt"
	"slices"
)

// ResidualShape is a basic residual block (He et al. 2016, fig. 5 left): y = ReLU(norm(conv₂(ReLU(norm(conv₁(x))))) + skip(x)), both
// convolutions 3×3, the first with the stride; skip is x itself, or where stride or channels change, a normalised 1×1 convolution
// with the stride. Normalisation is that of NormConvShape. Folded blocks have their normalisation folded into biases: forward only.
//
//	x [Batch][Height+2·InPad][Width+2·InPad][Channels], InPad at least 1
//	y [Batch][OutHeight+2·OutPad][OutWidth+2·OutPad][Filters]
type ResidualShape struct {
	Batch, Height, Width, Channels int
	Filters                        int
	Stride                         int
	InPad, OutPad                  int
	InputGrad                      bool
	Folded                         bool
}

// projects reports whether the skip is a convolution.
func (s ResidualShape) projects() bool { return s.Stride != 1 || s.Channels != s.Filters }

// Out returns the height and width of y, its border not counted.
func (s ResidualShape) Out() (h, w int) { return s.first().Out() }

func (s ResidualShape) first() ConvShape {
	return ConvShape{Batch: s.Batch, Height: s.Height, Width: s.Width, Channels: s.Channels, Filters: s.Filters, Kernel: 3, Stride: s.Stride, ReLU: true,
		InPad: s.InPad, OutPad: 1, InputGrad: s.InputGrad}
}

func (s ResidualShape) second() ConvShape {
	h, w := s.Out()
	return ConvShape{Batch: s.Batch, Height: h, Width: w, Channels: s.Filters, Filters: s.Filters, Kernel: 3, Stride: 1, ReLU: true,
		InPad: 1, OutPad: s.OutPad, InputGrad: true}
}

func (s ResidualShape) projection() ConvShape {
	return ConvShape{Batch: s.Batch, Height: s.Height, Width: s.Width, Channels: s.Channels, Filters: s.Filters, Kernel: 1, Stride: s.Stride,
		InPad: s.InPad, OutPad: s.OutPad, InputGrad: s.InputGrad}
}

func (s ResidualShape) convs() []ConvShape {
	if s.projects() {
		return []ConvShape{s.first(), s.second(), s.projection()}
	}
	return []ConvShape{s.first(), s.second()}
}

// Validate reports the first value that no kernel can serve.
func (s ResidualShape) Validate() error {
	if s.Stride < 1 || s.Height < 1 || s.Width < 1 {
		return shapeError("residual block", s)
	}
	if s.Folded && s.InputGrad {
		return fmt.Errorf("kernel: a folded residual block has no gradients")
	}
	for _, c := range s.convs() {
		if err := c.Validate(); err != nil {
			return err
		}
	}
	return nil
}

// Parameters are those of the convolutions, one after the other, their names numbered from 1.
func (s ResidualShape) Parameters() (all []Parameter) {
	for i, c := range s.convs() {
		params := NormConvShape{c}.Parameters()
		if s.Folded {
			params = c.Parameters()
		}
		for _, p := range params {
			p.Name = fmt.Sprintf("%s%d", p.Name, i+1)
			all = append(all, p)
		}
	}
	return all
}

// Fold returns the parameters of the folded block.
func (s ResidualShape) Fold(params [][]float32) (folded [][]float32) {
	for i, c := range s.convs() {
		w, b := NormConvShape{c}.Fold(params[normParams*i : normParams*(i+1)])
		folded = append(folded, w, b)
	}
	return folded
}

// Output returns the floats of one item of y.
func (s ResidualShape) Output() int { return s.second().Output() }

// Differentiable returns InputGrad.
func (s ResidualShape) Differentiable() bool { return s.InputGrad }

// Flops adds up the convolutions.
func (s ResidualShape) Flops() (n int) {
	for _, c := range s.convs() {
		n += c.Flops()
	}
	return n
}

// normParams is how many parameters a normalised convolution has, and foldedParams one without.
const (
	normParams   = 5
	foldedParams = 2
)

// cpuResidual stores neither what is between the convolutions nor what the projection adds: see cpuNormConv.
type cpuResidual struct {
	ResidualShape
	sizes                     sizes
	first, second, projection *cpuNormConv
	scale                     []float32 // ones, of an identity
	bias                      []float32 // of both that a projection adds up
	dmid                      []float32 // gradient between the convolutions
	dskip                     []float32 // of a projection, or an identity that takes no gradient; that of others goes to dx
}

func newResidual(d *cpuDevice, s ResidualShape) *cpuResidual {
	r := &cpuResidual{ResidualShape: s, sizes: sizesOf(s, s.Batch, s.first().input()), first: newNormConv(d, NormConvShape{s.first()}), second: newNormConv(d, NormConvShape{s.second()})}
	r.second.takesFrom(r.first)
	if s.projects() {
		r.projection = newNormConv(d, NormConvShape{s.projection()})
		r.bias = aligned(s.Filters)
	} else {
		r.scale = slices.Repeat([]float32{1}, s.Filters)
	}
	return r
}

func (r *cpuResidual) Forward(n int, x Buffer, params []Buffer, y Buffer) {
	r.sizes.checkForward(n, x, params, y)
	r.first.normalize(n, floats(x), params[:normParams])
	r.second.normalize(n, nil, params[normParams:2*normParams])
	if r.projection == nil {
		r.second.apply(floats(y), r.first.xPlane(floats(x)), r.scale, r.second.b)
		return
	}
	r.projection.normalize(n, floats(x), params[2*normParams:])
	for f := range r.bias {
		r.bias[f] = r.second.b[f] + r.projection.b[f]
	}
	r.second.apply(floats(y), r.projection.z, r.projection.a, r.bias)
}

func (r *cpuResidual) Backward(n int, x Buffer, params []Buffer, y, dy, dx Buffer, grads []Buffer) {
	r.sizes.checkBackward(n, x, params, y, dy, dx, grads)
	var to []float32
	if r.InputGrad {
		to = floats(dx)
	}
	direct := r.projection == nil && r.InputGrad
	if r.dmid == nil {
		r.dmid = aligned(r.Batch * r.first.Output())
		if !direct {
			r.dskip = aligned(r.Batch * r.Output())
		}
	}
	dskip := r.second.yPlane(r.dskip)
	if direct {
		dskip = r.first.xPlane(to)
	}
	r.first.expect(floats(x), nil, r.dmid, plane{}, to, direct)
	r.second.expect(nil, floats(y), floats(dy), dskip, r.dmid, false)
	r.second.backward(params[normParams:2*normParams], grads[normParams:2*normParams])
	r.first.backward(params[:normParams], grads[:normParams])
	if r.projection != nil { // after the first, which reaches all of dx: a projection with a stride does not
		r.projection.expect(floats(x), nil, r.dskip, plane{}, to, r.InputGrad)
		r.projection.backward(params[2*normParams:], grads[2*normParams:])
	}
}

// cpuFoldedResidual is a block for inference: the second convolution adds onto the skip.
type cpuFoldedResidual struct {
	ResidualShape
	sizes                     sizes
	first, second, projection *cpuConv
	mid                       Buffer
}

func newFoldedResidual(d *cpuDevice, s ResidualShape) *cpuFoldedResidual {
	second := s.second()
	second.Add, second.InputGrad = true, false
	r := &cpuFoldedResidual{ResidualShape: s, sizes: sizesOf(s, s.Batch, s.first().input()), first: newConv(d, s.first()), second: newConv(d, second), mid: d.Alloc(s.Batch * s.first().Output())}
	if s.projects() {
		r.projection = newConv(d, s.projection())
	}
	return r
}

func (r *cpuFoldedResidual) Forward(n int, x Buffer, params []Buffer, y Buffer) {
	r.sizes.checkForward(n, x, params, y)
	r.first.Forward(n, x, params[:foldedParams], r.mid)
	if r.projection != nil {
		r.projection.Forward(n, x, params[2*foldedParams:], y)
	} else {
		r.copyInner(n, floats(y), r.OutPad, floats(x), r.InPad)
	}
	r.second.Forward(n, r.mid, params[foldedParams:2*foldedParams], y)
}

// copyInner copies images between layouts of different borders; an identity skip only, so that all sizes are those of x.
func (s ResidualShape) copyInner(n int, dst []float32, dstPad int, src []float32, srcPad int) {
	row := s.Width * s.Channels
	from, to := row+2*srcPad*s.Channels, row+2*dstPad*s.Channels
	for i := range n {
		for y := range s.Height {
			copy(dst[(i*(s.Height+2*dstPad)+y+dstPad)*to+dstPad*s.Channels:][:row], src[(i*(s.Height+2*srcPad)+y+srcPad)*from+srcPad*s.Channels:])
		}
	}
}

func (r *cpuFoldedResidual) Backward(int, Buffer, []Buffer, Buffer, Buffer, Buffer, []Buffer) {
	panic("kernel: a folded residual block has no gradients")
}
