package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/akin-search/akin/benchmarks"
	"github.com/akin-search/akin/train"
)

func newBenchFolds(a *app) *cobra.Command {
	var o benchmarks.FoldsOptions
	var data, labels string
	c := &cobra.Command{
		Use:   "folds --data DIR",
		Short: "Cross-validate akin train on your own data",
		Long: `Train on all parts of the data but one and ask for the classes of that one, by the 5 nearest neighbours, for each part in turn: what akin
train --data DIR is worth on data of which there is too little to keep a test aside. Every class is spread evenly over the parts.
--fold measures one part.`,
		Example: `  akin bench folds --data photos/
  akin bench folds --data photos/ --folds 10 --fold 3 --json`,
		Args: noArgs,
	}
	f := c.Flags()
	f.StringVar(&data, "data", "", dataHelp)
	f.StringVar(&labels, "labels", "", labelsHelp)
	f.IntVar(&o.Folds, "folds", 5, "parts")
	f.IntVar(&o.Fold, "fold", 0, "the part to measure, from 1; 0 is all of them")
	f.IntVar(&o.Train.Epochs, "epochs", 0, "times through the data; 0 means as akin train chooses")
	f.Float64Var(&o.Train.Holdout, "holdout", 0.1, "share of what is trained on that follows the training, above 0, at most 0.5")
	f.Uint64Var(&o.Train.Seed, "seed", 0, "of the parts and of every training")
	f.IntVar(&o.Train.Threads, "threads", 0, "threads; 0 means one a core")
	modalityFlag(c, &o.Train.Modality)
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		if err := refuseZero(c, "epochs", "holdout", "folds"); err != nil {
			return err
		}
		if err := checkHoldout(o.Train.Holdout); err != nil {
			return err
		}
		if o.Data, err = (source{data: data, labels: labels}).load(a, train.RowsTraining); err != nil {
			return err
		}
		o.Train.Progress, o.Train.Skip = a.trainProgress(), a.skip
		o.Done = func(f benchmarks.Fold) {
			a.status("fold %d: kNN accuracy %.4f of %d items, trained in %.0f s", f.Fold, f.KNNAccuracy, f.Asked, f.Seconds)
		}
		r, err := benchmarks.Folds(c.Context(), o)
		if err != nil {
			return fmt.Errorf("cross-validation: %w", err)
		}
		return a.print(r, r.WriteTable)
	}
	return c
}
