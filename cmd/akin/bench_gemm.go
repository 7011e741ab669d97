package main

import (
	"github.com/spf13/cobra"

	"github.com/akin-search/akin/benchmarks"
)

func newBenchGemm(a *app) *cobra.Command {
	var o benchmarks.GemmOptions
	c := &cobra.Command{
		Use:   "gemm",
		Short: "Measure the product of two matrices",
		Long: `Measure the product of two square float32 matrices on one thread, by the processor time it takes. benchmarks/peers/gemm.py
measures OpenBLAS in the same way.`,
		Example: `  akin bench gemm --size 512 --json
  AKIN_CPU=avx2 akin bench gemm`,
		Args: cobra.NoArgs,
	}
	f := c.Flags()
	f.IntVar(&o.Size, "size", benchmarks.DefaultGemmSize, "rows and columns")
	f.IntVar(&o.Rounds, "rounds", benchmarks.DefaultRounds, "the result is their median")
	f.Uint64Var(&o.Seed, "seed", 0, "of the values")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := typed(c, map[string]int{"size": o.Size, "rounds": o.Rounds}); err != nil {
			return err
		}
		r, err := benchmarks.Gemm(c.Context(), o)
		if err != nil {
			return err
		}
		return a.print(r, r.WriteTable)
	}
	return c
}
