package train

import (
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestParseAugmentation(t *testing.T) {
	for _, name := range []string{"digits", "photos", "views", "none"} {
		a, err := ParseAugmentation(name)
		if err != nil || a.String() != name || a.Validate() != nil {
			t.Errorf("%s: %v, %v", name, a, err)
		}
	}
	if a, err := ParseAugmentation("auto"); a != nil || err != nil {
		t.Errorf("auto: %v, %v", a, err)
	}
	if _, err := ParseAugmentation("Digits"); !errors.Is(err, ErrOptions) {
		t.Errorf("an unknown name: %v", err)
	}
	if s := (Augmentation{Flip: 0.1}).String(); s != "custom" {
		t.Errorf("one of nobody's: %s", s)
	}
}

// bars returns noisy pictures of 12×12 pixels with a bar of four pixels. The class is how far to the right it lies, of four places which
// mirroring mixes up; or else the row, of four that touch, which bending mixes up.
func bars(n int, rows bool) Dataset {
	rng := rand.New(rand.NewPCG(1, 2))
	d := Dataset{IDs: numbered("bar-", n), Classes: []string{"a", "b", "c", "d"}}
	const side = 12
	for range n {
		label := rng.IntN(4)
		x, y := []int{0, 2, 6, 8}[label], rng.IntN(side)
		if rows {
			x, y = rng.IntN(side-3), 4+label
		}
		raw := make([]byte, idxImageHeader+side*side)
		putIDXImageHeader(raw, side, side)
		for i := range side * side {
			raw[idxImageHeader+i] = byte(rng.IntN(100))
		}
		for i := range 4 {
			raw[idxImageHeader+y*side+x+i] = byte(100 + rng.IntN(150))
		}
		d.Raw, d.Labels = append(d.Raw, raw), append(d.Labels, label)
	}
	return d
}

// TestChooseAugmentation chooses for classes that one of the presets mixes up, which the trial must find, and for few items and without
// labels, where there is no trial.
func TestChooseAugmentation(t *testing.T) {
	choose := func(d Dataset, loss string, threads int) (chosen string, tried map[string]float64) {
		tried = map[string]float64{}
		o := Options{Loss: loss, Threads: threads, Epochs: 16, Tried: func(t Tried) { tried[strings.TrimPrefix(t.What, "augmentation ")] = t.Value }}
		pre, err := o.preprocessing(d)
		if err != nil {
			t.Fatal(err)
		}
		o.setDefaultsFor(d, pre.Size)
		r, err := newRun(t.Context(), d, Dataset{}, pre, o)
		if err != nil {
			t.Fatal(err)
		}
		a, err := r.chooseAugmentation(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return a.String(), tried
	}
	sides := bars(1200, false)
	chosen, tried := choose(sides, "", 1)
	if len(tried) != 2 || tried["digits"] <= tried["photos"] || chosen != "digits" {
		t.Errorf("sides: %v, chosen %s", tried, chosen)
	}
	if _, again := choose(sides, "", 2); !maps.Equal(tried, again) {
		t.Errorf("on two threads %v, on one %v", again, tried)
	}
	if chosen, tried := choose(bars(1200, true), "", 1); tried["photos"] <= tried["digits"] || chosen != "photos" {
		t.Errorf("rows: %v, chosen %s", tried, chosen)
	}
	if chosen, tried := choose(sides.Subset(integers(2*leastTrial-1)), "", 1); len(tried) != 0 || chosen != "digits" {
		t.Errorf("too few items: %v, chosen %s", tried, chosen)
	}
	for loss, want := range map[LossKind]string{LossNTXent: "views", LossVICReg: "views", LossMoCo: "views", LossOneClass: "mild"} {
		if chosen, tried := choose(sides, loss.String(), 1); len(tried) != 0 || chosen != want {
			t.Errorf("loss %v takes no labels: %v, chosen %s", loss, tried, chosen)
		}
	}
}

// TestRunChooses trains with the augmentation that the trial finds, and with the one that is set.
func TestRunChooses(t *testing.T) {
	photos := Photos()
	for _, set := range []*Augmentation{nil, &photos} {
		trials, begun := 0, ""
		o := Options{Epochs: 2, Threads: 1, Augmentation: set, Tried: func(Tried) { trials++ }}
		o.Begin = func(chosen Options) { begun = chosen.Augmentation.String() }
		m, err := Run(t.Context(), bars(1000, false), Dataset{}, o)
		if err != nil {
			t.Fatal(err)
		}
		var rec Record
		if err := json.Unmarshal(m.Record, &rec); err != nil {
			t.Fatal(err)
		}
		if rec.Options.Network.Layers[0].Filters != map[string]int{"digits": 16, "photos": 32}[begun] {
			t.Errorf("%s: the network is %+v", begun, rec.Options.Network)
		}
		if (set == nil) != (trials == 2) || set != nil && begun != "photos" || rec.Options.Augmentation.String() != begun {
			t.Errorf("%v set: %d trials, %s begun, %v recorded", set, trials, begun, rec.Options.Augmentation)
		}
	}
}
