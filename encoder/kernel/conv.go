package kernel

import (
	"fmt"
	"unsafe"
)

// convGroups is how many parts the batch is split into. It is fixed, whatever the number of threads, so that the partial
// weight gradients, which are added up in the order of the groups, give the same bits.
const convGroups = 8

// cpuConv convolves straight from the padded image, group of images by group of images.
//
// The gradient dz before pooling and ReLU is made image by image in a scratch image of its own: with a border, and with
// Stride-1 zero pixels between its pixels, so that the input gradient is a plain convolution of it with the flipped filter
// (Dumoulin & Visin 2016, chapter 4).
type cpuConv struct {
	ConvShape
	dev    *cpuDevice
	groups []convGroup
	idx    []int32   // place of each pooled maximum, [Batch][OutHeight][OutWidth][Filters]
	packed []float32 // w, panel by panel
	flip   []float32 // w flipped and transposed, panel by panel of input channels
	ones   []float32

	// the call in progress
	n                           int
	x, w, b, y, dy, dx          []float32
	forwardGroup, backwardGroup func(int)
}

// convGroup is one group's scratch.
type convGroup struct {
	tile   tile
	conved []float32 // one image before pooling
	dz     []float32 // one image's gradient before pooling and ReLU
	dw, db []float32 // partial sums
}

func (d *cpuDevice) NewConv(s ConvShape) (Conv, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	c := &cpuConv{ConvShape: s, dev: d, groups: make([]convGroup, min(convGroups, s.Batch))}
	c.forwardGroup, c.backwardGroup = c.forwardImages, c.backwardImages
	ch, cw := s.Conved()
	if s.Pool {
		oh, ow := s.Out()
		c.idx = make([]int32, s.Batch*oh*ow*s.Filters)
		for i := range c.groups {
			c.groups[i].conved = aligned(ch * cw * s.Filters)
		}
	}
	return c, nil
}

// prepareBackward makes the scratch that inference never needs.
func (c *cpuConv) prepareBackward() {
	if c.ones != nil {
		return
	}
	h, w := c.dzSize()
	for i := range c.groups {
		g := &c.groups[i]
		g.dz = aligned(h * w * c.Filters)
		g.dw = aligned(c.Kernel * c.Kernel * c.Channels * c.Filters)
		g.db = aligned(c.Filters)
	}
	c.ones = []float32{1}
}

// dzSize is the size of the scratch gradient in pixels: the input with a border.
func (c *cpuConv) dzSize() (h, w int) { return c.Height + 2*c.Pad(), c.Width + 2*c.Pad() }

func (c *cpuConv) check(n int, x, w, b, y Buffer) {
	xs, ws, bs, ys := c.Sizes()
	if n < 1 || n > c.Batch || x.n < xs/c.Batch*n || w.n != ws || b.n != bs || y.n < ys/c.Batch*n {
		panic(fmt.Sprintf("kernel: convolution %+v got %d images, x %d, w %d, b %d, y %d", c.ConvShape, n, x.n, w.n, b.n, y.n))
	}
}

// packPanels copies a rows × cols matrix into panels of width columns, one after the other.
func packPanels(dst, src []float32, rows, cols, width int) {
	for j := 0; j < cols; j += width {
		n := min(width, cols-j)
		pack(dst[j*rows:], src[j:], cols, rows, n)
	}
}

func (c *cpuConv) Forward(n int, x, w, b, y Buffer) {
	c.check(n, x, w, b, y)
	c.n, c.x, c.w, c.b, c.y = n, floats(x), floats(w), floats(b), floats(y)
	rows := c.Kernel * c.Kernel * c.Channels
	if c.Filters > c.dev.tier.wide {
		if c.packed == nil {
			c.packed = aligned(rows * c.Filters)
		}
		packPanels(c.packed, c.w, rows, c.Filters, c.dev.tier.wide)
		c.w = c.packed
	}
	c.dev.parallel(min(len(c.groups), n), c.forwardGroup)
}

