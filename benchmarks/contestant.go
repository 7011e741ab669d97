package benchmarks

import (
	"context"
	"time"

	"github.com/akin-search/akin/index"
)

// contestant is a built index that can be asked and timed: an engine of ours, or a peer in its own process.
type contestant interface {
	// hits answers every query once.
	hits(ctx context.Context, k, ef int) ([][]index.Hit, error)
	// pass asks every query once on one thread. It appends to took the microseconds of each by the wall clock, and returns the
	// processor time that all of them took the whole process.
	pass(ctx context.Context, k, ef int, took []float64) ([]float64, time.Duration, error)
}

// ours is an index of this process.
type ours struct {
	index   index.Index
	queries [][]float32
	core    int // to run on while timed
}

func (o ours) hits(ctx context.Context, k, ef int) ([][]index.Hit, error) {
	all := make([][]index.Hit, len(o.queries))
	for i, q := range o.queries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var err error
		if all[i], err = o.index.Search(ctx, q, k, index.Params{EF: ef}); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (o ours) pass(ctx context.Context, k, ef int, took []float64) ([]float64, time.Duration, error) {
	unpin, err := pin(o.core)
	if err != nil {
		return nil, 0, err
	}
	defer unpin()
	used, err := cpuTime()
	if err != nil {
		return nil, 0, err
	}
	last := time.Now()
	for _, q := range o.queries {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		if _, err := o.index.Search(ctx, q, k, index.Params{EF: ef}); err != nil {
			return nil, 0, err
		}
		now := time.Now()
		took = append(took, float64(now.Sub(last).Nanoseconds())/1e3)
		last = now
	}
	end, err := cpuTime()
	return took, end - used, err
}
