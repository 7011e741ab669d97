package encoder

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

// thumbModel is a model of pictures of 20×17 pixels and three channels with a thumb of two directions.
func thumbModel(t testing.TB) *Model {
	m := &Model{Network: Default(Size{20, 17, 3}, 4)}
	m.Preprocessing = Preprocessing{Modality: ModalityImage, Size: m.Network.Input, Mean: []float32{0.4, 0.5, 0.6}, Deviation: []float32{0.2, 0.3, 0.2}}
	rng := rand.New(rand.NewPCG(3, 4))
	var err error
	if m.Weights, err = m.Network.Initialize(rng); err != nil {
		t.Fatal(err)
	}
	draw := func() []float32 {
		v := make([]float32, 8*8*3)
		for i := range v {
			v[i] = rng.Float32() - 0.5
		}
		return v
	}
	m.Thumb = &Thumb{Mean: draw(), Directions: [][]float32{draw(), draw()}, Constant: 3}
	return m
}

// TestThumb: an embedding is what the network makes, the picture's cells along the directions and the constant, all of it of unit length; and the file keeps it.
func TestThumb(t *testing.T) {
	m := thumbModel(t)
	b, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var back Model
	if err := back.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 7))
	f := Features{Data: make([]float32, 20*17*3), Shape: []int{20, 17, 3}}
	for i := range f.Data {
		f.Data[i] = rng.Float32() - 0.5
	}
	embed := func(m *Model) []float32 {
		e, err := NewEncoder(m, "", 1)
		if err != nil {
			t.Fatal(err)
		}
		v, err := e.EncodeFeatures(t.Context(), []Features{f, f})
		if err != nil || len(v[0]) != e.Dimension() || v[0][0] != v[1][0] {
			t.Fatalf("%d components of %d, %v", len(v[0]), e.Dimension(), err)
		}
		return v[1]
	}
	got, again := embed(m), embed(&back)
	thumb := m.Thumb
	m.Thumb = nil
	want := make([]float64, 0, 7)
	for _, v := range embed(m) {
		want = append(want, float64(v))
	}
	cell := func(i, j, c int) (mean float64) {
		var n float64
		for y := i * 20 / 8; y < (i+1)*20/8; y++ {
			for x := j * 17 / 8; x < (j+1)*17/8; x++ {
				mean += float64(f.Data[(y*17+x)*3+c])
				n++
			}
		}
		return mean / n
	}
	var light float64
	for k := range thumb.Mean {
		light += cell(k/24, k/3%8, k%3) / float64(len(thumb.Mean))
	}
	for _, d := range thumb.Directions {
		var sum float64
		for k, w := range d {
			sum += float64(w) * (cell(k/24, k/3%8, k%3) - light - float64(thumb.Mean[k]))
		}
		want = append(want, sum)
	}
	want = append(want, 3)
	var length float64
	for _, v := range want {
		length += v * v
	}
	for i, v := range want {
		if math.Abs(float64(got[i])-v/math.Sqrt(length)) > 1e-5 || got[i] != again[i] {
			t.Errorf("component %d: %g and from the file %g, want %g", i, got[i], again[i], v/math.Sqrt(length))
		}
	}
	if n := len((Size{3, 20, 1}).Cells(make([]float32, 60))); n != 3*8 {
		t.Errorf("%d cells of three rows, want 24", n)
	}
	for name, spoil := range map[string]func(*Model){
		"sounds":       func(m *Model) { m.Preprocessing.Modality = ModalityAudio },
		"mean":         func(m *Model) { m.Thumb.Mean = m.Thumb.Mean[1:] },
		"no direction": func(m *Model) { m.Thumb.Directions = nil },
		"direction":    func(m *Model) { m.Thumb.Directions[1] = m.Thumb.Directions[1][1:] },
		"NaN":          func(m *Model) { m.Thumb.Directions[0][5] = float32(math.NaN()) },
		"constant":     func(m *Model) { m.Thumb.Constant = 0 },
		"too many":     func(m *Model) { m.Thumb.Directions = make([][]float32, MaxDimension) },
	} {
		m := thumbModel(t)
		spoil(m)
		if err := m.Validate(); !errors.Is(err, ErrSpec) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
