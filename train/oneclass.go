package train

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/akin-search/akin/encoder"
)

// One-class training knows only what is normal, and takes copies of it that are shifted out of its distribution for what is not:
//
//	each item, two views ────────────► the views of an item belong together, away from all else: SupCon, where rows without a mate only repel
//	           one of each shift ───►┘
//	                     all of these ► which shift is it? cross-entropy
//
// after Tack et al. 2020 (CSI), equations 3 to 5. There, the shifted copies are pulled together in pairs as well, and a layer of its own tells
// the shifts by what comes before the embedding; here, every row that is spared so is one more normal one, and the shifts are told by the angle of
// the embedding with a direction each.
const (
	shiftWeight      = 6    // of telling shifts
	shiftTemperature = 0.15 // of it

	oneClassSteps = 650 // at least
	soundSteps    = 400 // the same of sounds: with more, steady ones are told worse
)

// oneClass reports whether the loss takes shifted copies for anomalies.
func (o Options) oneClass() bool { return o.Loss == LossOneClass.String() }

// newOneClassLoss returns the objective for batches of newShiftedViews from d, whose labels are the shifts.
func newOneClassLoss(d Dataset, temperature float32, dimension int, seed uint64) (Objective, error) {
	views := Part{Weight: 1, Objective: Stateless(SupCon(temperature))}
	if len(d.Classes) < 2 { // nothing to tell
		return Sum(views)
	}
	tell := Part{Weight: shiftWeight, Objective: NewArcFace(len(d.Classes), dimension, shiftTemperature, 0, seed), Select: func(b *Batch, s *Selection) {
		for row, item := range b.Items {
			s.Rows, s.Labels = append(s.Rows, row), append(s.Labels, d.Labels[item])
		}
	}}
	return Sum(views, tell)
}

// shiftedViews shows some items in two views each, and once under every shift.
type shiftedViews struct {
	stream
	all, copies int
	items       []int // scratch: the items of a batch
}

// newShiftedViews returns a sampler of at most size rows, if that is enough for two items, of copies of so many items: copy q of item i is item
// q·items+i. Each item of a batch has copies+1 rows: two views of itself, then one of each other copy; the label is the copy. Items come in
// shuffled rounds.
func newShiftedViews(items, copies, size int, seed uint64) (*shiftedViews, error) {
	if items < 2 {
		return nil, fmt.Errorf("%w: %d items: loss %v takes two at least, to tell them apart", ErrDataset, items, LossOneClass)
	}
	n := min(items, max(2, size/(copies+1)))
	return &shiftedViews{newStream(streamShifted, (copies+1)*n, seed, newDeck(integers(items))), items, copies, make([]int, n)}, nil
}

// Next implements Sampler.
func (s *shiftedViews) Next(b *Batch) {
	s.check(b)
	s.decks[0].deal(s.items, s.rng)
	row := 0
	for _, item := range s.items {
		b.Items[row], b.Labels[row] = item, item
		row++
		for q := range s.copies {
			b.Items[row], b.Labels[row] = q*s.all+item, q*s.all+item
			row++
		}
	}
}

// allOfOneClass reports whether every item is of one and the same class.
func allOfOneClass(labels []int) bool {
	classes, unlabelled := itemsByClass(labels)
	return len(classes) == 1 && len(unlabelled) == 0
}

// chooseShifts sets the shifts to take, where the options leave them open: all of the modality but those under which items look the same.
func (r *run) chooseShifts(o *Options) error {
	if r.modality.shifts == nil {
		return fmt.Errorf("%w: loss %v: no shifts are known of modality %s: use loss %v", ErrOptions, LossOneClass, r.modality.name, LossNTXent)
	}
	all := r.modality.shifts(r.pre, r.around)
	if o.Shifts != nil {
		return checkShifts(o.Shifts, all)
	}
	o.Shifts = []string{}
	for _, s := range all {
		if !s.whole || !alike(s, r.features, r.seen, o.Seed) {
			o.Shifts = append(o.Shifts, s.name)
		}
	}
	return nil
}

// seen returns what the network sees of an item: of a sound the middle, in silence where it is shorter.
func (r *run) seen(f encoder.Features) []float32 {
	if r.modality != sounds {
		return f.Data
	}
	out := make([]float32, r.pre.Size.Height*r.pre.Size.Width)
	r.pre.Crop(out, f, (f.Shape[1]-r.pre.Size.Width)/2)
	return out
}

// checkShifts refuses names of no shift.
func checkShifts(names []string, all []shift) error {
	var known []string
	for _, s := range all {
		known = append(known, s.name)
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return fmt.Errorf("%w: shift %q: use some of %s", ErrOptions, name, quoteList(known))
		}
	}
	return nil
}

// shifted returns the data with a copy of every item for each shift, labelled by it, and what makes them.
func (r *run) shifted() (copier, Dataset) {
	shifts := slices.DeleteFunc(r.modality.shifts(r.pre, r.around), func(s shift) bool { return !slices.Contains(r.Shifts, s.name) })
	d := r.data
	d.Classes, d.Labels = []string{"normal"}, make([]int, d.Len())
	return func(dst, src []float32, _, q int, rng *rand.Rand) { shifts[q-1].apply(dst, src, rng) },
		d.copied(1+len(shifts), func(q int) string { return "@" + shifts[q-1].name })
}
