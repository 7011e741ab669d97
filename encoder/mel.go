package encoder

import (
	"math"

	"gonum.org/v1/gonum/dsp/fourier"
)

// The spectrum of a sound, with the parameters usual for speech (Young et al. 2006, "The HTK Book", sections 5.2 to 5.4): 25 ms under a
// Hamming window every 10 ms, the power spectrum of it, and triangular filters evenly spaced in mel from 20 Hz to the Nyquist frequency.
const (
	SoundRate  = 16_000          // samples a second that every sound is brought to
	soundFrame = SoundRate / 40  // samples of a frame, 25 ms
	SoundHop   = SoundRate / 100 // samples from one frame to the next, 10 ms
	soundFFT   = 512             // a frame with zeros behind it
	melLow     = 20.0            // Hz, the lower end of the first filter
	melFloor   = 1e-4            // added to the power of a filter: 40 dB below white noise of the sound's own level
)

// mel is the pitch of a frequency in Hz: 2595 log₁₀(1 + f/700) (O'Shaughnessy 1987; The HTK Book, equation 5.13).
func mel(hz float64) float64 { return 2595 * math.Log10(1+hz/700) }

// melFilter weighs the bins of a power spectrum from first on.
type melFilter struct {
	first   int
	weights []float64
}

// melFilters returns n filters. Their corners are evenly spaced in mel, each begins and ends at its neighbours' middles, the weight is linear
// in mel and 1 in the middle.
func melFilters(n int) []melFilter {
	low := mel(melLow)
	step := (mel(SoundRate/2) - low) / float64(n+1)
	filters := make([]melFilter, n)
	for i := range filters {
		middle := low + float64(i+1)*step
		for bin := range soundFFT/2 + 1 {
			weight := 1 - math.Abs(mel(float64(bin)*SoundRate/soundFFT)-middle)/step
			if weight <= 0 {
				continue
			}
			if filters[i].weights == nil {
				filters[i].first = bin
			}
			filters[i].weights = append(filters[i].weights, weight)
		}
	}
	return filters
}

// WarpedFilters returns where among n filters, numbered from 0, a sound has at factor times the frequency what each of them is to get: to move
// all frequencies up by a tenth, the factor is 1/1.1. It lies between two filters by their middles, and is the first or last beyond these.
func WarpedFilters(n int, factor float64) []float32 {
	low := mel(melLow)
	step := (mel(SoundRate/2) - low) / float64(n+1)
	at := make([]float32, n)
	for i := range at {
		hz := 700 * (math.Pow(10, (low+float64(i+1)*step)/2595) - 1)
		at[i] = float32(min(max((mel(hz*factor)-low)/step-1, 0), float64(n-1)))
	}
	return at
}

// spectrograph makes spectra. It keeps scratch memory, so it belongs to one goroutine at a time.
type spectrograph struct {
	fft      *fourier.FFT
	window   []float64 // scaled so that white noise of variance 1 has power 1 in every bin
	filters  []melFilter
	frame    []float64
	spectrum []complex128
	power    []float64
}

func newSpectrograph(mels int) *spectrograph {
	s := &spectrograph{fft: fourier.NewFFT(soundFFT), filters: melFilters(mels), window: make([]float64, soundFrame), frame: make([]float64, soundFFT),
		spectrum: make([]complex128, soundFFT/2+1), power: make([]float64, soundFFT/2+1)}
	var sum float64
	for i := range s.window {
		s.window[i] = 0.54 - 0.46*math.Cos(2*math.Pi*float64(i)/(soundFrame-1)) // Hamming
		sum += s.window[i] * s.window[i]
	}
	for i := range s.window {
		s.window[i] /= math.Sqrt(sum)
	}
	return s
}

// soundFrames returns how many frames so many samples have. What is left over at the end is left out, but a sound has one frame at least.
func soundFrames(samples int) int { return max(1, 1+(samples-soundFrame)/SoundHop) }

// logMel returns the logarithms of the filters' powers, [filter][frame], of samples that are multiplied by gain.
func (s *spectrograph) logMel(samples []float32, gain float64) []float32 {
	frames := soundFrames(len(samples))
	out := make([]float32, len(s.filters)*frames)
	for t := range frames {
		part := samples[t*SoundHop : min(t*SoundHop+soundFrame, len(samples))]
		clear(s.frame)
		for i, v := range part {
			s.frame[i] = float64(v) * gain * s.window[i]
		}
		s.spectrum = s.fft.Coefficients(s.spectrum, s.frame)
		for k, c := range s.spectrum {
			s.power[k] = real(c)*real(c) + imag(c)*imag(c)
		}
		for m, f := range s.filters {
			sum := melFloor
			for i, w := range f.weights {
				sum += w * s.power[f.first+i]
			}
			out[m*frames+t] = float32(math.Log(sum))
		}
	}
	return out
}
