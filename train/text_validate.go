package train

import (
	"cmp"
	"context"
	"fmt"

	"github.com/akin-search/akin/encoder"
)

// What validation measures; see Record.Measure.
const (
	measureKNN     = "kNN"
	measurePearson = "Pearson"
	measureAUROC   = "pair AUROC"
)

// MeasureName is Measure, or kNN where that is "".
func (r Record) MeasureName() string { return cmp.Or(r.Measure, measureKNN) }

// measured returns what validate measures.
func (r *run) measured() string {
	switch {
	case len(r.pairs) == 0 || len(r.validation.Pairs) == 0:
		return measureKNN
	case graded(r.validation.Pairs):
		return measurePearson
	}
	return measureAUROC
}

// validatePairs returns what the cosines of the validation pairs say of their scores: Pearson's correlation where these are graded, else the area
// under the ROC; -1 where there is one kind only.
func (r *run) validatePairs(ctx context.Context, weights [][]float32) (float64, error) {
	e, err := r.encoder(weights)
	if err != nil {
		return 0, err
	}
	emb, err := EncodeFeatures(ctx, e, r.held)
	if err != nil {
		return 0, err
	}
	cosines, scores := pairCosines(emb, r.validation.IDs, WithUnlike(r.validation.IDs, r.validation.Pairs))
	if len(cosines) == 0 {
		return -1, nil
	}
	if r.measured() == measurePearson {
		return correlation(cosines, scores), nil
	}
	sides := [2][]float64{}
	for i, s := range scores {
		sides[int(s)] = append(sides[int(s)], cosines[i])
	}
	if len(sides[0]) == 0 || len(sides[1]) == 0 {
		return -1, nil
	}
	return AUROC(sides[0], sides[1])
}

// noWorse returns the weights of a model: those trained, or those before where they are a baseline that validation finds better, or of texts that are all of one
// class: what is done to these by pushing them apart makes others no stranger, docs/decisions/0020-texts.md.
func (r *run) noWorse(ctx context.Context, trained [][]float32, rec *Record) ([][]float32, error) {
	if r.keepStart {
		rec.Untrained = true
		return r.initialWeights()
	}
	if !r.modality.floor || r.validation.Len() == 0 || r.oneClass() { // labels do not count there
		return trained, nil
	}
	if m := r.measured(); m != measureKNN {
		rec.Measure = m
	}
	first, err := r.initialWeights()
	if err != nil {
		return nil, err
	}
	before, err := r.validate(ctx, first)
	if err != nil || before <= -1 {
		return trained, err
	}
	after, err := r.validate(ctx, trained)
	if err != nil {
		return nil, err
	}
	rec.Before = &before
	if rec.Untrained = after < before; rec.Untrained {
		return first, nil
	}
	return trained, nil
}

// A trial of what is looked at of texts trains on a few and asks for others.
const (
	leastTextTrial = 200  // items with a label, or pairs
	mostTextTrial  = 3000 // items to train on
	textTrialShare = 0.3  // of the items, to ask for
	textTrials     = 3    // times through them
)

// chooseGrams returns the preprocessing of what a short trial finds best to look at; p, which is of the first of grams, where there is too little to
// try by. It is as deterministic as the run.
func chooseGrams(ctx context.Context, data Dataset, o Options, p encoder.Preprocessing) (encoder.Preprocessing, error) {
	part, held, ok := trialTexts(data, o)
	if !ok {
		return p, nil
	}
	best, highest := p.Text.Grams, -1.0
	for _, g := range grams {
		value, measure, err := tryGrams(ctx, g, part, held, o)
		if err != nil {
			return p, fmt.Errorf("trying to look at %v: %w", g, err)
		}
		if o.Tried != nil {
			o.Tried(Tried{g.String(), measure, value})
		}
		if value > highest {
			best, highest = g, value
		}
	}
	return preprocessTexts(data, best)
}

// trialTexts splits data for a trial.
func trialTexts(data Dataset, o Options) (part, held Dataset, ok bool) {
	var items []int
	for i, l := range data.Labels {
		if l != Unlabelled || len(data.Pairs) > 0 {
			items = append(items, i)
		}
	}
	if classes, _ := itemsByClass(data.Labels); len(data.Pairs) < leastTextTrial && (len(items) < leastTextTrial || len(classes) < 2) {
		return part, held, false
	}
	if kind, err := ParseLoss(o.Loss); o.Loss != "" && (err != nil || !kind.Labelled() && kind != LossPairs) {
		return part, held, false
	}
	data = data.Subset(items)
	if share := float64(mostTextTrial) / float64(data.Len()) / (1 - textTrialShare); share < 1 {
		_, some, err := data.Split(share, o.Seed^0x7465787473) // "texts"
		if err != nil {
			return part, held, false
		}
		data = some
	}
	part, held, err := data.Split(textTrialShare, o.Seed^0x747269616c) // "trial"
	return part, held, err == nil && (len(data.Pairs) == 0 || len(held.Pairs) > 0)
}

// tryGrams trains on a part of the texts for a while and returns what validation says of the others.
func tryGrams(ctx context.Context, g encoder.Grams, part, held Dataset, o Options) (value float64, measure string, err error) {
	p, err := preprocessTexts(part, g)
	if err != nil {
		return 0, "", err
	}
	t := Options{Dimension: o.Dimension, Epochs: textTrials, Seed: o.Seed, Precision: o.Precision, Threads: o.Threads, pairs: part.Pairs}
	if err := t.suitTexts(p); err != nil {
		return 0, "", err
	}
	t.setDefaultsFor(part, p.Size)
	if err := t.Validate(); err != nil {
		return 0, "", err
	}
	r, err := newRun(ctx, part, held, p, t)
	if err != nil {
		return 0, "", err
	}
	if err := r.run(ctx); err != nil {
		return 0, "", err
	}
	return r.lastEpoch().Validation, r.measured(), r.cache.Close()
}
