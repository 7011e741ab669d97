package benchmarks

import (
	"context"
	"fmt"
	"image"
	"runtime"
	"slices"
	"strings"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
	"github.com/akin-search/akin/train"
)

// Protocols of Anomaly.
const (
	OneClass      = "one-class"
	LeaveClass    = "leave-class-out"
	NormalDir     = "normal-dir"
	StreamOfItems = "stream" // of Stream
)

// AnomalyOptions say what Anomaly measures. Zero means the default.
type AnomalyOptions struct {
	Dataset  string        // mnist, fashion-mnist, or the name of what Cases are
	Protocol string        // OneClass, LeaveClass or NormalDir; default OneClass, with Cases NormalDir
	Dir      string        // of the data set's files, as Source.Dir
	Cases    []AnomalyCase // of NormalDir
	Classes  []int         // of the data set, to be measured each; default all
	Seeds    int           // runs of each class, of the seeds Seed, Seed+1, …; default 1
	Seed     uint64
	Limit    int // the first so many training images only, 0 for all

	// Validation measures on a sixth of the training images, which are then not learned from, and never looks at the test images: for choosing.
	Validation bool

	Patches bool // of NormalDir, pictures: train.Patches judges, and neither a network of whole pictures nor a collection
	Crop    int  // with Patches: side in pixels of the middle that is left of every picture, so that its size tells nothing; 0 is all of it

	Plot     string        // .svg or .png file whose name, with -roc, -scores and -pvalues before the extension, the plots get; "" for none
	Train    train.Options // what is set of the options of training; those that are not are chosen as akin train does
	Progress func(line string)

	teach func(ctx context.Context, data, held train.Dataset, o train.Options) (*encoder.Patches, error) // train.Patches
}

// AnomalyCase is one question: are these anomalies told from these normal items by what is known?
type AnomalyCase struct {
	Name      string
	Known     train.Dataset // to train on, index and calibrate with; normal
	Normal    train.Dataset // to measure on
	Anomalies train.Dataset // a NAME.png beside NAME.jpg or the like is its mask, white where the defect is, of Known and Normal, too, where it is black

	masks   []*image.Gray // of Anomalies, nil for those without; nil where there are none
	leftOut LeftOut
}

// LeftOut counts pictures that cannot be decoded, or are smaller than the crop, or have a mask of which nothing is left in it.
type LeftOut struct {
	Known     int `json:"known"`
	Normal    int `json:"normal"`
	Anomalies int `json:"anomalies"`
}

