package benchmarks

import (
	"context"
	"errors"
	"os"

	"github.com/akin-search/akin/index"
)

// stored is a collection in a directory of its own, as an index: what keeps its vectors on disk is nothing without one.
type stored struct {
	*index.Collection
	store *index.Store
	dir   string
}

func newStored(o index.Options) (*stored, error) {
	return storedOf(index.Config{Dimension: o.Dimension, Metric: o.Metric, Engine: o.Engine, Seed: o.Seed, Quantization: o.Quantization}, index.StoreOptions{Threads: o.Threads})
}

// storedOf returns an empty collection.
func storedOf(c index.Config, o index.StoreOptions) (*stored, error) {
	dir, err := os.MkdirTemp("", "akin-bench-")
	if err != nil {
		return nil, err
	}
	s := &stored{dir: dir}
	if s.store, err = index.Open(dir, o); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	s.Collection, err = s.store.Create("bench", c)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *stored) Upsert(ids []string, vectors [][]float32) error {
	points := make([]index.Point, len(ids))
	for i, id := range ids {
		points[i] = index.Point{ID: id, Vector: vectors[i]}
	}
	return s.Collection.Upsert(context.Background(), points)
}

func (s *stored) Delete(ids []string) error { return s.Collection.Delete(context.Background(), ids) }

// Close deletes the directory.
func (s *stored) Close() error { return errors.Join(s.store.Close(), os.RemoveAll(s.dir)) }
