package main

import (
	"github.com/spf13/cobra"

	"github.com/akin-search/akin/benchmarks"
	"github.com/akin-search/akin/encoder/kernel"
)

func newBenchLearn(a *app) *cobra.Command {
	var o benchmarks.LearnOptions
	c := &cobra.Command{
		Use:   "learn",
		Short: "Measure what training reaches",
		Long: `Train with several seeds and measure on the official test images: median, minimum and maximum over the seeds.

Protocols, and their data sets:
` + benchmarks.ProtocolNames() + `
What is not set is chosen as akin train chooses it. --validation measures on a sixth of the training images (of omniglot, on two other alphabets), which are then
not learned from, and leaves the test images alone: choose by it, and measure once without it.`,
		Example: `  akin bench learn
  akin bench learn --dataset fashion-mnist --data fashion/ --json
  akin bench learn --validation --limit 10000 --epochs 2 --seeds 1`,
		Args: cobra.NoArgs,
	}
	f := c.Flags()
	f.StringVar(&o.Dataset, "dataset", benchmarks.MNIST, "mnist, fashion-mnist or omniglot")
	f.StringVar(&o.Protocol, "protocol", "supervised", "what to measure")
	f.StringVar(&o.Dir, "data", "", "folder of the data set's files (default: mnist in the module cache, fashion-mnist of Debian's package, omniglot none)")
	f.IntVar(&o.Seeds, "seeds", benchmarks.DefaultSeeds, "runs, each with the next seed")
	f.Uint64Var(&o.Seed, "seed", 0, "the first seed")
	f.IntVar(&o.Limit, "limit", 0, "learn from the first N training images; 0 means all")
	f.IntVar(&o.LabelsPerClass, "labels-per-class", benchmarks.DefaultLabelsPerClass, "of protocol few-label: labels that training gets, other ones with each seed")
	f.BoolVar(&o.Validation, "validation", false, "measure on training images kept aside, not on the test images")
	f.IntVar(&o.Train.Epochs, "epochs", 0, "times through the training images; 0 means chosen as by akin train")
	f.TextVar(&o.Train.Precision, "precision", kernel.Float32, precisionHelp)
	augmentFlag(c, &o.Train.Augmentation)
	f.IntVar(&o.Train.Threads, "threads", 0, "threads; 0 means one a core")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := typed(c, map[string]int{"seeds": o.Seeds, "limit": o.Limit, "labels-per-class": o.LabelsPerClass, "epochs": o.Train.Epochs}); err != nil {
			return err
		}
		o.Progress = func(line string) { a.status("%s", line) }
		r, err := benchmarks.Learn(c.Context(), o)
		if err != nil {
			return err
		}
		return a.print(r, r.WriteTable)
	}
	return c
}
