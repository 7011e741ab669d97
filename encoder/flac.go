package encoder

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/mewkiz/flac"
)

var flacMagic = []byte("fLaC")

// decodeFLAC reads a FLAC stream (RFC 9639).
func decodeFLAC(raw []byte) (w wave, err error) {
	bad := func(err any) (wave, error) { return wave{}, fmt.Errorf("%w: a broken FLAC: %v", ErrInput, err) }
	defer func() {
		if p := recover(); p != nil { // the library is not known to panic; a hostile file must not find out
			w, err = bad(p)
		}
	}()
	// The library makes room for what other kinds of blocks declare, however much that is, and it takes any for the first.
	if streamInfo := []byte{0, 0, 34}; len(raw) < 8 || raw[4]&0x7f != 0 || !bytes.Equal(raw[5:8], streamInfo) {
		return bad("it does not begin with a block of stream information")
	}
	s, err := flac.New(bytes.NewReader(raw))
	if err != nil {
		return bad(err)
	}
	info := s.Info
	if err := checkSound("FLAC", int64(info.SampleRate), int64(info.NChannels)); err != nil {
		return wave{}, err
	}
	if err := checkLength("FLAC", int64(min(info.NSamples, 1<<62))); err != nil {
		return wave{}, err
	}
	w.rate = int(info.SampleRate)
	for {
		f, err := s.ParseNext()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return bad(err)
		}
		if f.BitsPerSample == 0 { // the library reads none of them
			return bad("its frames do not say how many bits a sample has: encode it again")
		}
		if f.SampleRate != 0 && f.SampleRate != info.SampleRate {
			return bad(fmt.Sprintf("its rate changes from %d to %d", info.SampleRate, f.SampleRate))
		}
		n := len(f.Subframes[0].Samples)
		if err := checkLength("FLAC", int64(len(w.samples)+n)); err != nil {
			return wave{}, err
		}
		unit := 1 / (float64(len(f.Subframes)) * float64(int64(1)<<(f.BitsPerSample-1)))
		for i := range n {
			var sum float64
			for _, channel := range f.Subframes {
				sum += float64(channel.Samples[i])
			}
			w.samples = append(w.samples, float32(sum*unit))
		}
	}
	if info.NSamples != 0 && uint64(len(w.samples)) != info.NSamples {
		return bad(fmt.Sprintf("it has %d of %d samples: it is cut short; copy it again", len(w.samples), info.NSamples))
	}
	return w, nil
}
