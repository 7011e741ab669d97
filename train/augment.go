package train

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// Augmentation says how far an image may be changed at random. Every geometric amount is drawn uniformly from -limit to +limit, a limit of
// 0 switches its part off, and the zero value leaves images as they are.
// The crop comes first: a part of random area, aspect (3/4 to 4/3) and place is stretched to the whole, after Szegedy et al. 2015, "Going
// deeper with convolutions", section 6. The affine part follows (scale, shear, rotate about the centre, then shift); the elastic part adds
// a smooth random displacement
// field after Simard, Steinkraus, Platt 2003, "Best practices for convolutional neural networks applied to visual document analysis".
// There, white noise is smoothed by a Gaussian; here it is a coarse grid of noise under a uniform cubic B-spline, which is nearly the
// same (the B-spline's standard deviation is 1/√3 of a cell: 4.0 pixels for 4 cells over 28 pixels, Simard's σ = 4) and far cheaper.
// Then come, in this order, mirroring, blur, colour and light, noise, and erasing. Light is measured from black, 0, to white, 1, and
// stays within them where any of these parts is on.
type Augmentation struct {
	Shift   float32 `json:"shift,omitempty"`   // fraction of the side, 0 to 0.5; alone, by whole pixels, so that pictures stay sharp
	Rotate  float32 `json:"rotate,omitempty"`  // degrees, 0 to 180
	Scale   float32 `json:"scale,omitempty"`   // 0.1 draws a factor from 0.9 to 1.1; 0 to 0.9
	Shear   float32 `json:"shear,omitempty"`   // tangent of the slant, 0 to 1
	Crop    float32 `json:"crop,omitempty"`    // largest share of the area that is cut off, 0 to 0.95; drawn from 0 up. What is left is stretched to the whole
	Elastic float32 `json:"elastic,omitempty"` // bound of the displacement as a fraction of the shorter side, 0 to 0.5; its standard deviation is about 0.3 of this

	ElasticCells int `json:"elastic_cells,omitempty"` // cells of the noise grid along a side, 1 to 8; 0 = 4. More cells: finer wobbles.

	Flip       float32 `json:"flip,omitempty"`       // chance of being mirrored left to right, 0 to 1
	Blur       float32 `json:"blur,omitempty"`       // largest standard deviation of a Gaussian blur as a fraction of the shorter side, 0 to 0.2; drawn from 0 up
	Saturation float32 `json:"saturation,omitempty"` // 0.4 draws a factor from 0.6 to 1.4 on the distance to grey, 0 to 1; grey pictures stay as they are
	Contrast   float32 `json:"contrast,omitempty"`   // 0.4 draws a factor from 0.6 to 1.4 on the distance to each channel's mean, 0 to 1
	Brightness float32 `json:"brightness,omitempty"` // 0.2 adds -0.2 to 0.2 of the way from black to white, 0 to 1
	Gamma      float32 `json:"gamma,omitempty"`      // 0.3 raises light to a power from e^-0.3 to e^0.3, 0 to 2
	Noise      float32 `json:"noise,omitempty"`      // largest standard deviation of Gaussian noise, of the way from black to white, 0 to 1; drawn from 0 up
	Erase      float32 `json:"erase,omitempty"`      // chance that a rectangle is painted over, 0 to 1

	EraseArea float32 `json:"erase_area,omitempty"` // largest share of the picture that is painted over, 0.02 to 1; 0 = 0.33. Drawn from 0.02 up.

	Sound   Sound   `json:"sound,omitzero"`    // of sounds, for which all of the above is 0
	Replace float32 `json:"replace,omitempty"` // of rows, for which all of the above is 0: chance of a column to have the value of another row, 0 to 1
	Words   Words   `json:"words,omitzero"`    // of texts, for which all of the above is 0
}

const (
	defaultElasticCells = 4
	maxElasticCells     = 8
	defaultEraseArea    = 0.33
	minEraseArea        = 0.02
	cropAspect          = 4.0 / 3 // of the part kept, or its inverse, before it is cut to the picture
)

// Digits returns amounts that suit handwritten digits: they move and bend a stroke, and leave a 6 a 6.
func Digits() Augmentation {
	a := Augmentation{Shift: 0.08, Rotate: 12, Scale: 0.12, Shear: 0.15, Elastic: 0.12}
	a.SetDefaults()
	return a
}

// SetDefaults fills in ElasticCells where Elastic is on, and EraseArea where Erase is.
func (a *Augmentation) SetDefaults() {
	if a.Elastic != 0 && a.ElasticCells == 0 {
		a.ElasticCells = defaultElasticCells
	}
	if a.Erase != 0 && a.EraseArea == 0 {
		a.EraseArea = defaultEraseArea
	}
}

// amount is a part of an augmentation that is off at 0.
type amount struct {
	name   string
	value  *float32
	limit  float32
	chance bool // how often, not how much
}

