package main

import (
	"context"
	"fmt"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/train"
)

// mayTeachPatches refuses data that has no patches to learn from before anything is trained, and says if there will be no verdicts.
func (a *app) mayTeachPatches(rest, held train.Dataset, o train.Options) error {
	if err := train.CheckPatches(rest, o.Modality); err != nil {
		return fmt.Errorf("--patches: %w", err)
	}
	if held.Len() == 0 {
		a.status("warning: no picture is held out to calibrate the patches: there will be scores and heat maps, and no verdicts; use a --holdout above 0")
	}
	return nil
}

// trainPatches adds patches to a model of pictures.
func (a *app) trainPatches(ctx context.Context, m *encoder.Model, rest, held train.Dataset, o train.Options) error {
	a.status("learning patches of %d pictures, with defects made up", rest.Len())
	p, err := train.Patches(ctx, rest, held, o)
	if err != nil {
		return err
	}
	if n := len(p.Calibration); n > 0 {
		a.status("patches calibrated on %d pictures held out: alpha can be %.2g or more", n, 1/float64(n+1))
	} else if held.Len() > 0 {
		a.status("warning: none of the %d pictures held out can be looked at to calibrate the patches: there will be scores and heat maps, and no verdicts; hold out others", held.Len())
	}
	m.Patches = p
	return nil
}
