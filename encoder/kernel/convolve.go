package kernel

import "unsafe"

// convGroups is how many parts the batch is split into. It is fixed, whatever the number of threads, so that the partial
// weight gradients, which are added up in the order of the groups, give the same bits.
const convGroups = 8

// convCore convolves straight from bordered images, and computes both gradients, one image at a time.
//
// The gradient dz of the convolution's output is made image by image in a bordered scratch image. The input gradient is a convolution
// of it with the flipped filter; with a stride, each of the Stride² phases of x has a filter of its own, made of the taps that reach
// it (Dumoulin & Visin 2016, chapter 4, without the zeros that they insert).
type convCore struct {
	ConvShape
	dev    *cpuDevice
	groups []convGroup
	conved size      // of the output before pooling
	out    size      // and of y
	packed []float32 // w, panel by panel
	phases []phase   // of the input gradient
	bf16   *bf16Conv // nil where the products are float32
}

// phase is the pixels of x at y, x modulo the stride: their gradient convolves dz with rows × cols taps, the first of which is at
// dz's row top and column left for the first of the pixels.
type phase struct {
	y, x       int
	rows, cols int
	top, left  int
	ky, kx     int       // the tap of w that comes first; the others follow Stride apart, downwards
	w          []float32 // [rows][cols][Filters][Channels], panel by panel of channels
	pairs      []uint32  // the same for bf16, rows filled up: [rows][filled(cols·Filters)][Channels]
}

// size is a height and width in pixels.
type size struct{ h, w int }

// convGroup is one group's scratch.
type convGroup struct {
	tile   tile
	conved []float32 // one image before pooling
	dz     []float32 // one image's gradient of the convolution's output
	dw     []float32 // partial sum
	bf16   bf16Group
}

