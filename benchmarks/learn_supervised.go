package benchmarks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
	"github.com/akin-search/akin/train"
)

// learnHoldout is the share of the training images that training is followed on, as in akin train.
const learnHoldout = 0.1

// supervised trains with all labels as akin train does, and then compares with all training images.
func supervised(ctx context.Context, t task) (Measures, error) {
	rest, held, err := t.Train.Split(learnHoldout, t.Options.Seed)
	if err != nil {
		return nil, err
	}
	e, m, err := t.train(ctx, rest, held)
	if err != nil {
		return nil, err
	}
	return m, t.downstream(ctx, e, t.Train, t.Test, m)
}

// train trains an encoder with the options of the task, and returns it with train_seconds and epochs.
func (t task) train(ctx context.Context, data, validation train.Dataset) (*encoder.Encoder, Measures, error) {
	o := t.Options
	epochs := 0
	o.Begin = func(chosen train.Options) { epochs += chosen.Epochs } // of each stage
	began := time.Now()
	model, err := train.Run(ctx, data, validation, o)
	if err != nil {
		return nil, nil, err
	}
	m := Measures{"train_seconds": time.Since(began).Seconds(), "epochs": float64(epochs)}
	b, err := model.MarshalBinary()
	if err != nil {
		return nil, nil, err
	}
	id := sha256.Sum256(b)
	e, err := encoder.NewEncoder(model, hex.EncodeToString(id[:]), o.Threads)
	return e, m, err
}

// downstream adds to m what the embeddings are good for: base answers, queries ask.
func (t task) downstream(ctx context.Context, e *encoder.Encoder, base, queries train.Dataset, m Measures) error {
	b, err := embedAll(ctx, e, base)
	if err != nil {
		return err
	}
	q, err := embedAll(ctx, e, queries)
	if err != nil {
		return err
	}
	d, err := train.MeasureDownstream(ctx, b, base.Labels, q, queries.Labels, train.DownstreamOptions{Seed: t.Options.Seed, Threads: t.Options.Threads})
	if err != nil {
		return err
	}
	return m.add(d)
}

// embedAll embeds the items of d into rows.
func embedAll(ctx context.Context, e *encoder.Encoder, d train.Dataset) (kernel.Matrix, error) {
	rows, err := e.Encode(ctx, d.Raw...)
	if err != nil {
		return kernel.Matrix{}, err
	}
	return kernel.MatrixOf(rows, e.Dimension()), nil
}
