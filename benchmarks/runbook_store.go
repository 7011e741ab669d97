package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/akin-search/akin/index"
)

// runbookCollection is the collection of a runbook's store.
const runbookCollection = "runbook"

// config is that of a collection for the data.
func (o *RunbookOptions) config(d Data) index.Config {
	return index.Config{Dimension: d.Dimension(), Metric: d.Metric, Seed: o.Seed, Quantization: o.Quantization}
}

// inFolder calls f with a new folder, which is deleted afterwards.
func (o *RunbookOptions) inFolder(f func(dir string) error) (err error) {
	dir, err := os.MkdirTemp(o.Folder, "akin-bench-")
	if err != nil {
		return fmt.Errorf("a folder for the store: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return f(dir)
}

// inCollection calls f with an empty collection for the data, in a store of its own that is deleted afterwards.
func (o *RunbookOptions) inCollection(d Data, f func(c *index.Collection) error) error {
	return o.inFolder(func(dir string) (err error) {
		s, err := index.Open(dir, index.StoreOptions{Threads: o.Threads})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		c, err := s.Create(runbookCollection, o.config(d))
		if err != nil {
			return err
		}
		return f(c)
	})
}

// fill stores points made by point, a batch at a time, and returns the seconds it took.
func (o *RunbookOptions) fill(ctx context.Context, c *index.Collection, n int, point func(i int) index.Point) (float64, error) {
	start := time.Now()
	said := start
	err := inBatches(ctx, n, func(from, to int) error {
		points := make([]index.Point, to-from)
		for i := range points {
			points[i] = point(from + i)
		}
		if now := time.Now(); now.Sub(said) > 5*time.Second {
			o.say("%d of %d points stored in %.0f s", from, n, now.Sub(start).Seconds())
			said = now
		}
		return c.Upsert(ctx, points)
	})
	return rounded(time.Since(start).Seconds(), 3), err
}
