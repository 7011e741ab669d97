package kernel

import (
	"fmt"
	"math"
)

// normEpsilon is added to the variance.
const normEpsilon = 1e-5

// normMomentum is the weight of a batch in the running statistics.
const normMomentum = 0.1

// NormConvShape is a ConvShape whose bias is replaced by batch normalisation (Ioffe & Szegedy 2015, algorithm 1): the convolution,
// per channel z → γ·(z-mean)/√(variance+1e-5) + β over the batch and all pixels, then ReLU and pooling. Forward uses the statistics
// of its batch and moves the running ones; for single items, Fold makes a ConvShape's w and b of the running ones.
type NormConvShape struct{ ConvShape }

// Parameters are w, γ, β and the running mean and variance.
func (s NormConvShape) Parameters() []Parameter {
	return []Parameter{{"w", s.Kernel * s.Kernel * s.Channels, s.Filters, RoleWeight}, {"gamma", 1, s.Filters, RoleScale}, {"beta", 1, s.Filters, RoleBias},
		{"mean", 1, s.Filters, RoleMean}, {"variance", 1, s.Filters, RoleVariance}}
}

// Validate reports the first value that no kernel can serve.
func (s NormConvShape) Validate() error {
	if s.Add {
		return fmt.Errorf("kernel: a normalised convolution cannot add to its output")
	}
	return s.ConvShape.Validate()
}

// Fold returns w and b of the convolution that normalises by the running statistics. params are as Parameters lists them.
func (s NormConvShape) Fold(params [][]float32) (w, b []float32) {
	w, b = append([]float32(nil), params[0]...), make([]float32, s.Filters)
	for f := range b {
		a := float64(params[1][f]) / math.Sqrt(float64(params[4][f])+normEpsilon)
		b[f] = float32(float64(params[2][f]) - float64(params[3][f])*a)
		for i := f; i < len(w); i += s.Filters {
			w[i] = float32(float64(w[i]) * a)
		}
	}
	return w, b
}

// cpuNormConv keeps the convolution's output z of the whole batch. Both passes go over the images twice: once for the sums over
// the batch, once for what depends on them.
type cpuNormConv struct {
	convCore
	sizes    sizes
	z        []float32 // [Batch][ConvedHeight][ConvedWidth][Filters]
	idx      []int32
	dv       [][]float32 // scratch image: the gradient of the normalised values, one a group
	sums     []normSums  // one a group
	momentum float64

	mean, rstd, a, b []float32 // of the last Forward: y = relu(z·a + b)
	shift            []float32 // the running mean before it: the variance is taken about it, so that a large mean costs no digits
	k                []float32 // k1, k2 and k3, one after the other: dz = dv·k1 + z·k2 + k3
	floor            [1]float32

	// the call in progress
	n                            int
	x, w, y, skip, dy, dx, dskip []float32
	addToDX                      bool
	convolveGroup, applyGroup    func(int)
	gradSumsGroup, gradGroup     func(int)
}

// normSums are sums over a group's images: of the values and their squares, or of the gradient and its product with z.
type normSums struct {
	image, image2 []float32 // over the image in work
	total, total2 []float64
}

func newNormConv(d *cpuDevice, s NormConvShape) *cpuNormConv {
	c := &cpuNormConv{convCore: newConvCore(d, s.ConvShape), sizes: sizesOf(s, s.Batch, s.input()), momentum: normMomentum}
	ch, cw := s.Conved()
	c.z = aligned(s.Batch * ch * cw * s.Filters)
	if s.Pool {
		oh, ow := s.Out()
		c.idx = make([]int32, s.Batch*oh*ow*s.Filters)
	}
	for range c.groups {
		c.dv = append(c.dv, aligned(ch*cw*s.Filters))
		c.sums = append(c.sums, normSums{aligned(s.Filters), aligned(s.Filters), make([]float64, s.Filters), make([]float64, s.Filters)})
	}
	for _, v := range []*[]float32{&c.mean, &c.rstd, &c.a, &c.b, &c.shift} {
		*v = aligned(s.Filters)
	}
	c.k = aligned(3 * s.Filters)
	if !s.ReLU {
		c.floor[0] = float32(math.Inf(-1))
	}
	c.convolveGroup, c.applyGroup, c.gradSumsGroup, c.gradGroup = c.convolveImages, c.applyImages, c.gradSums, c.gradImages
	return c
}

