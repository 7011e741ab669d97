package encoder

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ErrInput is wrapped by every error about raw bytes that cannot be decoded.
var ErrInput = errors.New("input cannot be decoded")

// Features is one item, ready for the network. Shape is Height, Width, Channels for an image, and filters, frames, 1 for a sound, and 1, entries, 4
// for a text, which are as long as they are: an Encoder embeds crops of them.
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
	Modality  string    `json:"modality"` // "image", "audio", "text" or "table"
	Size      Size      `json:"size"`     // of the network's input: 1 channel is grey, 3 are red, green and blue; mel filters × frames × 1 of a sound; 1 × entries × 4 of a text
	Mean      []float32 `json:"mean"`
	Deviation []float32 `json:"deviation"`
	Fit       Fit       `json:"fit,omitempty"`   // of pictures of another size
	Text      *Text     `json:"text,omitempty"`  // of texts
	Table     *Table    `json:"table,omitempty"` // of rows, whose features are as many channels
}

// ModalityImage is the modality of pictures.
const ModalityImage = "image"

// modality is what is particular to a kind of data: a new kind is a new entry of modalities, one of package train, and an optional part of
// Preprocessing where it has settings of its own.
type modality struct {
	name     string
	validate func(Preprocessing) error                // reports the first value that is missing or out of range
	decoder  func(Preprocessing) Decoder              // of valid settings
	fits     func(Preprocessing, Features) bool       // whether Features can come from such a decoder
	parts    func(Preprocessing, Features) []Features // what of an item goes through the network, one after the other; nil: the features as they are
}

var modalities = []*modality{
	{name: ModalityImage, validate: Preprocessing.validateImage, decoder: newImageDecoder, fits: Preprocessing.fitsImage},
	{name: ModalityAudio, validate: Preprocessing.validateSound, decoder: newSoundDecoder, fits: Preprocessing.fitsSound, parts: Preprocessing.crops},
	{name: ModalityTable, validate: Preprocessing.validateTable, decoder: newTableDecoder, fits: Preprocessing.fitsImage},
	{name: ModalityText, validate: Preprocessing.validateText, decoder: newTextDecoder, fits: Preprocessing.fitsText, parts: Preprocessing.textParts},
}

// modality returns that of p.
func (p Preprocessing) modality() (*modality, error) {
	var names []string
	for _, m := range modalities {
		if m.name == p.Modality {
			return m, nil
		}
		names = append(names, strconv.Quote(m.name))
	}
	return nil, fmt.Errorf("%w: modality %q: use %s", ErrSpec, p.Modality, strings.Join(names, " or "))
}

// Validate reports the first value that is missing or out of range.
func (p Preprocessing) Validate() error {
	m, err := p.modality()
	if err != nil {
		return err
	}
	return m.validate(p)
}

// validateSound is Validate of sounds.
func (p Preprocessing) validateSound() error {
	if p.Size.Height < minMels || p.Size.Height > maxMels || p.Size.Width < 1 || p.Size.Width > MaxSide || p.Size.Channels != 1 {
		return fmt.Errorf("%w: sounds of %d filters, %d frames and %d channels: use %d to %d filters, 1 to %d frames, and 1 channel",
			ErrSpec, p.Size.Height, p.Size.Width, p.Size.Channels, minMels, maxMels, MaxSide)
	}
	return p.validateImage()
}

// validateImage is Validate of pictures.
func (p Preprocessing) validateImage() error {
	if p.Size.Height < 1 || p.Size.Height > MaxSide || p.Size.Width < 1 || p.Size.Width > MaxSide {
		return fmt.Errorf("%w: features of %d×%d pixels: each side must be 1 to %d", ErrSpec, p.Size.Height, p.Size.Width, MaxSide)
	}
	if p.Size.Channels != 1 && p.Size.Channels != 3 {
		return fmt.Errorf("%w: images of %d channels: use 1 (grey) or 3 (colour)", ErrSpec, p.Size.Channels)
	}
	if p.Fit < 0 || int(p.Fit) >= len(fitNames) {
		return fmt.Errorf("%w: fit %v: use %s", ErrSpec, p.Fit, FitNames())
	}
	return p.validateScale()
}

// validateScale reports means and deviations that do not suit the channels.
func (p Preprocessing) validateScale() error {
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
	m, err := p.modality()
	if err == nil {
		err = m.validate(p)
	}
	if err != nil {
		return nil, err
	}
	return m.decoder(p), nil
}

// newImageDecoder returns the decoder of pictures.
func newImageDecoder(p Preprocessing) Decoder {
	d := &imageDecoder{Preprocessing: p}
	for c := range p.Mean {
		for v := range 256 {
			d.value = append(d.value, (float32(v)/255-p.Mean[c])/p.Deviation[c])
		}
	}
	return d
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
