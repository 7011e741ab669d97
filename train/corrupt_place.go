package train

import "math"

func (c *Corrupter) shift(dst, src []float32) {
	sin, cos := math.Sincos(2 * math.Pi * c.rng.Float64())
	far := float64(c.amount * c.side())
	var g warp
	g.affine(0, 1, 0, cos*far, sin*far)
	g.apply(dst, src, c.h, c.w, c.c, c.black)
}

func (c *Corrupter) rotate(dst, src []float32) {
	angle := float64(c.amount) * math.Pi / 180
	if c.rng.Uint32()&1 == 1 {
		angle = -angle
	}
	var g warp
	g.affine(angle, 1, 0, 0, 0)
	g.apply(dst, src, c.h, c.w, c.c, c.black)
}

func (c *Corrupter) bend(dst, src []float32) {
	var g warp
	g.draw(Augmentation{Elastic: c.amount, ElasticCells: defaultElasticCells}, c.h, c.w, c.rng)
	g.apply(dst, src, c.h, c.w, c.c, c.black)
}

// spread is where the light of a point goes: weights of the places around it that sum to 1.
type spread struct {
	reach   int // places to each side
	weights []float32
}

// reset makes s as wide as reach and empty.
func (s *spread) reset(reach int) {
	side := 2*reach + 1
	if cap(s.weights) < side*side {
		s.weights = make([]float32, side*side)
	}
	s.reach, s.weights = reach, s.weights[:side*side]
	clear(s.weights)
}

// add puts weight at (dx, dy) from the middle, shared between the four nearest places.
func (s *spread) add(dx, dy, weight float64) {
	x, y := math.Floor(dx), math.Floor(dy)
	fx, fy := dx-x, dy-y
	side := 2*s.reach + 1
	at := (int(y)+s.reach)*side + int(x) + s.reach
	s.weights[at] += float32(weight * (1 - fx) * (1 - fy))
	s.weights[at+1] += float32(weight * fx * (1 - fy))
	s.weights[at+side] += float32(weight * (1 - fx) * fy)
	s.weights[at+side+1] += float32(weight * fx * fy)
}

// apply spreads every pixel. Pixels beyond an edge are those of the edge.
func (s *spread) apply(dst, src []float32, h, w, c int) {
	clear(dst)
	for i, weight := range s.weights {
		if weight == 0 {
			continue
		}
		dx, dy := i%(2*s.reach+1)-s.reach, i/(2*s.reach+1)-s.reach
		for y := range h {
			in := src[min(max(y+dy, 0), h-1)*w*c:][:w*c]
			out := dst[y*w*c : (y+1)*w*c]
			for x := range w {
				from := min(max(x+dx, 0), w-1) * c
				for ch := range c {
					out[x*c+ch] += weight * in[from+ch]
				}
			}
		}
	}
	for i, v := range dst {
		dst[i] = clip(v) // the weights' sum is 1 but for rounding
	}
}

// defocus spreads light over a disc; pixels that its rim cuts take the part of them that is about inside.
func (c *Corrupter) defocus(dst, src []float32) {
	radius := float64(c.amount * c.side())
	reach := int(math.Ceil(radius))
	c.spread.reset(reach)
	sum, side := float32(0), 2*reach+1
	for i := range c.spread.weights {
		v := float32(min(max(radius+0.5-math.Hypot(float64(i%side-reach), float64(i/side-reach)), 0), 1))
		c.spread.weights[i] = v
		sum += v
	}
	for i := range c.spread.weights {
		c.spread.weights[i] /= sum
	}
	c.spread.apply(dst, src, c.h, c.w, c.c)
}

// motion spreads light evenly along a line.
func (c *Corrupter) motion(dst, src []float32) {
	sin, cos := math.Sincos(math.Pi * c.rng.Float64())
	length := float64(c.amount * c.side())
	c.spread.reset(int(length/2) + 2)
	points := 4*int(math.Ceil(length)) + 1 // four a pixel
	for i := range points {
		at := length * (float64(i)/float64(points-1) - 0.5)
		c.spread.add(at*cos, at*sin, 1/float64(points))
	}
	c.spread.apply(dst, src, c.h, c.w, c.c)
}

// pixelate averages blocks. In a picture of so few pixels that a block is no larger than one, nothing changes.
func (c *Corrupter) pixelate(dst, src []float32) {
	blocks := func(length int) int {
		return min(length, max(1, int(float32(length)/(c.amount*c.side())+0.5)))
	}
	rows, cols := blocks(c.h), blocks(c.w)
	for r := range rows {
		top, bottom := (r*c.h+rows-1)/rows, ((r+1)*c.h+rows-1)/rows
		for k := range cols {
			left, right := (k*c.w+cols-1)/cols, ((k+1)*c.w+cols-1)/cols
			for ch := range c.c {
				sum := float32(0)
				for y := top; y < bottom; y++ {
					for x := left; x < right; x++ {
						sum += src[(y*c.w+x)*c.c+ch]
					}
				}
				paint(dst, c.w, c.c, ch, top, left, bottom-top, right-left, sum/float32((bottom-top)*(right-left)))
			}
		}
	}
}
