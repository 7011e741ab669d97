package train

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/akin-search/akin/encoder"
)

// What Options.Variants takes: which changed pictures are classes of their own. Each kind has those of the kinds before it. Where classes are many
// and small, what tells any two apart matters, known or not, and more classes teach it: turned characters are how those of unseen alphabets are learned
// from a few (Santoro et al. 2016, "Meta-learning with memory-augmented neural networks", section 4.1). A joined picture is half of one
// class's and half of another's, as in CutMix (Yun et al. 2019), but a class by itself: to tell it from both, no half may be left out.
const (
	VariantsNone     = "none"
	VariantsTurned   = "turned"   // by 90, 180 and 270 degrees
	VariantsMirrored = "mirrored" // left to right, and turned
	VariantsJoined   = "joined"   // with pictures of eight other classes, side by side or one above the other
)

// variantKinds are the copies that each kind makes of a picture, itself among them.
var variantKinds = []struct {
	name   string
	copies int
}{{VariantsNone, 1}, {VariantsTurned, 4}, {VariantsMirrored, 8}, {VariantsJoined, 16}}

// VariantNames are what Options.Variants takes.
const VariantNames = VariantsNone + ", " + VariantsTurned + ", " + VariantsMirrored + " or " + VariantsJoined

const (
	quarterTurns   = 4
	firstJoined    = 2 * quarterTurns // copies from here on are joined
	leastVariants  = 32               // classes that are many
	mostOfVariants = 100              // items a class that are few
	variantBatch   = 256              // rows at least, where variants are classes: two of each of many
	variantSteps   = 2400             // instead of 600
)

// variants returns how many copies of a picture are classes of their own, itself among them; 1 for a name that Validate refuses.
func (o Options) variants() int {
	for _, k := range variantKinds {
		if k.name == o.Variants {
			return k.copies
		}
	}
	return 1
}

// setVariants decides about Variants, where the options leave it open: on for many small classes of ink, which the augmentation bends and does
// not mirror, so that it has an upright.
func (o *Options) setVariants(kind *modality, loss LossKind, known bool, items, classes int) {
	in := o.Network.Input
	if o.Variants == "" && kind == pictures && known && loss.Labelled() && loss != LossSemi && loss != LossOneClass && len(o.pairs) == 0 && classes >= leastVariants && items <= mostOfVariants*classes &&
		o.Augmentation.Elastic > 0 && o.Augmentation.Flip == 0 && in.Height == in.Width {
		o.Variants = VariantsJoined
	}
}

// validateVariants reports what goes with no variants.
func (o Options) validateVariants(loss LossKind) error {
	if o.Variants == "" || o.Variants == VariantsNone {
		return nil
	}
	if o.variants() == 1 {
		return fmt.Errorf("%w: variants %q: use %s", ErrOptions, o.Variants, VariantNames)
	}
	if in := o.Network.Input; in.Height != in.Width {
		return fmt.Errorf("%w: variants %s of pictures of %d×%d pixels: they must be square: set size, which fits them into a square", ErrOptions, o.Variants, in.Height, in.Width)
	}
	if loss == LossOneClass {
		return fmt.Errorf("%w: variants %s with loss %v, which has shifts: leave one of them out", ErrOptions, o.Variants, loss)
	}
	if o.Variants == VariantsJoined && (!loss.Labelled() || loss == LossSemi) {
		return fmt.Errorf("%w: variants %s with loss %v: it joins pictures of classes, and here there may be none: use %s", ErrOptions, o.Variants, loss, VariantsMirrored)
	}
	return nil
}

// variantName says how the names of a copy end.
func variantName(copy int) string {
	turned := fmt.Sprintf("@%d", 90*(copy%quarterTurns))
	switch {
	case copy >= firstJoined:
		return fmt.Sprintf("@joined%d", copy-firstJoined)
	case copy >= quarterTurns:
		return "@mirrored" + turned
	}
	return turned
}

