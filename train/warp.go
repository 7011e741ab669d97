package train

import "math"

// The displacement is evaluated at the nodes of a mesh and runs straight between them.
const (
	meshStep  = 4  // pixels between nodes; more in an image wider than meshStep·meshCells
	meshCells = 32 // cells along x at most
)

// warp maps each pixel of the output to the place in the source that it comes from:
// source = centre + offset + m·(output − centre − shift) + elastic displacement.
type warp struct {
	m      [4]float32 // row-major 2×2: the inverse of rotation·shear·scale
	tx, ty float32    // shift of the picture, pixels
	ox, oy float32    // from the picture's centre to that of the part which is kept, pixels
	cells  int        // of the control grid along a side; 0 = no elastic part
	dx, dy [(maxElasticCells + 3) * (maxElasticCells + 3)]float32
}

type point struct{ x, y float32 }

// affine sets the affine part: the picture is scaled, slanted by x += shear·y, turned by angle (radians, clockwise on the screen, where
// y points down), all about its centre, then shifted by (tx, ty) pixels.
func (g *warp) affine(angle, scale, shear, tx, ty float64) {
	sin, cos := math.Sincos(angle)
	// Inverse: 1/scale · [1 −shear; 0 1] · [cos sin; −sin cos].
	g.m = [4]float32{
		float32((cos + shear*sin) / scale), float32((sin - shear*cos) / scale),
		float32(-sin / scale), float32(cos / scale),
	}
	g.tx, g.ty = float32(tx), float32(ty)
}

// crop keeps a part of the source: so much of its width and height, centred (ox, oy) pixels off its centre.
func (g *warp) crop(across, down, ox, oy float64) {
	for i, share := range []float64{across, across, down, down} {
		g.m[i] *= float32(share)
	}
	g.ox, g.oy = float32(ox), float32(oy)
}

// apply samples src bilinearly at the warped place of every pixel of dst.
func (g *warp) apply(dst, src []float32, h, w, c int, background []float32) {
	step := max(meshStep, (w+meshCells-1)/meshCells)
	cols, rows := (w+step-1)/step, (h+step-1)/step
	var weights [meshCells + 1]splineWeights
	for k := range cols + 1 {
		weights[k] = spline(k, cols, g.cells)
	}
	var meshes [2][meshCells + 1]point
	upper, lower := &meshes[0], &meshes[1]
	g.mesh(lower, &weights, 0, rows, cols, step, h, w)
	var edge [meshCells + 1]point // the mesh cut along one row of pixels
	for y := range h {
		r, within := y/step, y%step
		if within == 0 {
			upper, lower = lower, upper
			g.mesh(lower, &weights, r+1, rows, cols, step, h, w)
		}
		t := float32(within) / float32(step)
		for k := range cols + 1 {
			edge[k] = point{upper[k].x + t*(lower[k].x-upper[k].x), upper[k].y + t*(lower[k].y-upper[k].y)}
		}
		out := dst[y*w*c : (y+1)*w*c]
		for k := range cols {
			from, to := edge[k], edge[k+1]
			slope := point{(to.x - from.x) / float32(step), (to.y - from.y) / float32(step)}
			x := k * step
			run := out[x*c : min(x+step, w)*c]
			if c == 1 {
				sampleGrey(run, src, from, slope, h, w, background[0])
			} else {
				sampleColour(run, src, from, slope, h, w, c, background)
			}
		}
	}
}

// mesh sets nodes to the source positions of mesh row r, of rows+1 in all.
func (g *warp) mesh(nodes *[meshCells + 1]point, weights *[meshCells + 1]splineWeights, r, rows, cols, step, h, w int) {
	cx, cy := float32(w-1)/2, float32(h-1)/2
	qy := float32(r*step) - cy - g.ty
	for k := range cols + 1 {
		qx := float32(k*step) - cx - g.tx
		nodes[k] = point{cx + g.ox + g.m[0]*qx + g.m[1]*qy, cy + g.oy + g.m[2]*qx + g.m[3]*qy}
	}
	if g.cells == 0 {
		return
	}
	// The spline is separable: first blend the control rows, then the columns of the blend.
	var blend [maxElasticCells + 3]point
	side := g.cells + 3
	wy := spline(r, rows, g.cells)
	for i := range side {
		for j, b := range wy.b {
			at := (wy.first+j)*side + i
			blend[i].x += b * g.dx[at]
			blend[i].y += b * g.dy[at]
		}
	}
	for k := range cols + 1 {
		wx := &weights[k]
		for j, b := range wx.b {
			nodes[k].x += b * blend[wx.first+j].x
			nodes[k].y += b * blend[wx.first+j].y
		}
	}
}

