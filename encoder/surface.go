package encoder

import (
	"fmt"
	"math"
)

// Of a patch of a picture's surface.
const (
	PatchSide    = 32             // pixels, at each of the scales
	PatchScales  = 3              // it is seen as it is, and within surroundings of twice and four times its side, all at PatchSide pixels
	PatchContext = PatchSide << 2 // side of all that is seen of a patch
	patchAlign   = 1 << 2         // places are multiples of it, so that halved surroundings fall on halved pixels
	patchMiddle  = 127.5          // of values
	mostExposure = 4              // times that light is made more, at most: a black picture is no pattern
	contrast     = 60             // of 255, for e times the light
	dimmest      = 0.1            // of the mean light: what is darker differs little
)

// surfaceLongest is the longest side in pixels at which a picture is looked at, to bound time and memory.
const surfaceLongest = 1024

// Surface is a picture at the scale at which patches are looked at, mirrored at its borders; and halved once and twice. Its values are of 255: the logarithm of
// light, since shadows and stains take a share of it, or light as it is.
type Surface struct {
	Width, Height int     // without the mirrored borders
	Light         float64 // mean of the picture's own, 0 to 255
	own           Size
	levels        [PatchScales]plane
}

type plane struct {
	width, height int
	v             []float32
}

// NewSurface decodes a picture and brings it to the scale, looked-at pixels to its own; less where that were more than 1024 a side, and more
// where it were less than PatchSide. Its mean light is brought to light, of 255, and then its logarithm is taken, with light in the middle; 0 leaves it as it is. An error of raw wraps ErrInput, one of the
// scale or light ErrSpec.
func NewSurface(raw []byte, scale, light float64) (*Surface, error) {
	if !(scale > 0 && scale <= 1) {
		return nil, fmt.Errorf("%w: patches at scale %g: it must be above 0 and at most 1", ErrSpec, scale)
	}
	if !(light >= 0 && light <= 255) {
		return nil, fmt.Errorf("%w: patches at a light of %g: it must be 0 to 255", ErrSpec, light)
	}
	px, own, err := DecodePixels(raw, 1, func(s Size) Size {
		f := min(scale, surfaceLongest/float64(max(s.Height, s.Width)))
		side := func(n int) int { return max(PatchSide, int(math.Round(float64(n)*f))) }
		return Size{Height: side(s.Height), Width: side(s.Width)}
	})
	if err != nil {
		return nil, err
	}
	const border = PatchContext / 2
	s := &Surface{Width: px.Width, Height: px.Height, own: own, Light: meanOf(px.Pix)}
	var seen [256]float32
	for own := range seen {
		seen[own] = float32(own)
		if light > 0 {
			v := min(float64(own)*min(light/max(s.Light, 1), mostExposure), 255)
			seen[own] = float32(min(max(patchMiddle+contrast*math.Log((v+dimmest*light)/(light+dimmest*light)), 0), 255))
		}
	}
	up := func(n int) int { return (n + 2*border + patchAlign - 1) / patchAlign * patchAlign }
	whole := plane{width: up(px.Width), height: up(px.Height)}
	whole.v = make([]float32, whole.width*whole.height)
	for y := range whole.height {
		from := px.Pix[mirrorAt(y-border, px.Height)*px.Width:]
		for x := range whole.width {
			whole.v[y*whole.width+x] = seen[from[mirrorAt(x-border, px.Width)]]
		}
	}
	for i := range s.levels {
		if s.levels[i] = whole; i+1 < PatchScales {
			whole = whole.halved()
		}
	}
	return s, nil
}

// mirrorAt folds a place outside 0 to n-1 back, n at least 2.
func mirrorAt(i, n int) int {
	round := 2*n - 2
	if i = (i%round + round) % round; i >= n {
		i = round - i
	}
	return i
}

// halved returns the plane of half the size, each pixel the mean of four.
func (p plane) halved() plane {
	h := plane{width: p.width / 2, height: p.height / 2}
	h.v = make([]float32, h.width*h.height)
	for y := range h.height {
		a, b := p.v[2*y*p.width:], p.v[(2*y+1)*p.width:]
		for x := range h.width {
			h.v[y*h.width+x] = (a[2*x] + a[2*x+1] + b[2*x] + b[2*x+1]) / 4
		}
	}
	return h
}

// Context copies all that is seen of the patch whose middle is at x, y, multiples of 4 within the surface, to dst: PatchContext × PatchContext values.
func (s *Surface) Context(dst []float32, x, y int) {
	l := s.levels[0]
	for i := range PatchContext {
		copy(dst[i*PatchContext:(i+1)*PatchContext], l.v[(y+i)*l.width+x:])
	}
}

// patch writes what PatchOf makes of Context(x, y) to dst.
func (s *Surface) patch(dst []float32, x, y int) {
	for i, l := range s.levels {
		l.window(dst, i, (x+PatchContext/2)>>i-PatchSide/2, (y+PatchContext/2)>>i-PatchSide/2)
	}
	evenLight(dst)
}

// PatchOf writes what the network sees of a patch to dst, PatchSide × PatchSide × PatchScales whole numbers of 0 to 255: its Context at
// each scale, with the mean of the whole in the middle, because how bright a place is says little.
func PatchOf(dst, context []float32) {
	p := plane{PatchContext, PatchContext, context}
	for i := range PatchScales {
		if i > 0 {
			p = p.halved()
		}
		at := (p.width - PatchSide) / 2
		p.window(dst, i, at, at)
	}
	evenLight(dst)
}

// window copies PatchSide × PatchSide values from x, y on into a channel of dst.
func (p plane) window(dst []float32, channel, x, y int) {
	for i := range PatchSide {
		for j, v := range p.v[(y+i)*p.width+x:][:PatchSide] {
			dst[(i*PatchSide+j)*PatchScales+channel] = v
		}
	}
}

func evenLight(p []float32) {
	var sum float64
	for i := PatchScales - 1; i < len(p); i += PatchScales { // the last channel shows the whole context
		sum += float64(p[i])
	}
	shift := float32(patchMiddle - sum/(PatchSide*PatchSide))
	shift += 0.5 // to round
	for i, v := range p {
		n := int32(v + shift)
		if n < 0 {
			n = 0
		} else if n > 255 {
			n = 255
		}
		p[i] = float32(n)
	}
}

func meanOf(pix []uint8) float64 {
	var sum float64
	for _, v := range pix {
		sum += float64(v)
	}
	return sum / float64(len(pix))
}
