package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/train"
)

// pairsEvaluated is the result of akin eval on given pairs.
type pairsEvaluated struct {
	ModelID string `json:"model_id"`
	train.PairFigures
	Drawn    int           `json:"drawn,omitempty"` // of the pairs, those of items that none of the list connects, where all of the list are alike
	Baseline pairsBaseline `json:"baseline"`        // the same figures without any training
}

type pairsBaseline struct {
	Name string `json:"name"`
	train.PairFigures
}

// evaluatePairs measures a model on the pairs of data.
func (a *app) evaluatePairs(ctx context.Context, e *encoder.Encoder, data train.Dataset, o train.DownstreamOptions) error {
	out := pairsEvaluated{ModelID: e.ModelID()}
	data, features, err := train.Decode(ctx, e.Decoder(), data, a.skip)
	if err != nil {
		return err
	}
	emb, err := train.EncodeFeatures(ctx, e, features)
	if err != nil {
		return err
	}
	pairs := train.WithUnlike(data.IDs, data.Pairs)
	if out.Drawn = max(0, len(pairs)-len(data.Pairs)); out.Drawn > 0 {
		a.status("all %d pairs are alike: %d others are drawn, of items that no pairs connect", len(data.Pairs), out.Drawn)
	}
	if out.PairFigures, err = train.MeasurePairs(ctx, emb, data.IDs, pairs, o); err != nil {
		return err
	}
	if out.Baseline.Name, out.Baseline.PairFigures, err = train.MeasurePairsBaseline(ctx, e.Model().Preprocessing, features, data.IDs, pairs, o); err != nil {
		return err
	}
	return a.print(out, out.writeTable)
}

func (p pairsEvaluated) writeTable(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d pairs\n", p.Pairs)
	t := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	fmt.Fprintf(t, "\t\t95 %%\t%s\t\n", p.Baseline.Name)
	for _, row := range []struct {
		name, key   string
		value, base float64
		means       string
	}{
		{"Pearson", "pearson", p.Pearson, p.Baseline.Pearson, "correlation of cosines and scores"},
		{"Spearman", "spearman", p.Spearman, p.Baseline.Spearman, "of their ranks"},
		{"pair AUROC", "pair_auroc", p.AUROC, p.Baseline.AUROC, "alike (a score of half of the range or more) or not"},
		{"pair EER", "eer", p.EER, p.Baseline.EER, "as many wrongly accepted as wrongly refused"},
	} {
		interval := ""
		if i, ok := p.Intervals[row.key]; ok {
			interval = fmt.Sprintf("%.4f–%.4f", i.Low, i.High)
		}
		fmt.Fprintf(t, "%s\t%.4f\t%s\t%.4f\t%s\n", row.name, row.value, interval, row.base, row.means)
	}
	t.Flush() // into memory: nothing to fail
	_, err := io.WriteString(w, b.String())
	return err
}
