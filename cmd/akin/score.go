package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/index"
	"github.com/akin-search/akin/train"
)

// scored is what is said of one file: a verdict, or why there is none.
type scored struct {
	File  string `json:"file"`
	Error string `json:"error,omitempty"`
	*verdict
}

type verdict struct {
	IsAnomaly    bool     `json:"is_anomaly"`
	Score        float64  `json:"score"`
	PValue       float64  `json:"p_value"`
	ClassPValue  float64  `json:"class_p_value"`
	Threshold    *float64 `json:"threshold,omitempty"` // with an alpha
	Alpha        float64  `json:"alpha,omitempty"`
	NearestClass string   `json:"nearest_class"`
	*patchParts
	Heatmap string `json:"heatmap,omitempty"` // file
	Box     *box   `json:"box,omitempty"`     // around the worst place, with heat maps and of a model with patches
}

// patchParts is what a score by patches is made of, in spreads above what is usual.
type patchParts struct {
	InPlaces float64 `json:"in_places"`
	AsAWhole float64 `json:"as_a_whole"`
}

// scorePart is how many files are embedded together.
const scorePart = 256

// exitAnomalies is the exit code of akin score when it found some.
const exitAnomalies = exitCode(3)

func newScore(a *app) *cobra.Command {
	var w workspace
	var alpha, fdr float64
	var asCSV bool
	var heat, column string
	c := &cobra.Command{
		Use:   "score FILE|DIR ...",
		Short: "Tell which items are unlike everything known",
		Long: `Score images, sounds, texts or rows by their distance to the nearest class cluster of a calibrated collection. The p-value is conformal: among
items like those that calibrated, at most the share alpha is called an anomaly. With --fdr the verdicts are made together:
of those called anomalies, at most that share is expected to be normal. A file that cannot be read or decoded is reported as an
error; files in folders that are of another kind by their names are passed over.

With --heatmaps, a picture is drawn for each of the pictures: where it is unlike what is known. A place is as white as the score falls when it is
covered. A model trained with --patches is asked for small defects, and needs no collection: the score says how bad the worst
patches of a picture are, and how unlike the good ones it is as a whole; --heatmaps draws where the worst are.

A model of rows scores the rows of tables, as akin train takes them, by their ids, and a row as JSON in a file of its own. A model of texts scores .txt
files, the texts of lists, and what is given as a text itself: "where is my card". Of tables and lists with rows of split test these are scored, else all.

Exit code: 0 when nothing is an anomaly, 3 when something is, 1 when something went wrong, a file that cannot be read included.`,
		Example: `  akin score part-0815.png
  akin score --alpha 0.001 --json line3/
  akin score --csv today.csv                      # the rows of a table
  akin score --heatmaps heat/ line3/
  akin score --fdr 0.05 --csv line3/ > verdicts.csv || test $? -eq 3`,
		Args: cobra.MinimumNArgs(1),
	}
	w.flags(c)
	w.collectionFlag(c)
	c.Flags().Float64Var(&alpha, "alpha", index.DefaultAlpha, "highest false-alarm rate, above 0 and below 1; unless given, raised to what the calibration supports")
	c.Flags().Float64Var(&fdr, "fdr", 0, "judge all files together: share of false alarms among the alarms, below 1 and at least 1/(n+1) of n calibration items (Benjamini-Hochberg), instead of --alpha")
	c.Flags().BoolVar(&asCSV, "csv", false, "print a table of comma-separated values, with a line of names")
	c.Flags().StringVar(&heat, "heatmaps", "", "folder for a heat map a picture, a grey PNG of its size, white where it differs")
	c.Flags().StringVar(&column, "label-column", "", columnHelp)
	c.MarkFlagsMutuallyExclusive("alpha", "fdr")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := refuseZero(c, "alpha", "fdr"); err != nil {
			return err
		}
		if asCSV && a.json {
			return errors.New("--csv and --json are given: give one of them")
		}
		e, err := w.encoder()
		if err != nil {
			return err
		}
		items, unread, err := a.scoredItems(args, column, e)
		if err != nil {
			return err
		}
		maps, err := newHeatmaps(heat, e)
		if err != nil {
			return err
		}
		out, failed := make([]scored, 0, items.Len()), 0
		// judged scores all files by j, so many at once, whose p-values are those of by.
		judged := func(j judge, part int, by index.Conformal) error {
			if c.Flags().Changed("fdr") {
				if err := by.CheckFDR(fdr); err != nil {
					return fmt.Errorf("--fdr: %w", err)
				}
			}
			if low := by.MinAlpha(); !c.Flags().Changed("alpha") && alpha < low {
				a.status("alpha is %.2g: the %d calibration items support no smaller one", low, by.Calibration())
				alpha = low
			}
			shown := time.Now()
			for lo := 0; lo < items.Len(); lo += part {
				some := make([]int, min(part, items.Len()-lo))
				for i := range some {
					some[i] = lo + i
				}
				verdicts, err := j(c.Context(), items.Subset(some), alpha)
				if err != nil {
					return err
				}
				for _, v := range verdicts {
					if v.verdict == nil {
						failed++
					}
				}
				out = append(out, verdicts...)
				if time.Since(shown) > 2*time.Second && len(out) < cap(out) {
					shown = time.Now()
					a.status("scored %d of %d", len(out), cap(out))
				}
			}
			if !c.Flags().Changed("fdr") {
				return nil
			}
			if m := len(out) - failed; m > 0 {
				if k := by.FewestAlarms(fdr, m); k > 1 {
					a.status("with %d calibration items, --fdr %g finds anomalies among %d only where there are %d or more: calibrate with more, or score fewer at once", by.Calibration(), fdr, m, k)
				}
			}
			return together(out, fdr)
		}
		if e.HasPatches() {
			p := patchJudge{e, index.NewConformal(e.Model().Patches.Calibration), maps}
			if p.Calibration() == 0 {
				return fmt.Errorf("%w: no picture calibrates the patches of %s: train it with a --holdout above 0", index.ErrNotCalibrated, w.modelPath())
			}
			err = judged(p.judge, 1, p.Conformal)
		} else {
			err = w.withCollection(a, e.ModelID(), func(col *index.Collection) error {
				det := col.Detector()
				if det == nil {
					return fmt.Errorf("%w: collection %q has no detector: run akin ingest with a --holdout above 0", index.ErrNotCalibrated, col.Name())
				}
				return judged(clusterJudge(e, det, maps), scorePart, det.Conformal)
			})
		}
		if err != nil {
			return err
		}
		out, failed = append(out, unread...), failed+len(unread)
		err = a.print(out, func(wr io.Writer) error {
			if asCSV {
				return writeCSV(wr, out)
			}
			t := tabwriter.NewWriter(wr, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "verdict\tp-value\tscore\tnearest class\tfile")
			for _, s := range out {
				if s.verdict == nil {
					fmt.Fprintf(t, "error\t\t\t\t%s: %s\n", s.File, s.Error)
					continue
				}
				word := "known"
				if s.IsAnomaly {
					word = "anomaly"
				}
				fmt.Fprintf(t, "%s\t%.4f\t%.4f\t%s\t%s\n", word, s.PValue, s.Score, s.NearestClass, s.File)
			}
			return t.Flush()
		})
		if failed > 0 {
			err = errors.Join(err, fmt.Errorf("%d of %d files could not be scored", failed, len(out)))
		}
		if err == nil && slices.ContainsFunc(out, func(s scored) bool { return s.verdict != nil && s.IsAnomaly }) {
			return exitAnomalies
		}
		return err
	}
	return c
}

