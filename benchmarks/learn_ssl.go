package benchmarks

import (
	"context"

	"github.com/akin-search/akin/train"
)

// ssl trains without any label, as akin train does with a flat folder. Labels come in afterwards: all training images answer with theirs.
func ssl(ctx context.Context, t task) (Measures, error) {
	rest, held, err := unlabelled(t.Train).Split(learnHoldout, t.Options.Seed)
	if err != nil {
		return nil, err
	}
	e, m, err := t.train(ctx, rest, held)
	if err != nil {
		return nil, err
	}
	return m, t.downstream(ctx, e, t.Train, t.Test, m)
}

// unlabelled returns d without its labels.
func unlabelled(d train.Dataset) train.Dataset {
	d.Labels = make([]int, d.Len())
	for i := range d.Labels {
		d.Labels[i] = train.Unlabelled
	}
	return d
}
