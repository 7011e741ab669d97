package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/akin-search/akin/benchmarks"
	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
	"github.com/akin-search/akin/train"
)

// evaluated is the result of akin eval.
type evaluated struct {
	ModelID string `json:"model_id"`
	Base    int    `json:"base"`
	Queries int    `json:"queries"`
	train.Downstream
	EER             float64            `json:"eer"`                        // the same as pair_eer
	Baseline        train.Baseline     `json:"baseline"`                   // the same figures without any training
	LabelEfficiency []train.LabelPoint `json:"label_efficiency,omitempty"` // with --labels-per-class
	Corrupted       *train.Corrupted   `json:"corrupted,omitempty"`        // with --corrupt
}

func newEval(a *app) *cobra.Command {
	var w workspace
	var from source
	var base, baseLabels, picture string
	var share float64
	var seed uint64
	var perClass []int
	c := &cobra.Command{
		Use:   "eval --data DIR",
		Short: "Measure how well a model tells your classes apart",
		Long: `Embed labelled images and measure what the embedding is good for: classifying by the nearest neighbours, by the nearest mean and by a linear
probe, retrieval (recall@k, mAP@R), clustering by k-means and by density (NMI, ARI, silhouette), and telling whether two images are of one class (AUROC,
equal error rate, share accepted at 1 % false accepts), with 95 % intervals, and beside it what is reached without any training, by pixels,
statistics of MFCC, TF-IDF or scaled features. A share of the images asks, the others answer; with --base all of --data asks, and
those of --base answer. Give data that the model was not trained on: on its own training data every model looks good.
Of given pairs (a list with two columns of texts and a score) all are measured: how their cosines go with the scores, beside what TF-IDF says.
Of a manifest with a split, the rows of split test ask, and the others answer where --base names it.

--labels-per-class measures how few labels are enough: so many images of each class are drawn from those that answer, ten times, and all
queries are asked of them.`,
		Example: `  akin eval --data test-photos/ --json
  akin eval --base photos/ --data test-photos/ --labels-per-class 1,5,10,100 --plot labels.svg
  akin eval --base mnist --data mnist-test
  akin eval --base list.csv --data list.csv       # path,label,split
  akin eval --data test-pairs.csv                 # text_a,text_b,score
  akin eval --data test-photos/ --corrupt --severity 3
  akin eval --data t10k-images-idx3-ubyte.gz --labels t10k-labels-idx1-ubyte.gz`,
		Args: noArgs,
	}
	var corrupt corruptFlags
	w.flags(c)
	corrupt.flags(c)
	f := c.Flags()
	from.flags(c)
	f.StringVar(&base, "base", "", "labelled images that answer: as --data (default: those of --data that do not ask)")
	f.StringVar(&baseLabels, "base-labels", "", "IDX file of the labels of --base")
	f.Float64Var(&share, "queries", 0.2, "share of the images that ask, above 0 and below 1")
	f.Uint64Var(&seed, "seed", 0, "of the choice of those images, and of every draw while measuring")
	f.IntSliceVar(&perClass, "labels-per-class", nil, "numbers of labels a class to measure with too, as in 1,5,10,100")
	f.StringVar(&picture, "plot", "", ".svg or .png file for the plot of accuracy against labels")
	c.RunE = func(c *cobra.Command, _ []string) error {
		switch {
		case !(share > 0 && share < 1):
			return fmt.Errorf("--queries %g: it must be above 0 and below 1", share)
		case base != "" && f.Changed("queries"):
			return fmt.Errorf("--queries %g goes without --base: with it all of --data asks", share)
		case base == "" && baseLabels != "":
			return fmt.Errorf("--base-labels %s goes with --base", baseLabels)
		case picture != "" && len(perClass) == 0:
			return fmt.Errorf("--plot %s draws accuracy against labels: say how many by --labels-per-class", picture)
		case picture != "":
			if err := benchmarks.CheckPlot(picture); err != nil {
				return err
			}
		}
		if err := corrupt.check(c); err != nil {
			return err
		}
		queries, err := from.load(a, train.RowsTest)
		if err != nil {
			return err
		}
		if len(queries.Pairs) > 0 {
			if err := refuseFlags(c, "pairs", "base", "queries", "labels-per-class", "corrupt"); err != nil {
				return err
			}
			e, err := w.encoder()
			if err != nil {
				return err
			}
			return a.evaluatePairs(c.Context(), e, queries, train.DownstreamOptions{Seed: seed, Threads: w.threads})
		}
		if queries, err = withLabel(queries); err != nil {
			return err
		}
		var answers train.Dataset
		if base == "" {
			if f.Changed("queries") {
				queries.Aside = nil // a share was asked for
			}
			answers, queries, err = queries.Split(share, seed)
		} else if answers, err = loadLabelled(a, source{base, baseLabels, from.column}, train.RowsTraining); err == nil {
			queries = queries.WithClasses(answers.Classes)
		}
		if err != nil {
			return err
		}
		e, err := w.encoder()
		if err != nil {
			return err
		}
		embed := func(d train.Dataset) (train.Dataset, []encoder.Features, kernel.Matrix, error) {
			d, features, err := train.Decode(c.Context(), e.Decoder(), d, a.skip)
			if err != nil {
				return d, nil, kernel.Matrix{}, err
			}
			m, err := train.EncodeFeatures(c.Context(), e, features)
			return d, features, m, err
		}
		answers, bf, bm, err := embed(answers)
		if err != nil {
			return err
		}
		queries, qf, qm, err := embed(queries)
		if err != nil {
			return err
		}
		out := evaluated{ModelID: e.ModelID(), Base: answers.Len(), Queries: queries.Len()}
		o := train.DownstreamOptions{Seed: seed, Threads: w.threads}
		if out.Downstream, err = train.MeasureDownstream(c.Context(), bm, answers.Labels, qm, queries.Labels, o); err != nil {
			return err
		}
		out.EER = out.Downstream.EER
		if out.Baseline, err = train.MeasureBaseline(c.Context(), e.Model().Preprocessing, bf, answers.Labels, qf, queries.Labels, o); err != nil {
			return err
		}
		if len(perClass) > 0 {
			if out.LabelEfficiency, err = train.LabelEfficiency(c.Context(), bm, answers.Labels, qm, queries.Labels, perClass, o); err != nil {
				return err
			}
		}
		if out.Corrupted, err = corrupt.evaluate(c.Context(), a, e, bm, answers.Labels, queries, w.threads); err != nil {
			return err
		}
		if picture != "" {
			if err := benchmarks.WriteChart(picture, out.chart()); err != nil {
				return err
			}
			a.status("plot: %s", picture)
		}
		return a.print(out, out.writeTable)
	}
	return c
}

