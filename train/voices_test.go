package train

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
)

// speaker is a WAV of 16 bits, 8 kHz: harmonics of a pitch that wanders, under three formants of the speaker's own, whose loudness wanders too.
func speaker(formants [3]float64, pitch, seconds float64, rng *rand.Rand) []byte {
	const rate = 8000
	n := int(seconds * rate)
	le := binary.LittleEndian
	b := append([]byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00"), le.AppendUint32(nil, rate)...)
	b = append(le.AppendUint32(b, 2*rate), 2, 0, 16, 0, 'd', 'a', 't', 'a')
	b = le.AppendUint32(b, uint32(2*n))
	var loud, turn, phase [3]float64
	for i := range turn {
		turn[i], phase[i] = 2+3*rng.Float64(), 2*math.Pi*rng.Float64()
	}
	var weights [][3]float64 // of each harmonic in each formant
	for h := 1.0; h*pitch < 3600; h++ {
		var w [3]float64
		for j, formant := range formants {
			d := (h*pitch - formant) / 150
			w[j] = 1 / (1 + d*d)
		}
		weights = append(weights, w)
	}
	at := 0.0
	for i := range n {
		t := float64(i) / rate
		at += 2 * math.Pi * pitch * (1 + 0.05*math.Sin(3*t+phase[0])) / rate
		for j := range loud {
			loud[j] = 1 + 0.5*math.Sin(turn[j]*t+phase[j])
		}
		v := 0.02 * rng.NormFloat64()
		for h, w := range weights {
			v += (loud[0]*w[0] + loud[1]*w[1] + loud[2]*w[2]) * math.Sin(float64(h+1)*at)
		}
		b = le.AppendUint16(b, uint16(int16(1500*v)))
	}
	return b
}

// speakers is a data set of so many classes of so many sounds.
func speakers(classes, each int, seconds float64, seed uint64) (d Dataset) {
	rng := rand.New(rand.NewPCG(seed, 1))
	for c := range classes {
		formants := [3]float64{300 + 500*rng.Float64(), 1000 + 1000*rng.Float64(), 2200 + 1000*rng.Float64()}
		pitch := 170 + 130*rng.Float64()
		d.Classes = append(d.Classes, fmt.Sprintf("s%03d", c))
		for i := range each {
			d.IDs, d.Labels = append(d.IDs, fmt.Sprintf("s%03d/%d.wav", c, i)), append(d.Labels, c)
			d.Raw = append(d.Raw, speaker(formants, pitch, seconds, rng))
		}
	}
	return d
}

// TestVoicesTrain: many classes of one long sound each are learned with warped copies as further classes, the same bits when it is done again with
// an interruption, and others that were never heard are told apart.
func TestVoicesTrain(t *testing.T) {
	data, others := speakers(leastVoices, 1, 1.8, 1), speakers(10, 3, 1.8, 2)
	var chosen Options
	var first []byte
	o := Options{Epochs: 12, Batch: 64, Seed: 3, Threads: 1, Begin: func(c Options) { chosen = c }}
	for _, interrupted := range []int{0, 4, 18} { // the latter in the second member
		if first != nil {
			o.Resume = false
			o.Checkpoint, o.Threads = filepath.Join(t.TempDir(), "ckpt"), 2
			ctx, cancel := context.WithCancel(t.Context())
			o.Progress = func(p Progress) {
				if p.Epoch == interrupted {
					cancel()
				}
			}
			if _, err := Run(ctx, data, Dataset{}, o); !errors.Is(err, context.Canceled) {
				t.Fatalf("interrupted: %v", err)
			}
			o.Progress, o.Resume = nil, true
		}
		m, err := Run(t.Context(), data, Dataset{}, o)
		if err != nil {
			t.Fatal(err)
		}
		b, err := m.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if first != nil {
			if !bytes.Equal(first, b) {
				t.Error("an interrupted training makes another model")
			}
			continue
		}
		first = b
		if !chosen.warped() || chosen.Augmentation.String() != "voices" || chosen.Network.Layers[0].Kind != encoder.KindBands || chosen.Dimension != voiceDimension {
			t.Errorf("chose voices %v, augmentation %v, network %+v", chosen.Voices, chosen.Augmentation, chosen.Network)
		}
		var rec Record
		if err := json.Unmarshal(m.Record, &rec); err != nil {
			t.Fatal(err)
		}
		if conv := m.Network.Layers[1]; len(rec.Stages) != voiceMembers-1 || rec.Options.Seed != o.Seed || rec.Options.Network.Layers[1].Filters != memberFilters || conv.Filters != voiceMembers*memberFilters {
			t.Errorf("%d members before the last, seed %d, %d filters of %d", len(rec.Stages), rec.Options.Seed, rec.Options.Network.Layers[1].Filters, conv.Filters)
		}
		e, err := encoder.NewEncoder(m, "test", 1)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := e.Encode(t.Context(), others.Raw...)
		if err != nil {
			t.Fatal(err)
		}
		v, err := VerifyPairs(kernel.MatrixOf(rows, e.Dimension()), others.Labels, 10_000, 1)
		if err != nil {
			t.Fatal(err)
		}
		if v.EER > 0.1 {
			t.Errorf("equal error rate %.3f of unknown classes, want 0.1 or less", v.EER)
		}
	}
}

// TestVoicesDefaults: what long and short sounds, and few and many classes, are trained with.
func TestVoicesDefaults(t *testing.T) {
	long, short := encoder.Size{Height: 40, Width: voiceInput, Channels: 1}, encoder.Size{Height: 40, Width: longestInput, Channels: 1}
	for name, c := range map[string]struct {
		size    encoder.Size
		classes int
		loss    string
		warped  bool
	}{
		"speakers": {long, leastVoices, "", true}, "long sounds of few classes": {long, leastVoices - 1, "", false},
		"words": {short, leastVoices, "", false}, "without labels": {long, 0, "", false}, "views": {long, leastVoices, LossNTXent.String(), false},
	} {
		o := Options{Loss: c.loss}
		if err := o.suitSounds(encoder.Preprocessing{Size: c.size}); err != nil {
			t.Fatal(err)
		}
		o.SetDefaults(100, c.classes, c.size)
		if o.warped() != c.warped || (o.Network.Layers[0].Kind == encoder.KindBands) != isVoices(c.size) {
			t.Errorf("%s: warped %v, first layer %s", name, o.warped(), o.Network.Layers[0].Kind)
		}
	}
	off := false
	o := Options{Modality: encoder.ModalityAudio, Voices: &off}
	o.SetDefaults(100, leastVoices, long)
	if o.warped() {
		t.Error("voices were switched off, and are on")
	}
}

// TestVoicesWarp: a tone comes out where the factor puts it, and 1 changes nothing.
func TestVoicesWarp(t *testing.T) {
	p := encoder.Preprocessing{Modality: encoder.ModalityAudio, Size: encoder.Size{Height: 40, Width: 32, Channels: 1}, Mean: []float32{0}, Deviation: []float32{1}}
	d, err := p.Decoder()
	if err != nil {
		t.Fatal(err)
	}
	tone := func(hz float64) (features []float32, peak float64) {
		f, err := d.Decode(chirp(hz, hz, 0.5, rand.New(rand.NewPCG(1, 1))))
		if err != nil {
			t.Fatal(err)
		}
		return f.Data, loudest(f.Data)
	}
	src, _ := tone(1500)
	v := newVoices(40)
	for i, factor := range voiceFactors {
		dst := make([]float32, len(src))
		v.warp(dst, src, 1+i)
		if _, want := tone(1500 * factor); math.Abs(loudest(dst)-want) > 0.3 {
			t.Errorf("factor %g: the tone is at filter %.2f, want %.2f", factor, loudest(dst), want)
		}
	}
	for i, at := range encoder.WarpedFilters(40, 1) {
		if math.Abs(float64(at)-float64(i)) > 1e-4 {
			t.Errorf("factor 1 reads filter %g for %d", at, i)
		}
	}
}

// loudest returns the middle of gravity of the power around the loudest filter.
func loudest(features []float32) float64 {
	power := make([]float64, 40)
	frames, top := len(features)/40, 0
	for y := range power {
		for _, v := range features[y*frames:][:frames] {
			power[y] += math.Exp(float64(v))
		}
		if power[y] > power[top] {
			top = y
		}
	}
	var sum, weighted float64
	for y := max(0, top-2); y <= min(39, top+2); y++ {
		sum, weighted = sum+power[y], weighted+float64(y)*power[y]
	}
	return weighted / sum
}
