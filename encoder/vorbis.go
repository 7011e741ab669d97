package encoder

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/jfreymuth/vorbis"
)

// What the library would make room for, or look for without end, whatever a file declares: more than any encoder uses is refused.
const (
	vorbisLanes      = 8       // channels
	vorbisEntries    = 1 << 14 // of a code book
	vorbisDimensions = 1 << 10 // of a code book
	vorbisValues     = 1 << 20 // of all code books
)

// decodeVorbis reads a stream whose first packet is head (Xiph.Org Foundation 2020, "Vorbis I specification").
func decodeVorbis(s *oggStream, head []byte) (wave, error) {
	if len(head) < 30 {
		return wave{}, errors.New("its first packet is too short")
	}
	rate, channels, blocks := int64(binary.LittleEndian.Uint32(head[12:])), int64(head[11]), head[28]
	if err := checkSound("Vorbis", rate, channels); err != nil {
		return wave{}, err
	}
	if channels > vorbisLanes {
		return wave{}, fmt.Errorf("%w: a Vorbis of %d channels: at most %d; convert it to FLAC or WAV", ErrInput, channels, vorbisLanes)
	}
	if short, long := blocks&15, blocks>>4; short < 6 || long > 13 || short > long {
		return wave{}, fmt.Errorf("it has blocks of 2^%d and 2^%d samples", short, long)
	}
	var d vorbis.Decoder
	if err := d.ReadHeader(head); err != nil {
		return wave{}, err
	}
	// The library makes room for as many comments as a file declares; it does without.
	if comment, err := s.next(); err != nil || !bytes.HasPrefix(comment.data, []byte("\x03vorbis")) {
		return wave{}, errors.Join(errors.New("its second packet is no comment"), err)
	}
	setup, err := s.next()
	if err != nil || !bytes.HasPrefix(setup.data, []byte("\x05vorbis")) {
		return wave{}, errors.Join(errors.New("its third packet has no code books"), err)
	}
	if err := checkCodebooks(setup.data[len(vorbisHead):]); err != nil {
		return wave{}, err
	}
	if err := d.ReadHeader(setup.data); err != nil {
		return wave{}, err
	}
	out := oggSamples{format: "Vorbis", channels: int(channels), wave: wave{rate: int(rate)}}
	buf := make([]float32, d.BufferSize())
	for {
		p, err := s.next()
		if errors.Is(err, io.EOF) {
			return out.wave, nil
		}
		if err != nil {
			return wave{}, err
		}
		var samples []float32
		if len(p.data) > 0 {
			if samples, err = d.DecodeInto(p.data, buf); err != nil {
				return wave{}, err
			}
		}
		if err := out.add(samples, p); err != nil {
			return wave{}, err
		}
	}
}

// checkCodebooks reads the code books at the beginning of a setup packet (section 3.2.1), and reports one that is too large, or whose code words leave
// some bits without a meaning: the library would look for one for ever.
func checkCodebooks(setup []byte) error {
	r := vorbisBits{data: setup}
	values := 0
	for book := range r.read(8) + 1 {
		if r.read(24) != 0x564342 {
			return fmt.Errorf("code book %d does not begin as one", book)
		}
		dimensions, entries := r.read(16), r.read(24)
		values += dimensions * entries
		if dimensions < 1 || dimensions > vorbisDimensions || entries < 2 || entries > vorbisEntries || values > vorbisValues {
			return fmt.Errorf("code book %d has %d entries of %d dimensions: 2 to %d of 1 to %d are decoded, and %d values of all", book, entries, dimensions, vorbisEntries, vorbisDimensions, vorbisValues)
		}
		if left := r.codeWords(entries); left != 0 || r.over {
			return fmt.Errorf("the code words of code book %d are not complete", book)
		}
		switch lookup := r.read(4); lookup {
		case 0:
		case 1, 2:
			r.skip(64)
			bits := r.read(4) + 1
			r.skip(1)
			n := entries * dimensions
			if lookup == 1 {
				n = vorbisRoot(entries, dimensions)
			}
			r.skip(n * bits)
		default:
			return fmt.Errorf("code book %d is of kind %d", book, lookup)
		}
		if r.over {
			return fmt.Errorf("code book %d goes on beyond its packet", book)
		}
	}
	return nil
}

// vorbisRoot returns the largest n whose power of the dimensions is at most entries (section 9.2.3).
func vorbisRoot(entries, dimensions int) int {
	for n := 1; ; n++ {
		power := 1
		for range dimensions {
			if power *= n + 1; power > entries {
				return n
			}
		}
	}
}

// vorbisBits reads bits, the lowest of a byte first (section 2.1.4).
type vorbisBits struct {
	data []byte
	at   int  // the next bit
	over bool // it was read beyond the end
}

func (r *vorbisBits) read(n int) (v int) {
	if r.at+n > 8*len(r.data) {
		r.over = true
		return 0
	}
	for i := range n {
		v |= int(r.data[r.at/8]>>(r.at%8)&1) << i
		r.at++
	}
	return v
}

func (r *vorbisBits) skip(n int) {
	if r.over = r.over || n > 8*len(r.data)-r.at; !r.over {
		r.at += n
	}
}

// codeWords reads the lengths of a book's code words, and returns what they leave of all bits, in 2⁻³²: 0 where they are complete, below where they are too many.
func (r *vorbisBits) codeWords(entries int) (left int64) {
	left = 1 << 32
	if ordered := r.read(1) == 1; ordered {
		length := r.read(5) + 1
		for done := 0; done < entries && !r.over; length++ {
			width := 0
			for v := entries - done; v > 0; v >>= 1 {
				width++
			}
			n := r.read(width)
			if done += n; done > entries || length > 32 && n > 0 {
				return -1
			}
			if length > 32 {
				return left // it would be the same for ever
			}
			left -= int64(n) << (32 - length)
		}
		return left
	}
	sparse := r.read(1) == 1
	for range entries {
		if !sparse || r.read(1) == 1 {
			left -= 1 << (32 - r.read(5) - 1)
		}
	}
	return left
}
