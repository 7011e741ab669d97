package train

import (
	"math/rand/v2"
	"testing"

	"github.com/akin-search/akin/encoder"
)

// TestShiftAloneKeepsPicturesSharp shifts one bright pixel: it stays one pixel.
func TestShiftAloneKeepsPicturesSharp(t *testing.T) {
	p := encoder.Preprocessing{Size: encoder.Size{Height: 9, Width: 9, Channels: 1}, Mean: []float32{0}, Deviation: []float32{1}}
	g := NewAugmenter(Augmentation{Shift: 0.3}, p)
	src, dst := make([]float32, 81), make([]float32, 81)
	src[40] = 1
	rng := rand.New(rand.NewPCG(1, 1))
	places := map[int]bool{}
	for range 200 {
		g.Apply(dst, src, rng)
		for i, v := range dst {
			if v == 1 {
				places[i] = true
			} else if v != 0 {
				t.Fatalf("pixel %d is %v: neither dark nor bright", i, v)
			}
		}
	}
	if len(places) < 40 || len(places) > 49 { // 3 pixels each way at most
		t.Errorf("the pixel was at %d places, want nearly 49", len(places))
	}
}
