package train

import (
	"math"
	"math/rand/v2"
)

// lumaWeights make grey of red, green and blue as the decoders do (ITU-R BT.601).
var lumaWeights = [3]float32{0.299, 0.587, 0.114}

// gammaCells is how many straight pieces stand for a power.
const gammaCells = 128

// light changes saturation, then contrast and brightness, then gamma.
func (g *Augmenter) light(img []float32, rng *rand.Rand) {
	saturation := 1 + float32(between(g.a.Saturation, rng))
	contrast := 1 + float32(between(g.a.Contrast, rng))
	brightness := float32(between(g.a.Brightness, rng))
	exponent := math.Exp(between(g.a.Gamma, rng))
	if g.c == len(lumaWeights) && saturation != 1 {
		g.saturate(img, saturation)
	}
	var power [gammaCells + 1]float32
	if exponent != 1 {
		for i := range power {
			power[i] = float32(math.Pow(float64(i)/gammaCells, exponent))
		}
	}
	for ch := range g.c {
		black, reach := g.black[ch], g.white[ch]-g.black[ch]
		mean := 0.0
		for i := ch; i < len(img); i += g.c {
			mean += float64(img[i])
		}
		m := (float32(mean/float64(g.h*g.w)) - black) / reach
		for i := ch; i < len(img); i += g.c {
			v := clip(m + contrast*((img[i]-black)/reach-m) + brightness)
			if exponent != 1 {
				at := min(int(v*gammaCells), gammaCells-1)
				v = power[at] + (v*gammaCells-float32(at))*(power[at+1]-power[at])
			}
			img[i] = black + reach*v
		}
	}
}

// saturate multiplies the distance of colours to their grey.
func (g *Augmenter) saturate(img []float32, factor float32) {
	for i := 0; i < len(img); i += len(lumaWeights) {
		grey := float32(0)
		var v [len(lumaWeights)]float32
		for ch, weight := range lumaWeights {
			v[ch] = (img[i+ch] - g.black[ch]) / (g.white[ch] - g.black[ch])
			grey += weight * v[ch]
		}
		for ch := range v {
			img[i+ch] = g.black[ch] + clip(grey+factor*(v[ch]-grey))*(g.white[ch]-g.black[ch])
		}
	}
}

// noise adds Gaussian noise of the given standard deviation, in units of black 0 to white 1.
func (g *Augmenter) noise(img []float32, sigma float32, rng *rand.Rand) {
	for i := range img {
		ch := i % g.c
		v := img[i] + sigma*(g.white[ch]-g.black[ch])*float32(rng.NormFloat64())
		img[i] = min(max(v, g.black[ch]), g.white[ch])
	}
}

// clip keeps light between none and full.
func clip(v float32) float32 { return min(max(v, 0), 1) }

// erase paints a rectangle of random place, area and aspect in one random colour, after Zhong et al. 2020, "Random erasing data
// augmentation": area uniform from 0.02 to the limit, aspect from 0.3 to 1/0.3, here with equal chances for both signs of its
// logarithm. There the rectangle is filled with noise, and drawn again where it does not fit; here it is cut to the picture.
func (g *Augmenter) erase(img []float32, rng *rand.Rand) {
	area := (minEraseArea + rng.Float64()*float64(g.a.EraseArea-minEraseArea)) * float64(g.h*g.w)
	aspect := math.Exp((2*rng.Float64() - 1) * math.Log(1/0.3))
	h := min(g.h, max(1, int(math.Round(math.Sqrt(area*aspect)))))
	w := min(g.w, max(1, int(math.Round(math.Sqrt(area/aspect)))))
	top, left := rng.IntN(g.h-h+1), rng.IntN(g.w-w+1)
	for ch := range g.c {
		shade := g.black[ch] + rng.Float32()*(g.white[ch]-g.black[ch])
		paint(img, g.w, g.c, ch, top, left, h, w, shade)
	}
}

// paint fills channel ch of a rectangle of h×w pixels.
func paint(img []float32, width, c, ch, top, left, h, w int, shade float32) {
	for y := top; y < top+h; y++ {
		for x := left; x < left+w; x++ {
			img[(y*width+x)*c+ch] = shade
		}
	}
}
