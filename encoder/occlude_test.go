package encoder

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestOcclude: the stretches follow each other over what is left of a sound without its quiet ends, in its own seconds, and each changes the
// embedding; a model of pictures and a broken sound are refused.
func TestOcclude(t *testing.T) {
	n := ForVoices(Size{16, 32, 1}, 8, 128)
	weights, err := n.Initialize(rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	e, err := NewEncoder(&Model{Network: n, Preprocessing: soundPreprocessing(16, 32), Weights: weights}, "test", 1)
	if err != nil {
		t.Fatal(err)
	}
	sound := append(make([]float64, 4000), tone(440, 8000)...) // half a second of silence, and a second of a tone
	raw := wavOf(wavPCM, 1, 8000, 16, false, append(sound, make([]float64, 2000)...))
	whole, err := e.Encode(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	out, err := e.Occlude(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 8 || len(out) > maxStretches || math.Abs(out[0].From-0.4) > 0.02 || math.Abs(out[len(out)-1].To-1.6) > 0.05 {
		t.Errorf("%d stretches from %.3f to %.3f s, want 0.4 to 1.6", len(out), out[0].From, out[len(out)-1].To)
	}
	for i, o := range out {
		if i > 0 && o.From != out[i-1].To || o.To-o.From < 0.05 {
			t.Errorf("stretch %d goes from %.3f to %.3f", i, o.From, o.To)
		}
		if slices.Equal(o.Vector, whole[0]) || len(o.Vector) != 8 {
			t.Errorf("stretch %d: %v", i, o.Vector)
		}
	}
	if short, err := e.Occlude(t.Context(), wavOf(wavPCM, 1, 8000, 16, false, tone(440, 8000)[:400])); err != nil || len(short) != 1 {
		t.Errorf("a twentieth of a second has %d stretches, %v", len(short), err)
	}
	if _, err := e.Occlude(t.Context(), []byte("RIFF")); !errors.Is(err, ErrInput) {
		t.Errorf("a broken sound: %v", err)
	}
	p := Default(Size{8, 8, 1}, 4)
	if weights, err = p.Initialize(rand.New(rand.NewPCG(1, 2))); err != nil {
		t.Fatal(err)
	}
	pictures, err := NewEncoder(&Model{Network: p, Preprocessing: Preprocessing{Modality: ModalityImage, Size: p.Input, Mean: []float32{0}, Deviation: []float32{1}}, Weights: weights}, "test", 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pictures.Occlude(t.Context(), raw); !errors.Is(err, ErrInput) {
		t.Errorf("a model of pictures: %v", err)
	}
}
