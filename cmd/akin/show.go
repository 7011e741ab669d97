package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/akin-search/akin/benchmarks"
	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/train"
)

// shown is the result of akin show: the header of the model file as it is.
type shown struct {
	ModelID string `json:"model_id"`
	*encoder.Model
	path string
}

func newShow(a *app) *cobra.Command {
	var picture string
	c := &cobra.Command{
		Use:   "show [MODEL]",
		Short: "Show what a model is and how it was trained",
		Long: `Show the content of a model file: network, preprocessing, and the training record with data, options, curve, and what the embedding was good for
on the items held out at the end of training, with 95 % intervals over those items. Without an argument it is akin-data/model.akin.`,
		Example: `  akin show akin-data/model.akin
  akin show --plot curves.svg
  akin show model.akin --json | jq .record.options`,
		Args: cobra.MaximumNArgs(1),
	}
	c.Flags().StringVar(&picture, "plot", "", ".svg or .png file for the plot of the training curves")
	c.RunE = func(c *cobra.Command, args []string) error {
		if picture != "" {
			if err := benchmarks.CheckPlot(picture); err != nil {
				return err
			}
		}
		w := workspace{dir: "akin-data"}
		if len(args) > 0 {
			w.model = args[0]
		}
		m, id, err := encoder.ReadModel(w.modelPath())
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("there is no model at %s: name a model file, as in akin show DIR/model.akin (%w)", w.modelPath(), fs.ErrNotExist)
		}
		if err != nil {
			return err
		}
		s := shown{ModelID: id, Model: m, path: w.modelPath()}
		var rec *train.Record
		if m.Record != nil {
			if err := json.Unmarshal(m.Record, &rec); err != nil {
				return fmt.Errorf("%s: %w: its training record is not readable: %w", s.path, encoder.ErrModelFile, err)
			}
		}
		if picture != "" {
			if rec == nil || len(rec.Curve) == 0 {
				return fmt.Errorf("%s has no training curve to draw: leave --plot out", s.path)
			}
			if err := benchmarks.WriteChart(picture, s.chart(*rec)); err != nil {
				return err
			}
			a.status("plot: %s", picture)
		}
		return a.print(s, func(w io.Writer) error { return s.write(w, rec) })
	}
	return c
}

