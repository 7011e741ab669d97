package encoder

import (
	"context"
	"fmt"
	"slices"
)

// Occlusion is a sound with a stretch of it taken out: what the rest sounds like tells what the stretch did.
type Occlusion struct {
	From, To float64   // seconds of the sound as it came
	Vector   []float32 // embedding of the sound with the mean of all sounds in the stretch's place
}

const (
	maxStretches = 16 // of a sound
	leastStretch = 10 // frames: 0.1 s
)

// Occlude takes one stretch after another out of a sound, 16 at most of equal length, and embeds what is left (Zeiler and Fergus 2014, "Visualizing and
// understanding convolutional networks", section 4.2, along time). The error of a sound that cannot be decoded, or of a model that is not of sounds,
// wraps ErrInput.
func (e *Encoder) Occlude(ctx context.Context, raw []byte) ([]Occlusion, error) {
	d, ok := e.decoder.(*soundDecoder)
	if !ok {
		return nil, fmt.Errorf("%w: stretches of time are taken out of sounds, and the model is of modality %q", ErrInput, e.model.Preprocessing.Modality)
	}
	f, first, err := d.decodeFrom(raw)
	if err != nil {
		return nil, err
	}
	filters, frames := f.Shape[0], f.Shape[1]
	n := min(maxStretches, max(1, frames/leastStretch))
	out, parts := make([]Occlusion, n), make([]Features, n)
	second := func(frame int) float64 { return float64(first+frame*SoundHop) / SoundRate }
	for i := range out {
		from, to := i*frames/n, (i+1)*frames/n
		parts[i] = Features{Data: slices.Clone(f.Data), Shape: f.Shape}
		for y := range filters {
			clear(parts[i].Data[y*frames+from : y*frames+to]) // 0 is the mean
		}
		out[i].From, out[i].To = second(from), second(to)
	}
	vectors, err := e.EncodeFeatures(ctx, parts)
	if err != nil {
		return nil, err
	}
	for i, v := range vectors {
		out[i].Vector = v
	}
	return out, nil
}
