package benchmarks

import (
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/akin-search/akin/encoder/kernel"
)

// AnomalyReport is the result of Anomaly: means over classes and seeds, and what each gave.
type AnomalyReport struct {
	Dataset    string  `json:"dataset"`
	Protocol   string  `json:"protocol"`
	Seeds      int     `json:"seeds"`
	Threads    int     `json:"threads"`
	Device     string  `json:"device"`
	Validation bool    `json:"validation"` // measured on training images kept aside, not on the test images
	Patches    bool    `json:"patches"`
	Crop       int     `json:"crop"` // side in pixels; 0 for whole pictures
	Holdout    float64 `json:"holdout"`
	AnomalyFigures
	FalseAlarms  []FalseAlarms  `json:"false_alarm_rate"` // of all runs together
	TrainSeconds float64        `json:"train_seconds"`
	CPUSeconds   float64        `json:"train_cpu_seconds"`
	Baseline     AnomalyFigures `json:"baseline"`
	BaselineName string         `json:"baseline_name"`
	Runs         []AnomalyRun   `json:"classes"`
}

func newAnomalyReport(o AnomalyOptions, runs []*anomalyRun) (AnomalyReport, error) {
	r := AnomalyReport{Dataset: o.Dataset, Protocol: o.Protocol, Seeds: o.Seeds, Threads: o.Train.Threads, Validation: o.Validation, Patches: o.Patches, Crop: o.Crop, Holdout: o.Train.Holdout, FalseAlarms: []FalseAlarms{}}
	dev, err := kernel.NewCPU(o.Train.Threads)
	if err != nil {
		return r, err
	}
	r.Device = dev.Name()
	if err := dev.Close(); err != nil {
		return r, err
	}
	n := float64(len(runs))
	for _, run := range runs {
		r.add(run.AnomalyFigures, 1/n)
		r.Baseline.add(run.Baseline.AnomalyFigures, 1/n)
		r.TrainSeconds += run.TrainSeconds / n
		r.CPUSeconds += run.CPUSeconds / n
		r.BaselineName = run.Baseline.Name
		r.Runs = append(r.Runs, run.AnomalyRun)
	}
	for _, alpha := range anomalyAlphas {
		all := FalseAlarms{Alpha: alpha, Expected: true}
		supported := 0.0
		for _, run := range runs {
			for _, f := range run.FalseAlarms {
				if f.Alpha == alpha {
					all.Alarms, all.Items, all.Expected = all.Alarms+f.Alarms, all.Items+f.Items, all.Expected && f.Expected
					all.Found += f.Found
					supported++
				}
			}
		}
		if supported > 0 {
			all.Found /= supported
			all.interval()
			r.FalseAlarms = append(r.FalseAlarms, all)
		}
	}
	return r, nil
}

// add adds a share of other figures.
func (f *AnomalyFigures) add(g AnomalyFigures, share float64) {
	f.AUROC += share * g.AUROC
	f.AUPR += share * g.AUPR
	f.FPRAt95TPR += share * g.FPRAt95TPR
	f.AnomalyShare += share * g.AnomalyShare
}