func newConvCore(d *cpuDevice, s ConvShape) convCore {
	c := convCore{ConvShape: s, dev: d, groups: make([]convGroup, min(convGroups, s.Batch))}
	c.conved.h, c.conved.w = s.Conved()
	c.out.h, c.out.w = s.Out()
	c.bf16 = newBF16Conv(&c)
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
func (c *convCore) corner() int {
	return (c.InPad-c.padRows())*c.xRow() + (c.InPad-c.Pad())*c.Channels
}

// dzPad is the border of the scratch gradient in pixels, dzRow the floats of its rows, and dzOrigin the place of its first pixel.
func (c *convCore) dzPad() int    { return (c.Pad() + c.Stride - 1) / c.Stride }
func (c *convCore) dzRow() int    { return (c.conved.w + 2*c.dzPad()) * c.Filters }
func (c *convCore) dzOrigin() int { return c.dzPad() * (c.dzRow() + c.Filters) }

// panels returns w as tiles read it: in panels of the tier's width.
func (c *convCore) panels(w []float32) []float32 {
	if c.bf16 != nil {
		c.bf16.pack(c, w)
		return nil
	}
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
func (c *convCore) convolve(g *convGroup, x, panels, bias, out []float32, outRow, flags int) {
	if c.bf16 != nil {
		c.bf16.convolve(c, g, x, bias, out, outRow, flags)
		return
	}
	xRow, t := c.xRow(), &g.tile
	*t = tile{ars: 4 * c.Stride * c.Channels, acs: 4, aseg: 4 * (xRow - c.Kernel*c.Channels),
		crs: 4 * c.Filters, kc: c.Kernel * c.Channels, segs: c.kernelRows(), flags: flags}
	rows := c.kernelRows() * c.Kernel * c.Channels
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
		g.dz = aligned((c.conved.h + 2*c.dzPad()) * c.dzRow())
		g.dw = aligned(c.weights())
	}
	if c.bf16 != nil {
		c.bf16.prepareBackward(c)
	}
}

// flipWeights makes the phases' filters of w.
func (c *convCore) flipWeights(w []float32) {
	k, ch, f, s := c.Kernel, c.Channels, c.Filters, c.Stride
	if c.phases == nil {
		// taps lists which of k taps reach pixels at offset at: their number, the highest tap, and where in dz that one reads.
		taps := func(at, k int) (n, first, from int) {
			p := k / 2
			first = (at + p) % s
			if first >= k {
				return 0, 0, 0
			}
			n = (k-1-first)/s + 1
			first += (n - 1) * s
			return n, first, (at + p - first) / s
		}
		for y := range min(s, c.Height) {
			for x := range min(s, c.Width) {
				ph := phase{y: y, x: x}
				ph.rows, ph.ky, ph.top = taps(y, c.kernelRows())
				ph.cols, ph.kx, ph.left = taps(x, k)
				if c.bf16 == nil {
					ph.w = aligned(ph.rows * ph.cols * f * ch)
				}
				c.phases = append(c.phases, ph)
			}
		}
	}
	if c.bf16 != nil {
		c.bf16.flip(c, w)
		return
	}
	width := c.dev.tier.wide
	for _, ph := range c.phases {
		rows := ph.rows * ph.cols * f
		for j := 0; j < ch; j += width {
			cols := min(width, ch-j)
			for r := range ph.rows {
				for q := range ph.cols {
					tap := (ph.ky-r*s)*k + ph.kx - q*s
					packTransposed(ph.w[j*rows+(r*ph.cols+q)*f*cols:], w[tap*ch*f+j*f:], f, f, cols)
				}
			}
		}
	}
}

// weightGrad adds Σ over the pixels of x·dz of one image to the group's dw, a row of the filter at a time.
func (c *convCore) weightGrad(g *convGroup, x []float32) {
	if c.bf16 != nil {
		c.bf16.weightGrad(c, g, x)
		return
	}
	f := c.Filters
	ch, cw := c.conved.h, c.conved.w
	t := &g.tile
	for j := 0; j < f; j += c.dev.tier.wide {
		cols := min(c.dev.tier.wide, f-j)
		*t = tile{ars: 4, acs: 4 * c.Stride * c.Channels, aseg: 4 * c.Stride * (c.xRow() - cw*c.Channels),
			brs: 4 * f, bseg: 4 * (c.dzRow() - cw*f), crs: 4 * f, kc: cw, segs: ch, flags: tileAdd}
		t.b = unsafe.Pointer(&g.dz[c.dzOrigin()+j])
		sp := c.dev.tier.splitOf(c.Kernel*c.Channels, cols)
		t.columns(&sp)
		for ky := range c.kernelRows() {
			t.a = unsafe.Pointer(&x[c.corner()+ky*c.xRow()])
			t.c = unsafe.Pointer(&g.dw[ky*c.Kernel*c.Channels*f+j])
			t.run(&sp)
		}
	}
	*t = tile{}
}

// endWeightGrad follows the group's last image.
func (c *convCore) endWeightGrad(g *convGroup) {
	if c.bf16 != nil {
		c.bf16.sumWeightGrad(c, g)
	}
}

// inputGrad convolves one image's dz with the flipped filter into dx, or adds it there.
func (c *convCore) inputGrad(g *convGroup, dx []float32, flags int) {
	f, s, row := c.Filters, c.Stride, c.xRow()
	dx = dx[c.InPad*(row+c.Channels):]
	t := &g.tile
	for i := range c.phases {
		if ph := &c.phases[i]; ph.rows*ph.cols == 0 && flags&tileAdd == 0 {
			c.clearPhase(dx, ph)
		}
	}
	if c.bf16 != nil {
		c.bf16.inputGrad(c, g, dx, flags)
		return
	}
	for i := range c.phases {
		ph := &c.phases[i]
		taps := ph.rows * ph.cols * f
		if taps == 0 {
			continue
		}
		*t = tile{ars: 4 * f, acs: 4, aseg: 4 * (c.dzRow() - ph.cols*f), crs: 4 * s * c.Channels, kc: ph.cols * f, segs: ph.rows, flags: flags}
		first := (c.dzPad()+ph.top)*c.dzRow() + (c.dzPad()+ph.left)*f
		for j := 0; j < c.Channels; j += c.dev.tier.wide {
			cols := min(c.dev.tier.wide, c.Channels-j)
			t.b, t.brs = unsafe.Pointer(&ph.w[j*taps]), 4*cols
			sp := c.dev.tier.splitOf((c.Width-ph.x+s-1)/s, cols)
			t.columns(&sp)
			for y, n := ph.y, 0; y < c.Height; y, n = y+s, n+1 {
				t.a = unsafe.Pointer(&g.dz[first+n*c.dzRow()])
				t.c = unsafe.Pointer(&dx[y*row+ph.x*c.Channels+j])
				t.run(&sp)
			}
		}
	}
	*t = tile{}
}

// clearPhase zeroes the pixels that no tap reaches.
func (c *convCore) clearPhase(dx []float32, ph *phase) {
	for y := ph.y; y < c.Height; y += c.Stride {
		for x := ph.x; x < c.Width; x += c.Stride {
			clear(dx[y*c.xRow()+x*c.Channels:][:c.Channels])
		}
	}
}

// sumWeightGrads adds up the groups' dw in their order.
func (c *convCore) sumWeightGrads(parts int, dw []float32) {
	if c.bf16 != nil {
		c.bf16.sumWeightGrads(c, parts, dw)
		return
	}
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

// undo writes the gradient before pooling and ReLU of one image, from dy, and where ReLU came without pooling from y, to rows that are
// row floats apart. Pixels that the pooling drops are not written.
func (c *convCore) undo(dst []float32, row int, dy, y []float32, idx []int32) {
	out, yRow := c.out.w*c.Filters, c.yRow()
	for r := range c.out.h {
		src := dy[r*yRow:][:out]
		switch {
		case c.Pool:
			c.dev.tier.unpoolRow(src, idx[r*out:][:out], dst[2*r*row:], dst[(2*r+1)*row:], c.Filters)
		case c.ReLU:
			c.dev.tier.zeroWhereInactive(dst[r*row:][:out], y[r*yRow:][:out], src)
		default:
			copy(dst[r*row:][:out], src)
		}
	}
}
