package train

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// samplers builds one of each kind over the same labels.
func samplers(t testing.TB, labels []int, seed uint64) map[string]Sampler {
	t.Helper()
	out := map[string]Sampler{}
	add := func(name string, s Sampler, err error) {
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[name] = s
	}
	s, err := NewPK(labels, 4, 3, seed)
	add("pk", s, err)
	s, err = NewPairs(labels, 12, seed)
	add("pairs", s, err)
	s, err = NewViews(len(labels), 12, seed)
	add("views", s, err)
	s, err = NewEach(labels, 12, seed)
	add("each", s, err)
	return out
}

// mixedLabels returns labels of uneven classes with gaps in their numbers, a fifth of them unlabelled.
func mixedLabels(n int, seed uint64) []int {
	rng := rand.New(rand.NewPCG(seed, 77))
	labels := make([]int, n)
	for i := range labels {
		labels[i] = []int{0, 0, 0, 2, 2, 3, 7, Unlabelled, 7, Unlabelled}[rng.IntN(10)]
	}
	return labels
}

// TestSamplersAreDeterministic: a resumed run replays its sampler, so the same seed must give the same batches.
func TestSamplersAreDeterministic(t *testing.T) {
	labels := mixedLabels(101, 1)
	for name, a := range samplers(t, labels, 42) {
		t.Run(name, func(t *testing.T) {
			same, other := samplers(t, labels, 42)[name], samplers(t, labels, 43)[name]
			x, y, o := NewBatch(12), NewBatch(12), NewBatch(12)
			differs := false
			for step := range 60 {
				a.Next(x)
				same.Next(y)
				other.Next(o)
				differs = differs || !slices.Equal(x.Items, o.Items)
				if !slices.Equal(x.Items, y.Items) || !slices.Equal(x.Labels, y.Labels) {
					t.Fatalf("step %d: same seed, other batch", step)
				}
			}
			if !differs {
				t.Error("another seed gives the same batches")
			}
			if n := testing.AllocsPerRun(100, func() { a.Next(x) }); n != 0 {
				t.Errorf("%v allocations a batch", n)
			}
		})
	}
}

func TestDeckDealsAllBeforeRepeats(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 3))
		n := 1 + rng.IntN(20)
		d := newDeck(integers(n))
		dst := make([]int, 1+rng.IntN(25))
		var dealt []int
		for range 20 {
			d.deal(dst, rng)
			dealt = append(dealt, dst...)
			seen := slices.Clone(dst)
			slices.Sort(seen)
			if len(slices.Compact(seen)) != min(len(dst), n) {
				t.Fatalf("seed %d: %d of %d items give %v", seed, len(dst), n, dst)
			}
		}
		for len(dealt) >= n {
			round := slices.Sorted(slices.Values(dealt[:n]))
			if !slices.Equal(round, integers(n)) {
				t.Fatalf("seed %d: a round of %d holds %v", seed, n, round)
			}
			dealt = dealt[n:]
		}
	}
}

func TestPKBatches(t *testing.T) {
	labels := mixedLabels(203, 3)
	const p, k = 3, 4
	s, err := NewPK(labels, p, k, 9)
	if err != nil {
		t.Fatal(err)
	}
	b := NewBatch(s.Size())
	perClass, perItem := map[int]int{}, map[int]int{}
	const steps = 400
	for range steps {
		s.Next(b)
		distinct := map[int]bool{}
		for i, item := range b.Items {
			if b.Labels[i] != labels[item] || labels[item] == Unlabelled || b.Labels[i] != b.Labels[i/k*k] {
				t.Fatalf("row %d: item %d of class %d has label %d", i, item, labels[item], b.Labels[i])
			}
			distinct[b.Labels[i]] = true
			perClass[b.Labels[i]]++
			perItem[item]++
		}
		if len(distinct) != p {
			t.Fatalf("%d classes in a batch, want %d", len(distinct), p)
		}
		items := slices.Sorted(slices.Values(b.Items))
		if len(slices.Compact(items)) != p*k {
			t.Fatalf("an item comes twice: %v", b.Items)
		}
	}
	if len(perClass) != 4 {
		t.Fatalf("classes %v", perClass)
	}
	for c, n := range perClass {
		if n < steps*p*k/4-k || n > steps*p*k/4+k {
			t.Errorf("class %d came %d times, want %d", c, n, steps*p*k/4)
		}
	}
	least, most := map[int]int{}, map[int]int{}
	for item, l := range labels {
		if l == Unlabelled {
			continue
		}
		n := perItem[item]
		if _, ok := least[l]; !ok || n < least[l] {
			least[l] = n
		}
		most[l] = max(most[l], n)
	}
	for l := range least {
		if most[l]-least[l] > 1 {
			t.Errorf("class %d: items came %d to %d times", l, least[l], most[l])
		}
	}
}

