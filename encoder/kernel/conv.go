package kernel

import "unsafe"

// cpuConv is a convolution with bias, ReLU and pooling.
type cpuConv struct {
	convCore
	sizes sizes
	idx   []int32     // place of each pooled maximum, [Batch][OutHeight][OutWidth][Filters]
	db    [][]float32 // partial sums, one a group
	ones  []float32

	// the call in progress
	n                           int
	x, w, b, y, dy, dx          []float32
	forwardGroup, backwardGroup func(int)
}

func newConv(d *cpuDevice, s ConvShape) *cpuConv {
	c := &cpuConv{convCore: newConvCore(d, s), sizes: sizesOf(s, s.Batch, s.input())}
	c.forwardGroup, c.backwardGroup = c.forwardImages, c.backwardImages
	if s.Pool {
		ch, cw := s.Conved()
		oh, ow := s.Out()
		c.idx = make([]int32, s.Batch*oh*ow*s.Filters)
		for i := range c.groups {
			c.groups[i].conved = aligned(ch * cw * s.Filters)
		}
	}
	return c
}

func (c *cpuConv) Forward(n int, x Buffer, params []Buffer, y Buffer) {
	c.sizes.checkForward(n, x, params, y)
	c.n, c.x, c.w, c.b, c.y = n, floats(x), c.panels(floats(params[0])), floats(params[1]), floats(y)
	c.dev.parallel(c.parts(n), c.forwardGroup)
}

// placesOf returns the pooling places of image i.
func (c *convCore) placesOf(idx []int32, i int) []int32 {
	if !c.Pool {
		return nil
	}
	n := c.out.h * c.out.w * c.Filters
	return idx[i*n : (i+1)*n]
}

func (c *cpuConv) forwardImages(group int) {
	g := &c.groups[group]
	flags := tileBias
	if c.ReLU {
		flags |= tileReLU
	}
	if c.Add {
		flags |= tileAdd
	}
	lo, hi := c.images(group, c.n)
	for i := lo; i < hi; i++ {
		x, y := c.x[i*c.xImage():], c.y[i*c.yImage()+c.yOrigin():]
		if !c.Pool {
			c.convolve(g, x, c.w, c.b, y, c.yRow(), flags)
			continue
		}
		cw := c.conved.w
		c.convolve(g, x, c.w, c.b, g.conved, cw*c.Filters, flags)
		c.poolImage(g.conved, y, c.placesOf(c.idx, i))
	}
}

func (c *cpuConv) Backward(n int, x Buffer, params []Buffer, y, dy, dx Buffer, grads []Buffer) {
	c.sizes.checkBackward(n, x, params, y, dy, dx, grads)
	c.prepareBackward()
	if c.db == nil {
		c.ones = []float32{1}
		for range c.groups {
			c.db = append(c.db, aligned(c.Filters))
		}
	}
	c.n, c.x, c.y, c.dy = n, floats(x), floats(y), floats(dy)
	if c.InputGrad {
		c.dx = floats(dx)
		c.flipWeights(floats(params[0]))
	}
	c.dev.parallel(c.parts(n), c.backwardGroup)
	c.sumWeightGrads(c.parts(n), floats(grads[0]))
	sum := floats(grads[1])
	copy(sum, c.db[0])
	for i := 1; i < c.parts(n); i++ {
		c.dev.tier.add(sum, c.db[i])
	}
}

func (c *cpuConv) backwardImages(group int) {
	g := &c.groups[group]
	clear(g.dw)
	clear(c.db[group])
	lo, hi := c.images(group, c.n)
	for i := lo; i < hi; i++ {
		c.undo(g.dz[c.dzOrigin():], c.dzRow(), c.dy[i*c.yImage()+c.yOrigin():], c.y[i*c.yImage()+c.yOrigin():], c.placesOf(c.idx, i))
		c.weightGrad(g, c.x[i*c.xImage():])
		c.biasGrad(g, c.db[group])
		if c.InputGrad {
			c.inputGrad(g, c.dx[i*c.xImage():], 0)
		}
	}
	c.endWeightGrad(g)
}

// biasGrad adds Σ dz of one image to db: a row of ones times dz.
func (c *cpuConv) biasGrad(g *convGroup, db []float32) {
	f := c.Filters
	ch, cw := c.conved.h, c.conved.w
	t := &g.tile
	*t = tile{brs: 4 * f, bseg: 4 * (c.dzRow() - cw*f), crs: 4 * f, kc: cw, segs: ch, flags: tileAdd}
	t.a = unsafe.Pointer(&c.ones[0])
	for j := 0; j < f; j += c.dev.tier.wide {
		t.b, t.c = unsafe.Pointer(&g.dz[c.dzOrigin()+j]), unsafe.Pointer(&db[j])
		sp := c.dev.tier.splitOf(1, min(c.dev.tier.wide, f-j))
		t.columns(&sp)
		t.run(&sp)
	}
	*t = tile{}
}
