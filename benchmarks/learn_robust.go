package benchmarks

import (
	"context"
	"fmt"
	"strings"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/train"
)

// robust trains twice with all labels, with train.DefaultRobust and without, and asks both with corrupted test images. Keys without
// "plain_" are those of robust training; a severity's mean is over the corruptions that robust training knows, its held-out mean over
// those that it does not. clean_loss is what robust training costs on clean images.
func robust(ctx context.Context, t task) (Measures, error) {
	rest, held, err := t.Train.Split(learnHoldout, t.Options.Seed)
	if err != nil {
		return nil, err
	}
	t.Status("without robust training")
	t.Options.Robust = nil
	e, plain, err := t.train(ctx, rest, held)
	if err != nil {
		return nil, err
	}
	if err := t.corrupted(ctx, e, "plain_", plain); err != nil {
		return nil, err
	}
	t.Status("with robust training")
	t.Options.Robust = train.DefaultRobust()
	e, m, err := t.train(ctx, rest, held)
	if err != nil {
		return nil, err
	}
	if err := t.downstream(ctx, e, t.Train, t.Test, m); err != nil {
		return nil, err
	}
	if err := t.corrupted(ctx, e, "", m); err != nil {
		return nil, err
	}
	for key, v := range plain {
		if strings.HasPrefix(key, "plain_") {
			m[key] = v
		}
	}
	m["plain_train_seconds"] = plain["train_seconds"]
	m["clean_loss"] = m["plain_clean"] - m["clean"]
	return m, nil
}

// corrupted adds to m the kNN accuracies of clean and of corrupted queries, under keys with the prefix.
func (t task) corrupted(ctx context.Context, e *encoder.Encoder, prefix string, m Measures) error {
	base, err := embedAll(ctx, e, t.Train)
	if err != nil {
		return err
	}
	r, err := train.EvaluateCorrupted(ctx, e, base, t.Train.Labels, t.Test, train.CorruptOptions{Threads: t.Options.Threads})
	if err != nil {
		return err
	}
	m[prefix+"clean"] = r.CleanAccuracy
	for _, mean := range r.Means {
		m[fmt.Sprintf("%sseverity_%d", prefix, mean.Severity)] = mean.KNNAccuracy
		m[fmt.Sprintf("%sseverity_%d_held_out", prefix, mean.Severity)] = mean.HeldOutAccuracy
	}
	for _, s := range r.Scores {
		if s.Severity == 3 {
			m[prefix+"3_"+strings.ReplaceAll(s.Corruption, "-", "_")] = s.KNNAccuracy
		}
	}
	return nil
}
