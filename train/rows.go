package train

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/akin-search/akin/encoder"
)

const (
	mostKept   = 447 // directions of the features that an embedding of rows keeps, at most
	rowLearned = 32  // components that are learned beside them
	rowHidden  = 128 // units of the hidden layers
)

// Replaced returns the augmentation of rows: a share of the columns of a view has the values of other rows (Bahri et al. 2022, "SCARF:
// self-supervised contrastive learning using random feature corruption").
func Replaced() Augmentation { return Augmentation{Replace: 0.3} }

// otherRows returns the features of some rows, one after the other, whose values replace those of others.
func otherRows(_ encoder.Preprocessing, features []encoder.Features) (out []float32) {
	for i := 0; i < len(features); i += max(1, len(features)/measured) {
		out = append(out, features[i].Data...)
	}
	return out
}

// rowViewer makes views of rows.
type rowViewer struct {
	replace float32
	columns []int // where the features of each begin, and where the last one's end
	others  []float32
}

func rowViews(o Options, p encoder.Preprocessing, others []float32) viewer {
	replace := o.Augmentation.Replace
	if o.oneClass() { // rows with replaced values are what is not normal: see rowShifts
		replace = 0
	}
	return &rowViewer{replace, p.Table.Offsets(), others}
}

// Apply implements viewer.
func (v *rowViewer) Apply(dst, src []float32, rng *rand.Rand) {
	copy(dst, src)
	if v.replace == 0 {
		return
	}
	n := len(v.others) / len(src)
	for c, lo := range v.columns[:len(v.columns)-1] {
		if hi := v.columns[c+1]; hi > lo && rng.Float32() < v.replace {
			row := v.others[rng.IntN(n)*len(src):]
			copy(dst[lo:hi], row[lo:hi])
		}
	}
}

// Share of the columns that a shifted row has from other rows.
const leastReplaced, mostReplaced = 0.05, 0.5

// rowShifts are rows of which some columns have the values of other rows: each is usual by itself, and what they have to do with each other is gone.
func rowShifts(p encoder.Preprocessing, others []float32) []shift {
	columns := p.Table.Offsets()
	return []shift{{"replace", false, func(dst, src []float32, rng *rand.Rand) {
		share := leastReplaced + (mostReplaced-leastReplaced)*rng.Float32()
		v := rowViewer{share, columns, others}
		v.Apply(dst, src, rng)
		if slices.Equal(dst, src) { // one at least
			c := rng.IntN(len(columns) - 1)
			for columns[c] == columns[c+1] {
				c = rng.IntN(len(columns) - 1)
			}
			row := others[rng.IntN(len(others)/len(src))*len(src):]
			copy(dst[columns[c]:columns[c+1]], row[columns[c]:])
		}
	}}}
}

// rowDimensions parts an embedding of so many components of rows of so many features: some keep directions of these, one is constant, the others
// are learned.
func rowDimensions(features, dimension int) (kept, learned int) {
	learned = min(rowLearned, max(1, dimension/4))
	kept = min(features, max(1, dimension-1-learned))
	return kept, max(1, dimension-1-kept)
}

// rowNetwork is the network of rows.
func rowNetwork(o *Options, size encoder.Size) encoder.Network {
	kept, learned := rowDimensions(size.Channels, o.Dimension)
	return encoder.ForRows(size, kept, rowHidden, learned)
}

// suitRows fills in what rows decide, and refuses what is for other data.
func (o *Options) suitRows(p encoder.Preprocessing) error {
	size := p.Size
	o.Modality = encoder.ModalityTable
	switch {
	case o.Size != 0 && o.Base == nil:
		return fmt.Errorf("%w: size %d is for pictures: leave it out, rows have the columns that they have", ErrOptions, o.Size)
	case o.Variants != "" && o.Variants != VariantsNone:
		return fmt.Errorf("%w: variants %s are of pictures: leave them out", ErrOptions, o.Variants)
	case o.Voices != nil:
		return fmt.Errorf("%w: voices are for sounds: leave them out", ErrOptions)
	case o.Robust != nil:
		return fmt.Errorf("%w: robust is for pictures: leave it out, values are replaced in rows as it is", ErrOptions)
	case o.Augmentation == nil:
		a := Replaced()
		o.Augmentation = &a
	case *o.Augmentation != Augmentation{Replace: o.Augmentation.Replace}:
		return fmt.Errorf("%w: augmentation %v is not for rows: use auto, rows or none", ErrOptions, o.Augmentation)
	}
	set(&o.Dimension, min(size.Channels, mostKept)+1+rowLearned)
	return nil
}
