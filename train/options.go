package train

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"time"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
)

// ErrOptions is wrapped by every error about an option out of range.
var ErrOptions = errors.New("invalid training option")

// Options say how a model is trained. The zero value of a field means its default.
type Options struct {
	Network      encoder.Network  `json:"network"`             // default: encoder.Default for the size of the images, encoder.Wide for photographs, whose augmentation mirrors, up to 96 pixels, encoder.ForSounds for sounds, encoder.ForVoices for long ones and for one-class
	Size         int              `json:"size"`                // side of the square that pictures are fitted into; default their own size where they are alike and at most 64 pixels, else 64
	Fit          *encoder.Fit     `json:"fit,omitempty"`       // of pictures of another size or aspect; nil = as Base does, else trim for drawings and letterbox for others
	Dimension    int              `json:"dimension"`           // of the embedding, for the default network; default 64
	Loss         string           `json:"loss"`                // as ParseLoss takes it, or LossPropagate, the default where fewer items have a label than have none; else supcon, or ntxent with fewer than two classes
	Negatives    string           `json:"negatives,omitempty"` // as ParseNegatives takes it; default the first of LossKind.Negatives
	Temperature  float64          `json:"temperature"`         // of supcon, ntxent and moco, default 0.1, of supcon and texts 0.05, of semi 0.2, of one-class 0.5; multi-similarity: 1/β, default 0.02; arcface: 1/s, default 1/16
	Margin       float64          `json:"margin"`              // contrastive: distance of dissimilar pairs, default 1; triplet: squared distance, default 0.2; multi-similarity: similarity λ, default 0.5; arcface: radians, default 0.3
	PairsHash    string           `json:"pairs,omitempty"`     // of the data's pairs; set by Run
	Batch        int              `json:"batch"`               // rows; default 32 to 256, of ntxent and semi 512, more with more data, fewer with large pictures; fewer where the sampler can fill no more
	Epochs       int              `json:"epochs"`              // default 5, of ntxent and semi 3, of photographs 8, of one-class 1, more with little data: as many as make 600 steps, of ntxent and semi 300, at most 200
	Rate         float64          `json:"rate"`                // peak learning rate; default 4e-3·√(batch/256), of texts 1e-2 and with supcon 3e-2 in place of 4e-3, of sgd and nesterov 0.3·√(batch/256), of lars 5·√(batch/256)
	Decay        float64          `json:"decay"`               // weight decay, decoupled; default 1e-4
	Warmup       float64          `json:"warmup"`              // share of the steps; default 0.05
	Augmentation *Augmentation    `json:"augmentation"`        // nil = what a trial finds better with enough labels, Mild() for one-class, Views() for ntxent, vicreg and moco, else Digits()
	Robust       *Robust          `json:"robust,omitempty"`    // corrupts a share of the views; nil for none
	Variants     string           `json:"variants,omitempty"`  // changed pictures that are classes of their own: see VariantsTurned; default joined where leastVariants classes or more are of few drawings each, else none
	Voices       *bool            `json:"voices,omitempty"`    // sounds with all frequencies moved down and up are classes of their own; default where leastVoices classes or more are of long sounds
	Members      int              `json:"members,omitempty"`   // of sounds with Voices: so many networks are learned apart, one after the other, and joined; default 3, with Base or Network 1
	Shifts       []string         `json:"shifts,omitempty"`    // of one-class: those that make what is not normal; default all of the modality that can be told from normal items
	Seed         uint64           `json:"seed"`
	Modality     string           `json:"modality,omitempty"`   // one of Modalities; default found in the data: "" for pictures
	Precision    kernel.Precision `json:"precision,omitempty"`  // of the products; default float32
	Optimizer    string           `json:"optimizer,omitempty"`  // as ParseOptimizer takes it; default adamw
	Momentum     float64          `json:"momentum,omitempty"`   // of sgd, nesterov and lars; default 0.9
	EMA          float64          `json:"ema,omitempty"`        // decay of the average of weights that is validated and saved, as in 0.999; 0 = none, but 0.99 for moco, whose keys come from it
	Accumulate   int              `json:"accumulate,omitempty"` // batches a step: their mean gradient, each loss with the negatives of its own batch only; 0 = 1
	Clip         float64          `json:"clip,omitempty"`       // largest length of all gradients together; 0 = any
	Patience     int              `json:"patience,omitempty"`   // epochs without a better validation accuracy after which training stops; the model is that of the best epoch. 0 = all epochs, and the last one's model
	From         string           `json:"from,omitempty"`       // ModelID of Base
	Freeze       int              `json:"freeze,omitempty"`     // so many of Base's first layers stay as they are, running statistics included
	Holdout      float64          `json:"holdout"`              // the share that the caller split off as validation; only recorded, so that it can be kept aside again
	Listed       bool             `json:"listed,omitempty"`     // the validation is what the list of the data keeps aside in place of a share; only recorded

	pairs []Pair // of the data, set by Run: what is learned from in place of classes; nil for none

	// What follows is no part of the record; all but Base, which From names, changes neither the model nor its file.

	Base       *encoder.Model `json:"-"` // whose weights and preprocessing training starts from; only the last linear layer of Network may differ, and starts anew
	Threads    int            `json:"-"` // 0 means one a core
	Memory     int64          `json:"-"` // bytes of features to hold, above 0; those beyond go to a file without a name beside Checkpoint; 0 means DefaultMemory
	Checkpoint string         `json:"-"` // file to write at every epoch and on cancellation; "" writes none
	Resume     bool           `json:"-"` // go on from Checkpoint
	Progress   func(Progress) `json:"-"` // called about twice a second and at the end of every epoch
	Begin      func(Options)  `json:"-"` // called with what was chosen, before the first step of each stage, of members of the first; mostly there is one
	Staged     func(Stage)    `json:"-"` // called when a stage is done that another follows
	Tried      func(Tried)    `json:"-"` // called after each trial of what was not set
	Notice     func(BackOff)  `json:"-"` // called when training goes back after a setback
	Skip       func(Skipped)  `json:"-"` // called for each item that cannot be decoded and is left out
}

