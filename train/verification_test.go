package train

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/akin-search/akin/encoder/kernel"
)

func TestVerifyPairs(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 23))
	const classes, each = 5, 30
	emb, labels := kernel.NewMatrix(classes*each+2, 8), make([]int, classes*each+2)
	for i := range classes * each {
		labels[i] = i % classes
		row := emb.Row(i)
		row[labels[i]] = 1
		for k := range row {
			row[k] += 0.1 * float32(rng.NormFloat64())
		}
		norm := float32(math.Sqrt(dot(row, row)))
		for k := range row {
			row[k] /= norm
		}
	}
	labels[classes*each], labels[classes*each+1] = 99, Unlabelled // alone: in dissimilar pairs only; unlabelled: in none
	emb.Row(classes * each)[7] = 1
	for k := range emb.Row(classes*each + 1) {
		emb.Row(classes*each + 1)[k] = 100 // would ruin the figure if it were drawn
	}
	good, err := VerifyPairs(emb, labels, 4000, 1)
	if err != nil || good.AUROC < 0.999 || good.EER > 0.01 || good.TARAtFAR1 < 0.99 {
		t.Fatalf("separated classes: %v, %v", good, err)
	}
	again, err := VerifyPairs(emb, labels, 4000, 1)
	if err != nil || again != good {
		t.Fatalf("the same seed gives %v and %v (%v)", good, again, err)
	}

	// Against the exact figure over all pairs, on random rows: 20 000 + 20 000 draws are within 0.01.
	emb, labels = unitRows(rng, 60, 3, 2), make([]int, 60)
	for i := range labels {
		labels[i] = i % 3
		emb.Row(i)[labels[i]] += 0.3
	}
	var same, different []float64
	for i := range labels {
		for j := range labels {
			if s := dot(emb.Row(i), emb.Row(j)); labels[i] != labels[j] {
				different = append(different, s)
			} else if i != j {
				same = append(same, s)
			}
		}
	}
	want, err := AUROC(different, same)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := VerifyPairs(emb, labels, 40000, 5); err != nil || math.Abs(got.AUROC-want) > 0.01 {
		t.Errorf("sampled %v, exact %v (%v)", got.AUROC, want, err)
	}

	for want, f := range map[string]func() (Verification, error){
		"3 pairs, want an even number": func() (Verification, error) { return VerifyPairs(emb, labels, 3, 1) },
		"pairs need two classes": func() (Verification, error) {
			return VerifyPairs(kernel.NewMatrix(3, 1), []int{0, 0, Unlabelled}, 4, 1)
		},
		"2 labelled rows of 2 classes": func() (Verification, error) { return VerifyPairs(kernel.NewMatrix(2, 1), []int{0, 1}, 4, 1) },
		"want one label a row":         func() (Verification, error) { return VerifyPairs(kernel.NewMatrix(2, 1), []int{0}, 4, 1) },
	} {
		if _, err := f(); !errors.Is(err, ErrEvaluate) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// naiveOperate tries every score as the threshold.
func naiveOperate(negatives, positives []float64, far float64) (eer, tar float64) {
	share := func(scores []float64, t float64) (n float64) {
		for _, s := range scores {
			if s >= t {
				n++
			}
		}
		return n / float64(len(scores))
	}
	thresholds := append(append([]float64{math.Inf(1)}, negatives...), positives...)
	slices.Sort(thresholds[1:])
	slices.Reverse(thresholds[1:])
	for i, t := range thresholds {
		a, r := share(negatives, t), 1-share(positives, t)
		if a <= far {
			tar = max(tar, 1-r)
		}
		if a < r {
			continue
		}
		a0, r0 := share(negatives, thresholds[i-1]), 1-share(positives, thresholds[i-1])
		if a0 >= r0 {
			continue // not the first
		}
		// The line from (a0, r0) to (a, r) meets a = r here.
		eer = (a*r0 - a0*r) / (a - a0 + r0 - r)
	}
	return eer, tar
}

func TestOperateAgainstEveryThreshold(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 24))
		draw := func(n int, shift float64) []float64 {
			v := make([]float64, n)
			for i := range v {
				v[i] = shift + float64(rng.IntN(2+int(seed)))
			}
			return v
		}
		neg, pos := draw(1+rng.IntN(40), 0), draw(1+rng.IntN(40), float64(seed%7))
		far := []float64{0, 0.01, 0.1, 0.5}[seed%4]
		eer, tar := naiveOperate(neg, pos, far)
		auroc, err := AUROC(neg, pos)
		if err != nil {
			t.Fatal(err)
		}
		got := verify(pairsOf(neg, pos), nil, far)
		if math.Abs(got.EER-eer) > 1e-12 || math.Abs(got.TARAtFAR1-tar) > 1e-12 || math.Abs(got.AUROC-auroc) > 1e-12 {
			t.Fatalf("seed %d: %+v, want EER %v, TAR %v and AUROC %v", seed, got, eer, tar, auroc)
		}
		// A weight of w is as good as w copies.
		times := func(p scoredPair) float64 { return float64(1 + int(p.score)%3) }
		var copies []scoredPair
		for _, p := range pairsOf(neg, pos) {
			for range int(times(p)) {
				copies = append(copies, p)
			}
		}
		want, weighted := verify(copies, nil, far), verify(pairsOf(neg, pos), times, far)
		if math.Abs(weighted.AUROC-want.AUROC) > 1e-12 || math.Abs(weighted.EER-want.EER) > 1e-12 || math.Abs(weighted.TARAtFAR1-want.TARAtFAR1) > 1e-12 {
			t.Fatalf("seed %d: weights give %+v, copies %+v", seed, weighted, want)
		}
	}
	// By hand: accepting 4, 3 | 3 of the negatives … at t=3 half of the negatives are in and a quarter of the positives out; at t=4 none in
	// and half out. The line between (0, 1/2) and (1/2, 1/4) meets a = r at 1/3.
	if v := verify(pairsOf([]float64{1, 3}, []float64{2, 3, 4, 5}), nil, 0.01); math.Abs(v.EER-1./3) > 1e-12 || v.TARAtFAR1 != 0.5 {
		t.Errorf("%+v, want EER 1/3 and TAR 1/2", v)
	}
}

