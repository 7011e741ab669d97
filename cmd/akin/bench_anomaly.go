package main

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/akin-search/akin/benchmarks"
	"github.com/akin-search/akin/encoder/kernel"
	"github.com/akin-search/akin/train"
)

// benchAnomaly is one run of akin bench anomaly.
type benchAnomaly struct {
	*app
	options benchmarks.AnomalyOptions
	stream  benchmarks.StreamOptions
	inOrder bool
}

func newBenchAnomaly(a *app) *cobra.Command {
	b := benchAnomaly{app: a}
	o := &b.options
	c := &cobra.Command{
		Use:   "anomaly",
		Short: "Measure how well anomalies are told, and whether alpha is kept",
		Long: `Train, fill a collection, calibrate it and judge, on the way that akin train, ingest and score go, and report AUROC, AUPR, the false-positive
rate where 95 % of the anomalies are found, and the false alarms at alpha 0.01, 0.05 and 0.1 with a 99 % interval; beside it, the 5 nearest neighbours
in pixels or other features without any training.

Protocols:
  one-class        each class of mnist or fashion-mnist alone is known, and all others are anomalies
  leave-class-out  all classes but one are known, and that one is the anomaly
  normal-dir       a folder of your own, see below; or a set of ADBench, adbench:cardio, or all of them, adbench: a half of the normal rows,
                   drawn at random, is known, the others and the anomalies are measured on
  stream           no training: drawn vectors in a collection, --items healthy ones watched in a row, then shifted ones; reports the false
                   drift alarms, and after how many items shifts of some sizes are noticed

For normal-dir, --dataset is a folder, each part of which is what akin train --data takes, a folder, or a file of that name:
  train            the normal items to learn from, with classes or without
  test/normal      normal items to measure on
  test/anomaly     anomalies
as in parts/train/*.jpg, parts/test/normal/*.jpg, parts/test/anomaly/*.jpg; or it is a manifest (.csv or .jsonl) with rows of split test, whose
label is "anomaly" where they are. Sub-folders of test/anomaly are kinds of anomalies, and are told apart in the report. A
NAME.png beside a picture NAME.jpg or the like in one of these folders is its mask, white where the defect is. With --patches the patches that
akin train --patches learns judge, and neither a network of whole pictures nor a collection is made.

What is not set is chosen as akin train chooses it. --validation measures on a sixth of the training images, which are then not learned from, and
leaves the test images alone: choose by it, and measure once without it.`,
		Example: `  akin bench anomaly
  akin bench anomaly --dataset fashion-mnist --data fashion/ --classes 0,4,8 --validation --json
  akin bench anomaly --protocol leave-class-out --classes 9 --precision bf16
  akin bench anomaly --dataset parts/ --protocol normal-dir --plot parts.svg
  akin bench anomaly --dataset tiles/ --patches --holdout 0.2 --crop 104
  akin bench anomaly --dataset adbench:cardio --data adbench/
  akin bench anomaly --protocol stream --items 100000 --seeds 3`,
		Args: noArgs,
	}
	f := c.Flags()
	f.StringVar(&o.Dataset, "dataset", benchmarks.MNIST, "mnist, fashion-mnist, adbench:NAME, adbench, or a folder or manifest of your own")
	f.StringVar(&o.Protocol, "protocol", "", "see above (default one-class; normal-dir with data of your own)")
	f.StringVar(&o.Dir, "data", "", "folder with the four files of mnist or fashion-mnist (default: mnist in the module cache, fashion-mnist of Debian's package), or with the .npz files of adbench")
	f.IntSliceVar(&o.Classes, "classes", nil, "only these, as in 0,4,8; none means all")
	f.IntVar(&o.Seeds, "seeds", 1, "runs of each class, each with the next seed")
	f.Uint64Var(&o.Seed, "seed", 0, "the first seed")
	f.IntVar(&o.Limit, "limit", 0, "learn from the first N training images; 0 means all")
	f.BoolVar(&o.Validation, "validation", false, "measure on training images kept aside, not on the test images")
	f.Float64Var(&o.Train.Holdout, "holdout", 0.1, "share of the known items that calibrates, above 0, at most 0.5")
	f.StringVar(&o.Train.Loss, "loss", "", "as akin train takes it; default as it chooses")
	f.IntVar(&o.Train.Epochs, "epochs", 0, "times through the training items; 0 means chosen as by akin train")
	f.TextVar(&o.Train.Precision, "precision", kernel.Float32, precisionHelp)
	f.IntVar(&o.Train.Threads, "threads", 0, "threads; 0 means one a core")
	augmentFlag(c, &o.Train.Augmentation)
	modalityFlag(c, &o.Train.Modality)
	f.BoolVar(&o.Patches, "patches", false, "of normal-dir, pictures: the patches of akin train --patches judge, not a network of whole pictures; masks give the AUROC of pixels")
	f.IntVar(&o.Crop, "crop", 0, "with --patches: side in pixels of the middle that is left of all pictures, to learn from and to measure, so that sizes cannot tell; 0 is all of them; smaller pictures, and anomalies of whose mask nothing is left, are left out")
	f.StringVar(&o.Plot, "plot", "", ".svg or .png file: plots of ROC, scores and p-values get its name with -roc, -scores and -pvalues; none by default")
	f.BoolVar(&b.inOrder, "in-order", false, "of adbench: known is the first half of the normal rows, not one drawn at random; in some files the second half is unlike it, and alpha is then not kept")
	f.IntVar(&b.stream.Items, "items", 100_000, "of protocol stream: healthy items in a row")
	c.RunE = func(c *cobra.Command, _ []string) error { return b.run(c) }
	return c
}

