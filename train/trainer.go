package train

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
)

// ErrDiverged is wrapped by the error of a run whose loss is no longer finite.
var ErrDiverged = errors.New("training diverged")

// Epoch is one point of the training curve.
type Epoch struct {
	Epoch      int     `json:"epoch"`
	Loss       float64 `json:"loss"`           // mean over its steps
	Validation float64 `json:"validation_knn"` // kNN accuracy (k=5, cosine) on the validation items; -1 without labels
}

// Record is the training record kept in the model file. It holds no times: the same run gives the same file.
type Record struct {
	DataHash   string   `json:"data_hash"`
	Items      int      `json:"items"`
	Validation int      `json:"validation_items"`
	Classes    []string `json:"classes,omitempty"`
	Options    Options  `json:"options"`
	Curve      []Epoch  `json:"curve"`
}

// Run trains an encoder on data and follows it on validation, which may be empty. It is deterministic: the same data, options and
// CPU tier give the same model, whatever the number of threads and however often it was interrupted and resumed.
//
// On cancellation of ctx it stops between two steps, writes the checkpoint if there is to be one, and returns the cause.
func Run(ctx context.Context, data, validation Dataset, o Options) (*encoder.Model, error) {
	if err := data.Validate(); err != nil {
		return nil, err
	}
	pre, err := inspect(data)
	if err != nil {
		return nil, err
	}
	classes, _ := itemsByClass(data.Labels)
	if o.Size > 0 {
		pre.Size.Height, pre.Size.Width = o.Size, o.Size
	}
	o.SetDefaults(data.Len(), len(classes), pre.Size)
	if err := o.Validate(); err != nil {
		return nil, err
	}
	pre.Size = o.Network.Input
	if o.Begin != nil {
		o.Begin(o)
	}
	r, err := newRun(ctx, data, validation, pre, o)
	if err != nil {
		return nil, err
	}
	err = r.train(ctx)
	if err := errors.Join(err, r.graph.Close(), r.dev.Close()); err != nil {
		return nil, err
	}
	return r.model()
}

// run is one training run.
type run struct {
	Options
	data, validation Dataset
	pre              encoder.Preprocessing
	features         []encoder.Features
	held             []encoder.Features // of validation
	around           []float32          // what surrounds the pictures
	sampler          Sampler
	dev              kernel.Device
	graph            *encoder.Graph
	optimizer        Optimizer
	objective        Objective
	batch            *Batch // in work, for the objective
	fingerprint      string

	step, perEpoch, steps int
	began                 time.Time     // of this process's part of the run
	elapsed               time.Duration // of the parts before
	lossSum               float64
	curve                 []Epoch
	weights               [][]float32 // at the end
}

func newRun(ctx context.Context, data, validation Dataset, pre encoder.Preprocessing, o Options) (_ *run, err error) {
	r := &run{Options: o, pre: pre, began: time.Now()}
	decoder, err := inUnits(pre).Decoder()
	if err != nil {
		return nil, err
	}
	if r.data, r.features, err = Decode(ctx, decoder, data, o.Skip); err != nil {
		return nil, err
	}
	if n := r.data.Len(); 2*n < data.Len() {
		return nil, fmt.Errorf("%w: %d of %d items cannot be decoded: is it the right folder?", ErrDataset, data.Len()-n, data.Len())
	}
	if r.validation = validation; validation.Len() > 0 {
		if r.validation, r.held, err = Decode(ctx, decoder, validation, o.Skip); err != nil {
			return nil, err
		}
	}
	measure(&r.pre, r.features)
	r.around = around(r.pre, r.features)
	standardize(r.pre, r.features)
	standardize(r.pre, r.held)
	drawn := r.data // what batches are drawn from
	if o.Rotations {
		drawn = r.data.turned()
	}
	items := 0 // that one batch takes from it
	if r.sampler, items, err = o.sampler(drawn); err != nil {
		return nil, err
	}
	r.perEpoch = max(1, drawn.Len()/items)
	r.steps = r.perEpoch * o.Epochs
	r.fingerprint, err = r.fingerprintOf()
	if err != nil {
		return nil, err
	}
	weights, err := o.Network.Initialize(rand.New(rand.NewPCG(o.Seed, 0x696e6974))) // "init"
	if err != nil {
		return nil, err
	}
	var saved *checkpoint
	if o.Resume {
		if saved, err = readCheckpoint(o.Checkpoint, r.fingerprint, r.steps, sizesOf(weights)); err != nil {
			return nil, err
		}
		weights = saved.tables[tablesWeights]
	}
	if r.objective, err = o.newObjective(drawn); err != nil {
		return nil, err
	}
	if r.dev, err = kernel.NewCPUWith(o.Threads, o.Precision); err != nil {
		return nil, err
	}
	r.graph, err = encoder.NewGraph(r.dev, o.Network, weights, r.sampler.Size(), 0, func(emb, grad kernel.Matrix) float32 {
		return r.objective.Loss(r.batch, emb, grad)
	})
	if err != nil {
		return nil, errors.Join(err, r.dev.Close())
	}
	r.optimizer = NewAdamW(r.dev, r.graph, o.Decay)
	if saved != nil {
		if err := errors.Join(r.optimizer.Restore(saved.tables[tablesOptimizer]), r.objective.Restore(saved.tables[tablesObjective])); err != nil {
			return nil, errors.Join(err, r.graph.Close(), r.dev.Close())
		}
		r.step, r.lossSum, r.curve, r.elapsed = saved.Step, saved.LossSum, saved.Curve, time.Duration(saved.Seconds*float64(time.Second))
	}
	return r, nil
}

