package encoder

import (
	"errors"
	"math"
	"math/cmplx"
	"math/rand/v2"
	"slices"
	"testing"
)

func soundPreprocessing(mels, frames int) Preprocessing {
	return Preprocessing{Modality: ModalityAudio, Size: Size{mels, frames, 1}, Mean: []float32{-1}, Deviation: []float32{2}}
}

// TestMel checks the formula and the middles of the filters against values that were worked out apart.
func TestMel(t *testing.T) {
	for hz, want := range map[float64]float64{0: 0, 700: 781.1728, 1000: 999.9855, 8000: 2840.0230} {
		if got := mel(hz); math.Abs(got-want) > 1e-3 {
			t.Errorf("mel(%g) = %g, want %g", hz, got, want)
		}
	}
	filters := melFilters(40)
	for i, hz := range map[int]float64{0: 65.12, 9: 622.15, 19: 1727.89, 29: 3758.37, 39: 7486.99} {
		f := filters[i]
		best := slices.Index(f.weights, slices.Max(f.weights))
		if got := float64(f.first+best) * SoundRate / soundFFT; math.Abs(got-hz) > SoundRate/soundFFT/2+0.01 {
			t.Errorf("filter %d is highest at %g Hz, its middle is %g", i, got, hz)
		}
	}
	for bin := range soundFFT/2 + 1 { // inside, neighbours' weights add up to 1
		hz := float64(bin) * SoundRate / soundFFT
		if hz < 66 || hz > 7400 {
			continue
		}
		sum := 0.0
		for _, f := range filters {
			if i := bin - f.first; i >= 0 && i < len(f.weights) {
				sum += f.weights[i]
			}
		}
		if math.Abs(sum-1) > 1e-9 {
			t.Errorf("the filters weigh %g Hz %g, want 1", hz, sum)
		}
	}
}

// TestLogMel compares with a plain discrete Fourier transform, term by term.
func TestLogMel(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	samples := make([]float32, soundFrame+2*SoundHop+7)
	for i := range samples {
		samples[i] = float32(rng.NormFloat64())
	}
	got := newSpectrograph(10).logMel(samples, 0.5)
	if len(got) != 10*3 {
		t.Fatalf("%d values, want 10 filters of 3 frames", len(got))
	}
	low, high := mel(20), mel(8000)
	step := (high - low) / 11
	for frame := range 3 {
		squares := 0.0
		for n := range soundFrame {
			h := 0.54 - 0.46*math.Cos(2*math.Pi*float64(n)/399)
			squares += h * h
		}
		var power [257]float64
		for k := range power {
			var sum complex128
			for n := range soundFrame {
				h := 0.54 - 0.46*math.Cos(2*math.Pi*float64(n)/399)
				sum += complex(0.5*float64(samples[frame*160+n])*h, 0) * cmplx.Exp(complex(0, -2*math.Pi*float64(k*n)/512))
			}
			power[k] = (real(sum)*real(sum) + imag(sum)*imag(sum)) / squares
		}
		for m := range 10 {
			left, middle, right := low+float64(m)*step, low+float64(m+1)*step, low+float64(m+2)*step
			sum := 1e-4
			for k, p := range power {
				at := mel(31.25 * float64(k))
				if at > left && at <= middle {
					sum += p * (at - left) / (middle - left)
				} else if at > middle && at < right {
					sum += p * (right - at) / (right - middle)
				}
			}
			if v := float64(got[m*3+frame]); math.Abs(v-math.Log(sum)) > 1e-5 {
				t.Errorf("filter %d of frame %d is %g, want %g", m, frame, v, math.Log(sum))
			}
		}
	}
}

