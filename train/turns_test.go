package train

import (
	"slices"
	"testing"

	"github.com/akin-search/akin/encoder"
)

func TestTurn(t *testing.T) {
	// 1 2   3 1   4 3   2 4
	// 3 4   4 2   2 1   1 3, the second channel being ten times the first
	pictures := [][]float32{{1, 10, 2, 20, 3, 30, 4, 40}, {3, 30, 1, 10, 4, 40, 2, 20}, {4, 40, 3, 30, 2, 20, 1, 10}, {2, 20, 4, 40, 1, 10, 3, 30}}
	for q, want := range pictures {
		got := make([]float32, 8)
		turn(got, pictures[0], encoder.Size{Height: 2, Width: 2, Channels: 2}, q)
		if !slices.Equal(got, want) {
			t.Errorf("%d quarters: %v, want %v", q, got, want)
		}
	}
}

func TestTurnedDataset(t *testing.T) {
	d := Dataset{IDs: []string{"a", "b", "c"}, Raw: [][]byte{{1}, {2}, {3}}, Labels: []int{1, Unlabelled, 0}, Classes: []string{"x", "y"}}
	got := d.turned()
	if err := got.Validate(); err != nil {
		t.Fatal(err)
	}
	if want := []int{1, Unlabelled, 0, 3, Unlabelled, 2, 5, Unlabelled, 4, 7, Unlabelled, 6}; !slices.Equal(got.Labels, want) {
		t.Errorf("labels %v, want %v", got.Labels, want)
	}
	if got.Label(3) != "y@90" || got.IDs[11] != "c@270" || got.Raw[11][0] != 3 {
		t.Errorf("%+v", got)
	}
	r := run{copier: quarters(encoder.Size{Height: 2, Width: 2, Channels: 1}), features: []encoder.Features{{Data: []float32{1, 2, 3, 4}}, {Data: []float32{5, 6, 7, 8}}}}
	if p, _ := r.item(5, nil, nil); !slices.Equal(p, []float32{8, 7, 6, 5}) {
		t.Errorf("item 5, picture 1 by two quarters: %v", p)
	}
	if p, _ := r.item(1, nil, nil); !slices.Equal(p, []float32{5, 6, 7, 8}) {
		t.Errorf("item 1: %v", p)
	}
}
