package encoder

import (
	"slices"

	"github.com/akin-search/akin/encoder/kernel"
)

// maxCrops is how many crops of a sound are embedded, at most.
const maxCrops = 16

// Crop writes the part of a sound that begins at frame at to dst, Size values. Frames before its first and behind its last one are silence.
func (p Preprocessing) Crop(dst []float32, f Features, at int) {
	w, frames := p.Size.Width, f.Shape[1]
	silence := p.Background()[0]
	from, to := max(0, -at), min(w, frames-at) // in dst
	for y := range p.Size.Height {
		row := dst[y*w : (y+1)*w]
		for x := range row {
			row[x] = silence
		}
		if from < to {
			copy(row[from:to], f.Data[y*frames+at+from:])
		}
	}
}

// fitsImage reports whether features have the size of the network's input.
func (p Preprocessing) fitsImage(f Features) bool {
	return slices.Equal(f.Shape, []int{p.Size.Height, p.Size.Width, p.Size.Channels}) && len(f.Data) == p.Size.values()
}

// fitsSound is fitsImage of sounds, whose length is their own.
func (p Preprocessing) fitsSound(f Features) bool {
	if len(f.Shape) == 3 {
		p.Size.Width = max(1, f.Shape[1])
	}
	return p.fitsImage(f)
}

// crops returns what of a sound is embedded: all of it, in the middle of silence where it is shorter than the network's input, else crops
// that overlap by half, or are evenly spaced where these would be more than maxCrops.
func (p Preprocessing) crops(f Features) []Features {
	w, over := p.Size.Width, f.Shape[1]-p.Size.Width
	n := 1
	if over > 0 {
		n = min(maxCrops, 1+(2*over+w-1)/w)
	}
	out := make([]Features, n)
	for i := range out {
		at := over / 2 // negative where there is too little
		if n > 1 {
			at = i * over / (n - 1)
		}
		out[i] = Features{Data: make([]float32, p.Size.values()), Shape: []int{p.Size.Height, w, p.Size.Channels}}
		p.Crop(out[i].Data, f, at)
	}
	return out
}

// embed embeds features, up to a batch of them, with r. The embedding of a sound is the mean of those of its crops, brought to unit length.
func (e *Encoder) embed(r *runner, features []Features, out [][]float32) {
	if e.modality.parts == nil {
		r.run(features, out)
		return
	}
	var crops []Features
	var owner []int // the sound of each
	for i, f := range features {
		of := e.modality.parts(e.model.Preprocessing, f)
		crops = append(crops, of...)
		for range of {
			owner = append(owner, i)
		}
	}
	sums := make([]float64, len(features)*e.dimension)
	rows := make([][]float32, e.batch)
	for j := range rows {
		rows[j] = make([]float32, e.dimension)
	}
	for lo := 0; lo < len(crops); lo += e.batch {
		part := crops[lo:min(lo+e.batch, len(crops))]
		r.run(part, rows[:len(part)])
		for k := range part {
			sum := sums[owner[lo+k]*e.dimension:]
			for j, v := range rows[k] {
				sum[j] += float64(v)
			}
		}
	}
	for i := range features {
		kernel.Unit(out[i], sums[i*e.dimension:(i+1)*e.dimension])
	}
}
