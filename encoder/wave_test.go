package encoder

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/mewkiz/flac"
	"github.com/mewkiz/flac/frame"
	"github.com/mewkiz/flac/meta"
)

// wavOf writes a WAV of interleaved samples, full scale ±1.
func wavOf(code, channels, rate, bits int, extensible bool, samples []float64) []byte {
	le := binary.LittleEndian
	var data []byte
	for _, v := range samples {
		switch {
		case code == wavFloat && bits == 32:
			data = le.AppendUint32(data, math.Float32bits(float32(v)))
		case code == wavFloat:
			data = le.AppendUint64(data, math.Float64bits(v))
		case bits == 8:
			data = append(data, byte(128+math.Round(v*127)))
		default:
			n := uint32(int32(math.Round(v * (math.Pow(2, float64(bits-1)) - 1))))
			data = append(data, le.AppendUint32(nil, n)[:bits/8]...)
		}
	}
	format := le.AppendUint16(nil, uint16(code))
	if extensible {
		format = le.AppendUint16(nil, wavExtensible)
	}
	format = le.AppendUint16(format, uint16(channels))
	format = le.AppendUint32(format, uint32(rate))
	format = le.AppendUint32(format, uint32(rate*channels*bits/8))
	format = le.AppendUint16(format, uint16(channels*bits/8))
	format = le.AppendUint16(format, uint16(bits))
	if extensible {
		format = append(format, 22, 0, byte(bits), 0, 0, 0, 0, 0)
		format = append(le.AppendUint16(format, uint16(code)), wavGUID...)
	}
	chunk := func(name string, b []byte) []byte {
		out := append(le.AppendUint32([]byte(name), uint32(len(b))), b...)
		if len(b)%2 == 1 {
			out = append(out, 0)
		}
		return out
	}
	body := append([]byte("WAVE"), chunk("LIST", []byte("odd"))...) // a chunk of odd length, which is padded
	body = append(append(body, chunk("fmt ", format)...), chunk("data", data)...)
	return append(le.AppendUint32([]byte("RIFF"), uint32(len(body))), body...)
}

// tone is a second of a sine at a rate.
func tone(hz float64, rate int) []float64 {
	out := make([]float64, rate)
	for i := range out {
		out[i] = 0.5 * math.Sin(2*math.Pi*hz*float64(i)/float64(rate))
	}
	return out
}

