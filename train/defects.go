package train

import (
	"math"
	"math/rand/v2"

	"github.com/akin-search/akin/encoder"
)

// contextSide is the side in pixels of all that is seen of a patch; a defect is made up in its middle.
const contextSide = encoder.PatchContext

// defect is a kind of made-up defect.
type defect int

const (
	blob        defect = iota // a spot, darker or lighter
	line                      // a scratch or crack
	region                    // a part of the surface behind an edge, darker or lighter
	paste                     // a piece of another place (CutPaste: Li et al. 2021)
	texture                   // a piece that is smoother, rougher, or of another contrast
	defectKinds               // their number
)

// mask is how much of a pixel is defect, 0 to 1.
type mask [contextSide * contextSide]float32

// spot draws a disc with a wobbling edge, stretched and turned.
func (m *mask) spot(cx, cy, radius float64, soft float64, rng *rand.Rand) {
	stretch, turn := math.Exp((2*rng.Float64()-1)*0.8), rng.Float64()*math.Pi
	sin, cos := math.Sincos(turn)
	var re, im [4]float64 // of waves around the edge, of periods 2π, π and so on
	wobble := 0.0
	for k := range re {
		amp := 0.25 * rng.Float64() / float64(k+1)
		im[k], re[k] = math.Sincos(2 * math.Pi * rng.Float64())
		re[k], im[k], wobble = amp*re[k], amp*im[k], wobble+amp
	}
	within := radius*(1-wobble) - soft/2           // all is drawn
	beyond := radius*(1+wobble) + soft/2           // nothing is
	reach := beyond * math.Max(stretch, 1/stretch) // of it, in the patch
	for y := max(0, int(cy-reach)); y < min(contextSide, int(cy+reach)+1); y++ {
		for x := max(0, int(cx-reach)); x < min(contextSide, int(cx+reach)+1); x++ {
			dx, dy := float64(x)-cx, float64(y)-cy
			if dx*dx+dy*dy > reach*reach {
				continue
			}
			u, v := (dx*cos+dy*sin)/stretch, (dy*cos-dx*sin)*stretch
			r := math.Sqrt(u*u + v*v)
			if r < within {
				m[y*contextSide+x] = 1
				continue
			}
			if r > beyond {
				continue
			}
			edge, c, s := 1.0, 1.0, 0.0 // cosine and sine of k times the angle
			for k := range re {
				if r > 0 {
					c, s = (c*u-s*v)/r, (s*u+c*v)/r
				}
				edge += re[k]*c - im[k]*s
			}
			m[y*contextSide+x] = float32(min(1, max(0, 0.5+(radius*edge-r)/soft)))
		}
	}
}

// scratch draws a line that wanders.
func (m *mask) scratch(rng *rand.Rand) {
	width, length := octaves(0.6, 3.5, rng), octaves(8, 120, rng)
	x, y, a := nearMiddle(rng), nearMiddle(rng), 2*math.Pi*rng.Float64()
	x, y = x-length/2*rng.Float64()*math.Cos(a), y-length/2*rng.Float64()*math.Sin(a)
	bend, wander := 0.01*rng.NormFloat64(), 0.2*rng.Float64()*rng.Float64()
	for range int(length * 2) {
		for py := max(0, int(y-3)); py < min(contextSide, int(y+4)); py++ {
			for px := max(0, int(x-3)); px < min(contextSide, int(x+4)); px++ {
				d := math.Hypot(float64(px)-x, float64(py)-y)
				at := &m[py*contextSide+px]
				*at = max(*at, float32(min(1, max(0, width/2+0.5-d))))
			}
		}
		a += bend + wander*rng.NormFloat64()
		x, y = x+0.5*math.Cos(a), y+0.5*math.Sin(a)
	}
}

// side draws all that is behind an edge through the patch, which may be bent.
func (m *mask) side(rng *rand.Rand) {
	cx, cy, a := nearMiddle(rng), nearMiddle(rng), 2*math.Pi*rng.Float64()
	sin, cos := math.Sincos(a)
	bend, soft := 0.006*rng.NormFloat64(), 1+12*rng.Float64()*rng.Float64()
	wave, freq, phase := 1.5*rng.Float64(), 0.2+0.6*rng.Float64(), 2*math.Pi*rng.Float64()
	for y := range contextSide {
		for x := range contextSide {
			dx, dy := float64(x)-cx, float64(y)-cy
			u, v := dx*cos+dy*sin, dy*cos-dx*sin
			if u += bend * v * v; math.Abs(u) < wave+soft/2 { // else the wave changes nothing
				u += wave * math.Sin(freq*v+phase)
			}
			m[y*contextSide+x] = float32(min(1, max(0, 0.5+u/soft)))
		}
	}
}

