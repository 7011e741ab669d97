package kernel

import (
	"math"
	"unsafe"
)

// bf16Conv is what a convCore needs to multiply in bf16. Forward and the input gradient read a rounded copy of the bordered image, or of
// dz, exactly as float32 does. The sum of the weight gradient goes over pixels, so there A is dz transposed and B is the image in pairs
// of pixels, and what comes out is the gradient transposed. Both are laid out in rows of pitch pixels, so that a tap is a shift of B;
// beside the pixels of A there are zeros. Without a stride, and with no wider a border than the filter needs, the rows of x and dz have
// the same pitch and are taken as one.
//
//	A [Filters][images][pixels]
//	B [plane][2][images][pixels / 2][Channels] pairs   panel by panel; the second half's pairs start at odd pixels, for odd shifts
//
// With a stride there is a plane for each phase of the taps: those of a phase see the same pixels.
type bf16Conv struct {
	tier *bf16Tier

	run    int      // pairs of a row of the filter, filled up
	panels []uint32 // w, panel by panel of filters: [Kernel][run][columns]
	w      []uint16 // [Kernel·Kernel·Channels][Filters]
	ones   []float32
	floor  [2][1]float32 // of no ReLU, and of ReLU

	flat   bool // images are taken as one row
	pitch  int  // pixels of a row, even if not flat
	pixels int  // of an image in A, a multiple of 2·pairStep
	plane  int  // pixels of an image in a plane of B, also even
	images int  // that are summed up at once: small ones alone would not fill the pipeline
}

// bf16Group is one group's scratch.
type bf16Group struct {
	x, dz  []uint16 // one image, rounded
	dzT    []uint16 // A of the weight gradient
	pairs  []uint32 // and B
	filled int      // images in them
}

// enoughPixels is how many pixels keep the pipeline of a weight gradient busy.
const enoughPixels = 512

// newBF16Conv returns nil where float32 is to stay: the 3 or fewer channels of a first layer leave bf16 tiles nearly empty, as does a
// filter of one row, and what such a layer costs is little.
func newBF16Conv(c *convCore) *bf16Conv {
	if c.dev.bf16 == nil || c.Line || c.Channels%bf16Channels != 0 || c.Filters%bf16Channels != 0 {
		return nil
	}
	b := &bf16Conv{tier: c.dev.bf16}
	b.run = filled(c.Kernel * c.Channels)
	b.panels = alignedPairs(c.Kernel * b.run * c.Filters)
	for i := range c.groups {
		c.groups[i].bf16.x = alignedBF16(c.xImage() + 2*pairStep)
	}
	b.ones = aligned(c.Filters)
	for i := range b.ones {
		b.ones[i] = 1
	}
	b.floor[0][0] = float32(math.Inf(-1))
	return b
}

// filled returns the pairs of n values, zeros to a whole step included.
func filled(n int) int { return (n + 2*pairStep - 1) / (2 * pairStep) * pairStep }

// pack makes the panels of w.
func (b *bf16Conv) pack(c *convCore, w []float32) {
	row := c.Kernel * c.Channels
	for j := 0; j < c.Filters; j += bf16Panel {
		cols := min(bf16Panel, c.Filters-j)
		for ky := range c.Kernel {
			b.tier.pairRows(b.panels[(j*c.Kernel+ky*cols)*b.run:], w[ky*row*c.Filters+j:], c.Filters, row, cols)
		}
	}
}

// convolve is convCore's.
func (b *bf16Conv) convolve(c *convCore, g *convGroup, x, bias, out []float32, outRow, flags int) {
	t := &g.tile
	b.tier.roundTo(g.bf16.x, x[:c.xImage()])
	*t = tile{ars: 2 * c.Stride * c.Channels, acs: 4, aseg: 2*c.xRow() - 4*b.run, crs: 4 * c.Filters, kc: b.run, segs: c.Kernel, flags: flags & tileAdd}
	t.a = unsafe.Pointer(&g.bf16.x[c.corner()])
	for j := 0; j < c.Filters; j += bf16Panel {
		cols := min(bf16Panel, c.Filters-j)
		t.b, t.brs, t.c = unsafe.Pointer(&b.panels[j*c.Kernel*b.run]), 4*cols, unsafe.Pointer(&out[j])
		b.tier.run(t, c.conved.w, cols, c.conved.h, 2*c.Stride*c.xRow(), 4*outRow)
	}
	*t = tile{}
	if flags&tileBias == 0 {
		return
	}
	floor := &b.floor[0]
	if flags&tileReLU != 0 {
		floor = &b.floor[1]
	}
	for r := range c.conved.h {
		row := out[r*outRow:][:c.conved.w*c.Filters]
		c.dev.tier.affine(row, row, b.ones, bias, floor)
	}
}