func (b *benchAnomaly) run(c *cobra.Command) error {
	o := &b.options
	if err := typed(c, map[string]int{"seeds": o.Seeds, "limit": o.Limit, "epochs": o.Train.Epochs, "items": b.stream.Items}); err != nil {
		return err
	}
	progress := func(line string) { b.status("%s", line) }
	if o.Protocol == benchmarks.StreamOfItems {
		if b.inOrder {
			return fmt.Errorf("--in-order: it is of --dataset %s, not of protocol %s", adbench, o.Protocol)
		}
		if o.Patches || o.Crop != 0 {
			return fmt.Errorf("--patches and --crop: they are of protocol %s, not of %s", benchmarks.NormalDir, o.Protocol)
		}
		s := &b.stream
		s.Seeds, s.Seed, s.Threads, s.Progress = o.Seeds, o.Seed, o.Train.Threads, progress
		r, err := benchmarks.Stream(c.Context(), *s)
		if err != nil {
			return err
		}
		return b.print(r, r.WriteTable)
	}
	if c.Flags().Changed("items") {
		return fmt.Errorf("--items %d: it is of protocol %s", b.stream.Items, benchmarks.StreamOfItems)
	}
	if set, is := strings.CutPrefix(o.Dataset, adbench); is && (set == "" || set[0] == ':') {
		var err error
		if o.Cases, err = adbenchCases(o.Dir, strings.TrimPrefix(set, ":"), b.inOrder, o.Seed); err != nil {
			return err
		}
	} else if b.inOrder {
		return fmt.Errorf("--in-order: it is of --dataset %s, not of %s", adbench, o.Dataset)
	} else if o.Dataset != benchmarks.MNIST && o.Dataset != benchmarks.Fashion {
		own, err := b.own(o.Dataset)
		if err != nil {
			return err
		}
		o.Cases = []benchmarks.AnomalyCase{own}
	}
	o.Progress = progress
	r, err := benchmarks.Anomaly(c.Context(), *o)
	if err != nil {
		return err
	}
	return b.print(r, r.WriteTable)
}

// adbench is the data set of all sets of ADBench, and before a colon and a name of one.
const adbench = "adbench"

// adbenchCases reads a set of ADBench from a folder of them, or all. Known is the first half of a set's normal rows, or one that the seed draws.
func adbenchCases(dir, set string, inOrder bool, seed uint64) (cases []benchmarks.AnomalyCase, err error) {
	if dir == "" {
		return nil, errors.New("--dataset adbench: name the folder of its files, as in 6_cardio.npz, by --data")
	}
	files, err := train.ADBenchFiles(dir)
	if err != nil {
		return nil, err
	}
	names := slices.Sorted(maps.Keys(files))
	if set != "" {
		if files[set] == "" {
			return nil, fmt.Errorf("--dataset %s:%s: %s has %s", adbench, set, dir, strings.Join(names, ", "))
		}
		names = []string{set}
	}
	for _, name := range names {
		var shuffle *rand.Rand
		if !inOrder {
			shuffle = rand.New(rand.NewPCG(seed, 0x68616c76)) // "halv"
		}
		known, test, err := train.ADBench(files[name], shuffle)
		if err != nil {
			return nil, err
		}
		c := benchmarks.AnomalyCase{Name: name, Known: known}
		if c.Normal, c.Anomalies, err = test.Without(train.ADBenchAnomaly); err != nil {
			return nil, err
		}
		cases = append(cases, c)
	}
	return cases, nil
}

// anomalyLabel is that of anomalies among the rows of a manifest of split test.
const anomalyLabel = "anomaly"

// own reads a folder or a manifest of normal items and anomalies.
func (b *benchAnomaly) own(path string) (p benchmarks.AnomalyCase, err error) {
	p.Name = path
	info, err := os.Stat(path)
	if err != nil {
		return p, fmt.Errorf("--dataset: %w: use mnist, fashion-mnist, or a folder or manifest that is there", err)
	}
	if !info.IsDir() {
		if p.Known, err = (source{data: path}).load(b.app, train.RowsTraining); err != nil {
			return p, err
		}
		test, err := (source{data: path}).load(b.app, train.RowsTest)
		if err != nil {
			return p, err
		}
		p.Normal, p.Anomalies, err = test.Without(anomalyLabel)
		return p, err
	}
	for _, part := range []struct {
		name string
		to   *train.Dataset
	}{{"train", &p.Known}, {"test/normal", &p.Normal}, {"test/anomaly", &p.Anomalies}} {
		at, err := partOf(path, part.name)
		if err != nil {
			return p, err
		}
		if *part.to, err = (source{data: at}).load(b.app, train.RowsTraining); err != nil {
			return p, err
		}
	}
	return p, nil
}

// partOf finds a part of a folder: what has its name, with an extension or without.
func partOf(dir, name string) (string, error) {
	at := filepath.Join(dir, filepath.FromSlash(name))
	if _, err := os.Stat(at); err == nil {
		return at, nil
	}
	found, err := filepath.Glob(at + ".*")
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("--dataset %s: it has no part %s, or more than one file of that name: see akin bench anomaly --help", dir, name)
	}
	return found[0], nil
}
