package benchmarks

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"time"

	"github.com/akin-search/akin/index"
)

// minTiming is how long an engine is timed at one ef in one round: its queries are asked again until it has passed.
const minTiming = 100 * time.Millisecond

// setting is an engine at one value of its dial.
type setting struct {
	engine     index.Engine
	contestant contestant
	ef         int
	point      *Point    // where the results go
	qps        []float64 // of each pass over the queries
	p50, p99   []float64 // of each round
}

// measureRecall asks every query once. It warms the caches up, too.
func (s *setting) measureRecall(ctx context.Context, exact *truth) error {
	all, err := s.contestant.hits(ctx, exact.k, s.ef)
	if err != nil {
		return err
	}
	sum := 0.0
	for i, hits := range all {
		recall, err := exact.recall(i, hits)
		if err != nil {
			return err
		}
		sum += recall
	}
	s.point.EF, s.point.Recall = s.ef, rounded(sum/float64(len(exact.data.Queries)), 6)
	return nil
}

// measureSpeed times all settings in rounds, those of equal ef next to each other.
func measureSpeed(ctx context.Context, settings []*setting, o Options) error {
	slices.SortStableFunc(settings, func(a, b *setting) int { return cmp.Compare(a.ef, b.ef) })
	for round := range o.Rounds {
		start := time.Now()
		for _, s := range settings {
			if err := s.timeRound(ctx, o.K); err != nil {
				return fmt.Errorf("engine %s, ef %d: %w", s.engine, s.ef, err)
			}
		}
		o.Progress(fmt.Sprintf("speed: round %d of %d (%.1f s)", round+1, o.Rounds, time.Since(start).Seconds()))
	}
	for _, s := range settings {
		s.point.QPS = rounded(median(s.qps), 1)
		s.point.P50 = rounded(median(s.p50), 2)
		s.point.P99 = rounded(median(s.p99), 2)
	}
	return nil
}

// timeRound asks the queries one after the other.
func (s *setting) timeRound(ctx context.Context, k int) error {
	runtime.GC() // an engine pays for its own garbage, not for that of the one before
	var took []float64
	start := time.Now()
	for time.Since(start) < minTiming {
		if err := ctx.Err(); err != nil {
			return err
		}
		before := len(took)
		var used time.Duration
		var err error
		if took, used, err = s.contestant.pass(ctx, k, s.ef, took); err != nil {
			return err
		}
		s.qps = append(s.qps, float64(len(took)-before)/max(used, 1).Seconds()) // a coarse clock may see nothing pass
	}
	slices.Sort(took)
	s.p50 = append(s.p50, quantile(took, 0.50))
	s.p99 = append(s.p99, quantile(took, 0.99))
	return nil
}

// quantile returns the smallest value that at least the share p of the sorted values do not exceed (nearest rank).
func quantile(sorted []float64, p float64) float64 {
	return sorted[max(0, int(math.Ceil(p*float64(len(sorted))))-1)]
}

// median returns the middle value, of two the mean.
func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// rounded leaves the given number of decimals: a report is read by people.
func rounded(x float64, decimals int) float64 {
	scale := math.Pow10(decimals)
	return math.Round(x*scale) / scale
}
