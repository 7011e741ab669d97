package encoder

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// ErrInput is wrapped by every error about raw bytes that cannot be decoded.
var ErrInput = errors.New("input cannot be decoded")

// Features is one item, ready for the network. Shape is Height, Width, Channels for an image, and filters, frames, 1 for a sound, which is as
// long as it is: an Encoder embeds crops of it.
type Features struct {
	Data  []float32
	Shape []int
}

// Decoder makes features of raw bytes. It is safe for concurrent use.
type Decoder interface {
	Decode(raw []byte) (Features, error)
}

// Preprocessing says, as data, how raw bytes become features. The values of channel c of an image are (v/255 - Mean[c]) / Deviation[c]
// for v from 0 to 255; those of a sound are (v - Mean[0]) / Deviation[0] for v the natural logarithm of a filter's power.
type Preprocessing struct {
	Modality  string    `json:"modality"` // "image" or "audio"
	Size      Size      `json:"size"`     // of the network's input: 1 channel is grey, 3 are red, green and blue; mel filters × frames × 1 of a sound
	Mean      []float32 `json:"mean"`
	Deviation []float32 `json:"deviation"`
	Fit       Fit       `json:"fit,omitempty"` // of pictures of another size
}

// ModalityImage is the modality of pictures.
const ModalityImage = "image"

// Validate reports the first value that is missing or out of range.
func (p Preprocessing) Validate() error {
	if p.Modality != ModalityImage && p.Modality != ModalityAudio {
		return fmt.Errorf("%w: modality %q: use %q or %q", ErrSpec, p.Modality, ModalityImage, ModalityAudio)
	}
	if p.Modality == ModalityAudio && (p.Size.Height < minMels || p.Size.Height > maxMels || p.Size.Width < 1 || p.Size.Width > MaxSide || p.Size.Channels != 1) {
		return fmt.Errorf("%w: sounds of %d filters, %d frames and %d channels: use %d to %d filters, 1 to %d frames, and 1 channel",
			ErrSpec, p.Size.Height, p.Size.Width, p.Size.Channels, minMels, maxMels, MaxSide)
	}
	if p.Size.Height < 1 || p.Size.Height > MaxSide || p.Size.Width < 1 || p.Size.Width > MaxSide {
		return fmt.Errorf("%w: features of %d×%d pixels: each side must be 1 to %d", ErrSpec, p.Size.Height, p.Size.Width, MaxSide)
	}
	if p.Size.Channels != 1 && p.Size.Channels != 3 {
		return fmt.Errorf("%w: images of %d channels: use 1 (grey) or 3 (colour)", ErrSpec, p.Size.Channels)
	}
	if p.Fit < 0 || int(p.Fit) >= len(fitNames) {
		return fmt.Errorf("%w: fit %v: use %s", ErrSpec, p.Fit, strings.Join(fitNames, " or "))
	}
	if len(p.Mean) != p.Size.Channels || len(p.Deviation) != p.Size.Channels {
		return fmt.Errorf("%w: %d means and %d deviations for %d channels", ErrSpec, len(p.Mean), len(p.Deviation), p.Size.Channels)
	}
	for c := range p.Mean {
		m, d := float64(p.Mean[c]), float64(p.Deviation[c])
		if math.IsNaN(m) || math.IsInf(m, 0) || !(d > 0) || math.IsInf(d, 0) {
			return fmt.Errorf("%w: channel %d has mean %g and deviation %g: the mean must be finite and the deviation above 0", ErrSpec, c, m, d)
		}
	}
	return nil
}

// Decoder returns the decoder that p describes.
func (p Preprocessing) Decoder() (Decoder, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if p.Modality == ModalityAudio {
		return newSoundDecoder(p), nil
	}
	d := &imageDecoder{Preprocessing: p}
	for c := range p.Mean {
		for v := range 256 {
			d.value = append(d.value, (float32(v)/255-p.Mean[c])/p.Deviation[c])
		}
	}
	return d, nil
}

// Background returns the features of black, a value a channel: what surrounds an image that does not fill the frame. Of a sound it is
// silence.
func (p Preprocessing) Background() []float32 {
	if p.Modality == ModalityAudio {
		return []float32{(float32(math.Log(melFloor)) - p.Mean[0]) / p.Deviation[0]}
	}
	black := make([]float32, len(p.Mean))
	for c := range black {
		black[c] = (0 - p.Mean[c]) / p.Deviation[c]
	}
	return black
}
