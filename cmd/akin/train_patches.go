package main

import (
	"context"
	"fmt"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/train"
)

// trainPatches adds patches to a model of pictures.
func (a *app) trainPatches(ctx context.Context, m *encoder.Model, rest, held train.Dataset, o train.Options) error {
	if m.Preprocessing.Modality != encoder.ModalityImage {
		return fmt.Errorf("%w: --patches on data of modality %q: patches are of pictures; leave it out", train.ErrOptions, m.Preprocessing.Modality)
	}
	a.status("learning patches of %d pictures, with defects made up", rest.Len())
	p, err := train.Patches(ctx, rest, held, o)
	if err != nil {
		return err
	}
	if n := len(p.Calibration); n == 0 {
		a.status("warning: no picture was held out to calibrate the patches: there will be scores and heat maps, and no verdicts; use a --holdout above 0")
	} else {
		a.status("patches calibrated on %d pictures held out: alpha can be %.2g or more", n, 1/float64(n+1))
	}
	m.Patches = p
	return nil
}
