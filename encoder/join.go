package encoder

import (
	"fmt"

	"github.com/akin-search/akin/encoder/kernel"
)

// Joined returns the network whose embedding is those of several of n, one after the other: each layer has the filters and the units of all. They are joined of
// bands, convolutions, poolings and linear layers, of which the last one makes the embedding.
func (n Network) Joined(parts int) (Network, error) {
	out := Network{Input: n.Input}
	for i, l := range n.Layers {
		if l.Kind == KindResidual || l.Kind == KindBag || l.Fixed || l.Keep != 0 {
			return out, fmt.Errorf("%w: layer %d (%s): networks with it cannot be joined", ErrSpec, i, l.Kind)
		}
		l.Filters, l.Units = l.Filters*parts, l.Units*parts
		out.Layers = append(out.Layers, l)
	}
	if i := len(n.Layers) - 2; i < 0 || n.Layers[i].Kind != KindLinear || n.Layers[i].ReLU {
		return out, fmt.Errorf("%w: networks whose embedding does not come from a linear layer cannot be joined", ErrSpec)
	}
	return out, out.Validate()
}

// Join returns the network Joined of parts, weights of n that were each learned for themselves, and its weights. What one part makes does not reach the
// layers of another: the weights there are 0. The embedding is brought to unit length as a whole.
func (n Network) Join(parts ...[][]float32) (Network, [][]float32, error) {
	p, err := n.plan(1)
	if err != nil {
		return Network{}, nil, err
	}
	out, err := n.Joined(len(parts))
	if err != nil {
		return out, nil, err
	}
	for _, w := range parts {
		if err := p.checkWeights(w); err != nil {
			return out, nil, err
		}
	}
	var weights [][]float32
	channels := 0 // that a part has made; 0 where all see the input
	for i, s := range p.steps {
		for k, q := range s.shape.Parameters() {
			of := make([][]float32, len(parts))
			for m, w := range parts {
				of[m] = w[s.params+k]
			}
			block := 0
			if q.Role == kernel.RoleWeight {
				block = channels
			}
			weights = append(weights, joinTable(of, q.Rows, q.Cols, block))
		}
		if made := n.Layers[i].Filters + n.Layers[i].Units; made > 0 {
			channels = made
		}
	}
	return out, weights, nil
}

// joinTable puts tables of rows × cols side by side. With a block above 0 their rows are of inputs of their own, so many of a part between those of the others.
func joinTable(parts [][]float32, rows, cols, block int) []float32 {
	wide := len(parts) * cols
	if block == 0 {
		out := make([]float32, rows*wide)
		for m, w := range parts {
			for r := range rows {
				copy(out[r*wide+m*cols:], w[r*cols:(r+1)*cols])
			}
		}
		return out
	}
	out := make([]float32, len(parts)*rows*wide)
	for m, w := range parts {
		for r := range rows {
			at := (r/block*len(parts)+m)*block + r%block
			copy(out[at*wide+m*cols:], w[r*cols:(r+1)*cols])
		}
	}
	return out
}
