package benchmarks

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/akin-search/akin/encoder/kernel"
	"github.com/akin-search/akin/index/distance"
	"github.com/akin-search/akin/train"
)

const (
	oneShotWay      = 20 // characters of an episode
	oneShotEpisodes = 1000
	oneShotSize     = 28 // pixels
)

// oneShot trains on the characters of some alphabets and names those of others from one example: an episode takes 20 characters, drawn by
// one person, and asks which of them each of the same 20 drawn by another person is. In one_shot_error the 20 are of one alphabet, as in
// Lake et al. 2015, which is the harder; in one_shot_error_across of all alphabets held out, as in Vinyals et al. 2016, "Matching networks
// for one shot learning". The other figures are of the alphabets held out, every second drawing of a character answering the others.
func oneShot(ctx context.Context, t task) (Measures, error) {
	if t.Options.Size == 0 {
		t.Options.Size = oneShotSize
	}
	rest, held, err := t.Train.Split(learnHoldout, t.Options.Seed)
	if err != nil {
		return nil, err
	}
	e, m, err := t.train(ctx, rest, held)
	if err != nil {
		return nil, err
	}
	emb, err := embedAll(ctx, e, t.Test)
	if err != nil {
		return nil, err
	}
	var base, asked []int
	count := make([]int, len(t.Test.Classes))
	for i, l := range t.Test.Labels {
		if count[l]++; count[l]%2 == 0 {
			base = append(base, i)
		} else {
			asked = append(asked, i)
		}
	}
	if err := t.downstream(ctx, e, t.Test.Subset(base), t.Test.Subset(asked), m); err != nil {
		return nil, err
	}
	for key, group := range map[string]func(class string) string{"one_shot_error": alphabet, "one_shot_error_across": func(string) string { return "all" }} {
		if m[key], err = oneShotError(emb, t.Test, group, oneShotWay, oneShotEpisodes, t.Options.Seed); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// oneShotError returns the share of wrong answers over all episodes, each within a group of characters. The i-th drawings of the characters
// of an alphabet, in the order of d, are by one person. Groups take turns; characters and the two people are drawn from the seed.
func oneShotError(emb kernel.Matrix, d train.Dataset, group func(class string) string, way, episodes int, seed uint64) (float64, error) {
	rows := make([][]int, len(d.Classes)) // of each character
	for i, l := range d.Labels {
		rows[l] = append(rows[l], i)
	}
	var names []string
	characters := map[string][]int{}
	for c, items := range rows {
		if len(items) == 0 {
			continue
		}
		name := group(d.Classes[c])
		if characters[name] == nil {
			names = append(names, name)
		}
		characters[name] = append(characters[name], c)
	}
	rng := rand.New(rand.NewPCG(seed, 0x6f6e6573686f74)) // "oneshot"
	wrong, asked := 0, 0
	for ep := range episodes {
		name := names[ep%len(names)]
		set := slices.Clone(characters[name])
		if len(set) < way {
			return 0, fmt.Errorf("%s: %w: %d characters, an episode takes %d", name, ErrData, len(set), way)
		}
		rng.Shuffle(len(set), func(i, j int) { set[i], set[j] = set[j], set[i] })
		set = set[:way]
		people := len(rows[set[0]])
		for _, c := range set {
			people = min(people, len(rows[c]))
		}
		if people < 2 {
			return 0, fmt.Errorf("%s: %w: a character with one drawing; two are needed", name, ErrData)
		}
		teacher := rng.IntN(people)
		asker := (teacher + 1 + rng.IntN(people-1)) % people
		for i, c := range set {
			q := emb.Row(rows[c][asker])
			best, at := float32(-2), -1
			for j, s := range set {
				if sim := distance.Dot(q, emb.Row(rows[s][teacher])); sim > best {
					best, at = sim, j
				}
			}
			if at != i {
				wrong++
			}
			asked++
		}
	}
	return float64(wrong) / float64(asked), nil
}
