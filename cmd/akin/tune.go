package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/akin-search/akin/benchmarks"
	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
	"github.com/akin-search/akin/train"
)

// tuneResult is the result of akin tune.
type tuneResult struct {
	train.Tuned
	File string `json:"config_file"`
	Log  string `json:"log"`
}

func newTune(a *app) *cobra.Command {
	var w workspace
	var t train.TuneOptions
	var from source
	var out, picture string
	var robust, force bool
	o := &t.Options
	c := &cobra.Command{
		Use:   "tune --data DIR",
		Short: "Look for better training options than the defaults",
		Long: `Try out loss, temperature, learning rate, batch, strength of the augmentation and length of the embedding, and write the best of them as a
file for akin train --config. What you set by a flag stays as you set it. Settings are compared by their kNN accuracy on the images held
out, never on anything else; the defaults are among them, so the winner is never worse there.

Many settings train for few epochs, the best third of them for three times as many, and so on (successive halving). Trials that diverge
or collapse are dropped. Every finished training is a line in the log beside the model; Ctrl-C loses only the one in work, and --resume
goes on, also with a larger --budget.`,
		Example: `  akin tune --data photos/ --trials 20 --budget 10m --plot trials.svg
  akin tune --data photos/ --trials 20 --budget 1h --resume     # go on for longer
  akin train --data photos/ --config akin-data/tuned.json`,
		Args: noArgs,
	}
	f := c.Flags()
	w.flags(c)
	from.flags(c)
	f.IntVar(&t.Trials, "trials", train.DefaultTrials, "settings to try, the defaults among them")
	f.DurationVar(&t.Budget, "budget", train.DefaultBudget, "time for all trainings together, as in 10m or 2h")
	f.Float64Var(&o.Holdout, "holdout", 0.1, "share of the items held out to compare by, above 0 to 0.5")
	f.StringVar(&o.Loss, "loss", "", "keep this loss")
	f.Float64Var(&o.Temperature, "temperature", 0, "keep this temperature")
	f.Float64Var(&o.Rate, "rate", 0, "keep this peak learning rate")
	f.IntVar(&o.Batch, "batch", 0, "keep this batch")
	f.IntVar(&o.Dimension, "dimension", 0, "keep this length of the embedding")
	f.IntVar(&o.Epochs, "epochs", 0, "of the longest trainings; default as akin train chooses")
	f.IntVar(&o.Size, "size", 0, "side in pixels of the square that pictures are fitted into; default as akin train chooses")
	augmentFlag(c, &o.Augmentation)
	f.BoolVar(&robust, "robust", false, "train as akin train --robust does")
	f.TextVar(&o.Precision, "precision", kernel.Float32, precisionHelp+"; weights and sums are float32")
	f.Uint64Var(&t.Seed, "seed", 0, "of the settings, the trainings and the images held out")
	f.StringVar(&out, "out", "", "file for the winner (default DIR/tuned.json)")
	f.StringVar(&picture, "plot", "", ".svg or .png file for a plot of the trials")
	f.BoolVar(&t.Resume, "resume", false, "go on from the log")
	f.BoolVar(&force, "force", false, "forget an earlier log")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := checkHoldout(o.Holdout); err != nil {
			return err
		}
		if err := refuseZero(c, "holdout", "trials", "temperature", "rate", "batch", "dimension", "epochs", "size"); err != nil {
			return err
		}
		if force && t.Resume {
			return errors.New("--force forgets the log that --resume goes on from: give one of the two")
		}
		if picture != "" {
			if err := benchmarks.CheckPlot(picture); err != nil {
				return err
			}
		}
		all, err := from.load(a, train.RowsTraining)
		if err != nil {
			return err
		}
		o.Seed = t.Seed
		rest, held, err := split(all, o.Holdout, o.Seed)
		if err != nil {
			return err
		}
		if out == "" {
			out = filepath.Join(w.dir, "tuned.json")
		}
		t.Log = w.modelPath() + ".tune.jsonl"
		for _, path := range []string{out, t.Log} {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
		}
		if force {
			if err := os.Remove(t.Log); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
		if robust {
			o.Robust = train.DefaultRobust()
		}
		o.Threads, o.Skip = w.threads, once(a.skip)
		t.Begin = func(s train.Step) { a.status("trial %d, %d epochs: %v", s.Trial, s.Epochs, s.Settings) }
		t.Done = func(s train.Step) {
			if s.Failed() {
				a.status("  dropped after %.0f s: %s", s.Seconds, s.Reason)
				return
			}
			a.status("  validation kNN %.4f after %.0f s", s.Validation, s.Seconds)
		}
		tuned, err := train.Tune(c.Context(), rest, held, t)
		if err != nil {
			if _, e := os.Stat(t.Log); e == nil && c.Context().Err() != nil {
				a.status("stopped; the log is %s: run the same command with --resume to go on", t.Log)
			}
			return err
		}
		config, err := json.MarshalIndent(tuned.Config, "", "  ")
		if err != nil {
			return err
		}
		if err := encoder.WriteFileAtomic(out, append(config, '\n')); err != nil {
			return err
		}
		if picture != "" {
			if err := benchmarks.WriteChart(picture, tuneChart(tuned)); err != nil {
				return err
			}
			a.status("plot: %s", picture)
		}
		return a.print(tuneResult{tuned, out, t.Log}, func(wr io.Writer) error { return writeTuned(wr, tuned, out, from.data) })
	}
	return c
}