// SetDefaults fills the zero fields.
func (o *AnomalyOptions) SetDefaults() {
	if o.Protocol == "" {
		o.Protocol = OneClass
		if len(o.Cases) > 0 {
			o.Protocol = NormalDir
		}
	}
	if o.Dataset == "" {
		o.Dataset = MNIST
	}
	if o.Seeds == 0 {
		o.Seeds = 1
	}
	if o.Train.Threads == 0 {
		o.Train.Threads = min(runtime.GOMAXPROCS(0), kernel.MaxThreads)
	}
	if o.Train.Holdout == 0 {
		o.Train.Holdout = learnHoldout
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	if o.teach == nil {
		o.teach = train.Patches
	}
}

// Validate reports the first option outside its limits.
func (o AnomalyOptions) Validate() error {
	switch {
	case !slices.Contains([]string{OneClass, LeaveClass, NormalDir}, o.Protocol):
		return fmt.Errorf("protocol %q: %w: use %s, %s or %s", o.Protocol, ErrInvalid, OneClass, LeaveClass, NormalDir)
	case (o.Protocol == NormalDir) != (len(o.Cases) > 0):
		return fmt.Errorf("protocol %s on %s: %w: %s and %s are of mnist and fashion-mnist, %s of other data", o.Protocol, o.Dataset, ErrInvalid, OneClass, LeaveClass, NormalDir)
	case len(o.Cases) == 0 && o.Dataset != MNIST && o.Dataset != Fashion:
		return fmt.Errorf("data set %q: %w: use %s or %s", o.Dataset, ErrInvalid, MNIST, Fashion)
	case len(o.Cases) > 0 && (len(o.Classes) > 0 || o.Validation):
		return fmt.Errorf("%s with classes or validation: %w: these are of mnist and fashion-mnist; to choose, name a folder whose test part is kept aside", NormalDir, ErrInvalid)
	case (o.Patches || o.Crop != 0) && o.Protocol != NormalDir:
		return fmt.Errorf("patches or a crop with %s: %w: these are of %s, of large pictures of your own", o.Protocol, ErrInvalid, NormalDir)
	case o.Crop != 0 && !o.Patches:
		return fmt.Errorf("crop %d without patches: %w: a network of whole pictures sees them at its own size", o.Crop, ErrInvalid)
	case o.Patches && (o.Train.Loss != "" || o.Train.Epochs != 0 || o.Train.Augmentation != nil || o.Train.Modality != "" || o.Limit != 0):
		return fmt.Errorf("patches with a loss, epochs, an augmentation, a modality or a limit: %w: patches have their own; leave these out", ErrInvalid)
	case o.Crop < 0 || o.Crop > 0 && o.Crop < encoder.PatchSide:
		return fmt.Errorf("crop %d: %w: use %d pixels or more, or 0 for all of a picture", o.Crop, ErrInvalid, encoder.PatchSide)
	case o.Seeds < 1 || o.Seeds > MaxSeeds:
		return fmt.Errorf("%d seeds: %w: use 1 to %d", o.Seeds, ErrInvalid, MaxSeeds)
	case o.Limit < 0:
		return fmt.Errorf("limit %d: %w: use 1 or more, or 0 for all images", o.Limit, ErrInvalid)
	case o.Train.Epochs < 0:
		return fmt.Errorf("%d epochs: %w: use 1 or more, or 0 for those that akin train chooses", o.Train.Epochs, ErrInvalid)
	case o.Train.Threads < 0 || o.Train.Threads > kernel.MaxThreads:
		return fmt.Errorf("%d threads: %w: use 1 to %d", o.Train.Threads, ErrInvalid, kernel.MaxThreads)
	case !(o.Train.Holdout > 0 && o.Train.Holdout <= 0.5):
		return fmt.Errorf("holdout %g: %w: use more than 0, to 0.5: nothing is calibrated without", o.Train.Holdout, ErrInvalid)
	}
	if o.Plot != "" {
		return CheckPlot(o.Plot)
	}
	return nil
}

// Anomaly measures how well akin tells anomalies from normal items, on the way that its users go: train.Run on the known items but a share,
// an index.Collection of their embeddings, calibrated on that share, and a verdict on each item that is measured on; or train.Patches, which judge without either. Beside it is what the nearest
// neighbours in features without training tell. It stops when ctx ends.
func Anomaly(ctx context.Context, o AnomalyOptions) (AnomalyReport, error) {
	o.SetDefaults()
	if err := o.Validate(); err != nil {
		return AnomalyReport{}, err
	}
	cases, err := o.cases()
	if err != nil {
		return AnomalyReport{}, err
	}
	var runs []*anomalyRun
	for _, c := range cases {
		for i := range o.Seeds {
			seed := o.Seed + uint64(i)
			r, err := o.run(ctx, c, seed)
			if err != nil {
				return AnomalyReport{}, fmt.Errorf("%s, seed %d: %w", c.Name, seed, err)
			}
			o.Progress(r.String())
			runs = append(runs, r)
		}
	}
	report, err := newAnomalyReport(o, runs)
	if err != nil || o.Plot == "" {
		return report, err
	}
	return report, o.plot(runs)
}

// cases parts the data.
func (o AnomalyOptions) cases() ([]AnomalyCase, error) {
	if len(o.Cases) > 0 {
		return o.prepared()
	}
	l := LearnOptions{Dataset: o.Dataset, Dir: o.Dir, Validation: o.Validation}
	t, err := l.load()
	if err != nil {
		return nil, err
	}
	if o.Limit > 0 && o.Limit < t.Train.Len() {
		t.Train = t.Train.Subset(firstN(o.Limit))
	}
	classes := o.Classes
	if len(classes) == 0 {
		classes = firstN(len(t.Train.Classes))
	}
	var cases []AnomalyCase
	for _, class := range classes {
		if class < 0 || class >= len(t.Train.Classes) {
			return nil, fmt.Errorf("class %d: %w: %s has 0 to %d", class, ErrInvalid, o.Dataset, len(t.Train.Classes)-1)
		}
		name := t.Train.Classes[class]
		others, own, err := t.Train.Without(name)
		if err != nil {
			return nil, err
		}
		otherTest, ownTest, err := t.Test.Without(name)
		if err != nil {
			return nil, err
		}
		c := AnomalyCase{Name: name, Known: own, Normal: ownTest, Anomalies: otherTest}
		if o.Protocol == LeaveClass {
			c = AnomalyCase{Name: name, Known: others, Normal: otherTest, Anomalies: ownTest}
		}
		cases = append(cases, c)
	}
	return cases, nil
}

// prepared parts masks from pictures; with Patches it refuses what is none, and looks at all of them.
func (o AnomalyOptions) prepared() (cases []AnomalyCase, err error) {
	for _, c := range o.Cases {
		if c, err = c.withMasks(); err != nil {
			return nil, err
		}
		if o.Patches {
			if err := train.CheckPatches(c.Known, ""); err != nil {
				return nil, err
			}
			if c, err = c.looked(o.Crop, o.Progress); err != nil {
				return nil, err
			}
		}
		cases = append(cases, c)
	}
	return cases, nil
}

// String says what came out, in a line.
func (r *anomalyRun) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, seed %d: AUROC %.4f (%s %.4f), AUPR %.4f, FPR at 95 %% TPR %.4f, by %s; false alarms", r.Class, r.Seed, r.AUROC, r.Baseline.Name, r.Baseline.AUROC, r.AUPR, r.FPRAt95TPR, r.Score)
	for _, f := range r.FalseAlarms {
		fmt.Fprintf(&b, " %.4f at %g,", f.Rate, f.Alpha)
	}
	if len(r.FalseAlarms) == 0 {
		fmt.Fprintf(&b, " are not counted: %d items calibrate, which support no alpha below %.2g: hold more out,", r.Calibration, 1/float64(r.Calibration+1))
	}
	fmt.Fprintf(&b, " trained %.0f s", r.TrainSeconds)
	return b.String()
}
