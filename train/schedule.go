package train

import (
	"fmt"
	"math"
)

// Schedule is a learning rate over the steps of a training: it rises linearly from Base/Warmup to Base, then falls to Final along half a
// cosine (Loshchilov, Hutter 2017, "SGDR", equation 5, one cycle).
type Schedule struct {
	Base, Final float64
	Warmup      int // steps that rise; 0 = none
	Steps       int // all steps, those of the warm-up included
}

// Validate returns an error that names the value out of range.
func (s Schedule) Validate() error {
	if !(s.Base > 0) || math.IsInf(s.Base, 0) {
		return fmt.Errorf("learning rate %v, want a positive number", s.Base)
	}
	if !(s.Final >= 0 && s.Final <= s.Base) {
		return fmt.Errorf("final learning rate %v, want 0 to the learning rate %v", s.Final, s.Base)
	}
	if s.Steps < 1 {
		return fmt.Errorf("schedule of %d steps, want 1 or more", s.Steps)
	}
	if s.Warmup < 0 || s.Warmup > s.Steps {
		return fmt.Errorf("warm-up of %d steps, want 0 to all %d steps", s.Warmup, s.Steps)
	}
	return nil
}

// At returns the learning rate of a step, counted from 0. From Steps on it is Final.
func (s Schedule) At(step int) float64 {
	switch {
	case step >= s.Steps:
		return s.Final
	case step < s.Warmup:
		return s.Base * float64(max(step, 0)+1) / float64(s.Warmup)
	}
	progress := float64(step-s.Warmup) / float64(s.Steps-s.Warmup)
	return s.Final + (s.Base-s.Final)*(1+math.Cos(math.Pi*progress))/2
}
