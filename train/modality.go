package train

import (
	"fmt"
	"math"
	"slices"

	"github.com/akin-search/akin/encoder"
)

// Modalities are what Options.Modality takes.
var Modalities = []string{encoder.ModalityImage, encoder.ModalityAudio}

// modalityOf returns what most of the items looked at are; those that are nothing known count for pictures, whose decoder says what they are not.
func modalityOf(d Dataset) string {
	sounds, seen := 0, 0
	for i := 0; i < d.Len(); i += max(1, d.Len()/inspected) {
		seen++
		if encoder.SoundFormat(d.Raw[i]) != "" {
			sounds++
		}
	}
	if 2*sounds > seen {
		return encoder.ModalityAudio
	}
	return encoder.ModalityImage
}

const (
	shortestInput, longestInput = 32, 96 // frames of the network's input for sounds: 0.3 to 1 s
	inputStep                   = 8      // the default network halves three times
	longSounds                  = 0.9    // share of the sounds that the input is to hold whole
)

// inspectSounds chooses how many frames of a sound the network sees at once: enough for nine sounds of ten, and a second at most.
func inspectSounds(d Dataset) (encoder.Preprocessing, error) {
	p := encoder.Preprocessing{Modality: encoder.ModalityAudio, Size: encoder.Size{Height: encoder.DefaultMels, Width: longestInput, Channels: 1}}
	decoder, err := inUnits(p).Decoder()
	if err != nil {
		return p, err
	}
	var frames []int
	for i := 0; i < d.Len(); i += max(1, d.Len()/inspected) {
		if f, err := decoder.Decode(d.Raw[i]); err == nil { // Decode reports it
			frames = append(frames, f.Shape[1])
		}
	}
	if len(frames) == 0 {
		return p, fmt.Errorf("%w: none of the items looked at is a sound of %s", ErrDataset, encoder.SoundFormats)
	}
	slices.Sort(frames)
	long := frames[int(math.Ceil(longSounds*float64(len(frames))))-1]
	p.Size.Width = min(longestInput, max(shortestInput, (long+inputStep-1)/inputStep*inputStep))
	return p, nil
}

// suit fills in what the modality decides, and refuses what goes with another one.
func (o *Options) suit(p encoder.Preprocessing) error {
	if p.Modality != encoder.ModalityAudio {
		if o.Augmentation != nil && o.Augmentation.Sound != (Sound{}) {
			return fmt.Errorf("%w: augmentation %v is for sounds, and these are pictures: use auto, digits, photos or none", ErrOptions, o.Augmentation)
		}
		return nil
	}
	o.Modality = p.Modality
	switch {
	case o.Size != 0 && o.Base == nil:
		return fmt.Errorf("%w: size %d is for pictures: leave it out, sounds are taken as long as they are", ErrOptions, o.Size)
	case o.Rotations:
		return fmt.Errorf("%w: rotations are for pictures: leave them out", ErrOptions)
	case o.Robust != nil:
		return fmt.Errorf("%w: robust is for pictures: leave it out, noise is part of the augmentation of sounds", ErrOptions)
	case o.Augmentation == nil:
		a := Sounds()
		o.Augmentation = &a
	case *o.Augmentation != Augmentation{Sound: o.Augmentation.Sound}:
		return fmt.Errorf("%w: augmentation %v is for pictures, and these are sounds: use auto, sounds or none", ErrOptions, o.Augmentation)
	}
	return nil
}
