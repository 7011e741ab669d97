package train

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
)

// oneKind is one class of stripes: horizontal ones.
func oneKind(n int, seed uint64) Dataset {
	known, _, _ := stripes(3*n, seed).Without("vertical")
	_, own, _ := known.Without("horizontal")
	return own
}

// units are the features of pictures of the size, between 0 and 1.
func units(h, w, c int) encoder.Preprocessing {
	p := encoder.Preprocessing{Modality: encoder.ModalityImage, Size: encoder.Size{Height: h, Width: w, Channels: c}}
	for range c {
		p.Mean, p.Deviation = append(p.Mean, 0), append(p.Deviation, 1)
	}
	return p
}

// TestPictureShifts: every shift changes a picture, keeps its values or those around it where it only moves them, and draws all from rng.
func TestPictureShifts(t *testing.T) {
	for _, s := range []encoder.Size{{Height: 12, Width: 12, Channels: 1}, {Height: 9, Width: 13, Channels: 3}, {Height: 1, Width: 1, Channels: 1}} {
		around := slices.Repeat([]float32{-1}, s.Channels)
		shifts := pictureShifts(units(s.Height, s.Width, s.Channels), around)
		names := ""
		src := make([]float32, s.Height*s.Width*s.Channels)
		for i := range src {
			src[i] = float32(i)
		}
		for _, shift := range shifts {
			names += shift.name + " "
			apply := func(seed uint64) []float32 {
				dst := make([]float32, len(src))
				shift.apply(dst, src, rand.New(rand.NewPCG(seed, 1)))
				return dst
			}
			changed := 0
			for seed := range uint64(20) {
				got := apply(seed)
				if !slices.Equal(got, apply(seed)) {
					t.Fatalf("%v, %s: the same seed gives another picture", s, shift.name)
				}
				if !slices.Equal(got, src) {
					changed++
				}
				for at, v := range got {
					if shift.name != "bend" && shift.name != "squeeze" && v != -1 && (v != float32(int(v)) || int(v)%s.Channels != at%s.Channels) {
						t.Fatalf("%v, %s: value %g at %d", s, shift.name, v, at)
					}
				}
				if sorted := slices.Sorted(slices.Values(got)); shift.whole && !slices.Equal(sorted, src) {
					t.Fatalf("%v, %s loses values", s, shift.name)
				}
			}
			if changed < 18 && s.Height > 1 {
				t.Errorf("%v, %s changed %d of 20", s, shift.name, changed)
			}
		}
		if square := strings.Contains(names, "turn90"); square != (s.Height == s.Width) {
			t.Errorf("%v: shifts %s", s, names)
		}
	}
}

// TestAlike: a picture that looks the same from below is told from one that does not.
func TestAlike(t *testing.T) {
	symmetric, upright := make([]encoder.Features, 40), make([]encoder.Features, 40)
	rng := rand.New(rand.NewPCG(9, 9))
	for i := range symmetric {
		a, b := make([]float32, 36), make([]float32, 36)
		for j := range 18 {
			a[j] = rng.Float32()
			a[35-j], b[j] = a[j], a[j]
		}
		symmetric[i].Data, upright[i].Data = a, b
	}
	half := pictureShifts(units(6, 6, 1), []float32{0})[1]
	same := func(items []encoder.Features) bool { return alike(half, items, (&run{modality: pictures}).seen, 1) }
	if half.name != "turn180" || !same(symmetric) || same(upright) {
		t.Errorf("%s: symmetric pictures %v, others %v", half.name, same(symmetric), same(upright))
	}
}

// TestShiftedViews: each item of a batch has two rows as it is and one of each copy, and all items come before any comes again.
func TestShiftedViews(t *testing.T) {
	s, err := newShiftedViews(10, 4, 25, 3)
	if err != nil {
		t.Fatal(err)
	}
	b, seen := NewBatch(s.Size()), map[int]int{}
	for range 2 {
		s.Next(b)
		for row := 0; row < len(b.Items); row += 5 {
			item := b.Items[row]
			seen[item]++
			for i, q := range []int{0, 0, 1, 2, 3} {
				if got := b.Items[row+i]; got != q*10+item || b.Labels[row+i] != got {
					t.Fatalf("row %d: copy %d of item %d is %d with label %d", row+i, q, item, got, b.Labels[row+i])
				}
			}
		}
	}
	if len(seen) != 10 || s.Size() != 25 {
		t.Errorf("two batches of %d rows showed items %v", s.Size(), seen)
	}
	if n := testing.AllocsPerRun(20, func() { s.Next(b) }); n > 0 {
		t.Errorf("%g allocations a batch", n)
	}
	if _, err := newShiftedViews(1, 4, 25, 3); !errors.Is(err, ErrDataset) {
		t.Errorf("one item: %v", err)
	}
}

