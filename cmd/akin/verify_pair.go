package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/index"
	"github.com/akin-search/akin/train"
)

// exitDifferent is the exit code of akin verify-pair where the two sides are not of one class.
const exitDifferent = exitCode(3)

// pairVerified is what akin verify-pair prints.
type pairVerified struct {
	Score    float64 `json:"score"` // cosine
	Enrolled int     `json:"enrolled"`
	*pairVerdict
	ModelID string `json:"model_id"`
}

type pairVerdict struct {
	Same      bool    `json:"same"`
	PValue    float64 `json:"p_value"`
	Threshold float64 `json:"threshold"`
	FAR       float64 `json:"far"`
	FRR       float64 `json:"frr"` // share of the pairs of one class kept aside that the threshold refuses
	EER       float64 `json:"eer"` // of the pairs kept aside
}

func newVerifyPair(a *app) *cobra.Command {
	var w workspace
	var far float64
	c := &cobra.Command{
		Use:   "verify-pair FILE|DIR|TEXT ... FILE|TEXT",
		Short: "Tell whether two items are of one class: one speaker, one person, one meaning",
		Long: `Tell whether the last item named is of the class of those before it: one, or several that are enrolled, whose mean embedding is compared. A
folder enrols all items in it; of a model of texts, what names no file is a text. The class need not be one that the model knows.

The threshold keeps to a rate of false accepts: of pairs of two classes, at most the share --far is taken for one. It comes from the pairs that
akin train scored among the items it kept aside (--holdout); of many classes of one sound each it keeps classes aside, and the threshold is
that for voices never heard. Of pairs with scores 1 and 0 it keeps pairs aside. Where classes were known to the model, strangers are accepted more often than --far says.

Exit code: 0 when both sides are of one class, 3 when not, 1 when something went wrong.`,
		Example: `  akin verify-pair --model speakers.akin monday.wav tuesday.wav
  akin verify-pair --far 0.001 enrolled/ann/ door.wav
  akin verify-pair "where is my card" "my card has not come"
  akin verify-pair ann-1.wav ann-2.wav ann-3.wav door.wav --json`,
		Args: cobra.MinimumNArgs(2),
	}
	w.flags(c)
	c.Flags().Float64Var(&far, "far", index.DefaultAlpha, "highest rate of false accepts, above 0 and below 1; unless given, raised to what the pairs kept aside support")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := refuseZero(c, "far"); err != nil {
			return err
		}
		last := len(args) - 1
		if info, err := os.Stat(args[last]); err == nil && info.IsDir() {
			return fmt.Errorf("%s is a folder: the last argument is the one item that is asked about", args[last])
		}
		e, err := w.encoder()
		if err != nil {
			return err
		}
		enrolled, unread, err := a.scoredItems(args[:last], "", e)
		if err != nil {
			return err
		}
		for _, u := range unread {
			a.skip(train.Skipped{Path: u.File, Reason: u.Error})
		}
		var raw [][]byte
		for i := range enrolled.Len() {
			b, err := enrolled.Item(i)
			if err != nil {
				return err
			}
			raw = append(raw, b)
		}
		asked, err := readInput(e, args[last])
		if err != nil {
			return err
		}
		p, err := pairScores(e)
		if err != nil {
			return err
		}
		out := pairVerified{Enrolled: len(raw), ModelID: e.ModelID()}
		if p == nil && c.Flags().Changed("far") {
			return fmt.Errorf("--far %g: %w: %s was trained without pairs kept aside to compare with: train it with a --holdout above 0, or leave --far out for the score alone", far, index.ErrNotCalibrated, w.modelPath())
		}
		if out.Score, err = encoder.Similarity(c.Context(), e, raw, asked); err != nil {
			return err
		}
		if p != nil {
			if out.pairVerdict, err = a.pairVerdict(p, out.Score, far, c.Flags().Changed("far")); err != nil {
				return err
			}
		}
		if err := a.print(out, out.writeText); err != nil {
			return err
		}
		if v := out.pairVerdict; v != nil && !v.Same {
			return exitDifferent
		}
		return nil
	}
	return c
}

// pairVerdict judges a score by those of pairs kept aside. A far that was not given is raised to what these support.
func (a *app) pairVerdict(p *train.PairScores, score, far float64, given bool) (*pairVerdict, error) {
	different := index.NewConformal(p.Different)
	if least := different.MinAlpha(); !given && far < least {
		a.status("far is %.2g: the %d pairs kept aside support no smaller one", least, different.Calibration())
		far = least
	}
	v := pairVerdict{FAR: far, EER: p.EER, PValue: different.PValue(score)}
	var err error
	if v.Threshold, err = different.Threshold(far); err != nil {
		return nil, fmt.Errorf("--far: %w", err)
	}
	v.Same = v.PValue <= far
	refused := 0
	for _, s := range p.Same {
		if s <= v.Threshold {
			refused++
		}
	}
	v.FRR = float64(refused) / float64(max(1, len(p.Same)))
	return &v, nil
}

// pairScores returns the scores of pairs in the record of a model, nil where it has none.
func pairScores(e *encoder.Encoder) (*train.PairScores, error) {
	if len(e.Model().Record) == 0 {
		return nil, nil
	}
	var rec struct {
		Pairs *train.PairScores `json:"pairs"`
	}
	if err := json.Unmarshal(e.Model().Record, &rec); err != nil {
		return nil, fmt.Errorf("%w: its training record is not readable: %v", encoder.ErrModelFile, err)
	}
	if rec.Pairs != nil && len(rec.Pairs.Different) == 0 {
		return nil, nil
	}
	return rec.Pairs, nil
}

func (v pairVerified) writeText(w io.Writer) error {
	if v.pairVerdict == nil {
		_, err := fmt.Fprintf(w, "score %.4f; the model has no pairs kept aside to judge it by\n", v.Score)
		return err
	}
	word := "different"
	if v.Same {
		word = "same"
	}
	_, err := fmt.Fprintf(w, "%s: score %.4f, p-value %.4f; of one class above %.4f, which accepts %.2g of the pairs of two classes and refuses %.2g of those of one (equal error rate %.3f)\n",
		word, v.Score, v.PValue, v.Threshold, v.FAR, v.FRR, v.EER)
	return err
}
