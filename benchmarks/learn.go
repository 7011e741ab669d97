package benchmarks

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/akin-search/akin/encoder/kernel"
	"github.com/akin-search/akin/train"
)

// A protocol is one question about training, answered by one run a seed. It trains on task.Train, looks at task.Test only to measure, and
// returns at least the keys of Downstream, train_seconds and epochs. Any key may be added; all seeds of a protocol have the same ones.
type protocol struct {
	run      func(ctx context.Context, t task) (Measures, error)
	datasets []string
	about    string // for the help, one line
}

// protocols by name, in the order of the help.
var protocols = []struct {
	name string
	protocol
}{
	{"supervised", protocol{supervised, []string{MNIST, Fashion}, "all labels, and the options that akin train chooses"}},
	{"transfer", protocol{transfer, []string{MNIST, Fashion}, "classes 0 to 4, then 5 labels of each other class, against the same from scratch"}},
	{"one-shot", protocol{oneShot, []string{Omniglot}, "20 characters of an alphabet held out, from one drawing each"}},
	{"few-label", protocol{fewLabel, []string{MNIST, Fashion}, "all images, and the labels of --labels-per-class of them"}},
	{"ssl", protocol{ssl, []string{MNIST, Fashion}, "no labels in training, all of them afterwards"}},
	{"robust", protocol{robust, []string{MNIST, Fashion}, "what corrupted images leave, with akin train --robust and without"}},
}

// ProtocolNames lists what Learn can measure, and on which data sets, one a line.
func ProtocolNames() string {
	var b strings.Builder
	for _, p := range protocols {
		fmt.Fprintf(&b, "  %-12s %s (%s)\n", p.name, p.about, strings.Join(p.datasets, ", "))
	}
	return b.String()
}

// Limits and defaults of LearnOptions.
const (
	DefaultSeeds = 3
	MaxSeeds     = 1000

	DefaultLabelsPerClass = 10
)

// LearnOptions say what Learn measures. Zero means the default.
type LearnOptions struct {
	Dataset  string // mnist, fashion-mnist, omniglot
	Protocol string // default supervised
	Dir      string // of the data set's files, as Source.Dir; for omniglot that of its archives
	Seeds    int    // runs, of the seeds Seed, Seed+1, …; default DefaultSeeds
	Seed     uint64
	Limit    int // the first so many training images only, 0 for all

	LabelsPerClass int // of few-label: labels that training gets, other ones with each seed; default DefaultLabelsPerClass

	// Validation measures on a share of the training images, and never looks at the test images: for choosing.
	Validation bool

	// Train has what is set of the options of training; those that are not are chosen as akin train does. Seed is set for each run.
	Train    train.Options
	Progress func(line string) // nil for none
}

