package main

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/akin-search/akin/benchmarks"
	"github.com/akin-search/akin/index"
)

func newBench(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure akin on this machine",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newBenchRecall(a), newBenchTrain(a), newBenchLearn(a), newBenchText(a), newBenchNegatives(a), newBenchEncode(a), newBenchAnomaly(a), newBenchFolds(a), newBenchGemm(a), newBenchCold(a))
	return c
}

// benchRecall is one run of akin bench recall.
type benchRecall struct {
	*app
	source         benchmarks.Source
	options        benchmarks.Options
	engines        []string
	quantizations  []string
	queries        string
	mnist, fashion string
	metric         string
	runbookName    string
	dir            string
	plot           string
}

func newBenchRecall(a *app) *cobra.Command {
	b := benchRecall{app: a}
	c := &cobra.Command{
		Use:   "recall",
		Short: "Measure how much of the truth the index engines find, and how fast",
		Long: `Build the index engines on one data set and measure, for every ef, recall@k against exact search, queries a second of one
thread, and the time that half (p50) and 99 of 100 (p99) of the queries take. Writes a plot of recall against speed.

Engines are timed in turns, round after round, by the processor time of one thread that stays on one core: compare those of one
run with each other, not two runs. More ef finds more
and takes longer; flat is exact and has none.

Data sets: mnist; fashion-mnist; gmm, a Gaussian mixture (--points, --dimension, --seed); or a file:
.fvecs, .bvecs, .npy (floats or bytes, two dimensions), .idx (images). Digits and clothes are reduced to 64 dimensions by
principal components and compared by cosine; --raw leaves them at 784 pixels, by L2. gmm and files are compared by L2, which
ranks vectors of unit length as cosine does; --metric says otherwise.

` + runbookHelp,
		Example: `  akin bench recall
  akin bench recall --dataset mnist --k 10 --engine graph,coder,flat --json
  akin bench recall --dataset fashion-mnist --data fashion/ --raw --engine graph,flat
  akin bench recall --dataset gmm --points 50000 --dimension 96 --ef 32,64,128
  akin bench recall --dataset gmm --engine graph --peer ./hnswlib
  akin bench recall --dataset gmm --engine graph --quantization float32,int8
  akin bench recall --dataset embeddings.npy --queries questions.npy --metric cosine --plot recall.png
  akin bench recall --dataset base.bvecs --queries query.bvecs --truth groundtruth.ivecs
  akin bench recall --runbook churn
  akin bench recall --runbook filter --dataset gmm --points 100000 --json
  akin bench recall --runbook cold-start --points 1000000`,
		Args: cobra.NoArgs,
	}
	f := c.Flags()
	f.StringVar(&b.source.Name, "dataset", benchmarks.MNIST, "mnist, fashion-mnist, gmm or a file")
	f.IntVar(&b.options.K, "k", benchmarks.DefaultK, "neighbours of a query")
	f.StringSliceVar(&b.engines, "engine", []string{"graph", "coder", "flat"}, "engines, separated by commas")
	f.StringSliceVar(&b.quantizations, "quantization", []string{"float32"}, "of the graph: "+index.QuantizationNames()+", separated by commas")
	f.StringVar(&b.queries, "queries", "", fmt.Sprintf("how many queries (default %d), or a file of queries for a data set that is a file", benchmarks.DefaultQueries))
	f.StringVar(&b.source.TruthFile, "truth", "", ".ivecs file with the nearest rows of each query, instead of searching for them")
	f.StringVar(&b.metric, "metric", "", "cosine, l2 or dot (default: that of the data set)")
	f.IntVar(&b.source.Limit, "limit", 0, "index only the first N points; 0 means all")
	f.IntSliceVar(&b.options.EF, "ef", benchmarks.DefaultEF(), fmt.Sprintf("candidates of a search, separated by commas; below k counts as k; a runbook uses one (default %d)", benchmarks.RunbookEF))
	f.IntVar(&b.source.Points, "points", 0, fmt.Sprintf("points of gmm (default %d)", benchmarks.DefaultPoints))
	f.IntVar(&b.source.Dimension, "dimension", 0, fmt.Sprintf("dimension of gmm (default %d)", benchmarks.DefaultDimension))
	f.Uint64Var(&b.options.Seed, "seed", 0, "of gmm and of the engines")
	f.IntVar(&b.options.Threads, "threads", 0, "threads for building, queries are asked by one; 0 means one a core")
	f.IntVar(&b.options.Rounds, "rounds", benchmarks.DefaultRounds, "of timing, whose median counts: more on a busy machine")
	f.StringVar(&b.options.Peer, "peer", "", "program of another library's index to take turns with: benchmarks/peers/README.md")
	f.BoolVar(&b.source.Raw, "raw", false, "leave mnist and fashion-mnist at 784 dimensions")
	f.StringVar(&b.mnist, "mnist", "", "folder with the four files of mnist (default: the module cache)")
	f.StringVar(&b.fashion, "data", "", "folder with the four files of fashion-mnist (default: that of Debian's package)")
	f.StringVar(&b.dir, "dir", "", "folder in which a runbook makes its store, and deletes it (default: that of temporary files)")
	f.StringVar(&b.plot, "plot", "", `.svg or .png file for the plot, "" for none (default recall-DATASET-kK.svg)`)
	f.StringVar(&b.runbookName, "runbook", "", "measure the graph in use instead of curves: "+strings.Join(runbookNames(), ", "))
	c.RunE = func(c *cobra.Command, _ []string) error { return b.run(c) }
	return c
}

