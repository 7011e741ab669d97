package train

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
)

const (
	patchLessons  = 40_000 // patches to learn from
	patchHeld     = 0.02   // share of them kept aside to follow the training and to measure the direction on
	patchEpochs   = 9
	patchBatch    = 128
	patchRate     = 5.6e-3 // twice the default for so many
	patchMargin   = 0.1    // radians, of arcface
	patchSoftness = 0.2    // its temperature
	looked        = 512    // pixels: the median of the longer sides is brought to it where it is more
	leastSurfaces = 8      // pictures to learn from
	usualPictures = 32     // of them, by which scores are measured
)

// Patches teaches a network to tell patches of the pictures of data from patches with made-up defects, and scores the pictures of held, which
// it has not seen, to calibrate verdicts; held may be empty. Every picture counts as normal, whatever its label. Of o it takes Seed, Threads,
// Precision and Progress. It is as deterministic as Run.
//
// The defects are after CutPaste (Li et al. 2021) and DRAEM (Zavrtanik et al. 2021): spots, scratches, shades, pieces of other places, and
// changes of texture; the loss is that of Deng et al. 2019 with two classes. Beside it, the layouts of the pictures are learned.
func Patches(ctx context.Context, data, held Dataset, o Options) (*encoder.Patches, error) {
	return patchesOf(ctx, data, held, patchPlan{patchLessons, patchEpochs}, o)
}

// CheckPatches refuses, before anything is trained, data that Patches cannot learn from: of another modality than pictures, or of too few. The
// modality is that of Options, "" for what most of the items are.
func CheckPatches(data Dataset, modality string) error {
	if modality == "" {
		var err error
		if modality, err = modalityOf(data); err != nil {
			return err
		}
	}
	if modality != encoder.ModalityImage {
		return fmt.Errorf("%w: patches of data of modality %q: patches are of pictures; leave them out", ErrOptions, modality)
	}
	found := 0
	for i := 0; i < data.Len() && found < leastSurfaces; i++ {
		raw, err := data.Item(i)
		if err != nil {
			return err
		}
		if _, err := encoder.Probe(raw); err == nil {
			found++
		}
	}
	return enoughSurfaces(found)
}

// enoughSurfaces refuses too few pictures to learn from.
func enoughSurfaces(n int) error {
	if n < leastSurfaces {
		return fmt.Errorf("%w: %d pictures to learn patches from, those held out not counted: it takes %d at least; give more, or hold fewer out", ErrDataset, n, leastSurfaces)
	}
	return nil
}

// patchPlan says how long patches are taught.
type patchPlan struct{ lessons, epochs int }

func patchesOf(ctx context.Context, data, held Dataset, plan patchPlan, o Options) (*encoder.Patches, error) {
	scale, err := patchScale(data)
	if err != nil {
		return nil, err
	}
	light, err := patchLight(data, scale)
	if err != nil {
		return nil, err
	}
	surfaces, err := surfacesOf(ctx, data, scale, light)
	if err != nil {
		return nil, err
	}
	if err := enoughSurfaces(len(surfaces)); err != nil {
		return nil, err
	}
	all, err := lessons(ctx, surfaces, plan.lessons, o.Seed, o.Threads)
	if err != nil {
		return nil, err
	}
	rest, known, err := all.Split(patchHeld, o.Seed)
	if err != nil {
		return nil, err
	}
	m, err := Run(ctx, rest, known, Options{
		Loss: LossArcFace.String(), Margin: patchMargin, Temperature: patchSoftness, Epochs: plan.epochs, Batch: patchBatch, Rate: patchRate,
		Augmentation: &Augmentation{Flip: 0.5}, Network: encoder.ForPatches(64),
		Seed: o.Seed, Threads: o.Threads, Precision: o.Precision, Progress: o.Progress,
	})
	if err != nil {
		return nil, fmt.Errorf("learning patches: %w", err)
	}
	p := &encoder.Patches{Preprocessing: m.Preprocessing, Network: m.Network, Weights: m.Weights, Scale: scale, Light: light, Local: encoder.Usual{Spread: 1}} // until it is measured
	if p.Direction, err = direction(ctx, m, known, o.Threads); err != nil {
		return nil, err
	}
	var apart []float64
	if p.Layout, apart, err = layoutOf(surfaces); err != nil {
		return nil, err
	}
	p.Whole = usualOf(apart)
	m.Patches = p
	e, err := encoder.NewEncoder(m, "", o.Threads)
	if err != nil {
		return nil, err
	}
	taught, err := heats(ctx, e, data, usualPictures)
	if err != nil {
		return nil, err
	}
	if len(taught) == 0 {
		return nil, fmt.Errorf("%w: none of %d pictures looked at can be decoded", ErrDataset, usualPictures)
	}
	var local []float64
	for _, h := range taught {
		local = append(local, h.Local)
	}
	p.Local = usualOf(local)
	unseen, err := heats(ctx, e, held, held.Len())
	if err != nil {
		return nil, err
	}
	for _, h := range unseen {
		p.Calibration = append(p.Calibration, h.Score)
	}
	slices.Sort(p.Calibration)
	return p, nil
}

