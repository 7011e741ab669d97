package index

import (
	"fmt"
	"sort"
)

// A range search for more than rangeStart hits begins with so many, and asks for rangeGrowth times as many while all of them
// are within the threshold. It keeps rangeSpare candidates for each hit: those near the edge of the range are as much worth
// as the nearest.
const (
	rangeStart  = 32
	rangeGrowth = 4
	rangeSpare  = 2
)

// within answers a search with a score threshold by searches without one. A graph is not walked for k hits where few are
// within: it is walked wider and wider, until a hit lies beyond the threshold or there are k.
func within(m Metric, k int, p Params, search func(k int, p Params) ([]Hit, error)) ([]Hit, error) {
	limit := *p.ScoreThreshold
	if limit != limit {
		return nil, fmt.Errorf("score threshold %v: %w: use a number, or none", limit, ErrInvalid)
	}
	if _, err := p.candidates(k); err != nil {
		return nil, err
	}
	p.ScoreThreshold = nil
	part := min(k, rangeStart)
	if p.Exact {
		part = k
	}
	for {
		wide := p
		wide.EF = min(max(p.EF, DefaultEF, rangeSpare*part), MaxEF)
		hits, err := search(part, wide)
		if err != nil {
			return nil, err
		}
		// Hits come nearest first: those within are the first ones.
		n := sort.Search(len(hits), func(i int) bool { return !m.within(hits[i].Score, limit) })
		if n < part || part == k {
			return hits[:n], nil
		}
		part = min(k, rangeGrowth*part)
	}
}

// within reports whether a score is as good as a threshold: at least as large, with L2 at most as large.
func (m Metric) within(score, threshold float32) bool {
	if m == L2 {
		return score <= threshold
	}
	return score >= threshold
}