// prepareBackward makes the scratch that inference never needs.
func (b *bf16Conv) prepareBackward(c *convCore) {
	reach := (c.Kernel - 1) / c.Stride // of the taps of a phase, in pixels of its plane
	b.pitch = c.conved.w + reach
	b.flat = c.Stride == 1 && c.InPad == c.Pad()
	if !b.flat {
		b.pitch += b.pitch % 2
	}
	b.pixels = 2 * filled(c.conved.h*b.pitch)
	b.plane = 2 * filled((c.conved.h+reach)*b.pitch)
	b.images = max(1, min(enoughPixels/b.pixels, (c.Batch+len(c.groups)-1)/len(c.groups)))
	planes := min(c.Stride, c.Kernel) * min(c.Stride, c.Kernel)
	for i := range c.groups {
		g := &c.groups[i].bf16
		g.dzT = alignedBF16(c.Filters * b.filter())
		g.pairs = alignedPairs(planes*b.planePairs(c) + (b.pixels+c.Kernel)*bf16Panel) // the last taps read on behind their image
		if c.InputGrad {
			g.dz = alignedBF16(len(c.groups[i].dz) + 2*pairStep)
		}
	}
	if c.InputGrad {
		b.w = alignedBF16(c.Kernel * c.Kernel * c.Channels * c.Filters)
	}
}

// filter is the bf16 from one filter of A to the next: an odd number of cache lines, so that the rows of a tile do not fall into the same
// sets of the cache.
func (b *bf16Conv) filter() int { return (b.images*b.pixels/(2*pairStep) | 1) * 2 * pairStep }

// planePairs are the pairs of a plane of B, whose halves are as long, panel by panel of channels.
func (b *bf16Conv) planePairs(c *convCore) int { return 2 * b.images * b.plane / 2 * c.Channels }

// flip makes the phases' filters of w: pairs of filters are neighbours in w.
func (b *bf16Conv) flip(c *convCore, w []float32) {
	b.tier.roundTo(b.w, w)
	f, k, s := c.Filters/2, c.Kernel, c.Stride
	pairs := unsafe.Slice((*uint32)(unsafe.Pointer(&b.w[0])), len(b.w)/2)
	for i := range c.phases {
		ph := &c.phases[i]
		run := filled(ph.cols * c.Filters)
		if ph.pairs == nil {
			ph.pairs = alignedPairs(ph.rows * run * c.Channels)
		}
		for j := 0; j < c.Channels; j += bf16Panel {
			cols := min(bf16Panel, c.Channels-j)
			for r := range ph.rows {
				for q := range ph.cols {
					tap := (ph.ky-r*s)*k + ph.kx - q*s
					packTransposed(ph.pairs[(j*ph.rows+r*cols)*run+q*f*cols:], pairs[(tap*c.Channels+j)*f:], f, f, cols)
				}
			}
		}
	}
}

// inputGrad is convCore's, for phases that have taps.
func (b *bf16Conv) inputGrad(c *convCore, g *convGroup, dx []float32, flags int) {
	t, s, row := &g.tile, c.Stride, c.xRow()
	b.tier.roundTo(g.bf16.dz, g.dz)
	for i := range c.phases {
		ph := &c.phases[i]
		if ph.rows*ph.cols == 0 {
			continue
		}
		run := filled(ph.cols * c.Filters)
		*t = tile{ars: 2 * c.Filters, acs: 4, aseg: 2*c.dzRow() - 4*run, crs: 4 * s * c.Channels, kc: run, segs: ph.rows, flags: flags}
		t.a = unsafe.Pointer(&g.bf16.dz[(c.dzPad()+ph.top)*c.dzRow()+(c.dzPad()+ph.left)*c.Filters])
		for j := 0; j < c.Channels; j += bf16Panel {
			cols := min(bf16Panel, c.Channels-j)
			t.b, t.brs, t.c = unsafe.Pointer(&ph.pairs[j*ph.rows*run]), 4*cols, unsafe.Pointer(&dx[ph.y*row+ph.x*c.Channels+j])
			b.tier.run(t, (c.Width-ph.x+s-1)/s, cols, (c.Height-ph.y+s-1)/s, 2*c.dzRow(), 4*s*row)
		}
	}
	*t = tile{}
}

