package benchmarks

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/train"
)

// DefaultNegativesRuns are what Negatives compares: for three losses what they learn on by themselves, and other sources of negatives.
var DefaultNegativesRuns = []string{"contrastive/random", "contrastive/semi-hard", "contrastive/index", "triplet/random", "triplet/semi-hard", "triplet/index",
	"supcon/batch", "supcon/memory", "supcon/index"}

const (
	// DefaultNegativesEpochs are those of the first run.
	DefaultNegativesEpochs = 4
	negativesNeighbours    = 5
)

// negativesNetwork is small, so that several runs and seeds fit into minutes: normalised convolutions, 16, 32 and 64 wide.
var negativesNetwork = encoder.Network{Input: digit, Layers: []encoder.Layer{
	{Kind: encoder.KindConv, Filters: 16, Kernel: 5, Stride: 2, Norm: true, ReLU: true},
	{Kind: encoder.KindConv, Filters: 32, Kernel: 3, Norm: true, ReLU: true, Pool: true},
	{Kind: encoder.KindConv, Filters: 64, Kernel: 3, Norm: true, ReLU: true, Pool: true},
	{Kind: encoder.KindLinear, Units: embedding},
	{Kind: encoder.KindNormalize}}}

// NegativesOptions say what Negatives compares. Zero means the default.
type NegativesOptions struct {
	Learn LearnOptions // data set, seeds, limit, validation, threads, progress; Train.Epochs are those of the first run, which set the time of all
	Runs  []string     // LOSS/NEGATIVES each, default DefaultNegativesRuns
}

// NegativesReport is the result of Negatives.
type NegativesReport struct {
	Dataset    string         `json:"dataset"`
	Items      int            `json:"items"` // trained on
	Validation bool           `json:"validation"`
	Seeds      int            `json:"seeds"`
	Threads    int            `json:"threads"`
	Budget     float64        `json:"cpu_seconds"` // processor time that a run may take, as calibrated
	Runs       []NegativesRun `json:"runs"`
}

// NegativesRun is one loss with one source of negatives: medians over the seeds.
type NegativesRun struct {
	Loss       string  `json:"loss"`
	Negatives  string  `json:"negatives"`
	Epochs     int     `json:"epochs"`
	Images     int     `json:"images"`      // trained on, so that epochs take the time of the first run; the neighbours are those of all
	CPUSeconds float64 `json:"cpu_seconds"` // that training took
	KNN        float64 `json:"knn_accuracy"`
	KNNMin     float64 `json:"knn_accuracy_min"`
	KNNMax     float64 `json:"knn_accuracy_max"`
	Gain       float64 `json:"gain_points"` // over the first run of the same loss, in points of a hundred

	options    train.Options
	seconds    []float64
	accuracies []float64
}

// Negatives trains with several losses and sources of negatives, all for about the same processor time, and measures kNN accuracy. What
// an epoch costs is measured first, by a training that is thrown away; the first run takes the epochs that were asked for, every other as many of so many
// images as fit into its time: mining costs the miner images. All training images are searched.
func Negatives(ctx context.Context, o NegativesOptions) (r NegativesReport, err error) {
	o.Learn.SetDefaults()
	if o.Learn.Train.Epochs == 0 {
		o.Learn.Train.Epochs = DefaultNegativesEpochs
	}
	if len(o.Runs) == 0 {
		o.Runs = DefaultNegativesRuns
	}
	if err := o.Learn.Validate(); err != nil {
		return r, err
	}
	if o.Learn.Dataset != MNIST && o.Learn.Dataset != Fashion {
		return r, fmt.Errorf("data set %q: %w: use %s or %s", o.Learn.Dataset, ErrInvalid, MNIST, Fashion)
	}
	for _, name := range o.Runs {
		run, err := newNegativesRun(name, o.Learn.Train)
		if err != nil {
			return r, err
		}
		r.Runs = append(r.Runs, run)
	}
	t, err := o.Learn.load()
	if err != nil {
		return r, err
	}
	if o.Learn.Limit > 0 && o.Learn.Limit < t.Train.Len() {
		t.Train = t.Train.Subset(firstN(o.Learn.Limit))
	}
	return r, r.compare(ctx, o, t)
}

// compare fills the runs of r.
func (r *NegativesReport) compare(ctx context.Context, o NegativesOptions, t task) error {
	r.Dataset, r.Items, r.Validation, r.Seeds, r.Threads = o.Learn.Dataset, t.Train.Len(), o.Learn.Validation, o.Learn.Seeds, o.Learn.Train.Threads
	if err := r.calibrate(ctx, o, t.Train); err != nil {
		return err
	}
	for seed := range o.Learn.Seeds { // in turns, so that what else the machine does hits all
		for i := range r.Runs {
			if err := r.Runs[i].measure(ctx, o, t, o.Learn.Seed+uint64(seed)); err != nil {
				return err
			}
		}
	}
	for i := range r.Runs {
		run := &r.Runs[i]
		run.CPUSeconds, run.KNN = rounded(median(run.seconds), 1), rounded(median(run.accuracies), 4)
		run.KNNMin, run.KNNMax = rounded(slices.Min(run.accuracies), 4), rounded(slices.Max(run.accuracies), 4)
		first := slices.IndexFunc(r.Runs, func(x NegativesRun) bool { return x.Loss == run.Loss })
		run.Gain = rounded(100*(run.KNN-r.Runs[first].KNN), 2)
	}
	return nil
}

