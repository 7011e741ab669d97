package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
	"github.com/akin-search/akin/index"
	"github.com/akin-search/akin/train"
)

// workspace is where a model and its collections lie: DIR/model.akin and DIR/db.
type workspace struct {
	dir        string
	model      string
	collection string
	threads    int
	shadowRate float64   // of akin serve
	driftTime  float64   // of akin serve; 0 means the default
	memory     byteCount // of the collections; 0 means no limit
}

const defaultCollection = "default"

func (w *workspace) flags(c *cobra.Command) {
	c.Flags().StringVar(&w.dir, "dir", "akin-data", "folder of the model (model.akin) and the collections (db)")
	c.Flags().StringVar(&w.model, "model", "", "model file (default DIR/model.akin)")
	c.Flags().IntVar(&w.threads, "threads", 0, "threads; 0 means one a core")
}

func (w *workspace) collectionFlag(c *cobra.Command) {
	c.Flags().StringVar(&w.collection, "collection", defaultCollection, "collection of points")
}

func (w *workspace) memoryFlag(c *cobra.Command) {
	c.Flags().Var(&w.memory, "max-memory", "memory of all collections, as in 2GiB or 800MiB: a write beyond it is refused; 0 means no limit")
}

func (w *workspace) modelPath() string {
	if w.model != "" {
		return w.model
	}
	return filepath.Join(w.dir, "model.akin")
}

