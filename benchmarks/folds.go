package benchmarks

import (
	"context"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
	"github.com/akin-search/akin/train"
)

// FoldsOptions say how a data set is cross-validated.
type FoldsOptions struct {
	Data  train.Dataset
	Folds int           // parts
	Fold  int           // the one to measure, from 1; 0 for all
	Train train.Options // of every training
	Done  func(Fold)    // called after each
}

// Fold is what a model trained on all other folds makes of one.
type Fold struct {
	Fold        int     `json:"fold"`         // from 1
	Base        int     `json:"base"`         // items that answer
	Asked       int     `json:"asked"`        // items of the fold
	KNNAccuracy float64 `json:"knn_accuracy"` // of the 5 nearest items of the other folds
	Seconds     float64 `json:"train_seconds"`
}

// FoldsReport is the folds with their mean, each item of the same weight.
type FoldsReport struct {
	Folds       []Fold  `json:"folds"`
	KNNAccuracy float64 `json:"knn_accuracy"`
	Deviation   float64 `json:"deviation"` // standard error of a share of so many items
}

const foldNeighbours = 5

// Folds trains on all folds but one and asks for that one, in turn. A share of what is trained on, Train.Holdout, follows the training.
func Folds(ctx context.Context, o FoldsOptions) (FoldsReport, error) {
	var r FoldsReport
	var right, asked float64
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
		right, asked = right+f.KNNAccuracy*float64(f.Asked), asked+float64(f.Asked)
	}
	if len(r.Folds) == 0 {
		return r, fmt.Errorf("%w: fold %d of %d: it must be 1 to %[2]d, or 0 for all", train.ErrOptions, o.Fold, o.Folds)
	}
	r.KNNAccuracy = right / asked
	r.Deviation = math.Sqrt(r.KNNAccuracy * (1 - r.KNNAccuracy) / asked)
	return r, nil
}

func measureFold(ctx context.Context, o FoldsOptions, i int) (Fold, error) {
	base, queries, err := o.Data.Fold(i, o.Folds, o.Train.Seed)
	if err != nil {
		return Fold{}, err
	}
	rest, held, err := base.Split(o.Train.Holdout, o.Train.Seed)
	if err != nil {
		return Fold{}, err
	}
	began := time.Now()
	m, err := train.Run(ctx, rest, held, o.Train)
	if err != nil {
		return Fold{}, err
	}
	f := Fold{Fold: i + 1, Seconds: time.Since(began).Seconds()}
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
	f.KNNAccuracy, err = train.KNNAccuracy(ctx, x, labels, q, wanted, min(foldNeighbours, x.Rows))
	return f, err
}

// WriteTable writes the report for people.
func (r FoldsReport) WriteTable(w io.Writer) error {
	_, err := fmt.Fprintf(w, "kNN accuracy %.4f ± %.4f over %d folds\n", r.KNNAccuracy, r.Deviation, len(r.Folds))
	return err
}
