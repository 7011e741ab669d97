package index

import (
	"context"
	"fmt"
	"sync"
)

// Limits of a batch of searches. A larger one is refused with ErrInvalid.
const (
	MaxBatch     = 1000    // queries
	MaxBatchHits = 100_000 // K of all queries together
)

// Query is one search of a batch.
type Query struct {
	Vector []float32
	K      int
	Params Params
}

// BatchError is the error of one query of a batch: the first, in the order of the batch, that failed.
type BatchError struct {
	Place int // from 0
	Err   error
}

func (e *BatchError) Error() string { return fmt.Sprintf("query %d: %v", e.Place, e.Err) }

// Unwrap returns the query's own error.
func (e *BatchError) Unwrap() error { return e.Err }

// SearchBatch asks all queries, several at a time, and returns their hits in the order of the queries. Where one fails the
// batch does, with a *BatchError.
func SearchBatch(ctx context.Context, ix Index, queries []Query, threads int) ([][]Hit, error) {
	return searchBatch(ctx, ix.Search, queries, threads)
}

// SearchBatch asks all queries, StoreOptions.Threads at a time, and returns their hits in the order of the queries. Where one
// fails the batch does, with a *BatchError.
func (c *Collection) SearchBatch(ctx context.Context, queries []Query) ([][]Hit, error) {
	if err := c.enter(); err != nil {
		return nil, err
	}
	defer c.store.gate.leave()
	o := c.record.Config.options(c.store.opt.Threads)
	o.SetDefaults()
	return searchBatch(ctx, c.search, queries, o.Threads)
}

func searchBatch(ctx context.Context, search func(context.Context, []float32, int, Params) ([]Hit, error), queries []Query, threads int) ([][]Hit, error) {
	if threads < 1 || threads > MaxThreads {
		return nil, fmt.Errorf("threads %d: %w: use 1 to %d", threads, ErrInvalid, MaxThreads)
	}
	if len(queries) > MaxBatch {
		return nil, fmt.Errorf("batch of %d queries: %w: use up to %d", len(queries), ErrInvalid, MaxBatch)
	}
	sum := 0
	for i, q := range queries {
		q.Params.RecallTarget = 0 // for the search to judge
		if _, err := q.Params.candidates(q.K); err != nil {
			return nil, &BatchError{i, err}
		}
		sum += q.K
	}
	if sum > MaxBatchHits {
		return nil, fmt.Errorf("batch of %d queries for %d hits together: %w: ask for up to %d", len(queries), sum, ErrInvalid, MaxBatchHits)
	}
	hits := make([][]Hit, len(queries))
	var mu sync.Mutex
	failed := &BatchError{Place: len(queries)} // the first that failed: what comes after it need not be asked
	workers(threads, len(queries), func(i int) {
		mu.Lock()
		skip := i > failed.Place || ctx.Err() != nil
		mu.Unlock()
		if skip {
			return
		}
		q := &queries[i]
		var err error
		if hits[i], err = search(ctx, q.Vector, q.K, q.Params); err != nil {
			mu.Lock()
			defer mu.Unlock()
			if i < failed.Place {
				failed = &BatchError{i, err}
			}
		}
	})
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("batch of %d queries: %w", len(queries), err)
	}
	if failed.Err != nil {
		return nil, failed
	}
	return hits, nil
}
