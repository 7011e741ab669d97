package train

import (
	"fmt"
	"slices"

	"github.com/akin-search/akin/encoder/kernel"
)

// Optimizer moves the trained weights of one graph. What it keeps lies on the device.
type Optimizer interface {
	// Step updates the weights by the gradients of the last graph step; t counts from 1.
	Step(rate float64, t int) error
	// State copies what it keeps to the host.
	State() [][]float32
	// Restore takes up what State returned for a graph of the same network; an error wraps ErrCheckpoint.
	Restore(state [][]float32) error
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
func upload(dev kernel.Device, tables [][]float32, groups ...[]kernel.Buffer) error {
	to := slices.Concat(groups...)
	want := make([]int, len(to))
	for i, b := range to {
		want[i] = b.Len()
	}
	if got := sizesOf(tables); !slices.Equal(got, want) {
		return fmt.Errorf("%w: the optimiser's tables have %v values, the network needs %v", ErrCheckpoint, got, want)
	}
	for i, b := range to {
		dev.Upload(b, tables[i])
	}
	return nil
}
