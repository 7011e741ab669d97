package train

import (
	"bytes"
	"context"
	"image"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/image/bmp"

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

// lessons makes n patches to learn from, or a few less: every second is of a picture as it is, and the one after it of the same place with a defect
// made up, so that nothing but the defect tells them apart. They are items of pixels as encoder.PatchOf gives them, and the same for the same seed,
// whatever the threads.
func lessons(ctx context.Context, surfaces []*encoder.Surface, n int, seed uint64, threads int) (Dataset, error) {
	noise := roughness(surfaces)
	made := make([][]byte, n) // nil where a surface hides a defect
	benches := sync.Pool{New: func() any { return newWorkbench() }}
	err := inParallel(ctx, (n+1)/2, threads, func(i int) (err error) {
		b := benches.Get().(*workbench)
		defer benches.Put(b)
		rng := rand.New(rand.NewPCG(seed, streamPatches<<32+uint64(i)))
		s := surfaces[rng.IntN(len(surfaces))]
		somewhere(b.here, s, rng)
		if made[2*i], err = lesson(b.patch, b.here); err != nil || 2*i+1 == n {
			return err
		}
		if b.makeUp(s, surfaces, defect(i%int(defectKinds)), noise, rng) {
			made[2*i+1], err = lesson(b.patch, b.spoiled)
		}
		return err
	})
	d := Dataset{Classes: []string{"normal", "defect"}}
	for i, raw := range made {
		if raw != nil {
			d.IDs, d.Raw, d.Labels = append(d.IDs, strconv.Itoa(i)), append(d.Raw, raw), append(d.Labels, i%2)
		}
	}
	return d, err
}

// workbench is where a defect is made up. It is not for concurrent use.
type workbench struct {
	here    []float32 // what is seen of a patch,
	spoiled []float32 // the same with a defect,
	other   []float32 // and what is pasted into it
	smooth  [2][]float32
	mask    mask
	patch   []float32
}

func newWorkbench() *workbench {
	b := &workbench{patch: make([]float32, encoder.PatchSide*encoder.PatchSide*encoder.PatchScales)}
	for _, v := range []*[]float32{&b.here, &b.spoiled, &b.other, &b.smooth[0], &b.smooth[1]} {
		*v = make([]float32, contextSide*contextSide)
	}
	return b
}

// makeUp makes spoiled of here, with a defect that shows, and reports false where it does not after some tries. What is pasted comes from the same surface or from any.
func (b *workbench) makeUp(s *encoder.Surface, all []*encoder.Surface, kind defect, noise float64, rng *rand.Rand) bool {
	for range defectTries {
		if kind == paste {
			from := s
			if rng.IntN(2) == 0 {
				from = all[rng.IntN(len(all))]
			}
			somewhere(b.other, from, rng)
		}
		copy(b.spoiled, b.here)
		b.spoil(kind, noise, rng)
		if shows(b.spoiled, b.here, noise) {
			return true
		}
	}
	return false
}

// somewhere is what is seen of a patch drawn at random.
func somewhere(dst []float32, s *encoder.Surface, rng *rand.Rand) {
	s.Context(dst, rng.IntN((s.Width+3)/4)*4, rng.IntN((s.Height+3)/4)*4)
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
	leastRoughness = 1.0 // of 255, some 1.7 % of the light: a blank surface has none, and defects are measured by it
	roughnessScale = 1.5 // as measured: what is an eighth of it and less is never seen
)

// roughness is how much light varies from pixel to pixel: the median, over patches, of its standard deviation about its mean over 5×5.
func roughness(surfaces []*encoder.Surface) float64 {
	var all []float64
	b := newWorkbench()
	for i := 0; i < len(surfaces); i += max(1, len(surfaces)/200) {
		rng := rand.New(rand.NewPCG(1, uint64(i)))
		for range 4 {
			somewhere(b.spoiled, surfaces[i], rng)
			smooth := b.blurred()
			var sum float64
			for j, v := range b.spoiled {
				sum += float64(v-smooth[j]) * float64(v-smooth[j])
			}
			all = append(all, math.Sqrt(sum/float64(len(smooth))))
		}
	}
	slices.Sort(all)
	return max(leastRoughness, roughnessScale*all[len(all)/2])
}

// lesson makes an item of what is seen of a patch: its scales are the colours of a picture. It needs room for a patch.
func lesson(patch, seen []float32) ([]byte, error) {
	encoder.PatchOf(patch, seen)
	img := image.NewNRGBA(image.Rect(0, 0, encoder.PatchSide, encoder.PatchSide))
	for i := range encoder.PatchSide * encoder.PatchSide {
		img.Pix[4*i+3] = 255
		for j := range encoder.PatchScales {
			img.Pix[4*i+j] = uint8(patch[encoder.PatchScales*i+j])
		}
	}
	var b bytes.Buffer
	err := bmp.Encode(&b, img)
	return b.Bytes(), err
}
