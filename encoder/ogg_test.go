package encoder

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// oggTones are the tones of TestMP3, half a second in all, by oggenc (libVorbis 1.3.7) and opusenc (libopus 1.3.1): the mono Opus in hybrid frames (SILK and CELT), the other in CELT.
var oggTones = []string{"tone-16k-mono.ogg", "tone-stereo.ogg", "tone-mono-hybrid.opus", "tone-stereo.opus"}

// sealOGG gives the pages of an Ogg their checksums, by the polynomial's long division, bit by bit.
func sealOGG(raw []byte) {
	for len(raw) >= oggHeader && bytes.HasPrefix(raw, oggMagic) && len(raw) >= oggHeader+int(raw[26]) {
		size := oggHeader + int(raw[26])
		for _, n := range raw[oggHeader:size] {
			size += int(n)
		}
		if size > len(raw) {
			return
		}
		clear(raw[22:26])
		crc := uint32(0)
		for _, b := range raw[:size] {
			for bit := 7; bit >= 0; bit-- {
				carry := crc>>31 != uint32(b>>bit&1)
				if crc <<= 1; carry {
					crc ^= 0x04c11db7
				}
			}
		}
		binary.LittleEndian.PutUint32(raw[22:], crc)
		raw = raw[size:]
	}
}

func TestOGG(t *testing.T) {
	for i, name := range oggTones {
		raw := soundOf(t, name)
		sealed := bytes.Clone(raw)
		if sealOGG(sealed); !bytes.Equal(raw, sealed) {
			t.Errorf("%s: the checksums are not those of the encoder", name)
		}
		w, err := decodeSound(raw)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(w.samples) != w.rate/2 {
			t.Errorf("%s: %d samples at %d, want half a second", name, len(w.samples), w.rate)
		}
		checkTones(t, name, w, []float64{0.5, 0.375}[i%2])
	}
}

// oggPages returns the pages of an Ogg.
func oggPages(t *testing.T, raw []byte) (pages [][]byte) {
	t.Helper()
	for len(raw) > 0 {
		_, rest, err := readOggPage(raw)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, bytes.Clone(raw[:len(raw)-len(rest)]))
		raw = rest
	}
	return pages
}

// TestOggPages: packets over several pages, and pages of other streams between, are the same sound.
func TestOggPages(t *testing.T) {
	raw := soundOf(t, "tone-16k-mono.ogg")
	want, err := decodeSound(raw)
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	number := uint32(0)
	page := func(serial uint32, flags byte, position uint64, segments, body []byte) {
		p := append([]byte("OggS\x00"), flags)
		p = binary.LittleEndian.AppendUint64(p, position)
		p = binary.LittleEndian.AppendUint32(p, serial)
		p = binary.LittleEndian.AppendUint32(p, number)
		p = append(p, 0, 0, 0, 0, byte(len(segments)))
		out = append(append(append(out, p...), segments...), body...)
	}
	for _, raw := range oggPages(t, raw) { // a page a segment
		p, _, err := readOggPage(raw)
		if err != nil {
			t.Fatal(err)
		}
		within := false
		for i, n := range p.segments {
			flags, position := p.flags&oggFirst, uint64(math.MaxUint64)
			if within {
				flags |= oggContinued
			}
			if i == len(p.segments)-1 {
				flags, position = flags|p.flags&oggLast, uint64(p.position)
			}
			page(p.serial, flags, position, []byte{n}, p.body[:n])
			number++
			p.body, within = p.body[n:], n == oggSegment
			page(99, p.flags&oggFirst, 7, []byte{3}, []byte("pic"))
		}
	}
	sealOGG(out)
	got, err := decodeSound(out)
	if err != nil || len(got.samples) != len(want.samples) {
		t.Fatalf("%d samples, want %d; %v", len(got.samples), len(want.samples), err)
	}
	for i, v := range got.samples {
		if v != want.samples[i] {
			t.Fatalf("sample %d is %g, want %g", i, v, want.samples[i])
		}
	}
}

// codebook writes a setup packet of one code book of so many entries, whose code words are all of one length.
func codebook(entries, dimensions, length int, ordered bool) []byte {
	var b []byte
	at := 0
	put := func(v, n int) {
		for i := range n {
			if at%8 == 0 {
				b = append(b, 0)
			}
			b[at/8] |= byte(v>>i&1) << (at % 8)
			at++
		}
	}
	put(0, 8)
	put(0x564342, 24)
	put(dimensions, 16)
	put(entries, 24)
	if ordered {
		put(1, 1)
		put(length-1, 5)
		put(entries, len(strings.TrimLeft(string(bits(entries)), "0")))
	} else {
		put(0, 2)
		for range entries {
			put(length-1, 5)
		}
	}
	put(0, 4)
	return b
}

