package train

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/akin-search/akin/encoder"
)

// A trial trains on a few items for a short while with either preset, by SupCon, and asks which embedding names other items better. Short training
// favours what changes pictures little, so that leaving them as they are is no candidate: the presets differ in kind, not in amount.
const (
	trialItems  = 3000   // to train on, at most, and as many others to ask for
	leastTrial  = 500    // labelled items on either side, for a difference of the presets to be more than chance
	trialImages = 12_000 // shown in a trial, at most,
	trialShare  = 8      // and at most this part of what the run shows
	trialBatch  = 64     // rows: small batches make more steps of the same images
)

// preset is an augmentation with a name.
type preset struct {
	name string
	make func() Augmentation
}

// presets in the order of preference, where a trial finds no difference. Those of sounds and texts are not tried.
var (
	presets      = []preset{{"digits", Digits}, {"photos", Photos}}
	namedPresets = append(slices.Clone(presets), preset{"views", Views}, preset{"mild", Mild}, preset{"sounds", Sounds}, preset{"voices", Voices}, preset{"texts", Texts}, preset{"rows", Replaced})
)

// Names of augmentations besides those of the presets.
const (
	augmentAuto = "auto"
	augmentNone = "none"
)

// Photos returns amounts that suit pictures of things: mirrored left to right half of the time, and moved a little.
func Photos() Augmentation { return Augmentation{Flip: 0.5, Shift: 0.05} }

// Views returns the amounts of Digits and a light that is hardly ever right, for training on views alone: a stroke gets thinner or thicker by it, and cloth
// lighter or darker, which such training would otherwise tell items by. docs/decisions/0026-views-alone.md.
func Views() Augmentation {
	a := Digits()
	a.Gamma = 2
	return a
}

// Mild returns amounts that hardly change a picture, for one-class training: what is changed more is no longer normal.
func Mild() Augmentation {
	a := Augmentation{Shift: 0.05, Rotate: 5, Scale: 0.08, Elastic: 0.05}
	a.SetDefaults()
	return a
}

// ParseAugmentation returns the augmentation of a name: digits, photos, views, mild, sounds, voices, texts, rows, none, or auto, which is nil: Options chooses.
func ParseAugmentation(name string) (*Augmentation, error) {
	switch name {
	case augmentAuto:
		return nil, nil
	case augmentNone:
		return &Augmentation{}, nil
	}
	for _, p := range namedPresets {
		if p.name == name {
			a := p.make()
			return &a, nil
		}
	}
	return nil, fmt.Errorf("%w: augmentation %q: use %s", ErrOptions, name, AugmentationNames)
}

// AugmentationNames are what ParseAugmentation takes.
const AugmentationNames = "auto, digits, photos, views, mild, sounds, voices, texts, rows or none"

// String is the name of a, or "custom".
func (a Augmentation) String() string {
	if a.IsZero() {
		return augmentNone
	}
	a.SetDefaults()
	for _, p := range namedPresets {
		b := p.make()
		if b.SetDefaults(); a == b {
			return p.name
		}
	}
	return "custom"
}

// chooseAugmentation returns the preset that a short trial on the training items finds better. Where there is nothing to try by, it is mild for one-class
// training, photos of pictures looked at with more than 64 pixels, views for what learns from these alone, and else the first of those tried. It is
// as deterministic as the run.
func (r *run) chooseAugmentation(ctx context.Context) (*Augmentation, error) {
	first := presets[0].make()
	kind, _, err := r.choice()
	if err != nil {
		return nil, err
	}
	switch in := r.Network.Input; {
	case kind == LossOneClass:
		first = Mild()
	case max(in.Height, in.Width) > largestSide: // ink needs no more
		first = Photos()
	case kind.views():
		first = Views()
	}
	data, held, ok := r.trialSplit()
	if !ok {
		return &first, nil
	}
	best, highest := &first, -1.0
	for _, p := range presets {
		a := p.make()
		accuracy, err := r.trial(ctx, a, data, held)
		if err != nil {
			return nil, fmt.Errorf("trying augmentation %s: %w", p.name, err)
		}
		if r.Tried != nil {
			r.Tried(Tried{"augmentation " + p.name, measureKNN, accuracy})
		}
		if accuracy > highest {
			best, highest = &a, accuracy
		}
	}
	return best, nil
}

// trialSplit draws the items to train on and those to ask for.
func (r *run) trialSplit() (data, held []int, ok bool) {
	kind, err := ParseLoss(r.Loss)
	if err != nil || !kind.Labelled() {
		return nil, nil, false
	}
	var labelled []int
	for i, l := range r.data.Labels {
		if l != Unlabelled {
			labelled = append(labelled, i)
		}
	}
	if classes, _ := itemsByClass(r.data.Labels); len(classes) < 2 {
		return nil, nil, false
	}
	n := min(trialItems, len(labelled)/2)
	if n < leastTrial {
		return nil, nil, false
	}
	rng := rand.New(rand.NewPCG(r.Seed, 0x747269616c)) // "trial"
	rng.Shuffle(len(labelled), func(i, j int) { labelled[i], labelled[j] = labelled[j], labelled[i] })
	return labelled[:n], labelled[n : 2*n], true
}

// trial trains on some of the items for a while and returns the kNN accuracy of others.
func (r *run) trial(ctx context.Context, a Augmentation, data, held []int) (float64, error) {
	images := min(trialImages, r.Epochs*r.data.Len()/trialShare)
	o := Options{Network: r.Network, Loss: LossSupCon.String(), Batch: trialBatch, Epochs: max(1, images/len(data)), Augmentation: &a, Variants: VariantsNone,
		Seed: r.Seed, Precision: r.Precision, Threads: r.Threads}
	t := &run{modality: r.modality, pre: r.pre, around: r.around, began: r.began}
	pick := func(items []int) (d Dataset, f []encoder.Features) {
		for _, i := range items {
			f = append(f, r.features[i])
		}
		return r.data.Subset(items), f
	}
	t.data, t.features = pick(data)
	t.validation, t.held = pick(held)
	o.setDefaultsFor(t.data, r.pre.Size)
	t.Options = o
	if err := t.run(ctx); errors.Is(err, ErrDiverged) || errors.Is(err, ErrCollapsed) {
		return 0, nil // it lost
	} else if err != nil {
		return 0, err
	}
	return t.lastEpoch().Validation, nil
}