// amounts lists the parts of a, in the order of the fields.
func (a *Augmentation) amounts() []amount {
	return []amount{
		{"shift", &a.Shift, 0.5, false}, {"rotate", &a.Rotate, 180, false}, {"scale", &a.Scale, 0.9, false}, {"shear", &a.Shear, 1, false},
		{"crop", &a.Crop, 0.95, false}, {"elastic", &a.Elastic, 0.5, false}, {"flip", &a.Flip, 1, true}, {"blur", &a.Blur, 0.2, false}, {"saturation", &a.Saturation, 1, false},
		{"contrast", &a.Contrast, 1, false}, {"brightness", &a.Brightness, 1, false}, {"gamma", &a.Gamma, 2, false}, {"noise", &a.Noise, 1, false},
		{"erase", &a.Erase, 1, true},
		{"sound.stretch", &a.Sound.Stretch, 0.5, false}, {"sound.warp", &a.Sound.Warp, 0.5, false}, {"sound.gain", &a.Sound.Gain, 60, false},
		{"sound.equalize", &a.Sound.Equalize, 60, false}, {"sound.noise", &a.Sound.Noise, 1, true}, {"sound.time_mask", &a.Sound.TimeMask, 0.5, false},
		{"sound.frequency_mask", &a.Sound.FrequencyMask, 0.5, false}, {"sound.pieces", &a.Sound.Pieces, 1, true}, {"replace", &a.Replace, 1, false},
		{"words.drop", &a.Words.Drop, 0.9, true}, {"words.thin", &a.Words.Thin, 0.9, true},
	}
}

// Times returns a with every part factor times as strong, up to its limit. Chances, as of mirroring, stay.
func (a Augmentation) Times(factor float64) Augmentation {
	for _, f := range a.amounts() {
		if !f.chance {
			*f.value = min(float32(float64(*f.value)*factor), f.limit)
		}
	}
	return a
}

// Validate returns an error that names the first field outside its limits.
func (a Augmentation) Validate() error {
	for _, f := range a.amounts() {
		if v := *f.value; !(v >= 0 && v <= f.limit) { // also refuses NaN
			return fmt.Errorf("augmentation: %s is %v, want 0 to %v", f.name, v, f.limit)
		}
	}
	if a.ElasticCells < 0 || a.ElasticCells > maxElasticCells {
		return fmt.Errorf("augmentation: elastic_cells is %d, want 1 to %d, or 0 for the default of %d", a.ElasticCells, maxElasticCells, defaultElasticCells)
	}
	if a.EraseArea != 0 && !(a.EraseArea >= minEraseArea && a.EraseArea <= 1) {
		return fmt.Errorf("augmentation: erase_area is %v, want %v to 1, or 0 for the default of %v", a.EraseArea, minEraseArea, defaultEraseArea)
	}
	return nil
}

// IsZero reports whether a leaves images as they are.
func (a Augmentation) IsZero() bool {
	a.ElasticCells, a.EraseArea = 0, 0 // details of parts that may be off
	return a == Augmentation{}
}

// warps reports whether a moves pixels otherwise than by mirroring.
func (a Augmentation) warps() bool {
	return a.Shift != 0 || a.Rotate != 0 || a.Scale != 0 || a.Shear != 0 || a.Crop != 0 || a.Elastic != 0
}

// onlyShifts reports whether a moves pictures as a whole, and in no other way.
func (a Augmentation) onlyShifts() bool {
	return a.Rotate == 0 && a.Scale == 0 && a.Shear == 0 && a.Crop == 0 && a.Elastic == 0
}

// lights reports whether a changes colour or light.
func (a Augmentation) lights() bool {
	return a.Saturation != 0 || a.Contrast != 0 || a.Brightness != 0 || a.Gamma != 0
}

// draw picks the random amounts. The order of the draws is part of what a seed means.
func (g *warp) draw(a Augmentation, h, w int, rng *rand.Rand) {
	g.affine(between(a.Rotate, rng)*math.Pi/180, 1+between(a.Scale, rng), between(a.Shear, rng), between(a.Shift, rng)*float64(w), between(a.Shift, rng)*float64(h))
	if a.onlyShifts() {
		g.tx, g.ty = float32(math.Round(float64(g.tx))), float32(math.Round(float64(g.ty)))
	}
	if a.Crop != 0 {
		area, aspect := 1-rng.Float64()*float64(a.Crop), math.Exp((2*rng.Float64()-1)*math.Log(cropAspect))
		across, down := min(1, math.Sqrt(area*aspect)), min(1, math.Sqrt(area/aspect))
		g.crop(across, down, (2*rng.Float64()-1)*(1-across)/2*float64(w-1), (2*rng.Float64()-1)*(1-down)/2*float64(h-1))
	}
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

// between draws uniformly from -limit to limit; a limit of 0 draws nothing.
func between(limit float32, rng *rand.Rand) float64 {
	if limit == 0 {
		return 0
	}
	return (2*rng.Float64() - 1) * float64(limit)
}
