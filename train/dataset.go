package train

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Unlabelled is the label of an item whose class is not known.
const Unlabelled = -1

// ErrDataset is wrapped by every error about the content of a data set.
var ErrDataset = errors.New("unusable data set")

// Dataset is a list of raw items with optional labels. Item i is IDs[i], Item(i), Labels[i].
// The items are not copied by any method: whoever holds a Dataset must not write to Raw.
type Dataset struct {
	IDs     []string
	Raw     [][]byte // nil where an item is not held in memory, but read from its file when it is wanted
	Files   []string // where; nil where all of Raw is held
	Labels  []int    // index into Classes, or Unlabelled
	Classes []string // names; a class may have no item
	Pairs   []Pair   // of items, by their ids: what is learned from in place of classes; nil for none
	Aside   []bool   // those that a list keeps aside, its rows of split validation; nil where it names none
}

// Len returns the number of items.
func (d Dataset) Len() int { return len(d.IDs) }

// Item returns the bytes of item i.
func (d Dataset) Item(i int) ([]byte, error) {
	if d.Raw[i] != nil {
		return d.Raw[i], nil
	}
	raw, err := os.ReadFile(d.Files[i])
	if err != nil {
		return nil, fmt.Errorf("%w: item %s: %w", ErrDataset, d.IDs[i], err)
	}
	return raw, nil
}

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
	if d.Files != nil && len(d.Files) != len(d.IDs) {
		return fmt.Errorf("%w: %d files of %d items: name one for each, or none", ErrDataset, len(d.Files), len(d.IDs))
	}
	if d.Aside != nil && len(d.Aside) != len(d.IDs) {
		return fmt.Errorf("%w: %d items of %d are said to be kept aside or not: say it of each, or of none", ErrDataset, len(d.Aside), len(d.IDs))
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
		if len(d.Raw[i]) == 0 && (d.Raw[i] != nil || d.Files == nil) {
			return fmt.Errorf("%w: item %q is empty", ErrDataset, id)
		}
		if l := d.Labels[i]; l < Unlabelled || l >= len(d.Classes) {
			return fmt.Errorf("%w: item %q has label %d, want %d (unlabelled) or an index into the %d classes",
				ErrDataset, id, l, Unlabelled, len(d.Classes))
		}
	}
	return nil
}

// Subset returns the given items in the given order, with the pairs that are among them. Classes stay as they are, so labels stay comparable.
func (d Dataset) Subset(items []int) Dataset {
	s := Dataset{
		IDs:     make([]string, len(items)),
		Raw:     make([][]byte, len(items)),
		Labels:  make([]int, len(items)),
		Classes: d.Classes,
	}
	if d.Files != nil {
		s.Files = make([]string, len(items))
	}
	for i, item := range items {
		s.IDs[i], s.Raw[i], s.Labels[i] = d.IDs[item], d.Raw[item], d.Labels[item]
		if d.Files != nil {
			s.Files[i] = d.Files[item]
		}
	}
	if len(d.Pairs) > 0 {
		s.Pairs = pairsAmong(s.IDs, d.Pairs)
	}
	if d.Aside != nil {
		s.keepAside(func(i int) bool { return d.Aside[items[i]] })
	}
	return s
}

// keepAside sets Aside.
func (d *Dataset) keepAside(item func(i int) bool) {
	aside, any := make([]bool, d.Len()), false
	for i := range aside {
		aside[i] = item(i)
		any = any || aside[i]
	}
	if d.Aside = nil; any {
		d.Aside = aside
	}
}

// WithClasses returns the same items with labels numbered as in classes, so that they compare with those of another data set. Classes of d
// that are not among them come behind.
func (d Dataset) WithClasses(classes []string) Dataset {
	d.Labels, classes = slices.Clone(d.Labels), slices.Clone(classes)
	number := make([]int, len(d.Classes))
	for i, name := range d.Classes {
		if number[i] = slices.Index(classes, name); number[i] < 0 {
			number[i], classes = len(classes), append(classes, name)
		}
	}
	for i, l := range d.Labels {
		if l != Unlabelled {
			d.Labels[i] = number[l]
		}
	}
	d.Classes = classes
	return d
}