func (w *workspace) encoder() (*encoder.Encoder, error) {
	m, id, err := encoder.ReadModel(w.modelPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no model at %s: run akin train, or name one by --model (%w)", w.modelPath(), fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	return encoder.NewEncoder(m, id, w.threads)
}

func (w *workspace) store(a *app) (*index.Store, error) {
	if err := os.MkdirAll(w.dir, 0o755); err != nil {
		return nil, err
	}
	s, err := index.Open(filepath.Join(w.dir, "db"), index.StoreOptions{Threads: w.threads, Logger: a.logger(), ShadowRate: w.shadowRate, DriftTime: w.driftTime,
		MaxMemory: int64(w.memory)})
	if errors.Is(err, index.ErrLocked) {
		return nil, fmt.Errorf("%w: is akin serve running on it? Ask that one over HTTP, or stop it first (%w)", index.ErrLocked, err)
	}
	return s, err
}

// hasStore reports whether the folder has collections, or could have.
func (w *workspace) hasStore() bool {
	_, err := os.Stat(filepath.Join(w.dir, "db"))
	return !errors.Is(err, fs.ErrNotExist)
}

// withStore opens the store, which must be there, and closes it after f.
func (w *workspace) withStore(a *app, f func(*index.Store) error) (err error) {
	if !w.hasStore() {
		return fmt.Errorf("there are no collections in %s: run akin ingest, or name another folder by --dir", w.dir)
	}
	s, err := w.store(a)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return f(s)
}

// withCollection opens the collection, which must hold vectors of model, and closes the store after f.
func (w *workspace) withCollection(a *app, model string, f func(*index.Collection) error) error {
	return w.withStore(a, func(s *index.Store) error {
		c, err := w.open(s, model)
		if err != nil {
			return err
		}
		return f(c)
	})
}

// find returns the collection, of any model.
func (w *workspace) find(s *index.Store) (*index.Collection, error) {
	c, err := s.Collection(w.collection)
	if errors.Is(err, index.ErrNotFound) {
		return nil, fmt.Errorf("%w: %s holds the collections %q: name one by --collection, or run akin ingest", err, w.dir, s.Names())
	}
	return c, err
}

// open returns the collection and refuses one of another model.
func (w *workspace) open(s *index.Store, model string) (*index.Collection, error) {
	c, err := w.find(s)
	if err != nil {
		return nil, err
	}
	if c.ModelID() != model {
		return nil, fmt.Errorf("%w: collection %q holds vectors of model %.12s, %s is %.12s: their distances mean nothing; fill it anew by akin ingest --replace, or use another --collection",
			index.ErrModel, w.collection, c.ModelID(), w.modelPath(), model)
	}
	return c, nil
}

// dataHelp is the help of --data, which loadData reads.
const dataHelp = `folder of images, sounds or texts (.txt), list (.csv, .tsv or .jsonl) of path, label and split, of text and label, or of text_a, text_b and score, table of rows (` + train.TableFormats + `), IDX file, "mnist" (its training images) or "mnist-test"`

// labelsHelp is the help of --labels.
const labelsHelp = "file of labels: .csv with lines of file,class, for some of the items or all, in place of sub-folders; or IDX, with an IDX file of images"

// source is where data come from.
type source struct{ data, labels, column string }

// flags adds --data, --labels and --label-column.
func (s *source) flags(c *cobra.Command) {
	c.Flags().StringVar(&s.data, "data", "", dataHelp)
	c.Flags().StringVar(&s.labels, "labels", "", labelsHelp)
	c.Flags().StringVar(&s.column, "label-column", "", columnHelp)
}

// columnHelp is the help of --label-column.
const columnHelp = `column of a table that has the classes, by its name, or by its number from 1 where columns have none; "none" for none (default the first of label, class, target and y)`

// more returns what names the same data besides --data.
func (s source) more() (flags string) {
	if s.labels != "" {
		flags += " --labels " + s.labels
	}
	if s.column != "" {
		flags += " --label-column " + s.column
	}
	return flags
}

// load reads what --data names: "mnist", "mnist-test", a folder of images (one sub-folder a class, or flat), the rows of a manifest or of a table, or
// an IDX file; with its labels in labels, if that is not "".
func (s source) load(a *app, rows train.Rows) (train.Dataset, error) {
	data, labels := s.data, s.labels
	if strings.EqualFold(filepath.Ext(labels), ".csv") {
		d, err := source{data: data, column: s.column}.load(a, rows)
		if err != nil {
			return d, err
		}
		return d.WithLabels(labels)
	}
	if data == "" {
		return train.Dataset{}, errors.New("no data: name a folder of images, sounds or texts, a list, a table, an IDX file or mnist by --data")
	}
	if labels != "" && (data == "mnist" || data == "mnist-test") {
		return train.Dataset{}, fmt.Errorf("--labels %s: %s has its labels: leave it out, or give a .csv of those that count", labels, data)
	}
	if data == "mnist" || data == "mnist-test" {
		d, test, err := train.MNIST("")
		if data == "mnist-test" {
			d = test
		}
		return d, err
	}
	info, err := os.Stat(data)
	if err != nil {
		return train.Dataset{}, fmt.Errorf("--data: %w", err)
	}
	tabled := !info.IsDir() && train.IsTable(data)
	listed := !info.IsDir() && train.IsManifest(data)
	if s.column != "" && !tabled {
		return train.Dataset{}, fmt.Errorf("--label-column %s: %s is no table of rows", s.column, data)
	}
	if !info.IsDir() && !listed && !tabled {
		return train.IDX(data, labels)
	}
	if labels != "" {
		return train.Dataset{}, fmt.Errorf("--labels %s: the labels of a folder are its sub-folders, those of a manifest its column label, those of a table what --label-column names, or a .csv of lines file,class", labels)
	}
	var l train.Listed
	switch {
	case tabled:
		l, err = train.Table(data, train.TableOptions{Label: s.column, Rows: rows})
	case listed:
		l, err = train.Manifest(data, rows)
	default:
		l.Dataset, l.Skipped, err = train.Folder(data)
	}
	for _, s := range l.Skipped {
		a.skip(s)
	}
	if n := len(l.Skipped); n > 0 && err == nil {
		what := "files"
		if tabled {
			what = "rows"
		}
		a.status("%d %s of %d skipped", n, what, n+l.Dataset.Len())
	}
	a.left(l.Left, data)
	if n := count(l.Dataset.Aside); n > 0 && rows == train.RowsTraining {
		a.status("%d items of %s are of split validation, and kept aside in place of a share", n, data)
	}
	return l.Dataset, err
}

// count is how many are true.
func count(all []bool) (n int) {
	for _, one := range all {
		if one {
			n++
		}
	}
	return n
}

// left reports rows that are of the other split.
func (a *app) left(rows int, of string) {
	if rows > 0 {
		a.status("%d rows of %s are of the other split and left out", rows, of)
	}
}

// skip reports an item that is left out.
func (a *app) skip(s train.Skipped) { a.status("skipped %s: %s", s.Path, s.Reason) }

// split keeps a share of the data aside: for validation while training, for calibration afterwards. The same data, share and seed keep
// the same items; a list may name them in place of a share. Nothing is kept aside of classes of one item each, as of speakers with one recording: there would be
// nothing left of them.
func split(d train.Dataset, holdout float64, seed uint64) (rest, held train.Dataset, err error) {
	if d.Aside == nil && (holdout == 0 || single(d)) {
		return d, train.Dataset{Classes: d.Classes}, nil
	}
	return d.Split(holdout, seed)
}

// manyClasses is how many classes are enough to keep some aside.
const manyClasses = 40

// splitToTrain is split, but of many classes of one sound each it keeps classes aside, to tell how well others are told apart that were
// never heard.
func splitToTrain(d train.Dataset, holdout float64, seed uint64) (rest, held train.Dataset, err error) {
	if d.Aside != nil || holdout == 0 || !single(d) || len(d.Classes) < manyClasses {
		return split(d, holdout, seed)
	}
	raw, err := d.Item(0)
	if err != nil {
		return d, held, err
	}
	if encoder.SoundFormat(raw) == "" {
		return split(d, holdout, seed)
	}
	return d.SplitClasses(holdout, seed)
}

// single reports whether every item is the only one of its class.
func single(d train.Dataset) bool {
	seen := make([]bool, len(d.Classes))
	for _, l := range d.Labels {
		if l == train.Unlabelled || seen[l] {
			return false
		}
		seen[l] = true
	}
	return true
}

// noArgs refuses arguments and says what was perhaps meant.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if c.Flags().Lookup("data") != nil {
		return fmt.Errorf("%s takes no argument %q: did you mean --data %[2]q?", c.CommandPath(), args[0])
	}
	return fmt.Errorf("%s takes no argument %q: see %[1]s --help", c.CommandPath(), args[0])
}

