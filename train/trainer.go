package train

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
)

// Run trains an encoder on data and follows it on validation, which may be empty. It is deterministic: the same data, options and
// CPU tier give the same model, whatever the number of threads and however often it was interrupted and resumed. Data of which the smaller
// part is labelled is trained on in stages, see LossPropagate.
//
// On cancellation of ctx it stops between two steps, writes the checkpoint if there is to be one, and returns the cause.
func Run(ctx context.Context, data, validation Dataset, o Options) (m *encoder.Model, err error) {
	r, stages, err := newDecidedRun(ctx, data, validation, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.cache.Close()) }()
	return r.inStages(ctx, stages)
}

// newDecidedRun checks and decodes the data, and decides what the options leave open: it returns the options of each stage, and a run with
// those of the last.
func newDecidedRun(ctx context.Context, data, validation Dataset, o Options) (*run, []Options, error) {
	if err := data.Validate(); err != nil {
		return nil, nil, err
	}
	pre, err := o.preprocessing(data)
	if err != nil {
		return nil, nil, err
	}
	kind, err := modalityNamed(pre.Modality)
	if err != nil {
		return nil, nil, err
	}
	o.pairs = data.Pairs
	if kind.choose != nil && o.Base == nil {
		if pre, err = kind.choose(ctx, data, o, pre); err != nil {
			return nil, nil, err
		}
	}
	if err := kind.suit(&o, pre); err != nil {
		return nil, nil, err
	}
	if o.Loss == "" && len(o.pairs) == 0 && mostlyUnlabelled(data.Labels) {
		o.Loss = LossPropagate
	}
	if o.Loss == "" && len(o.pairs) == 0 && kind.shifts != nil && allOfOneClass(data.Labels) {
		o.Loss = LossOneClass.String()
	}
	keepStart := kind == texts && o.Loss == "" && len(o.pairs) == 0 && allOfOneClass(data.Labels) // see noWorse
	if keepStart {
		set(&o.Epochs, 1)
	}
	open := o.oneClass() || o.Augmentation == nil // what the features decide
	stages := o.stages()
	if err := settle(stages, data, pre.Size); err != nil {
		return nil, nil, err
	}
	pre.Size = stages[0].Network.Input
	r, err := newRun(ctx, data, validation, pre, stages[0])
	if err != nil {
		return nil, nil, err
	}
	r.keepStart = keepStart
	if o.oneClass() {
		if err := r.chooseShifts(&o); err != nil {
			return nil, nil, errors.Join(err, r.cache.Close())
		}
	}
	if o.Augmentation == nil {
		if o.Augmentation, err = r.chooseAugmentation(ctx); err != nil {
			return nil, nil, errors.Join(err, r.cache.Close())
		}
	}
	if open {
		stages = o.stages()
		if err := settle(stages, data, pre.Size); err != nil {
			return nil, nil, errors.Join(err, r.cache.Close())
		}
	}
	r.Options = stages[len(stages)-1]
	return r, stages, nil
}

// settle fills in the defaults of each stage and checks its options.
func settle(stages []Options, data Dataset, size encoder.Size) error {
	for i := range stages {
		stages[i].setDefaultsFor(data, size)
		if err := stages[i].Validate(); err != nil {
			return err
		}
	}
	return nil
}

// run prepares, trains and gives back what it held.
func (r *run) run(ctx context.Context) error {
	if err := r.prepare(); err != nil {
		return err
	}
	return errors.Join(r.train(ctx), r.graph.Close(), r.dev.Close())
}

// preprocessing is that of the model to start from, or what suits the data; then mean and deviation are not yet measured.
func (o *Options) preprocessing(data Dataset) (encoder.Preprocessing, error) {
	if err := o.transferred(); err != nil || o.Base != nil {
		if err != nil {
			return encoder.Preprocessing{}, err
		}
		return o.Base.Preprocessing, nil
	}
	pre, err := inspect(data, o.Modality)
	if o.Fit != nil {
		pre.Fit = *o.Fit
	}
	if err == nil && o.Size > 0 && pre.Modality == encoder.ModalityImage {
		pre.Size.Height, pre.Size.Width = o.Size, o.Size
	}
	if pre.Fit != encoder.FitLetterbox {
		o.Fit = &pre.Fit
	}
	return pre, err
}