// weightGrad takes one image's x and dz up, and sums when enough are there.
func (b *bf16Conv) weightGrad(c *convCore, of *convGroup, x []float32) {
	g, s := &of.bf16, c.Stride
	rows, pixels := c.conved.h, c.conved.w
	if c.dzRow() == b.pitch*c.Filters {
		rows, pixels = 1, (rows-1)*b.pitch+pixels
	}
	for r := range rows {
		b.tier.transposeRows(g.dzT[g.filled*b.pixels+r*b.pitch:], of.dz[c.dzOrigin()+r*c.dzRow():], b.filter(), c.Filters, pixels, c.Filters)
	}
	phases := min(s, c.Kernel)
	for py := range phases {
		for px := range phases {
			rows, pixels := c.conved.h+(c.Kernel-1-py)/s, c.conved.w+(c.Kernel-1-px)/s
			if b.flat {
				rows, pixels = 1, rows*b.pitch
			}
			halves := 1
			if px+s < c.Kernel { // a tap of this phase is shifted
				halves = 2
			}
			for j := 0; j < c.Channels; j += bf16Panel {
				cols := min(bf16Panel, c.Channels-j)
				for odd := range halves {
					to := g.pairs[b.at(c, py*phases+px, odd, j)+g.filled*b.plane/2*cols:]
					for r := range rows {
						from := c.corner() + (py+r*s)*c.xRow() + (px+odd*s)*c.Channels + j
						b.tier.pairRows(to[r*b.pitch/2*cols:], x[from:], s*c.Channels, pixels-odd, cols)
					}
				}
			}
		}
	}
	if g.filled++; g.filled == b.images {
		b.sumWeightGrad(c, of)
	}
}

// at is the place in B of a plane's half from channel j on.
func (b *bf16Conv) at(c *convCore, plane, odd, j int) int {
	return plane*b.planePairs(c) + (odd*c.Channels+j)*b.images*b.plane/2
}

// sumWeightGrad adds the images that were taken up to the group's dw, transposed: [Kernel][Kernel][Filters][Channels].
func (b *bf16Conv) sumWeightGrad(c *convCore, of *convGroup) {
	g, t, s := &of.bf16, &of.tile, c.Stride
	if g.filled == 0 {
		return
	}
	phases := min(s, c.Kernel)
	*t = tile{ars: 2 * b.filter(), acs: 4, crs: 4 * c.Channels, kc: b.pixels / 2, segs: g.filled, flags: tileAdd}
	t.a = unsafe.Pointer(&g.dzT[0])
	for j := 0; j < c.Channels; j += bf16Panel {
		cols := min(bf16Panel, c.Channels-j)
		t.brs, t.bseg = 4*cols, 4*cols*(b.plane-b.pixels)/2
		for ky := range c.Kernel {
			for kx := range c.Kernel {
				shift := ky/s*b.pitch + kx/s
				t.b = unsafe.Pointer(&g.pairs[b.at(c, ky%s*phases+kx%s, shift%2, j)+shift/2*cols])
				t.c = unsafe.Pointer(&of.dw[(ky*c.Kernel+kx)*c.Channels*c.Filters+j])
				b.tier.run(t, bf16Channels, cols, c.Filters/bf16Channels, 2*bf16Channels*b.filter(), 4*bf16Channels*c.Channels)
			}
		}
	}
	*t = tile{}
	g.filled = 0
}

// sumWeightGrads adds up the groups' dw in their order and transposes them to dw.
func (b *bf16Conv) sumWeightGrads(c *convCore, parts int, dw []float32) {
	sum, size := c.groups[0].dw, c.Channels*c.Filters
	for i := 1; i < parts; i++ {
		c.dev.tier.add(sum, c.groups[i].dw)
	}
	for at := 0; at < len(sum); at += size {
		packTransposed(dw[at:at+size], sum[at:at+size], c.Channels, c.Channels, c.Filters)
	}
}
