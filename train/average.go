package train

import (
	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
)

// average is an exponential moving average of the weights (Polyak & Juditsky 1992; Tarvainen & Valpola 2017): after step t
//
//	a = d·a + (1−d)·w,  d = min(decay, (1+t)/(10+t))
//
// The warm start keeps the random weights of the beginning out of the average. The running statistics of normalisations are averaged
// along: they are means over past batches themselves, and those that belong to averaged weights lag as these do.
type average struct {
	dev   kernel.Device
	graph *encoder.Graph
	decay float64
	live  []kernel.Buffer // the weights
	means []kernel.Buffer // of them
}

func newAverage(dev kernel.Device, g *encoder.Graph, decay float64) *average {
	a := &average{dev: dev, graph: g, decay: decay, live: g.Live()}
	for _, w := range a.live {
		m := dev.Alloc(w.Len())
		dev.Scale(m, w, 1)
		a.means = append(a.means, m)
	}
	return a
}

// update takes up the weights after step t, which counts from 1.
func (a *average) update(t int) {
	decay := min(a.decay, float64(1+t)/float64(10+t))
	for i, w := range a.live {
		a.dev.Average(a.means[i], w, decay)
	}
}

// weights returns the averaged weights of the whole network.
func (a *average) weights() [][]float32 { return a.graph.WeightsOf(a.means) }

func (a *average) state() [][]float32 { return download(a.dev, a.means) }

func (a *average) restore(state [][]float32) error {
	return upload(a.dev, "the averaged weights", state, a.means)
}
