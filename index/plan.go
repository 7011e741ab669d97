package index

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Plan is how a collection answers a search that asks for a recall.
type Plan struct {
	Params Params  // with EF, or Exact, in place of RecallTarget
	Recall float64 // that can be expected at least, at 95 % confidence; 1 when it is exact; 0, unknown, without a target
	Reason string  // why a search that need not be exact is; "" when it is not, or was asked to be
}

// Plan says how Search would answer: with the least EF at which the collection's curve (MeasureRecall) reaches
// Params.RecallTarget, or exactly, where the curve does not reach it or has not been measured yet. Without a target the
// parameters come back as they are.
func (c *Collection) Plan(k int, p Params) (Plan, error) {
	if p.RecallTarget == 0 {
		return Plan{Params: p}, nil
	}
	if !(p.RecallTarget > 0 && p.RecallTarget < 1) {
		return Plan{}, fmt.Errorf("recall target %v: %w: use a number between 0 and 1, 0.99 for example, or ask for exact search", p.RecallTarget, ErrInvalid)
	}
	if p.EF != 0 {
		return Plan{}, fmt.Errorf("recall target %v and ef %d: %w: give one of them, the target finds the ef", p.RecallTarget, p.EF, ErrInvalid)
	}
	target := p.RecallTarget
	p.RecallTarget = 0
	if _, err := p.candidates(k); err != nil {
		return Plan{}, err
	}
	exact := Plan{Params: p, Recall: 1}
	exact.Params.Exact = true
	if p.Exact {
		return exact, nil
	}
	if _, ok := c.engine.(*graph); !ok {
		exact.Reason = fmt.Sprintf("engine %v has no curve of recall", c.record.Config.Engine)
		return exact, nil
	}
	if p.Filter != nil {
		exact.Reason = "the curve of recall is that of searches without a filter"
		return exact, nil
	}
	points := c.Len()
	bucket := recallBuckets[recallBucket(k)]
	if max(firstRung, bucket)*scanFactor >= points {
		exact.Reason = fmt.Sprintf("%d points are few enough to compare all", points)
		return exact, nil
	}
	b := c.curve.Load().bucket(bucket)
	if b == nil || points > driftLimit*b.Points || b.Points > driftLimit*points {
		c.refresh(bucket)
		exact.Reason = fmt.Sprintf("recall@%d is being measured", bucket)
		return exact, nil
	}
	if c.drift.Load() {
		c.refresh()
	}
	for _, r := range b.Rungs {
		if r.Low >= target {
			return Plan{Params: p.withEF(r.EF), Recall: r.Low}, nil
		}
	}
	exact.Reason = "no ef that is faster than exact search was measured to reach it"
	return exact, nil
}

func (p Params) withEF(ef int) Params {
	p.EF = ef
	return p
}

// refresh measures buckets in the background, and those that writes made stale. If another measurement is on, it does nothing:
// a later search comes back.
func (c *Collection) refresh(buckets ...int) {
	c.store.measuring.start(&c.store.gate, func(ctx context.Context) {
		buckets = append(buckets, c.stale()...)
		slices.Sort(buckets)
		for _, k := range slices.Compact(buckets) {
			err := c.measure(ctx, k)
			if ctx.Err() != nil || errors.Is(err, ErrNotFound) { // closed or dropped
				return
			}
			if err != nil {
				c.store.opt.Logger.Warn("recall could not be measured", "collection", c.name, "k", k, "error", err)
				return
			}
		}
	})
}

// drifted notes whether writes have made a bucket stale. It is measured anew when a search asks for a recall, so that an import
// that nobody searches costs nothing. The caller holds mu.
func (c *Collection) drifted() {
	c.drift.Store(len(c.curve.Load().stale(c.Len(), c.sequence)) > 0)
}

func (c *Collection) stale() []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.curve.Load().stale(c.Len(), c.sequence)
}
