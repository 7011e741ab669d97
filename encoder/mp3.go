package encoder

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/hajimehoshi/go-mp3"
)

var id3Magic = []byte("ID3")

// id3Header is the length of what begins an ID3v2 tag, whose size follows it.
const id3Header = 10

// isMP3 reports whether bytes begin with an ID3v2 tag or the header of a frame of MPEG-1 or MPEG-2, layer III (ISO/IEC 11172-3, section 2.4.1.3).
func isMP3(raw []byte) bool {
	if bytes.HasPrefix(raw, id3Magic) {
		return true
	}
	if len(raw) < 4 {
		return false
	}
	version, layer, rate, frequency := raw[1]>>3&3, raw[1]>>1&3, raw[2]>>4, raw[2]>>2&3
	return raw[0] == 0xff && raw[1]>>5 == 7 && version >= 2 && layer == 1 && rate != 0 && rate != 15 && frequency != 3
}

// decodeMP3 reads MPEG-1 and MPEG-2 layer III. What encoders put before the first sample and behind the last one, some milliseconds of silence,
// stays.
func decodeMP3(raw []byte) (w wave, err error) {
	bad := func(err any) (wave, error) {
		return wave{}, fmt.Errorf("%w: a broken MP3, or one of a kind that is not decoded: %v; convert it to FLAC or WAV", ErrInput, err)
	}
	defer func() {
		if p := recover(); p != nil { // the library is known to panic on some broken files
			w, err = bad(p)
		}
	}()
	// The library makes room for a tag as large as it says, up to 256 MB.
	for len(raw) >= id3Header && bytes.HasPrefix(raw, id3Magic) {
		size := id3Header
		for i, b := range raw[6:id3Header] {
			size += int(b&0x7f) << (7 * (3 - i))
		}
		if raw[5]&0x10 != 0 { // with a footer
			size += id3Header
		}
		if size > len(raw) {
			return bad(fmt.Sprintf("its tag claims %d bytes, it has %d", size, len(raw)))
		}
		raw = raw[size:]
	}
	// Other readers than a Seeker are not read through once to find out their length.
	d, err := mp3.NewDecoder(io.MultiReader(bytes.NewReader(raw)))
	if err != nil {
		return bad(err)
	}
	if err := checkSound("MP3", int64(d.SampleRate()), 2); err != nil {
		return wave{}, err
	}
	w.rate = d.SampleRate()
	const frame = 4 // bytes: the library always makes two channels of 16 bits
	buf, filled := make([]byte, 1<<14), 0
	for {
		n, err := d.Read(buf[filled:])
		filled += n
		whole := filled / frame * frame
		for at := 0; at < whole; at += frame {
			left, right := int16(binary.LittleEndian.Uint16(buf[at:])), int16(binary.LittleEndian.Uint16(buf[at+2:]))
			w.samples = append(w.samples, (float32(left)+float32(right))/(1<<16))
		}
		filled = copy(buf, buf[whole:filled])
		if errors.Is(err, io.EOF) {
			return w, nil
		}
		if err != nil {
			return bad(err)
		}
		if err := checkLength("MP3", int64(len(w.samples))); err != nil {
			return wave{}, err
		}
	}
}
