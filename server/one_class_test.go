package server

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/akin-search/akin/index"
)

// TestSearchFindsWhatTheVerdictNeeds: a collection of many points of one class is judged by more neighbours than are asked for, in the one search that is made; the answer has as many
// points as were asked for.
func TestSearchFindsWhatTheVerdictNeeds(t *testing.T) {
	ts := start(t, nil)
	col, err := ts.store.Create("one", index.Config{Dimension: 4, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(2, 9))
	draw := func(name string, n int) (points []index.Point) {
		for i := range n {
			v := make([]float32, 4)
			for j := range v {
				v[j] = float32(rng.NormFloat64())
			}
			points = append(points, index.Point{ID: fmt.Sprintf("%s%d", name, i), Vector: v, Label: "a"})
		}
		return points
	}
	if err := errors.Join(col.Upsert(t.Context(), draw("p", 2600)), col.SetAside(t.Context(), index.RoleCalibration, draw("held", 40)), col.Calibrate(t.Context())); err != nil {
		t.Fatal(err)
	}
	if n := col.Detector().Neighbors(); n != 10 {
		t.Fatalf("%d neighbours, want 10", n)
	}
	var want struct{ Score float64 }
	ts.ok("POST", "/collections/one/anomaly", `{"vector":[1,2,0.5,-1]}`, &want)
	for body, points := range map[string]int{`{"query":[1,2,0.5,-1],"limit":3}`: 3, `{"query":[1,2,0.5,-1],"limit":30,"offset":2}`: 30, `{"query":[1,2,0.5,-1],"limit":3,"filter":{"must":[{"key":"@label","match":{"value":"a"}}]}}`: 3,
		`{"query":[1,2,0.5,-1],"limit":4,"params":{"recall_target":0.9}}`: 4} {
		var got struct {
			Points  []struct{ ID string }
			Anomaly struct{ Score float64 }
		}
		ts.ok("POST", "/collections/one/points/query", body, &got)
		if len(got.Points) != points || math.Abs(got.Anomaly.Score-want.Score) > 1e-9 {
			t.Errorf("%s: %d points, score %g, want %d and %g", body, len(got.Points), got.Anomaly.Score, points, want.Score)
		}
	}
	// No more than one search: what the search of an answer makes is what its verdict is of.
	q := searchRequest{limit: 3}
	if query, err := q.query([]float32{1, 2, 0.5, -1}, col.Detector()); err != nil || query.K != 10 {
		t.Errorf("a search for %d, %v, want 10", query.K, err)
	}
	q.id = "p1"
	if query, err := q.query([]float32{1, 2, 0.5, -1}, col.Detector()); err != nil || query.K != 11 {
		t.Errorf("a search for a point for %d, %v, want 11", query.K, err)
	}
}
