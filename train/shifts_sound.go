package train

import (
	"math/rand/v2"
	"slices"

	"github.com/akin-search/akin/encoder"
)

// Amounts of the shifts of sounds.
const (
	leastPitch, mostPitch = 1.1, 1.3 // times as high, or as low
	leastTilt, mostTilt   = 8, 20    // dB, of each of the two curves together: more than the views of an item differ by
)

// soundShifts are those of log-mel features, [mel][frame]: played backwards (Tack et al. 2020's turn by 180 degrees, of the time alone), another pitch and vocal
// tract (as in voices, where that is another speaker), other loudness of high and low, as through a wall, and, as of pictures, a rectangle of time and
// pitch that is silent or comes from elsewhere in the sound.
func soundShifts(p encoder.Preprocessing, around []float32) []shift {
	mels := p.Size.Height
	size := func(src []float32) encoder.Size {
		return encoder.Size{Height: mels, Width: len(src) / mels, Channels: 1}
	}
	return []shift{
		{"reverse", true, func(dst, src []float32, _ *rand.Rand) { reverse(dst, src, mels) }},
		{"pitch", false, func(dst, src []float32, rng *rand.Rand) {
			factor := leastPitch + (mostPitch-leastPitch)*rng.Float64()
			if rng.IntN(2) == 0 {
				factor = 1 / factor
			}
			warpMels(dst, src, encoder.WarpedFilters(mels, factor))
		}},
		{"tilt", false, func(dst, src []float32, rng *rand.Rand) {
			copy(dst, src)
			equalize(dst, mels, around[0], decibel(p), 0, drawTilt(rng)/2, drawTilt(rng)/2)
		}},
		{"cutpaste", false, func(dst, src []float32, rng *rand.Rand) { cutPaste(dst, src, size(src), rng) }},
		{"blank", false, func(dst, src []float32, rng *rand.Rand) { blank(dst, src, around, size(src), rng) }},
	}
}

// reverse turns the time around.
func reverse(dst, src []float32, mels int) {
	copy(dst, src)
	for row := range slices.Chunk(dst, len(dst)/mels) {
		slices.Reverse(row)
	}
}

// drawTilt draws dB, up or down.
func drawTilt(rng *rand.Rand) float64 {
	tilt := leastTilt + (mostTilt-leastTilt)*rng.Float64()
	if rng.IntN(2) == 0 {
		return -tilt
	}
	return tilt
}