// Tried is what came of a short trial.
type Tried struct {
	What    string  // as in "augmentation digits"
	Measure string  // see Record.Measure
	Value   float64 // on the items kept for the trial
}

// Progress tells where a run is.
type Progress struct {
	Epoch, Epochs  int // from 1
	Step, Steps    int // of the whole run
	Loss           float64
	ItemsPerSecond float64
	Remaining      time.Duration
	Validation     float64       // at the end of an epoch; no more than -1 before
	Measure        string        // that Validation is; see Record.Measure
	Health         Health        // at the end of an epoch
	Elapsed        time.Duration // of the run, that before resuming included
}

// SetDefaults fills in what is zero, for so many items of so many classes and pictures of the given size.
func (o *Options) SetDefaults(items, classes int, size encoder.Size) {
	kind := pictures
	if m, err := modalityNamed(o.Modality); err == nil { // Run reports it
		kind = m
	}
	set(&o.Dimension, kind.dimension)
	if o.Loss == "" {
		switch {
		case allAlike(o.pairs):
			o.Loss = LossSupCon.String()
		case len(o.pairs) > 0:
			o.Loss = LossContrastive.String()
			if kind == texts {
				o.Loss = LossPairs.String()
			}
		case classes < 2:
			o.Loss = LossNTXent.String()
		default:
			o.Loss = LossSupCon.String()
		}
	}
	loss, unknown := ParseLoss(o.Loss)                                  // Validate reports it
	views := unknown == nil && (loss == LossNTXent || loss == LossSemi) // they live on many negatives, and see an item twice an epoch
	if o.Augmentation == nil {
		a := Digits()
		o.Augmentation = &a
	}
	o.setVoices(kind, loss, unknown == nil, classes, size)
	if o.Network.Layers == nil {
		o.Network = kind.network(o, size)
	}
	o.setVariants(kind, loss, unknown == nil, items, classes)
	items *= o.copies()
	largest := 256
	if views {
		largest = 512
	}
	batch := defaultBatch(items, largest, o.Network)
	least, steps := 5, 600
	switch {
	case o.warped():
		batch = max(batch, voiceBatch)
	case o.variants() > 1:
		batch, steps = max(batch, variantBatch), variantSteps
	case kind == texts:
		steps = textSteps
	}
	set(&o.Batch, batch)
	if views {
		steps /= 2 // twice the rows, and two of an item
	}
	switch {
	case o.Augmentation.Flip > 0:
		least = 8
	case o.oneClass():
		if least, steps = 1, oneClassSteps; kind == sounds {
			steps = soundSteps
		}
	case views:
		least = 3
	}
	if kind == texts && unknown == nil {
		o.suitTextLoss(loss)
	}
	set(&o.Epochs, min(200, max(least, steps*o.Batch/max(1, items))))
	set(&o.Rate, defaultRate(o.Optimizer, o.Batch*o.batchesAStep()))
	if o.Optimizer != "" && o.Optimizer != OptimizerAdamW.String() {
		set(&o.Momentum, 0.9)
	}
	set(&o.Decay, 1e-4)
	set(&o.Warmup, 0.05)
	if o.PairsHash = ""; len(o.pairs) > 0 {
		o.PairsHash = hashPairs(o.pairs)
	}
	if unknown == nil {
		temperature, margin := loss.Defaults()
		set(&o.Temperature, temperature)
		set(&o.Margin, margin)
		if loss == LossMoCo {
			set(&o.EMA, DefaultMoCoEMA)
		}
	}
}

// widest is the longest side in pixels up to which photographs are looked at with the wide network: above, it takes too long.
const widest = 96

// maxRate is the largest peak learning rate.
const maxRate = 10

// batchValues bounds the values that the layers make of a batch by default: training takes some 25 bytes for each.
const batchValues = 1 << 26

// defaultBatch is 256 from 2048 items on, and 512 from 4096 on where the largest is that; down to 32 for fewer, and where the network
// makes much of each.
func defaultBatch(items, largest int, n encoder.Network) int {
	batch, values := min(largest, 32<<min(4, bits.Len(uint(max(0, items)/512)))), 0
	layers, err := n.Summary()
	if err != nil {
		return batch // Validate reports it
	}
	for _, l := range layers {
		values += l.Output.Height * l.Output.Width * l.Output.Channels
	}
	for batch > 32 && batch*values > batchValues {
		batch /= 2
	}
	return batch
}

