package benchmarks

import (
	"context"
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
	Clips Clips                                                     // that sounds of unknown classes are cut into
	Train train.Options                                             // of every training
	Done  func(Fold)                                                // called after each
}

// Clips are parts of a sound, spread evenly from its beginning to its end, that overlap where the sound is shorter than all of them together.
type Clips struct {
	Count   int     // 0: sounds that are each the only one of their class are cut into halves, and others not at all
	Seconds float64 // of a clip
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
	PairEER     *float64 `json:"pair_eer,omitempty"`     // of pairs of the fold's items, see train.VerifyPairs
	BaselineEER *float64 `json:"baseline_eer,omitempty"` // of the same without any training, see train.Baseline
}

// String tells the figures for people.
func (f FoldFigures) String() string {
	switch {
	case f.PairEER != nil:
		return fmt.Sprintf("EER %.4f of pairs of unknown classes (%.4f without training)", *f.PairEER, *f.BaselineEER)
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

const (
	foldNeighbours = 5
	foldPairs      = 20_000
)

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
	var baseline float64
	for _, f := range r.Folds {
		if f.KNNAccuracy != nil {
			right, asked = right+*f.KNNAccuracy*float64(f.Asked), asked+float64(f.Asked)
		} else {
			rates = append(rates, *f.PairEER)
			baseline += *f.BaselineEER
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
	baseline /= float64(len(rates))
	r.BaselineEER = &baseline
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
	known := slices.ContainsFunc(queries.Labels, func(l int) bool { return l != train.Unlabelled && slices.Contains(base.Labels, l) })
	if known && o.Clips.Count > 0 {
		return Fold{}, fmt.Errorf("%w: clips of classes that other folds have, too: clips are for pairs of classes that nothing was learned of; keep classes together with a group, or leave the clips out", train.ErrOptions)
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
	e, err := encoder.NewEncoder(m, "", o.Train.Threads)
	if err != nil {
		return f, err
	}
	if !known {
		err = f.verify(ctx, e, queries, o)
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

// verify fills in the equal error rates of pairs of items of classes that the model does not know.
func (f *Fold) verify(ctx context.Context, e *encoder.Encoder, d train.Dataset, o FoldsOptions) error {
	d, features, err := train.Decode(ctx, e.Decoder(), d, nil)
	if err != nil {
		return err
	}
	labels, pre := d.Labels, e.Model().Preprocessing
	if sound := pre.Modality == encoder.ModalityAudio; !sound && o.Clips.Count > 0 {
		return fmt.Errorf("%w: clips of items that are no sounds: leave them out", train.ErrOptions)
	} else if o.Clips.Count > 0 {
		features, labels = train.CutSounds(features, labels, o.Clips.Count, int(o.Clips.Seconds*encoder.SoundRate/encoder.SoundHop))
	} else if sound && alone(labels) {
		features, labels = train.CutSounds(features, labels, 2, 0)
	}
	if len(features) == 0 || alone(labels) {
		return fmt.Errorf("%w: the fold's classes are no classes of the others, and no two of its items are of one class: there is nothing to measure; use fewer folds or shorter clips", train.ErrDataset)
	}
	rows, err := train.EncodeFeatures(ctx, e, features)
	if err != nil {
		return err
	}
	_, baseline, _, err := train.BaselineVectors(pre, features, features[:1])
	if err != nil {
		return err
	}
	learned, err := train.VerifyPairs(rows, labels, foldPairs, o.Train.Seed)
	if err != nil {
		return err
	}
	without, err := train.VerifyPairs(baseline, labels, foldPairs, o.Train.Seed)
	f.PairEER, f.BaselineEER = &learned.EER, &without.EER
	return err
}

// alone reports whether no two labels are the same class.
func alone(labels []int) bool {
	seen := map[int]bool{}
	for _, l := range labels {
		if l != train.Unlabelled && seen[l] {
			return false
		}
		seen[l] = true
	}
	return true
}

// WriteTable writes the report for people.
func (r FoldsReport) WriteTable(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%v ± %.4f over %d folds\n", r.FoldFigures, r.Deviation, len(r.Folds))
	return err
}