// splineWeights are the four control points that bear on a node, and how much.
type splineWeights struct {
	first int
	b     [4]float32
}

// spline returns the uniform cubic B-spline weights of node k of 0…nodes over a control grid of the given number of cells. They are
// positive and sum to 1, so a displacement never exceeds the largest control.
func spline(k, nodes, cells int) splineWeights {
	if cells == 0 {
		return splineWeights{}
	}
	first := min(k*cells/nodes, cells-1)
	t := float32(k*cells)/float32(nodes) - float32(first)
	u := 1 - t
	return splineWeights{first, [4]float32{
		u * u * u / 6,
		(4 - 6*t*t + 3*t*t*t) / 6,
		(4 - 6*u*u + 3*u*u*u) / 6,
		t * t * t / 6,
	}}
}

// sampleGrey writes a run of pixels whose source positions start at p and move by slope. One channel.
func sampleGrey(run, src []float32, p, slope point, h, w int, background float32) {
	right, bottom := float32(w-1), float32(h-1)
	for i := range run {
		x, y := p.x+float32(i)*slope.x, p.y+float32(i)*slope.y
		if x >= 0 && y >= 0 && x < right && y < bottom {
			x0, y0 := int(x), int(y)
			fx, fy := x-float32(x0), y-float32(y0)
			at := y0*w + x0
			a := src[at : at+2 : at+2]
			b := src[at+w : at+w+2 : at+w+2]
			top := a[0] + fx*(a[1]-a[0])
			low := b[0] + fx*(b[1]-b[0])
			run[i] = top + fy*(low-top)
		} else {
			run[i] = sampleEdge(src, x, y, h, w, 1, 0, background)
		}
	}
}

// sampleColour is sampleGrey for any number of channels.
func sampleColour(run, src []float32, p, slope point, h, w, c int, background []float32) {
	right, bottom := float32(w-1), float32(h-1)
	for i := range len(run) / c {
		x, y := p.x+float32(i)*slope.x, p.y+float32(i)*slope.y
		out := run[i*c : (i+1)*c]
		if x >= 0 && y >= 0 && x < right && y < bottom {
			x0, y0 := int(x), int(y)
			fx, fy := x-float32(x0), y-float32(y0)
			at := (y0*w + x0) * c
			a := src[at : at+2*c]
			b := src[at+w*c : at+(w+2)*c]
			for ch := range out {
				top := a[ch] + fx*(a[ch+c]-a[ch])
				low := b[ch] + fx*(b[ch+c]-b[ch])
				out[ch] = top + fy*(low-top)
			}
		} else {
			for ch := range out {
				out[ch] = sampleEdge(src, x, y, h, w, c, ch, background[ch])
			}
		}
	}
}

// sampleEdge samples one channel at a place that has a neighbour outside the image.
func sampleEdge(src []float32, x, y float32, h, w, c, ch int, background float32) float32 {
	if !(x > -1 && y > -1 && x < float32(w) && y < float32(h)) {
		return background
	}
	x0, y0 := int(x+1)-1, int(y+1)-1 // floor, since x and y are above −1
	fx, fy := x-float32(x0), y-float32(y0)
	at := func(x, y int) float32 {
		if x < 0 || y < 0 || x >= w || y >= h {
			return background
		}
		return src[(y*w+x)*c+ch]
	}
	top := at(x0, y0) + fx*(at(x0+1, y0)-at(x0, y0))
	low := at(x0, y0+1) + fx*(at(x0+1, y0+1)-at(x0, y0+1))
	return top + fy*(low-top)
}
