package train

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/akin-search/akin/encoder"
)

// LossPropagate is what Options.Loss names to train on data of which a part is labelled, few of each class or even one, in stages:
//
//	all items ── semi ──► embeddings ── Propagate ──► the given labels, and those that others most likely have
//	items with either ── supcon ──► the model
//
// The second stage begins with fresh weights, so that it owes nothing to what the first took for different. A label that was given stays as
// it is. Every other option is that of both stages, but Negatives, which is the second's. Without two classes among the labels, or without
// an item that has none, it is an error.
const LossPropagate = "propagate"

// spreadShare is the share of the labels found that the second stage trusts, of each class its most confident.
const spreadShare = 0.9

// Stage is a stage of a run, or a member, done before the last.
type Stage struct {
	Options Options `json:"options"`
	Curve   []Epoch `json:"curve"`
	Given   int     `json:"given_labels"`      // items that came with a label
	Found   int     `json:"propagated_labels"` // items that the next stage takes for labelled besides
}

// mostlyUnlabelled reports whether there are labels of two classes, and fewer than there are items without.
func mostlyUnlabelled(labels []int) bool {
	classes, unlabelled := itemsByClass(labels)
	return len(classes) > 1 && 2*len(unlabelled) > len(labels)
}

// stages returns the options of each stage; mostly there is one.
func (o Options) stages() []Options {
	if o.Loss != LossPropagate {
		return []Options{o}
	}
	first, last := o, o
	first.Loss, first.Negatives = LossSemi.String(), ""
	last.Loss = LossSupCon.String()
	return []Options{first, last}
}

// before is what the stages and the members before a run found. The nil before is that of a first one.
type before struct {
	stages        []Stage
	given, labels []int         // of all items
	weights       [][][]float32 // of the members that are done
	resumed       bool          // the checkpoint is of the stage after them
}

// members returns how many members are done.
func (b *before) members() int {
	if b == nil {
		return 0
	}
	return len(b.weights)
}

// with returns what came before the next member, after s.
func (b *before) with(s *run) *before {
	next := &before{given: s.data.Labels, labels: s.data.Labels}
	if b != nil {
		*next = *b
	}
	next.stages = append(slices.Clone(next.stages), Stage{Options: s.Options, Curve: s.curve, Given: labelled(next.given), Found: labelled(next.labels) - labelled(next.given)})
	next.weights = append(slices.Clone(next.weights), s.bestWeights())
	return next
}

// table returns the labels for a checkpoint.
func (b *before) table() []float32 {
	t := make([]float32, len(b.labels))
	for i, l := range b.labels {
		t[i] = float32(l)
	}
	return t
}

// inStages trains a stage after the other, on what r has read, and returns the model of the last.
func (r *run) inStages(ctx context.Context, stages []Options) (*encoder.Model, error) {
	last := stages[len(stages)-1]
	var b *before
	if len(stages) > 1 {
		var err error
		if b, err = r.spread(ctx, stages[0]); err != nil {
			return nil, err
		}
		last.Resume = last.Resume && b.resumed
	} else if last.Members > 1 && last.Resume {
		var err error
		if b, err = r.resumeStage(last.Checkpoint); err != nil {
			return nil, err
		}
	}
	s, err := r.apart(ctx, last, b)
	if err != nil {
		return nil, err
	}
	return s.model(ctx)
}

// stage trains one stage on what r has read, and returns it.
func (r *run) stage(ctx context.Context, o Options, b *before) (*run, error) {
	if o.Begin != nil && b.members() == 0 {
		o.Begin(o)
	}
	s := &run{Options: o, data: r.data, validation: r.validation, before: b, modality: r.modality, pre: r.pre, features: r.features, held: r.held, around: r.around, keepStart: r.keepStart, began: time.Now()}
	if b != nil {
		s.data.Labels = b.labels
	}
	return s, s.run(ctx)
}

// spread trains the first stage and spreads the labels over its embeddings, unless the checkpoint to resume from is beyond that.
func (r *run) spread(ctx context.Context, o Options) (*before, error) {
	if classes, unlabelled := itemsByClass(r.data.Labels); len(classes) < 2 || len(unlabelled) == 0 {
		return nil, fmt.Errorf("%w: loss %s spreads labels of two classes or more to items without: the data has %d classes and %d items without a label: use loss %v or %v",
			ErrOptions, LossPropagate, len(classes), len(unlabelled), LossSupCon, LossNTXent)
	}
	if o.Resume {
		if b, err := r.resumeStage(o.Checkpoint); b != nil || err != nil {
			return b, err
		}
	}
	s, err := r.stage(ctx, o, nil)
	if err != nil {
		return nil, err
	}
	e, err := s.encoder(s.modelWeights())
	if err != nil {
		return nil, err
	}
	emb, err := EncodeFeatures(ctx, e, r.features)
	if err != nil {
		return nil, err
	}
	found, err := Propagate(ctx, emb, r.data.Labels, PropagateOptions{Seed: o.Seed, Threads: o.Threads})
	if err != nil {
		return nil, err
	}
	b := &before{given: r.data.Labels, labels: found.Confident(r.data.Labels, spreadShare)}
	done := Stage{Options: s.Options, Curve: s.curve, Given: labelled(b.given)}
	done.Found = labelled(b.labels) - done.Given
	b.stages = []Stage{done}
	if o.Staged != nil {
		o.Staged(done)
	}
	return b, nil
}

// labelled counts the items with a label.
func labelled(labels []int) (n int) {
	for _, l := range labels {
		if l != Unlabelled {
			n++
		}
	}
	return n
}

// resumeStage returns what came before the stage or the member of the checkpoint, nil if it is of the first.
func (r *run) resumeStage(path string) (*before, error) {
	c, err := openCheckpoint(path)
	if err != nil {
		return nil, err
	}
	if len(c.Stages) == 0 {
		return nil, nil
	}
	t := c.tables[tablesLabels]
	if len(t) != 1 || len(t[0]) != r.data.Len() {
		return nil, otherRun(path)
	}
	b := &before{stages: c.Stages, given: r.data.Labels, labels: make([]int, r.data.Len()), weights: membersOf(c.tables[tablesMembers], len(c.tables[tablesWeights])), resumed: true}
	for i, l := range t[0] {
		if b.labels[i] = int(l); b.labels[i] < Unlabelled || b.labels[i] >= len(r.data.Classes) || r.data.Labels[i] != Unlabelled && b.labels[i] != r.data.Labels[i] {
			return nil, otherRun(path)
		}
	}
	return b, nil
}
