package train

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestReadPairs(t *testing.T) {
	got, err := ReadPairs(strings.NewReader("a.png,b.png,1\n\"c,d.png\",a.png,0\na,a,1\n"))
	if want := []Pair{{"a.png", "b.png", 1}, {"c,d.png", "a.png", 0}, {"a", "a", 1}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	for text, want := range map[string]string{
		"": "no pairs", "a,b\n": "record on line 1", "a,b,1\na,b,2\n": `line 2: "2" is neither`, "a,,1\n": "line 1: an id is empty",
		"a,b,1\na,a,0\n": `line 2: "a" is said to be unlike itself`, "a,\"b,1\n": "pairs:",
	} {
		if _, err := ReadPairs(strings.NewReader(text)); !errors.Is(err, ErrDataset) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func FuzzReadPairs(f *testing.F) {
	f.Add("a.png,b.png,1\n\"c,d\",e,0\n")
	f.Add("a,b\n")
	f.Fuzz(func(t *testing.T, text string) {
		pairs, err := ReadPairs(strings.NewReader(text))
		if (err == nil) != (len(pairs) > 0) || err != nil && !errors.Is(err, ErrDataset) {
			t.Errorf("%d pairs, %v", len(pairs), err)
		}
	})
}

func TestGivenPairs(t *testing.T) {
	ids := []string{"a", "b", "c", "d", "e"}
	pairs := []Pair{{"a", "b", 1}, {"c", "d", 1}, {"d", "e", 1}, {"a", "c", 0}, {"b", "e", 0}, {"a", "kept aside", 1}}
	s, err := NewGivenPairs(ids, pairs, 10, 1)
	if err != nil {
		t.Fatal(err)
	}
	b, count := NewBatch(10), map[Pair]int{}
	for range 6 {
		s.Next(b)
		for i := range 5 {
			p := Pair{ids[b.Items[2*i]], ids[b.Items[2*i+1]], float64(b.Scores[i])}
			if !slices.Contains(pairs, p) || p.Similar() != (i%2 == 0) || p.Similar() != (b.Labels[2*i] == b.Labels[2*i+1]) {
				t.Fatalf("pair %d of a batch is %v", i, p)
			}
			count[p]++
		}
	}
	for _, p := range pairs[:5] { // 18 similar ones of 3 kinds, 12 dissimilar ones of 2
		if count[p] != 6 {
			t.Errorf("%v came %d times of 6", p, count[p])
		}
	}
	if n := testing.AllocsPerRun(10, func() { s.Next(b) }); n != 0 && !raceDetector {
		t.Errorf("%v allocations a batch", n)
	}
	for _, bad := range [][]Pair{nil, pairs[3:5], pairs[5:], {{"a", "b", 1}, {"a", "kept aside", 0}}} {
		if _, err := NewGivenPairs(ids, bad, 10, 1); !errors.Is(err, ErrDataset) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if _, err := NewGivenPairs(ids, pairs, 5, 1); err == nil {
		t.Error("a batch of 5 rows")
	}
}

// Where all pairs are alike, labels are equal for what a chain of pairs connects, and others to measure with are drawn of what none does.
func TestAlikePairs(t *testing.T) {
	ids := []string{"a", "b", "c", "d", "e", "f"}
	pairs := []Pair{{"a", "b", 1}, {"c", "d", 1}, {"e", "d", 1}, {"f", "kept aside", 1}}
	s, err := NewGivenPairs(ids, pairs, 6, 1)
	if err != nil {
		t.Fatal(err)
	}
	b, count := NewBatch(6), map[Pair]int{}
	label := map[string]int{}
	for range 6 {
		s.Next(b)
		for i, item := range b.Items {
			if l, known := label[ids[item]]; known && l != b.Labels[i] {
				t.Fatalf("%s is of %d and %d", ids[item], l, b.Labels[i])
			}
			label[ids[item]] = b.Labels[i]
		}
		for i := range 3 {
			count[Pair{ids[b.Items[2*i]], ids[b.Items[2*i+1]], 1}]++
		}
	}
	for _, p := range pairs[:3] {
		if count[p] != 6 {
			t.Errorf("%v came %d times of 6", p, count[p])
		}
	}
	if label["a"] != label["b"] || label["c"] != label["d"] || label["c"] != label["e"] || label["a"] == label["c"] {
		t.Errorf("labels %v", label)
	}
	drawn := WithUnlike(ids, pairs)
	if len(drawn) != 6 || !slices.Equal(drawn[:3], pairs[:3]) || !slices.Equal(drawn, WithUnlike(ids, pairs)) {
		t.Fatalf("%v", drawn)
	}
	first := map[string]bool{"a": true, "b": true}
	for i, p := range drawn[3:] {
		if p.Score != 0 || p.A != pairs[i].A || p.B != "f" && first[p.A] == first[p.B] {
			t.Errorf("drawn: %v", p)
		}
	}
	mixed := append(pairs[:2:2], Pair{"a", "c", 0})
	if got := WithUnlike(ids, mixed); !slices.Equal(got, mixed) {
		t.Errorf("%v", got)
	}
	if got := WithUnlike(ids[:2], pairs); len(got) != 1 { // nothing else is there to be drawn
		t.Errorf("%v", got)
	}
}

// Pairs alone, without a class, teach stripes; other pairs make another model, and other losses refuse them.
func TestGivenPairsLearn(t *testing.T) {
	d, v := stripes(300, 1), stripes(90, 2)
	known := d.Labels
	d.Labels = slices.Repeat([]int{Unlabelled}, d.Len())
	o := quick("")
	for i := range 1500 {
		a, b := i%300, (i*7+3*(i/300)+1)%300
		if i%2 == 1 {
			b = (a + 3*(1+i%50)) % 300 // the same class: it is the number modulo 3
		}
		d.Pairs = append(d.Pairs, Pair{d.IDs[a], d.IDs[b], hit(known[a] == known[b])})
	}
	accuracy := func(d Dataset, o Options) float64 {
		m := mustRun(t, d, Dataset{}, o)
		base, held := embedAll(t, m, d), embedAll(t, m, v)
		got, err := KNNAccuracy(context.Background(), base, known, held, v.Labels, 5)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	few, once := d, o
	few.Pairs, once.Epochs = d.Pairs[:20], 1
	if low, high := accuracy(few, once), accuracy(d, o); high < low+0.04 || high < 0.94 {
		t.Errorf("accuracy %.3f after an epoch of 20 pairs, %.3f after %d of %d", low, high, o.Epochs, len(d.Pairs))
	}
	for name, change := range map[string]func(o *Options){"loss": func(o *Options) { o.Loss = "ntxent" }, "negatives": func(o *Options) { o.Negatives = "hard" }} {
		bad := o
		change(&bad)
		if _, err := Run(context.Background(), d, Dataset{}, bad); !errors.Is(err, ErrOptions) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if a, b := hashPairs(d.Pairs), hashPairs(d.Pairs[1:]); a == b || fmt.Sprint(len(a)) != "64" {
		t.Errorf("hashes %s and %s", a, b)
	}
}