// loadLabelled loads data and keeps the items that have a label.
func loadLabelled(a *app, from source, rows train.Rows) (train.Dataset, error) {
	all, err := from.load(a, rows)
	if err != nil {
		return all, err
	}
	return withLabel(all)
}

// withLabel keeps the items that have a label.
func withLabel(all train.Dataset) (train.Dataset, error) {
	var labelled []int
	for i, l := range all.Labels {
		if l != train.Unlabelled {
			labelled = append(labelled, i)
		}
	}
	if len(labelled) == 0 {
		return all, errors.New("the data has no labels to measure against: make a sub-folder of each class, or name the column of a table by --label-column")
	}
	return all.Subset(labelled), nil
}

func (e evaluated) writeTable(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d queries among %d images\n", e.Queries, e.Base)
	writeDownstream(&b, e.Downstream, &e.Baseline)
	if len(e.LabelEfficiency) > 0 {
		fmt.Fprint(&b, "\naccuracy with few labels: median (lowest–highest) of ten draws\n")
		t := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
		fmt.Fprintln(t, "labels a class\tkNN\tnearest mean\tlinear probe")
		for _, p := range e.LabelEfficiency {
			fmt.Fprintf(t, "%d\t%s\t%s\t%s\n", p.PerClass, spread(p.KNNAccuracy), spread(p.NearestMeanAccuracy), spread(p.LinearProbeAccuracy))
		}
		t.Flush() // into memory: nothing to fail
	}
	if e.Corrupted != nil {
		fmt.Fprintln(&b)
		if err := writeCorrupted(&b, *e.Corrupted); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeDownstream writes the figures as a table, with their intervals, and those of a baseline unless it is nil.
func writeDownstream(b *strings.Builder, d train.Downstream, beside *train.Baseline) {
	t := tabwriter.NewWriter(b, 0, 0, 3, ' ', 0)
	plain := map[string]float64{}
	if beside != nil {
		fmt.Fprintf(t, "\t\t95 %%\t%s\t\n", beside.Name)
		plain = map[string]float64{"knn_accuracy": beside.KNNAccuracy, "recall_at_1": beside.RecallAt1, "map_at_r": beside.MAPAtR, "nmi": beside.NMI,
			"pair_auroc": beside.AUROC, "pair_eer": beside.EER}
	}
	for _, row := range []struct {
		name, key string
		value     float64
		means     string
	}{
		{"kNN accuracy", "knn_accuracy", d.KNNAccuracy, "5 nearest by cosine"},
		{"nearest mean", "nearest_mean_accuracy", d.NearestMeanAccuracy, "class of the nearest mean direction"},
		{"linear probe", "linear_probe_accuracy", d.LinearProbeAccuracy, "logistic regression on the embedding"},
		{"recall@1", "recall_at_1", d.RecallAt1, "the nearest is of the query's class"},
		{"recall@5", "recall_at_5", d.RecallAt5, "one of the 5 nearest is"},
		{"recall@10", "recall_at_10", d.RecallAt10, "one of the 10 nearest is"},
		{"mAP@R", "map_at_r", d.MAPAtR, "precision along the first R, R images of the class"},
		{"NMI", "nmi", d.NMI, "k-means of the queries against their classes"},
		{"ARI", "ari", d.ARI, "the same, pairs counted"},
		{"silhouette", "", d.Silhouette, "of those clusters, -1 to 1"},
		{"DBSCAN NMI", "", d.DBSCANNMI, fmt.Sprintf("clusters by density: %d, %.1f %% of the queries in none", d.DBSCANClusters, 100*d.DBSCANNoise)},
		{"DBSCAN ARI", "", d.DBSCANARI, "the same, pairs counted"},
		{"pair AUROC", "pair_auroc", d.AUROC, "same or different class"},
		{"pair EER", "pair_eer", d.EER, "as many wrongly accepted as wrongly refused"},
		{"TAR at FAR 1 %", "tar_at_far_1", d.TARAtFAR1, "accepted of one class, where 1 % of two classes are"},
	} {
		interval, other := "", ""
		if i, ok := d.Intervals[row.key]; ok {
			interval = fmt.Sprintf("%.4f–%.4f", i.Low, i.High)
		}
		if v, ok := plain[row.key]; ok {
			other = fmt.Sprintf("%.4f", v)
		}
		if beside != nil {
			interval += "\t" + other
		}
		fmt.Fprintf(t, "%s\t%.4f\t%s\t%s\n", row.name, row.value, interval, row.means)
	}
	t.Flush() // into memory: nothing to fail
}

func spread(s train.Spread) string { return fmt.Sprintf("%.4f (%.4f–%.4f)", s.Median, s.Min, s.Max) }

// chart draws accuracy against labels a class.
func (e evaluated) chart() benchmarks.Chart {
	p := benchmarks.Panel{YLabel: "accuracy: median, lowest and highest of ten draws"}
	for _, l := range []struct {
		name string
		of   func(train.LabelPoint) train.Spread
	}{
		{"k nearest", func(p train.LabelPoint) train.Spread { return p.KNNAccuracy }},
		{"nearest mean", func(p train.LabelPoint) train.Spread { return p.NearestMeanAccuracy }},
		{"linear probe", func(p train.LabelPoint) train.Spread { return p.LinearProbeAccuracy }},
	} {
		line := benchmarks.Line{Name: l.name}
		for _, p := range e.LabelEfficiency {
			s := l.of(p)
			line.X, line.Y = append(line.X, float64(p.PerClass)), append(line.Y, s.Median)
			line.Low, line.High = append(line.Low, s.Min), append(line.High, s.Max)
		}
		p.Lines = append(p.Lines, line)
	}
	return benchmarks.Chart{
		Title:  fmt.Sprintf("%d queries, labels drawn from %d images; model %.12s", e.Queries, e.Base, e.ModelID),
		XLabel: "labels a class (log)", LogX: true, Panels: []benchmarks.Panel{p},
	}
}
