package train

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// Augmentation says how far an image may be warped at random. Every amount is drawn uniformly from -limit to +limit, a limit of 0
// switches its part off, and the zero value leaves images as they are.
// The affine part comes first (scale, shear, rotate about the centre, then shift); the elastic part adds a smooth random displacement
// field after Simard, Steinkraus, Platt 2003, "Best practices for convolutional neural networks applied to visual document analysis".
// There, white noise is smoothed by a Gaussian; here it is a coarse grid of noise under a uniform cubic B-spline, which is nearly the
// same (the B-spline's standard deviation is 1/√3 of a cell: 4.0 pixels for 4 cells over 28 pixels, Simard's σ = 4) and far cheaper.
type Augmentation struct {
	Shift   float32 `json:"shift,omitempty"`   // fraction of the side, 0 to 0.5
	Rotate  float32 `json:"rotate,omitempty"`  // degrees, 0 to 180
	Scale   float32 `json:"scale,omitempty"`   // 0.1 draws a factor from 0.9 to 1.1; 0 to 0.9
	Shear   float32 `json:"shear,omitempty"`   // tangent of the slant, 0 to 1
	Elastic float32 `json:"elastic,omitempty"` // bound of the displacement as a fraction of the shorter side, 0 to 0.5; its standard deviation is about 0.3 of this

	ElasticCells int `json:"elastic_cells,omitempty"` // cells of the noise grid along a side, 1 to 8; 0 = 4. More cells: finer wobbles.
}

const (
	defaultElasticCells = 4
	maxElasticCells     = 8
)

// Digits returns amounts that suit handwritten digits: they move and bend a stroke, and leave a 6 a 6.
func Digits() Augmentation {
	a := Augmentation{Shift: 0.08, Rotate: 12, Scale: 0.12, Shear: 0.15, Elastic: 0.12}
	a.SetDefaults()
	return a
}

// SetDefaults fills in ElasticCells where Elastic is on.
func (a *Augmentation) SetDefaults() {
	if a.Elastic != 0 && a.ElasticCells == 0 {
		a.ElasticCells = defaultElasticCells
	}
}

// Validate returns an error that names the first field outside its limits.
func (a Augmentation) Validate() error {
	for _, f := range []struct {
		name         string
		value, limit float32
	}{
		{"shift", a.Shift, 0.5}, {"rotate", a.Rotate, 180}, {"scale", a.Scale, 0.9}, {"shear", a.Shear, 1}, {"elastic", a.Elastic, 0.5},
	} {
		if !(f.value >= 0 && f.value <= f.limit) { // also refuses NaN
			return fmt.Errorf("augmentation: %s is %v, want 0 to %v", f.name, f.value, f.limit)
		}
	}
	if a.ElasticCells < 0 || a.ElasticCells > maxElasticCells {
		return fmt.Errorf("augmentation: elastic_cells is %d, want 1 to %d, or 0 for the default of %d", a.ElasticCells, maxElasticCells, defaultElasticCells)
	}
	return nil
}

// IsZero reports whether a leaves images as they are.
func (a Augmentation) IsZero() bool {
	return a.Shift == 0 && a.Rotate == 0 && a.Scale == 0 && a.Shear == 0 && a.Elastic == 0
}

// Apply writes a randomly warped copy of src to dst. Both hold h×w pixels of c channels, [y][x][c], and must not overlap. Pixels that
// come from outside src are background, a value a channel. All channels move together. The result depends on a, src and the state of rng alone.
// It allocates nothing and may be called at the same time from several goroutines, each with its own rng.
// It panics where a slice does not hold h·w·c values, or background c; a must be valid.
func (a Augmentation) Apply(dst, src []float32, h, w, c int, background []float32, rng *rand.Rand) {
	if n := h * w * c; len(dst) != n || len(src) != n || len(background) != c {
		panic(fmt.Sprintf("train: Augmentation.Apply: %d and %d values for an image of %d×%d×%d, background of %d", len(dst), len(src), h, w, c, len(background)))
	}
	if a.IsZero() {
		copy(dst, src)
		return
	}
	a.SetDefaults()
	var g warp
	g.draw(a, h, w, rng)
	g.apply(dst, src, h, w, c, background)
}

// draw picks the random amounts. The order of the draws is part of what a seed means.
func (g *warp) draw(a Augmentation, h, w int, rng *rand.Rand) {
	uniform := func(limit float32) float64 {
		if limit == 0 {
			return 0
		}
		return (2*rng.Float64() - 1) * float64(limit)
	}
	g.affine(uniform(a.Rotate)*math.Pi/180, 1+uniform(a.Scale), uniform(a.Shear), uniform(a.Shift)*float64(w), uniform(a.Shift)*float64(h))
	if a.Elastic == 0 {
		return
	}
	g.cells = a.ElasticCells
	controls := (g.cells + 3) * (g.cells + 3)
	unit := a.Elastic * float32(min(h, w)) / (1 << 31) // pixels per step of a 32-bit draw
	for i := range controls {
		bits := rng.Uint64() // two 32-bit draws
		g.dx[i] = float32(int32(bits)) * unit
		g.dy[i] = float32(int32(bits>>32)) * unit
	}
}
