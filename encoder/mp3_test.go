package encoder

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func soundOf(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestMP3 decodes tones that LAME encoded. A tag before them changes nothing.
func TestMP3(t *testing.T) {
	for _, c := range []struct {
		name  string
		level float64 // of the mean of the channels
	}{{"tone-16k-mono.mp3", 0.5}, {"tone-stereo.mp3", 0.375}} {
		raw := soundOf(t, c.name)
		w, err := decodeSound(raw)
		if err != nil {
			t.Fatal(err)
		}
		if seconds := float64(len(w.samples)) / float64(w.rate); seconds < 0.5 || seconds > 0.75 { // with what the encoder puts around it
			t.Errorf("%s: %.3f s at %d", c.name, seconds, w.rate)
		}
		checkTones(t, c.name, w, c.level)
		tag := append([]byte("ID3\x04\x00\x00\x00\x00\x01\x02"), make([]byte, 130)...)
		tagged, err := decodeSound(append(tag, raw...))
		if err != nil || len(tagged.samples) != len(w.samples) {
			t.Errorf("%s behind a tag: %d samples, want %d; %v", c.name, len(tagged.samples), len(w.samples), err)
		}
	}
}

// checkTones wants a quarter of a second of 440 Hz and one of 1000 Hz around the middle, and hardly anything else.
func checkTones(t *testing.T, name string, w wave, want float64) {
	t.Helper()
	middle := float64(len(w.samples)) / float64(w.rate) / 2
	for _, part := range []struct{ from, to, hz float64 }{{middle - 0.15, middle - 0.06, 440}, {middle + 0.1, middle + 0.19, 1000}} {
		samples := w.samples[int(part.from*float64(w.rate)):int(part.to*float64(w.rate))]
		var re, im float64 // of the tone that is to be there
		var power float64
		for i, v := range samples {
			sin, cos := math.Sincos(2 * math.Pi * part.hz * float64(i) / float64(w.rate))
			re, im, power = re+float64(v)*cos, im+float64(v)*sin, power+float64(v)*float64(v)
		}
		level := 2 * math.Hypot(re, im) / float64(len(samples))
		if math.Abs(level-want) > 0.03 || level*level/2 < 0.97*power/float64(len(samples)) {
			t.Errorf("%s: at %g Hz the level is %.3f, want %.3f and hardly anything else", name, part.hz, level, want)
		}
	}
}

// TestBrokenMP3: what is no MP3 is refused, and no bytes of a good one bring the decoder down.
func TestBrokenMP3(t *testing.T) {
	good := soundOf(t, "tone-16k-mono.mp3")
	for name, c := range map[string]struct {
		raw  []byte
		says string
	}{
		"tag alone": {[]byte("ID3\x04\x00\x00\x00\x00\x00\x00"), "a broken MP3"}, "tag too long": {[]byte("ID3\x04\x00\x00\x7f\x7f\x7f\x7f"), "its tag claims 268435465 bytes"},
		"header alone": {good[:4], "a broken MP3"}, "half a tag": {[]byte("ID3\x04"), "a broken MP3"},
	} {
		if _, err := decodeSound(c.raw); !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want ErrInput with %q", name, err, c.says)
		}
	}
	for at := range good {
		raw := bytes.Clone(good)
		raw[at] ^= 0xff
		if _, err := decodeSound(raw); err != nil && !errors.Is(err, ErrInput) {
			t.Errorf("byte %d changed: %v, want ErrInput or none", at, err)
		}
	}
	for _, raw := range [][]byte{[]byte("\xff\xfeh\x00"), []byte("\xff\xd8\xff\xe0"), []byte("\xff\xfb\xf0\x00"), []byte("\xff\xfb\x0c\x00"), {0xff, 0xfb}} {
		if SoundFormat(raw) != "" {
			t.Errorf("% x is taken for an MP3", raw)
		}
	}
}
