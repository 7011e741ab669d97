package benchmarks

import (
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/index"
	"github.com/akin-search/akin/train"
)

// TextOptions say what of texts is measured.
type TextOptions struct {
	Dir        string                           // folder of the data sets' folders: text_stsb, text_paws, text_clinc, text_banking77
	Sets       []string                         // of TextSets; default all
	Validation bool                             // measure on what is kept aside of the training part, and leave the test part alone
	Train      train.Options                    // what is not set is chosen as by akin train
	Progress   func(format string, args ...any) // may be nil
}

// textValidation is the share of the training part that is kept aside to choose by, where there is no other part for it.
const textValidation = 1.0 / 6

// ownTest is the share that is the test part of a set without one. Pairs that share a text, which in PAWS most do with another one, are on one side.
const ownTest = 0.2

// TextSets are the data sets of Text.
var TextSets = []string{"stsb", "paws", "clinc", "banking77"}

// TextRun is what came of one data set. Figures that it does not have are nil.
type TextRun struct {
	Set          string             `json:"set"`
	Items        int                `json:"items"` // texts trained on
	Figures      map[string]float64 `json:"figures"`
	Baseline     map[string]float64 `json:"baseline"` // TF-IDF
	Looked       string             `json:"looked_at"`
	Rows         int                `json:"rows"` // of the table
	Epochs       int                `json:"epochs"`
	TrainSeconds float64            `json:"train_seconds"`
	CPUSeconds   float64            `json:"cpu_seconds"`
}

// TextReport is the result of Text.
type TextReport struct {
	Validation bool      `json:"validation"`
	Seed       uint64    `json:"seed"`
	Runs       []TextRun `json:"runs"`
}

// Text trains on each data set as akin train does, and measures as akin eval and akin score do.
func Text(ctx context.Context, o TextOptions) (r TextReport, err error) {
	if o.Progress == nil {
		o.Progress = func(string, ...any) {}
	}
	if len(o.Sets) == 0 {
		o.Sets = TextSets
	}
	lists, err := os.MkdirTemp("", "akin-text-*")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(lists)) }()
	r = TextReport{Validation: o.Validation, Seed: o.Train.Seed}
	for _, name := range o.Sets {
		if !slices.Contains(TextSets, name) {
			return r, fmt.Errorf("set %q: use %q", name, TextSets)
		}
		run, err := o.run(ctx, name, lists)
		if err != nil {
			return r, fmt.Errorf("%s: %w", name, err)
		}
		r.Runs = append(r.Runs, run)
	}
	return r, nil
}

// run trains on a set and measures.
func (o TextOptions) run(ctx context.Context, name, lists string) (r TextRun, err error) {
	known, test, strange, err := o.load(name, lists)
	if err != nil {
		return r, err
	}
	t := o.Train
	t.Progress = tellEpochs(o.Progress, name)
	t.Tried = func(tried train.Tried) {
		o.Progress("%s: a trial of %s: %s %.4f", name, tried.What, tried.Measure, tried.Value)
	}
	rest, held, err := known.Split(learnHoldout, t.Seed)
	if err != nil {
		return r, err
	}
	began := time.Now()
	cpu, err := cpuTime()
	if err != nil {
		return r, err
	}
	model, err := train.Run(ctx, rest, held, t)
	if err != nil {
		return r, err
	}
	r = TextRun{Set: name, Items: rest.Len(), TrainSeconds: time.Since(began).Seconds(), Looked: model.Preprocessing.Text.Grams.String(), Rows: model.Preprocessing.Text.Rows}
	used, err := cpuTime()
	if err != nil {
		return r, err
	}
	r.CPUSeconds = (used - cpu).Seconds()
	var rec train.Record
	if err := json.Unmarshal(model.Record, &rec); err != nil {
		return r, err
	}
	r.Epochs = rec.Options.Epochs
	b, err := model.MarshalBinary()
	if err != nil {
		return r, err
	}
	id := sha256.Sum256(b)
	e, err := encoder.NewEncoder(model, hex.EncodeToString(id[:]), t.Threads)
	if err != nil {
		return r, err
	}
	if len(test.Pairs) > 0 {
		return r, r.pairs(ctx, e, test, t)
	}
	if err := r.classes(ctx, e, known, test, t); err != nil || strange.Len() == 0 {
		return r, err
	}
	return r, r.strange(ctx, e, rest, held, test, strange, t)
}

// pairs measures given pairs.
func (r *TextRun) pairs(ctx context.Context, e *encoder.Encoder, test train.Dataset, t train.Options) error {
	test, features, err := train.Decode(ctx, e.Decoder(), test, nil)
	if err != nil {
		return err
	}
	emb, err := train.EncodeFeatures(ctx, e, features)
	if err != nil {
		return err
	}
	o := train.DownstreamOptions{Seed: t.Seed, Threads: t.Threads}
	figures := func(f train.PairFigures) map[string]float64 {
		return map[string]float64{"pearson": f.Pearson, "spearman": f.Spearman, "pair_auroc": f.AUROC, "eer": f.EER}
	}
	f, err := train.MeasurePairs(ctx, emb, test.IDs, test.Pairs, o)
	if err != nil {
		return err
	}
	r.Figures = figures(f)
	if _, f, err = train.MeasurePairsBaseline(ctx, e.Model().Preprocessing, features, test.IDs, test.Pairs, o); err != nil {
		return err
	}
	r.Baseline = figures(f)
	return nil
}