// write writes the model for people. rec may be nil.
func (s shown) write(w io.Writer, rec *train.Record) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nmodel %s\n\n", s.path, s.ModelID)
	if err := s.writeNetwork(&b); err != nil {
		return err
	}
	if rec == nil {
		fmt.Fprint(&b, "\nno training record\n")
	} else if err := s.writeRecord(&b, *rec); err != nil {
		return err
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// table writes aligned columns into memory.
func table(b *strings.Builder, rows func(row func(format string, args ...any))) {
	t := tabwriter.NewWriter(b, 0, 0, 3, ' ', 0)
	rows(func(format string, args ...any) { fmt.Fprintf(t, format+"\n", args...) })
	t.Flush() // into memory: nothing to fail
}

func (s shown) writeNetwork(b *strings.Builder) error {
	layers, err := s.Network.Summary()
	if err != nil {
		return err
	}
	flops, _, err := s.Network.Flops()
	if err != nil {
		return err
	}
	weights := 0
	table(b, func(row func(string, ...any)) {
		p := s.Preprocessing
		row("layer\tmakes\tweights")
		if t := p.Table; t != nil {
			row("%s of %d columns\t%s\t", p.Modality, len(t.Columns), size(p.Size))
		} else {
			row("%s, mean %.4g, deviation %.4g\t%s\t", p.Modality, p.Mean, p.Deviation, size(p.Size))
		}
		for _, l := range layers {
			row("%s\t%s\t%d", layerName(l.Layer), size(l.Output), l.Parameters)
			weights += l.Parameters
		}
		dimensions := layers[len(layers)-1].Output.Channels
		if t := s.Thumb; t != nil {
			row("beside it: where light lies, by %d directions of %d cells, and a constant\t%d\t", len(t.Directions), len(t.Mean), len(t.Directions)+1)
			dimensions += len(t.Directions) + 1
		}
		row("together\t%d dimensions\t%d, %.3g MFLOP an item", dimensions, weights, float64(flops)/1e6)
	})
	return nil
}

func size(s encoder.Size) string { return fmt.Sprintf("%d×%d×%d", s.Height, s.Width, s.Channels) }

// layerName says what a layer is, as in "conv 3×3, 16 filters, norm, relu, pool".
func layerName(l encoder.Layer) string {
	parts := []string{l.Kind}
	if l.Kernel > 0 {
		rows := l.Kernel
		if l.Line {
			rows = 1
		}
		parts[0] += fmt.Sprintf(" %d×%d", rows, l.Kernel)
	}
	for _, number := range []struct {
		n      int
		format string
	}{{l.Filters, "%d filters"}, {l.Keep, "keeps %d"}, {l.Units, "%d units"}, {l.Stride, "stride %d"}} {
		if number.n > 0 {
			parts = append(parts, fmt.Sprintf(number.format, number.n))
		}
	}
	for _, flag := range []struct {
		on   bool
		name string
	}{{l.Norm, "norm"}, {l.ReLU, "relu"}, {l.Pool, "pool"}, {l.Fixed, "fixed"}, {l.Whole, "whole"}} {
		if flag.on {
			parts = append(parts, flag.name)
		}
	}
	return strings.Join(parts, ", ")
}

func (s shown) writeRecord(b *strings.Builder, rec train.Record) error {
	fmt.Fprint(b, "\n")
	table(b, func(row func(string, ...any)) {
		row("trained on\t%d items of %s\t%s", rec.Items, classNames(rec.Classes), rec.DataHash)
		if rec.Validation > 0 {
			how := fmt.Sprintf("share %g, seed %d", rec.Options.Holdout, rec.Options.Seed)
			if rec.Options.Listed {
				how = "those of split validation"
			}
			row("held out\t%d items, %s\t%s", rec.Validation, how, rec.ValidationHash)
		}
		if p := rec.Pairs; p != nil {
			what, classes := "items", "classes trained on"
			if p.Halves {
				what = "halves of sounds"
			}
			if p.Unknown {
				classes = "other classes"
			}
			row("pairs\t%d of one class and %d of two, %s of %s\tequal error rate %.4f", len(p.Same), len(p.Different), what, classes, p.EER)
		}
	})
	if err := s.writeOptions(b); err != nil {
		return err
	}
	fmt.Fprint(b, "\n")
	table(b, func(row func(string, ...any)) {
		row("epoch\tloss\tvalidation kNN\tvariance\teffective rank\talignment\tuniformity\t")
		for _, e := range rec.Curve {
			if e.BackOff != nil {
				how := "went back to the end of"
				switch {
				case e.BackOff.Ends:
					how = "the model's is"
				case e.BackOff.Unhelped:
					how = "went on as at first from"
				}
				row("%d\t\t\t\t\t\t\t%s epoch %d: %s", e.Epoch, how, e.BackOff.To, e.BackOff.Reason)
				continue
			}
			validation, note := "", ""
			if e.Validation >= 0 {
				validation = fmt.Sprintf("%.4f", e.Validation)
			}
			if rec.Best > 0 && e.Epoch == rec.Best {
				note = "the model's"
			}
			row("%d\t%.4f\t%s\t%.4f\t%.2f\t%.4f\t%.4f\t%s", e.Epoch, e.Loss, validation, e.Variance, e.EffectiveRank, e.Alignment, e.Uniformity, note)
		}
	})
	if rec.Metrics != nil {
		fmt.Fprint(b, "\non the items held out\n")
		writeDownstream(b, *rec.Metrics, nil)
	}
	return nil
}

// classNames counts classes and names the first few.
func classNames(names []string) string {
	const most = 10
	more := ""
	if len(names) > most {
		more = ", …"
	}
	switch len(names) {
	case 0:
		return "no class"
	case 1:
		return fmt.Sprintf("1 class (%s)", names[0])
	}
	return fmt.Sprintf("%d classes (%s%s)", len(names), strings.Join(names[:min(most, len(names))], ", "), more)
}

// writeOptions lists the options that are set, as the record has them; the network is shown above.
func (s shown) writeOptions(b *strings.Builder) error {
	var rec struct {
		Options map[string]json.RawMessage `json:"options"`
	}
	if err := json.Unmarshal(s.Record, &rec); err != nil {
		return fmt.Errorf("%s: %w: its training options are not readable: %w", s.path, encoder.ErrModelFile, err)
	}
	fmt.Fprint(b, "\n")
	table(b, func(row func(string, ...any)) {
		for _, name := range slices.Sorted(maps.Keys(rec.Options)) {
			value := string(rec.Options[name])
			if unset := []string{"0", "false", "null", `""`}; name == "network" || name != "seed" && slices.Contains(unset, value) {
				continue
			}
			row("%s\t%s", name, strings.Trim(value, `"`))
		}
	})
	return nil
}

// chart draws the curves that there are: loss, validation, and how the embeddings fill their space. Epochs that did not count are left out.
func (s shown) chart(rec train.Record) benchmarks.Chart {
	c := benchmarks.Chart{Title: fmt.Sprintf("training of %.12s: %d items, loss %s", s.ModelID, rec.Items, rec.Options.Loss), XLabel: "epoch"}
	type curve struct {
		name string
		of   func(train.Epoch) (value float64, is bool)
	}
	healthy := func(of func(train.Health) float64) func(train.Epoch) (float64, bool) {
		return func(e train.Epoch) (float64, bool) { return of(e.Health), e.Health != train.Health{} }
	}
	for _, panel := range []struct {
		label  string
		curves []curve
	}{
		{"loss", []curve{{"loss", func(e train.Epoch) (float64, bool) { return e.Loss, true }}}},
		{"validation kNN", []curve{{"validation kNN", func(e train.Epoch) (float64, bool) { return e.Validation, e.Validation >= 0 }}}},
		{"effective rank", []curve{{"effective rank", healthy(func(h train.Health) float64 { return h.EffectiveRank })}}},
		{"of the embeddings", []curve{
			{"variance", healthy(func(h train.Health) float64 { return h.Variance })},
			{"alignment", healthy(func(h train.Health) float64 { return h.Alignment })},
			{"uniformity", healthy(func(h train.Health) float64 { return h.Uniformity })},
		}},
	} {
		p := benchmarks.Panel{YLabel: panel.label}
		for _, of := range panel.curves {
			line := benchmarks.Line{Name: of.name}
			for _, e := range rec.Curve {
				if v, is := of.of(e); is && e.BackOff == nil {
					line.X, line.Y = append(line.X, float64(e.Epoch)), append(line.Y, v)
				}
			}
			if len(line.X) > 0 {
				p.Lines = append(p.Lines, line)
			}
		}
		if len(p.Lines) > 0 {
			c.Panels = append(c.Panels, p)
		}
	}
	return c
}
