package benchmarks

import (
	"context"
	"fmt"

	"github.com/akin-search/akin/encoder/kernel"
	"github.com/akin-search/akin/train"
)

// fewLabel trains on all images, of which a few of each class, drawn by the seed, have their label, as akin train --holdout 0 does. The
// classifiers see the training images with the labels given and those that train.Propagate finds from them in the embedding, right or
// wrong; no other label. given_accuracy is that of the nearest of the given ones alone, propagated_accuracy the share of right ones among
// the labels found; train_seconds leaves the last propagation out.
func fewLabel(ctx context.Context, t task) (Measures, error) {
	given, err := withFewLabels(t.Train, t.LabelsPerClass, t.Options.Seed)
	if err != nil {
		return nil, err
	}
	e, m, err := t.train(ctx, given, train.Dataset{Classes: given.Classes})
	if err != nil {
		return nil, err
	}
	emb, err := embedAll(ctx, e, given)
	if err != nil {
		return nil, err
	}
	queries, err := embedAll(ctx, e, t.Test)
	if err != nil {
		return nil, err
	}
	found, err := train.Propagate(ctx, emb, given.Labels, train.PropagateOptions{Seed: t.Options.Seed, Threads: t.Options.Threads})
	if err != nil {
		return nil, err
	}
	m["labels_per_class"] = float64(t.LabelsPerClass)
	all, few := labelledRows(emb, found.Labels), labelledRows(emb, given.Labels)
	if m["given_accuracy"], err = train.KNNAccuracy(ctx, few.emb, few.labels, queries, t.Test.Labels, 1); err != nil {
		return nil, err
	}
	right, asked := 0, 0
	for i, l := range found.Labels {
		if given.Labels[i] == train.Unlabelled {
			asked++
			if l == t.Train.Labels[i] {
				right++
			}
		}
	}
	m["propagated_accuracy"] = float64(right) / float64(asked)
	d, err := train.MeasureDownstream(ctx, all.emb, all.labels, queries, t.Test.Labels, train.DownstreamOptions{Seed: t.Options.Seed, Threads: t.Options.Threads})
	if err != nil {
		return nil, err
	}
	return m, m.add(d)
}

// withFewLabels returns d with the labels of so many items of each class, and no other.
func withFewLabels(d train.Dataset, perClass int, seed uint64) (train.Dataset, error) {
	few := unlabelled(d)
	count := make([]int, len(d.Classes))
	for _, i := range drawLabels(d, firstN(d.Len()), perClass, seed) {
		few.Labels[i] = d.Labels[i]
		count[d.Labels[i]]++
	}
	for c, n := range count {
		if n < perClass {
			return d, fmt.Errorf("%d labels a class: %w: class %s has %d images; use fewer", perClass, ErrInvalid, d.Classes[c], n)
		}
	}
	return few, nil
}

type labelledMatrix struct {
	emb    kernel.Matrix
	labels []int
}

// labelledRows picks the rows that have a label.
func labelledRows(emb kernel.Matrix, labels []int) labelledMatrix {
	var rows [][]float32
	var m labelledMatrix
	for i, l := range labels {
		if l != train.Unlabelled {
			rows, m.labels = append(rows, emb.Row(i)), append(m.labels, l)
		}
	}
	m.emb = kernel.MatrixOf(rows, emb.Cols)
	return m
}
