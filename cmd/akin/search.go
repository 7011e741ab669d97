package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/akin-search/akin/index"
	"github.com/akin-search/akin/server"
)

// found is one hit of akin search.
type found struct {
	ID    string  `json:"id"`
	Score float32 `json:"score"`
	Label string  `json:"label,omitempty"`
	Text  string  `json:"text,omitempty"` // of a model of texts
}

// defaultHits is how many points a search returns unless told.
const defaultHits = 10

func newSearch(a *app) *cobra.Command {
	var w workspace
	var id string
	var k int
	var p index.Params
	var threshold float32
	var filter string
	c := &cobra.Command{
		Use:   "search [FILE|TEXT]",
		Short: "Find the points most like an image, a sound or a text, or like a point",
		Example: `  akin search picture.jpg
  akin search --id cats/0001.png --k 5 --json
  akin search "where is my card"
  akin search picture.jpg --score-threshold 0.9 --k 1000
  akin search picture.jpg --filter '{"must":[{"key":"@label","match":{"any":["cats","dogs"]}}]}'`,
		Args: cobra.MaximumNArgs(1),
	}
	w.flags(c)
	w.collectionFlag(c)
	c.Flags().StringVar(&id, "id", "", "search by this point instead of an image")
	c.Flags().IntVar(&k, "k", defaultHits, "hits")
	c.Flags().IntVar(&p.EF, "ef", 0, "candidates of the graph search; 0 means the larger of 64 and k")
	c.Flags().BoolVar(&p.Exact, "exact", false, "compare with every point")
	c.Flags().Float64Var(&p.RecallTarget, "recall-target", 0, "find this share of the nearest on average, as the collection has measured it, 0.99 for example; stands in for --ef (default none)")
	c.Flags().Float32Var(&threshold, "score-threshold", 0, "leave out hits with a smaller score (default none)")
	c.Flags().StringVar(&filter, "filter", "", "only points that pass this filter, JSON as in POST /search; the key @label is the label")
	c.RunE = func(c *cobra.Command, args []string) error {
		if (id == "") == (len(args) == 0) {
			return errors.New("give an input, a file or a text, or a point by --id, one of the two")
		}
		if c.Flags().Changed("score-threshold") {
			p.ScoreThreshold = &threshold
		}
		if filter != "" {
			f, err := server.ParseFilter(filter)
			if err != nil {
				return fmt.Errorf("--filter: %w", err)
			}
			p.Filter = f
		}
		e, err := w.encoder()
		if err != nil {
			return err
		}
		var hits []found
		err = w.withCollection(a, e.ModelID(), func(col *index.Collection) error {
			var q []float32
			if id != "" {
				points, err := col.Look(index.FieldVector, id)
				if err != nil {
					return err
				}
				if points[0].ID == "" {
					return fmt.Errorf("collection %q: point %q: %w", col.Name(), id, index.ErrNotFound)
				}
				q = points[0].Vector
			} else {
				raw, err := readInput(e, args[0])
				if err != nil {
					return err
				}
				v, err := e.Encode(c.Context(), raw)
				if err != nil {
					return fmt.Errorf("%s: %w", args[0], err)
				}
				q = v[0]
			}
			if p.RecallTarget != 0 {
				plan, err := col.Plan(k, p)
				if err != nil {
					return err
				}
				if p = plan.Params; plan.Reason != "" {
					a.status("exact search: %s", plan.Reason)
				} else if !p.Exact {
					a.status("recall of %.4f or more with --ef %d", plan.Recall, p.EF)
				}
			}
			got, err := col.Search(c.Context(), q, k, p)
			if err != nil {
				return err
			}
			if hits, err = withLabels(col, got); err != nil || !ofTexts(e) {
				return err
			}
			return withTexts(col, hits)
		})
		if err != nil {
			return err
		}
		return a.print(hits, func(wr io.Writer) error {
			t := tabwriter.NewWriter(wr, 0, 0, 2, ' ', 0)
			fmt.Fprint(t, "score\tlabel\tid")
			if ofTexts(e) {
				fmt.Fprint(t, "\ttext")
			}
			fmt.Fprintln(t)
			for _, h := range hits {
				fmt.Fprintf(t, "%.4f\t%s\t%s", h.Score, h.Label, h.ID)
				if ofTexts(e) {
					fmt.Fprintf(t, "\t%s", excerpt([]byte(h.Text)))
				}
				fmt.Fprintln(t)
			}
			return t.Flush()
		})
	}
	return c
}

// withTexts adds the points' raw inputs to hits.
func withTexts(col *index.Collection, hits []found) error {
	ids := make([]string, len(hits))
	for i, h := range hits {
		ids[i] = h.ID
	}
	points, err := col.Look(index.FieldRaw, ids...)
	for i, p := range points {
		hits[i].Text = string(p.Raw)
	}
	return err
}

// withLabels adds the points' labels to hits.
func withLabels(col *index.Collection, hits []index.Hit) ([]found, error) {
	ids := make([]string, len(hits))
	for i, h := range hits {
		ids[i] = h.ID
	}
	points, err := col.Look(index.FieldLabel, ids...)
	if err != nil {
		return nil, err
	}
	out := make([]found, len(hits))
	for i, h := range hits {
		out[i] = found{ID: h.ID, Score: h.Score, Label: points[i].Label}
	}
	return out, nil
}
