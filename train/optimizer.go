package train

import (
	"fmt"
	"slices"
	"strings"

	"github.com/akin-search/akin/encoder/kernel"
)

// Trainable is the trained weights of a network with their gradients: an encoder.Graph, or one whose gradients are gathered.
type Trainable interface {
	Trained() int
	Parameter(i int) kernel.Parameter
	Weight(i int) kernel.Buffer
	Gradient(i int) (kernel.Buffer, error)
	Rows(i int) []int // that have a gradient other than 0; nil for all
}

// Optimizer moves the weights of one Trainable. What it keeps lies on the device.
type Optimizer interface {
	// Step updates the weights by the gradients at hand; t counts from 1.
	Step(rate float64, t int) error
	// State copies what it keeps to the host.
	State() [][]float32
	// Restore takes up what State returned for the same network; an error wraps ErrCheckpoint.
	Restore(state [][]float32) error
}

// OptimizerKind names an optimiser.
type OptimizerKind int

const (
	OptimizerAdamW    OptimizerKind = iota // see AdamW
	OptimizerSGD                           // see SGD
	OptimizerNesterov                      // SGD with Nesterov's momentum
	OptimizerLARS                          // see LARS
)

var optimizerNames = []string{OptimizerAdamW: "adamw", OptimizerSGD: "sgd", OptimizerNesterov: "nesterov", OptimizerLARS: "lars"}

// String returns the name that ParseOptimizer takes.
func (k OptimizerKind) String() string {
	if k < 0 || int(k) >= len(optimizerNames) {
		return fmt.Sprintf("OptimizerKind(%d)", int(k))
	}
	return optimizerNames[k]
}

// ParseOptimizer returns the kind of the given name: "adamw", "sgd", "nesterov" or "lars"; "" is adamw.
func ParseOptimizer(name string) (OptimizerKind, error) {
	if name == "" {
		return OptimizerAdamW, nil
	}
	if k := slices.Index(optimizerNames, name); k >= 0 {
		return OptimizerKind(k), nil
	}
	return 0, fmt.Errorf("unknown optimiser %q; want one of %s", name, strings.Join(optimizerNames, ", "))
}

// New returns the optimiser at step 0. momentum is not of AdamW; decay is the weight decay.
func (k OptimizerKind) New(dev kernel.Device, w Trainable, momentum, decay float64) (Optimizer, error) {
	switch k {
	case OptimizerAdamW:
		return NewAdamW(dev, w, decay), nil
	case OptimizerSGD, OptimizerNesterov:
		return NewSGD(dev, w, momentum, decay, k == OptimizerNesterov), nil
	case OptimizerLARS:
		return NewLARS(dev, w, momentum, decay), nil
	}
	return nil, fmt.Errorf("no optimiser of kind %v; want one of %s", k, strings.Join(optimizerNames, ", "))
}

// zeros allocates a buffer beside each trained weight.
func zeros(dev kernel.Device, w Trainable) []kernel.Buffer {
	b := make([]kernel.Buffer, w.Trained())
	for i := range b {
		b[i] = dev.Alloc(w.Weight(i).Len())
	}
	return b
}

// download copies groups of buffers to the host, a table a buffer.
func download(dev kernel.Device, groups ...[]kernel.Buffer) (tables [][]float32) {
	for _, b := range slices.Concat(groups...) {
		w := make([]float32, b.Len())
		dev.Download(w, b)
		tables = append(tables, w)
	}
	return tables
}

// upload is the inverse of download.
func upload(dev kernel.Device, what string, tables [][]float32, groups ...[]kernel.Buffer) error {
	to := slices.Concat(groups...)
	want := make([]int, len(to))
	for i, b := range to {
		want[i] = b.Len()
	}
	if got := sizesOf(tables); !slices.Equal(got, want) {
		return fmt.Errorf("%w: %s are tables of %v values, the network needs %v", ErrCheckpoint, what, got, want)
	}
	for i, b := range to {
		dev.Upload(b, tables[i])
	}
	return nil
}