// TestVerifyIntervals: of many samples of one population, about 95 in 100 intervals hold its AUROC. Drawing pairs anew would hold it in fewer,
// because each row is in many pairs.
func TestVerifyIntervals(t *testing.T) {
	const samples, rows, classes, pairs = 60, 60, 3, 2000
	sample := func(seed uint64, rows, pairs int) []scoredPair {
		rng := rand.New(rand.NewPCG(seed, 31))
		emb, labels := kernel.NewMatrix(rows, 4), make([]int, rows)
		for i := range rows {
			labels[i] = i % classes
			for k := range emb.Row(i) {
				emb.Row(i)[k] = float32(rng.NormFloat64())
			}
			emb.Row(i)[labels[i]] += 1.5
			norm := float32(math.Sqrt(dot(emb.Row(i), emb.Row(i))))
			for k := range emb.Row(i) {
				emb.Row(i)[k] /= norm
			}
		}
		p, err := drawPairs(emb, labels, pairs, seed)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	truth := verify(sample(1000, 20_000, 200_000), nil, farOne)
	var held [2]int
	for seed := range uint64(samples) {
		p := sample(seed, rows, pairs)
		got, err := verifyIntervals(context.Background(), p, rows, DownstreamOptions{Seed: seed, Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		v := verify(p, nil, farOne)
		for i, of := range []struct {
			name        string
			truth, this float64
		}{{"pair_auroc", truth.AUROC, v.AUROC}, {"pair_eer", truth.EER, v.EER}} {
			in, ok := got[of.name]
			if !ok || !(in.Low <= of.this && of.this <= in.High) {
				t.Fatalf("%s: %v lies outside of %+v", of.name, of.this, in)
			}
			if in.Low <= of.truth && of.truth <= in.High {
				held[i]++
			}
		}
	}
	for i, n := range held {
		if n < samples*85/100 {
			t.Errorf("figure %d: %d of %d intervals hold the truth", i, n, samples)
		}
	}
	few, err := verifyIntervals(context.Background(), pairsOf([]float64{1}, []float64{2}), 4, DownstreamOptions{})
	if err != nil || len(few) != 0 {
		t.Errorf("intervals of two pairs: %v, %v", few, err)
	}
}

// pairsOf makes pairs of scores, each of rows of its own.
func pairsOf(negatives, positives []float64) []scoredPair {
	var p []scoredPair
	for _, s := range negatives {
		p = append(p, scoredPair{2 * len(p), 2*len(p) + 1, false, s})
	}
	for _, s := range positives {
		p = append(p, scoredPair{2 * len(p), 2*len(p) + 1, true, s})
	}
	sortPairs(p)
	return p
}
