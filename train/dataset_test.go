package train

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// toyDataset has counts[c] items of each class c, interleaved, and the given number of unlabelled ones.
func toyDataset(unlabelled int, counts ...int) Dataset {
	var d Dataset
	add := func(label int) {
		d.IDs = append(d.IDs, fmt.Sprintf("item-%03d", d.Len()))
		d.Raw = append(d.Raw, []byte{byte(d.Len()), byte(label + 1)})
		d.Labels = append(d.Labels, label)
	}
	for c := range counts {
		d.Classes = append(d.Classes, fmt.Sprintf("class %d", c))
	}
	left := slices.Clone(counts)
	for more := true; more; {
		more = false
		for c := range left {
			if left[c] > 0 {
				left[c]--
				add(c)
				more = true
			}
		}
	}
	for range unlabelled {
		add(Unlabelled)
	}
	return d
}

func TestDatasetSplit(t *testing.T) {
	d := toyDataset(0, 200, 100, 13, 1, 0)
	if err := d.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, fraction := range []float64{0.01, 0.1, 1.0 / 3, 0.5, 0.9, 0.999} {
		rest, part, err := d.Split(fraction, 7)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(rest.Validate(), part.Validate()); err != nil {
			t.Fatal(err)
		}
		all := append(slices.Clone(rest.IDs), part.IDs...)
		slices.Sort(all)
		if !slices.Equal(all, d.IDs) || !slices.IsSorted(rest.IDs) || !slices.IsSorted(part.IDs) {
			t.Fatalf("fraction %v: the two parts are not d in order", fraction)
		}
		// A binomial draw: within four standard deviations, and the item a class must keep.
		want := fraction * float64(d.Len())
		if off := 4*math.Sqrt(want*(1-fraction)) + 5; math.Abs(float64(part.Len())-want) > off {
			t.Errorf("fraction %v: %d items, want %.1f ± %.1f", fraction, part.Len(), want, off)
		}
		for c := Unlabelled; c < len(d.Classes); c++ {
			count := func(d Dataset) (n int) {
				for _, l := range d.Labels {
					if l == c {
						n++
					}
				}
				return n
			}
			if count(d) > 0 && count(rest) == 0 {
				t.Errorf("fraction %v: class %d has nothing left", fraction, c)
			}
		}
		_, again, err := d.Split(fraction, 7)
		if err != nil || hashOf(t, again) != hashOf(t, part) {
			t.Errorf("fraction %v: the same seed splits differently (%v)", fraction, err)
		}
	}
	_, a, _ := d.Split(0.5, 1)
	_, b, _ := d.Split(0.5, 2)
	if hashOf(t, a) == hashOf(t, b) {
		t.Error("another seed gives the same split")
	}
	for _, fraction := range []float64{0, 1, -1, math.NaN(), math.Inf(1)} {
		if _, _, err := d.Split(fraction, 1); err == nil || !strings.Contains(err.Error(), "want more than 0 and less than 1") {
			t.Errorf("fraction %v: error %v", fraction, err)
		}
	}
	for _, d := range []Dataset{{}, toyDataset(0, 1, 1, 1)} {
		if _, _, err := d.Split(0.1, 1); !errors.Is(err, ErrDataset) {
			t.Errorf("%d items: error %v", d.Len(), err)
		}
	}
}