func flacOf(t testing.TB, rate int, bits uint8, samples []float64) []byte {
	t.Helper()
	var b bytes.Buffer
	info := &meta.StreamInfo{BlockSizeMin: 16, BlockSizeMax: 4096, SampleRate: uint32(rate), NChannels: 1, BitsPerSample: bits, NSamples: uint64(len(samples))}
	e, err := flac.NewEncoder(&b, info)
	if err != nil {
		t.Fatal(err)
	}
	for lo := 0; lo < len(samples); lo += 4096 {
		part := samples[lo:min(lo+4096, len(samples))]
		s := &frame.Subframe{SubHeader: frame.SubHeader{Pred: frame.PredVerbatim}, NSamples: len(part)}
		for _, v := range part {
			s.Samples = append(s.Samples, int32(math.Round(v*float64(int(1)<<(bits-1)-1))))
		}
		f := &frame.Frame{Header: frame.Header{HasFixedBlockSize: false, BlockSize: uint16(len(part)), SampleRate: uint32(rate), Channels: frame.ChannelsMono, BitsPerSample: bits}, Subframes: []*frame.Subframe{s}}
		if err := e.WriteFrame(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestSoundFormats: the same samples in every format are the same sound, and channels are averaged.
func TestSoundFormats(t *testing.T) {
	want := tone(440, 8000)[:1001]
	stereo := make([]float64, 0, 2*len(want))
	for i, v := range want {
		side := 0.3 * math.Cos(float64(i))
		stereo = append(stereo, v+side, v-side)
	}
	for _, c := range []struct {
		name string
		raw  []byte
		near float64
	}{
		{"8 bits", wavOf(wavPCM, 1, 8000, 8, false, want), 0.01}, {"16 bits", wavOf(wavPCM, 1, 8000, 16, false, want), 1e-4},
		{"24 bits", wavOf(wavPCM, 1, 8000, 24, false, want), 1e-6}, {"32 bits", wavOf(wavPCM, 1, 8000, 32, true, want), 1e-6},
		{"float32", wavOf(wavFloat, 1, 8000, 32, false, want), 1e-6}, {"float64", wavOf(wavFloat, 1, 8000, 64, true, want), 1e-6},
		{"stereo", wavOf(wavPCM, 2, 8000, 16, false, stereo), 1e-4}, {"stereo 24 bits", wavOf(wavPCM, 2, 8000, 24, true, stereo), 1e-6},
		{"FLAC 16 bits", flacOf(t, 8000, 16, want), 1e-4}, {"FLAC 24 bits", flacOf(t, 8000, 24, want), 1e-6},
	} {
		w, err := decodeSound(c.raw)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if w.rate != 8000 || len(w.samples) != len(want) {
			t.Errorf("%s: %d samples at %d, want %d at 8000", c.name, len(w.samples), w.rate, len(want))
			continue
		}
		for i, v := range w.samples {
			if math.Abs(float64(v)-want[i]) > c.near {
				t.Errorf("%s: sample %d is %g, want %g", c.name, i, v, want[i])
				break
			}
		}
	}
	streamed := wavOf(wavPCM, 1, 8000, 16, false, want)
	at := bytes.Index(streamed, []byte("data"))
	binary.LittleEndian.PutUint32(streamed[at+4:], 0xffffffff)
	if w, err := decodeSound(streamed); err != nil || len(w.samples) != len(want) {
		t.Errorf("a streamed WAV without its length: %d samples, %v", len(w.samples), err)
	}
}

// TestTelephone compares with values of G.711, and asks that code words in order are values in order.
func TestTelephone(t *testing.T) {
	for b, want := range map[byte][2]float64{0x00: {-5504, -32124}, 0x2a: {-32256, -5372}, 0x55: {-8, -716}, 0x7f: {-848, 0}, 0x80: {5504, 32124}, 0xaa: {32256, 5372}, 0xd5: {8, 716}, 0xff: {848, 0}} {
		raw := wavOf(wavALaw, 1, 8000, 8, false, make([]float64, 1))
		raw[len(raw)-2] = b // before the byte of padding
		other := bytes.Clone(raw)
		other[bytes.Index(other, []byte("fmt "))+8] = wavMuLaw
		for i, raw := range [][]byte{raw, other} {
			w, err := decodeSound(raw)
			if err != nil || len(w.samples) != 1 || float64(w.samples[0])*(1<<15) != want[i] {
				t.Errorf("byte %#x of format %d: %v, want %g of 32768; %v", b, wavALaw+i, w.samples, want[i], err)
			}
		}
	}
	for b := range 127 {
		if muLaw(byte(b)) >= muLaw(byte(b+1)) || aLaw(byte(b)^0x55) <= aLaw(byte(b+1)^0x55) {
			t.Errorf("samples %d and %d: μ-law %g and %g, A-law %g and %g", b, b+1, muLaw(byte(b)), muLaw(byte(b+1)), aLaw(byte(b)^0x55), aLaw(byte(b+1)^0x55))
		}
	}
}

// TestBrokenSounds: each is refused with ErrInput and says what is wrong.
func TestBrokenSounds(t *testing.T) {
	good := wavOf(wavPCM, 1, 8000, 16, false, tone(440, 8000))
	at := bytes.Index(good, []byte("fmt ")) + 8
	changed := func(offset int, b ...byte) []byte {
		out := bytes.Clone(good)
		copy(out[at+offset:], b)
		return out
	}
	flacs := flacOf(t, 8000, 16, tone(440, 8000))
	picture := bytes.Clone(flacs)
	copy(picture[4:], []byte{6, 0xff, 0xff, 0xff}) // a first block of another kind that declares gigabytes
	long := bytes.Clone(flacs)
	long[21] |= 0x0f // 2³⁵ samples
	for name, c := range map[string]struct {
		raw  []byte
		says string
	}{
		"empty": {nil, "0 bytes that are no WAV"}, "other": {[]byte("hello, world"), "no WAV, FLAC, MP3 or OGG"},
		"M4A": {[]byte("\x00\x00\x00\x20ftypM4A "), "an MP4 or M4A"}, "no chunks": {good[:12], "no data"},
		"cut": {good[:len(good)-7], "cut short"}, "no channels": {changed(2, 0), "0 channels"}, "too many channels": {changed(2, 200), "200 channels"},
		"rate 0": {changed(4, 0, 0, 0, 0), "at 0 samples"}, "rate too high": {changed(4, 255, 255, 255, 255), "at 4294967295"}, "12 bits": {changed(14, 12), "12 bits"},
		"ADPCM": {changed(0, 2), "format 2"}, "block": {changed(12, 7), "claims 7 bytes"}, "extensible": {changed(0, 0xfe, 0xff), "extensible"},
		"not a number":  {wavOf(wavFloat, 1, 8000, 32, false, []float64{0, math.NaN()}), "sample 1"},
		"infinite":      {wavOf(wavFloat, 1, 8000, 64, false, []float64{math.Inf(1)}), "sample 0"},
		"no samples":    {wavOf(wavPCM, 1, 8000, 16, false, nil), "without a single sample"},
		"FLAC cut":      {flacs[:len(flacs)/2], "broken FLAC"},
		"FLAC picture":  {picture, "stream information"},
		"FLAC too long": {long, "cut it into pieces"},
		"FLAC magic":    {flacs[:5], "stream information"},
	} {
		_, err := decodeSound(c.raw)
		if !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want ErrInput with %q", name, err, c.says)
		}
	}
	data := bytes.Index(good, []byte("data"))
	format := bytes.Index(good, []byte("fmt "))
	swapped := append(append(bytes.Clone(good[:format]), good[data:]...), good[format:data]...)
	if _, err := decodeSound(swapped); !errors.Is(err, ErrInput) {
		t.Errorf("data before the format: %v", err)
	}
}

// TestResample: a sine comes out as the same sine at the new rate, and what the new rate cannot hold does not come out.
func TestResample(t *testing.T) {
	for _, rate := range []int{8000, 11025, 22050, 44100, 48000, 44101} {
		w := wave{rate: rate}
		for _, v := range tone(1000, rate) {
			w.samples = append(w.samples, float32(v))
		}
		got, want := w.resample(SoundRate), tone(1000, SoundRate)
		if len(got) != SoundRate {
			t.Errorf("a second at %d becomes %d samples", rate, len(got))
			continue
		}
		for i := 200; i < SoundRate-200; i++ { // the ends have silence beside them
			if math.Abs(float64(got[i])-want[i]) > 1e-4 {
				t.Errorf("from %d: sample %d is %g, want %g", rate, i, got[i], want[i])
				break
			}
		}
	}
	w := wave{rate: 48000}
	for _, v := range tone(10_000, 48000) {
		w.samples = append(w.samples, float32(v))
	}
	for i, v := range w.resample(SoundRate)[200 : SoundRate-200] {
		if math.Abs(float64(v)) > 1e-4 {
			t.Fatalf("10 kHz at 16000 samples a second: sample %d is %g, want nothing", i, v)
		}
	}
}

func FuzzDecodeSound(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 2))
	noise := make([]float64, 900)
	for i := range noise {
		noise[i] = rng.Float64() - 0.5
	}
	f.Add(wavOf(wavPCM, 1, 8000, 16, false, noise))
	f.Add(wavOf(wavFloat, 2, 48000, 32, true, noise))
	f.Add(flacOf(f, 16000, 16, noise))
	f.Add(soundOf(f, "tone-16k-mono.mp3"))
	f.Add(soundOf(f, "tone-stereo.mp3"))
	for _, name := range oggTones {
		f.Add(soundOf(f, name))
	}
	d, err := soundPreprocessing(16, 8).Decoder()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		sealOGG(raw) // so that changes reach the decoders
		got, err := d.Decode(raw)
		if err != nil && !errors.Is(err, ErrInput) {
			t.Fatalf("error of another kind: %v", err)
		}
		if err != nil {
			return
		}
		if len(got.Shape) != 3 || got.Shape[0] != 16 || got.Shape[1] < 1 || len(got.Data) != 16*got.Shape[1] {
			t.Fatalf("%d features of shape %v", len(got.Data), got.Shape)
		}
		for i, v := range got.Data {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				t.Fatalf("feature %d is %g", i, v)
			}
		}
	})
}
