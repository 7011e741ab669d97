package index_test

import (
	"testing"

	"github.com/akin-search/akin/index"
	"github.com/akin-search/akin/index/indextest"
)

func TestEngines(t *testing.T) {
	for engine, recall := range map[index.Engine]float64{
		index.EngineFlat:  1,
		index.EngineGraph: 0.99,
		index.EngineCoder: 0.2,
	} {
		t.Run(string(engine), func(t *testing.T) {
			indextest.Run(t, indextest.Engine{Recall: recall, New: func(t testing.TB, o index.Options) index.Index {
				o.Engine = engine
				ix, err := index.New(o)
				if err != nil {
					t.Fatal(err)
				}
				return ix
			}})
		})
	}
}
