package train

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
)

func TestPixelVectors(t *testing.T) {
	// 33×34 pixels, averaged by twos to 17×17, two channels; the last row and column have one pixel to average.
	p := encoder.Preprocessing{Modality: encoder.ModalityImage, Size: encoder.Size{Height: 33, Width: 34, Channels: 2}}
	rng := rand.New(rand.NewPCG(1, 5))
	draw := func(n int) (f []encoder.Features) {
		for range n {
			x := encoder.Features{Data: make([]float32, 33*34*2), Shape: []int{33, 34, 2}}
			for i := range x.Data {
				x.Data[i] = rng.Float32()
			}
			f = append(f, x)
		}
		return f
	}
	base, queries := draw(3), draw(1)
	b, q := pixelVectors(p, base, queries)
	if b.Rows != 3 || q.Rows != 1 || b.Cols != 17*17*2 || q.Cols != b.Cols {
		t.Fatalf("%d×%d and %d×%d", b.Rows, b.Cols, q.Rows, q.Cols)
	}
	small := func(f encoder.Features, y, x, c int) float64 {
		sum, n := 0.0, 0.0
		for dy := range 2 {
			for dx := range 2 {
				if 2*y+dy < 33 && 2*x+dx < 34 {
					sum += float64(f.Data[((2*y+dy)*34+2*x+dx)*2+c])
					n++
				}
			}
		}
		return sum / n
	}
	want := make([]float64, b.Cols)
	length := 0.0
	for y := range 17 {
		for x := range 17 {
			for c := range 2 {
				at := (y*17+x)*2 + c
				want[at] = small(queries[0], y, x, c) - (small(base[0], y, x, c)+small(base[1], y, x, c)+small(base[2], y, x, c))/3
				length += want[at] * want[at]
			}
		}
	}
	for i, w := range want {
		if got := float64(q.Row(0)[i]); math.Abs(got-w/math.Sqrt(length)) > 1e-6 {
			t.Fatalf("component %d: %v, want %v", i, got, w/math.Sqrt(length))
		}
	}
}

func TestCepstrumVectors(t *testing.T) {
	// Two filters' powers that do not change have cepstrum c0 = their sum and c1 = (first − second)·cos(π/4), and no deviation.
	p := encoder.Preprocessing{Modality: encoder.ModalityAudio, Size: encoder.Size{Height: 2, Width: 32, Channels: 1}}
	sound := func(a, b []float32) encoder.Features {
		return encoder.Features{Data: append(append([]float32{}, a...), b...), Shape: []int{2, len(a), 1}}
	}
	base := []encoder.Features{sound([]float32{1, 1}, []float32{3, 3}), sound([]float32{2, 4}, []float32{2, 4})}
	b, _ := cepstrumVectors(p, base, base[:1])
	// c0 is 4 and (4+8)/2 = 6, its deviation 0 and 2; c1 −2·cos(π/4) and 0, its deviation 0 and 0. Of two values the standard ones are −1 and 1.
	for i, want := range [][2]float64{{-1, -1}, {1, 1}} {
		row := b.Row(i)
		if dev := float64(row[cepstra]); math.Abs(dot(row, row)-1) > 1e-6 || math.Signbit(float64(row[0])) != (want[0] < 0) || math.Signbit(float64(row[1])) != (want[1] < 0) ||
			math.Abs(math.Abs(dev)-math.Abs(float64(row[0]))) > 1e-4 {
			t.Errorf("row %d: %v", i, row)
		}
	}
}

func TestMeasureBaseline(t *testing.T) {
	d := stripes(200, 1)
	pre, err := inspect(d, "")
	if err != nil {
		t.Fatal(err)
	}
	decoder, err := inUnits(pre).Decoder()
	if err != nil {
		t.Fatal(err)
	}
	_, features, err := Decode(t.Context(), decoder, d, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := MeasureBaseline(t.Context(), pre, features[:150], d.Labels[:150], features[150:], d.Labels[150:], DownstreamOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b, q := pixelVectors(pre, features[:150], features[150:])
	want, err := MeasureDownstream(t.Context(), b, d.Labels[:150], q, d.Labels[150:], DownstreamOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "pixels" || got.KNNAccuracy != want.KNNAccuracy || got.RecallAt1 != want.RecallAt1 || got.MAPAtR != want.MAPAtR || got.NMI != want.NMI ||
		got.AUROC != want.AUROC || got.EER != want.EER || len(got.Intervals) != 6 || got.KNNAccuracy < 0.4 {
		t.Errorf("%+v, want the figures of %+v", got, want)
	}
	for name, i := range got.Intervals {
		if i != want.Intervals[name] {
			t.Errorf("%s: interval %v, want %v", name, i, want.Intervals[name])
		}
	}
	if _, err := MeasureBaseline(t.Context(), pre, features[:1], d.Labels[:1], features[150:], d.Labels[150:], DownstreamOptions{}); !errors.Is(err, ErrEvaluate) {
		t.Errorf("a base of one class: error %v", err)
	}
	m := kernel.NewMatrix(2, 3)
	standard(m, kernel.NewMatrix(0, 3), true)
	if m.Row(0)[0] != 1 || m.Row(1)[0] != 1 {
		t.Errorf("rows without a direction: %v", m.Data)
	}
}
