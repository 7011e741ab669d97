package train

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
)

const (
	// validationBase is about how many training items validation searches, at least; they are spread over the data.
	validationBase = 10_000
	// probeItems is how many items the measures of Health look at, at most: enough for the rank of some hundred dimensions.
	probeItems = 512
	// probeHeld is how many items must be held out for the measures to look at them, and not at training items.
	probeHeld = 64
)

// probe is the items whose embeddings are looked at.
type probe struct {
	features []encoder.Features // of the items, then of their mates where those are other views
	items    int
	mates    []int // places in features
}

// newProbe spreads a probe over the items held out, or the training items where few are. The positive pairs are what the loss takes for
// them: items of one class, or two augmented views of an item. They are views too where less than half of the items have company in their
// class. first is a batch of the run.
func (r *run) newProbe(first *Batch) probe {
	features, labels := r.held, r.validation.Labels
	if len(features) < probeHeld {
		features, labels = r.features, r.data.Labels
	}
	var sample []int
	for i := range min(len(features), probeItems) {
		sample = append(sample, i*len(features)/min(len(features), probeItems))
	}
	if _, keyed := r.objective.(KeyObjective); keyed || !pairsItems(first) {
		return r.viewsProbe(features, sample)
	}
	company := map[int]int{} // items of each class
	for _, i := range sample {
		company[labels[i]]++
	}
	var p probe
	head, last := map[int]int{}, map[int]int{} // places in p of each class
	for _, i := range sample {
		l := labels[i]
		if l == Unlabelled || company[l] < 2 {
			continue
		}
		if before, later := last[l]; later {
			p.mates[before] = p.items
		} else {
			head[l] = p.items
		}
		last[l] = p.items
		p.features, p.mates = append(p.features, features[i]), append(p.mates, head[l]) // the last of a class goes with the first
		p.items++
	}
	if p.items > 1 && 2*p.items >= len(sample) {
		return p
	}
	return r.viewsProbe(features, sample)
}

// pairsItems reports whether a batch has two different items under one label.
func pairsItems(b *Batch) bool {
	item := map[int]int{} // the first of each label
	for row, l := range b.Labels {
		if other, known := item[l]; known && other != b.Items[row] {
			return true
		}
		item[l] = b.Items[row]
	}
	return false
}

// viewsProbe shows two views of each item, the same ones each time.
func (r *run) viewsProbe(features []encoder.Features, sample []int) probe {
	p := probe{items: len(sample)}
	views := r.modality.viewer(r.Options, r.pre, r.around)
	source := rand.NewPCG(0, 0)
	rng := rand.New(source)
	for view := range uint64(2) {
		for at, i := range sample {
			in := r.pre.Size
			f := encoder.Features{Data: make([]float32, in.Height*in.Width*in.Channels), Shape: []int{in.Height, in.Width, in.Channels}}
			source.Seed(r.Seed^0x70726f6265, uint64(at)<<1|view) // "probe"
			views.Apply(f.Data, features[i].Data, rng)
			p.features = append(p.features, f)
			if view == 1 {
				p.mates = append(p.mates, len(sample)+at)
			}
		}
	}
	return p
}

// health measures the probe's embeddings under the given weights. A problem is what keeps them from being measured: something is not
// finite.
func (r *run) health(ctx context.Context, weights [][]float32) (h Health, problem string, err error) {
	if !finite(weights...) {
		return h, "a weight is not finite", nil
	}
	e, err := r.encoder(weights)
	if err != nil {
		return h, "", err
	}
	all, err := EncodeFeatures(ctx, e, r.probe.features)
	if err != nil {
		return h, "", err
	}
	if !finite(all.Data) {
		return h, "an embedding is not finite", nil
	}
	if r.probe.items < 2 {
		return h, "", nil // of one item there is nothing to measure
	}
	mates := kernel.NewMatrix(r.probe.items, all.Cols)
	for i, m := range r.probe.mates {
		copy(mates.Row(i), all.Row(m))
	}
	h, err = MeasureHealth(kernel.Matrix{Rows: r.probe.items, Cols: all.Cols, Data: all.Data[:len(mates.Data)]}, mates)
	return h, "", err
}

func finite(tables ...[]float32) bool {
	for _, t := range tables {
		for _, v := range t {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				return false
			}
		}
	}
	return true
}

// encoder returns the encoder that the weights make.
func (r *run) encoder(weights [][]float32) (*encoder.Encoder, error) {
	return encoder.NewEncoder(&encoder.Model{Network: r.Network, Preprocessing: r.pre, Weights: weights}, "", r.Threads)
}

// labelled reports whether there are labels to validate by: items of a class that is trained on.
func (r *run) labelled() bool {
	known := map[int]bool{Unlabelled: false}
	for _, l := range r.data.Labels {
		known[l] = l != Unlabelled
	}
	return slices.ContainsFunc(r.validation.Labels, func(l int) bool { return known[l] })
}

// validate returns the kNN accuracy of the validation items among a part of the training items, or the figure of validatePairs, or -1 where there is nothing to compare.
func (r *run) validate(ctx context.Context, weights [][]float32) (float64, error) {
	if len(r.pairs) > 0 && len(r.validation.Pairs) > 0 {
		return r.validatePairs(ctx, weights)
	}
	if !r.labelled() {
		return -1, nil
	}
	e, err := r.evaluation(ctx, weights)
	if err != nil {
		return 0, err
	}
	return KNNAccuracy(ctx, e.base, e.baseLabels, e.queries, e.queryLabels, min(downstreamK, e.base.Rows))
}

// measure returns what the embeddings are good for, asked by the validation items among a part of the training items; nil where they have
// too few classes to tell.
func (r *run) measure(ctx context.Context, weights [][]float32) (*Downstream, error) {
	if !r.labelled() {
		return nil, nil
	}
	e, err := r.evaluation(ctx, weights)
	if err != nil || !measurable(e.baseLabels, e.queryLabels) {
		return nil, err
	}
	d, err := MeasureDownstream(ctx, e.base, e.baseLabels, e.queries, e.queryLabels, DownstreamOptions{Seed: r.Seed, Threads: r.Threads})
	return &d, err
}

// evaluation embeds the labelled validation items, and a part of the labelled training items to answer them.
func (r *run) evaluation(ctx context.Context, weights [][]float32) (*evaluation, error) {
	var base, held []encoder.Features
	var labelled []int
	e := evaluation{ctx: ctx}
	for i, l := range r.data.Labels {
		if l != Unlabelled {
			labelled = append(labelled, i)
		}
	}
	for i, stride := 0, max(1, len(labelled)/validationBase); i < len(labelled); i += stride {
		base, e.baseLabels = append(base, r.features[labelled[i]]), append(e.baseLabels, r.data.Labels[labelled[i]])
	}
	for i, l := range r.validation.Labels {
		if l != Unlabelled {
			held, e.queryLabels = append(held, r.held[i]), append(e.queryLabels, l)
		}
	}
	encoder, err := r.encoder(weights)
	if err != nil {
		return nil, err
	}
	if e.base, err = EncodeFeatures(ctx, encoder, base); err != nil {
		return nil, err
	}
	e.queries, err = EncodeFeatures(ctx, encoder, held)
	return &e, err
}

// EncodeFeatures embeds decoded items into the rows of a matrix.
func EncodeFeatures(ctx context.Context, e *encoder.Encoder, f []encoder.Features) (kernel.Matrix, error) {
	rows, err := e.EncodeFeatures(ctx, f)
	if err != nil {
		return kernel.Matrix{}, err
	}
	return kernel.MatrixOf(rows, e.Dimension()), nil
}