// WriteTable writes the report for people.
func (r AnomalyReport) WriteTable(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s: %d runs on the %s, %s, %d threads\n\n", r.Dataset, r.Protocol, len(r.Runs), measuredOn(r.Validation), r.Device, r.Threads)
	t := tabwriter.NewWriter(&b, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "class\tseed\tAUROC\tAUPR\tFPR at 95 %% TPR\t%s\tscore\ttraining s\tprocessor s\t\n", r.BaselineName)
	for _, run := range r.Runs {
		fmt.Fprintf(t, "%s\t%d\t%.4f\t%.4f\t%.4f\t%.4f\t%s\t%.1f\t%.1f\t\n", run.Class, run.Seed, run.AUROC, run.AUPR, run.FPRAt95TPR, run.Baseline.AUROC, run.Score, run.TrainSeconds, run.CPUSeconds)
	}
	fmt.Fprintf(t, "mean\t\t%.4f\t%.4f\t%.4f\t%.4f\t\t%.1f\t%.1f\t\n", r.AUROC, r.AUPR, r.FPRAt95TPR, r.Baseline.AUROC, r.TrainSeconds, r.CPUSeconds)
	t.Flush() // into memory: nothing to fail
	for _, run := range r.Runs {
		for _, k := range run.Kinds {
			if r.Protocol != NormalDir { // too many to read: nine others a class
				break
			}
			fmt.Fprintf(&b, "\n%s, seed %d, %s: AUROC %.4f of %d", run.Class, run.Seed, k.Label, k.AUROC, k.Items)
		}
		if run.PixelAUROC != nil {
			fmt.Fprintf(&b, "\n%s, seed %d, pixels: AUROC %.4f, by %d masks", run.Class, run.Seed, *run.PixelAUROC, run.Masks)
		}
		if l := run.LeftOut; l != nil && *l != (LeftOut{}) {
			fmt.Fprintf(&b, "\n%s: left out %d known, %d normal and %d anomalous pictures, which cannot be decoded, are smaller, or have no marks in the middle", run.Class, l.Known, l.Normal, l.Anomalies)
		}
	}
	fmt.Fprint(&b, "\n")
	for _, f := range r.FalseAlarms {
		lies := "inside"
		if !f.Inside {
			lies = "outside"
		}
		fmt.Fprintf(&b, "alpha %g: %d false alarms of %d, %.4f (99 %%: %.4f to %.4f; alpha lies %s), %.4f of the anomalies found\n", f.Alpha, f.Alarms, f.Items, f.Rate, f.Low, f.High, lies, f.Found)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// plotPoints is how many points a curve is drawn with, at most.
const plotPoints = 60

// plot draws the ROC of each run, the scores of all, and the p-values of normal items against even ones.
func (o AnomalyOptions) plot(runs []*anomalyRun) error {
	ext := filepath.Ext(o.Plot)
	path := func(kind string) string { return strings.TrimSuffix(o.Plot, ext) + "-" + kind + ext }
	title := fmt.Sprintf("%s, %s", o.Dataset, o.Protocol)
	roc := Panel{YLabel: "anomalies found"}
	values := Panel{YLabel: "share of normal items with this p-value or less"}
	var normal, anomalies []float64
	scored, plotted := "score over the threshold at alpha 0.05", func(s, threshold float64) float64 { return s / threshold }
	if o.Patches { // whose scores are spreads above what is usual, and may be below
		scored, plotted = "score less the threshold at alpha 0.05", func(s, threshold float64) float64 { return s - threshold }
	}
	for _, r := range runs {
		points := rocOf(r.normal.scores, r.anomalies.scores)
		l := Line{Name: fmt.Sprintf("%s: %.4f", r.Class, r.AUROC), X: []float64{0}, Y: []float64{0}}
		for _, i := range spread(len(points)) {
			l.X, l.Y = append(l.X, points[i].alarms), append(l.Y, points[i].found)
		}
		roc.Lines = append(roc.Lines, l)
		p := slices.Sorted(slices.Values(r.normal.pValues))
		q := Line{Name: r.Class}
		for _, i := range spread(len(p)) {
			q.X, q.Y = append(q.X, p[i]), append(q.Y, float64(i+1)/float64(len(p)))
		}
		values.Lines = append(values.Lines, q)
		for _, s := range r.normal.scores {
			normal = append(normal, plotted(s, r.threshold))
		}
		for _, s := range r.anomalies.scores {
			anomalies = append(anomalies, plotted(s, r.threshold))
		}
	}
	values.Lines = append(values.Lines, Line{Name: "even", X: []float64{0, 1}, Y: []float64{0, 1}})
	if err := WriteChart(path("roc"), Chart{Title: title + ": ROC", XLabel: "false alarms", Panels: []Panel{roc}}); err != nil {
		return err
	}
	if err := WriteChart(path("pvalues"), Chart{Title: title + ": p-values of normal items", XLabel: "p-value", Panels: []Panel{values}}); err != nil {
		return err
	}
	return WriteChart(path("scores"), Chart{Title: title + ": scores", XLabel: scored, Panels: []Panel{{YLabel: "share of the items",
		Lines: histograms([]string{"normal", "anomalies"}, normal, anomalies)}}})
}

// spread returns at most plotPoints places among n, the first and the last with them.
func spread(n int) (places []int) {
	count := min(n, plotPoints)
	for i := range count {
		places = append(places, i*(n-1)/max(1, count-1))
	}
	return places
}

// histograms counts values in bins of one width, from the least to what all but a hundredth of them are below; the last holds those above, too.
func histograms(names []string, lists ...[]float64) (lines []Line) {
	all := slices.Sorted(slices.Values(slices.Concat(lists...)))
	low, high := all[0], all[int(0.99*float64(len(all)-1))]
	width := (high - low) / plotPoints
	if !(width > 0) || math.IsInf(width, 0) {
		width = 1
	}
	for i, list := range lists {
		l := Line{Name: names[i], X: make([]float64, plotPoints), Y: make([]float64, plotPoints)}
		for bin := range l.X {
			l.X[bin] = low + (float64(bin)+0.5)*width
		}
		for _, v := range list {
			l.Y[min(plotPoints-1, int((v-low)/width))] += 1 / float64(len(list))
		}
		lines = append(lines, l)
	}
	return lines
}
