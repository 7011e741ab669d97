package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/akin-search/akin/encoder"
)

// connected are rows of a number, twice as much with some noise, and a category that is the sign of the first.
func connected(n int, seed uint64) Dataset {
	rng := rand.New(rand.NewPCG(seed, 1))
	var d Dataset
	for i := range n {
		x := rng.NormFloat64()
		sign := "minus"
		if x > 0 {
			sign = "plus"
		}
		d.IDs, d.Labels = append(d.IDs, fmt.Sprintf("r%d", i)), append(d.Labels, Unlabelled)
		d.Raw = append(d.Raw, fmt.Appendf(nil, `[%.4f,%.4f,"%s"]`, 100+10*x, 20*x+0.1*rng.NormFloat64(), sign))
	}
	return d
}

// startOf trains for hardly a step, and returns the model.
func startOf(t *testing.T, d Dataset, o Options) *encoder.Model {
	t.Helper()
	o.Epochs, o.Rate, o.Threads = 1, 1e-9, 1
	m, err := Run(context.Background(), d, Dataset{}, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestRowsKeepDistances: by cosine, a row that breaks what the columns have to do with each other is farther than one that is as unusual column by column.
func TestRowsKeepDistances(t *testing.T) {
	m := startOf(t, connected(400, 1), Options{})
	e, err := encoder.NewEncoder(m, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	v, err := e.Encode(context.Background(), []byte(`[100,0,"plus"]`), []byte(`[103,6,"plus"]`), []byte(`[103,-6,"plus"]`), []byte(`[106,12,"plus"]`))
	if err != nil {
		t.Fatal(err)
	}
	cosine := func(a, b []float32) (sum float64) {
		for i := range a {
			sum += float64(a[i]) * float64(b[i])
		}
		return sum
	}
	near, broken, far := 1-cosine(v[0], v[1]), 1-cosine(v[0], v[2]), 1-cosine(v[0], v[3])
	if !(far > near && broken > 3*near) {
		t.Errorf("distances: %g along, %g twice as far along, %g across", near, far, broken)
	}
	if w := m.Weights[0]; len(w) != m.Preprocessing.Size.Channels*(m.Preprocessing.Size.Channels+1) {
		t.Errorf("%d weights of the fixed layer", len(w))
	}
}

// TestRowsStart compares the map with its definition: the squared distance is that of the features and that after whitening, each over what is usual.
func TestRowsStart(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 5))
	var features []encoder.Features
	for range 300 {
		a, b := rng.NormFloat64(), rng.NormFloat64()
		features = append(features, encoder.Features{Data: []float32{float32(a), float32(0.1 * b)}, Shape: []int{1, 1, 2}})
	}
	n := encoder.ForRows(encoder.Size{Height: 1, Width: 1, Channels: 2}, 2, 4, 1)
	weights, err := n.Initialize(rng)
	if err == nil {
		err = startRows(encoder.Preprocessing{}, n, weights, features, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	// The features are nearly without connection: the map is nearly a weight for each, and 1/variance + 1/shrunk variance says which.
	along := func(x, y float64) (square float64) {
		for k := range 2 {
			v := x*float64(weights[0][k]) + y*float64(weights[0][3+k])
			square += v * v
		}
		return square
	}
	if weights[0][2] != 0 || weights[0][5] != 0 || weights[1][2] != rowConstant {
		t.Errorf("the constant: weights %v, biases %v", weights[0], weights[1])
	}
	shrunk := func(v float64) float64 { return (1-rowShrinkage)*v + rowShrinkage }
	got := along(0, 1) / along(1, 0)
	var plain, white float64 // what is usual, from the same rows by another way
	plain, white = usual(features, 1, 1), usual(features, 1/shrunk(1), 1/shrunk(0.01))
	want := (1/plain + 1/shrunk(0.01)/white) / (1/plain + 1/shrunk(1)/white)
	if math.Abs(got-want) > 0.2*want {
		t.Errorf("the second feature counts %g times the first, want about %g", got, want)
	}
}

// usual is the median of the mean squared distances from rows of even number to their five nearest of odd number.
func usual(features []encoder.Features, wx, wy float64) float64 {
	var all []float64
	for i := 0; i < len(features); i += 2 {
		var d []float64
		for j := 1; j < len(features); j += 2 {
			x, y := float64(features[i].Data[0]-features[j].Data[0]), float64(features[i].Data[1]-features[j].Data[1])
			d = append(d, wx*x*x+wy*y*y)
		}
		slices.Sort(d)
		all = append(all, (d[0]+d[1]+d[2]+d[3]+d[4])/5)
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// TestRowViews: a view has a share of its columns from other rows, categories as a whole, and nothing else.
func TestRowViews(t *testing.T) {
	p := encoder.Preprocessing{Modality: encoder.ModalityTable, Size: encoder.Size{Height: 1, Width: 1, Channels: 4}, Table: &encoder.Table{Columns: []encoder.Column{
		{Name: "1", Kind: encoder.ColumnNumber, Deviation: 1}, {Name: "2", Kind: encoder.ColumnUnused}, {Name: "3", Kind: encoder.ColumnCategory, Values: []string{"a", "b"}}}}}
	others := []float32{5, 1, 0, 0, 6, 0, 1, 0}
	src, dst := []float32{1, 0, 0, 1}, make([]float32, 4)
	rng := rand.New(rand.NewPCG(1, 2))
	views := rowViews(Options{Augmentation: &Augmentation{Replace: 0.25}}, p, others)
	replaced := 0
	for range 2000 {
		views.Apply(dst, src, rng)
		if dst[0] != 1 {
			replaced++
		}
		if c := [3]float32(dst[1:]); c != [3]float32{0, 0, 1} && c != [3]float32{1, 0, 0} && c != [3]float32{0, 1, 0} {
			t.Fatalf("a category became %v", c)
		}
	}
	if replaced < 400 || replaced > 600 {
		t.Errorf("%d of 2000 numbers were replaced, want a quarter", replaced)
	}
	shift := rowShifts(p, others)[0]
	for range 100 {
		if shift.apply(dst, src, rng); slices.Equal(dst, src) {
			t.Fatal("a shifted row is the row itself")
		}
	}
}

// TestRowsDeterministic: an interrupted run ends in the same model, with labels and without.
func TestRowsDeterministic(t *testing.T) {
	labelled := connected(120, 3)
	labelled.Classes = []string{"a", "b"}
	for i := range labelled.Labels {
		labelled.Labels[i] = i % 2
	}
	one := connected(120, 4)
	one.Classes = []string{"normal"}
	for i := range one.Labels {
		one.Labels[i] = 0
	}
	for name, d := range map[string]Dataset{"without labels": connected(120, 2), "labels": labelled, "one class": one} {
		var files [][]byte
		for _, interrupted := range []bool{false, true} {
			o := Options{Epochs: 2, Seed: 7, Checkpoint: t.TempDir() + "/c"}
			if interrupted {
				ctx, cancel := context.WithCancel(context.Background())
				stop := o
				stop.Progress = func(p Progress) {
					if p.Step == p.Steps/p.Epochs {
						cancel()
					}
				}
				if _, err := Run(ctx, d, Dataset{}, stop); err == nil {
					t.Fatal("it was not interrupted")
				}
				o.Resume = true
			}
			m, err := Run(context.Background(), d, Dataset{}, o)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			b, err := m.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, b)
		}
		if !bytes.Equal(files[0], files[1]) {
			t.Errorf("%s: another model after an interruption", name)
		}
	}
}

// TestUnlabelledRowsCountLittle: what was learned without labels is a small part of the distance between rows.
func TestUnlabelledRowsCountLittle(t *testing.T) {
	d := connected(200, 5)
	m, err := Run(context.Background(), d, Dataset{}, Options{Epochs: 2, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	e, err := encoder.NewEncoder(m, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	v, err := e.Encode(context.Background(), d.Raw...)
	if err != nil {
		t.Fatal(err)
	}
	kept := m.Network.Layers[0].Units
	var before, beside float64
	for i := range v[1:] {
		for j := range v[i] {
			x := float64(v[i][j] - v[i+1][j])
			if j < kept {
				before += x * x
			} else {
				beside += x * x
			}
		}
	}
	if !(beside > 0 && beside < 0.1*before) {
		t.Errorf("squared distances of %g by what is kept, %g by what was learned", before, beside)
	}
}

// TestRowsRefuse: options of other data are refused with what to do.
func TestRowsRefuse(t *testing.T) {
	yes := true
	digits := Digits()
	for want, o := range map[string]Options{
		"size 32 is for pictures": {Size: 32}, "variants": {Variants: "turns"}, "voices are for sounds": {Voices: &yes},
		"robust is for pictures": {Robust: DefaultRobust()}, "augmentation digits is not for rows": {Augmentation: &digits},
	} {
		if _, err := Run(context.Background(), connected(20, 1), Dataset{}, o); !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want ErrOptions with %q", err, want)
		}
	}
}