// copied returns d so many times over: item q·n+i is copy q of item i of n, and its class q·classes+c. suffix tells copies by their names. Items without
// a label stay so.
func (d Dataset) copied(copies int, suffix func(copy int) string) Dataset {
	n, classes := d.Len(), len(d.Classes)
	t := Dataset{IDs: make([]string, 0, copies*n), Raw: make([][]byte, 0, copies*n), Labels: make([]int, 0, copies*n)}
	for q := range copies {
		name := func(s string) string {
			if q > 0 {
				s += suffix(q)
			}
			return s
		}
		for i, l := range d.Labels {
			if l != Unlabelled {
				l += q * classes
			}
			t.IDs, t.Labels = append(t.IDs, name(d.IDs[i])), append(t.Labels, l)
		}
		t.Raw, t.Files = append(t.Raw, d.Raw...), append(t.Files, d.Files...)
		for _, c := range d.Classes {
			t.Classes = append(t.Classes, name(c))
		}
	}
	return t
}

// copier writes copy q, from 1, of an item to dst; src are its features.
type copier func(dst, src []float32, item, q int, rng *rand.Rand)

// item returns the features of an item that the sampler drew. Those of copies, as of changed pictures and warped sounds, are written to scratch,
// which is returned longer where it was too short.
func (r *run) item(item int, scratch []float32, rng *rand.Rand) (features, scratchAfter []float32) {
	n := len(r.features)
	src := r.features[item%n].Data
	if item < n {
		return src, scratch
	}
	scratch = slices.Grow(scratch[:0], len(src))[:len(src)]
	r.copier(scratch, src, item%n, item/n, rng)
	return scratch, scratch
}

// variantsOf makes the copies of square pictures with these labels.
func variantsOf(features []encoder.Features, labels []int, s encoder.Size) copier {
	p := newPartners(labels)
	return func(dst, src []float32, item, q int, rng *rand.Rand) {
		if q < firstJoined {
			turn(dst, src, s, q)
			return
		}
		join(dst, src, features[p.draw(item, q-firstJoined, rng)].Data, s, q%2 == 1)
	}
}

// turn writes src, a square picture, to dst, turned clockwise by quarters; from four quarters on it is mirrored left to right before.
func turn(dst, src []float32, s encoder.Size, quarters int) {
	side, c := s.Width, s.Channels
	for y := range side {
		for x := range side {
			fx, fy := x, y // where the pixel comes from
			for range quarters % quarterTurns {
				fx, fy = fy, side-1-fx
			}
			if quarters >= quarterTurns {
				fx = side - 1 - fx
			}
			copy(dst[(y*side+x)*c:][:c], src[(fy*side+fx)*c:][:c])
		}
	}
}

// join writes the left half of a and the right half of b to dst, or the upper and the lower one.
func join(dst, a, b []float32, s encoder.Size, below bool) {
	row := s.Width * s.Channels
	copy(dst, b)
	if below {
		copy(dst[:s.Height/2*row], a)
		return
	}
	for y := range s.Height {
		copy(dst[y*row:][:s.Width/2*s.Channels], a[y*row:])
	}
}

// partners are the classes whose pictures are joined.
type partners struct {
	classes [][]int // items of each
	of      []int   // class of each item, an index into classes; Unlabelled for those without
}

func newPartners(labels []int) *partners {
	p := &partners{of: slices.Repeat([]int{Unlabelled}, len(labels))}
	p.classes, _ = itemsByClass(labels)
	for c, items := range p.classes {
		for _, i := range items {
			p.of[i] = c
		}
	}
	return p
}

// draw returns an item of the class that the item's is joined with in a kind of joined copy: two kinds share a class, one for each direction.
// Classes are partners at four distances in their order, none of them 0 where there are five or more. An item without a label is its own partner.
func (p *partners) draw(item, kind int, rng *rand.Rand) int {
	c, k := p.of[item], len(p.classes)
	if c == Unlabelled {
		return item
	}
	items := p.classes[(c+1+kind/2*((k-1)/4))%k]
	return items[rng.IntN(len(items))]
}
