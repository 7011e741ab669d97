package train

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/akin-search/akin/encoder"
)

// parent returns a trained model with its ModelID, on stripes of two classes.
func parent(t *testing.T) (*encoder.Model, string) {
	t.Helper()
	d := stripes(300, 1)
	d = d.Subset(everyOther(d, 2))
	o := quick("supcon")
	o.Network = encoder.Network{Input: encoder.Size{Height: 12, Width: 12, Channels: 1}, Layers: []encoder.Layer{
		{Kind: encoder.KindConv, Filters: 8, Kernel: 3, Norm: true, ReLU: true, Pool: true}, {Kind: encoder.KindResidual, Filters: 8},
		{Kind: encoder.KindGlobalPool}, {Kind: encoder.KindLinear, Units: 16}, {Kind: encoder.KindNormalize}}}
	return mustRun(t, d, Dataset{}, o), "0123abcd"
}

// TestTransfer: frozen layers stay bit by bit, statistics included; the others move; preprocessing is the model's; the record names it.
func TestTransfer(t *testing.T) {
	base, id := parent(t)
	d, v := stripes(150, 3), stripes(60, 4)
	layers, err := base.Network.ParameterLayers()
	if err != nil {
		t.Fatal(err)
	}
	for freeze := range base.Network.Freezable() + 1 {
		o := quick("supcon")
		o.Dimension = 0
		o.Base, o.From, o.Freeze, o.EMA = base, id, freeze, 0.5
		m := mustRun(t, d, v, o)
		if rec := recordOf(t, m); rec.Options.From != id || rec.Options.Freeze != freeze || rec.Options.Dimension != 16 {
			t.Errorf("freeze %d: record %+v", freeze, rec.Options)
		}
		if !slices.Equal(m.Preprocessing.Mean, base.Preprocessing.Mean) || !slices.Equal(m.Preprocessing.Deviation, base.Preprocessing.Deviation) {
			t.Errorf("freeze %d: preprocessing %+v, that of the model is %+v", freeze, m.Preprocessing, base.Preprocessing)
		}
		for i, layer := range layers {
			if same := slices.Equal(m.Weights[i], base.Weights[i]); same != (layer < freeze) {
				t.Errorf("freeze %d: parameter %d of layer %d is the same: %v", freeze, i, layer, same)
			}
		}
		checkResumes(t, d, v, o, modelBytes(t, m), 2)
	}
}

// TestTransferHelps: with little data and a single epoch, runs on top of a model are ahead of those from scratch.
func TestTransferHelps(t *testing.T) {
	base, id := parent(t)
	v := stripes(150, 4)
	const draws = 5
	var scratch, on float64
	for seed := range uint64(draws) {
		d := stripes(18, 10+seed)
		accuracy := func(o Options) float64 {
			curve := recordOf(t, mustRun(t, d, v, o)).Curve
			return curve[len(curve)-1].Validation / draws
		}
		o := quick("supcon")
		o.Epochs, o.Network = 1, base.Network
		scratch += accuracy(o)
		o.Base, o.From, o.Freeze = base, id, 1
		on += accuracy(o)
	}
	if on < scratch+0.02 {
		t.Errorf("accuracy %.3f on top of a model, %.3f from scratch", on, scratch)
	}
}

// TestTransferToAnotherDimension: the last linear layer starts anew, all others from the model.
func TestTransferToAnotherDimension(t *testing.T) {
	base, id := parent(t)
	o := Options{Base: base, From: id, Dimension: 24, Seed: 5}
	if err := o.transferred(); err != nil {
		t.Fatal(err)
	}
	w, err := (&run{Options: o, modality: pictures}).initialWeights()
	if err != nil {
		t.Fatal(err)
	}
	layers, err := o.Network.ParameterLayers()
	if err != nil {
		t.Fatal(err)
	}
	for i, layer := range layers {
		if same := slices.Equal(w[i], base.Weights[i]); same != (layer != 3) {
			t.Errorf("parameter %d of layer %d is the same: %v", i, layer, same)
		}
	}
	o = quick("supcon")
	o.Base, o.From, o.Dimension, o.Freeze = base, id, 24, 3
	if d, err := mustRun(t, stripes(100, 1), Dataset{}, o).Network.Dimension(); err != nil || d != 24 {
		t.Errorf("the model makes embeddings of %d, %v", d, err)
	}
}

func TestTransferRefuses(t *testing.T) {
	base, id := parent(t)
	change := func(f func(*encoder.Network)) encoder.Network {
		n := base.Network
		n.Layers = slices.Clone(n.Layers)
		f(&n)
		return n
	}
	for name, set := range map[string]func(*Options){
		"no model": func(o *Options) { o.Base = nil }, "freeze without": func(o *Options) { o.Base, o.From, o.Freeze = nil, "", 1 },
		"no id": func(o *Options) { o.From = "" }, "size": func(o *Options) { o.Size = 28 }, "freeze": func(o *Options) { o.Freeze = 4 }, "below": func(o *Options) { o.Freeze = -1 },
		"layer":         func(o *Options) { o.Network = change(func(n *encoder.Network) { n.Layers[0].Filters++ }) },
		"layers":        func(o *Options) { o.Network = change(func(n *encoder.Network) { n.Layers = n.Layers[1:] }) },
		"input":         func(o *Options) { o.Network = change(func(n *encoder.Network) { n.Input.Height++ }) },
		"two sizes":     func(o *Options) { o.Network, o.Dimension = base.Network, 17 },
		"broken model":  func(o *Options) { m := *base; m.Weights = m.Weights[1:]; o.Base = &m },
		"frozen anew":   func(o *Options) { o.Dimension, o.Freeze = 24, 4 },
		"patience":      func(o *Options) { o.Patience = 2 },
		"no such":       func(o *Options) { o.Optimizer = "adam" },
		"momentum":      func(o *Options) { o.Optimizer, o.Momentum = "sgd", 1 },
		"ema":           func(o *Options) { o.EMA = 1 },
		"clip":          func(o *Options) { o.Clip = -1 },
		"gather":        func(o *Options) { o.Accumulate = -1 },
		"patience of 0": func(o *Options) { o.Patience = -1 },
	} {
		o := quick("supcon")
		o.Dimension = 0
		o.Base, o.From = base, id
		set(&o)
		if _, err := Run(context.Background(), stripes(60, 1), Dataset{}, o); !errors.Is(err, ErrOptions) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
