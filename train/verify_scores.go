package train

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
)

// PairScores are what the cosine of two items says of whether they are of one class: scores of pairs of items that were kept aside. What is
// accepted at a threshold, of a class or not, is read off them.
type PairScores struct {
	EER       float64   `json:"eer"`       // of the pairs, see Verification
	AUROC     float64   `json:"auroc"`     // of the pairs
	Classes   int       `json:"classes"`   // that the items are of
	Unknown   bool      `json:"unknown"`   // these are not trained on; else all are
	Halves    bool      `json:"halves"`    // a pair is of halves of sounds, each the only one of its class
	Same      []float64 `json:"same"`      // of pairs of one class, ascending
	Different []float64 `json:"different"` // of pairs of two, ascending
}

const (
	pairScores = 2000 // pairs of either kind are kept, at most,
	pairRows   = 2000 // of so many items, at most, spread over all
)

// ScorePairs scores pairs of the items held aside and puts the result into the model's record, as Record.Pairs; classes are those that
// both data sets number alike. Sounds that are each the only one of their class are cut into halves. Of given
// pairs those kept aside are scored, with grades as Pair.Similar tells them; where all are alike, beside others that WithUnlike draws. Without two classes, or two items of
// one among those looked at, there is nothing to score and the record stays as it is. The same input gives the same bits, whatever the threads.
func ScorePairs(ctx context.Context, m *encoder.Model, data, held Dataset, o Options) error {
	var rec Record
	if err := json.Unmarshal(m.Record, &rec); err != nil {
		return fmt.Errorf("train: scoring pairs: reading the record: %w", err)
	}
	e, err := encoder.NewEncoder(m, "", o.Threads)
	if err != nil {
		return err
	}
	if len(held.Pairs) > 0 {
		return scoreGiven(ctx, m, &rec, e, held)
	}
	var items []int
	for i, l := range held.Labels {
		if l != Unlabelled {
			items = append(items, i)
		}
	}
	if len(items) < 2 {
		return nil
	}
	held, features, err := Decode(ctx, e.Decoder(), held.Subset(items), nil) // Run has told what it skips
	if err != nil {
		return err
	}
	p := PairScores{Unknown: true}
	trained, _ := itemsByClass(data.Labels)
	for _, of := range trained {
		p.Unknown = p.Unknown && !slices.Contains(held.Labels, data.Labels[of[0]])
	}
	classes, _ := itemsByClass(held.Labels)
	labels := held.Labels
	if p.Classes = len(classes); p.Classes == len(labels) && m.Preprocessing.Modality == encoder.ModalityAudio {
		p.Halves = true
		features, labels = CutSounds(features, labels, 2, 0)
	}
	if p.Classes < 2 || p.Classes == len(labels) {
		return nil
	}
	emb, err := EncodeFeatures(ctx, e, features)
	if err != nil {
		return err
	}
	drawn := distinctPairs(emb, labels, o.Seed)
	for _, pair := range slices.Backward(drawn) { // they come sorted, the most similar first
		if pair.same {
			p.Same = append(p.Same, pair.score)
		} else {
			p.Different = append(p.Different, pair.score)
		}
	}
	if len(p.Same) == 0 || len(p.Different) == 0 {
		return nil
	}
	v := verify(drawn, nil, farOne)
	p.EER, p.AUROC = v.EER, v.AUROC
	rec.Pairs = &p
	m.Record, err = json.Marshal(rec)
	return err
}

// scoreGiven is ScorePairs of pairs that were given and kept aside: all of them, or pairScores of either kind, spread over all.
func scoreGiven(ctx context.Context, m *encoder.Model, rec *Record, e *encoder.Encoder, held Dataset) error {
	held, features, err := Decode(ctx, e.Decoder(), held, nil) // Run has told what it skips
	if err != nil {
		return err
	}
	emb, err := EncodeFeatures(ctx, e, features)
	if err != nil {
		return err
	}
	cosines, scores := pairCosines(emb, held.IDs, WithUnlike(held.IDs, held.Pairs))
	var kinds [2][]float64
	for i, s := range scores {
		kind := 0
		if s >= 0.5 {
			kind = 1
		}
		kinds[kind] = append(kinds[kind], cosines[i])
	}
	if len(kinds[0]) == 0 || len(kinds[1]) == 0 {
		return nil
	}
	p := PairScores{Unknown: true}
	var all []scoredPair
	for kind, of := range kinds {
		n := min(pairScores, len(of))
		some := make([]float64, n)
		for i := range some {
			some[i] = of[i*len(of)/n]
			all = append(all, scoredPair{same: kind == 1, score: some[i]})
		}
		slices.Sort(some)
		if kind == 1 {
			p.Same = some
		} else {
			p.Different = some
		}
	}
	sortPairs(all)
	v := verify(all, nil, farOne)
	p.EER, p.AUROC = v.EER, v.AUROC
	rec.Pairs = &p
	m.Record, err = json.Marshal(rec)
	return err
}