func (b *benchRecall) run(c *cobra.Command) error {
	given := c.Flags().Changed
	if err := b.prepareRunbook(given); err != nil {
		return err
	}
	if err := b.check(given); err != nil {
		return err
	}
	if given("plot") && b.plot != "" {
		if err := benchmarks.CheckPlot(b.plot); err != nil {
			return err
		}
	}
	start := time.Now()
	data, err := benchmarks.Load(c.Context(), b.source)
	if err != nil {
		return err
	}
	b.status("%s: loaded in %.1f s", data.Name, time.Since(start).Seconds())
	if b.runbookName != "" {
		return b.runbook(c.Context(), data)
	}
	if !given("plot") {
		b.plot = fmt.Sprintf("recall-%s-k%d.svg", data.Name, b.options.K)
		if err := benchmarks.CheckPlot(b.plot); err != nil {
			return err
		}
	}
	report, err := benchmarks.Recall(c.Context(), data, b.options)
	if err != nil {
		return err
	}
	if err := b.print(report, report.WriteTable); err != nil {
		return err
	}
	if b.plot == "" {
		return nil
	}
	if err := report.WritePlot(b.plot); err != nil {
		return err
	}
	b.status("plot: %s", b.plot)
	return nil
}

// check turns the flags into source and options, and refuses bad ones before anything is read. In those structs a zero means the
// default, on the command line it is what was typed.
func (b *benchRecall) check(given func(flag string) bool) error {
	b.options.Progress = func(line string) { b.status("%s", line) }
	b.source.Seed = b.options.Seed
	if given("metric") {
		m, err := index.ParseMetric(b.metric)
		if err != nil {
			return err
		}
		b.source.Metric = &m
	}

	for flag, value := range map[string]int{"points": b.source.Points, "dimension": b.source.Dimension} {
		if given(flag) && value < 1 {
			return fmt.Errorf("--%s %d: use 1 or more", flag, value)
		}
	}
	if b.options.Threads == 0 {
		b.options.Threads = runtime.GOMAXPROCS(0)
	}
	for _, name := range b.engines {
		e, err := index.ParseEngine(strings.TrimSpace(name))
		if err != nil {
			return err
		}
		b.options.Engines = append(b.options.Engines, e)
	}
	for _, name := range b.quantizations {
		q, err := index.ParseQuantization(strings.TrimSpace(name))
		if err != nil {
			return err
		}
		b.options.Quantizations = append(b.options.Quantizations, q)
	}
	if len(b.engines) == 0 {
		return errors.New("--engine names none: use some of graph, coder, flat")
	}
	if len(b.quantizations) == 0 {
		return fmt.Errorf("--quantization names none: use some of %s", index.QuantizationNames())
	}
	if err := b.options.Validate(); err != nil {
		return err
	}

	if n, err := strconv.Atoi(b.queries); err == nil {
		if n < 1 {
			return fmt.Errorf("--queries %d: use 1 to %d, or name a file", n, benchmarks.MaxQueries)
		}
		b.source.Queries = n
	} else {
		b.source.QueryFile = b.queries
	}
	for _, folder := range []struct{ flag, dir, dataset string }{
		{"mnist", b.mnist, benchmarks.MNIST}, {"data", b.fashion, benchmarks.Fashion},
	} {
		switch {
		case folder.dir == "":
		case folder.dataset != b.source.Name:
			return fmt.Errorf("--%s %s is for --dataset %s, not %s", folder.flag, folder.dir, folder.dataset, b.source.Name)
		default:
			b.source.Dir = folder.dir
		}
	}
	source := b.source
	source.SetDefaults()
	return source.Validate()
}
