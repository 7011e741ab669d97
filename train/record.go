package train

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/akin-search/akin/encoder"
)

// Epoch is one point of the training curve. An epoch that ended in a setback is followed by another of the same number.
type Epoch struct {
	Epoch      int      `json:"epoch"`
	Loss       float64  `json:"loss"`           // mean over its batches
	Validation float64  `json:"validation_knn"` // Record.Measure on the validation items; -1 without labels and pairs, or where training went back
	Health              // of the validation items, or of training items where there are few
	BackOff    *BackOff `json:"back_off,omitempty"` // where the epoch did not count
}

// Record is the training record kept in the model file. It holds no times: the same run gives the same file.
type Record struct {
	DataHash       string      `json:"data_hash"` // Dataset.Hash of the items that were trained on
	Items          int         `json:"items"`
	Validation     int         `json:"validation_items"`
	ValidationHash string      `json:"validation_hash,omitempty"` // the split: Dataset.Hash of the validation items; "" without
	Classes        []string    `json:"classes,omitempty"`
	Options        Options     `json:"options"` // those given and the defaults: what a BackOff changed is in the curve
	Curve          []Epoch     `json:"curve"`
	Metrics        *Downstream `json:"metrics,omitempty"`            // of the model on the validation items, answered by a part of the training items; nil where they have too few classes
	Measure        string      `json:"validation_measure,omitempty"` // what the curve's validation is; "" is kNN, the accuracy (k=5, cosine)
	Before         *float64    `json:"before,omitempty"`             // the same of the weights before training, where these are a baseline
	Untrained      bool        `json:"untrained,omitempty"`          // the model has those, since training made it worse, or since they are texts of one class
	Best           int         `json:"best_epoch,omitempty"`         // whose weights the model has, with early stopping; without, the last one's
	Stages         []Stage     `json:"stages,omitempty"`             // before the one that Options and Curve are of
	Pairs          *PairScores `json:"pairs,omitempty"`              // of ScorePairs
}

// model measures and records the result of a finished run.
func (r *run) model(ctx context.Context) (*encoder.Model, error) {
	data, held, given, err := r.hashes()
	if err != nil {
		return nil, err
	}
	rec := Record{DataHash: data, Items: r.data.Len(), Validation: r.validation.Len(), Classes: r.data.Classes, Options: r.Options, Curve: r.curve}
	if r.before != nil {
		rec.DataHash, rec.Stages = given, r.before.stages
	}
	if r.Patience > 0 {
		rec.Best = r.bestEpoch()
	}
	weights := r.bestWeights()
	if r.Members > 1 {
		if r.Network, weights, err = r.joined(ctx, weights); err != nil {
			return nil, err
		}
	}
	if weights, err = r.noWorse(ctx, weights, &rec); err != nil {
		return nil, err
	}
	if r.validation.Len() > 0 {
		rec.ValidationHash = held
	}
	if r.modality.finish != nil {
		if err := r.modality.finish(r, ctx, weights); err != nil {
			return nil, err
		}
	}
	if rec.Metrics, err = r.measure(ctx, weights); err != nil {
		return nil, err
	}
	b, err := json.Marshal(rec)
	if err != nil {
		return nil, fmt.Errorf("train: writing the record: %w", err)
	}
	m := &encoder.Model{Network: r.Network, Preprocessing: r.pre, Record: b, Weights: weights}
	if r.oneClass() && r.modality == pictures {
		if m.Thumb, err = r.thumb(ctx, weights); err != nil {
			return nil, err
		}
	}
	return m, m.Validate()
}

// modelWeights are the weights that are validated and saved: the averaged ones, where there are.
func (r *run) modelWeights() [][]float32 {
	if r.average != nil {
		return r.average.weights()
	}
	return r.graph.Weights()
}

// bestWeights are those that the run ends with: with early stopping, of the best epoch.
func (r *run) bestWeights() [][]float32 {
	if r.Patience > 0 {
		return r.best
	}
	return r.modelWeights()
}

// epochs returns how many epochs are done, setbacks not counted.
func (r *run) epochs() (n int) {
	for _, e := range r.curve {
		if e.BackOff == nil {
			n++
		}
	}
	return n
}

// lastEpoch returns the last epoch that counts.
func (r *run) lastEpoch() (last Epoch) {
	for _, e := range r.curve {
		if e.BackOff == nil {
			last = e
		}
	}
	return last
}

// bestEpoch returns the first epoch of the highest accuracy, 0 before any.
func (r *run) bestEpoch() int {
	best := Epoch{Validation: -1}
	for _, e := range r.curve {
		if e.BackOff == nil && e.Validation > best.Validation {
			best = e
		}
	}
	return best.Epoch
}
