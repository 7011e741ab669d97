package train

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/akin-search/akin/encoder"
)

// TestThumbOfOneClass: pictures of one class get principal components beside what is learned, in which neighbours are half as far apart as in embeddings; those that are
// all alike get none, and neither do pictures of several classes.
func TestThumbOfOneClass(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	size := encoder.Size{Height: 12, Width: 12, Channels: 1}
	network := encoder.Default(size, 8)
	weights, err := network.Initialize(rng)
	if err != nil {
		t.Fatal(err)
	}
	r := &run{modality: pictures, pre: encoder.Preprocessing{Modality: encoder.ModalityImage, Size: size, Mean: []float32{0}, Deviation: []float32{1}}}
	r.Network, r.Threads = network, 1
	for range 40 {
		f := encoder.Features{Data: make([]float32, 144), Shape: []int{12, 12, 1}}
		a, b := rng.NormFloat64(), rng.NormFloat64()
		for i := range f.Data { // two patterns, the second weaker, and a little noise
			f.Data[i] = float32(3*a*float64(i%12)/12 + b*float64(i/12)/12 + 0.1*rng.NormFloat64())
		}
		r.features = append(r.features, f)
	}
	thumb, err := r.thumb(t.Context(), weights)
	if err != nil || thumb == nil || len(thumb.Directions) != thumbDirections {
		t.Fatalf("%+v, %v", thumb, err)
	}
	dot := func(a, b []float32) (sum float64) {
		for i, v := range a {
			sum += float64(v) * float64(b[i])
		}
		return sum
	}
	scale := dot(thumb.Directions[0], thumb.Directions[0])
	for i, a := range thumb.Directions {
		for j, b := range thumb.Directions {
			if want := map[bool]float64{true: scale}[i == j]; math.Abs(dot(a, b)-want) > 1e-4*scale {
				t.Fatalf("directions %d and %d: product %g, want %g", i, j, dot(a, b), want)
			}
		}
	}
	var pattern, square float64
	for i, w := range thumb.Directions[0] {
		pattern += float64(w) * (float64(i%8) - 3.5)
		square += (float64(i%8) - 3.5) * (float64(i%8) - 3.5)
	}
	if cos := math.Abs(pattern) / math.Sqrt(square*scale); cos < 0.95 {
		t.Errorf("the first direction has a cosine of %.3f with the stronger pattern", cos)
	}
	e, err := r.encoder(weights)
	if err != nil {
		t.Fatal(err)
	}
	learned, err := e.EncodeFeatures(t.Context(), r.features)
	if err != nil {
		t.Fatal(err)
	}
	parts := make([][]float32, len(r.features))
	for i, f := range r.features {
		cells := size.Cells(f.Data)
		for j := range cells {
			cells[j] -= thumb.Mean[j]
		}
		for _, d := range thumb.Directions {
			parts[i] = append(parts[i], float32(dot(d, cells)))
		}
	}
	naive := func(rows [][]float32) float64 {
		var all []float64
		for i, a := range rows {
			var d []float64
			for j, b := range rows {
				if i != j {
					var sum float64
					for k := range a {
						sum += float64(a[k]-b[k]) * float64(a[k]-b[k])
					}
					d = append(d, math.Sqrt(sum))
				}
			}
			slices.Sort(d)
			all = append(all, (d[0]+d[1]+d[2]+d[3]+d[4])/5)
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	if got := naive(parts) / naive(learned); math.Abs(got-thumbWeight) > 0.01 {
		t.Errorf("neighbours are %.3f times as far apart as in embeddings, want %g", got, thumbWeight)
	}
	r.features = slices.Repeat(r.features[:1], 5)
	if thumb, err := r.thumb(t.Context(), weights); thumb != nil || err != nil {
		t.Errorf("pictures that are all alike: %+v, %v", thumb, err)
	}
}
