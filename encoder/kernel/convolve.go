package kernel

import "unsafe"

// convGroups is how many parts the batch is split into. It is fixed, whatever the number of threads, so that the partial
// weight gradients, which are added up in the order of the groups, give the same bits.
const convGroups = 8

// convCore convolves straight from bordered images, and computes both gradients, one image at a time.
//
// The gradient dz of the convolution's output is made image by image in a scratch image of its own: with a border, and with
// Stride-1 zero pixels between its pixels, so that the input gradient is a plain convolution of it with the flipped filter
// (Dumoulin & Visin 2016, chapter 4).
type convCore struct {
	ConvShape
	dev    *cpuDevice
	groups []convGroup
	conved size      // of the output before pooling
	out    size      // and of y
	packed []float32 // w, panel by panel
	flip   []float32 // w flipped and transposed, panel by panel of input channels
}

// size is a height and width in pixels.
type size struct{ h, w int }

// convGroup is one group's scratch.
type convGroup struct {
	tile   tile
	conved []float32 // one image before pooling
	dz     []float32 // one image's gradient of the convolution's output
	dw     []float32 // partial sum
}

func newConvCore(d *cpuDevice, s ConvShape) convCore {
	c := convCore{ConvShape: s, dev: d, groups: make([]convGroup, min(convGroups, s.Batch))}
	c.conved.h, c.conved.w = s.Conved()
	c.out.h, c.out.w = s.Out()
	return c
}

// parts returns how many groups n images make.
func (c *convCore) parts(n int) int { return min(len(c.groups), n) }

// images returns the images of a group of n in all.
func (c *convCore) images(group, n int) (lo, hi int) { return chunk(group, c.parts(n), n) }

// xRow and xImage are the floats from one row, and one image, of x to the next.
func (c *convCore) xRow() int   { return (c.Width + 2*c.InPad) * c.Channels }
func (c *convCore) xImage() int { return (c.Height + 2*c.InPad) * c.xRow() }

// yRow, yImage and yOrigin are the same of y, and the place of its first pixel.
func (c *convCore) yRow() int    { return (c.out.w + 2*c.OutPad) * c.Filters }
func (c *convCore) yImage() int  { return (c.out.h + 2*c.OutPad) * c.yRow() }
func (c *convCore) yOrigin() int { return c.OutPad * (c.yRow() + c.Filters) }

// corner is the place in x of the first tap of the first pixel.
func (c *convCore) corner() int { return (c.InPad - c.Pad()) * (c.xRow() + c.Channels) }

// dzRow is the floats of a row of the scratch gradient, and dzOrigin the place of its first pixel.
func (c *convCore) dzRow() int    { return (c.Width + 2*c.Pad()) * c.Filters }
func (c *convCore) dzOrigin() int { return c.Pad() * (c.dzRow() + c.Filters) }

// panels returns w as tiles read it: in panels of the tier's width.
func (c *convCore) panels(w []float32) []float32 {
	width := c.dev.tier.wide
	if c.Filters <= width {
		return w
	}
	if c.packed == nil {
		c.packed = aligned(len(w))
	}
	rows := len(w) / c.Filters
	for j := 0; j < c.Filters; j += width {
		pack(c.packed[j*rows:], w[j:], c.Filters, rows, min(width, c.Filters-j))
	}
	return c.packed
}

// convolve computes one image of [ConvedHeight][ConvedWidth][Filters], rows outRow apart. bias may be nil.
func (c *convCore) convolve(t *tile, x, panels, bias, out []float32, outRow, flags int) {
	xRow := c.xRow()
	*t = tile{ars: 4 * c.Stride * c.Channels, acs: 4, aseg: 4 * (xRow - c.Kernel*c.Channels),
		crs: 4 * c.Filters, kc: c.Kernel * c.Channels, segs: c.Kernel, flags: flags}
	rows := c.Kernel * c.Kernel * c.Channels
	for j := 0; j < c.Filters; j += c.dev.tier.wide {
		cols := min(c.dev.tier.wide, c.Filters-j)
		t.b, t.brs = unsafe.Pointer(&panels[j*rows]), 4*cols
		if bias != nil {
			t.bias = unsafe.Pointer(&bias[j])
		}
		sp := c.dev.tier.splitOf(c.conved.w, cols)
		t.columns(&sp)
		for r := range c.conved.h {
			t.a = unsafe.Pointer(&x[c.corner()+r*c.Stride*xRow])
			t.c = unsafe.Pointer(&out[r*outRow+j])
			t.run(&sp)
		}
	}
	*t = tile{}
}

// prepareBackward makes the scratch that inference never needs.
func (c *convCore) prepareBackward() {
	if c.groups[0].dz != nil {
		return
	}
	for i := range c.groups {
		g := &c.groups[i]
		g.dz = aligned((c.Height + 2*c.Pad()) * c.dzRow())
		g.dw = aligned(c.Kernel * c.Kernel * c.Channels * c.Filters)
	}
}

