package index_test

import (
	"context"
	"fmt"
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
		{"coder", index.EngineCoder, "", 0.2},
	} {
		t.Run(e.name, func(t *testing.T) {
			indextest.Run(t, indextest.Engine{Recall: e.recall, New: func(t testing.TB, o index.Options) index.Index {
				o.Engine, o.Quantization = e.engine, e.quantization
				ix, err := index.New(o)
				if err != nil {
					t.Fatal(err)
				}
				return ix
			}})
		})
	}
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
