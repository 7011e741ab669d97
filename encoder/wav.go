package encoder

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
)

var riffMagic, waveMagic = []byte("RIFF"), []byte("WAVE")

// Codes of the formats in a WAV file (RFC 2361), and what an extensible one has behind the code.
const (
	wavPCM        = 1
	wavFloat      = 3
	wavALaw       = 6
	wavMuLaw      = 7
	wavExtensible = 0xfffe
	wavGUID       = "\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"
)

// wavStreamed is the least size that a program declares which could not go back to fill it in: the data then go to the end of the file.
const wavStreamed = 0x7fff_f000

// wavFormat is the chunk "fmt " of a WAV file.
type wavFormat struct {
	code           uint16
	channels, rate int
	bits           int // of a sample
}

// decodeWAV reads PCM of 8, 16, 24 or 32 bits, floating point of 32 or 64, and A-law and μ-law, plain or extensible ("Multimedia Programming Interface and
// Data Specifications 1.0", IBM and Microsoft 1991, and the WAVEFORMATEXTENSIBLE of 2001). Other chunks are passed over.
func decodeWAV(raw []byte) (wave, error) {
	bad := func(format string, args ...any) (wave, error) {
		return wave{}, fmt.Errorf("%w: a broken WAV: %s", ErrInput, fmt.Sprintf(format, args...))
	}
	var format *wavFormat
	for rest := raw[12:]; len(rest) >= 8; {
		name, size := string(rest[:4]), int64(binary.LittleEndian.Uint32(rest[4:]))
		rest = rest[8:]
		if name == "data" && size >= wavStreamed {
			size = int64(len(rest))
		}
		if size > int64(len(rest)) {
			return bad("its chunk %q claims %d bytes, %d are left: it is cut short; copy it again", name, size, len(rest))
		}
		body := rest[:size]
		rest = rest[min(int64(len(rest)), size+size%2):] // chunks begin at even places
		switch name {
		case "fmt ":
			f, err := readWAVFormat(body)
			if err != nil {
				return wave{}, err
			}
			format = &f
		case "data":
			if format == nil {
				return bad("its data come before their format")
			}
			return format.mix(body)
		}
	}
	return bad("it has no data")
}

func readWAVFormat(b []byte) (wavFormat, error) {
	if len(b) < 16 {
		return wavFormat{}, fmt.Errorf("%w: a broken WAV: its format takes %d bytes, it needs 16", ErrInput, len(b))
	}
	le := binary.LittleEndian
	f := wavFormat{code: le.Uint16(b), channels: int(le.Uint16(b[2:])), bits: int(le.Uint16(b[14:]))}
	rate, frame := int64(le.Uint32(b[4:])), int(le.Uint16(b[12:]))
	if f.code == wavExtensible {
		if len(b) < 40 || !bytes.Equal(b[26:40], []byte(wavGUID)) {
			return f, fmt.Errorf("%w: a WAV of an extensible format without a known code: save it as PCM", ErrInput)
		}
		f.code = le.Uint16(b[24:])
	}
	switch {
	case f.code == wavPCM && (f.bits == 8 || f.bits == 16 || f.bits == 24 || f.bits == 32):
	case f.code == wavFloat && (f.bits == 32 || f.bits == 64):
	case (f.code == wavALaw || f.code == wavMuLaw) && f.bits == 8:
	default:
		return f, fmt.Errorf("%w: a WAV of format %d with %d bits a sample: only PCM (1) of 8, 16, 24 or 32 bits, floating point (3) of 32 or 64, A-law (6) and μ-law (7) of 8 are decoded; convert it", ErrInput, f.code, f.bits)
	}
	if err := checkSound("WAV", rate, int64(f.channels)); err != nil {
		return f, err
	}
	if want := f.channels * f.bits / 8; frame != want {
		return f, fmt.Errorf("%w: a broken WAV: it claims %d bytes for %d samples of %d bits: they take %d", ErrInput, frame, f.channels, f.bits, want)
	}
	f.rate = int(rate)
	return f, nil
}

// mix reads samples, full scale ±1, and averages the channels. A rest that is no whole sample of all channels is passed over.
func (f wavFormat) mix(data []byte) (wave, error) {
	width := f.bits / 8
	n := len(data) / (width * f.channels)
	if err := checkLength("WAV", int64(n)); err != nil {
		return wave{}, err
	}
	w := wave{rate: f.rate, samples: make([]float32, n)}
	sample := f.reader()
	for i := range w.samples {
		var sum float64
		for range f.channels {
			sum += sample(data)
			data = data[width:]
		}
		w.samples[i] = float32(sum / float64(f.channels))
	}
	return w, nil
}

// reader returns what reads the first sample of some bytes.
func (f wavFormat) reader() func(b []byte) float64 {
	le := binary.LittleEndian
	switch {
	case f.code == wavFloat && f.bits == 32:
		return func(b []byte) float64 { return float64(math.Float32frombits(le.Uint32(b))) }
	case f.code == wavFloat:
		return func(b []byte) float64 { return math.Float64frombits(le.Uint64(b)) }
	case f.code == wavALaw:
		return func(b []byte) float64 { return aLaw(b[0]) }
	case f.code == wavMuLaw:
		return func(b []byte) float64 { return muLaw(b[0]) }
	case f.bits == 8: // the only one without a sign
		return func(b []byte) float64 { return (float64(b[0]) - 128) / 128 }
	case f.bits == 16:
		return func(b []byte) float64 { return float64(int16(le.Uint16(b))) / (1 << 15) }
	case f.bits == 24:
		return func(b []byte) float64 {
			return float64(int32(uint32(b[0])<<8|uint32(b[1])<<16|uint32(b[2])<<24)) / (1 << 31)
		}
	}
	return func(b []byte) float64 { return float64(int32(le.Uint32(b))) / (1 << 31) }
}

// aLaw expands a sample of a telephone line: a sign, an exponent of 3 bits and 4 bits of mantissa, every other bit inverted (ITU-T G.711, table 1).
func aLaw(b byte) float64 {
	b ^= 0x55
	size := int(b&15)<<4 + 8
	if exponent := b >> 4 & 7; exponent > 0 {
		size = (size + 256) << (exponent - 1)
	}
	if b&0x80 == 0 { // set for what is positive
		size = -size
	}
	return float64(size) / (1 << 15)
}

// muLaw is aLaw of North America and Japan, all bits inverted (ITU-T G.711, table 2).
func muLaw(b byte) float64 {
	b = ^b
	size := (int(b&15)<<3+132)<<(b>>4&7) - 132
	if b&0x80 != 0 {
		size = -size
	}
	return float64(size) / (1 << 15)
}
