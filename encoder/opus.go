package encoder

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/pion/opus"
)

const (
	opusRate    = 48_000                // samples a second that Opus is decoded at, and that its pages count
	opusLongest = opusRate * 120 / 1000 // samples of a packet, at most
)

// decodeOpus reads a stream whose first packet is head (RFC 7845): of one or two channels.
func decodeOpus(s *oggStream, head []byte) (wave, error) {
	if len(head) < 19 || head[8]>>4 != 0 {
		return wave{}, errors.New("its first packet is too short, or of another version")
	}
	channels, skip, family := int(head[9]), int(binary.LittleEndian.Uint16(head[10:])), head[18]
	if channels < 1 || channels > 2 || family != 0 && !(family == 1 && len(head) >= 21 && head[19] == 1) {
		return wave{}, fmt.Errorf("%w: an Opus of %d channels: only mono and stereo are decoded; convert it to FLAC or WAV", ErrInput, channels)
	}
	if tags, err := s.next(); err != nil || !bytes.HasPrefix(tags.data, []byte("OpusTags")) {
		return wave{}, errors.Join(errors.New("its second packet has no tags"), err)
	}
	d, err := opus.NewDecoderWithOutput(opusRate, channels)
	if err != nil {
		return wave{}, err
	}
	out := oggSamples{format: "Opus", channels: channels, wave: wave{rate: opusRate}}
	buf := make([]float32, opusLongest*channels)
	for {
		p, err := s.next()
		if errors.Is(err, io.EOF) {
			out.samples = out.samples[min(skip, len(out.samples)):] // what the decoder needs to settle
			return out.wave, nil
		}
		if err != nil {
			return wave{}, err
		}
		n, err := d.DecodeToFloat32(p.data, buf)
		if err != nil {
			return wave{}, err
		}
		if err := out.add(buf[:n*channels], p); err != nil {
			return wave{}, err
		}
	}
}
