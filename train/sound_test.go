package train

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/akin-search/akin/encoder"
)

// chirp is a WAV of 16 bits, 8 kHz: a sine whose frequency goes from one to another, with a little noise, between silences.
func chirp(from, to, seconds float64, rng *rand.Rand) []byte {
	const rate = 8000
	n := int(seconds * rate)
	le := binary.LittleEndian
	b := append([]byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00"), le.AppendUint32(nil, rate)...)
	b = append(le.AppendUint32(b, 2*rate), 2, 0, 16, 0, 'd', 'a', 't', 'a')
	b = le.AppendUint32(b, uint32(2*n))
	phase := 2 * math.Pi * rng.Float64()
	for i := range n {
		at := float64(i) / float64(n)
		phase += 2 * math.Pi * (from + (to-from)*at) / rate
		v := math.Sin(math.Pi*at)*math.Sin(phase) + 0.02*rng.NormFloat64()
		b = le.AppendUint16(b, uint16(int16(8000*v)))
	}
	return b
}

// chirps is a data set of rising, falling and steady tones.
func chirps(n int, seed uint64) Dataset {
	d := Dataset{Classes: []string{"fall", "rise", "steady"}}
	rng := rand.New(rand.NewPCG(seed, 1))
	for label := range d.Classes {
		for i := range n {
			low := 500 + 300*rng.Float64()
			high := low * (2 + rng.Float64())
			ends := [][2]float64{{high, low}, {low, high}, {low, low}}[label]
			d.IDs = append(d.IDs, fmt.Sprintf("%s/%03d.wav", d.Classes[label], i))
			d.Raw = append(d.Raw, chirp(ends[0], ends[1], 0.3+0.2*rng.Float64(), rng))
			d.Labels = append(d.Labels, label)
		}
	}
	return d
}

// TestSoundsTrain: tones that rise, fall or stay are told apart after a short training, the modality is found in the data, and the model
// is the same when it is trained again.
func TestSoundsTrain(t *testing.T) {
	data, held := chirps(24, 1), chirps(10, 2)
	o := Options{Epochs: 12, Batch: 24, Dimension: 16, Seed: 3}
	var chosen Options
	o.Begin = func(c Options) { chosen = c }
	m, err := Run(t.Context(), data, held, o)
	if err != nil {
		t.Fatal(err)
	}
	if chosen.Modality != encoder.ModalityAudio || chosen.Augmentation.String() != "sounds" || m.Preprocessing.Modality != encoder.ModalityAudio {
		t.Errorf("chose modality %q, augmentation %v; the model is for %q", chosen.Modality, chosen.Augmentation, m.Preprocessing.Modality)
	}
	if in := m.Network.Input; in.Height != 40 || in.Width%8 != 0 || in.Width < 40 || in.Width > 56 { // sounds of 0.3 to 0.5 s
		t.Errorf("the network takes %+v", in)
	}
	e, err := encoder.NewEncoder(m, "test", 1)
	if err != nil {
		t.Fatal(err)
	}
	base, err := e.Encode(t.Context(), data.Raw...)
	if err != nil {
		t.Fatal(err)
	}
	queries, err := e.Encode(t.Context(), held.Raw...)
	if err != nil {
		t.Fatal(err)
	}
	right := 0
	for i, q := range queries {
		best, at := float32(-2), 0
		for j, b := range base {
			if s := dotOf(q, b); s > best {
				best, at = s, j
			}
		}
		if data.Labels[at] == held.Labels[i] {
			right++
		}
	}
	if right < 27 {
		t.Errorf("the nearest of %d of 30 sounds is of its class, want 27 or more", right)
	}
	o.Epochs = 1
	var first []byte
	for range 2 {
		m, err := Run(t.Context(), data, held, o)
		if err != nil {
			t.Fatal(err)
		}
		b, err := m.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = b
		} else if !bytes.Equal(first, b) {
			t.Error("two equal trainings make two models")
		}
	}
}

func dotOf(a, b []float32) (sum float32) {
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

// TestSoundOptions: what is for pictures is refused for sounds, and the other way round.
func TestSoundOptions(t *testing.T) {
	digits, sounds := Digits(), Sounds()
	for name, c := range map[string]struct {
		o    Options
		says string
	}{
		"size": {Options{Size: 32}, "size 32"}, "variants": {Options{Variants: VariantsTurned}, "variants turned"}, "robust": {Options{Robust: DefaultRobust()}, "robust"},
		"augmentation": {Options{Augmentation: &digits}, "augmentation digits is not for sounds"}, "modality": {Options{Modality: "smell"}, `modality "smell"`},
		"voices and one class": {Options{Loss: "one-class", Voices: new(true)}, "voices with loss one-class"},
		"too much":             {Options{Augmentation: &Augmentation{Sound: Sound{Warp: 0.6}}}, "sound.warp"},
	} {
		if _, err := Run(t.Context(), chirps(4, 1), Dataset{}, c.o); !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want ErrOptions with %q", name, err, c.says)
		}
	}
	if _, err := Run(t.Context(), stripes(40, 1), Dataset{}, Options{Augmentation: &sounds}); !errors.Is(err, ErrOptions) {
		t.Errorf("sounds' augmentation for pictures: %v, want ErrOptions", err)
	}
	if _, err := Run(t.Context(), chirps(4, 1), Dataset{}, Options{Modality: encoder.ModalityImage}); !errors.Is(err, ErrDataset) {
		t.Errorf("sounds taken for pictures: %v, want ErrDataset", err)
	}
}

