package encoder

import (
	"fmt"

	"github.com/akin-search/akin/encoder/kernel"
)

// Inference embeds batches as a Graph takes them, on the graph's device, with weights that the caller changes from batch to batch: a
// momentum encoder. Normalisation goes by the running statistics, so an embedding does not depend on the rest of the batch. It must not
// run beside the graph.
type Inference struct {
	network Network
	whole   *plan
	runner  *runner
	weights []kernel.Buffer // folded
}

// NewInference makes the inference of a network; SetWeights must follow.
func NewInference(dev kernel.Device, n Network) (*Inference, error) {
	f := &Inference{network: n}
	var err error
	if f.whole, err = n.plan(1); err != nil {
		return nil, err
	}
	folded, err := n.planFor(1, len(n.Layers))
	if err != nil {
		return nil, err
	}
	for _, q := range folded.parameters {
		f.weights = append(f.weights, dev.Alloc(q.Len()))
	}
	f.runner, err = newRunner(dev, n, f.weights)
	return f, err
}

// SetWeights takes weights as Graph.Weights returns them.
func (f *Inference) SetWeights(weights [][]float32) error {
	if err := f.whole.checkWeights(weights); err != nil {
		return err
	}
	for i, w := range f.whole.folded(weights, len(f.network.Layers)) {
		f.runner.dev.Upload(f.weights[i], w)
	}
	return nil
}

// Run embeds a batch that Graph.Place filled into the rows of out.
func (f *Inference) Run(batch []float32, out kernel.Matrix) error {
	in, size := f.runner.plan.input, f.runner.plan.batch
	if len(batch) != out.Rows*in || out.Cols != f.whole.dimension {
		return fmt.Errorf("encoder: a batch of %d values for embeddings %v: the network takes %d values an item and makes %d", len(batch), out, in, f.whole.dimension)
	}
	for lo := 0; lo < out.Rows; lo += size {
		n := min(size, out.Rows-lo)
		copy(out.Data[lo*out.Cols:], f.runner.forward(batch[lo*in:], n))
	}
	return nil
}
