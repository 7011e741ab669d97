package encoder

import (
	"math"
	"sync"
)

// The resampler is a low-pass filter, a sinc under a Kaiser window, laid at the place of each new sample over the old ones (Smith and
// Gossett 1984, "A flexible sampling-rate conversion method"): a polyphase bank of so many phases between two zeros of the sinc, with
// linear interpolation between neighbouring phases, so that any ratio of rates takes the same bank.
const (
	sincZeros  = 16   // of the sinc on either side
	sincPhases = 512  // between two zeros: the interpolation errs by less than 1e-5
	sincPass   = 0.95 // the cut-off, of the lower of the two Nyquist frequencies
	sincKaiser = 9.0  // β of the window: about 90 dB of attenuation (Kaiser 1974)
)

// sincBank holds the filter's right half, zeros × phases, and a 0 behind it.
var sincBank = sync.OnceValue(func() []float64 {
	h := make([]float64, sincZeros*sincPhases+2)
	h[0] = 1
	for i := 1; i < sincZeros*sincPhases; i++ {
		x := float64(i) / sincPhases
		edge := x / sincZeros
		h[i] = math.Sin(math.Pi*x) / (math.Pi * x) * bessel0(sincKaiser*math.Sqrt(1-edge*edge)) / bessel0(sincKaiser)
	}
	return h
})

// bessel0 is the modified Bessel function I₀, by its series Σ ((x/2)ᵏ/k!)².
func bessel0(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > 1e-12*sum; k++ {
		term *= x / 2 / k * x / 2 / k
		sum += term
	}
	return sum
}

// resample returns a sound at another rate, of ⌈len·rate/w.rate⌉ samples. Around the sound there is silence.
func (w wave) resample(rate int) []float32 {
	if w.rate == rate {
		return w.samples
	}
	n := (len(w.samples)*rate + w.rate - 1) / w.rate
	out := make([]float32, n)
	bank := sincBank()
	scale := sincPass * min(1, float64(rate)/float64(w.rate)) // zeros of the sinc an old sample
	reach := sincZeros / scale                                // old samples on either side
	step := scale * sincPhases                                // places in the bank an old sample
	for i := range out {
		at := float64(i) * float64(w.rate) / float64(rate)
		lo, hi := max(0, int(math.Ceil(at-reach))), min(len(w.samples)-1, int(at+reach))
		var sum float64
		for j := lo; j <= hi; j++ {
			p := math.Abs(at-float64(j)) * step
			k := min(int(p), len(bank)-2)
			sum += float64(w.samples[j]) * (bank[k] + (p-float64(k))*(bank[k+1]-bank[k]))
		}
		out[i] = float32(sum * scale)
	}
	return out
}
