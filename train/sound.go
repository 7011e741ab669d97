package train

import (
	"math"
	"math/rand/v2"

	"github.com/akin-search/akin/encoder"
)

// Sound says how far a sound may be changed at random, on its log-mel features. A limit of 0 switches its part off, and the zero value
// leaves only the crop: a view is always a part of the sound that fills the network's input, anywhere in it. All amounts are drawn uniformly.
type Sound struct {
	Stretch       float32 `json:"stretch,omitempty"`        // 0.1 plays it 0.9 to 1.1 times as fast at the same pitch, 0 to 0.5
	Warp          float32 `json:"warp,omitempty"`           // 0.1 moves a mel to 0.9 to 1.1 of it, as a longer or shorter vocal tract does, 0 to 0.5 (Jaitly and Hinton 2013)
	Gain          float32 `json:"gain,omitempty"`           // ± dB, 0 to 60
	Equalize      float32 `json:"equalize,omitempty"`       // ± dB of a smooth curve over the mels, as of another microphone, 0 to 60
	Noise         float32 `json:"noise,omitempty"`          // chance of noise, 0 to 1, from 40 dB below the sound's level up to 10 dB below
	TimeMask      float32 `json:"time_mask,omitempty"`      // largest width of each of two bands of time that are blotted out, of the whole, 0 to 0.5 (Park et al. 2019, SpecAugment)
	FrequencyMask float32 `json:"frequency_mask,omitempty"` // as TimeMask, of frequency
	Pieces        float32 `json:"pieces,omitempty"`         // seconds of the pieces that a sound is cut into, of which each of its views in a batch gets others, 0 to 1
}

const (
	noiseQuietest, noiseLoudest = -40, -10 // dB
	noiseTilt                   = 20       // ± dB from the lowest to the highest mel
	soundMasks                  = 2        // of time, and of frequency
)

// Sounds returns amounts that suit speech and other sounds: they change how a sound was recorded, not what makes it. Warp and Stretch are off,
// since they make another speaker of one.
func Sounds() Augmentation {
	return Augmentation{Sound: Sound{Gain: 6, Equalize: 6, Noise: 0.5, TimeMask: 0.1, FrequencyMask: 0.1}}
}

// soundViewer makes views of sounds.
type soundViewer struct {
	Sound
	pre     encoder.Preprocessing
	silence float32
}

func newSoundViewer(s Sound, p encoder.Preprocessing) *soundViewer {
	return &soundViewer{s, p, p.Background()[0]}
}

// Apply implements viewer: src is [mel][frame] of any number of frames.
func (v *soundViewer) Apply(dst, src []float32, rng *rand.Rand) {
	mels, w := v.pre.Size.Height, v.pre.Size.Width
	// The order of the draws is part of what a seed means.
	pace, pitch := 1+between(v.Stretch, rng), 1+between(v.Warp, rng)
	frames := len(src) / mels
	at := rng.Float64() * (float64(frames) - float64(w)*pace) // below 0 in a sound that is shorter: it is placed anywhere
	v.place(dst, src, frames, at, pace, pitch)
	v.level(dst, rng)
	if v.Noise != 0 && rng.Float32() < v.Noise {
		v.noise(dst, rng)
	}
	v.mask(dst, rng, v.TimeMask, w, func(x, y int) int { return y*w + x }, mels)
	v.mask(dst, rng, v.FrequencyMask, mels, func(y, x int) int { return y*w + x }, w)
}

// place writes the view that begins at a frame, by linear interpolation between frames and mels.
func (v *soundViewer) place(dst, src []float32, frames int, at, pace, pitch float64) {
	mels, w := v.pre.Size.Height, v.pre.Size.Width
	for y := range mels {
		fy := min(float64(y)*pitch, float64(mels-1))
		y0 := int(fy)
		up := float32(fy - float64(y0))
		low, high := src[y0*frames:(y0+1)*frames], src[min(y0+1, mels-1)*frames:][:frames]
		row := dst[y*w : (y+1)*w]
		for x := range row {
			fx := at + float64(x)*pace
			x0 := int(math.Floor(fx))
			right := float32(fx - float64(x0))
			row[x] = 0
			for i, share := range [2]float32{1 - right, right} {
				value := v.silence
				if j := x0 + i; j >= 0 && j < frames {
					value = low[j] + up*(high[j]-low[j])
				}
				row[x] += share * value
			}
		}
	}
}

// decibel is one in units of the features.
func decibel(p encoder.Preprocessing) float64 { return math.Ln10 / 10 / float64(p.Deviation[0]) }

// level changes the loudness, of all and of high against low.
func (v *soundViewer) level(dst []float32, rng *rand.Rand) {
	if v.Gain == 0 && v.Equalize == 0 {
		return
	}
	gain, tilt, bend := between(v.Gain, rng), between(v.Equalize, rng)/2, between(v.Equalize, rng)/2
	equalize(dst, v.pre.Size.Height, v.silence, decibel(v.pre), gain, tilt, bend)
}

// equalize adds gain and a curve of two cosines over the mels, in dB, to a sound, [mel][frame]; nothing falls below silence.
func equalize(dst []float32, mels int, silence float32, decibel, gain, tilt, bend float64) {
	frames := len(dst) / mels
	for y := range mels {
		place := math.Pi * float64(y) / float64(mels)
		add := float32(decibel * (gain + tilt*math.Cos(place) + bend*math.Cos(2*place)))
		for x, value := range dst[y*frames : (y+1)*frames] {
			dst[y*frames+x] = max(silence, value+add)
		}
	}
}

// noise adds the power of noise whose spectrum is a slope, and fluctuates as a power spectrum's bins do, by the exponential distribution.
func (v *soundViewer) noise(dst []float32, rng *rand.Rand) {
	level := noiseQuietest + rng.Float64()*(noiseLoudest-noiseQuietest)
	tilt := between(noiseTilt, rng)
	mels, w := v.pre.Size.Height, v.pre.Size.Width
	mean, deviation := float64(v.pre.Mean[0]), float64(v.pre.Deviation[0])
	for y := range mels {
		power := math.Pow(10, (level+tilt*(float64(y)/float64(mels)-0.5))/10)
		for x, value := range dst[y*w : (y+1)*w] {
			sum := math.Exp(float64(value)*deviation+mean) + power*rng.ExpFloat64()
			dst[y*w+x] = float32((math.Log(sum) - mean) / deviation)
		}
	}
}

// mask sets bands of up to a share of n lines to 0, the mean of all sounds.
func (v *soundViewer) mask(dst []float32, rng *rand.Rand, share float32, n int, place func(line, i int) int, length int) {
	if share == 0 {
		return
	}
	for range soundMasks {
		width := rng.IntN(int(share*float32(n)) + 1)
		first := rng.IntN(n - width + 1)
		for line := first; line < first+width; line++ {
			for i := range length {
				dst[place(line, i)] = 0
			}
		}
	}
}
