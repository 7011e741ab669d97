package encoder

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

var oggMagic = []byte("OggS")

// An Ogg page is a header of 27 bytes, the lengths of its segments, a byte each, and the segments (RFC 3533, section 6). A packet ends with
// the first segment of less than 255 bytes.
const (
	oggHeader    = 27
	oggContinued = 1 // flag: the page begins within a packet
	oggFirst     = 2 // flag: the first page of its stream
	oggLast      = 4 // flag: the last page of its stream
	oggSegment   = 255
)

// oggCRC is the table of the checksum of pages, of the polynomial 0x04c11db7, the highest bit first.
var oggCRC = func() (table [256]uint32) {
	for i := range table {
		r := uint32(i) << 24
		for range 8 {
			carry := r >> 31
			r = r<<1 ^ carry*0x04c11db7
		}
		table[i] = r
	}
	return table
}()

// oggPage is a page. Its position is what the codec counts up to the end of the last packet that ends in it, and -1 where none does.
type oggPage struct {
	flags          byte
	position       int64
	serial, number uint32
	segments, body []byte
}

// readOggPage reads the page that raw begins with, and returns what is behind it.
func readOggPage(raw []byte) (p oggPage, rest []byte, err error) {
	if len(raw) < oggHeader || !bytes.HasPrefix(raw, oggMagic) || len(raw) < oggHeader+int(raw[26]) {
		return p, nil, errors.New("its pages end amidst one: it is cut short, or has other bytes between; copy it again")
	}
	le := binary.LittleEndian
	p = oggPage{flags: raw[5], position: int64(le.Uint64(raw[6:])), serial: le.Uint32(raw[14:]), number: le.Uint32(raw[18:]), segments: raw[oggHeader:][:raw[26]]}
	size := oggHeader + len(p.segments)
	from := size
	for _, n := range p.segments {
		size += int(n)
	}
	if size > len(raw) {
		return p, nil, errors.New("its last page is cut short: copy it again")
	}
	p.body = raw[from:size]
	crc := uint32(0)
	for i, b := range raw[:size] {
		if i >= 22 && i < 26 { // the checksum itself counts as 0
			b = 0
		}
		crc = crc<<8 ^ oggCRC[byte(crc>>24)^b]
	}
	if crc != le.Uint32(raw[22:]) {
		return p, nil, fmt.Errorf("the checksum of page %d is wrong: copy it again", p.number)
	}
	return p, raw[size:], nil
}

// oggStream reads the packets of the first stream of sound in an Ogg file; streams beside it, as of pictures, are passed over.
type oggStream struct {
	raw     []byte // the pages to come
	serial  uint32
	number  uint32 // of the next page
	opened  bool   // a page of the stream has been read
	page    oggPage
	partial []byte // of a packet that goes on in the next page
}

// oggPacket is a packet. Where it is the last that ends in its page, position is that of the page, else -1; last is of the last page.
type oggPacket struct {
	data     []byte
	position int64
	last     bool
}

// next returns the next packet, and io.EOF behind the last one. The packet is valid until the call after.
func (s *oggStream) next() (oggPacket, error) {
	for {
		for n, length := range s.page.segments {
			if length == oggSegment {
				continue
			}
			size := n*oggSegment + int(length)
			data := s.page.body[:size]
			if len(s.partial) > 0 {
				data = append(s.partial, data...)
				s.partial = nil
			}
			p := oggPacket{data: data, position: -1}
			s.page.segments, s.page.body = s.page.segments[n+1:], s.page.body[size:]
			if !slices.ContainsFunc(s.page.segments, func(n byte) bool { return n < oggSegment }) {
				p.position, p.last = s.page.position, s.page.flags&oggLast != 0
			}
			return p, nil
		}
		s.partial = append(s.partial, s.page.body...)
		if len(s.raw) == 0 {
			if len(s.partial) > 0 {
				return oggPacket{}, errors.New("it ends amidst a packet: it is cut short; copy it again")
			}
			return oggPacket{}, io.EOF
		}
		if err := s.turn(); err != nil {
			return oggPacket{}, err
		}
	}
}

// turn reads the next page of the stream. Where there is none, the page is empty.
func (s *oggStream) turn() error {
	s.page = oggPage{}
	for len(s.raw) > 0 {
		p, rest, err := readOggPage(s.raw)
		if err != nil {
			return err
		}
		s.raw = rest
		switch {
		case !s.opened && p.flags&oggFirst != 0 && isOggSound(p.body):
			s.opened, s.serial, s.number = true, p.serial, p.number
		case s.opened && p.flags&oggFirst != 0 && isOggSound(p.body):
			return errors.New("it holds several sounds: save each as a file of its own")
		case !s.opened || p.serial != s.serial:
			continue
		case p.number != s.number:
			return fmt.Errorf("page %d follows where page %d should: some are missing; copy it again", p.number, s.number)
		case (p.flags&oggContinued != 0) != (len(s.partial) > 0):
			return fmt.Errorf("page %d does not go on where the one before ends", p.number)
		}
		s.number = p.number + 1
		s.page = p
		return nil
	}
	return nil
}

// The first packet of a stream says what is coded in it.
var (
	vorbisHead = []byte("\x01vorbis")
	opusHead   = []byte("OpusHead")
)

func isOggSound(head []byte) bool {
	return bytes.HasPrefix(head, vorbisHead) || bytes.HasPrefix(head, opusHead)
}

// decodeOGG reads Vorbis and Opus in Ogg.
func decodeOGG(raw []byte) (w wave, err error) {
	bad := func(err any) (wave, error) { return wave{}, fmt.Errorf("%w: a broken OGG: %v", ErrInput, err) }
	defer func() {
		if p := recover(); p != nil { // the libraries are known to panic on some broken files
			w, err = bad(p)
		}
	}()
	s := &oggStream{raw: raw}
	head, err := s.next()
	switch {
	case errors.Is(err, io.EOF):
		return wave{}, fmt.Errorf("%w: an OGG without Vorbis or Opus in it, which alone are decoded: convert it to FLAC or WAV", ErrInput)
	case err != nil:
		return bad(err)
	}
	decode := decodeVorbis
	if bytes.HasPrefix(head.data, opusHead) {
		decode = decodeOpus
	}
	if w, err = decode(s, head.data); err != nil && !errors.Is(err, ErrInput) {
		return bad(err)
	}
	return w, err
}

// oggSamples gathers the samples of a stream, and cuts off what its last page does not count.
type oggSamples struct {
	wave
	format   string
	channels int
	page     int64 // position of the last page that told one,
	ended    int   // and the samples up to there
}

// add averages the channels of a packet's samples.
func (s *oggSamples) add(interleaved []float32, p oggPacket) error {
	for ; len(interleaved) >= s.channels; interleaved = interleaved[s.channels:] {
		sum := 0.0
		for _, v := range interleaved[:s.channels] {
			sum += float64(v)
		}
		s.samples = append(s.samples, float32(sum/float64(s.channels)))
	}
	if p.position >= 0 {
		// Only the last page may count fewer than its packets make (RFC 7845, section 4.4).
		if counted := p.position - s.page; p.last && counted >= 0 && counted < int64(len(s.samples)-s.ended) {
			s.samples = s.samples[:s.ended+int(counted)]
		}
		s.page, s.ended = p.position, len(s.samples)
	}
	return checkLength(s.format, int64(len(s.samples)))
}