func TestDatasetWithout(t *testing.T) {
	d := toyDataset(3, 4, 5)
	known, unseen, err := d.Without("class 1")
	if err != nil {
		t.Fatal(err)
	}
	if known.Len() != 7 || unseen.Len() != 5 || !slices.Equal(known.Classes, d.Classes) || !slices.Equal(unseen.Classes, d.Classes) {
		t.Fatalf("%d known, %d unseen", known.Len(), unseen.Len())
	}
	for i := range unseen.Len() {
		if unseen.Label(i) != "class 1" {
			t.Fatalf("unseen item %d is %q", i, unseen.Label(i))
		}
	}
	if slices.Contains(known.Labels, 1) || known.Label(6) != "" || known.Label(0) != "class 0" {
		t.Fatalf("known labels %v", known.Labels)
	}
	if _, _, err := d.Without("9"); !errors.Is(err, ErrDataset) || !strings.Contains(err.Error(), `no class "9"; the classes are "class 0", "class 1"`) {
		t.Fatalf("error %v", err)
	}
	if _, _, err := toyDataset(3).Without("9"); err == nil || !strings.Contains(err.Error(), "no labels") {
		t.Fatalf("error %v", err)
	}
	many := toyDataset(0, slices.Repeat([]int{1}, 30)...)
	if _, _, err := many.Without("9"); err == nil || !strings.Contains(err.Error(), `"class 19" and 10 more`) {
		t.Fatalf("error %v", err)
	}
}

func hashOf(t *testing.T, d Dataset) string {
	t.Helper()
	h, err := d.Hash()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestDatasetHash(t *testing.T) {
	base := func() Dataset { return toyDataset(1, 2, 2) }
	h := hashOf(t, base())
	if len(h) != 64 || hashOf(t, base()) != h {
		t.Fatalf("hash %q", h)
	}
	renumbered := base()
	renumbered.Classes = []string{"unused", "class 1", "class 0"}
	for i, l := range renumbered.Labels {
		renumbered.Labels[i] = []int{2, 1, Unlabelled}[(l+3)%3]
	}
	if hashOf(t, renumbered) != h {
		t.Error("renumbering the classes changed the hash")
	}
	for what, change := range map[string]func(*Dataset){
		"id":           func(d *Dataset) { d.IDs[1] = "x" },
		"raw":          func(d *Dataset) { d.Raw[2] = []byte{9} },
		"label":        func(d *Dataset) { d.Labels[0] = 1 },
		"no label":     func(d *Dataset) { d.Labels[0] = Unlabelled },
		"class name":   func(d *Dataset) { d.Classes = []string{"", "class 1"} },
		"one item off": func(d *Dataset) { *d = d.Subset([]int{0, 1, 2, 3}) },
		"order":        func(d *Dataset) { *d = d.Subset([]int{1, 0, 2, 3, 4}) },
		"border":       func(d *Dataset) { d.IDs[0], d.Raw[0] = d.IDs[0][:3], append([]byte(d.IDs[0][3:]), d.Raw[0]...) },
	} {
		d := base()
		change(&d)
		if hashOf(t, d) == h {
			t.Errorf("%s: the hash did not change", what)
		}
	}
}

func TestDatasetValidate(t *testing.T) {
	for want, change := range map[string]func(*Dataset){
		"equally long":     func(d *Dataset) { d.Labels = d.Labels[1:] },
		"empty id":         func(d *Dataset) { d.IDs[1] = "" },
		"share the id":     func(d *Dataset) { d.IDs[1] = d.IDs[0] },
		"is empty":         func(d *Dataset) { d.Raw[1] = nil },
		"has label 2":      func(d *Dataset) { d.Labels[1] = 2 },
		"has label -2, wa": func(d *Dataset) { d.Labels[1] = -2 },
	} {
		d := toyDataset(1, 2, 2)
		change(&d)
		if err := d.Validate(); !errors.Is(err, ErrDataset) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestWithClasses(t *testing.T) {
	d := Dataset{IDs: []string{"a", "b", "c", "d"}, Raw: [][]byte{{1}, {2}, {3}, {4}}, Labels: []int{1, 0, Unlabelled, 2}, Classes: []string{"cat", "dog", "emu"}}
	got := d.WithClasses([]string{"dog", "ant", "cat"})
	if !slices.Equal(got.Classes, []string{"dog", "ant", "cat", "emu"}) || !slices.Equal(got.Labels, []int{0, 2, Unlabelled, 3}) {
		t.Errorf("classes %v, labels %v", got.Classes, got.Labels)
	}
	if !slices.Equal(d.Labels, []int{1, 0, Unlabelled, 2}) || hashOf(t, got) != hashOf(t, d) {
		t.Errorf("the data set was changed: %+v", d)
	}
}