// run is one training run.
type run struct {
	Options
	data, validation Dataset
	before           *before // nil unless stages came before this run
	drawn            Dataset // what batches are drawn from: data, and its changed pictures or warped sounds where they are classes
	copier           copier  // of copies in drawn; nil where there are none
	modality         *modality
	pre              encoder.Preprocessing
	features         []encoder.Features
	held             []encoder.Features // of validation
	cache            *cache             // has the features
	around           []float32          // what surrounds the pictures
	keepStart        bool               // the model is what it starts as: see noWorse
	sampler          Sampler
	dev              kernel.Device
	graph            *encoder.Graph
	gradients        *gradients
	optimizer        Optimizer
	average          *average // nil without
	objective        Objective
	batch            *Batch             // in work, for the objective
	momentum         *encoder.Inference // makes keys of the averaged weights; nil where the objective takes none
	keys             kernel.Matrix
	first            *Batch // of the run
	probe            probe
	dimension        int     // of the embeddings
	chance           float64 // the loss where all embeddings are one point; 0 where it is not known
	fingerprint      string

	step, perEpoch, steps int           // in batches
	began                 time.Time     // of this process's part of the run
	elapsed               time.Duration // of the parts before
	lossSum               float64
	initial               *Health // of the probe before the first step; nil before it is measured
	curve                 []Epoch
	good                  tables      // at the end of the last epoch that was no setback
	best                  [][]float32 // the model's weights at the best epoch, with early stopping
	pace                  pace
}

// newRun decodes the data.
func newRun(ctx context.Context, data, validation Dataset, pre encoder.Preprocessing, o Options) (_ *run, err error) {
	r := &run{Options: o, pre: pre, began: time.Now()}
	if r.modality, err = modalityNamed(pre.Modality); err != nil {
		return nil, err
	}
	if r.modality.measured {
		pre = inUnits(pre)
	}
	decoder, err := pre.Decoder()
	if err != nil {
		return nil, err
	}
	dir := "" // the system's own
	if o.Checkpoint != "" {
		dir = filepath.Dir(o.Checkpoint)
	}
	r.cache = newCache(dir, cmp.Or(o.Memory, DefaultMemory))
	defer func() {
		if err != nil {
			err = errors.Join(err, r.cache.Close())
		}
	}()
	if r.data, r.features, err = r.cache.decode(ctx, decoder, data, o.Skip); err != nil {
		return nil, err
	}
	if n := r.data.Len(); 2*n < data.Len() {
		return nil, fmt.Errorf("%w: %d of %d items cannot be decoded: is it the right folder?", ErrDataset, data.Len()-n, data.Len())
	}
	if r.validation = validation; validation.Len() > 0 {
		if r.validation, r.held, err = r.cache.decode(ctx, decoder, validation, o.Skip); err != nil {
			return nil, err
		}
	}
	if r.modality.measured {
		if o.Base == nil {
			measure(&r.pre, r.features)
		}
		r.around = r.modality.around(r.pre, r.features)
		standardize(r.pre, r.features)
		standardize(r.pre, r.held)
	} else if r.modality.around != nil {
		r.around = r.modality.around(r.pre, r.features)
	}
	return r, nil
}