func newNegativesRun(name string, o train.Options) (NegativesRun, error) {
	loss, negatives, ok := strings.Cut(name, "/")
	if !ok {
		return NegativesRun{}, fmt.Errorf("run %q: %w: name it LOSS/NEGATIVES, as in contrastive/index", name, ErrInvalid)
	}
	kind, err := train.ParseLoss(loss)
	if err != nil {
		return NegativesRun{}, fmt.Errorf("run %q: %w: %w", name, ErrInvalid, err)
	}
	n, err := train.ParseNegatives(negatives)
	if err != nil {
		return NegativesRun{}, fmt.Errorf("run %q: %w: %w", name, ErrInvalid, err)
	}
	if !slices.Contains(kind.Negatives(), n) {
		return NegativesRun{}, fmt.Errorf("run %q: %w: that loss can take %v", name, ErrInvalid, kind.Negatives())
	}
	o.Loss, o.Negatives, o.Network = kind.String(), n.String(), negativesNetwork
	o.Augmentation = &train.Augmentation{Shift: 0.05}
	return NegativesRun{Loss: o.Loss, Negatives: o.Negatives, options: o}, nil
}

// calibrate measures what an epoch costs each run, as many as were asked for being the truest (mining grows faster than the data), and chooses epochs and images.
func (r *NegativesReport) calibrate(ctx context.Context, o NegativesOptions, data train.Dataset) error {
	budget := 0.0
	for i := range r.Runs {
		run := &r.Runs[i]
		options := run.options
		options.Epochs, options.Seed = o.Learn.Train.Epochs, o.Learn.Seed
		used, _, err := trainTimed(ctx, data, options)
		if err != nil {
			return err
		}
		whole := used / float64(options.Epochs)
		run.Epochs, run.Images = options.Epochs, data.Len()
		if i == 0 {
			budget = whole * float64(options.Epochs)
		} else {
			run.Epochs = max(1, int(math.Ceil(budget/whole-0.05))) // what is a little over a whole epoch is not worth another
			run.Images = min(run.Images, int(float64(run.Images)*budget/(whole*float64(run.Epochs))))
		}
		o.Learn.Progress(fmt.Sprintf("%s/%s: %.1f s of processor time an epoch: %d epochs of %d images", run.Loss, run.Negatives, whole, run.Epochs, run.Images))
	}
	r.Budget = rounded(budget, 1)
	return nil
}

// trainTimed trains and returns the processor time that it took, in seconds.
func trainTimed(ctx context.Context, data train.Dataset, o train.Options) (float64, *encoder.Model, error) {
	began, err := cpuTime()
	if err != nil {
		return 0, nil, err
	}
	model, err := train.Run(ctx, data, train.Dataset{}, o)
	if err != nil {
		return 0, nil, err
	}
	ended, err := cpuTime()
	return (ended - began).Seconds(), model, err
}

// measure trains with a seed and asks the embeddings of all images trained on for the classes of the others.
func (run *NegativesRun) measure(ctx context.Context, o NegativesOptions, t task, seed uint64) error {
	options := run.options
	options.Epochs, options.Seed = run.Epochs, seed
	used, model, err := trainTimed(ctx, t.Train.Subset(firstN(run.Images)), options)
	if err != nil {
		return err
	}
	e, err := encoder.NewEncoder(model, "", options.Threads)
	if err != nil {
		return err
	}
	base, err := embedAll(ctx, e, t.Train)
	if err != nil {
		return err
	}
	queries, err := embedAll(ctx, e, t.Test)
	if err != nil {
		return err
	}
	accuracy, err := train.KNNAccuracy(ctx, base, t.Train.Labels, queries, t.Test.Labels, min(negativesNeighbours, base.Rows))
	if err != nil {
		return err
	}
	run.seconds, run.accuracies = append(run.seconds, used), append(run.accuracies, accuracy)
	o.Learn.Progress(fmt.Sprintf("%s/%s, seed %d: kNN accuracy %.4f after %.1f s of processor time", run.Loss, run.Negatives, seed, accuracy, used))
	return nil
}

// WriteTable writes the report for people.
func (r NegativesReport) WriteTable(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: trained on %d images, medians of %d seeds on the %s, %d threads, %.1f s of processor time a run\n\n", r.Dataset, r.Items, r.Seeds, measuredOn(r.Validation), r.Threads, r.Budget)
	t := tabwriter.NewWriter(&b, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "loss\tnegatives\tepochs\timages\tCPU s\tkNN\tmin\tmax\tgain\t")
	for _, run := range r.Runs {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%.1f\t%.4f\t%.4f\t%.4f\t%+.2f\t\n", run.Loss, run.Negatives, run.Epochs, run.Images, run.CPUSeconds, run.KNN, run.KNNMin, run.KNNMax, run.Gain)
	}
	t.Flush() // into memory: nothing to fail
	_, err := io.WriteString(w, b.String())
	return err
}