func (c *cpuConv) forwardImages(group int) {
	g := &c.groups[group]
	lo, hi := chunk(group, min(len(c.groups), c.n), c.n)
	ch, cw := c.Conved()
	xRow := (c.Width + 2*c.Pad()) * c.Channels
	xImage := (c.Height + 2*c.Pad()) * xRow
	oh, ow := c.Out()
	yRow := (ow + 2*c.OutPad) * c.Filters
	yImage := (oh + 2*c.OutPad) * yRow
	for i := lo; i < hi; i++ {
		x := c.x[i*xImage : (i+1)*xImage]
		y := c.y[i*yImage+c.OutPad*(yRow+c.Filters) : (i+1)*yImage]
		out, outRow := y, yRow
		if c.Pool {
			out, outRow = g.conved, cw*c.Filters
		}
		t := &g.tile
		*t = tile{ars: 4 * c.Stride * c.Channels, acs: 4, aseg: 4 * (xRow - c.Kernel*c.Channels),
			crs: 4 * c.Filters, kc: c.Kernel * c.Channels, segs: c.Kernel, flags: tileBias}
		if c.ReLU {
			t.flags |= tileReLU
		}
		rows := c.Kernel * c.Kernel * c.Channels
		for j := 0; j < c.Filters; j += c.dev.tier.wide {
			cols := min(c.dev.tier.wide, c.Filters-j)
			t.b, t.brs = unsafe.Pointer(&c.w[j*rows]), 4*cols
			t.bias = unsafe.Pointer(&c.b[j])
			for r := range ch {
				t.a = unsafe.Pointer(&x[r*c.Stride*xRow])
				t.c = unsafe.Pointer(&out[r*outRow+j])
				t.run(c.dev.tier, cw, cols)
			}
		}
		if c.Pool {
			f := c.Filters
			idx := c.idx[i*oh*ow*f:]
			for r := range oh {
				r0, r1 := g.conved[2*r*outRow:][:outRow], g.conved[(2*r+1)*outRow:][:outRow]
				for p := range ow {
					q := 2 * p * f
					c.dev.tier.pool(y[r*yRow+p*f:][:f], idx[(r*ow+p)*f:][:f], r0[q:q+f], r0[q+f:q+2*f], r1[q:q+f], r1[q+f:q+2*f])
				}
			}
		}
	}
	g.tile = tile{}
}

func (c *cpuConv) Backward(n int, x, w, y, dy, dx, dw, db Buffer) {
	c.check(n, x, w, db, y)
	c.prepareBackward()
	c.n, c.x, c.w, c.y, c.dy = n, floats(x), floats(w), floats(y), floats(dy)
	if c.InputGrad {
		c.dx = floats(dx)
		c.flipWeights()
	}
	groups := min(len(c.groups), n)
	c.dev.parallel(groups, c.backwardGroup)
	dws, dbs := floats(dw), floats(db)
	copy(dws, c.groups[0].dw)
	copy(dbs, c.groups[0].db)
	for i := 1; i < groups; i++ {
		c.dev.tier.add(dws, c.groups[i].dw)
		c.dev.tier.add(dbs, c.groups[i].db)
	}
}

// flipWeights writes flip[ky][kx][f][c] = w[K-1-ky][K-1-kx][c][f], in panels of c.
func (c *cpuConv) flipWeights() {
	k, ch, f := c.Kernel, c.Channels, c.Filters
	if c.flip == nil {
		c.flip = aligned(k * k * ch * f)
	}
	rows, width := k*k*f, c.dev.tier.wide
	for j := 0; j < ch; j += width {
		cols := min(width, ch-j)
		for tap := range k * k {
			src := c.w[(k*k-1-tap)*ch*f+j*f:]
			packTransposed(c.flip[j*rows+tap*f*cols:], src, f, f, cols)
		}
	}
}

func (c *cpuConv) backwardImages(group int) {
	g := &c.groups[group]
	clear(g.dw)
	clear(g.db)
	lo, hi := chunk(group, min(len(c.groups), c.n), c.n)
	for i := lo; i < hi; i++ {
		c.makeDZ(g, i)
		c.weightGrad(g, i)
		if c.InputGrad {
			c.inputGrad(g, i)
		}
	}
	g.tile = tile{}
}

