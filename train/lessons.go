package train

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/akin-search/akin/encoder"
)

// Classes of the patches that a network of patches learns from.
const (
	lessonNormal = iota
	lessonDefect
)

const (
	defectTries   = 8  // to make up a defect that can be seen
	visibleHalf   = 10 // pixels: it must show within so many of the middle of a patch,
	visibleEnergy = 16 // with a sum of squared changes of at least so many times the surface's variance
)

// lessons makes n patches to learn from, or a few less, half of the pictures as they are, half with defects made up: items of pixels as
// encoder.PatchOf gives them. They are the same for the same seed, whatever the threads.
func lessons(ctx context.Context, surfaces []*encoder.Surface, n int, seed uint64, threads int) (Dataset, error) {
	noise := roughness(surfaces)
	made := make([][]byte, n) // nil where a surface hides a defect
	err := inParallel(ctx, n, threads, func(i int) (err error) {
		rng := rand.New(rand.NewPCG(seed, streamPatches<<32+uint64(i)))
		s := surfaces[rng.IntN(len(surfaces))]
		seen := somewhere(s, rng)
		if lessonLabel(i) == lessonDefect {
			if seen = makeUp(seen, s, surfaces, defect(i/2%int(defectKinds)), noise, rng); seen == nil {
				return nil
			}
		}
		p := make([]float32, encoder.PatchSide*encoder.PatchSide*encoder.PatchScales)
		encoder.PatchOf(p, seen)
		made[i], err = lesson(p)
		return err
	})
	d := Dataset{Classes: []string{"normal", "defect"}}
	for i, raw := range made {
		if raw != nil {
			d.IDs, d.Raw, d.Labels = append(d.IDs, strconv.Itoa(i)), append(d.Raw, raw), append(d.Labels, lessonLabel(i))
		}
	}
	return d, err
}

// lessonLabel is the class of lesson i.
func lessonLabel(i int) int { return i % 2 }

// makeUp returns here with a defect that shows, nil where it does not after some tries. What is pasted comes from the same surface or from any.
func makeUp(here []float32, s *encoder.Surface, all []*encoder.Surface, kind defect, noise float64, rng *rand.Rand) []float32 {
	for range defectTries {
		from := s
		if rng.IntN(2) == 0 {
			from = all[rng.IntN(len(all))]
		}
		spoiled := slices.Clone(here)
		spoil(spoiled, somewhere(from, rng), kind, noise, rng)
		if shows(spoiled, here, noise) {
			return spoiled
		}
	}
	return nil
}

// somewhere is what is seen of a patch drawn at random.
func somewhere(s *encoder.Surface, rng *rand.Rand) []float32 {
	return s.Context(rng.IntN((s.Width+3)/4)*4, rng.IntN((s.Height+3)/4)*4)
}

// shows reports whether the middle was changed enough to be told from the surface.
func shows(p, was []float32, noise float64) bool {
	var sum float64
	for y := contextSide/2 - visibleHalf; y < contextSide/2+visibleHalf; y++ {
		for x := contextSide/2 - visibleHalf; x < contextSide/2+visibleHalf; x++ {
			d := float64(p[y*contextSide+x] - was[y*contextSide+x])
			sum += d * d
		}
	}
	return sum > visibleEnergy*noise*noise
}

const (
	leastRoughness = 2.0 // of 255: a blank surface has none, and defects are measured by it
	roughnessScale = 1.5 // as measured: what is an eighth of it and less is never seen
)

// roughness is how much light varies from pixel to pixel: the median, over patches, of its standard deviation about its mean over 5×5.
func roughness(surfaces []*encoder.Surface) float64 {
	var all []float64
	for i := 0; i < len(surfaces); i += max(1, len(surfaces)/200) {
		rng := rand.New(rand.NewPCG(1, uint64(i)))
		for range 4 {
			p := somewhere(surfaces[i], rng)
			smooth := blurred(p)
			var sum float64
			for j, v := range p {
				sum += float64(v-smooth[j]) * float64(v-smooth[j])
			}
			all = append(all, math.Sqrt(sum/float64(len(p))))
		}
	}
	slices.Sort(all)
	return max(leastRoughness, roughnessScale*all[len(all)/2])
}

// lesson makes an item of a patch: its scales are the colours of a PNG.
func lesson(p []float32) ([]byte, error) {
	img := image.NewNRGBA(image.Rect(0, 0, encoder.PatchSide, encoder.PatchSide))
	for i := range encoder.PatchSide * encoder.PatchSide {
		img.Pix[4*i+3] = 255
		for j := range encoder.PatchScales {
			img.Pix[4*i+j] = uint8(p[encoder.PatchScales*i+j])
		}
	}
	var b bytes.Buffer
	err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&b, img)
	return b.Bytes(), err
}
