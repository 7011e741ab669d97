package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/akin-search/akin/benchmarks"
)

const runbookHelp = `With --runbook it measures a graph in use instead, at one ef, and holds the result to a bar:
  churn       30 % of the points are deleted and inserted again, --rounds times: recall after each against the fresh graph
  filter      searches among 50, 10, 1 and 0.1 % of the points that lie near the query, far from it, or anywhere, in a collection
  cold-start  a store of --points is closed, dropped from the caches and opened again: seconds to the first right answer
  mixed       searches of a collection alone and beside deletes and inserts, in turns: recall, and how much slower the slowest get`

func runbookNames() []string {
	var names []string
	for _, r := range benchmarks.Runbooks() {
		names = append(names, string(r))
	}
	return names
}

// Cold starts are measured on this much of gmm unless a data set is named.
const coldPoints, coldDimension = 1_000_000, 64

// prepareRunbook refuses what does not go with a runbook and fills in what it takes by default.
func (b *benchRecall) prepareRunbook(given func(flag string) bool) error {
	if !given("runbook") {
		if given("dir") {
			return fmt.Errorf("--dir %s: curves are measured in memory; it goes with --runbook", b.dir)
		}
		return nil
	}
	r, err := benchmarks.ParseRunbook(b.runbookName)
	if err != nil {
		return err
	}
	for _, flag := range []string{"engine", "peer", "plot"} {
		if given(flag) {
			return fmt.Errorf("--%s: a runbook measures the graph alone and draws nothing: leave it out, or leave out --runbook %s", flag, r)
		}
	}
	if given("dir") {
		if info, err := os.Stat(b.dir); err != nil || !info.IsDir() {
			return fmt.Errorf("--dir %s: there is no such folder", b.dir)
		}
	}
	if !given("ef") {
		b.options.EF = []int{benchmarks.RunbookEF}
	}
	if len(b.options.EF) != 1 || len(b.quantizations) != 1 {
		return fmt.Errorf("--runbook %s: %d values of --ef and %d of --quantization: give one of each", r, len(b.options.EF), len(b.quantizations))
	}
	if r == benchmarks.RunbookColdStart && !given("dataset") {
		b.source.Name = benchmarks.GMM
		if !given("points") {
			b.source.Points = coldPoints
		}
		if !given("dimension") {
			b.source.Dimension = coldDimension
		}
	}
	return nil
}

// runbook measures and prints.
func (b *benchRecall) runbook(ctx context.Context, data benchmarks.Data) error {
	o := benchmarks.RunbookOptions{
		K: b.options.K, EF: b.options.EF[0], Rounds: b.options.Rounds, Seed: b.options.Seed, Threads: b.options.Threads,
		Quantization: b.options.Quantizations[0], Folder: b.dir, Progress: b.options.Progress,
	}
	var report interface{ WriteTable(io.Writer) error }
	var err error
	switch r := benchmarks.Runbook(b.runbookName); r {
	case benchmarks.RunbookChurn:
		report, err = benchmarks.Churn(ctx, data, o)
	case benchmarks.RunbookFilter:
		report, err = benchmarks.Filtered(ctx, data, o)
	case benchmarks.RunbookMixed:
		report, err = benchmarks.Mixed(ctx, data, o)
	case benchmarks.RunbookColdStart:
		report, err = benchmarks.ColdStart(ctx, data, o, askInNewProcess)
	}
	if err != nil {
		return err
	}
	return b.print(report, report.WriteTable)
}
