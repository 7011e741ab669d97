package train

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/akin-search/akin/encoder"
)

func TestTurn(t *testing.T) {
	// 1 2   3 1   4 3   2 4     2 1   4 2   3 4   1 3
	// 3 4   4 2   2 1   1 3     4 3   3 1   1 2   2 4, the second channel being ten times the first
	pictures := [][]float32{{1, 10, 2, 20, 3, 30, 4, 40}, {3, 30, 1, 10, 4, 40, 2, 20}, {4, 40, 3, 30, 2, 20, 1, 10}, {2, 20, 4, 40, 1, 10, 3, 30},
		{2, 20, 1, 10, 4, 40, 3, 30}, {4, 40, 2, 20, 3, 30, 1, 10}, {3, 30, 4, 40, 1, 10, 2, 20}, {1, 10, 3, 30, 2, 20, 4, 40}}
	for q, want := range pictures {
		got := make([]float32, 8)
		turn(got, pictures[0], encoder.Size{Height: 2, Width: 2, Channels: 2}, q)
		if !slices.Equal(got, want) {
			t.Errorf("%d quarters: %v, want %v", q, got, want)
		}
	}
}

func TestVariants(t *testing.T) {
	d := Dataset{IDs: []string{"a", "b", "c"}, Raw: [][]byte{{1}, {2}, {3}}, Labels: []int{1, Unlabelled, 0}, Classes: []string{"x", "y"}}
	o := Options{Variants: VariantsJoined}
	got := d.copied(o.variants(), variantName)
	if err := got.Validate(); err != nil { // all names differ
		t.Fatal(err)
	}
	if want := []int{1, Unlabelled, 0, 3, Unlabelled, 2, 5, Unlabelled, 4, 7, Unlabelled, 6}; got.Len() != 48 || !slices.Equal(got.Labels[:12], want) {
		t.Errorf("labels %v, want %v first", got.Labels, want)
	}
	if got.Label(3) != "y@90" || got.IDs[11] != "c@270" || got.Raw[11][0] != 3 || got.Label(15) != "y@mirrored@90" || got.IDs[47] != "c@joined7" {
		t.Errorf("%+v", got)
	}
	r := run{features: []encoder.Features{{Data: []float32{1, 2, 3, 4}}, {Data: []float32{5, 6, 7, 8}}, {Data: []float32{9, 10, 11, 12}}}}
	r.copier = variantsOf(r.features, d.Labels, encoder.Size{Height: 2, Width: 2, Channels: 1})
	rng := rand.New(rand.NewPCG(1, 1))
	for item, want := range map[int][]float32{1: {5, 6, 7, 8}, 7: {8, 7, 6, 5}, 12: {2, 1, 4, 3}, 24: {1, 10, 3, 12}, 27: {1, 2, 11, 12}, 26: {9, 2, 11, 4}, 25: {5, 6, 7, 8}} {
		if p, _ := r.item(item, nil, rng); !slices.Equal(p, want) {
			t.Errorf("item %d: %v, want %v", item, p, want)
		}
	}
}

// TestPartners: a class is joined with four others, at all of its items, and never with itself.
func TestPartners(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, classes := range []int{5, 6, 32, 67} {
		labels := make([]int, 3*classes)
		for i := range labels {
			labels[i] = i % classes
		}
		p := newPartners(labels)
		for item := range classes {
			seen, items := map[int]bool{}, map[int]bool{}
			for kind := range 8 {
				for range 20 {
					i := p.draw(item, kind, rng)
					seen[labels[i]], items[i] = true, true
				}
			}
			if len(seen) != 4 || seen[item] || len(items) != 12 {
				t.Fatalf("%d classes: class %d is joined with classes %v, items %v", classes, item, seen, items)
			}
		}
	}
}