// sampler returns the sampler that the loss calls for, and how many items it takes a batch: mates and second views are not counted.
func (o Options) sampler(d Dataset) (s Sampler, items int, err error) {
	kind, err := ParseLoss(o.Loss)
	if err != nil {
		return nil, 0, err
	}
	classes, _ := itemsByClass(d.Labels)
	pairs := o.Batch / 2
	switch {
	case kind == LossContrastive:
		s, err = NewPairs(d.Labels, 2*pairs, o.Seed)
		return s, pairs, err
	case kind == LossNTXent:
		pairs = min(pairs, d.Len())
		s, err = NewViews(d.Len(), 2*pairs, o.Seed)
		return s, pairs, err
	case len(classes) < 2:
		return nil, 0, fmt.Errorf("%w: loss %v tells classes apart, and the data has %d: use loss %v, which needs no labels, or make a sub-folder of each class", ErrOptions, kind, len(classes), LossNTXent)
	}
	p := min(len(classes), o.Batch/2)
	k := o.Batch / p
	s, err = NewPK(d.Labels, p, k, o.Seed)
	return s, p * k, err
}

// fingerprintOf identifies everything that the result depends on.
func (r *run) fingerprintOf() (string, error) {
	b, err := json.Marshal(struct {
		Options    Options
		Data, Held string
	}{r.Options, r.data.Hash(), r.validation.Hash()})
	if err != nil {
		return "", fmt.Errorf("train: fingerprint: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

func (r *run) train(ctx context.Context) error {
	l := r.load(ctx)
	defer l.stop()
	schedule := Schedule{Base: r.Rate, Warmup: int(r.Warmup * float64(r.steps)), Steps: r.steps}
	if err := schedule.Validate(); err != nil {
		return err
	}
	began, first, reported := time.Now(), r.step, time.Now()
	report := func(epoch int, loss, validation float64) {
		if r.Progress == nil {
			return
		}
		p := Progress{Elapsed: r.elapsed + time.Since(r.began), Epoch: epoch, Epochs: r.Epochs, Step: r.step, Steps: r.steps, Loss: loss, Validation: validation}
		if done, s := r.step-first, time.Since(began).Seconds(); done > 0 && s > 0 {
			p.ItemsPerSecond = float64(done*r.sampler.Size()) / s
			p.Remaining = time.Duration(s / float64(done) * float64(r.steps-r.step) * float64(time.Second))
		}
		r.Progress(p)
	}
	for {
		if r.epochEnded() {
			mean := r.lossSum / float64(r.perEpoch)
			accuracy, err := r.validate(ctx)
			if err != nil {
				return errors.Join(err, r.save())
			}
			r.curve = append(r.curve, Epoch{Epoch: len(r.curve) + 1, Loss: mean, Validation: accuracy})
			r.lossSum = 0
			report(len(r.curve), mean, accuracy)
			if err := r.save(); err != nil {
				return err
			}
		}
		if r.step == r.steps {
			break
		}
		b, ok := l.next(ctx)
		if !ok {
			return errors.Join(context.Cause(ctx), r.save())
		}
		r.batch = b.batch
		loss, err := r.graph.Step(b.input)
		l.recycle(b)
		if err != nil {
			return err
		}
		if math.IsNaN(float64(loss)) || math.IsInf(float64(loss), 0) {
			return fmt.Errorf("%w: the loss is %g at step %d of %d: lower the rate (now %g) or raise the temperature (now %g)", ErrDiverged, loss, r.step+1, r.steps, r.Rate, r.Temperature)
		}
		rate := schedule.At(r.step)
		if err := r.optimizer.Step(rate, r.step+1); err != nil {
			return err
		}
		if l, ok := r.objective.(Learner); ok {
			l.Learn(rate, 1)
		}
		r.step++
		r.lossSum += float64(loss)
		if now := time.Now(); now.Sub(reported) > 500*time.Millisecond && !r.epochEnded() {
			reported = now
			report(r.step/r.perEpoch+1, r.lossSum/float64(r.step%r.perEpoch), -1)
		}
	}
	if r.step == first { // resumed at the end: there was nothing to report
		report(r.Epochs, r.curve[len(r.curve)-1].Loss, r.curve[len(r.curve)-1].Validation)
	}
	r.weights = r.graph.Weights()
	return nil
}

// epochEnded reports whether the steps of an epoch are done but it is not yet in the curve.
func (r *run) epochEnded() bool { return r.step%r.perEpoch == 0 && len(r.curve) < r.step/r.perEpoch }

// save writes the checkpoint.
func (r *run) save() error {
	if r.Checkpoint == "" {
		return nil
	}
	c := checkpoint{checkpointHeader: checkpointHeader{Fingerprint: r.fingerprint, Step: r.step, LossSum: r.lossSum, Curve: r.curve, Seconds: (r.elapsed + time.Since(r.began)).Seconds()},
		tables: map[string][][]float32{tablesWeights: r.graph.Weights(), tablesOptimizer: r.optimizer.State(), tablesObjective: r.objective.State()}}
	return c.write(r.Checkpoint)
}

// validationBase is about how many training items validation searches, at least; they are spread over the data.
const validationBase = 10_000

// validate returns the kNN accuracy of the validation items among a part of the training items, or -1 where there is nothing to compare.
func (r *run) validate(ctx context.Context) (float64, error) {
	var base, held []encoder.Features
	var baseLabels, heldLabels []int
	stride := max(1, r.data.Len()/validationBase)
	for i := 0; i < r.data.Len(); i += stride {
		if r.data.Labels[i] != Unlabelled {
			base, baseLabels = append(base, r.features[i]), append(baseLabels, r.data.Labels[i])
		}
	}
	for i, l := range r.validation.Labels {
		if l != Unlabelled {
			held, heldLabels = append(held, r.held[i]), append(heldLabels, l)
		}
	}
	if len(base) == 0 || len(held) == 0 {
		return -1, nil
	}
	m := &encoder.Model{Network: r.Network, Preprocessing: r.pre, Weights: r.graph.Weights()}
	e, err := encoder.NewEncoder(m, "", r.Threads)
	if err != nil {
		return 0, err
	}
	b, err := EncodeFeatures(ctx, e, base)
	if err != nil {
		return 0, err
	}
	q, err := EncodeFeatures(ctx, e, held)
	if err != nil {
		return 0, err
	}
	return KNNAccuracy(ctx, b, baseLabels, q, heldLabels, min(5, len(base)))
}

// EncodeFeatures embeds decoded items into the rows of a matrix.
func EncodeFeatures(ctx context.Context, e *encoder.Encoder, f []encoder.Features) (kernel.Matrix, error) {
	rows, err := e.EncodeFeatures(ctx, f)
	if err != nil {
		return kernel.Matrix{}, err
	}
	return kernel.MatrixOf(rows, e.Dimension()), nil
}

// model is the result of a finished run.
func (r *run) model() (*encoder.Model, error) {
	rec := Record{DataHash: r.data.Hash(), Items: r.data.Len(), Validation: r.validation.Len(), Classes: r.data.Classes, Options: r.Options, Curve: r.curve}
	b, err := json.Marshal(rec)
	if err != nil {
		return nil, fmt.Errorf("train: writing the record: %w", err)
	}
	m := &encoder.Model{Network: r.Network, Preprocessing: r.pre, Record: b, Weights: r.weights}
	return m, m.Validate()
}