// pixels is how many values a channel of one image has before pooling.
func (c *cpuNormConv) pixels() int {
	return c.conved.h * c.conved.w
}

func (c *cpuNormConv) Forward(n int, x Buffer, params []Buffer, y Buffer) {
	c.forward(n, x, params, nil, y)
}

// forward is Forward with a skip of y's layout, added before ReLU; it may be nil.
func (c *cpuNormConv) forward(n int, x Buffer, params []Buffer, skip []float32, y Buffer) {
	c.sizes.checkForward(n, x, params, y)
	c.n, c.x, c.w, c.y, c.skip = n, floats(x), c.panels(floats(params[0])), floats(y), skip
	copy(c.shift, floats(params[3]))
	c.dev.parallel(c.parts(n), c.convolveGroup)
	gamma, beta, mean, variance := floats(params[1]), floats(params[2]), floats(params[3]), floats(params[4])
	count := float64(n * c.pixels())
	for f := range c.Filters {
		var sum, square float64
		for _, s := range c.sums[:c.parts(n)] {
			sum += s.total[f]
			square += s.total2[f]
		}
		off := sum / count // of the mean from the shift
		m := off + float64(c.shift[f])
		v := max(square/count-off*off, 0)
		r := 1 / math.Sqrt(v+normEpsilon)
		c.mean[f], c.rstd[f] = float32(m), float32(r)
		c.a[f], c.b[f] = float32(float64(gamma[f])*r), float32(float64(beta[f])-m*float64(gamma[f])*r)
		mean[f] += float32(c.momentum * (m - float64(mean[f])))
		variance[f] += float32(c.momentum * (v - float64(variance[f])))
	}
	c.dev.parallel(c.parts(n), c.applyGroup)
}

func (c *cpuNormConv) convolveImages(group int) {
	s := &c.sums[group]
	clear(s.total)
	clear(s.total2)
	cw := c.conved.w
	size := c.pixels() * c.Filters
	lo, hi := c.images(group, c.n)
	for i := lo; i < hi; i++ {
		z := c.z[i*size : (i+1)*size]
		c.convolve(&c.groups[group].tile, c.x[i*c.xImage():], c.w, nil, z, cw*c.Filters, 0)
		c.dev.tier.sumChannels(s.image, s.image2, z, c.shift)
		s.collect()
	}
}

// collect moves an image's sums into the totals: those of a batch would lose digits in float32.
func (s *normSums) collect() {
	for f := range s.image {
		s.total[f] += float64(s.image[f])
		s.total2[f] += float64(s.image2[f])
	}
	clear(s.image)
	clear(s.image2)
}

func (c *cpuNormConv) applyImages(group int) {
	size := c.pixels() * c.Filters
	oh, ow := c.out.h, c.out.w
	row := ow * c.Filters
	lo, hi := c.images(group, c.n)
	for i := lo; i < hi; i++ {
		z := c.z[i*size : (i+1)*size]
		origin := i*c.yImage() + c.yOrigin()
		y := c.y[origin:]
		if c.Pool {
			c.dev.tier.affine(c.dv[group], z, c.a, c.b, &c.floor, nil)
			c.poolImage(c.dv[group], y, c.placesOf(c.idx, i))
			continue
		}
		for r := range oh {
			var skip []float32
			if c.skip != nil {
				skip = c.skip[origin+r*c.yRow():][:row]
			}
			c.dev.tier.affine(y[r*c.yRow():][:row], z[r*row:][:row], c.a, c.b, &c.floor, skip)
		}
	}
}

func (c *cpuNormConv) Backward(n int, x Buffer, params []Buffer, y, dy, dx Buffer, grads []Buffer) {
	c.backward(n, x, params, y, dy, dx, nil, false, grads)
}