func TestVariantOptions(t *testing.T) {
	square, wide := encoder.Size{Height: 16, Width: 16, Channels: 1}, encoder.Size{Height: 16, Width: 20, Channels: 1}
	photos := Photos()
	for name, c := range map[string]struct {
		o              Options
		size           encoder.Size
		items, classes int
		want           string
	}{
		"many characters": {Options{}, square, 640, 32, VariantsJoined}, "few classes": {Options{}, square, 640, 31, ""}, "many of each": {Options{}, square, 3300, 32, ""},
		"photographs": {Options{Augmentation: &photos}, square, 640, 32, ""}, "not square": {Options{}, wide, 640, 32, ""},
		"no labels": {Options{Loss: "ntxent"}, square, 640, 32, ""}, "told not to": {Options{Variants: VariantsNone}, square, 640, 32, VariantsNone},
	} {
		c.o.SetDefaults(c.items, c.classes, c.size)
		if c.o.Variants != c.want {
			t.Errorf("%s: variants %q, want %q", name, c.o.Variants, c.want)
		}
		if err := c.o.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for says, c := range map[string]struct {
		o    Options
		size encoder.Size
	}{`variants "sheared": use none, turned`: {Options{Variants: "sheared"}, square}, "16×20": {Options{Variants: VariantsTurned}, wide}, "use mirrored": {Options{Variants: VariantsJoined, Loss: "ntxent"}, square}} {
		c.o.SetDefaults(640, 32, c.size)
		if err := c.o.Validate(); !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", says, err)
		}
	}
}

// crosses are drawings of so many kinds of crossed lines, anywhere on sheets of 80 pixels, five of each.
func crosses(classes int) Dataset {
	rng := rand.New(rand.NewPCG(3, 3))
	var d Dataset
	for c := range classes {
		d.Classes = append(d.Classes, strconv.Itoa(c))
		for n := range 5 {
			img := image.NewGray(image.Rect(0, 0, 80, 80))
			for i := range img.Pix {
				img.Pix[i] = 255
			}
			x0, y0 := 5+rng.IntN(30), 5+rng.IntN(30)
			for i := range 36 {
				img.SetGray(x0+i, y0+c%6*6, color.Gray{})
				img.SetGray(x0+c/6*6, y0+i, color.Gray{})
			}
			var b bytes.Buffer
			if err := png.Encode(&b, img); err != nil {
				panic(err) // into memory
			}
			d.IDs, d.Raw, d.Labels = append(d.IDs, strconv.Itoa(5*c+n)), append(d.Raw, b.Bytes()), append(d.Labels, c)
		}
	}
	return d
}

// TestDrawings: what training chooses for many kinds of drawings of a few each, and for the same ones fitted as somebody says.
func TestDrawings(t *testing.T) {
	d := crosses(32)
	small := encoder.Network{Input: encoder.Size{Height: 16, Width: 16, Channels: 1}, Layers: []encoder.Layer{
		{Kind: encoder.KindConv, Filters: 4, Kernel: 3, Stride: 2, ReLU: true}, {Kind: encoder.KindLinear, Units: 8}, {Kind: encoder.KindNormalize}}}
	var chosen Options
	o := Options{Size: 16, Epochs: 1, Begin: func(o Options) { chosen = o }, Network: small}
	m := mustRun(t, d, Dataset{}, o)
	if m.Preprocessing.Fit != encoder.FitTrim || chosen.Fit == nil || *chosen.Fit != encoder.FitTrim || chosen.Variants != VariantsJoined {
		t.Errorf("fitted by %v, options %v and %q", m.Preprocessing.Fit, chosen.Fit, chosen.Variants)
	}
	again := mustRun(t, d, Dataset{}, o)
	if !slices.EqualFunc(m.Weights, again.Weights, slices.Equal[[]float32]) {
		t.Error("two runs differ")
	}
	o.Fit, o.Variants = new(encoder.FitLetterbox), VariantsNone
	if m := mustRun(t, d, Dataset{}, o); m.Preprocessing.Fit != encoder.FitLetterbox || chosen.Variants != VariantsNone {
		t.Errorf("told otherwise: fitted by %v, variants %q", m.Preprocessing.Fit, chosen.Variants)
	}
}
