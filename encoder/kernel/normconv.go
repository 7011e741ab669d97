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
	return []Parameter{{"w", s.kernelRows() * s.Kernel * s.Channels, s.Filters, RoleWeight}, {"gamma", 1, s.Filters, RoleScale}, {"beta", 1, s.Filters, RoleBias},
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
// the batch, once for what depends on them. Memory is what they wait for, so nothing is stored that can be computed of z again: not
// which values ReLU let through, and inside a residual block not even y, which the next convolution makes of z image by image.
type cpuNormConv struct {
	convCore
	sizes    sizes
	z        plane
	idx      []int32
	source   *cpuNormConv // in a block: x is what this one would write
	made     [][]float32  // then a scratch image of x, one a group
	feeds    bool         // it is the source of another, which sums its gradients up while they are in the cache
	dv       [][]float32  // scratch image: the gradient of the normalised values, one a group
	sums     []normSums   // one a group
	momentum float64

	mean, rstd, a, b []float32 // of the last Forward: y = relu(z·a + b)
	shift            []float32 // the running mean before it: the variance is taken about it, so that a large mean costs no digits
	k                []float32 // k1, k2 and k3, one after the other: dz = dv·k1 + z·k2 + k3
	floor            [1]float32

	// the call in progress
	n                         int
	x, w, dx                  []float32
	y, skip, dy, dskip        plane
	skipScale, bias           []float32
	addToDX                   bool
	convolveGroup, applyGroup func(int)
	gradSumsGroup, gradGroup  func(int)
}

// plane is a batch of images with or without a border: floats from image to image and from row to row, and the first pixel's place.
type plane struct {
	v                  []float32
	image, row, origin int
}

// at returns the first n floats of row r of image i.
func (p plane) at(i, r, n int) []float32 { return p.v[i*p.image+p.origin+r*p.row:][:n] }

// of returns the floats of one image of a plane without a border.
func (p plane) of(i int) []float32 { return p.v[i*p.image:][:p.image] }

func (c *convCore) xPlane(v []float32) plane {
	return plane{v, c.xImage(), c.xRow(), c.InPad * (c.xRow() + c.Channels)}
}

func (c *convCore) yPlane(v []float32) plane {
	return plane{v, c.yImage(), c.yRow(), c.yOrigin()}
}

// normSums are sums over a group's images: of the values and their squares, or of the gradient and its product with z.
type normSums struct {
	image, image2 []float32 // over the image in work
	total, total2 []float64
}

func newNormConv(d *cpuDevice, s NormConvShape) *cpuNormConv {
	c := &cpuNormConv{convCore: newConvCore(d, s.ConvShape), sizes: sizesOf(s, s.Batch, s.input()), momentum: normMomentum}
	ch, cw := s.Conved()
	c.z = plane{aligned(s.Batch * ch * cw * s.Filters), ch * cw * s.Filters, cw * s.Filters, 0}
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

// takesFrom makes x what the source would write, of which only normalize is called.
func (c *cpuNormConv) takesFrom(source *cpuNormConv) {
	c.source, source.feeds = source, true
	for range c.groups {
		c.made = append(c.made, aligned(c.xImage()))
	}
}

// image returns image i of x.
func (c *cpuNormConv) image(group, i int) []float32 {
	if c.source == nil {
		return c.x[i*c.xImage():]
	}
	made, s := c.xPlane(c.made[group]), c.source
	row := s.z.row
	for r := range c.Height {
		c.dev.tier.affine(made.at(0, r, row), s.z.at(i, r, row), s.a, s.b, &s.floor)
	}
	return made.v
}

func (c *cpuNormConv) Forward(n int, x Buffer, params []Buffer, y Buffer) {
	c.sizes.checkForward(n, x, params, y)
	c.normalize(n, floats(x), params)
	c.apply(floats(y), plane{}, nil, c.b)
}

// normalize convolves, and sets a and b.
func (c *cpuNormConv) normalize(n int, x []float32, params []Buffer) {
	c.n, c.x, c.w = n, x, c.panels(floats(params[0]))
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
}

// apply computes y = relu(z·a + bias + skip·scale), pooled; there need be no skip.
func (c *cpuNormConv) apply(y []float32, skip plane, scale, bias []float32) {
	c.y, c.skip, c.skipScale, c.bias = c.yPlane(y), skip, scale, bias
	c.dev.parallel(c.parts(c.n), c.applyGroup)
}

func (c *cpuNormConv) convolveImages(group int) {
	s := &c.sums[group]
	s.clear()
	lo, hi := c.images(group, c.n)
	for i := lo; i < hi; i++ {
		z := c.z.of(i)
		c.convolve(&c.groups[group], c.image(group, i), c.w, nil, z, c.z.row, 0)
		c.dev.tier.sumChannels(s.image, s.image2, z, c.shift)
		s.collect()
	}
}

func (s *normSums) clear() {
	clear(s.total)
	clear(s.total2)
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
	row := c.z.row
	lo, hi := c.images(group, c.n)
	for i := lo; i < hi; i++ {
		if c.Pool {
			c.dev.tier.affine(c.dv[group], c.z.of(i), c.a, c.bias, &c.floor)
			c.poolImage(c.dv[group], c.y.v[i*c.y.image+c.y.origin:], c.placesOf(c.idx, i))
			continue
		}
		for r := range c.out.h {
			if c.skip.v == nil {
				c.dev.tier.affine(c.y.at(i, r, row), c.z.at(i, r, row), c.a, c.bias, &c.floor)
			} else {
				c.dev.tier.affineSkip(c.y.at(i, r, row), c.z.at(i, r, row), c.a, c.bias, &c.floor, c.skip.at(i, r, row), c.skipScale)
			}
		}
	}
}

func (c *cpuNormConv) Backward(n int, x Buffer, params []Buffer, y, dy, dx Buffer, grads []Buffer) {
	c.sizes.checkBackward(n, x, params, y, dy, dx, grads)
	var to []float32
	if c.InputGrad {
		to = floats(dx)
	}
	c.expect(floats(x), floats(y), floats(dy), plane{}, to, false)
	c.backward(params, grads)
}

// expect says what the next backward is of. It will overwrite dx, or add to it. After a skip, it will write the gradient of skip·scale to
// dskip; y is read then and where there is pooling.
func (c *cpuNormConv) expect(x, y, dy []float32, dskip plane, dx []float32, addToDX bool) {
	c.x, c.y, c.dy, c.dskip, c.dx, c.addToDX = x, c.yPlane(y), c.yPlane(dy), dskip, dx, addToDX
}

// backward is Backward after normalize, apply and expect; that of a source follows the other's.
func (c *cpuNormConv) backward(params, grads []Buffer) {
	c.prepareBackward()
	n := c.n
	if c.InputGrad {
		c.flipWeights(floats(params[0]))
	}
	if !c.feeds {
		c.dev.parallel(c.parts(n), c.gradSumsGroup)
	}
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
	origin := i*c.y.image + c.y.origin
	dv := c.dv[group]
	if c.conved.h%2 != 0 || c.conved.w%2 != 0 {
		clear(dv) // what pooling drops
	}
	c.undo(dv, c.z.row, c.dy.v[origin:], c.y.v[origin:], c.placesOf(c.idx, i))
	return dv
}

// passed returns a and b where ReLU alone decides which gradients count.
func (c *cpuNormConv) passed() (a, b []float32) {
	if c.ReLU && !c.Pool && c.dskip.v == nil {
		return c.a, c.b
	}
	return nil, nil
}

func (c *cpuNormConv) gradSums(group int) {
	c.sums[group].clear()
	lo, hi := c.images(group, c.n)
	for i := lo; i < hi; i++ {
		c.gradSum(group, i)
	}
}

// gradSum adds one image to the group's sums.
func (c *cpuNormConv) gradSum(group, i int) {
	s, row := &c.sums[group], c.z.row
	switch {
	case c.Pool:
		c.dev.tier.sumChannelGrads(s.image, s.image2, c.unpooled(group, i), c.z.of(i), active{})
	case c.dskip.v != nil:
		for r := range c.out.h {
			dy, y := c.dy.at(i, r, row), c.y.at(i, r, row)
			c.dev.tier.sumChannelGrads(s.image, s.image2, dy, c.z.at(i, r, row), active{y: y})
			c.dev.tier.zeroWhereInactive(c.dskip.at(i, r, row), y, dy)
		}
	default:
		a, b := c.passed()
		for r := range c.out.h {
			c.dev.tier.sumChannelGrads(s.image, s.image2, c.dy.at(i, r, row), c.z.at(i, r, row), active{a: a, b: b})
		}
	}
	s.collect()
}

func (c *cpuNormConv) gradImages(group int) {
	g := &c.groups[group]
	clear(g.dw)
	row := c.z.row
	flags := 0
	if c.addToDX {
		flags = tileAdd
	}
	a, b := c.passed()
	if c.source != nil {
		c.source.sums[group].clear()
	}
	lo, hi := c.images(group, c.n)
	for i := lo; i < hi; i++ {
		from, at := c.dy, i
		switch {
		case c.Pool:
			from, at = plane{v: c.unpooled(group, i), row: row}, 0
		case c.dskip.v != nil:
			from = c.dskip
		}
		for r := range c.conved.h {
			c.dev.tier.channelGrads(g.dz[c.dzOrigin()+r*c.dzRow():][:row], from.at(at, r, row), c.z.at(i, r, row), c.k, a, b)
		}
		c.weightGrad(g, c.image(group, i))
		if c.InputGrad {
			c.inputGrad(g, c.dx[i*c.xImage():], flags)
		}
		if c.source != nil {
			c.source.gradSum(group, i)
		}
	}
	c.endWeightGrad(g)
}
