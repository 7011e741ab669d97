package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/akin-search/akin/benchmarks"
	"github.com/akin-search/akin/encoder/kernel"
)

func newBenchTrain(a *app) *cobra.Command {
	var o benchmarks.TrainOptions
	c := &cobra.Command{
		Use:   "train",
		Short: "Measure a training step",
		Long: `Measure whole training steps on random 28×28 images of ten classes: upload of the batch, forward, SupCon at temperature 0.1,
backward and AdamW. Eight prepared batches take turns; there is no augmentation.

Times are medians: of the wall clock, and of the processor time of all threads, which other work on the machine disturbs less.
The peak is what multiply-adds of float32 on registers alone reach on this machine, times the threads; with bf16, too.

Networks: mlp, 784-256-128-64; cnn, conv 3×3×16, pool, conv 3×3×32, pool, linear 128, linear 64; default, that of akin train;
resnet, ResNet-8-like with normalisation, 32-64-128 channels. benchmarks/peers runs the same in PyTorch.`,
		Example: `  akin bench train
  akin bench train --network mlp --threads 2 --json
  akin bench train --network resnet --steps 20 --warmup 3 --precision bf16`,
		Args: cobra.NoArgs,
	}
	f := c.Flags()
	f.StringVar(&o.Network, "network", benchmarks.DefaultNetwork, networkHelp())
	f.IntVar(&o.Batch, "batch", benchmarks.DefaultBatch, "images a step")
	f.IntVar(&o.Threads, "threads", 1, "0 means one a core")
	f.IntVar(&o.Steps, "steps", benchmarks.DefaultSteps, "steps to measure")
	f.IntVar(&o.Warmup, "warmup", benchmarks.DefaultWarmup, "steps before, not measured")
	f.Uint64Var(&o.Seed, "seed", 0, "of weights, images and labels")
	f.TextVar(&o.Precision, "precision", kernel.Float32, precisionHelp)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := typed(c, map[string]int{"batch": o.Batch, "steps": o.Steps, "warmup": o.Warmup}); err != nil {
			return err
		}
		r, err := benchmarks.Train(c.Context(), o)
		if err != nil {
			return err
		}
		return a.print(r, r.WriteTable)
	}
	return c
}

const precisionHelp = "of the products of convolutions: float32, or bf16, which needs AMX or AVX512_BF16"

func networkHelp() string { return strings.Join(benchmarks.NetworkNames(), ", ") }

// typed refuses numbers below 1 that were typed: in the options of a benchmark a zero means the default.
func typed(c *cobra.Command, values map[string]int) error {
	for flag, v := range values {
		if c.Flags().Changed(flag) && v < 1 {
			return fmt.Errorf("--%s %d: use 1 or more", flag, v)
		}
	}
	return nil
}
