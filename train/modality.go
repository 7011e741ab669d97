package train

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/akin-search/akin/encoder"
)

// modality is what is particular to a kind of data when it is trained on: a new kind is a new entry of modalities, and one of package encoder.
type modality struct {
	name      string
	is        func(raw []byte) bool                                                                                                 // by its first bytes; nil: what is nothing else
	inspect   func(Dataset) (encoder.Preprocessing, error)                                                                          // chooses the size of the features, and what else a decoder needs
	measured  bool                                                                                                                  // features are brought to mean 0 and deviation 1, a channel
	choose    func(context.Context, Dataset, Options, encoder.Preprocessing) (encoder.Preprocessing, error)                         // chooses between ways to look at the items; nil: there is one
	suit      func(*Options, encoder.Preprocessing) error                                                                           // fills in what the modality decides, and refuses what goes with another one
	viewer    func(Options, encoder.Preprocessing, []float32) viewer                                                                // makes the views that are trained on; the last are the values around
	network   func(*Options, encoder.Size) encoder.Network                                                                          // where none is given
	around    func(encoder.Preprocessing, []encoder.Features) []float32                                                             // what surrounds an item, a value a channel; of rows, other rows; nil: nothing does
	shifts    func(encoder.Preprocessing, []float32) []shift                                                                        // of one-class training; nil: none is known
	start     func(p encoder.Preprocessing, n encoder.Network, weights [][]float32, features []encoder.Features, seed uint64) error // sets weights by the items, before the first step; may be nil
	finish    func(r *run, ctx context.Context, weights [][]float32) error                                                          // changes the weights of a run that is done; may be nil
	floor     bool                                                                                                                  // what the weights at the start make is a baseline, which no model is to be worse than
	dimension int                                                                                                                   // of the embedding, where none is given
	baseline  baseline                                                                                                              // what its models are compared with
}

var (
	pictures = &modality{name: encoder.ModalityImage, inspect: inspectPictures, measured: true, around: aroundPictures, suit: (*Options).suitPictures,
		viewer: pictureViews, shifts: pictureShifts, network: pictureNetwork, finish: (*run).finishPictures, dimension: 64,
		baseline: baseline{"pixels", pixelVectors}}
	sounds = &modality{name: encoder.ModalityAudio, is: isSound, inspect: inspectSounds, measured: true, around: aroundSounds, suit: (*Options).suitSounds,
		viewer: soundViews, shifts: soundShifts, network: soundNetwork, dimension: 64,
		baseline: baseline{"MFCC statistics", cepstrumVectors}}
	rowsOf = &modality{name: encoder.ModalityTable, is: encoder.IsRow, inspect: inspectTable, around: otherRows, suit: (*Options).suitRows,
		viewer: rowViews, network: rowNetwork, shifts: rowShifts, start: startRows, finish: (*run).finishRows, floor: true, dimension: 64,
		baseline: baseline{"scaled features", featureVectors}}
)

// modalities are all of them; the first is that of items that are none of the others, whose decoder says what they are not.
var modalities = []*modality{pictures, sounds, rowsOf, texts}

// Modalities are what Options.Modality takes.
var Modalities = func() (names []string) {
	for _, m := range modalities {
		names = append(names, m.name)
	}
	return names
}()

// modalityNamed returns the modality of a name; "" is that of pictures.
func modalityNamed(name string) (*modality, error) {
	for _, m := range modalities {
		if m.name == name || name == "" {
			return m, nil
		}
	}
	return nil, fmt.Errorf("%w: modality %q: use %s, or leave it out", ErrOptions, name, quoteList(Modalities))
}

// modalityOf returns what most of the items looked at are.
func modalityOf(d Dataset) (string, error) {
	count, seen := make([]int, len(modalities)), 0
	for i := 0; i < d.Len(); i += max(1, d.Len()/inspected) {
		seen++
		raw, err := d.Item(i)
		if err != nil {
			return "", err
		}
		for k, m := range modalities {
			if m.is != nil && m.is(raw) {
				count[k]++
				break
			}
		}
	}
	for k, n := range count {
		if 2*n > seen {
			return modalities[k].name, nil
		}
	}
	return modalities[0].name, nil
}

// inspect finds what the items are, unless modality says it, and chooses the size of their features.
func inspect(d Dataset, name string) (encoder.Preprocessing, error) {
	if name == "" {
		var err error
		if name, err = modalityOf(d); err != nil {
			return encoder.Preprocessing{}, err
		}
	}
	m, err := modalityNamed(name)
	if err != nil {
		return encoder.Preprocessing{}, err
	}
	return m.inspect(d)
}

