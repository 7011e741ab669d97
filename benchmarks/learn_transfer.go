package benchmarks

import (
	"context"
	"encoding/json"
	"math/rand/v2"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/train"
)

const (
	transferFrom   = 5 // the classes 0 … 4 are learned first,
	transferLabels = 5 // then so many items of each other class
	transferFreeze = 4 // with so many layers of the first model left as they are: the convolutions but the last, of the default networks
)

// transfer trains on the classes 0 to 4 and their quarter turns, then goes on from that model with 5 items of each other class, and beside it
// trains on those items from scratch, with the same options. The figures are of the items of the other classes in the test set, named by those few; of the
// run from scratch with the prefix scratch_, of the first model as it is with base_. gain_points is the difference in kNN accuracy, in
// points of a hundred.
func transfer(ctx context.Context, t task) (Measures, error) {
	old, rest := t.Train.Subset(itemsWhere(t.Train, func(l int) bool { return l < transferFrom })), itemsWhere(t.Train, func(l int) bool { return l >= transferFrom })
	few := t.Train.Subset(drawLabels(t.Train, rest, transferLabels, t.Options.Seed))
	asked := t.Test.Subset(itemsWhere(t.Test, func(l int) bool { return l >= transferFrom }))

	learned, held, err := old.Split(learnHoldout, t.Options.Seed)
	if err != nil {
		return nil, err
	}
	first := t
	first.Options.Variants = train.VariantsTurned // features that know more than five classes
	base, m, err := first.train(ctx, learned, held)
	if err != nil {
		return nil, err
	}
	var record train.Record
	if err := json.Unmarshal(base.Model().Record, &record); err != nil {
		return nil, err
	}
	// A few items are too few for a trial: both go on with what was found for the first model. Its epochs were for its items.
	t.Options.Augmentation, t.Options.Network, t.Options.Epochs = record.Options.Augmentation, record.Options.Network, 0
	none := train.Dataset{Classes: few.Classes}
	on := t
	on.Options.Base, on.Options.From, on.Options.Freeze = base.Model(), base.ModelID(), transferFreeze
	continued, more, err := on.train(ctx, few, none)
	if err != nil {
		return nil, err
	}
	m["train_seconds"] += more["train_seconds"]
	m["transfer_epochs"] = more["epochs"]
	scratch, _, err := t.train(ctx, few, none)
	if err != nil {
		return nil, err
	}
	if err := t.downstream(ctx, continued, few, asked, m); err != nil {
		return nil, err
	}
	for prefix, e := range map[string]*encoder.Encoder{"scratch_": scratch, "base_": base} {
		beside := Measures{}
		if err := t.downstream(ctx, e, few, asked, beside); err != nil {
			return nil, err
		}
		for _, key := range []string{"knn_accuracy", "nearest_mean_accuracy"} {
			m[prefix+key] = beside[key]
		}
	}
	m["gain_points"] = 100 * (m["knn_accuracy"] - m["scratch_knn_accuracy"])
	return m, nil
}

// itemsWhere returns the items whose label passes.
func itemsWhere(d train.Dataset, pass func(label int) bool) (items []int) {
	for i, l := range d.Labels {
		if pass(l) {
			items = append(items, i)
		}
	}
	return items
}

// drawLabels draws n of the given items of each class.
func drawLabels(d train.Dataset, items []int, n int, seed uint64) (drawn []int) {
	rng := rand.New(rand.NewPCG(seed, 0x66657720)) // "few "
	count := map[int]int{}
	for _, at := range rng.Perm(len(items)) {
		if l := d.Labels[items[at]]; count[l] < n {
			count[l]++
			drawn = append(drawn, items[at])
		}
	}
	return drawn
}