func TestPKFewClassesAndItems(t *testing.T) {
	labels := []int{4, 4, 9, Unlabelled, 4}
	s, err := NewPK(labels, 5, 4, 1)
	if err != nil {
		t.Fatal(err)
	}
	b := NewBatch(s.Size())
	n := map[int]int{}
	for range 10 {
		s.Next(b)
		for i, item := range b.Items {
			if b.Labels[i] != labels[item] {
				t.Fatalf("item %d has label %d", item, b.Labels[i])
			}
			n[b.Labels[i]]++
		}
	}
	if n[4] != 100 || n[9] != 100 {
		t.Fatalf("class counts %v, want 100 each", n)
	}
}

func TestPairsBatches(t *testing.T) {
	for name, labels := range map[string][]int{
		"labelled":                 {0, 0, 0, 1, 1, 2, 2, 2, 2, 3},
		"unlabelled":               slices.Repeat([]int{Unlabelled}, 10),
		"mixed":                    mixedLabels(40, 4),
		"one class and unlabelled": {5, 5, 5, Unlabelled, Unlabelled},
	} {
		s, err := NewPairs(labels, 8, 3)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		counts := slices.DeleteFunc(slices.Clone(labels), func(l int) bool { return l == Unlabelled })
		slices.Sort(counts)
		classes := len(slices.Compact(counts))
		b := NewBatch(8)
		met := map[[2]int]int{}
		for range 3000 {
			s.Next(b)
			for r := 0; r < 8; r += 2 {
				x, y := b.Items[r], b.Items[r+1]
				similar := r%4 == 0
				if (b.Labels[r] == b.Labels[r+1]) != similar {
					t.Fatalf("%s: pair %d of items %d, %d has labels %d, %d", name, r/2, x, y, b.Labels[r], b.Labels[r+1])
				}
				for i, item := range []int{x, y} {
					if l := labels[item]; l != Unlabelled && b.Labels[r+i] != l || l == Unlabelled && b.Labels[r+i] <= slices.Max(labels) {
						t.Fatalf("%s: item %d of class %d has label %d", name, item, l, b.Labels[r+i])
					}
				}
				switch {
				case similar && labels[x] == Unlabelled && x != y, similar && labels[x] != labels[y]:
					t.Fatalf("%s: similar pair %d, %d", name, x, y)
				case !similar && (x == y || labels[x] != Unlabelled && labels[x] == labels[y]):
					t.Fatalf("%s: dissimilar pair %d, %d", name, x, y)
				case !similar && classes > 1 && labels[x] != Unlabelled && labels[y] == Unlabelled:
					t.Fatalf("%s: labelled %d has the unlabelled mate %d", name, x, y)
				}
				met[[2]int{x, y}]++
			}
		}
		if name == "labelled" {
			for x := range labels {
				for y := range labels {
					alone := labels[x] == 3
					if n := met[[2]int{x, y}]; (n == 0) != (x == y && !alone) {
						t.Errorf("pair %d, %d came %d times", x, y, n)
					}
				}
			}
		}
	}
}

