package main

import (
	"fmt"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/akin-search/akin/benchmarks"
	"github.com/akin-search/akin/train"
)

func newBenchFolds(a *app) *cobra.Command {
	var o benchmarks.FoldsOptions
	var data, labels, group string
	c := &cobra.Command{
		Use:   "folds --data DIR",
		Short: "Cross-validate akin train on your own data",
		Long: `Train on all parts of the data but one and ask for the classes of that one, by the 5 nearest neighbours, for each part in turn: what akin
train --data DIR is worth on data of which there is too little to keep a test aside. Every class is spread evenly over the parts.
--fold measures one part.

What belongs together beyond its class, as all that one person said or all pictures of one patient, is kept in one part by --group, a regular expression
that finds its name in an item's path: the accuracy is then that on others' data. Where every item is a class of its own, as of speakers with one
recording each, or --group keeps classes together, a part has classes that the others know nothing of: then it is measured how well pairs of its items are told to be
of one class or of two, beside what is reached without any training. Sounds are then cut into --clips of --clip-seconds each, evenly spaced and overlapping where a sound is shorter
than all of them; without these flags into halves where each is the only one of its class.`,
		Example: `  akin bench folds --data photos/
  akin bench folds --data digits.csv --group '_([a-z]+)_' --folds 3 # 7_jackson_12.wav
  akin bench folds --data voices/ --folds 4                         # one recording a speaker: pairs of halves
  akin bench folds --data voices/ --clips 3 --clip-seconds 2        # pairs of clips
  akin bench folds --data photos/ --folds 10 --fold 3 --json`,
		Args: noArgs,
	}
	f := c.Flags()
	f.StringVar(&data, "data", "", dataHelp)
	f.StringVar(&labels, "labels", "", labelsHelp)
	f.IntVar(&o.Folds, "folds", 5, "parts")
	f.IntVar(&o.Fold, "fold", 0, "the part to measure, from 1; 0 is all of them")
	f.StringVar(&group, "group", "", "regular expression for what is kept together: its first group, or all that it matches of an item's path")
	f.IntVar(&o.Clips.Count, "clips", 0, "clips that a sound of an unknown class is cut into, 2 to 100")
	f.Float64Var(&o.Clips.Seconds, "clip-seconds", 2, "seconds of a clip, at least 0.1")
	f.IntVar(&o.Train.Epochs, "epochs", 0, "times through the data; 0 means as akin train chooses")
	f.Float64Var(&o.Train.Holdout, "holdout", 0.1, "share of what is trained on that follows the training, above 0, at most 0.5")
	f.Uint64Var(&o.Train.Seed, "seed", 0, "of the parts and of every training")
	f.IntVar(&o.Train.Threads, "threads", 0, "threads; 0 means one a core")
	modalityFlag(c, &o.Train.Modality)
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		if err := refuseZero(c, "epochs", "holdout", "folds"); err != nil {
			return err
		}
		if n := o.Clips.Count; c.Flags().Changed("clips") && (n < 2 || n > 100) {
			return fmt.Errorf("clips %d: it must be 2 to 100", n)
		} else if c.Flags().Changed("clip-seconds") && (n == 0 || !(o.Clips.Seconds >= 0.1)) {
			return fmt.Errorf("clip-seconds %g: it must be at least 0.1, with --clips", o.Clips.Seconds)
		}
		if err := checkHoldout(o.Train.Holdout); err != nil {
			return err
		}
		if o.Group, err = groupBy(group); err != nil {
			return err
		}
		o.Split = func(d train.Dataset) (rest, held train.Dataset, err error) {
			return splitToTrain(d, o.Train.Holdout, o.Train.Seed)
		}
		if o.Data, err = (source{data: data, labels: labels}).load(a, train.RowsTraining); err != nil {
			return err
		}
		o.Train.Progress, o.Train.Skip = a.trainProgress(), a.skip
		o.Done = func(f benchmarks.Fold) {
			a.status("fold %d: %v, %d items, trained in %.0f s", f.Fold, f.FoldFigures, f.Asked, f.Seconds)
		}
		r, err := benchmarks.Folds(c.Context(), o)
		if err != nil {
			return fmt.Errorf("cross-validation: %w", err)
		}
		return a.print(r, r.WriteTable)
	}
	return c
}

// groupBy returns what finds the name of an item's group in its id, nil for "".
func groupBy(expression string) (func(id string) (string, error), error) {
	if expression == "" {
		return nil, nil
	}
	re, err := regexp.Compile(expression)
	if err != nil {
		return nil, fmt.Errorf("group %q: %w", expression, err)
	}
	return func(id string) (string, error) {
		found := re.FindStringSubmatch(id)
		if found == nil {
			return "", fmt.Errorf("group %q: it finds nothing in %s: it must name the group of every item", expression, id)
		}
		return found[min(1, len(found)-1)], nil
	}, nil
}
