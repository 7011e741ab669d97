package train

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/akin-search/akin/encoder"
)

var texts = &modality{name: encoder.ModalityText, is: isText, inspect: inspectTexts, suit: (*Options).suitTexts, viewer: textViews,
	network: func(o *Options, _ encoder.Size) encoder.Network { return o.Network }, // of suitTexts
	start:   startTexts, floor: true, dimension: textDimension, baseline: baseline{"TF-IDF", tfidfVectors}}

func init() { texts.choose = chooseGrams } // whose trials look modalities up

const (
	textDimension = 256  // at 128 the table's random directions are less alike TF-IDF, and classes are told apart less well
	textSteps     = 400  // of all epochs, where these are more than 5: rows of words are learned sooner than networks
	textRate      = 1e-2 // peak, at 256 rows a step: each row of the table moves in few of the steps
	classRate     = 3e-2 // the same of supcon, with
	classWarmth   = 0.05 // its temperature: docs/decisions/0020-texts.md
	viewRate      = 7e-4 // the same of ntxent, with
	viewWarmth    = 0.3  // its temperature: more moves texts that are alike from each other
	entryStep     = 32   // the network's input holds a multiple of so many entries,
	leastEntries  = 64   // so many at least,
	longTexts     = 0.98 // and this share of the texts whole, where that is not too much
)

// Words says how far a text may be changed at random. A view of a long text is always a part of it that fills the network's input.
type Words struct {
	Drop float32 `json:"drop,omitempty"` // chance that a word is left out, with all that it is part of, 0 to 0.9
	Thin float32 `json:"thin,omitempty"` // chance that a word, a pair or a run of characters is left out by itself, 0 to 0.9
}

// Texts returns amounts that suit texts: of each word, pair and run of characters that is looked at, nearly a third is left out by chance. That blurs a
// text more evenly than leaving out whole words does; docs/decisions/0020-texts.md.
func Texts() Augmentation { return Augmentation{Words: Words{Thin: 0.3}} }

// isText reports whether the first bytes of an item are those of a text.
func isText(raw []byte) bool { return encoder.IsText(raw) }

// grams are what a trial chooses from, the first unless another does better.
var grams = []encoder.Grams{
	{Shortest: 3, Longest: 5},
	{Gap: 8},
	{Gap: 1, Shortest: 3, Longest: 5},
}

// inspectTexts looks at words and runs of characters, and counts them.
func inspectTexts(d Dataset) (encoder.Preprocessing, error) { return preprocessTexts(d, grams[0]) }

// preprocessTexts counts what is looked at, and chooses how many entries the network takes at once: enough for nearly all texts.
func preprocessTexts(d Dataset, g encoder.Grams) (encoder.Preprocessing, error) {
	p := encoder.Preprocessing{Modality: encoder.ModalityText, Size: encoder.Size{Height: 1, Width: encoder.MaxSide, Channels: encoder.TextFields}}
	var failed error
	all := func(yield func([]byte) bool) {
		for i := range d.Len() {
			raw, err := d.Item(i)
			if err != nil {
				failed = err
				return
			}
			if !yield(raw) {
				return
			}
		}
	}
	t, err := encoder.NewText(g, all)
	if failed != nil {
		return p, failed
	}
	if err != nil {
		return p, fmt.Errorf("%w: %w", ErrDataset, err)
	}
	p.Text = t
	decoder, err := p.Decoder()
	if err != nil {
		return p, err
	}
	var entries []int
	for i := 0; i < d.Len(); i += max(1, d.Len()/measured) {
		raw, err := d.Item(i)
		if err != nil {
			return p, err
		}
		if f, err := decoder.Decode(raw); err == nil { // Decode reports it
			entries = append(entries, f.Shape[1])
		}
	}
	if len(entries) == 0 {
		return p, fmt.Errorf("%w: none of the items looked at is a text", ErrDataset)
	}
	slices.Sort(entries)
	long := entries[int(longTexts*float64(len(entries)-1))]
	p.Size.Width = min(encoder.MaxSide, max(leastEntries, (long+entryStep-1)/entryStep*entryStep))
	return p, nil
}

// suitTexts is suit of texts: their network is a table with a row for each word and whatever else is looked at.
func (o *Options) suitTexts(p encoder.Preprocessing) error {
	o.Modality = encoder.ModalityText
	switch {
	case o.Size != 0 && o.Base == nil:
		return fmt.Errorf("%w: size %d is for pictures: leave it out, texts are taken as long as they are", ErrOptions, o.Size)
	case o.Variants != "" && o.Variants != VariantsNone:
		return fmt.Errorf("%w: variants %s are of pictures: leave them out", ErrOptions, o.Variants)
	case o.Voices != nil:
		return fmt.Errorf("%w: voices are for sounds: leave them out", ErrOptions)
	case o.Robust != nil:
		return fmt.Errorf("%w: robust is for pictures: leave it out, words are left out of texts as it is", ErrOptions)
	case o.Augmentation == nil:
		a := Texts()
		o.Augmentation = &a
	case *o.Augmentation != Augmentation{Words: o.Augmentation.Words}:
		return fmt.Errorf("%w: augmentation %v is not for texts: use auto, texts or none", ErrOptions, o.Augmentation)
	}
	set(&o.Dimension, textDimension)
	if o.Network.Layers == nil {
		o.Network = encoder.ForTexts(p, o.Dimension)
	}
	return nil
}

// suitTextLoss sets the rate, and the temperature of supcon and ntxent.
func (o *Options) suitTextLoss(loss LossKind) {
	rate := textRate
	switch loss {
	case LossSupCon:
		rate = classRate
		set(&o.Temperature, classWarmth)
	case LossNTXent:
		rate = viewRate
		set(&o.Temperature, viewWarmth)
	}
	if o.Optimizer == "" {
		set(&o.Rate, rate*math.Sqrt(float64(o.Batch*o.batchesAStep())/256))
	}
}

// startTexts makes the network one of TF-IDF, see encoder.Vocabulary.Table.
func startTexts(p encoder.Preprocessing, n encoder.Network, weights [][]float32, _ []encoder.Features, _ uint64) error {
	dimension, err := n.Dimension()
	if table := p.Text.Table(dimension); err == nil && len(table) == len(weights[0]) {
		copy(weights[0], table)
	}
	return err
}

// textViewer makes views of texts.
type textViewer struct {
	Words
	pre     encoder.Preprocessing
	dropped []bool // words of the text in work
}

func textViews(o Options, p encoder.Preprocessing, _ []float32) viewer {
	return &textViewer{Words: o.Augmentation.Words, pre: p}
}

// Apply implements viewer: src has any number of entries.
func (v *textViewer) Apply(dst, src []float32, rng *rand.Rand) {
	f := encoder.Features{Data: src, Shape: []int{1, len(src) / encoder.TextFields, encoder.TextFields}}
	words, first := v.pre.Words(f), 0
	if len(src) > len(dst) {
		first = rng.IntN(v.pre.LastPart(f) + 1)
	}
	v.dropped = v.dropped[:0]
	for range words {
		v.dropped = append(v.dropped, v.Drop != 0 && rng.Float32() < v.Drop)
	}
	v.pre.View(dst, f, first, func(e []float32) bool {
		return v.dropped[int(e[2])] || v.dropped[int(e[3])] || v.Thin != 0 && rng.Float32() < v.Thin
	})
}