func TestViewsBatches(t *testing.T) {
	v, err := NewViews(7, 6, 2)
	if err != nil {
		t.Fatal(err)
	}
	b := NewBatch(6)
	var order []int
	for range 70 {
		v.Next(b)
		for r := 0; r < 6; r += 2 {
			if b.Items[r] != b.Items[r+1] || b.Labels[r] != b.Items[r] || b.Labels[r+1] != b.Items[r] {
				t.Fatalf("batch %v", b)
			}
			order = append(order, b.Items[r])
		}
	}
	for i := 0; i < len(order); i += 7 {
		if !slices.Equal(slices.Sorted(slices.Values(order[i:i+7])), integers(7)) {
			t.Fatalf("round %d: %v", i/7, order[i:i+7])
		}
	}
}

// TestEachBatches: rounds of all items, with their classes, the unlabelled ones alone with their labels.
func TestEachBatches(t *testing.T) {
	labels := mixedLabels(10, 4)
	s, err := NewEach(labels, 5, 2)
	if err != nil {
		t.Fatal(err)
	}
	b, items, own := NewBatch(5), []int(nil), map[int]int{}
	for range 4 {
		s.Next(b)
		items = append(items, b.Items...)
		for i, item := range b.Items {
			if l := b.Labels[i]; labels[item] != Unlabelled && l != labels[item] {
				t.Errorf("item %d of class %d has label %d", item, labels[item], l)
			} else if labels[item] == Unlabelled {
				if other, known := own[l]; known && other != item {
					t.Errorf("unlabelled items %d and %d share label %d", item, other, l)
				}
				own[l] = item
			}
		}
	}
	for i := range 2 {
		if round := slices.Sorted(slices.Values(items[10*i : 10*i+10])); !slices.Equal(round, integers(10)) {
			t.Errorf("round %d holds %v", i, round)
		}
	}
	for l, item := range own {
		if slices.Contains(labels, l) {
			t.Errorf("unlabelled item %d has the label %d of a class", item, l)
		}
	}
}

func TestSamplerErrors(t *testing.T) {
	fail := func(want string) func(Sampler, error) {
		return func(s Sampler, err error) {
			t.Helper()
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("sampler %v, error %v, want %q", s, err, want)
			}
		}
	}
	fail("2 or more of both")(NewPK([]int{0, 1}, 1, 2, 0))
	fail("2 or more of both")(NewPK([]int{0, 1}, 2, 1, 0))
	fail("name 1 classes")(NewPK([]int{0, 0, Unlabelled}, 2, 2, 0))
	fail("name 0 classes")(NewPK(nil, 2, 2, 0))
	fail("has label -2")(NewPK([]int{0, 1, -2}, 2, 2, 0))
	fail("even number")(NewPairs([]int{0, 1}, 5, 0))
	fail("no dissimilar pair")(NewPairs([]int{1, 1}, 4, 0))
	fail("no dissimilar pair")(NewPairs([]int{Unlabelled}, 4, 0))
	fail("even number")(NewViews(9, 2, 0))
	fail("make the batch 6 or smaller")(NewViews(3, 8, 0))
	fail("make it 1 to 3")(NewEach([]int{0, 1, 2}, 4, 0))
	fail("make it 1 to 3")(NewEach([]int{0, 1, 2}, 0, 0))
	fail("has label -3")(NewEach([]int{0, 1, -3}, 2, 0))

	s, err := NewPairs([]int{0, 1}, 4, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a batch of the wrong size did not panic")
		}
	}()
	s.Next(NewBatch(3))
}

func BenchmarkSampler(b *testing.B) {
	labels := make([]int, 60000)
	for i := range labels {
		labels[i] = i % 10
	}
	s, err := NewPK(labels, 9, 28, 1)
	if err != nil {
		b.Fatal(err)
	}
	batch := NewBatch(s.Size())
	for b.Loop() {
		s.Next(batch)
	}
}
