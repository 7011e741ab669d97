package encoder

import (
	"errors"
	"math"
	"math/cmplx"
	"math/rand/v2"
	"slices"
	"strings"
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

// kaldiMels are the features of the sound of TestKaldi by another program: kaldi-native-fbank 1.23.0, the filter banks of Kaldi, with a Hamming window of
// 25 ms every 10 ms, 40 bins from 20 to 8000 Hz, no pre-emphasis, no dither and the mean left in; ln(power/Σ window² + 1e-4) of its powers.
var kaldiMels = [2][]float64{
	{-6.27503, -6.15131, -5.09755, -3.2713, -1.67947, -0.33949, 0.65854, 1.36183, 1.61676, 1.59428, 0.99721, -0.10624, -2.13038, -5.0239, -7.07472, -7.77579, -8.17116, -8.45247, -8.64052, -8.76763, -8.84818, -8.90082, -8.92712, -8.91946, -8.86665, -8.7451, -8.40491, 0.00501, -1.29152, -8.84219, -9.05839, -9.13055, -9.16089, -9.17588, -9.18479, -9.18982, -9.19312, -9.19512, -9.19618, -9.19655},
	{-7.7308, -8.18333, -8.00155, -7.43009, -7.79123, -6.86374, -6.24369, -3.99517, -1.88952, -0.04577, 1.08092, 1.72689, 1.81902, 1.27538, -0.04494, -2.63049, -5.85714, -7.32474, -7.83991, -8.17782, -8.38646, -8.53051, -8.62777, -8.66673, -8.61991, -8.54948, -8.22658, 0.00498, -1.29185, -8.87552, -9.05329, -9.10624, -9.12728, -9.13631, -9.1432, -9.14545, -9.1478, -9.14848, -9.14752, -9.14663},
}

// TestKaldi: 35 ms of a rising tone over a steady one.
func TestKaldi(t *testing.T) {
	samples := make([]float32, soundFrame+SoundHop)
	for i := range samples {
		at := float64(i)
		samples[i] = float32(0.4*math.Sin(2*math.Pi*(200+0.9*at)*at/SoundRate) + 0.1*math.Sin(2*math.Pi*3300*at/SoundRate))
	}
	got := newSpectrograph(DefaultMels).logMel(samples, 1)
	for frame, row := range kaldiMels {
		for m, want := range row {
			if v := float64(got[m*len(kaldiMels)+frame]); math.Abs(v-want) > 5e-5 {
				t.Errorf("filter %d of frame %d is %.5f, Kaldi's %.5f", m, frame, v, want)
			}
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
	for _, c := range []struct {
		samples []float64
		says    string // "" is good
	}{
		{make([]float64, 16000), "without anything to hear"}, {slices.Repeat([]float64{0.25}, 16000), "without anything to hear"},
		{[]float64{0.5}, "a sound of 6.3e-05 s: at least 0.025"}, {tone(440, 16000)[:399], "at least 0.025"}, {tone(440, 16000)[:400], ""},
	} {
		f, err := d.Decode(wavOf(wavPCM, 1, 16000, 16, false, c.samples))
		if c.says == "" && (err != nil || f.Shape[1] != 1) || c.says != "" && (!errors.Is(err, ErrInput) || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%d samples: shape %v, %v; want %q", len(c.samples), f.Shape, err, c.says)
		}
	}
}

// TestWholeStatistics: where statistics are of the whole, a sound is embedded as by a network whose input is as long as the sound.
func TestWholeStatistics(t *testing.T) {
	const mels, width = 12, 16
	rng := rand.New(rand.NewPCG(7, 8))
	network := func(width int) Network {
		return Network{Input: Size{mels, width, 1}, Layers: []Layer{{Kind: KindConv, Filters: 2, Kernel: 3, ReLU: true}, {Kind: KindBands}, {Kind: KindConv, Filters: 5, Kernel: 5, Line: true, Norm: true, ReLU: true},
			{Kind: KindStatistics, Whole: true}, {Kind: KindLinear, Units: 6}, {Kind: KindNormalize}}}
	}
	weights, err := network(width).Initialize(rng)
	if err != nil {
		t.Fatal(err)
	}
	encoder := func(width int) *Encoder {
		e, err := NewEncoder(&Model{Network: network(width), Preprocessing: soundPreprocessing(mels, width), Weights: weights}, "", 1)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	embed := func(e *Encoder, f ...Features) [][]float32 {
		rows, err := e.EncodeFeatures(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	sound := func(frames int) Features {
		f := Features{Data: make([]float32, mels*frames), Shape: []int{mels, frames, 1}}
		for i := range f.Data {
			f.Data[i] = float32(rng.NormFloat64())
		}
		return f
	}
	e := encoder(width)
	for _, frames := range []int{width, width + 1, 26, 27, 40, 100, width + 150} { // the last take 16 crops
		f := sound(frames)
		got, want := embed(e, f)[0], embed(encoder(frames), f)[0]
		for i, v := range got {
			if math.Abs(float64(v-want[i])) > 1e-5 {
				t.Errorf("%d frames: component %d is %g, want %g", frames, i, v, want[i])
			}
		}
		if company := embed(e, sound(500), f, sound(3)); !slices.Equal(company[1], got) {
			t.Errorf("%d frames: %v in company, %v alone", frames, company[1], got)
		}
	}
	pre := soundPreprocessing(mels, width)
	for _, frames := range []int{1, 15, 16, 17, 60, 166, 400, 10_000} {
		counted, end := 0, 0
		for i, s := range pre.spans(frames, 3) {
			first, last := s.at+s.from, s.at+s.to
			if s.from < 0 || s.to > width || first < end || last > frames || i > 0 && s.from < 3 || last < frames && s.to > width-3 {
				t.Errorf("%d frames: span %d is %+v", frames, i, s)
			}
			counted, end = counted+s.to-s.from, last
		}
		if end != frames || counted != min(frames, 2*3+maxCrops*(width-6)) {
			t.Errorf("%d frames: %d are counted, the last is %d", frames, counted, end)
		}
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