// distinctPairs returns pairs of rows, no pair twice, sorted: of either kind all there are, or pairScores drawn from them (Vitter 1985, "Random
// sampling with a reservoir", algorithm R). A pair drawn twice would count as two in a p-value.
func distinctPairs(emb kernel.Matrix, labels []int, seed uint64) []scoredPair {
	rng := rand.New(rand.NewPCG(seed, 0x64697374)) // "dist"
	rows := min(emb.Rows, pairRows)
	var kept [2][]scoredPair // of two classes, of one
	var seen [2]int
	for i := range rows {
		a := i * emb.Rows / rows
		for j := range i {
			b := j * emb.Rows / rows
			kind := 0
			if labels[a] == labels[b] {
				kind = 1
			}
			at := len(kept[kind])
			if seen[kind]++; at < pairScores {
				kept[kind] = append(kept[kind], scoredPair{})
			} else if at = rng.IntN(seen[kind]); at >= pairScores {
				continue
			}
			kept[kind][at] = scoredPair{a, b, kind == 1, dot(emb.Row(a), emb.Row(b))}
		}
	}
	all := append(kept[0], kept[1]...)
	sortPairs(all)
	return all
}

// CutSounds cuts sounds into n parts each: of so many frames (encoder.SoundHop samples) of a sound, spread evenly from its first to its last, so that they
// overlap where it is shorter than all of them together; at 0 frames one part lies behind the other and none overlap. Sounds that have fewer frames are left out. of are the labels of
// the parts.
func CutSounds(features []encoder.Features, labels []int, n, frames int) (parts []encoder.Features, of []int) {
	for i, f := range features {
		filters, all := f.Shape[0], f.Shape[1]
		if all < max(n, frames) {
			continue
		}
		for k := range n {
			from, to := k*all/n, (k+1)*all/n
			if frames > 0 {
				from = k * (all - frames) / max(1, n-1)
				to = from + frames
			}
			part := encoder.Features{Shape: []int{filters, to - from, 1}}
			for y := range filters {
				part.Data = append(part.Data, f.Data[y*all+from:y*all+to]...)
			}
			parts, of = append(parts, part), append(of, labels[i])
		}
	}
	return parts, of
}

// SplitClasses puts a share of the classes, 0 < fraction < 1, into part, with all their items, and everything else into rest, both in the order
// of d. Which side a class falls on is drawn from the seed and its name alone. It is for data of one item a class, of which Split can keep
// nothing aside. Fewer than two classes on either side is an error wrapping ErrDataset.
func (d Dataset) SplitClasses(fraction float64, seed uint64) (rest, part Dataset, err error) {
	if !(fraction > 0 && fraction < 1) {
		return Dataset{}, Dataset{}, fmt.Errorf("split fraction %v: want more than 0 and less than 1", fraction)
	}
	var items [2][]int
	var classes [2]int
	side := make([]int, len(d.Classes))
	for c, name := range d.Classes {
		if place(name, seed) < fraction {
			side[c] = 1
		}
		classes[side[c]]++
	}
	for i, l := range d.Labels {
		s := 0
		if l != Unlabelled {
			s = side[l]
		}
		items[s] = append(items[s], i)
	}
	if classes[0] < 2 || classes[1] < 2 {
		return Dataset{}, Dataset{}, fmt.Errorf("%w: a share of %v of %d classes leaves %d to keep aside and %d to learn from: want two of each; add classes, or change the share",
			ErrDataset, fraction, len(d.Classes), classes[1], classes[0])
	}
	return d.Subset(items[0]), d.Subset(items[1]), nil
}