// backward is Backward that also writes the gradient of the skip, of y's layout, to dskip, where that is not nil, and adds to dx
// instead of overwriting it where addToDX is set.
func (c *cpuNormConv) backward(n int, x Buffer, params []Buffer, y, dy, dx Buffer, dskip []float32, addToDX bool, grads []Buffer) {
	c.sizes.checkBackward(n, x, params, y, dy, dx, grads)
	c.prepareBackward()
	c.n, c.x, c.y, c.dy, c.dskip, c.addToDX = n, floats(x), floats(y), floats(dy), dskip, addToDX
	if c.InputGrad {
		c.dx = floats(dx)
		c.flipWeights(floats(params[0]))
	}
	c.dev.parallel(c.parts(n), c.gradSumsGroup)
	gamma, dgamma, dbeta := floats(params[1]), floats(grads[1]), floats(grads[2])
	count := float64(n * c.pixels())
	for f := range c.Filters {
		var sum, product float64
		for _, s := range c.sums[:c.parts(n)] {
			sum += s.total[f]
			product += s.total2[f]
		}
		m, r, g := float64(c.mean[f]), float64(c.rstd[f]), float64(gamma[f])
		dg := r * (product - m*sum)
		dgamma[f], dbeta[f] = float32(dg), float32(sum)
		c.k[f] = float32(g * r)
		c.k[c.Filters+f] = float32(-g * r * r * dg / count)
		c.k[2*c.Filters+f] = float32(g * r * (r*m*dg - sum) / count)
	}
	c.dev.parallel(c.parts(n), c.gradGroup)
	c.sumWeightGrads(c.parts(n), floats(grads[0]))
}

// unpooled writes the gradient of one image's normalised values, where they were pooled, to the group's scratch.
func (c *cpuNormConv) unpooled(group, i int) []float32 {
	origin := i*c.yImage() + c.yOrigin()
	dv := c.dv[group]
	if c.conved.h%2 != 0 || c.conved.w%2 != 0 {
		clear(dv) // what pooling drops
	}
	c.undo(dv, c.conved.w*c.Filters, c.dy[origin:], c.y[origin:], c.placesOf(c.idx, i))
	return dv
}

// rowOf returns row r of image i of dy, and of y where its ReLU decides which gradients count.
func (c *cpuNormConv) rowOf(i, r int) (dy, y []float32) {
	at, n := i*c.yImage()+c.yOrigin()+r*c.yRow(), c.out.w*c.Filters
	if c.ReLU {
		y = c.y[at:][:n]
	}
	return c.dy[at:][:n], y
}

func (c *cpuNormConv) gradSums(group int) {
	s := &c.sums[group]
	clear(s.total)
	clear(s.total2)
	size, row := c.pixels()*c.Filters, c.conved.w*c.Filters
	lo, hi := c.images(group, c.n)
	for i := lo; i < hi; i++ {
		z := c.z[i*size : (i+1)*size]
		if c.Pool {
			c.dev.tier.sumChannelGrads(s.image, s.image2, c.unpooled(group, i), z, nil)
			s.collect()
			continue
		}
		for r := range c.out.h {
			dy, y := c.rowOf(i, r)
			c.dev.tier.sumChannelGrads(s.image, s.image2, dy, z[r*row:][:row], y)
			if c.dskip != nil { // a skip is added before ReLU, so there is a y
				c.dev.tier.zeroWhereInactive(c.dskip[i*c.yImage()+c.yOrigin()+r*c.yRow():][:row], y, dy)
			}
		}
		s.collect()
	}
}

func (c *cpuNormConv) gradImages(group int) {
	g := &c.groups[group]
	clear(g.dw)
	size, row := c.pixels()*c.Filters, c.conved.w*c.Filters
	flags := 0
	if c.addToDX {
		flags = tileAdd
	}
	lo, hi := c.images(group, c.n)
	for i := lo; i < hi; i++ {
		z := c.z[i*size : (i+1)*size]
		var dv []float32
		if c.Pool {
			dv = c.unpooled(group, i)
		}
		for r := range c.conved.h {
			dz, zr := g.dz[c.dzOrigin()+r*c.dzRow():][:row], z[r*row:][:row]
			if c.Pool {
				c.dev.tier.channelGrads(dz, dv[r*row:][:row], zr, c.k, nil)
			} else {
				dy, y := c.rowOf(i, r)
				c.dev.tier.channelGrads(dz, dy, zr, c.k, y)
			}
		}
		c.weightGrad(g, c.x[i*c.xImage():])
		if c.InputGrad {
			c.inputGrad(g, c.dx[i*c.xImage():], flags)
		}
	}
}