// TestOneClassLoss: it is SupCon of the two views of each item against all rows, and half of the cross-entropy of the shift; and so is the
// gradient, by central differences.
func TestOneClassLoss(t *testing.T) {
	const items, copies, dim = 4, 3, 6
	r := run{modality: pictures, pre: units(4, 4, 1), around: []float32{0}}
	r.Shifts = []string{"turn180", "blank"}
	r.data = Dataset{IDs: []string{"a", "b", "c", "d"}, Raw: make([][]byte, items), Labels: []int{Unlabelled, 0, 0, Unlabelled}, Classes: []string{"x"}}
	_, d := r.shifted()
	if want := []int{0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2}; !slices.Equal(d.Labels, want) || d.Label(5) != "normal@turn180" || d.IDs[8] != "a@blank" {
		t.Fatalf("copies %v of %v, labels %v", d.IDs, d.Classes, d.Labels)
	}
	s, err := newShiftedViews(items, copies, 100, 2)
	if err != nil {
		t.Fatal(err)
	}
	b := NewBatch(s.Size())
	s.Next(b)
	o, err := newOneClassLoss(d, 0.2, dim, 7)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(4, 4))
	emb, grad := unitRows(rng, len(b.Items), dim, 3), kernel.NewMatrix(len(b.Items), dim)
	loss := float64(o.Loss(b, emb, grad))

	weights := flat64(NewArcFace(copies, dim, shiftTemperature, 0, 7).(*arcFace).weights)
	shift := make([]int, len(b.Items))
	for row, item := range b.Items {
		shift[row] = item / items
	}
	x := flat64(emb)
	rows := slices.Collect(slices.Chunk(x, dim))
	formula := func() float64 {
		return naiveSupCon(0.2)(rows, b.Labels) + shiftWeight*naiveArcFace(x, weights, copies, dim, shift, 1/shiftTemperature, 0)
	}
	if want := formula(); loss-want > 1e-4 || want-loss > 1e-4 {
		t.Errorf("loss %g, want %g", loss, want)
	}
	checkSlopes(t, "one-class", x, grad.Data, formula)
}

// TestOneClassRuns: one class alone is trained so, tells pictures of another after it, gives the same model on more threads, and resumes to the
// same bits.
func TestOneClassRuns(t *testing.T) {
	d, held := oneKind(200, 1), oneKind(60, 2)
	o := quick("")
	o.Batch, o.Epochs = 96, 6
	m := mustRun(t, d, held, o)
	var rec Record
	if err := json.Unmarshal(m.Record, &rec); err != nil {
		t.Fatal(err)
	}
	if rec.Options.Loss != "one-class" || !slices.Contains(rec.Options.Shifts, "turn90") || rec.Metrics != nil {
		t.Errorf("record %+v", rec.Options)
	}
	_, strange, err := stripes(180, 3).Without("vertical")
	if err != nil {
		t.Fatal(err)
	}
	known := embedAll(t, m, d)
	score := func(q Dataset) (s []float64) {
		rows := embedAll(t, m, q)
		for i := range rows.Rows {
			best := -1.0
			for j := range known.Rows {
				best = max(best, dot(rows.Row(i), known.Row(j)))
			}
			s = append(s, 1-best)
		}
		return s
	}
	if a, err := AUROC(score(held), score(strange)); err != nil || a < 0.9 {
		t.Errorf("AUROC %g of vertical bars against horizontal ones, %v", a, err)
	}
	o.Threads = 3
	if string(modelBytes(t, m)) != string(modelBytes(t, mustRun(t, d, held, o))) {
		t.Error("three threads give another model than one")
	}
	o.Threads, o.Epochs = 1, 2
	checkResumes(t, d, held, o, modelBytes(t, mustRun(t, d, held, o)), 3)
}

// TestOneClassIsChosen: for one class and nothing else, and where it is asked for.
func TestOneClassIsChosen(t *testing.T) {
	loss := func(d Dataset, change func(*Options)) (chosen string) {
		o := quick("")
		o.Epochs, o.Begin = 1, func(o Options) { chosen = o.Loss + " " + strings.Join(o.Shifts, " ") }
		change(&o)
		mustRun(t, d, Dataset{}, o)
		return chosen
	}
	some := oneKind(40, 1)
	some.Labels = slices.Clone(some.Labels)
	some.Labels[3] = Unlabelled
	for name, test := range map[string]struct {
		d      Dataset
		change func(*Options)
		want   string
	}{
		"one class, and some without": {some, func(*Options) {}, "ntxent "},
		"three classes, asked for":    {stripes(40, 1), func(o *Options) { o.Loss, o.Shifts = "one-class", []string{"bend"} }, "one-class bend"},
		"no shift":                    {oneKind(40, 1), func(o *Options) { o.Shifts = []string{} }, "one-class "},
	} {
		if got := loss(test.d, test.change); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	o := quick("one-class")
	o.Shifts = []string{"turn45"}
	if _, err := Run(t.Context(), oneKind(40, 1), Dataset{}, o); !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), "turn180") {
		t.Errorf("an unknown shift: %v", err)
	}
}
