package train

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
)

// Unlabelled is the label of an item whose class is not known.
const Unlabelled = -1

// ErrDataset is wrapped by every error about the content of a data set.
var ErrDataset = errors.New("unusable data set")

// Dataset is a list of raw items with optional labels. Item i is IDs[i], Raw[i], Labels[i].
// The items are not copied by any method: whoever holds a Dataset must not write to Raw.
type Dataset struct {
	IDs     []string
	Raw     [][]byte
	Labels  []int    // index into Classes, or Unlabelled
	Classes []string // names; a class may have no item
}

// Len returns the number of items.
func (d Dataset) Len() int { return len(d.IDs) }

// Label returns the class name of item i, "" if it is unlabelled.
func (d Dataset) Label(i int) string {
	if d.Labels[i] == Unlabelled {
		return ""
	}
	return d.Classes[d.Labels[i]]
}

// Validate returns an error wrapping ErrDataset when the lists differ in length, an id is empty or occurs twice, a raw item is
// empty, or a label is not Unlabelled and not an index into Classes.
func (d Dataset) Validate() error {
	if len(d.Raw) != len(d.IDs) || len(d.Labels) != len(d.IDs) {
		return fmt.Errorf("%w: %d ids, %d raw items and %d labels; the three lists must be equally long",
			ErrDataset, len(d.IDs), len(d.Raw), len(d.Labels))
	}
	seen := make(map[string]int, len(d.IDs))
	for i, id := range d.IDs {
		if id == "" {
			return fmt.Errorf("%w: item %d has an empty id", ErrDataset, i)
		}
		if first, twice := seen[id]; twice {
			return fmt.Errorf("%w: items %d and %d share the id %q", ErrDataset, first, i, id)
		}
		seen[id] = i
		if len(d.Raw[i]) == 0 {
			return fmt.Errorf("%w: item %q is empty", ErrDataset, id)
		}
		if l := d.Labels[i]; l < Unlabelled || l >= len(d.Classes) {
			return fmt.Errorf("%w: item %q has label %d, want %d (unlabelled) or an index into the %d classes",
				ErrDataset, id, l, Unlabelled, len(d.Classes))
		}
	}
	return nil
}

// Subset returns the given items in the given order. Classes stay as they are, so labels stay comparable.
func (d Dataset) Subset(items []int) Dataset {
	s := Dataset{
		IDs:     make([]string, len(items)),
		Raw:     make([][]byte, len(items)),
		Labels:  make([]int, len(items)),
		Classes: d.Classes,
	}
	for i, item := range items {
		s.IDs[i], s.Raw[i], s.Labels[i] = d.IDs[item], d.Raw[item], d.Labels[item]
	}
	return s
}

// Split draws a part of the given size, 0 < fraction < 1, and returns it and the rest, both in the order of d.
// The draw is stratified: every class (and the unlabelled items as one more) gives its share to within one item, and the total is
// round(fraction·Len) to within the number of classes that are too small to give. A class always keeps one item in the rest.
// The same data and seed give the same split.
func (d Dataset) Split(fraction float64, seed uint64) (rest, part Dataset, err error) {
	if !(fraction > 0 && fraction < 1) {
		return Dataset{}, Dataset{}, fmt.Errorf("split fraction %v: want more than 0 and less than 1", fraction)
	}
	rng := rand.New(rand.NewPCG(seed, 0x73706c6974)) // "split"
	inPart := make([]bool, d.Len())
	drawn, due := 0, 0.0 // due carries the rounding from class to class, so that it does not add up
	strata, unlabelled := itemsByClass(d.Labels)
	for _, items := range append(strata, unlabelled) {
		due += fraction * float64(len(items))
		take := int(math.Floor(due + 0.5))
		due -= float64(take)
		take = max(0, min(take, len(items)-1))
		for i := range take {
			j := i + rng.IntN(len(items)-i)
			items[i], items[j] = items[j], items[i]
			inPart[items[i]] = true
			drawn++
		}
	}
	if drawn == 0 {
		return Dataset{}, Dataset{}, fmt.Errorf("%w: a fraction of %v of %d items in %d classes leaves nothing to split off; add items or raise the fraction",
			ErrDataset, fraction, d.Len(), len(d.Classes))
	}
	var restItems, partItems []int
	for i, in := range inPart {
		if in {
			partItems = append(partItems, i)
		} else {
			restItems = append(restItems, i)
		}
	}
	return d.Subset(restItems), d.Subset(partItems), nil
}

// Without parts d into the items of all other classes (and the unlabelled ones) and those of the named class.
// Both keep all Classes, so that labels stay comparable between them.
func (d Dataset) Without(class string) (known, unseen Dataset, err error) {
	label := slices.Index(d.Classes, class)
	if label < 0 {
		if len(d.Classes) == 0 {
			return Dataset{}, Dataset{}, fmt.Errorf("%w: no class %q: the data has no labels", ErrDataset, class)
		}
		return Dataset{}, Dataset{}, fmt.Errorf("%w: no class %q; the classes are %s", ErrDataset, class, quoteList(d.Classes))
	}
	var knownItems, unseenItems []int
	for i, l := range d.Labels {
		if l == label {
			unseenItems = append(unseenItems, i)
		} else {
			knownItems = append(knownItems, i)
		}
	}
	return d.Subset(knownItems), d.Subset(unseenItems), nil
}

// quoteList joins names for an error, the first twenty of them.
func quoteList(names []string) string {
	const most = 20
	var b strings.Builder
	for i, n := range names {
		if i == most {
			fmt.Fprintf(&b, " and %d more", len(names)-most)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", n)
	}
	return b.String()
}

// Hash returns the SHA-256 of all ids, class names and raw items in their order, as 64 hexadecimal digits. Two data sets with the
// same items and labels hash alike even where their Classes number the labels differently.
func (d Dataset) Hash() string {
	h := sha256.New()
	var n [8]byte
	field := func(b []byte) { // each field behind its length, so that no two lists run together into the same bytes
		binary.BigEndian.PutUint64(n[:], uint64(len(b)))
		h.Write(n[:])
		h.Write(b)
	}
	for i := range d.IDs {
		field([]byte(d.IDs[i]))
		if d.Labels[i] == Unlabelled {
			field(nil)
		} else {
			field([]byte("=" + d.Label(i))) // "=" tells a class named "" from no class
		}
		field(d.Raw[i])
	}
	return hex.EncodeToString(h.Sum(nil))
}
