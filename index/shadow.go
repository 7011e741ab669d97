package index

import (
	"context"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
)

// Live recall is measured on what is really asked: some searches are answered exactly, too, in the background, and compared.

const (
	// shadowWorkers searches are checked at a time, in all collections; those that come meanwhile are dropped and counted.
	shadowWorkers = 1
	// shadowWindow: the last so many checked searches of a bucket count.
	shadowWindow = 1000
)

// RecallStats is what a collection knows of its recall.
type RecallStats struct {
	Rate    float64        `json:"shadow_rate"` // share of the searches that are checked
	Checked uint64         `json:"checked"`     // searches since the start that were answered exactly, too
	Dropped uint64         `json:"dropped"`     // that should have been, but came too fast
	Live    []LiveRecall   `json:"live"`        // of the searches that were asked, by k
	Curve   []CurveSummary `json:"curve"`       // of the graph, by k, as measured for RecallTarget
}

// LiveRecall is the recall@k of the last searches for up to K hits that were checked. The interval holds at 95 % (Wilson 1927),
// for independent searches; that hits of one search are missed together is allowed for.
type LiveRecall struct {
	K       int     `json:"k"`
	Queries int     `json:"queries"`
	Recall  float64 `json:"recall"`
	Low     float64 `json:"low"`
	High    float64 `json:"high"`
}

// CurveSummary says what Params.RecallTarget can count on for searches for up to K hits.
type CurveSummary struct {
	K       int     `json:"k"`
	Queries int     `json:"queries"`
	Points  int     `json:"points"` // of the collection when it was measured
	EF      int     `json:"max_ef"` // highest that was measured; 0 where all points are compared anyway
	Low     float64 `json:"low"`    // recall there at least
}

// shadow watches the recall of a collection.
type shadow struct {
	searches atomic.Uint64 // that may be checked

	mu               sync.Mutex
	checked, dropped uint64
	windows          [len(recallBuckets)]window
}

// window is the tally of the last searches of a bucket.
type window struct {
	tally
	ring []share
	next int
}

type share struct{ found, wanted int32 }

func (w *window) see(found, wanted int) {
	w.add(found, wanted)
	s := share{int32(found), int32(wanted)}
	if len(w.ring) < shadowWindow {
		w.ring = append(w.ring, s)
		return
	}
	old := w.ring[w.next]
	w.remove(int(old.found), int(old.wanted))
	w.ring[w.next] = s
	w.next = (w.next + 1) % shadowWindow
}

// shadowed checks a search that was answered with hits, if its turn has come.
func (c *Collection) shadowed(q []float32, k int, p Params, hits []Hit) {
	rate := c.store.opt.ShadowRate
	if rate == 0 || p.Exact || c.record.Config.Engine == EngineFlat {
		return
	}
	if !drawn(c.record.Config.Seed, c.shadow.searches.Add(1), rate) {
		return
	}
	q, hits = slices.Clone(q), slices.Clone(hits) // the caller's
	p.Exact = true
	started := c.store.shadowing.start(&c.store.gate, func(ctx context.Context) {
		nearest, err := c.find(ctx, q, k, p)
		c.shadow.mu.Lock()
		defer c.shadow.mu.Unlock()
		if err != nil { // the store is closing, or the filter went stale
			c.shadow.dropped++
			return
		}
		c.shadow.checked++
		if len(nearest) > 0 {
			c.shadow.windows[recallBucket(k)].see(matches(hits, nearest), len(nearest))
		}
	})
	if !started {
		c.shadow.mu.Lock()
		c.shadow.dropped++
		c.shadow.mu.Unlock()
	}
}

// drawn reports whether search number n is one of the share that is checked: the same ones for the same seed.
func drawn(seed, n uint64, rate float64) bool {
	return float64(mix(seed^bits.RotateLeft64(n*0x9e3779b97f4a7c15, 32))>>11)*0x1p-53 < rate
}

// mix is the mixer of splitmix64 (Steele, Lea & Flood, Fast splittable pseudorandom number generators, OOPSLA 2014).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Recall returns what is known of the collection's recall: live, of the searches that StoreOptions.ShadowRate lets be checked,
// and by the curve that MeasureRecall made.
func (c *Collection) Recall() RecallStats {
	out := RecallStats{Rate: c.store.opt.ShadowRate, Live: []LiveRecall{}, Curve: []CurveSummary{}}
	c.shadow.mu.Lock()
	defer c.shadow.mu.Unlock()
	out.Checked, out.Dropped = c.shadow.checked, c.shadow.dropped
	for i := range c.shadow.windows {
		if w := &c.shadow.windows[i]; w.queries > 0 {
			out.Live = append(out.Live, w.live(recallBuckets[i]))
		}
	}
	if curve := c.curve.Load(); curve != nil {
		for _, b := range curve.Buckets {
			s := CurveSummary{K: b.K, Queries: b.Queries, Points: b.Points, Low: 1}
			if n := len(b.Rungs); n > 0 {
				s.EF, s.Low = b.Rungs[n-1].EF, b.Rungs[n-1].Low
			}
			out.Curve = append(out.Curve, s)
		}
	}
	return out
}

// live makes the public form. Where all were found, or nearly, each query counts as one trial: the interval is rather too wide.
func (w *window) live(k int) LiveRecall {
	r := LiveRecall{K: k, Queries: w.queries, Recall: w.recall()}
	perQuery := float64(w.wanted) / float64(w.queries)
	r.Low, r.High = wilson(r.Recall, float64(w.wanted)/w.design(perQuery), z95)
	return r
}
