package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/akin-search/akin/benchmarks"
)

func newBenchNegatives(a *app) *cobra.Command {
	var o benchmarks.NegativesOptions
	c := &cobra.Command{
		Use:   "negatives",
		Short: "Measure what sources of negatives bring at equal time",
		Long: `Train a small network with several losses and sources of negatives (LOSS/NEGATIVES, as in akin train --loss --negatives) and measure the
kNN accuracy of the official test images: median, minimum and maximum over the seeds.

Every run gets the processor time that the first one takes for --epochs of all images: what an epoch costs, mining included, is measured
first, by a training that is thrown away, and so many epochs of so many images are taken as fit. All training images are searched. The gain is over the first run of the same loss. --validation measures on a sixth of the training images,
which are then not learned from: choose by it.`,
		Example: `  akin bench negatives --dataset fashion-mnist --data fashion/ --json
  akin bench negatives --runs contrastive/random,contrastive/index --limit 20000 --validation
  akin bench negatives --runs supcon/batch,supcon/memory,supcon/index --epochs 6 --seeds 1`,
		Args: cobra.NoArgs,
	}
	f := c.Flags()
	f.StringVar(&o.Learn.Dataset, "dataset", benchmarks.MNIST, "mnist or fashion-mnist")
	f.StringVar(&o.Learn.Dir, "data", "", "folder of the data set's files (default: mnist in the module cache, fashion-mnist of Debian's package)")
	f.StringSliceVar(&o.Runs, "runs", benchmarks.DefaultNegativesRuns, "what to compare, separated by commas")
	f.IntVar(&o.Learn.Train.Epochs, "epochs", benchmarks.DefaultNegativesEpochs, "times through the training images, of the first run")
	f.IntVar(&o.Learn.Seeds, "seeds", benchmarks.DefaultSeeds, "runs of each, each with the next seed")
	f.Uint64Var(&o.Learn.Seed, "seed", 0, "the first seed")
	f.IntVar(&o.Learn.Limit, "limit", 0, "learn from the first N training images; 0 means all")
	f.BoolVar(&o.Learn.Validation, "validation", false, "measure on training images kept aside, not on the test images")
	f.IntVar(&o.Learn.Train.Threads, "threads", 1, "threads; 0 means one a core")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := typed(c, map[string]int{"seeds": o.Learn.Seeds, "limit": o.Learn.Limit, "epochs": o.Learn.Train.Epochs}); err != nil {
			return err
		}
		if len(o.Runs) == 0 {
			return fmt.Errorf("--runs names none: use some of %s", strings.Join(benchmarks.DefaultNegativesRuns, ", "))
		}
		o.Learn.Progress = func(line string) { a.status("%s", line) }
		r, err := benchmarks.Negatives(c.Context(), o)
		if err != nil {
			return err
		}
		return a.print(r, r.WriteTable)
	}
	return c
}
