package encoder

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

// TestJoin: a joined network makes what its parts make, one after the other.
func TestJoin(t *testing.T) {
	pre := Preprocessing{Modality: ModalityAudio, Size: Size{Height: 8, Width: 24, Channels: 1}, Mean: []float32{0}, Deviation: []float32{1}}
	small := Size{Height: 8, Width: 24, Channels: 1}
	pictures := Network{Input: small, Layers: []Layer{{Kind: KindConv, Filters: 3, Kernel: 3, ReLU: true, Pool: true}, {Kind: KindConv, Filters: 5, Kernel: 3, Norm: true},
		{Kind: KindLinear, Units: 7, ReLU: true}, {Kind: KindLinear, Units: 4}, {Kind: KindNormalize}}}
	for name, n := range map[string]Network{"voices": ForVoices(small, 4, 6), "sounds": ForSounds(small, 4), "pictures": pictures} {
		rng := rand.New(rand.NewPCG(1, 2))
		var parts [][][]float32
		for range 3 {
			w, err := n.Initialize(rng)
			if err != nil {
				t.Fatal(err)
			}
			for _, of := range w {
				for i := range of {
					of[i] += float32(0.1 * rng.Float64()) // biases and means too; variances stay above 0
				}
			}
			parts = append(parts, w)
		}
		item := Features{Data: make([]float32, 8*24), Shape: []int{8, 24, 1}} // one crop
		for i := range item.Data {
			item.Data[i] = float32(rng.NormFloat64())
		}
		embedding := func(n Network, w [][]float32) []float32 {
			e, err := NewEncoder(&Model{Network: n, Preprocessing: pre, Weights: w}, "", 1)
			if err != nil {
				t.Fatal(err)
			}
			out, err := e.EncodeFeatures(t.Context(), []Features{item})
			if err != nil {
				t.Fatal(err)
			}
			return out[0]
		}
		joined, weights, err := n.Join(parts...)
		if err != nil {
			t.Fatal(err)
		}
		got := embedding(joined, weights)
		if len(got) != 3*4 {
			t.Fatalf("%s: %d components, want 12", name, len(got))
		}
		for m, w := range parts {
			want, own := embedding(n, w), got[4*m:4*m+4]
			length := 0.0
			for _, v := range own {
				length += float64(v) * float64(v)
			}
			for i, v := range own {
				if math.Abs(float64(v)/math.Sqrt(length)-float64(want[i])) > 1e-5 {
					t.Errorf("%s: part %d is %v, want %v but for its length", name, m, own, want)
					break
				}
			}
		}
	}
	n := Network{Input: small, Layers: []Layer{{Kind: KindResidual, Filters: 4}, {Kind: KindGlobalPool}, {Kind: KindNormalize}}}
	w, err := n.Initialize(rand.New(rand.NewPCG(1, 1)))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := n.Join(w, w); !errors.Is(err, ErrSpec) {
		t.Errorf("residual blocks: error %v, want %v", err, ErrSpec)
	}
	if _, _, err := pictures.Join(w); !errors.Is(err, ErrSpec) {
		t.Errorf("weights of another network: error %v, want %v", err, ErrSpec)
	}
}