// nearMiddle is a place near the middle.
func nearMiddle(rng *rand.Rand) float64 { return contextSide/2 + 10*(2*rng.Float64()-1) }

// octaves draws from lo to hi, each octave as often.
func octaves(lo, hi float64, rng *rand.Rand) float64 { return lo * math.Pow(hi/lo, rng.Float64()) }

// anyShape draws one of the shapes.
func (m *mask) anyShape(rng *rand.Rand) {
	switch rng.IntN(4) {
	case 0:
		m.scratch(rng)
	case 1:
		m.side(rng)
	default:
		m.spot(nearMiddle(rng), nearMiddle(rng), octaves(2.5, 40, rng), 1+2*rng.Float64(), rng)
	}
}

// spoil makes a defect of the kind in the middle of spoiled; noise is how rough the surface is.
func (b *workbench) spoil(kind defect, noise float64, rng *rand.Rand) {
	p, m := b.spoiled, &b.mask
	clear(m[:])
	amount := noise * octaves(0.8, 6, rng)
	if rng.IntN(5) < 2 {
		amount = -amount
	}
	shade := func(k float64) {
		for i := range p {
			p[i] -= m[i] * float32(k*amount)
		}
	}
	switch kind {
	case blob:
		m.spot(nearMiddle(rng), nearMiddle(rng), octaves(1.5, 10, rng), 1+1.5*rng.Float64(), rng)
		shade(1.5)
	case line:
		m.scratch(rng)
		shade(1.5)
	case region:
		if rng.IntN(2) == 0 {
			r, a := octaves(8, 50, rng), 2*math.Pi*rng.Float64() // the middle is near its edge or well within
			out := r * rng.Float64()
			m.spot(contextSide/2+out*math.Cos(a), contextSide/2+out*math.Sin(a), r, 1+4*rng.Float64(), rng)
		} else {
			m.side(rng)
		}
		shade(0.8)
	case paste:
		m.anyShape(rng)
		turned := rng.IntN(2) == 0
		for y := range contextSide {
			for x := range contextSide {
				from := y*contextSide + x
				if turned {
					from = x*contextSide + y
				}
				at := &p[y*contextSide+x]
				*at += m[y*contextSide+x] * (b.other[from] - *at)
			}
		}
		if turned || rng.IntN(2) == 0 {
			shade(0.3)
		}
	case texture:
		m.anyShape(rng)
		smooth := b.blurred()
		factor, rough := float32(0), float32(0)
		if rng.IntN(2) == 0 {
			factor = 1.6 + 1.6*rng.Float32()
		}
		if rng.IntN(3) == 0 {
			rough = float32(noise * (0.5 + rng.Float64()))
		}
		for i, k := range m {
			if k > 0 {
				p[i] += k * (smooth[i] + factor*(p[i]-smooth[i]) + rough*float32(rng.NormFloat64()) - p[i])
			}
		}
	}
	for i := range p {
		p[i] = min(max(p[i], 0), 255)
	}
}

// blurred is the mean of spoiled over 5×5, along rows and then along columns. It is valid until the next call.
func (b *workbench) blurred() []float32 {
	const half = 2
	for y := range contextSide {
		src, dst := b.spoiled[y*contextSide:][:contextSide], b.smooth[0][y*contextSide:][:contextSide]
		for x := half; x < contextSide-half; x++ {
			dst[x] = (src[x-2] + src[x-1] + src[x] + src[x+1] + src[x+2]) / 5
		}
		for i := range half { // where there are fewer
			dst[i], dst[contextSide-1-i] = meanOf(src[:i+half+1]), meanOf(src[contextSide-1-i-half:])
		}
	}
	for y := range contextSide {
		dst := b.smooth[1][y*contextSide:][:contextSide]
		clear(dst)
		first, last := max(0, y-half), min(contextSide-1, y+half)
		for r := first; r <= last; r++ {
			for x, v := range b.smooth[0][r*contextSide:][:contextSide] {
				dst[x] += v
			}
		}
		share := 1 / float32(last-first+1)
		for x := range dst {
			dst[x] *= share
		}
	}
	return b.smooth[1]
}

func meanOf(v []float32) float32 {
	var sum float32
	for _, x := range v {
		sum += x
	}
	return sum / float32(len(v))
}