// refuseFlags refuses flags that do not go with a kind of data.
func refuseFlags(c *cobra.Command, with string, flags ...string) error {
	for _, name := range flags {
		if f := c.Flags().Lookup(name); f != nil && f.Changed {
			return fmt.Errorf("--%s does not go with %s: leave it out", name, with)
		}
	}
	return nil
}

// refuseZero refuses numbers that were typed as 0 or less: in the options of the packages below a zero means the default.
func refuseZero(c *cobra.Command, flags ...string) error {
	for _, name := range flags {
		f := c.Flags().Lookup(name)
		if v, err := strconv.ParseFloat(f.Value.String(), 64); f.Changed && (err != nil || !(v > 0)) {
			return fmt.Errorf("--%s %s: it must be above 0", name, f.Value)
		}
	}
	return nil
}

// checkThreads refuses a number of threads that no device serves, before any work is done.
func checkThreads(c *cobra.Command) error {
	if c.Flags().Lookup("threads") == nil {
		return nil
	}
	n, err := c.Flags().GetInt("threads")
	if err == nil && (n < 0 || n > kernel.MaxThreads) {
		err = fmt.Errorf("--threads %d: it must not be negative, and at most %d", n, kernel.MaxThreads)
	}
	return err
}

func checkHoldout(share float64) error {
	if !(share >= 0 && share <= 0.5) {
		return fmt.Errorf("--holdout %g: it must be 0 to 0.5", share)
	}
	return nil
}
