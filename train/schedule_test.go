package train

import (
	"math"
	"strings"
	"testing"
)

func TestSchedule(t *testing.T) {
	s := Schedule{Base: 0.4, Final: 0.1, Warmup: 4, Steps: 12}
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	for step, want := range map[int]float64{0: 0.1, 1: 0.2, 3: 0.4, 4: 0.4, 8: 0.25, 6: 0.1 + 0.3*(1+math.Sqrt2/2)/2, 12: 0.1, 99: 0.1} {
		if got := s.At(step); math.Abs(got-want) > 1e-12 {
			t.Errorf("step %d: %v, want %v", step, got, want)
		}
	}
	for step := 5; step < 14; step++ {
		if s.At(step) > s.At(step-1) {
			t.Errorf("the rate rises at step %d", step)
		}
	}
	if got := (Schedule{Base: 1, Steps: 2, Warmup: 2}).At(1); got != 1 {
		t.Errorf("warm-up only: %v at its last step, want 1", got)
	}
	if got := (Schedule{Base: 1, Steps: 2}).At(0); got != 1 {
		t.Errorf("no warm-up: %v at step 0, want 1", got)
	}
}

func TestScheduleValidate(t *testing.T) {
	for want, s := range map[string]Schedule{
		"learning rate 0":       {Steps: 1},
		"learning rate NaN":     {Base: math.NaN(), Steps: 1},
		"learning rate +Inf":    {Base: math.Inf(1), Steps: 1},
		"final learning rate 2": {Base: 1, Final: 2, Steps: 1},
		"schedule of 0 steps":   {Base: 1},
		"warm-up of 3 steps":    {Base: 1, Steps: 2, Warmup: 3},
	} {
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want %q", s, err, want)
		}
	}
}
