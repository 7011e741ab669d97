package main

import (
	"github.com/spf13/cobra"

	"github.com/akin-search/akin/benchmarks"
)

func newBenchEncode(a *app) *cobra.Command {
	var o benchmarks.EncodeOptions
	c := &cobra.Command{
		Use:   "encode",
		Short: "Measure how fast images become embeddings",
		Long: `Measure an encoder with random weights on 28×28 images, from raw bytes to embeddings: the time of one image (p50, p99) as IDX
and as PNG, and images a second in batches of IDX on all threads. Networks are those of akin bench train.`,
		Example: `  akin bench encode
  akin bench encode --network resnet --threads 1 --json`,
		Args: cobra.NoArgs,
	}
	f := c.Flags()
	f.StringVar(&o.Network, "network", benchmarks.DefaultNetwork, networkHelp())
	f.IntVar(&o.Threads, "threads", 0, "of a batch; 0 means one a core")
	f.IntVar(&o.Items, "items", benchmarks.DefaultItems, "single images to time in each format")
	f.IntVar(&o.Batch, "batch", benchmarks.DefaultEncodeBatch, "images of a batch")
	f.IntVar(&o.Rounds, "rounds", benchmarks.DefaultRounds, "of batches; the result is their median")
	f.Uint64Var(&o.Seed, "seed", 0, "of weights and images")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := typed(c, map[string]int{"items": o.Items, "batch": o.Batch, "rounds": o.Rounds}); err != nil {
			return err
		}
		r, err := benchmarks.Encode(c.Context(), o)
		if err != nil {
			return err
		}
		return a.print(r, r.WriteTable)
	}
	return c
}