// classes measures what the nearest of the training texts say of the classes of others.
func (r *TextRun) classes(ctx context.Context, e *encoder.Encoder, known, test train.Dataset, t train.Options) error {
	test = test.WithClasses(known.Classes)
	base, bf, err := train.Decode(ctx, e.Decoder(), known, nil)
	if err != nil {
		return err
	}
	test, qf, err := train.Decode(ctx, e.Decoder(), test, nil)
	if err != nil {
		return err
	}
	b, err := train.EncodeFeatures(ctx, e, bf)
	if err != nil {
		return err
	}
	q, err := train.EncodeFeatures(ctx, e, qf)
	if err != nil {
		return err
	}
	accuracy, err := train.KNNAccuracy(ctx, b, base.Labels, q, test.Labels, 5)
	if err != nil {
		return err
	}
	r.Figures = map[string]float64{"knn_accuracy": accuracy}
	_, b, q, err = train.BaselineVectors(e.Model().Preprocessing, bf, qf)
	if err != nil {
		return err
	}
	accuracy, err = train.KNNAccuracy(ctx, b, base.Labels, q, test.Labels, 5)
	r.Baseline = map[string]float64{"knn_accuracy": accuracy}
	return err
}

// strange measures how well akin's anomaly score tells texts of no class from others: as akin ingest and akin score do.
func (r *TextRun) strange(ctx context.Context, e *encoder.Encoder, rest, held, test, strange train.Dataset, t train.Options) (err error) {
	s, err := storedOf(index.Config{Dimension: e.Dimension(), ModelID: e.ModelID(), Seed: t.Seed, Quantization: index.QuantizationAuto}, index.StoreOptions{Threads: t.Threads})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	points, err := pointsOf(ctx, e, rest)
	if err != nil {
		return err
	}
	if err := s.Collection.Upsert(ctx, points); err != nil {
		return err
	}
	if points, err = pointsOf(ctx, e, held); err != nil {
		return err
	}
	if err := s.SetAside(ctx, index.RoleCalibration, points); err != nil {
		return err
	}
	if err := s.Calibrate(ctx); err != nil {
		return err
	}
	alpha := max(0.05, s.Detector().MinAlpha())
	normal, err := judge(ctx, e, s.Detector(), test, alpha)
	if err != nil {
		return err
	}
	others, err := judge(ctx, e, s.Detector(), strange, alpha)
	if err != nil {
		return err
	}
	auroc, err := train.AUROC(normal.scores, others.scores)
	r.Figures["out_of_scope_auroc"] = auroc
	return err
}

// WriteTable writes the report for people.
func (r TextReport) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "set\tfigure\tvalue\tTF-IDF\tseconds\tof processor\tlooked at")
	for _, run := range r.Runs {
		for _, name := range []string{"pearson", "spearman", "pair_auroc", "eer", "knn_accuracy", "out_of_scope_auroc"} {
			v, has := run.Figures[name]
			if !has {
				continue
			}
			base := ""
			if b, ok := run.Baseline[name]; ok {
				base = fmt.Sprintf("%.4f", b)
			}
			fmt.Fprintf(t, "%s\t%s\t%.4f\t%s\t%.0f\t%.0f\t%s\n", run.Set, name, v, base, run.TrainSeconds, run.CPUSeconds, run.Looked)
		}
	}
	return t.Flush()
}

// load reads a set's training part, its test part, and texts of no class where it has some.
func (o TextOptions) load(name, lists string) (known, test, strange train.Dataset, err error) {
	read, ok := map[string]func(dir string) ([]textList, error){"stsb": stsbLists, "paws": pawsLists, "clinc": clincLists, "banking77": bankingLists}[name]
	if !ok {
		return known, test, strange, fmt.Errorf("no such set")
	}
	parts, err := read(filepath.Join(o.Dir, "text_"+name))
	if err != nil {
		return known, test, strange, err
	}
	loaded := map[string]train.Dataset{}
	for _, p := range parts {
		file := filepath.Join(lists, name+"-"+p.part+".csv")
		if err := p.write(file); err != nil {
			return known, test, strange, err
		}
		l, err := train.TextList(file, train.RowsTraining)
		if err != nil {
			return known, test, strange, err
		}
		loaded[p.part] = l.Dataset
	}
	known, test, strange = loaded["train"], loaded["test"], loaded["strange"]
	if all, has := loaded["all"]; has {
		if known, test, err = all.Split(ownTest, 0x74657374); err != nil { // "test"
			return known, test, strange, err
		}
	}
	if !o.Validation {
		return known, test, strange, nil
	}
	if dev, has := loaded["validation"]; has {
		return known, dev, strange, nil
	}
	known, test, err = known.Split(textValidation, 0x76616c) // "val"
	return known, test, strange, err
}

// textList is a part of a set as a list.
type textList struct {
	part   string // train, validation, test or strange
	header []string
	rows   [][]string
}

func (l textList) write(file string) (err error) {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return csv.NewWriter(f).WriteAll(append([][]string{l.header}, l.rows...))
}
