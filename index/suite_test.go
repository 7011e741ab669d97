package index_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/akin-search/akin/index"
	"github.com/akin-search/akin/index/indextest"
)

func TestEngines(t *testing.T) {
	for _, e := range []struct {
		name         string
		engine       index.Engine
		quantization index.Quantization
		recall       float64
	}{
		{"flat", index.EngineFlat, "", 1},
		{"graph", index.EngineGraph, index.QuantizationFloat32, 0.99},
		{"graph-int8", index.EngineGraph, index.QuantizationInt8, 0.99},
		// With few components other than zero, neighbours are estimated from the same side again and again: the hardest case.
		{"graph-binary", index.EngineGraph, index.QuantizationBinary, 0.96},
		{"coder", index.EngineCoder, "", 0.2},
	} {
		t.Run(e.name, func(t *testing.T) {
			indextest.Run(t, indextest.Engine{Recall: e.recall, New: func(t testing.TB, o index.Options) index.Index {
				o.Engine, o.Quantization = e.engine, e.quantization
				wide := wide{}
				if o.Quantization == index.QuantizationBinary && o.Dimension < index.MinBinaryDimension {
					wide.zeros = make([]float32, 300)
					o.Dimension += len(wide.zeros)
				}
				ix, err := index.New(o)
				if err != nil {
					t.Fatal(err)
				}
				if wide.zeros != nil {
					wide.Index = ix
					return wide
				}
				return ix
			}})
		})
	}
}

// wide puts zeros behind the vectors of an index, so that vectors of few components have as many as it needs.
type wide struct {
	index.Index
	zeros []float32
}

func (w wide) widen(v []float32) []float32 { return append(slices.Clone(v), w.zeros...) }

func (w wide) Upsert(ids []string, vectors [][]float32) error {
	wide := make([][]float32, len(vectors))
	for i, v := range vectors {
		wide[i] = w.widen(v)
	}
	return w.Index.Upsert(ids, wide)
}

func (w wide) Search(ctx context.Context, q []float32, k int, p index.Params) ([]index.Hit, error) {
	return w.Index.Search(ctx, w.widen(q), k, p)
}

// TestQuantizationOnDisk runs the suite over a collection: only there can vectors stay on disk.
func TestQuantizationOnDisk(t *testing.T) {
	store, err := index.Open(t.TempDir(), index.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	n := 0
	indextest.Run(t, indextest.Engine{Recall: 0.99, New: func(t testing.TB, o index.Options) index.Index {
		n++
		c, err := store.Create(fmt.Sprint("c", n), index.Config{
			Dimension: o.Dimension, Metric: o.Metric, Seed: o.Seed, Quantization: index.QuantizationInt8Disk,
		})
		if err != nil {
			t.Fatal(err)
		}
		return collectionIndex{c}
	}})
}

// collectionIndex is a collection as an Index.
type collectionIndex struct{ *index.Collection }

func (c collectionIndex) Upsert(ids []string, vectors [][]float32) error {
	if len(ids) != len(vectors) {
		return fmt.Errorf("%d ids for %d vectors: %w", len(ids), len(vectors), index.ErrInvalid)
	}
	points := make([]index.Point, len(ids))
	for i, id := range ids {
		points[i] = index.Point{ID: id, Vector: vectors[i]}
	}
	return c.Collection.Upsert(context.Background(), points)
}

func (c collectionIndex) Delete(ids []string) error {
	return c.Collection.Delete(context.Background(), ids)
}
