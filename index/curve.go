package index

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/dgraph-io/badger/v4"
)

// A curve says how much of the nearest a graph finds at which ef. It is measured with points of the collection, each as if it
// had not been inserted: the walk does not see its slot. What is left of its links keeps others apart a little, so the curve is
// rather below the recall of new queries than above it. (A stored point that is found by itself is no such query: its links
// lead to its neighbours. Points moved a little were tried and are far too easy in many dimensions: decision 0009.)
type curve struct {
	Buckets []curveBucket `json:"buckets"` // sorted by K
}

// curveBucket is the curve for one k.
type curveBucket struct {
	K        int    `json:"k"`
	Queries  int    `json:"queries"`
	Points   int    `json:"points"`   // of the collection when it was measured
	Sequence uint64 `json:"sequence"` // its last write then
	Rungs    []rung `json:"rungs"`    // by ef; none where all points are compared anyway
}

// rung is the recall at one ef.
type rung struct {
	EF     int     `json:"ef"`
	Recall float64 `json:"recall"`
	Low    float64 `json:"low"` // lower bound, 95 %
}

const (
	// A bucket is measured with minCurveQueries to maxCurveQueries queries, as far as curveWork, the multiplications of their
	// exact search and again of their walks, allows more. 512 that find all say 0.9947 at least, where each has one hit.
	curveWork       = 1 << 34
	minCurveQueries = 512
	maxCurveQueries = 1024
	// With a large k fewer say as much: they have curveHits hits together, but no fewer are asked than fewCurveQueries.
	curveHits       = 1 << 18
	fewCurveQueries = 128
	// firstRung is the least ef that is measured. Each rung is a third higher.
	firstRung = 8
	// driftShare of the points written since the measurement make a curve stale: it is measured anew.
	driftShare = 0.25
	// driftLimit is the factor of growth, or of shrinking, beyond which a stale curve is not used until it has been.
	driftLimit = 2
)

// bucket returns the curve for k; nil when there is none.
func (c *curve) bucket(k int) *curveBucket {
	if c == nil {
		return nil
	}
	for i := range c.Buckets {
		if c.Buckets[i].K == k {
			return &c.Buckets[i]
		}
	}
	return nil
}

// with returns a copy in which a bucket is replaced.
func (c *curve) with(b curveBucket) *curve {
	out := &curve{}
	if c != nil {
		out.Buckets = slices.DeleteFunc(slices.Clone(c.Buckets), func(old curveBucket) bool { return old.K == b.K })
	}
	out.Buckets = append(out.Buckets, b)
	slices.SortFunc(out.Buckets, func(a, b curveBucket) int { return a.K - b.K })
	return out
}

// stale returns the buckets that so much was written since that they ought to be measured again.
func (c *curve) stale(points int, sequence uint64) (buckets []int) {
	if c == nil {
		return nil
	}
	for _, b := range c.Buckets {
		changed := max(points-b.Points, b.Points-points, int(sequence-b.Sequence))
		if float64(changed) >= driftShare*float64(max(b.Points, 1)) {
			buckets = append(buckets, b.K)
		}
	}
	return buckets
}

// MeasureRecall measures how recall@k of the collection's graph depends on ef, and keeps the result with the collection, where
// Params.RecallTarget uses it. A collection does so by itself, in the background, once a search has asked for a recall; call it
// after a large import to be ready before. It takes a second or two of one core, more with a million points. k counts as the next of 1, 3,
// 10, 30, … MaxK. Engines without a graph have nothing to measure.
func (c *Collection) MeasureRecall(ctx context.Context, k int) error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.store.gate.leave()
	if _, err := (Params{}).candidates(k); err != nil {
		return err
	}
	if _, ok := c.engine.(*graph); !ok {
		return nil
	}
	if err := c.measure(ctx, recallBuckets[recallBucket(k)]); err != nil {
		return fmt.Errorf("collection %q: measuring recall@%d: %w", c.name, k, err)
	}
	return nil
}

// measure makes the curve of a bucket and stores it.
func (c *Collection) measure(ctx context.Context, k int) error {
	c.mu.Lock()
	b := curveBucket{K: k, Points: c.Len(), Sequence: c.sequence}
	c.mu.Unlock()
	if err := c.climb(ctx, &b); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dropped.Load() {
		return ErrNotFound
	}
	next := c.curve.Load().with(b)
	content, err := json.Marshal(next)
	if err != nil {
		return err
	}
	key := numberKey(recordCurve, c.record.Number)
	record := seal(append(newRecord(kindCurve, len(content)), content...), string(key))
	if err := c.store.update(func(txn *badger.Txn) error { return txn.Set(key, record) }); err != nil {
		return err
	}
	c.curve.Store(next)
	c.drifted()
	return nil
}

// climb fills in the rungs of a bucket.
func (c *Collection) climb(ctx context.Context, b *curveBucket) error {
	g := c.engine.(*graph)
	work := int64(curveWork)
	n := min(max(curveWork/(int64(max(b.Points, 1))*int64(g.dim)), minCurveQueries), maxCurveQueries)
	n = min(n, max(curveHits/int64(b.K), fewCurveQueries))
	probes, err := c.probes(ctx, g, int(n), b.K)
	if err != nil || len(probes) == 0 {
		return err
	}
	b.Queries = len(probes)
	design := float64(b.K)
	perfect := 0
	for ef := max(firstRung, b.K); perfect < 2 && ef*scanFactor < b.Points && ef <= MaxEF; ef += (ef + 2) / 3 {
		work -= int64(ef*g.opt.M) * int64(g.dim*len(probes))
		if work < 0 && len(b.Rungs) > 0 {
			break
		}
		var t tally
		for _, p := range probes {
			hits, err := g.Search(ctx, p.vector, b.K, Params{EF: ef, without: p.id})
			if err != nil {
				return err
			}
			t.add(matches(hits, p.nearest), len(p.nearest))
		}
		design = t.design(design)
		r := rung{EF: ef, Recall: t.recall()}
		r.Low, _ = wilson(r.Recall, float64(t.wanted)/design, z95lower)
		b.Rungs = append(b.Rungs, r)
		if t.found == t.wanted {
			perfect++
		}
	}
	return nil
}

// sample draws ids of different points that lie in layer 0 alone and have a slot to themselves, so that a walk can be kept from
// them; which those are has nothing to do with where they lie.
func (g *graph) sample(r *rand.Rand, n int) []string {
	g.mu.RLock()
	defer g.mu.RUnlock()
	drawn := map[uint32]bool{}
	var ids []string
	for range 4 * n {
		if len(g.state) == 0 || len(ids) == n {
			break
		}
		slot := uint32(r.IntN(len(g.state)))
		if drawn[slot] || g.state[slot] != live || g.level(slot) > 0 || len(g.more[slot]) > 0 {
			continue
		}
		drawn[slot] = true
		ids = append(ids, g.owner[slot].id)
	}
	return ids
}

// loadCurve reads the curve. One that is damaged is measured anew when it is needed.
func (c *Collection) loadCurve(txn *badger.Txn) error {
	content, err := getSealed(txn, numberKey(recordCurve, c.record.Number), kindCurve)
	if content == nil && err == nil {
		return nil
	}
	var loaded curve
	if err == nil {
		if err = json.Unmarshal(content, &loaded); err != nil {
			err = fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
	}
	if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrFormat) {
		c.store.opt.Logger.Warn("the curve of recall cannot be used, it is measured anew when a search asks for a recall", "collection", c.name, "error", err)
		return nil
	}
	if err == nil {
		c.curve.Store(&loaded)
	}
	return err
}