// together makes the verdicts of all files at a false-discovery rate.
func together(all []scored, rate float64) error {
	var judged []*verdict
	var p []float64
	for _, s := range all {
		if s.verdict != nil {
			judged, p = append(judged, s.verdict), append(p, s.PValue)
		}
	}
	called, err := index.BenjaminiHochberg(p, rate)
	for i := range called {
		judged[i].IsAnomaly, judged[i].Alpha, judged[i].Threshold = called[i], 0, nil
	}
	return err
}

// writeCSV writes a line for each file.
func writeCSV(w io.Writer, all []scored) error {
	out := csv.NewWriter(w)
	lines := [][]string{{"file", "is_anomaly", "p_value", "class_p_value", "score", "nearest_class", "error"}}
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
	for _, s := range all {
		line := []string{s.File, "", "", "", "", "", s.Error}
		if s.verdict != nil {
			line = []string{s.File, strconv.FormatBool(s.IsAnomaly), number(s.PValue), number(s.ClassPValue), number(s.Score), s.NearestClass, ""}
		}
		lines = append(lines, line)
	}
	return out.WriteAll(lines)
}

// scoredItems lists the files named, what is in the folders named, and, for a model of rows, the rows of the tables named, for one of texts the texts
// themselves and those of lists. What of folders, tables and lists cannot be read is unread.
func (a *app) scoredItems(args []string, column string, e *encoder.Encoder) (all train.Dataset, unread []scored, err error) {
	add := func(id, file string, raw []byte) {
		all.IDs, all.Files, all.Raw, all.Labels = append(all.IDs, id), append(all.Files, file), append(all.Raw, raw), append(all.Labels, train.Unlabelled)
	}
	var texts map[string][]byte
	if ofTexts(e) {
		if args, texts, unread, err = a.givenTexts(args); err != nil {
			return all, unread, err
		}
	}
	for _, arg := range args {
		if text, ok := texts[arg]; ok {
			add(arg, arg, text)
			continue
		}
		info, err := os.Stat(arg)
		tabled := err == nil && !info.IsDir() && e.Model().Preprocessing.Modality == encoder.ModalityTable && train.IsTable(arg)
		if !tabled && (err != nil || !info.IsDir()) { // one that cannot be read is reported in its place
			add(arg, arg, nil)
			continue
		}
		var l train.Listed
		if tabled {
			l, err = train.Table(arg, train.TableOptions{Label: column, Rows: train.RowsTest})
		} else {
			l.Dataset, l.Skipped, err = train.Folder(arg)
		}
		for _, s := range l.Skipped {
			switch {
			case tabled:
				unread = append(unread, scored{File: arg + ":" + s.Path, Error: s.Reason})
			case ofKind(s.Path, e.Model().Preprocessing.Modality):
				unread = append(unread, scored{File: filepath.Join(arg, filepath.FromSlash(s.Path)), Error: s.Reason})
			default:
				a.skip(s)
			}
		}
		a.left(l.Left, arg)
		if err != nil {
			return all, unread, err
		}
		for i, id := range l.Dataset.IDs {
			if tabled {
				add(id, arg, l.Dataset.Raw[i])
			} else {
				file := filepath.Join(arg, filepath.FromSlash(id))
				add(file, file, nil)
			}
		}
	}
	return all, unread, nil
}

// ofKind reports whether a file is, by its name, one that a model of the modality takes.
func ofKind(name, modality string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp":
		return modality == encoder.ModalityImage
	case ".wav", ".flac", ".mp3", ".ogg", ".opus":
		return modality == encoder.ModalityAudio
	case ".txt":
		return modality == encoder.ModalityText
	}
	return false
}
