package benchmarks

import (
	"math"
	"time"
)

// targets are the recalls that engines are compared at.
var targets = []float64{0.95, 0.99}

// Build is what it took to build an index.
type Build struct {
	Threads    int     `json:"threads"`
	Seconds    float64 `json:"seconds"`     // by the wall clock
	CPUSeconds float64 `json:"cpu_seconds"` // of all threads
}

func newBuild(threads int, wall, cpu time.Duration) Build {
	return Build{threads, rounded(wall.Seconds(), 3), rounded(cpu.Seconds(), 3)}
}

// AtRecall is how fast an engine is where it finds a given share.
type AtRecall struct {
	Recall float64 `json:"recall"`
	QPS    float64 `json:"qps"` // 0 where the curve does not get there
	// TimesPeer is QPS over the peer's, 0 where there is no peer or one of the two does not get there.
	TimesPeer float64 `json:"times_peer"`
}

// qpsAt reads a curve at a recall: between two points the logarithms of QPS and of what is missed, 1−recall, lie on a line. A curve
// that begins above the recall has its first point's speed there; one that ends below has none, 0.
func qpsAt(curve []Point, recall float64) float64 {
	best := 0.0
	for i, p := range curve {
		if p.Recall >= recall {
			best = max(best, p.QPS)
		}
		if i == 0 || p.Recall <= recall || curve[i-1].Recall >= recall {
			continue
		}
		from, to := curve[i-1], p
		x := func(r float64) float64 { return math.Log(max(1-r, 1e-5)) } // recall 1 is not infinitely far
		share := (x(recall) - x(from.Recall)) / (x(to.Recall) - x(from.Recall))
		best = max(best, math.Exp(math.Log(from.QPS)+share*(math.Log(to.QPS)-math.Log(from.QPS))))
	}
	return best
}

// compare fills At of the engines; the peer is the last of them, if there is one.
func (r *Report) compare() {
	for i := range r.Engines {
		e := &r.Engines[i]
		e.At = make([]AtRecall, len(targets))
		for j, t := range targets {
			e.At[j] = AtRecall{Recall: t, QPS: rounded(qpsAt(e.Curve, t), 1)}
		}
	}
	if r.Peer == "" {
		return
	}
	base := r.Engines[len(r.Engines)-1]
	for _, e := range r.Engines {
		for j := range e.At {
			if base.At[j].QPS > 0 {
				e.At[j].TimesPeer = rounded(e.At[j].QPS/base.At[j].QPS, 3)
			}
		}
	}
}
