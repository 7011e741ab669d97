package train

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
)

// Settings are what a trial trains with. A zero value is the default, or what TuneOptions.Options set.
type Settings struct {
	Loss        string  `json:"loss,omitempty"`
	Temperature float64 `json:"temperature,omitempty"`
	Rate        float64 `json:"rate,omitempty"`
	Batch       int     `json:"batch,omitempty"`
	Augment     float64 `json:"augment,omitempty"` // factor on the augmentation's amounts
	Dimension   int     `json:"dimension,omitempty"`
}

// String lists what is set.
func (s Settings) String() string {
	var parts []string
	add := func(set bool, format string, v any) {
		if set {
			parts = append(parts, fmt.Sprintf(format, v))
		}
	}
	add(s.Loss != "", "%s", s.Loss)
	add(s.Temperature != 0, "temperature %.3g", s.Temperature)
	add(s.Rate != 0, "rate %.3g", s.Rate)
	add(s.Batch != 0, "batch %d", s.Batch)
	add(s.Augment != 0, "augmentation × %.2f", s.Augment)
	add(s.Dimension != 0, "dimension %d", s.Dimension)
	if len(parts) == 0 {
		return "the defaults"
	}
	return strings.Join(parts, ", ")
}

// Where trials are drawn from. Amounts are drawn evenly on a logarithmic scale.
const (
	tuneColdest, tuneWarmest   = 0.3, 4 // of the loss's default temperature
	tuneRateFactor             = 4      // the default rate of the batch, divided and multiplied by up to this
	tuneWeakest, tuneStrongest = 0.5, 2 // of the augmentation
	tuneSmallestBatch          = 16
	tuneSmallestDimension      = 8
)

// tuneHalves are the factors on the default batch and dimension.
var tuneHalves = []float64{0.5, 1, 2}

// draw returns the settings of all trials: none, then random ones. Every trial draws from a source of its own, and everything, so that
// neither the number of trials nor what is fixed changes what is drawn for the rest.
func (t *tuning) draw() []Settings {
	trials := make([]Settings, t.Trials)
	for i := 1; i < len(trials); i++ {
		rng := rand.New(rand.NewPCG(t.Seed^0x74756e65, uint64(i))) // "tune"
		trials[i] = t.settings(rng)
	}
	return trials
}

// settings draws one trial.
func (t *tuning) settings(rng *rand.Rand) Settings {
	logarithmic := func(lo, hi float64) float64 { return lo * math.Exp(rng.Float64()*math.Log(hi/lo)) }
	o, s := t.TuneOptions.Options, Settings{}
	losses := tunedLosses()
	loss := losses[rng.IntN(len(losses))]
	temperature := logarithmic(tuneColdest, tuneWarmest)
	rate := logarithmic(1./tuneRateFactor, tuneRateFactor)
	batch := tuneHalves[rng.IntN(len(tuneHalves))]
	augment := logarithmic(tuneWeakest, tuneStrongest)
	dimension := tuneHalves[rng.IntN(len(tuneHalves))]

	if o.Loss == "" {
		s.Loss = loss.String()
	} else if kind, err := ParseLoss(o.Loss); err == nil { // newTuning has checked it
		loss = kind
	}
	if o.Temperature == 0 && loss.warm() {
		ownDefault, _ := loss.Defaults()
		s.Temperature = temperature * ownDefault
	}
	inForce := t.resolved // what the rate depends on
	if o.Batch == 0 {
		s.Batch = max(tuneSmallestBatch, int(batch*float64(t.resolved.Batch)))
		inForce.Batch = s.Batch
	}
	if o.Rate == 0 {
		s.Rate = rate * defaultRate(o.Optimizer, inForce.Batch*inForce.batchesAStep())
	}
	if o.Augmentation == nil {
		s.Augment = augment
	}
	if o.Dimension == 0 && o.Network.Layers == nil && o.Base == nil {
		s.Dimension = max(tuneSmallestDimension, int(dimension*float64(t.resolved.Dimension)))
	}
	return s
}

// plain returns the options without what would let trainings meet.
func (t *tuning) plain() Options {
	o := t.TuneOptions.Options
	o.Checkpoint, o.Resume = "", false
	return o
}

// options returns those of a trial at a rung.
func (t *tuning) options(trial, rung int) Options {
	o, s := t.plain(), t.trials[trial]
	o.Epochs, o.Augmentation = t.rungs[rung], t.resolved.Augmentation // decided once
	if s.Loss != "" {
		o.Loss = s.Loss
	}
	if s.Temperature != 0 {
		o.Temperature = s.Temperature
	}
	if s.Rate != 0 {
		o.Rate = s.Rate
	}
	if s.Batch != 0 {
		o.Batch = s.Batch
	}
	if s.Augment != 0 {
		a := t.resolved.Augmentation.Times(s.Augment)
		o.Augmentation = &a
	}
	if s.Dimension != 0 {
		o.Dimension = s.Dimension
	}
	return o
}

// tunedLosses are those that take labels, without which there is nothing to tune by.
func tunedLosses() []LossKind {
	var kinds []LossKind
	for k := range lossNames {
		if kind := LossKind(k); kind.Labelled() {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// warm reports whether the loss has a temperature.
func (k LossKind) warm() bool { return k != LossContrastive && k != LossTriplet && k != LossVICReg }
