package benchmarks

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
	"github.com/akin-search/akin/train"
)

// FoldsOptions say how a data set is cross-validated.
type FoldsOptions struct {
	Data  train.Dataset
	Folds int                                                       // parts
	Fold  int                                                       // the one to measure, from 1; 0 for all
	Group func(id string) (string, error)                           // items of one group are in one fold; nil: every class is spread over the folds
	Split func(train.Dataset) (rest, held train.Dataset, err error) // of what is trained on, the share that follows the training; nil: Train.Holdout of every class
	Train train.Options                                             // of every training
	Done  func(Fold)                                                // called after each
}

// Fold is what a model trained on all other folds makes of one.
type Fold struct {
	Fold  int `json:"fold"`  // from 1
	Base  int `json:"base"`  // items that answer
	Asked int `json:"asked"` // items of the fold
	FoldFigures
	Seconds float64 `json:"train_seconds"`
}

// FoldFigures are how well a fold's classes are named, or, where those of a fold are no classes of the others, how well they are told apart.
type FoldFigures struct {
	KNNAccuracy *float64 `json:"knn_accuracy,omitempty"` // of the 5 nearest items of the other folds
	PairEER     *float64 `json:"pair_eer,omitempty"`     // of pairs of the fold's items, see train.ScorePairs
}

// String tells the figures for people.
func (f FoldFigures) String() string {
	switch {
	case f.PairEER != nil:
		return fmt.Sprintf("EER %.4f of pairs of unknown classes", *f.PairEER)
	case f.KNNAccuracy != nil:
		return fmt.Sprintf("kNN accuracy %.4f", *f.KNNAccuracy)
	}
	return "nothing measured"
}

// FoldsReport is the folds with their mean, each item of the same weight.
type FoldsReport struct {
	Folds []Fold `json:"folds"`
	FoldFigures
	Deviation float64 `json:"deviation"` // standard error: of an accuracy, of a share of so many items; of an EER, by how the folds differ
}

const foldNeighbours = 5

// Folds trains on all folds but one and asks for that one, in turn. A share of what is trained on, Train.Holdout, follows the training.
func Folds(ctx context.Context, o FoldsOptions) (FoldsReport, error) {
	var r FoldsReport
	for i := range o.Folds {
		if o.Fold != 0 && o.Fold != i+1 {
			continue
		}
		f, err := measureFold(ctx, o, i)
		if err != nil {
			return r, fmt.Errorf("fold %d: %w", i+1, err)
		}
		if o.Done != nil {
			o.Done(f)
		}
		r.Folds = append(r.Folds, f)
	}
	if len(r.Folds) == 0 {
		return r, fmt.Errorf("%w: fold %d of %d: it must be 1 to %[2]d, or 0 for all", train.ErrOptions, o.Fold, o.Folds)
	}
	r.sum()
	return r, nil
}

// sum fills in the means. Folds of either kind are not mixed: whether classes are spread over all of them is the same for all, or the mean
// is of those whose classes are known.
func (r *FoldsReport) sum() {
	var right, asked float64
	var rates []float64
	for _, f := range r.Folds {
		if f.KNNAccuracy != nil {
			right, asked = right+*f.KNNAccuracy*float64(f.Asked), asked+float64(f.Asked)
		} else {
			rates = append(rates, *f.PairEER)
		}
	}
	if asked > 0 {
		mean := right / asked
		r.KNNAccuracy, r.Deviation = &mean, math.Sqrt(mean*(1-mean)/asked)
		return
	}
	mean, square := 0.0, 0.0
	for _, v := range rates {
		mean += v / float64(len(rates))
	}
	for _, v := range rates {
		square += (v - mean) * (v - mean)
	}
	if r.PairEER = &mean; len(rates) > 1 {
		r.Deviation = math.Sqrt(square / float64(len(rates)-1) / float64(len(rates)))
	}
}

func measureFold(ctx context.Context, o FoldsOptions, i int) (Fold, error) {
	part := o.Data.Fold
	if o.Group != nil {
		part = func(i, n int, seed uint64) (rest, fold train.Dataset, err error) {
			return o.Data.FoldGroups(i, n, seed, o.Group)
		}
	}
	base, queries, err := part(i, o.Folds, o.Train.Seed)
	if err != nil {
		return Fold{}, err
	}
	split := o.Split
	if split == nil {
		split = func(d train.Dataset) (rest, held train.Dataset, err error) {
			return d.Split(o.Train.Holdout, o.Train.Seed)
		}
	}
	rest, held, err := split(base)
	if err != nil {
		return Fold{}, err
	}
	began := time.Now()
	m, err := train.Run(ctx, rest, held, o.Train)
	if err != nil {
		return Fold{}, err
	}
	f := Fold{Fold: i + 1, Base: base.Len(), Asked: queries.Len(), Seconds: time.Since(began).Seconds()}
	if !slices.ContainsFunc(queries.Labels, func(l int) bool { return l != train.Unlabelled && slices.Contains(base.Labels, l) }) {
		f.PairEER, err = pairEER(ctx, m, rest, queries, o.Train)
		return f, err
	}
	e, err := encoder.NewEncoder(m, "", o.Train.Threads)
	if err != nil {
		return f, err
	}
	embed := func(d train.Dataset) (kernel.Matrix, []int, error) {
		d, features, err := train.Decode(ctx, e.Decoder(), d, nil)
		if err != nil {
			return kernel.Matrix{}, nil, err
		}
		rows, err := e.EncodeFeatures(ctx, features)
		if err != nil {
			return kernel.Matrix{}, nil, err
		}
		x := kernel.NewMatrix(len(rows), e.Dimension())
		for i, row := range rows {
			copy(x.Row(i), row)
		}
		return x, d.Labels, nil
	}
	x, labels, err := embed(base)
	if err != nil {
		return f, err
	}
	q, wanted, err := embed(queries)
	if err != nil {
		return f, err
	}
	f.Base, f.Asked = x.Rows, q.Rows
	accuracy, err := train.KNNAccuracy(ctx, x, labels, q, wanted, min(foldNeighbours, x.Rows))
	f.KNNAccuracy = &accuracy
	return f, err
}

// pairEER returns the equal error rate of pairs of items of classes that the model does not know.
func pairEER(ctx context.Context, m *encoder.Model, data, others train.Dataset, o train.Options) (*float64, error) {
	if err := train.ScorePairs(ctx, m, data, others, o); err != nil {
		return nil, err
	}
	var rec train.Record
	if err := json.Unmarshal(m.Record, &rec); err != nil {
		return nil, err
	}
	if rec.Pairs == nil {
		return nil, fmt.Errorf("%w: the fold's classes are no classes of the others, and no two of its items are of one class: there is nothing to measure; use fewer folds", train.ErrDataset)
	}
	return &rec.Pairs.EER, nil
}

// WriteTable writes the report for people.
func (r FoldsReport) WriteTable(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%v ± %.4f over %d folds\n", r.FoldFigures, r.Deviation, len(r.Folds))
	return err
}
