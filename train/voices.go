package train

import (
	"fmt"

	"github.com/akin-search/akin/encoder"
)

// Long sounds, as of somebody speaking, are of a class by how they sound throughout and not by what happens in them, which a crop may hold or
// not: they get a network of their own, and a crop is not blotted out, since how loud each frequency is tells them apart.
const (
	leastVoice     = 150 // frames of the median: 1.5 s
	voiceInput     = 104 // frames of the network's input, which tell by being more than longestInput that the sounds are long
	voiceDimension = 128
	voiceFilters   = 128 // of a network that learns alone
	memberFilters  = 64  // of one of several, and of one-class training, also of short sounds
	voiceMembers   = 3   // where warped copies are classes
	voiceBatch     = 256 // rows at least, where warped copies are classes: two of each of many classes
)

// isVoices reports whether an input is that of long sounds.
func isVoices(size encoder.Size) bool { return size.Width > longestInput }

// voicePiece is how long the pieces are that views are made of: a syllable or so, in seconds.
const voicePiece = 0.26

// Voices returns Sounds without blotting out, and with two views of a sound made of different pieces of it.
func Voices() Augmentation {
	a := Sounds()
	a.Sound.TimeMask, a.Sound.FrequencyMask = 0, 0
	a.Sound.Pieces = voicePiece
	return a
}

// leastVoices is how many classes are so many that what matters is what tells any two apart, known or not: then a voice of other pitch is another.
const leastVoices = 32

// voiceFactors are what the frequencies of a warped copy are multiplied by.
var voiceFactors = [...]float64{0.88, 1.13}

// setVoices decides about Voices, where the options leave it open.
func (o *Options) setVoices(kind *modality, loss LossKind, known bool, classes int, size encoder.Size) {
	if o.Voices == nil && kind == sounds && isVoices(size) && known && loss.Labelled() && classes >= leastVoices {
		yes := true
		o.Voices = &yes
	}
	if o.warped() && isVoices(size) && o.Network.Layers == nil {
		set(&o.Members, voiceMembers)
	}
}

// warped reports whether warped copies of sounds are classes.
func (o Options) warped() bool { return o.Voices != nil && *o.Voices }

// copies returns how many items are drawn for each item of the data.
func (o Options) copies() int {
	switch {
	case o.oneClass():
		return 1 + len(o.Shifts)
	case o.warped():
		return 1 + len(voiceFactors)
	}
	return o.variants()
}

// voiced returns d with the copies of each factor as classes of their own: see copied.
func (d Dataset) voiced() Dataset {
	return d.copied(1+len(voiceFactors), func(q int) string { return fmt.Sprintf("@%g", voiceFactors[q-1]) })
}

// voices warps log-mel features along the frequencies, as a longer or shorter vocal tract and a lower or higher pitch do (Jaitly and Hinton 2013,
// "Vocal tract length perturbation (VTLP) improves speech recognition"). There a warped speaker stays the same; here he is another one (Yamamoto
// et al. 2019, "Speaker augmentation and bandwidth extension for deep speaker embedding").
type voices struct {
	from [len(voiceFactors)][]float32 // where each filter of a copy reads, in filters
}

func newVoices(filters int) *voices {
	v := &voices{}
	for i, f := range voiceFactors {
		v.from[i] = encoder.WarpedFilters(filters, 1/f)
	}
	return v
}

// warp writes copy q, from 1, of a sound, [filter][frame], to dst.
func (v *voices) warp(dst, src []float32, q int) {
	warpMels(dst, src, v.from[q-1])
}

// warpMels writes to each filter of dst what src, [filter][frame], has at a place between filters, by linear interpolation.
func warpMels(dst, src, from []float32) {
	frames := len(src) / len(from)
	for y, at := range from {
		low := int(at)
		part := at - float32(low)
		a, b := src[low*frames:][:frames], src[min(low+1, len(from)-1)*frames:][:frames]
		row := dst[y*frames:][:frames]
		for x := range row {
			row[x] = a[x] + part*(b[x]-a[x])
		}
	}
}
