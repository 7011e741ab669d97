package train

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/akin-search/akin/encoder"
)

// Corruption is a way in which a picture goes bad between the camera and the model, at MinSeverity to MaxSeverity, in the spirit of
// Hendrycks and Dietterich 2019, "Benchmarking neural network robustness to common corruptions and perturbations". The amounts are our
// own: theirs are pixels of 224×224 photographs; these are shares of the picture's side or of the way from black to white, so that they
// mean the same at any size.
type Corruption int

const (
	CorruptGaussianNoise Corruption = iota
	CorruptDefocus
	CorruptOcclusion
	CorruptContrast
	CorruptShift
	CorruptRotation
	CorruptElastic

	// What follows is held out: Robust trains on nothing of the kind.

	CorruptShotNoise
	CorruptImpulseNoise
	CorruptMotion
	CorruptPixelate
	CorruptBrightness
)

// The severities of a corruption.
const (
	MinSeverity = 1
	MaxSeverity = 5
)

// firstHeldOut is where the corruptions begin that robust training does not know.
const firstHeldOut = CorruptShotNoise

// corruptions says how each is called and how much of it each severity is.
var corruptions = []struct {
	name    string
	amounts [MaxSeverity]float32
	apply   func(c *Corrupter, dst, src []float32)
}{
	// Gaussian noise on every value, its standard deviation.
	CorruptGaussianNoise: {"gaussian-noise", [...]float32{0.1, 0.17, 0.25, 0.35, 0.5}, (*Corrupter).gaussianNoise},
	// A disc instead of a point, its radius in shorter sides.
	CorruptDefocus: {"defocus-blur", [...]float32{0.03, 0.05, 0.07, 0.09, 0.11}, (*Corrupter).defocus},
	// A square of one random colour at a random place, its side in shorter sides: at severity 3 a quarter of a square picture.
	CorruptOcclusion: {"occlusion", [...]float32{0.3, 0.4, 0.5, 0.6, 0.7}, (*Corrupter).occlude},
	// What is left of the distance to each channel's mean.
	CorruptContrast: {"contrast", [...]float32{0.6, 0.45, 0.3, 0.2, 0.1}, (*Corrupter).contrast},
	// Moved into a random direction by so many shorter sides; black comes in.
	CorruptShift: {"shift", [...]float32{0.04, 0.08, 0.12, 0.16, 0.2}, (*Corrupter).shift},
	// Turned to a random side by so many degrees; black comes in.
	CorruptRotation: {"rotation", [...]float32{10, 20, 30, 40, 50}, (*Corrupter).rotate},
	// Bent by a smooth random field, its bound in shorter sides, its standard deviation 0.3 of that (see Augmentation).
	CorruptElastic: {"elastic", [...]float32{0.12, 0.18, 0.24, 0.3, 0.36}, (*Corrupter).bend},
	// Poisson noise of so many photons at full light.
	CorruptShotNoise: {"shot-noise", [...]float32{60, 25, 12, 5, 3}, (*Corrupter).shotNoise},
	// The share of the pixels that are stuck at black or white.
	CorruptImpulseNoise: {"impulse-noise", [...]float32{0.04, 0.08, 0.12, 0.2, 0.3}, (*Corrupter).impulseNoise},
	// A straight line of random direction instead of a point, its length in shorter sides.
	CorruptMotion: {"motion-blur", [...]float32{0.08, 0.14, 0.2, 0.27, 0.35}, (*Corrupter).motion},
	// The side of the squares that are averaged, in shorter sides.
	CorruptPixelate: {"pixelate", [...]float32{0.07, 0.1, 0.14, 0.18, 0.25}, (*Corrupter).pixelate},
	// Light that is added everywhere.
	CorruptBrightness: {"brightness", [...]float32{0.1, 0.2, 0.3, 0.4, 0.5}, (*Corrupter).brighten},
}

// Corruptions returns all corruptions, those held out last.
func Corruptions() []Corruption {
	all := make([]Corruption, len(corruptions))
	for i := range all {
		all[i] = Corruption(i)
	}
	return all
}

// String returns the name that ParseCorruption takes.
func (k Corruption) String() string {
	if k < 0 || int(k) >= len(corruptions) {
		return fmt.Sprintf("Corruption(%d)", int(k))
	}
	return corruptions[k].name
}

// ParseCorruption returns the corruption of the given name.
func ParseCorruption(name string) (Corruption, error) {
	names := make([]string, len(corruptions))
	for k, c := range corruptions {
		if c.name == name {
			return Corruption(k), nil
		}
		names[k] = c.name
	}
	return 0, fmt.Errorf("%w: no corruption %q; they are %s", ErrOptions, name, strings.Join(names, ", "))
}

// HeldOut reports whether Robust trains on nothing of the kind, so that k shows what robust training is worth against what it has
// not foreseen.
func (k Corruption) HeldOut() bool { return k >= firstHeldOut }

// Corrupter corrupts pictures of one size in one way. It keeps scratch memory, so it belongs to one goroutine.
type Corrupter struct {
	kind    Corruption
	amount  float32
	h, w, c int
	seed    uint64
	source  *rand.PCG
	rng     *rand.Rand
	black   []float32
	spread  spread
}

// NewCorrupter returns a corrupter of features of a size in units of 0, black, to 1, white. A severity outside MinSeverity to
// MaxSeverity, or a kind that does not exist, is an error that wraps ErrOptions.
func NewCorrupter(kind Corruption, severity int, size encoder.Size, seed uint64) (*Corrupter, error) {
	if kind < 0 || int(kind) >= len(corruptions) {
		return nil, fmt.Errorf("%w: corruption %d: there are 0 to %d", ErrOptions, int(kind), len(corruptions)-1)
	}
	if severity < MinSeverity || severity > MaxSeverity {
		return nil, fmt.Errorf("%w: %v at severity %d: it must be %d to %d (the picture as it is needs no corruption)", ErrOptions, kind, severity, MinSeverity, MaxSeverity)
	}
	c := &Corrupter{kind: kind, amount: corruptions[kind].amounts[severity-MinSeverity], h: size.Height, w: size.Width, c: size.Channels, seed: seed, black: make([]float32, size.Channels)}
	return c.clone(), nil
}

// clone returns a corrupter that does the same, for another goroutine.
func (c *Corrupter) clone() *Corrupter {
	other := *c
	other.source = rand.NewPCG(0, 0)
	other.rng = rand.New(other.source)
	other.spread = spread{}
	return &other
}

// Apply writes a corrupted copy of src to dst. Both hold one picture, [y][x][c], with values of 0 to 1, and must not overlap. The result
// depends on the seed, kind, severity and item alone; between the severities of one item only the amount differs, not what is drawn.
// It panics where a slice has another length.
func (c *Corrupter) Apply(dst, src []float32, item int) {
	if n := c.h * c.w * c.c; len(dst) != n || len(src) != n {
		panic(fmt.Sprintf("train: Corrupter.Apply: %d and %d values for an image of %d×%d×%d", len(dst), len(src), c.h, c.w, c.c))
	}
	c.source.Seed(c.seed^0x636f7272^uint64(c.kind)<<32, uint64(item)) // "corr"
	corruptions[c.kind].apply(c, dst, src)
}

// side is the shorter side in pixels.
func (c *Corrupter) side() float32 { return float32(min(c.h, c.w)) }
