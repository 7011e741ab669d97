package train

import (
	"testing"

	"github.com/akin-search/akin/encoder"
)

// TestAround takes white pictures with a black middle and one black corner: what surrounds them is white.
func TestAround(t *testing.T) {
	p := encoder.Preprocessing{Size: encoder.Size{Height: 4, Width: 3, Channels: 2}, Mean: []float32{0.5, 0}, Deviation: []float32{0.25, 1}}
	f := encoder.Features{Data: make([]float32, 24)}
	for i := range f.Data {
		f.Data[i] = 1 - 0.5*float32(i%2) // channel 0 is 1, channel 1 is 0.5
	}
	for _, pixel := range []int{0, 4, 7} { // the corner, and both pixels of the middle
		f.Data[2*pixel], f.Data[2*pixel+1] = 0, 0
	}
	if got := around(p, []encoder.Features{f}); got[0] != 2 || got[1] != 0.5 {
		t.Errorf("around is %v, want 2 and 0.5", got)
	}
}