// flipWeights writes flip[ky][kx][f][c] = w[K-1-ky][K-1-kx][c][f], in panels of c.
func (c *convCore) flipWeights(w []float32) {
	k, ch, f := c.Kernel, c.Channels, c.Filters
	if c.flip == nil {
		c.flip = aligned(k * k * ch * f)
	}
	rows, width := k*k*f, c.dev.tier.wide
	for j := 0; j < ch; j += width {
		cols := min(width, ch-j)
		for tap := range k * k {
			packTransposed(c.flip[j*rows+tap*f*cols:], w[(k*k-1-tap)*ch*f+j*f:], f, f, cols)
		}
	}
}

// weightGrad adds Σ over the pixels of x·dz of one image to the group's dw, a row of the filter at a time.
func (c *convCore) weightGrad(g *convGroup, x []float32) {
	f, s := c.Filters, c.Stride
	ch, cw := c.conved.h, c.conved.w
	t := &g.tile
	for j := 0; j < f; j += c.dev.tier.wide {
		cols := min(c.dev.tier.wide, f-j)
		*t = tile{ars: 4, acs: 4 * s * c.Channels, aseg: 4 * s * (c.xRow() - cw*c.Channels),
			brs: 4 * s * f, bseg: 4 * s * (c.dzRow() - cw*f), crs: 4 * f, kc: cw, segs: ch, flags: tileAdd}
		t.b = unsafe.Pointer(&g.dz[c.dzOrigin()+j])
		sp := c.dev.tier.splitOf(c.Kernel*c.Channels, cols)
		t.columns(&sp)
		for ky := range c.Kernel {
			t.a = unsafe.Pointer(&x[c.corner()+ky*c.xRow()])
			t.c = unsafe.Pointer(&g.dw[ky*c.Kernel*c.Channels*f+j])
			t.run(&sp)
		}
	}
	*t = tile{}
}

// inputGrad convolves one image's dz with the flipped filter into dx, or adds it there.
func (c *convCore) inputGrad(g *convGroup, dx []float32, flags int) {
	f, row := c.Filters, c.xRow()
	dx = dx[c.InPad*(row+c.Channels):]
	t := &g.tile
	rows := c.Kernel * c.Kernel * f
	*t = tile{ars: 4 * f, acs: 4, aseg: 4 * (c.dzRow() - c.Kernel*f), crs: 4 * c.Channels, kc: c.Kernel * f, segs: c.Kernel, flags: flags}
	for j := 0; j < c.Channels; j += c.dev.tier.wide {
		cols := min(c.dev.tier.wide, c.Channels-j)
		t.b, t.brs = unsafe.Pointer(&c.flip[j*rows]), 4*cols
		sp := c.dev.tier.splitOf(c.Width, cols)
		t.columns(&sp)
		for r := range c.Height {
			t.a = unsafe.Pointer(&g.dz[r*c.dzRow()])
			t.c = unsafe.Pointer(&dx[r*row+j])
			t.run(&sp)
		}
	}
	*t = tile{}
}

// sumWeightGrads adds up the groups' dw in their order.
func (c *convCore) sumWeightGrads(parts int, dw []float32) {
	copy(dw, c.groups[0].dw)
	for i := 1; i < parts; i++ {
		c.dev.tier.add(dw, c.groups[i].dw)
	}
}

// poolImage pools one convolved image of rows cw·f long into y, and keeps the places of the maxima.
func (c *convCore) poolImage(conved, y []float32, idx []int32) {
	out, row, yRow := c.out.w*c.Filters, c.conved.w*c.Filters, c.yRow()
	for r := range c.out.h {
		c.dev.tier.poolRow(y[r*yRow:][:out], idx[r*out:][:out], conved[2*r*row:][:row], conved[(2*r+1)*row:][:row], c.Filters)
	}
}

// undo writes the gradient before pooling and ReLU of one image, from dy, and where ReLU came without pooling from y: to pixels
// that are step floats apart in a row, and rows row floats apart. Pixels that the pooling drops are not written.
func (c *convCore) undo(dst []float32, row, step int, dy, y []float32, idx []int32) {
	tr, f := c.dev.tier, c.Filters
	out, yRow := c.out.w*f, c.yRow()
	for r := range c.out.h {
		src, active := dy[r*yRow:][:out], y[r*yRow:][:out]
		switch {
		case c.Pool:
			tr.unpoolRow(src, idx[r*out:][:out], dst[2*r*row:], dst[(2*r+1)*row:], f, step)
		case step == f && c.ReLU:
			tr.zeroWhereInactive(dst[r*row:][:out], active, src)
		default:
			for p := range c.out.w {
				if c.ReLU {
					tr.zeroWhereInactive(dst[r*row+p*step:][:f], active[p*f:][:f], src[p*f:][:f])
				} else {
					copy(dst[r*row+p*step:][:f], src[p*f:])
				}
			}
		}
	}
}
