package encoder

import (
	"math"
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

// span is a crop of a sound that begins at frame at, of which the network's columns from one to another count.
type span struct{ at, from, to int }

// spans returns crops that have each frame of a sound counted once, with as many frames of it around as the network looks at: what is counted is what the
// network would make of all of the sound at once. Of a sound that takes more than maxCrops of them it returns evenly spaced ones.
func (p Preprocessing) spans(frames, reach int) []span {
	w, over := p.Size.Width, frames-p.Size.Width
	if over <= 0 {
		return []span{{over / 2, -(over / 2), frames - over/2}}
	}
	inner := max(1, w-2*reach)
	out := make([]span, min(maxCrops, 1+(over+inner-1)/inner))
	for i := range out {
		out[i] = span{at: i * over / (len(out) - 1), to: w}
	}
	for i := range len(out) - 1 {
		a, b := &out[i], &out[i+1]
		middle := (a.at + w + b.at) / 2 // of what they share
		a.to, b.from = min(middle-a.at, w-reach), max(middle-b.at, reach)
	}
	return out
}

// embed embeds features, up to a batch of them, with r. The embedding of a sound is the mean of those of its crops, brought to unit length, or that
// of the statistics of the whole.
func (e *Encoder) embed(r *runner, features []Features, out [][]float32) {
	switch layer, reach := e.model.Network.whole(); {
	case e.modality.parts == nil:
		r.run(features, out)
	case layer >= 0:
		e.embedWhole(r, layer, reach, features, out)
	default:
		e.embedParts(r, features, out)
	}
}

func (e *Encoder) embedParts(r *runner, features []Features, out [][]float32) {
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

// embedWhole embeds sounds whose statistics, made by a layer, are of all their frames.
func (e *Encoder) embedWhole(r *runner, layer, reach int, features []Features, out [][]float32) {
	before := r.plan.steps[layer-1].out
	values := before.values()
	rows, columns := make([]float32, len(features)*2*before.Channels), make([]float32, e.batch*values)
	crop := Features{Data: make([]float32, e.model.Preprocessing.Size.values())}
	for i, f := range features {
		spans := e.model.Preprocessing.spans(f.Shape[1], reach)
		s := statistics{sum: make([]float64, before.Channels), square: make([]float64, before.Channels)}
		for lo := 0; lo < len(spans); lo += e.batch {
			part := spans[lo:min(lo+e.batch, len(spans))]
			for k, c := range part {
				e.model.Preprocessing.Crop(crop.Data, f, c.at)
				r.place(k, crop)
			}
			r.through(0, layer, r.staging, len(part), columns[:len(part)*values])
			for k, c := range part {
				for y := range before.Height {
					row := columns[k*values+y*before.Width*before.Channels:]
					s.add(row[c.from*before.Channels : c.to*before.Channels])
				}
			}
		}
		s.write(rows[i*2*before.Channels:][:2*before.Channels])
	}
	scatter(out, r.forwardFrom(layer+1, rows, len(features)))
}

// statistics gathers mean and deviation of channels.
type statistics struct {
	sum, square []float64
	n           int
}

// add takes up pixels, each with a value a channel.
func (s *statistics) add(pixels []float32) {
	for ; len(pixels) > 0; pixels = pixels[len(s.sum):] {
		for c, v := range pixels[:len(s.sum)] {
			s.sum[c] += float64(v)
			s.square[c] += float64(v) * float64(v)
		}
		s.n++
	}
}

// write writes means and deviations as kernel.StatisticsShape does.
func (s *statistics) write(row []float32) {
	for c := range s.sum {
		mean := s.sum[c] / float64(s.n)
		row[c], row[len(s.sum)+c] = float32(mean), float32(math.Sqrt(max(0, s.square[c]/float64(s.n)-mean*mean)+kernel.StatisticsFloor))
	}
}