// TestSoundViews: without amounts a view is a crop; each part changes what it says and nothing else.
func TestSoundViews(t *testing.T) {
	const mels, width, frames = 40, 48, 100
	p := encoder.Preprocessing{Modality: encoder.ModalityAudio, Size: encoder.Size{Height: mels, Width: width, Channels: 1}, Mean: []float32{-2}, Deviation: []float32{3}}
	rng := rand.New(rand.NewPCG(1, 2))
	src := make([]float32, mels*frames)
	for i := range src {
		src[i] = float32(i%frames) + 1000*float32(i/frames) // tells frame and mel
	}
	view := func(s Sound, src []float32) []float32 {
		out := make([]float32, mels*width)
		newSoundViewer(s, p).Apply(out, src, rng)
		return out
	}
	places := map[int]bool{}
	for range 50 {
		v := view(Sound{}, src)
		at := v[0]
		for i, x := range v {
			if want := at + float32(i%width) + 1000*float32(i/width); math.Abs(float64(x-want)) > 1e-2 {
				t.Fatalf("value %d of a crop is %g, want %g", i, x, want)
			}
		}
		if at < 0 || at > frames-width {
			t.Fatalf("a crop begins at frame %g of %d", at, frames)
		}
		places[int(at)/10] = true
	}
	if len(places) < 4 {
		t.Errorf("50 crops begin in %d tenths of the sound", len(places))
	}
	silence := p.Background()[0]
	short := slices.Repeat([]float32{5}, mels*10)
	for i, x := range view(Sound{}, short) {
		if x < silence-1e-4 || x > 5 {
			t.Fatalf("value %d of a short sound's view is %g, want silence %g to 5", i, x, silence)
		}
	}
	flat := slices.Repeat([]float32{1}, mels*frames)
	for range 20 {
		masked := view(Sound{TimeMask: 0.2, FrequencyMask: 0.2}, flat)
		blotted := 0
		for i, x := range masked {
			if x != 0 && x != 1 {
				t.Fatalf("value %d is %g behind masks, want 0 or 1", i, x)
			}
			if x == 0 {
				blotted++
			}
		}
		if most := 1 - (1-2*0.2)*(1-2*0.2); float64(blotted) > most*mels*width {
			t.Errorf("masks blot out %d of %d values, at most %.2f of them", blotted, mels*width, most)
		}
		louder := view(Sound{Gain: 6}, flat)
		step := float64(louder[0]-1) * 3 / math.Ln10 * 10 // dB
		if math.Abs(step) > 6 || slices.Max(louder)-slices.Min(louder) > 1e-5 {
			t.Errorf("gain of up to 6 dB adds %g dB, from %g to %g", step, slices.Min(louder), slices.Max(louder))
		}
		quiet := view(Sound{Noise: 1}, slices.Repeat([]float32{silence}, mels*frames))
		if slices.Min(quiet) < silence-1e-4 || slices.Max(quiet) <= silence {
			t.Errorf("noise over silence %g lies between %g and %g", silence, slices.Min(quiet), slices.Max(quiet))
		}
	}
	warped := view(Sound{Warp: 0.1}, src)
	pitch := float64(warped[20*width]-warped[0]) / 20000
	if pitch < 0.9-1e-3 || pitch > 1.1+1e-3 || math.Abs(pitch-1) < 1e-6 {
		t.Errorf("a warp of up to 0.1 takes mel 20 from mel %g", 20*pitch)
	}
}

// TestFolderOfSounds: sounds are taken beside pictures, by what the bytes are.
func TestFolderOfSounds(t *testing.T) {
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 1))
	sound := chirp(500, 700, 0.1, rng)
	for name, b := range map[string][]byte{"a/1.wav": sound, "a/2.bin": sound, "b/x.wav": []byte("RIFF and no more"), "b/y.wav": []byte("wvpk and no more")} {
		write(t, filepath.Join(dir, filepath.FromSlash(name)), b)
	}
	d, skipped, err := Folder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"a/1.wav", "a/2.bin"}; !slices.Equal(d.IDs, want) || len(skipped) != 2 {
		t.Errorf("took %v, want %v; skipped %v", d.IDs, want, skipped)
	}
	if m, err := modalityOf(d); err != nil || m != encoder.ModalityAudio {
		t.Errorf("a folder of sounds is of modality %s, error %v", m, err)
	}
}
