package encoder

import (
	"fmt"
	"math"
	"sync"
)

// ModalityAudio is the modality of sounds.
const ModalityAudio = "audio"

// Limits of the features of sounds.
const (
	minMels = 8
	maxMels = 128
)

// DefaultMels is how many filters sounds are usually looked at with.
const DefaultMels = 40

const (
	trimDrop   = 30.0 // dB below the loudest 10 ms: what is quieter than this at both ends is cut off,
	trimMargin = 10   // but for so many times 10 ms, so that soft beginnings and endings stay
)

// soundDecoder decodes WAV, FLAC, MP3 and OGG: channels averaged, brought to SoundRate, quiet ends cut off, the level set to 1 (root mean square), then
// the logarithms of a mel spectrum. The features are as long as the sound: filters × frames × 1.
type soundDecoder struct {
	Preprocessing
	pool sync.Pool // of *spectrograph
}

func newSoundDecoder(p Preprocessing) Decoder {
	return &soundDecoder{Preprocessing: p, pool: sync.Pool{New: func() any { return newSpectrograph(p.Size.Height) }}}
}

func (d *soundDecoder) Decode(raw []byte) (Features, error) {
	f, _, err := d.decodeFrom(raw)
	return f, err
}

// decodeFrom is Decode, and tells how many samples at SoundRate were cut off before the first frame.
func (d *soundDecoder) decodeFrom(raw []byte) (f Features, first int, err error) {
	w, err := decodeSound(raw)
	if err != nil {
		return f, 0, err
	}
	samples := w.resample(SoundRate)
	if len(samples) < soundFrame {
		return f, 0, fmt.Errorf("%w: a sound of %.2g s: at least %g", ErrInput, float64(len(samples))/SoundRate, float64(soundFrame)/SoundRate)
	}
	samples, first = trim(samples)
	var sum, power float64
	for _, v := range samples {
		sum += float64(v)
		power += float64(v) * float64(v)
	}
	n := float64(len(samples))
	level := math.Sqrt(power / n)
	if change := math.Sqrt(max(0, power/n-sum/n*sum/n)); !(change > 1e-6) { // below the step of 16 bits
		return f, 0, fmt.Errorf("%w: a sound of %.2f s without anything to hear: its level is %.1g of full scale", ErrInput, float64(len(w.samples))/float64(w.rate), change)
	}
	s := d.pool.Get().(*spectrograph)
	defer d.pool.Put(s)
	f.Data = s.logMel(samples, 1/level)
	f.Shape = []int{d.Size.Height, len(f.Data) / d.Size.Height, 1}
	for i, v := range f.Data {
		f.Data[i] = (v - d.Mean[0]) / d.Deviation[0]
	}
	return f, first, nil
}

// trim cuts off what is quiet at both ends, and returns the place of the first sample that it keeps.
func trim(samples []float32) (kept []float32, from int) {
	n := (len(samples) + SoundHop - 1) / SoundHop
	energy := make([]float64, n)
	loudest := 0.0
	for i := range energy {
		for _, v := range samples[i*SoundHop : min((i+1)*SoundHop, len(samples))] {
			energy[i] += float64(v) * float64(v)
		}
		loudest = max(loudest, energy[i])
	}
	least := loudest * math.Pow(10, -trimDrop/10)
	first, last := 0, n-1
	for first < last && energy[first] < least {
		first++
	}
	for last > first && energy[last] < least {
		last--
	}
	from = max(0, first-trimMargin) * SoundHop
	return samples[from:min((last+1+trimMargin)*SoundHop, len(samples))], from
}
