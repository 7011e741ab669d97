package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/akin-search/akin/encoder/kernel"
	"github.com/akin-search/akin/train"
)

// evaluated is the result of akin eval.
type evaluated struct {
	ModelID     string  `json:"model_id"`
	Base        int     `json:"base"`
	Queries     int     `json:"queries"`
	KNNAccuracy float64 `json:"knn_accuracy"`
	RecallAt1   float64 `json:"recall_at_1"`
	PairAUROC   float64 `json:"pair_auroc"`

	Corrupted *train.Corrupted `json:"corrupted,omitempty"` // with --corrupt
}

// evalPairs is how many pairs of the queries are compared.
const evalPairs = 100_000

func newEval(a *app) *cobra.Command {
	var w workspace
	var data, labels string
	var share float64
	var seed uint64
	c := &cobra.Command{
		Use:   "eval --data DIR",
		Short: "Measure how well a model tells your classes apart",
		Long: `Embed labelled images and measure: knn_accuracy (5 nearest by cosine), recall_at_1 (the nearest has the same label), and
pair_auroc (same or different class, from the similarity of pairs). A share of the images asks, the others answer. Give data
that the model was not trained on: on its own training data every model looks good.`,
		Example: `  akin eval --data test-photos/ --json
  akin eval --data test-photos/ --corrupt --severity 3`,
		Args: noArgs,
	}
	var corrupt corruptFlags
	w.flags(c)
	corrupt.flags(c)
	c.Flags().StringVar(&data, "data", "", dataHelp)
	c.Flags().StringVar(&labels, "labels", "", "IDX file of labels, with an IDX file of images")
	c.Flags().Float64Var(&share, "queries", 0.2, "share of the images that ask, above 0 and below 1")
	c.Flags().Uint64Var(&seed, "seed", 0, "of the choice of those images and of the pairs")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if !(share > 0 && share < 1) {
			return fmt.Errorf("--queries %g: it must be above 0 and below 1", share)
		}
		if err := corrupt.check(c); err != nil {
			return err
		}
		all, err := loadData(a, data, labels)
		if err != nil {
			return err
		}
		var labelled []int
		for i, l := range all.Labels {
			if l != train.Unlabelled {
				labelled = append(labelled, i)
			}
		}
		if len(labelled) == 0 {
			return errors.New("the data has no labels to measure against: make a sub-folder of each class")
		}
		base, queries, err := all.Subset(labelled).Split(share, seed)
		if err != nil {
			return err
		}
		e, err := w.encoder()
		if err != nil {
			return err
		}
		embed := func(d train.Dataset) (train.Dataset, kernel.Matrix, error) {
			d, features, err := train.Decode(c.Context(), e.Decoder(), d, a.skip)
			if err != nil {
				return d, kernel.Matrix{}, err
			}
			m, err := train.EncodeFeatures(c.Context(), e, features)
			return d, m, err
		}
		base, bm, err := embed(base)
		if err != nil {
			return err
		}
		queries, qm, err := embed(queries)
		if err != nil {
			return err
		}
		out := evaluated{ModelID: e.ModelID(), Base: base.Len(), Queries: queries.Len()}
		if out.KNNAccuracy, err = train.KNNAccuracy(c.Context(), bm, base.Labels, qm, queries.Labels, min(5, base.Len())); err != nil {
			return err
		}
		if out.RecallAt1, err = train.KNNAccuracy(c.Context(), bm, base.Labels, qm, queries.Labels, 1); err != nil {
			return err
		}
		pairs, err := train.VerifyPairs(qm, queries.Labels, evalPairs, seed)
		if err != nil {
			return err
		}
		out.PairAUROC = pairs.AUROC
		if out.Corrupted, err = corrupt.evaluate(c.Context(), a, e, bm, base.Labels, queries, w.threads); err != nil {
			return err
		}
		return a.print(out, func(wr io.Writer) error {
			if out.Corrupted != nil {
				return writeCorrupted(wr, *out.Corrupted)
			}
			_, err := fmt.Fprintf(wr, "%d queries among %d images\nkNN accuracy  %.4f\nrecall@1      %.4f\npair AUROC    %.4f\n", out.Queries, out.Base, out.KNNAccuracy, out.RecallAt1, out.PairAUROC)
			return err
		})
	}
	return c
}
