package encoder

import (
	"bytes"
	"fmt"
	"math"
)

// Limits of the sounds that are decoded: a small FLAC file can hold hours of silence.
const (
	MaxSamples    = 1 << 25 // of one channel: 35 minutes at 16 kHz, 12 at 48 kHz
	MaxSoundRate  = 384_000 // samples a second
	minSoundRate  = 1_000
	maxSoundLanes = 32 // channels
)

// SoundFormats names the formats of sounds that are decoded.
const SoundFormats = "WAV, FLAC, MP3 or OGG"

// wave is a sound of one channel.
type wave struct {
	rate    int // samples a second
	samples []float32
}

// SoundFormat names the format of a sound by its first bytes, 12 of them or fewer where it has no more, and "" if it is none that is
// decoded.
func SoundFormat(raw []byte) string {
	switch {
	case len(raw) >= 12 && bytes.HasPrefix(raw, riffMagic) && bytes.Equal(raw[8:12], waveMagic):
		return "WAV"
	case bytes.HasPrefix(raw, flacMagic):
		return "FLAC"
	case bytes.HasPrefix(raw, oggMagic):
		return "OGG"
	case isMP3(raw):
		return "MP3"
	}
	return ""
}

// OtherSound names the format of a sound that is not decoded by its first bytes, 12 of them or fewer, and "" where they are of none that is known.
func OtherSound(raw []byte) string {
	for _, f := range []struct {
		at          int
		magic, name string
	}{
		{4, "ftyp", "an MP4 or M4A"}, {0, "FORM", "an AIFF"}, {0, ".snd", "an AU"},
		{0, "\x30\x26\xb2\x75", "a WMA"}, {0, "RF64", "an RF64"}, {0, "caff", "a CAF"}, {0, "#!AMR", "an AMR"}, {0, "wvpk", "a WavPack"}, {0, "\x1aE\xdf\xa3", "a WebM or Matroska"},
	} {
		if len(raw) >= f.at && bytes.HasPrefix(raw[f.at:], []byte(f.magic)) {
			return f.name
		}
	}
	return ""
}

// decodeSound returns a sound with its channels averaged.
func decodeSound(raw []byte) (wave, error) {
	var w wave
	var err error
	switch SoundFormat(raw) {
	case "WAV":
		w, err = decodeWAV(raw)
	case "FLAC":
		w, err = decodeFLAC(raw)
	case "MP3":
		w, err = decodeMP3(raw)
	case "OGG":
		w, err = decodeOGG(raw)
	default:
		if name := OtherSound(raw); name != "" {
			return wave{}, fmt.Errorf("%w: %s, which is not decoded: convert it to FLAC or WAV", ErrInput, name)
		}
		return wave{}, fmt.Errorf("%w: %d bytes that are no %s: convert it", ErrInput, len(raw), SoundFormats)
	}
	if err != nil {
		return wave{}, err
	}
	if len(w.samples) == 0 {
		return wave{}, fmt.Errorf("%w: a sound without a single sample", ErrInput)
	}
	for i, v := range w.samples {
		if !(math.Abs(float64(v)) <= math.MaxFloat32/MaxSamples) { // also refuses NaN
			return wave{}, fmt.Errorf("%w: sample %d of the sound is %g: samples are finite, and full scale is 1", ErrInput, i, v)
		}
	}
	return w, nil
}

// checkSound reports a rate or a number of channels beyond the limits.
func checkSound(format string, rate, channels int64) error {
	if rate < minSoundRate || rate > MaxSoundRate || channels < 1 || channels > maxSoundLanes {
		return fmt.Errorf("%w: a %s of %d channels at %d samples a second: it must be 1 to %d channels at %d to %d; convert it",
			ErrInput, format, channels, rate, maxSoundLanes, minSoundRate, MaxSoundRate)
	}
	return nil
}

// checkLength reports a sound that is too long.
func checkLength(format string, samples int64) error {
	if samples > MaxSamples {
		return fmt.Errorf("%w: a %s of %d samples a channel: at most %d; cut it into pieces", ErrInput, format, samples, MaxSamples)
	}
	return nil
}