func bits(v int) (s []byte) {
	for i := 30; i >= 0; i-- {
		s = append(s, '0'+byte(v>>i&1))
	}
	return s
}

// TestCodebooks: what the library for Vorbis would make gigabytes of room for or search for ever does not reach it.
func TestCodebooks(t *testing.T) {
	for name, c := range map[string]struct {
		setup []byte
		says  string // "" is good
	}{
		"good": {codebook(8, 2, 3, false), ""}, "good and ordered": {codebook(8, 2, 3, true), ""},
		"no entries": {codebook(0, 1, 1, false), "0 entries"}, "no dimensions": {codebook(8, 0, 3, false), "0 dimensions"},
		"too many entries": {codebook(1<<20, 1, 20, true), "1048576 entries"}, "too many values": {codebook(1<<14, 1<<9, 14, true), "values of all"},
		"too few words": {codebook(8, 2, 4, false), "not complete"}, "too few and ordered": {codebook(8, 2, 4, true), "not complete"},
		"too many words": {codebook(8, 2, 2, false), "not complete"}, "cut": {codebook(8, 2, 3, false)[:12], "not complete"},
		"cut while ordered": {codebook(8192, 2, 1, true)[:10], "not complete"}, "nothing": {nil, "does not begin"},
	} {
		err := checkCodebooks(c.setup)
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	for _, c := range [][3]int{{6561, 8, 3}, {6560, 8, 2}, {8, 3, 2}, {7, 3, 1}, {2, 1000, 1}, {16000, 1, 16000}} {
		if got := vorbisRoot(c[0], c[1]); got != c[2] {
			t.Errorf("the root %d of %d is %d, want %d", c[1], c[0], got, c[2])
		}
	}
}

// TestBrokenOGG: each is refused and says what is wrong, and no bytes of a good one bring the decoders down.
func TestBrokenOGG(t *testing.T) {
	good, speech := soundOf(t, "tone-16k-mono.ogg"), soundOf(t, "tone-mono-hybrid.opus")
	pages := oggPages(t, good)
	sealed := func(raw []byte, at int, b ...byte) []byte {
		out := bytes.Clone(raw)
		copy(out[at:], b)
		sealOGG(out)
		return out
	}
	flipped := bytes.Clone(good)
	flipped[len(flipped)-9] ^= 1
	for name, c := range map[string]struct {
		raw  []byte
		says string
	}{
		"magic alone": {[]byte("OggS"), "cut short"}, "cut": {good[:len(good)-5], "cut short"}, "cut within a header": {good[:len(good)-len(pages[len(pages)-1])+9], "cut short"},
		"changed": {flipped, "checksum"}, "a page missing": {bytes.Join([][]byte{pages[0], pages[2]}, nil), "some are missing"},
		"two sounds": {append(bytes.Clone(good), speech...), "several sounds"}, "another codec": {sealed(good, oggHeader+2, 'x'), "without Vorbis or Opus"},
		"no channels": {sealed(good, oggHeader+1+11, 0), "0 channels"}, "nine channels": {sealed(good, oggHeader+1+11, 9), "9 channels: at most 8"}, "rate": {sealed(good, oggHeader+1+12, 1, 0, 0, 0), "at 1 samples"},
		"blocks": {sealed(good, oggHeader+1+28, 0x5f), "blocks of 2^15"}, "no comment": {sealed(good, len(pages[0])+oggHeader+int(pages[1][26]), 7), "no comment"},
		"heads alone":           {bytes.Join(pages[:2], nil), "without a single sample"},
		"Opus of five channels": {sealed(speech, oggHeader+1+9, 5), "only mono and stereo"}, "version of Opus": {sealed(speech, oggHeader+1+8, 0x1f), "another version"},
	} {
		if _, err := decodeSound(c.raw); !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want ErrInput with %q", name, err, c.says)
		}
	}
	rng := rand.New(rand.NewPCG(5, 6))
	for _, name := range oggTones {
		good := soundOf(t, name)
		for range 150 {
			raw := bytes.Clone(good)
			for range 1 + rng.IntN(3) {
				raw[oggHeader+rng.IntN(len(raw)-oggHeader)] ^= 1 << rng.IntN(8)
			}
			sealOGG(raw)
			if _, err := decodeSound(raw); err != nil && !errors.Is(err, ErrInput) {
				t.Errorf("%s, changed: %v, want ErrInput or none", name, err)
			}
		}
	}
}