// leastLabels is how many labelled items Split leaves a class beside items without a label.
const leastLabels = 20

// Split puts a share of the items, 0 < fraction < 1, into part and the others into rest, both in the order of d. Which side an item
// falls on is drawn from the seed and its id alone, so that it stays there when items are added or removed: what was kept aside once
// stays so. A class keeps at least one item in the rest; in data of which only a part is labelled, leastLabels: there labels are few, and the
// unlabelled items are kept aside in their place. Items without labels that are all in pairs are kept together: see splitPairs. Where there are items
// Aside, these are part, whatever the fraction. Nothing in part, or of a class that part and others have nothing in rest, is an error wrapping ErrDataset.
func (d Dataset) Split(fraction float64, seed uint64) (rest, part Dataset, err error) {
	if d.Aside != nil {
		return d.splitAside()
	}
	if !(fraction > 0 && fraction < 1) {
		return Dataset{}, Dataset{}, fmt.Errorf("split fraction %v: want more than 0 and less than 1", fraction)
	}
	if rest, part, ok := d.splitPairs(fraction, seed); ok {
		return rest, part, nil
	}
	inPart := make([]bool, d.Len())
	strata, unlabelled := itemsByClass(d.Labels)
	least := 1
	if len(unlabelled) > 0 {
		least = leastLabels
	}
	keep := func(items []int, least int) {
		for _, i := range items {
			inPart[i] = place(d.IDs[i], seed) < fraction
		}
		slices.SortStableFunc(items, func(a, b int) int { return cmp.Compare(place(d.IDs[b], seed), place(d.IDs[a], seed)) })
		for _, i := range items[:min(least, len(items))] {
			inPart[i] = false
		}
	}
	for _, items := range strata {
		keep(items, least)
	}
	keep(unlabelled, 1)
	rest, part = d.parted(inPart)
	if part.Len() == 0 {
		return Dataset{}, Dataset{}, fmt.Errorf("%w: a share of %v of %d items in %d classes leaves nothing to keep aside; add items or raise the share",
			ErrDataset, fraction, d.Len(), len(d.Classes))
	}
	return rest, part, nil
}

// parted returns the items that are not in the part, and those that are.
func (d Dataset) parted(inPart []bool) (rest, part Dataset) {
	var items [2][]int
	for i, in := range inPart {
		side := 0
		if in {
			side = 1
		}
		items[side] = append(items[side], i)
	}
	return d.Subset(items[0]), d.Subset(items[1])
}

// splitAside is Split of data of which a list says what is kept aside: items of classes that are learned from, or of others alone, as of voices that are
// compared without being known.
func (d Dataset) splitAside() (rest, part Dataset, err error) {
	rest, part = d.parted(d.Aside)
	if rest.Len() == 0 {
		return Dataset{}, Dataset{}, fmt.Errorf("%w: all of its %d items are of split validation: want some to learn from", ErrDataset, d.Len())
	}
	learned := map[int]bool{Unlabelled: true}
	for _, l := range rest.Labels {
		learned[l] = true
	}
	strange := slices.IndexFunc(part.Labels, func(l int) bool { return !learned[l] })
	if strange >= 0 && slices.ContainsFunc(part.Labels, func(l int) bool { return l != Unlabelled && learned[l] }) {
		return Dataset{}, Dataset{}, fmt.Errorf("%w: all items of class %q are of split validation, those of other classes are not: want some of it to learn from, or classes of its own in that split",
			ErrDataset, part.Label(strange))
	}
	part.Aside = nil
	return rest, part, nil
}

// place draws a number from 0 to 1 from a seed and an id.
func place(id string, seed uint64) float64 {
	sum := sha256.Sum256(append(binary.BigEndian.AppendUint64([]byte("split"), seed), id...))
	return float64(binary.BigEndian.Uint64(sum[:])>>11) / (1 << 53)
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
// same items and labels hash alike even where their Classes number the labels differently. It is an error when an item that is not held cannot be
// read any more.
func (d Dataset) Hash() (string, error) {
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
		raw, err := d.Item(i)
		if err != nil {
			return "", err
		}
		field(raw)
	}
	if len(d.Pairs) > 0 {
		field([]byte(hashPairs(d.Pairs)))
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