// prepare makes what training needs, at its first step or where a checkpoint left off.
func (r *run) prepare() (err error) {
	o := r.Options
	r.drawn = r.data
	switch {
	case o.oneClass():
		r.copier, r.drawn = r.shifted()
	case o.variants() > 1:
		r.copier, r.drawn = variantsOf(r.features, r.data.Labels, r.pre.Size), r.data.copied(o.variants(), variantName)
	case o.warped():
		v := newVoices(r.pre.Size.Height)
		r.copier = func(dst, src []float32, _, q int, _ *rand.Rand) { v.warp(dst, src, q) }
		r.drawn = r.data.voiced()
	}
	items := 0 // that one batch takes from it
	if r.sampler, items, err = o.sampler(r.drawn); err != nil {
		return err
	}
	r.perEpoch = max(1, r.drawn.Len()/(items*r.batchesAStep())) * r.batchesAStep()
	r.steps = r.perEpoch * o.Epochs
	r.fingerprint, err = r.fingerprintOf()
	if err != nil {
		return err
	}
	weights, err := r.initialWeights()
	if err != nil {
		return err
	}
	var saved *checkpoint
	if o.Resume {
		if saved, err = readCheckpoint(o.Checkpoint, r.fingerprint, r.steps, sizesOf(weights)); err != nil {
			return err
		}
	}
	if r.dimension, err = o.Network.Dimension(); err != nil {
		return err
	}
	if r.Patience > 0 && !r.labelled() {
		return fmt.Errorf("%w: patience %d needs labelled items on both sides, those held out and those trained on, to follow the accuracy: label some, or leave patience out", ErrOptions, r.Patience)
	}
	if r.objective, err = o.newObjective(r.drawn); err != nil {
		return err
	}
	if r.first, err = r.firstBatch(); err != nil {
		return err
	}
	r.probe = r.newProbe(r.first)
	if r.chance, err = r.chanceLoss(); err != nil {
		return err
	}
	if err := r.mine(); err != nil {
		return err
	}
	if r.dev, err = kernel.NewCPUWith(o.Threads, o.Precision); err != nil {
		return err
	}
	if r.graph, err = encoder.NewGraph(r.dev, o.Network, weights, r.sampler.Size(), o.Freeze, func(emb, grad kernel.Matrix) float32 {
		return r.objective.Loss(r.batch, emb, grad)
	}); err != nil {
		return errors.Join(err, r.dev.Close())
	}
	if err := r.equip(saved); err != nil {
		return errors.Join(err, r.graph.Close(), r.dev.Close())
	}
	return nil
}

// firstBatch returns the first batch of the run.
func (r *run) firstBatch() (*Batch, error) {
	s, _, err := r.Options.sampler(r.drawn)
	if err != nil {
		return nil, err
	}
	b := NewBatch(s.Size())
	s.Next(b)
	return b, nil
}

// equip adds to the graph what moves its weights, and takes up the state of a checkpoint, which may be nil.
func (r *run) equip(saved *checkpoint) error {
	r.gradients = newGradients(r.dev, r.graph, r.batchesAStep(), r.Clip)
	kind, err := ParseOptimizer(r.Optimizer)
	if err != nil {
		return err
	}
	if r.optimizer, err = kind.New(r.dev, r.gradients, r.Momentum, r.Decay); err != nil {
		return err
	}
	if r.EMA > 0 {
		r.average = newAverage(r.dev, r.graph, r.EMA)
	}
	if _, keyed := r.objective.(KeyObjective); keyed {
		if r.average == nil {
			return fmt.Errorf("%w: loss %s takes its keys from averaged weights: give ema, as in 0.99", ErrOptions, r.Loss)
		}
		if r.momentum, err = encoder.NewInference(r.dev, r.Network); err != nil {
			return err
		}
		r.keys = kernel.NewMatrix(r.sampler.Size(), r.dimension)
	}
	if saved == nil {
		return nil
	}
	return r.resume(saved)
}

// batchesAStep returns how many batches are gathered into a step of the optimiser.
func (o Options) batchesAStep() int { return max(1, o.Accumulate) }

// hashes returns those of the data, of the validation items, and of the data with the labels given where it has more.
func (r *run) hashes() (data, held, given string, err error) {
	if data, err = r.data.Hash(); err != nil {
		return
	}
	if held, err = r.validation.Hash(); err != nil || r.before == nil {
		return
	}
	d := r.data
	d.Labels = r.before.given
	given, err = d.Hash()
	return
}

// fingerprintOf identifies everything that the result depends on.
func (r *run) fingerprintOf() (string, error) {
	of := struct {
		Options    Options
		Data, Held string
		Given      string `json:",omitempty"` // the data with the labels given, where Data has more
	}{Options: r.Options}
	var err error
	if of.Data, of.Held, of.Given, err = r.hashes(); err != nil {
		return "", err
	}
	b, err := json.Marshal(of)
	if err != nil {
		return "", fmt.Errorf("train: fingerprint: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}