// TestSoundFeatures: rate, loudness and silence at the ends do not matter; what is between does.
func TestSoundFeatures(t *testing.T) {
	d, err := soundPreprocessing(40, 32).Decoder()
	if err != nil {
		t.Fatal(err)
	}
	decode := func(rate int, gain, before, after float64) Features {
		var samples []float64
		samples = append(samples, make([]float64, int(before*float64(rate)))...)
		for i, v := range tone(700, rate) {
			samples = append(samples, gain*v*math.Sin(math.Pi*float64(i)/float64(rate)))
		}
		samples = append(samples, make([]float64, int(after*float64(rate)))...)
		f, err := d.Decode(wavOf(wavFloat, 1, rate, 32, false, samples))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	want := decode(16000, 1, 0.5, 0.5)
	if f := want.Shape[1]; f < 90 || f > 120 || want.Shape[0] != 40 {
		t.Fatalf("a second between silences has shape %v", want.Shape)
	}
	peak := 0
	for m := range 40 { // 700 Hz is 781.17 mel: (781.17-31.75)/68.49 = 10.9, so that filter 10 has it
		if want.Data[m*want.Shape[1]+50] > want.Data[peak*want.Shape[1]+50] {
			peak = m
		}
	}
	if peak != 10 {
		t.Errorf("700 Hz is loudest in filter %d, want 10", peak)
	}
	for name, got := range map[string]Features{"quieter": decode(16000, 0.01, 0.5, 0.5), "other silences": decode(16000, 1, 2, 0.7), "48 kHz": decode(48000, 1, 0.5, 0.5)} {
		if !slices.Equal(got.Shape, want.Shape) {
			t.Errorf("%s: shape %v, want %v", name, got.Shape, want.Shape)
			continue
		}
		for i, v := range got.Data {
			if math.Abs(float64(v-want.Data[i])) > 0.02 {
				t.Errorf("%s: feature %d is %g, want %g", name, i, v, want.Data[i])
				break
			}
		}
	}
	if _, err := d.Decode(wavOf(wavPCM, 1, 16000, 16, false, make([]float64, 16000))); !errors.Is(err, ErrInput) {
		t.Errorf("silence: %v, want ErrInput", err)
	}
	if f, err := d.Decode(wavOf(wavPCM, 1, 16000, 16, false, []float64{0.5})); err != nil || f.Shape[1] != 1 {
		t.Errorf("a single sample: shape %v, %v; want one frame", f.Shape, err)
	}
}

// TestSoundsAreSummedUp: the embedding of a sound is the mean of its crops', whatever its length and its company.
func TestSoundsAreSummedUp(t *testing.T) {
	const mels, width = 12, 16
	rng := rand.New(rand.NewPCG(5, 6))
	pre := soundPreprocessing(mels, width)
	n := Default(pre.Size, 6)
	weights, err := n.Initialize(rng)
	if err != nil {
		t.Fatal(err)
	}
	e, err := NewEncoder(&Model{Network: n, Preprocessing: pre, Weights: weights}, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	sound := func(frames int) Features {
		f := Features{Data: make([]float32, mels*frames), Shape: []int{mels, frames, 1}}
		for i := range f.Data {
			f.Data[i] = float32(rng.NormFloat64())
		}
		return f
	}
	embed := func(f ...Features) [][]float32 {
		rows, err := e.EncodeFeatures(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	cut := func(f Features, at int) Features {
		out := Features{Shape: []int{mels, width, 1}}
		for y := range mels {
			for x := at; x < at+width; x++ {
				v := pre.Background()[0]
				if x >= 0 && x < f.Shape[1] {
					v = f.Data[y*f.Shape[1]+x]
				}
				out.Data = append(out.Data, v)
			}
		}
		return out
	}
	for _, c := range []struct {
		frames int
		at     []int
	}{{5, []int{-5}}, {16, []int{0}}, {17, []int{0, 1}}, {40, []int{0, 8, 16, 24}}} {
		f := sound(c.frames)
		mean := make([]float64, 6)
		for _, at := range c.at {
			for i, v := range embed(cut(f, at))[0] {
				mean[i] += float64(v)
			}
		}
		length := 0.0
		for _, v := range mean {
			length += v * v
		}
		got := embed(f)[0]
		for i, v := range got {
			if want := mean[i] / math.Sqrt(length); math.Abs(float64(v)-want) > 1e-5 {
				t.Errorf("%d frames: component %d is %g, want %g", c.frames, i, v, want)
			}
		}
		if company := embed(sound(500), f, sound(3)); !slices.Equal(company[1], got) {
			t.Errorf("%d frames: %v in company, %v alone", c.frames, company[1], got)
		}
	}
	for _, wrong := range []Features{{Shape: []int{mels, 0, 1}}, {Data: make([]float32, 16), Shape: []int{1, 16, 1}}, {Data: make([]float32, 7), Shape: []int{mels, 16, 1}}, {}} {
		if _, err := e.EncodeFeatures(t.Context(), []Features{wrong}); !errors.Is(err, ErrInput) {
			t.Errorf("features of shape %v: %v, want ErrInput", wrong.Shape, err)
		}
	}
}
