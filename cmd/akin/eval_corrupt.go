package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
	"github.com/akin-search/akin/train"
)

// corruptFlags are those of akin eval that corrupt the queries.
type corruptFlags struct {
	on         bool
	severities []int
}

func (f *corruptFlags) flags(c *cobra.Command) {
	c.Flags().BoolVar(&f.on, "corrupt", false, "also ask with corrupted pictures (noise, blur, occlusion, …) at five severities, and show what is left")
	c.Flags().IntSliceVar(&f.severities, "severity", nil, "with --corrupt, these severities only, 1 to 5")
}

// check refuses flags that cannot be meant, before any work.
func (f *corruptFlags) check(c *cobra.Command) error {
	if !c.Flags().Changed("severity") {
		return nil
	}
	if !f.on {
		return errors.New("--severity is of corruptions: give --corrupt too")
	}
	if len(f.severities) == 0 {
		return errors.New("--severity names none: give 1 to 5, or leave it out for all")
	}
	for _, s := range f.severities {
		if s < train.MinSeverity || s > train.MaxSeverity {
			return fmt.Errorf("--severity %d: it must be %d to %d", s, train.MinSeverity, train.MaxSeverity)
		}
	}
	slices.Sort(f.severities)
	f.severities = slices.Compact(f.severities)
	return nil
}

// evaluate returns nil without --corrupt.
func (f *corruptFlags) evaluate(ctx context.Context, a *app, e *encoder.Encoder, base kernel.Matrix, labels []int, queries train.Dataset, threads int) (*train.Corrupted, error) {
	if !f.on {
		return nil, nil
	}
	o := train.CorruptOptions{Severities: f.severities, Threads: threads}
	if a.terminal() {
		o.Progress = func(done, of int) { fmt.Fprintf(a.stderr, "\r%s", pad(fmt.Sprintf("corruption %d/%d", done, of))) }
		defer func() { fmt.Fprint(a.stderr, "\r"+pad("")+"\r") }()
	}
	r, err := train.EvaluateCorrupted(ctx, e, base, labels, queries, o)
	return &r, err
}

// writeCorrupted writes a row a corruption, a column a severity.
func writeCorrupted(w io.Writer, r train.Corrupted) error {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 3, ' ', tabwriter.AlignRight)
	row := func(name string, cells []string) { fmt.Fprintf(t, "%s\t%s\t\n", name, strings.Join(cells, "\t")) }
	header := make([]string, len(r.Means))
	for i, m := range r.Means {
		header[i] = fmt.Sprintf("severity %d", m.Severity)
	}
	fmt.Fprintf(&b, "kNN accuracy / recall@1 of corrupted queries among clean pictures; clean: %.4f / %.4f\n\n", r.CleanAccuracy, r.CleanRecall)
	row("", header)
	cell := func(accuracy, recall float64) string { return fmt.Sprintf("%.4f / %.4f", accuracy, recall) }
	for i := 0; i < len(r.Scores); i += len(r.Means) {
		cells := make([]string, len(r.Means))
		for j := range cells {
			s := r.Scores[i+j]
			cells[j] = cell(s.KNNAccuracy, s.RecallAt1)
		}
		name := r.Scores[i].Corruption
		if r.Scores[i].HeldOut {
			name += " *"
		}
		row(name, cells)
	}
	known, heldOut := make([]string, len(r.Means)), make([]string, len(r.Means))
	for i, m := range r.Means {
		known[i], heldOut[i] = cell(m.KNNAccuracy, m.RecallAt1), cell(m.HeldOutAccuracy, m.HeldOutRecall)
	}
	row("mean", known)
	row("mean of *", heldOut)
	t.Flush() // into memory: nothing to fail
	b.WriteString("\n* held out: akin train --robust trains on nothing of the kind\n")
	_, err := io.WriteString(w, b.String())
	return err
}