// SetDefaults fills the zero fields.
func (o *LearnOptions) SetDefaults() {
	set := func(s *string, to string) {
		if *s == "" {
			*s = to
		}
	}
	set(&o.Dataset, MNIST)
	set(&o.Protocol, protocols[0].name)
	if o.Seeds == 0 {
		o.Seeds = DefaultSeeds
	}
	if o.LabelsPerClass == 0 {
		o.LabelsPerClass = DefaultLabelsPerClass
	}
	if o.Train.Threads == 0 {
		o.Train.Threads = min(runtime.GOMAXPROCS(0), kernel.MaxThreads)
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
}

// Validate reports the first option outside its limits.
func (o LearnOptions) Validate() error {
	p, err := findProtocol(o.Protocol)
	switch {
	case err != nil:
		return err
	case !slices.Contains(p.datasets, o.Dataset):
		return fmt.Errorf("data set %q: %w: protocol %s measures on %s", o.Dataset, ErrInvalid, o.Protocol, strings.Join(p.datasets, ", "))
	case o.Seeds < 1 || o.Seeds > MaxSeeds:
		return fmt.Errorf("%d seeds: %w: use 1 to %d", o.Seeds, ErrInvalid, MaxSeeds)
	case o.Limit < 0:
		return fmt.Errorf("limit %d: %w: use 1 or more, or 0 for all images", o.Limit, ErrInvalid)
	case o.LabelsPerClass < 1:
		return fmt.Errorf("%d labels a class: %w: use 1 or more", o.LabelsPerClass, ErrInvalid)
	case o.Train.Epochs < 0:
		return fmt.Errorf("%d epochs: %w: use 1 or more, or 0 for those that akin train chooses", o.Train.Epochs, ErrInvalid)
	case o.Train.Threads < 0 || o.Train.Threads > kernel.MaxThreads:
		return fmt.Errorf("%d threads: %w: use 1 to %d", o.Train.Threads, ErrInvalid, kernel.MaxThreads)
	}
	return nil
}

func findProtocol(name string) (protocol, error) {
	var names []string
	for _, p := range protocols {
		if p.name == name {
			return p.protocol, nil
		}
		names = append(names, p.name)
	}
	return protocol{}, fmt.Errorf("protocol %q: %w: use one of %s", name, ErrInvalid, strings.Join(names, ", "))
}

// task is what one run of a protocol gets.
type task struct {
	Train, Test    train.Dataset // images and labels; Test only to measure
	LabelsPerClass int
	Options        train.Options // to start from: with the seed, the threads and a progress that tells of every epoch
	Status         func(format string, args ...any)
}

// Learn repeats a protocol with several seeds and returns the medians. It stops when ctx ends.
func Learn(ctx context.Context, o LearnOptions) (LearnReport, error) {
	o.SetDefaults()
	if err := o.Validate(); err != nil {
		return LearnReport{}, err
	}
	p, err := findProtocol(o.Protocol)
	if err != nil {
		return LearnReport{}, err
	}
	t, err := o.load()
	if err != nil {
		return LearnReport{}, err
	}
	if o.Limit > 0 && o.Limit < t.Train.Len() {
		t.Train = t.Train.Subset(firstN(o.Limit))
	}
	return o.repeat(ctx, p, t)
}

// repeat runs a protocol with several seeds.
func (o LearnOptions) repeat(ctx context.Context, p protocol, t task) (LearnReport, error) {
	t.Status = func(format string, args ...any) { o.Progress(fmt.Sprintf(format, args...)) }
	t.Status("%s, %s: %d images to learn from, %d to measure on", o.Dataset, o.Protocol, t.Train.Len(), t.Test.Len())
	t.LabelsPerClass = o.LabelsPerClass
	var runs []Measures
	for i := range o.Seeds {
		t.Options = o.Train
		t.Options.Seed = o.Seed + uint64(i)
		t.Options.Progress = tellEpochs(t.Status, fmt.Sprintf("seed %d", t.Options.Seed))
		m, err := p.run(ctx, t)
		if err != nil {
			return LearnReport{}, err
		}
		runs = append(runs, m)
		t.Status("seed %d: %s", t.Options.Seed, m)
	}
	return newLearnReport(o, runs)
}

// tellEpochs returns a progress of training that writes a line an epoch.
func tellEpochs(status func(string, ...any), prefix string) func(train.Progress) {
	told := 0
	return func(p train.Progress) {
		if done := p.Step / max(1, p.Steps/p.Epochs); p.Step == done*(p.Steps/p.Epochs) && done != told {
			told = done
			status("%s: epoch %d/%d, loss %.4f, validation %s %.4f, %.0f s", prefix, done, p.Epochs, p.Loss, p.Measure, p.Validation, p.Elapsed.Seconds())
		}
	}
}

// load reads the whole data set and parts it.
func (o LearnOptions) load() (t task, err error) {
	if o.Dataset == Omniglot {
		all, err := loadOmniglot(o.Dir)
		if err != nil {
			return t, err
		}
		t.Train, t.Test, err = holdOut(all, oneShotWay, o.Validation)
		return t, err
	}
	s := Source{Name: o.Dataset, Dir: o.Dir}
	s.SetDefaults()
	if err := s.Validate(); err != nil {
		return t, err
	}
	if t.Train, t.Test, err = train.MNIST(s.Dir); err != nil || !o.Validation {
		return t, err
	}
	const share, seed = 1. / 6, 0x76616c69 // "vali": the same images whatever the seed of the run
	t.Train, t.Test, err = t.Train.Split(share, seed)
	return t, err
}

// firstN returns 0 … n−1.
func firstN(n int) []int {
	items := make([]int, n)
	for i := range items {
		items[i] = i
	}
	return items
}