// makeDZ undoes pooling and ReLU of image i.
func (c *cpuConv) makeDZ(g *convGroup, i int) {
	tr, f := c.dev.tier, c.Filters
	oh, ow := c.Out()
	yRow := (ow + 2*c.OutPad) * f
	yImage := (oh + 2*c.OutPad) * yRow
	origin := i*yImage + c.OutPad*(yRow+f)
	dy, y := c.dy[origin:], c.y[origin:]
	_, dzw := c.dzSize()
	row, step := c.Stride*dzw*f, c.Stride*f // from one pixel of dz to the next below, and to its right
	dz := g.dz[c.Pad()*(dzw*f+f):]
	for r := range oh {
		if c.Pool {
			idx := c.idx[(i*oh+r)*ow*f:]
			r0, r1 := dz[2*r*row:], dz[(2*r+1)*row:]
			for p := range ow {
				q := 2 * p * step
				tr.unpool(dy[r*yRow+p*f:][:f], idx[p*f:][:f], r0[q:][:f], r0[q+step:][:f], r1[q:][:f], r1[q+step:][:f])
			}
			continue
		}
		for p := range ow {
			d, src := dz[r*row+p*step:][:f], dy[r*yRow+p*f:][:f]
			if c.ReLU {
				tr.zeroWhereInactive(d, y[r*yRow+p*f:][:f], src)
			} else {
				copy(d, src)
			}
		}
	}
}

// weightGrad adds image i's Σ over pixels of x·dz to the group's dw, a row of the filter at a time, and Σ dz to its db.
func (c *cpuConv) weightGrad(g *convGroup, i int) {
	tr, f := c.dev.tier, c.Filters
	ch, cw := c.Conved()
	xRow := (c.Width + 2*c.Pad()) * c.Channels
	x := c.x[i*(c.Height+2*c.Pad())*xRow:]
	_, dzw := c.dzSize()
	dz := g.dz[c.Pad()*(dzw*f+f):]
	t := &g.tile
	for j := 0; j < f; j += tr.wide {
		cols := min(tr.wide, f-j)
		*t = tile{ars: 4, acs: 4 * c.Stride * c.Channels, aseg: 4 * c.Stride * (xRow - cw*c.Channels),
			brs: 4 * c.Stride * f, bseg: 4 * c.Stride * (dzw - cw) * f, crs: 4 * f, kc: cw, segs: ch, flags: tileAdd}
		t.b = unsafe.Pointer(&dz[j])
		for ky := range c.Kernel {
			t.a = unsafe.Pointer(&x[ky*xRow])
			t.c = unsafe.Pointer(&g.dw[ky*c.Kernel*c.Channels*f+j])
			t.run(tr, c.Kernel*c.Channels, cols)
		}
		t.a, t.ars, t.acs, t.aseg = unsafe.Pointer(&c.ones[0]), 0, 0, 0
		t.c = unsafe.Pointer(&g.db[j])
		t.run(tr, 1, cols)
	}
}

// inputGrad convolves image i's dz with the flipped filter.
func (c *cpuConv) inputGrad(g *convGroup, i int) {
	tr, f := c.dev.tier, c.Filters
	_, dzw := c.dzSize()
	xRow := (c.Width + 2*c.Pad()) * c.Channels
	dx := c.dx[i*(c.Height+2*c.Pad())*xRow+c.Pad()*(xRow+c.Channels):]
	t := &g.tile
	rows := c.Kernel * c.Kernel * f
	*t = tile{ars: 4 * f, acs: 4, aseg: 4 * (dzw - c.Kernel) * f, crs: 4 * c.Channels, kc: c.Kernel * f, segs: c.Kernel}
	for j := 0; j < c.Channels; j += tr.wide {
		cols := min(tr.wide, c.Channels-j)
		t.b, t.brs = unsafe.Pointer(&c.flip[j*rows]), 4*cols
		for r := range c.Height {
			t.a = unsafe.Pointer(&g.dz[r*dzw*f])
			t.c = unsafe.Pointer(&dx[r*xRow+j])
			t.run(tr, c.Width, cols)
		}
	}
}
