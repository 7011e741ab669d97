package train

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/akin-search/akin/encoder"
)

// transferred fills in what a run on top of a model takes over from it: the network, with a last linear layer of Dimension where that
// differs, and the size of the pictures. It refuses options that contradict the model.
func (o *Options) transferred() error {
	if o.Base == nil {
		if o.From != "" || o.Freeze != 0 {
			return fmt.Errorf("%w: from %q and freeze %d without the model to start from: give it as Base", ErrOptions, o.From, o.Freeze)
		}
		return nil
	}
	if o.From == "" {
		return fmt.Errorf("%w: the model to start from has no ModelID: give it as From", ErrOptions)
	}
	if err := o.Base.Validate(); err != nil {
		return fmt.Errorf("%w: the model to start from: %w", ErrOptions, err)
	}
	if s := o.Base.Network.Input; o.Size != 0 && (o.Size != s.Height || o.Size != s.Width) {
		return fmt.Errorf("%w: size %d: the model to start from takes %d×%d pixels: leave the size out", ErrOptions, o.Size, s.Width, s.Height)
	}
	if f := o.Base.Preprocessing.Fit; o.Fit != nil && *o.Fit != f {
		return fmt.Errorf("%w: fit %v: the model to start from fits pictures by %v: leave the fit out", ErrOptions, *o.Fit, f)
	}
	if o.Network.Layers == nil {
		o.Network = encoder.Network{Input: o.Base.Network.Input, Layers: slices.Clone(o.Base.Network.Layers)}
		if last := lastLinear(o.Network); last >= 0 && o.Dimension != 0 {
			o.Network.Layers[last].Units = o.Dimension
		}
	}
	if d, err := o.Network.Dimension(); err != nil {
		return err
	} else if o.Dimension == 0 {
		o.Dimension = d
	} else if o.Dimension != d {
		return fmt.Errorf("%w: dimension %d: the network makes embeddings of %d: leave the dimension out", ErrOptions, o.Dimension, d)
	}
	return o.checkTransfer()
}

// checkTransfer reports a network that is not the model's but for the last linear layer.
func (o *Options) checkTransfer() error {
	have, want := o.Base.Network, o.Network
	if have.Input != want.Input {
		return fmt.Errorf("%w: the network takes pictures of %+v, the model to start from %+v: leave the network out", ErrOptions, want.Input, have.Input)
	}
	if len(have.Layers) != len(want.Layers) {
		return fmt.Errorf("%w: the network has %d layers, the model to start from %d: leave the network out", ErrOptions, len(want.Layers), len(have.Layers))
	}
	last := lastLinear(want)
	for i, l := range want.Layers {
		if i == last && have.Layers[i].Kind == encoder.KindLinear {
			continue
		}
		if l != have.Layers[i] {
			return fmt.Errorf("%w: layer %d of the network is %+v, that of the model to start from %+v: only the last linear layer may differ", ErrOptions, i, l, have.Layers[i])
		}
	}
	if most := want.Freezable(); o.Freeze < 0 || o.Freeze > most {
		return fmt.Errorf("%w: freeze %d: it must be 0 to %d of the network's %d layers, so that one with weights is left to train", ErrOptions, o.Freeze, most, len(want.Layers))
	}
	if o.Freeze > last && last >= 0 && want.Layers[last] != have.Layers[last] {
		return fmt.Errorf("%w: freeze %d: layer %d starts anew, since it differs from the model's, and must be trained: freeze at most %d", ErrOptions, o.Freeze, last, last)
	}
	return nil
}

// lastLinear returns the place of the last linear layer, -1 if there is none.
func lastLinear(n encoder.Network) int {
	for i := len(n.Layers) - 1; i >= 0; i-- {
		if n.Layers[i].Kind == encoder.KindLinear {
			return i
		}
	}
	return -1
}

// initialWeights draws the weights that the run starts from, and takes over those of the model that it starts from, if any. A last
// linear layer that differs from the model's keeps the weights drawn.
func (r *run) initialWeights() ([][]float32, error) {
	o := r.Options
	weights, err := o.Network.Initialize(rand.New(rand.NewPCG(o.Seed, 0x696e6974))) // "init"
	if err != nil {
		return nil, err
	}
	if o.Base == nil {
		if r.modality.start != nil {
			err = r.modality.start(r.pre, o.Network, weights, r.features, o.Seed)
		}
		return weights, err
	}
	fresh := -1
	if last := lastLinear(o.Network); last >= 0 && o.Network.Layers[last] != o.Base.Network.Layers[last] {
		fresh = last
	}
	layers, err := o.Network.ParameterLayers()
	if err != nil {
		return nil, err
	}
	for i, layer := range layers {
		if layer != fresh {
			copy(weights[i], o.Base.Weights[i])
		}
	}
	return weights, nil
}