// setDefaultsFor fills in what is zero.
func (o *Options) setDefaultsFor(data Dataset, size encoder.Size) {
	classes, _ := itemsByClass(data.Labels)
	o.SetDefaults(data.Len(), len(classes), size)
}

// defaultRate is the peak rate for so many rows a step; docs/decisions/0019-the-trainer-goes-on.md.
func defaultRate(optimizer string, rows int) float64 {
	base := 4e-3
	switch optimizer {
	case OptimizerSGD.String(), OptimizerNesterov.String():
		base = 0.3
	case OptimizerLARS.String():
		base = 5
	}
	return min(base*math.Sqrt(float64(rows)/256), maxRate)
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate reports the options out of range.
func (o Options) Validate() error {
	check := func(name string, v, lo, hi float64) error {
		if !(v >= lo && v <= hi) {
			return fmt.Errorf("%w: %s %g: it must be %g to %g", ErrOptions, name, v, lo, hi)
		}
		return nil
	}
	kind, negatives, err := o.choice()
	if err != nil {
		return err // what the loss leaves out has no default either
	}
	if err := errors.Join(
		check("temperature", o.Temperature, minTemperature, maxTemperature), check("margin", o.Margin, 0.01, maxMargin), check("batch", float64(o.Batch), 4, 1<<14),
		check("size", float64(o.Network.Input.Height), 1, encoder.MaxSide), check("epochs", float64(o.Epochs), 1, 100_000), check("rate", o.Rate, 1e-9, maxRate), check("decay", o.Decay, 0, 1), check("warmup", o.Warmup, 0, 0.9),
		check("momentum", o.Momentum, 0, 0.999), check("ema", o.EMA, 0, 0.99999), check("accumulate", float64(o.Accumulate), 0, 1024), check("clip", o.Clip, 0, 1e6),
		check("patience", float64(o.Patience), 0, 100_000), check("memory", float64(o.Memory), 0, 1<<60),
	); err != nil {
		return err
	}
	if err := o.Augmentation.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrOptions, err)
	}
	if o.Robust != nil {
		if err := o.Robust.Validate(); err != nil {
			return fmt.Errorf("%w: %w", ErrOptions, err)
		}
	}
	switch alike := allAlike(o.pairs); {
	case alike && (kind != LossSupCon || negatives != NegativesBatch):
		return fmt.Errorf("%w: %d pairs that are all alike with loss %v and negatives %v: they are for loss %v with negatives %v; for others list pairs that are not, too", ErrOptions, len(o.pairs), kind, negatives, LossSupCon, NegativesBatch)
	case len(o.pairs) > 0 && !alike && kind != LossPairs && (kind != LossContrastive || negatives != NegativesRandom):
		return fmt.Errorf("%w: %d pairs with loss %v and negatives %v: given pairs are for loss %v, or %v with negatives %v", ErrOptions, len(o.pairs), kind, negatives, LossPairs, LossContrastive, NegativesRandom)
	}
	if kind == LossPairs && len(o.pairs) == 0 {
		return fmt.Errorf("%w: loss %v without pairs: it learns from given pairs and their scores; give some, or use another loss", ErrOptions, kind)
	} else if kind == LossArcFace && o.Margin >= maxArcMargin {
		return fmt.Errorf("%w: margin %g: for loss %v it is an angle in radians, below %g", ErrOptions, o.Margin, kind, maxArcMargin)
	}
	if optimizer, err := ParseOptimizer(o.Optimizer); err != nil {
		return fmt.Errorf("%w: %w", ErrOptions, err)
	} else if optimizer == OptimizerAdamW && o.Momentum != 0 {
		return fmt.Errorf("%w: momentum %g with optimiser %v, which has none to set: leave it out, or use %v, %v or %v", ErrOptions, o.Momentum, optimizer, OptimizerSGD, OptimizerNesterov, OptimizerLARS)
	}
	if err := o.Precision.Supported(); err != nil {
		return fmt.Errorf("%w: %w", ErrOptions, err)
	}
	if err := o.validateVariants(kind); err != nil {
		return err
	}
	if o.oneClass() && o.warped() {
		return fmt.Errorf("%w: voices with loss %v, which has shifts: leave one of them out", ErrOptions, kind)
	}
	if most := maxMembers; o.Members < 0 || o.Members > most || o.Members > 1 && !o.warped() {
		return fmt.Errorf("%w: members %d: it must be 0 to %d, and more than 1 only where voices are on", ErrOptions, o.Members, most)
	} else if o.Members > 1 {
		if _, err := o.Network.Joined(o.Members); err != nil {
			return fmt.Errorf("%w: members %d: %w", ErrOptions, o.Members, err)
		}
	}
	if o.Resume && o.Checkpoint == "" {
		return fmt.Errorf("%w: resume needs a checkpoint file", ErrOptions)
	}
	return o.Network.Validate()
}