// heats scores at most n pictures, evenly chosen. Those that cannot be decoded are left out.
func heats(ctx context.Context, e *encoder.Encoder, d Dataset, n int) (out []*encoder.Heat, err error) {
	n = min(n, d.Len())
	for i := range n {
		at := i * d.Len() / n
		raw, err := d.Item(at)
		if err != nil {
			return nil, err
		}
		h, err := e.Heat(ctx, raw)
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.Is(err, encoder.ErrInput):
		case err != nil:
			return nil, fmt.Errorf("%s: %w", d.IDs[at], err)
		default:
			out = append(out, h)
		}
	}
	return out, nil
}

// patchScale brings the median of the longer sides of some pictures to looked, where it is more.
func patchScale(d Dataset) (float64, error) {
	var sides []int
	for i := 0; i < d.Len(); i += max(1, d.Len()/inspected) {
		raw, err := d.Item(i)
		if err != nil {
			return 0, err
		}
		if s, err := encoder.Probe(raw); err == nil {
			sides = append(sides, max(s.Height, s.Width))
		}
	}
	if len(sides) == 0 {
		return 0, fmt.Errorf("%w: none of the items looked at is a picture: patches are of pictures", ErrDataset)
	}
	slices.Sort(sides)
	return min(1, looked/float64(sides[len(sides)/2])), nil
}

// patchLight is the median of the mean light of some pictures, and at least 1 of 255.
func patchLight(d Dataset, scale float64) (float64, error) {
	var lights []float64
	for i := 0; i < d.Len(); i += max(1, d.Len()/inspected) {
		raw, err := d.Item(i)
		if err != nil {
			return 0, err
		}
		if s, err := encoder.NewSurface(raw, scale, 0); err == nil {
			lights = append(lights, s.Light)
		}
	}
	if len(lights) == 0 {
		return 0, fmt.Errorf("%w: none of the items looked at is a picture: patches are of pictures", ErrDataset)
	}
	slices.Sort(lights)
	return max(1, lights[len(lights)/2]), nil
}

// mostSurfaces bounds the memory of the pictures to learn patches from, evenly chosen where there are more: at 512 pixels a side one takes 2 MB.
const mostSurfaces = 256

// surfacesOf decodes the pictures. Those that cannot be decoded are left out.
func surfacesOf(ctx context.Context, d Dataset, scale, light float64) ([]*encoder.Surface, error) {
	var out []*encoder.Surface
	n := min(d.Len(), mostSurfaces)
	for i := range n {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		at := i * d.Len() / n
		raw, err := d.Item(at)
		if err != nil {
			return nil, err
		}
		s, err := encoder.NewSurface(raw, scale, light)
		if errors.Is(err, encoder.ErrInput) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d.IDs[at], err)
		}
		out = append(out, s)
	}
	return out, nil
}

// direction leads from the mean embedding of the normal patches to that of those with defects, at unit length.
func direction(ctx context.Context, m *encoder.Model, known Dataset, threads int) ([]float32, error) {
	e, err := encoder.NewEncoder(m, "", threads)
	if err != nil {
		return nil, err
	}
	vectors, err := e.Encode(ctx, known.Raw...)
	if err != nil {
		return nil, err
	}
	sums, count := [2][]float64{make([]float64, e.Dimension()), make([]float64, e.Dimension())}, [2]float64{}
	for i, v := range vectors {
		l := known.Labels[i]
		count[l]++
		for j, x := range v {
			sums[l][j] += float64(x)
		}
	}
	way := make([]float64, e.Dimension())
	for j := range way {
		way[j] = sums[lessonDefect][j]/max(1, count[lessonDefect]) - sums[lessonNormal][j]/max(1, count[lessonNormal])
	}
	out := make([]float32, len(way))
	kernel.Unit(out, way)
	return out, nil
}