// once passes each item on a single time: every training meets the same unreadable files.
func once(skip func(train.Skipped)) func(train.Skipped) {
	seen := map[string]bool{}
	return func(s train.Skipped) {
		if !seen[s.Path] {
			seen[s.Path] = true
			skip(s)
		}
	}
}

// writeTuned writes a row a training, and the winner.
func writeTuned(w io.Writer, t train.Tuned, file, data string) error {
	var b strings.Builder
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "trial\tepochs\tvalidation kNN\tseconds\tsettings")
	for _, s := range t.Steps {
		result := fmt.Sprintf("%.4f", s.Validation)
		if s.Failed() {
			result = "dropped"
		}
		mark := ""
		if s.Trial == t.Winner && s.Rung == t.Rung {
			mark = "  ← best"
		}
		fmt.Fprintf(tw, "%d\t%d\t%s\t%.1f\t%v%s\n", s.Trial, s.Epochs, result, s.Seconds, s.Settings, mark)
	}
	tw.Flush() // into memory: nothing to fail
	for _, s := range t.Steps {
		if s.Failed() {
			fmt.Fprintf(&b, "trial %d was dropped: %s\n", s.Trial, s.Reason)
		}
	}
	if !t.Complete {
		fmt.Fprintf(&b, "the budget ended it after %v: --resume with a larger one goes on\n", time.Duration(t.Seconds*float64(time.Second)).Round(time.Second))
	}
	defaults := fmt.Sprintf("%.4f with the defaults", t.Defaults)
	if t.Defaults < 0 { // they failed at every rung
		defaults = "the defaults failed"
	}
	fmt.Fprintf(&b, "\nwinner: trial %d, validation kNN %.4f after %d epochs; %s\n%s\nnext: akin train --data %s --config %s\n", t.Winner, t.Validation, t.Rungs[t.Rung], defaults, file, data, file)
	_, err := io.WriteString(w, b.String())
	return err
}

// tuneChart marks each training by its trial and its epochs.
func tuneChart(t train.Tuned) benchmarks.Chart {
	var lines []benchmarks.Line
	for rung, epochs := range t.Rungs {
		l := benchmarks.Line{Name: fmt.Sprintf("epochs: %d", epochs), Marks: true}
		for _, s := range t.Steps {
			if s.Rung == rung && !s.Failed() {
				l.X, l.Y = append(l.X, float64(s.Trial)), append(l.Y, s.Validation)
			}
		}
		if len(l.X) > 0 {
			lines = append(lines, l)
		}
	}
	if t.Defaults >= 0 {
		right := 0
		for _, s := range t.Steps {
			right = max(right, s.Trial)
		}
		lines = append(lines, benchmarks.Line{Name: fmt.Sprintf("the defaults, epochs: %d", t.Rungs[t.Rung]), X: []float64{0, float64(max(1, right))}, Y: []float64{t.Defaults, t.Defaults}})
	}
	return benchmarks.Chart{Title: "Tuning: kNN accuracy on the images held out", XLabel: "trial (0: the defaults)", Panels: []benchmarks.Panel{{YLabel: "kNN accuracy", Lines: lines}}}
}