// aroundSounds returns silence.
func aroundSounds(p encoder.Preprocessing, _ []encoder.Features) []float32 { return p.Background() }

func isSound(raw []byte) bool { return encoder.SoundFormat(raw) != "" }

const (
	shortestInput, longestInput = 32, 96 // frames of the network's input for sounds: 0.3 to 1 s
	inputStep                   = 8      // the default network halves three times
	longSounds                  = 0.9    // share of the sounds that the input is to hold whole
)

// inspectSounds chooses how many frames of a sound the network sees at once: enough for nine sounds of ten, and a second at most; of long
// sounds voiceInput, which is more.
func inspectSounds(d Dataset) (encoder.Preprocessing, error) {
	p := encoder.Preprocessing{Modality: encoder.ModalityAudio, Size: encoder.Size{Height: encoder.DefaultMels, Width: longestInput, Channels: 1}}
	decoder, err := inUnits(p).Decoder()
	if err != nil {
		return p, err
	}
	var frames []int
	for i := 0; i < d.Len(); i += max(1, d.Len()/inspected) {
		raw, err := d.Item(i)
		if err != nil {
			return p, err
		}
		if f, err := decoder.Decode(raw); err == nil { // Decode reports it
			frames = append(frames, f.Shape[1])
		}
	}
	if len(frames) == 0 {
		return p, fmt.Errorf("%w: none of the items looked at is a sound of %s", ErrDataset, encoder.SoundFormats)
	}
	slices.Sort(frames)
	long := frames[int(math.Ceil(longSounds*float64(len(frames))))-1]
	p.Size.Width = min(longestInput, max(shortestInput, (long+inputStep-1)/inputStep*inputStep))
	if frames[len(frames)/2] >= leastVoice {
		p.Size.Width = voiceInput
	}
	return p, nil
}

func (o *Options) suitPictures(encoder.Preprocessing) error {
	if o.Voices != nil {
		return fmt.Errorf("%w: voices are for sounds: leave them out", ErrOptions)
	}
	if o.Augmentation != nil && (o.Augmentation.Sound != (Sound{}) || o.Augmentation.Words != (Words{}) || o.Augmentation.Replace != 0) {
		return fmt.Errorf("%w: augmentation %v is not for pictures, which these are: use auto, digits, photos, views, mild or none", ErrOptions, o.Augmentation)
	}
	return nil
}

func (o *Options) suitSounds(p encoder.Preprocessing) error {
	size := p.Size
	o.Modality = encoder.ModalityAudio
	switch {
	case o.Size != 0 && o.Base == nil:
		return fmt.Errorf("%w: size %d is for pictures: leave it out, sounds are taken as long as they are", ErrOptions, o.Size)
	case o.Variants != "" && o.Variants != VariantsNone:
		return fmt.Errorf("%w: variants %s are of pictures: leave them out", ErrOptions, o.Variants)
	case o.Robust != nil:
		return fmt.Errorf("%w: robust is for pictures: leave it out, noise is part of the augmentation of sounds", ErrOptions)
	case o.Augmentation == nil:
		a := Sounds()
		if isVoices(size) {
			a = Voices()
		}
		o.Augmentation = &a
	case *o.Augmentation != Augmentation{Sound: o.Augmentation.Sound}:
		return fmt.Errorf("%w: augmentation %v is not for sounds: use auto, sounds, voices or none", ErrOptions, o.Augmentation)
	}
	if isVoices(size) {
		set(&o.Dimension, voiceDimension)
	}
	return nil
}

func pictureNetwork(o *Options, size encoder.Size) encoder.Network {
	if o.oneClass() {
		return encoder.Light(size, o.Dimension)
	}
	if o.Augmentation.Flip > 0 && max(size.Height, size.Width) <= widest { // photographs have more to learn than ink
		return encoder.Wide(size, o.Dimension)
	}
	return encoder.Default(size, o.Dimension)
}

func pictureViews(o Options, p encoder.Preprocessing, around []float32) viewer {
	return newPictureViewer(*o.Augmentation, o.Robust, p, around)
}

func soundViews(o Options, p encoder.Preprocessing, _ []float32) viewer {
	return newSoundViewer(o.Augmentation.Sound, p)
}

func soundNetwork(o *Options, size encoder.Size) encoder.Network {
	if o.oneClass() {
		return encoder.ForVoices(size, o.Dimension, memberFilters)
	}
	if isVoices(size) {
		filters := voiceFilters
		if o.Members > 1 {
			filters = memberFilters
		}
		return encoder.ForVoices(size, o.Dimension, filters)
	}
	return encoder.ForSounds(size, o.Dimension)
}
