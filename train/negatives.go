package train

import (
	"fmt"
	"slices"
	"strings"
)

// Negatives says where a loss gets the negatives from that it learns on.
type Negatives int

const (
	// NegativesBatch takes all rows of other classes in the batch.
	NegativesBatch Negatives = iota
	// NegativesRandom takes one at random for every anchor and positive.
	NegativesRandom
	// NegativesHard takes every anchor with its farthest positive and its nearest negative of the batch: "batch hard" of Hermans, Beyer,
	// Leibe 2017, equation 5.
	NegativesHard
	// NegativesSemiHard takes every anchor with every positive and the nearest of those negatives that are farther than the positive:
	// Schroff, Kalenichenko, Philbin 2015 (FaceNet), equation 4. Where all are nearer, it is the farthest.
	NegativesSemiHard
	// NegativesDistance takes every anchor with every positive and a negative drawn so that all distances come equally often: Wu,
	// Manmatha, Smola, Krähenbühl 2017, "Sampling matters in deep embedding learning", equation 4, with weights 1/q(max(D, 0.5)) of the
	// negatives with D < 1.4, or of all where there are none.
	NegativesDistance
	// NegativesMemory adds the embeddings of the last batches: Wang, Zhang, Huang, Scott 2020, "Cross-batch memory for embedding learning".
	NegativesMemory
	// NegativesIndex makes half of every batch of items that the network mixes up: items and the nearest ones of other classes in a graph
	// index over the embeddings that training makes (see confusions.go).
	NegativesIndex
)

var negativesNames = []string{NegativesBatch: "batch", NegativesRandom: "random", NegativesHard: "hard", NegativesSemiHard: "semi-hard",
	NegativesDistance: "distance", NegativesMemory: "memory", NegativesIndex: "index"}

// String returns the name that ParseNegatives takes.
func (n Negatives) String() string {
	if n < 0 || int(n) >= len(negativesNames) {
		return fmt.Sprintf("Negatives(%d)", int(n))
	}
	return negativesNames[n]
}

// ParseNegatives returns the kind of the given name: "batch", "random", "hard", "semi-hard", "distance", "memory" or "index".
func ParseNegatives(name string) (Negatives, error) {
	if k := slices.Index(negativesNames, name); k >= 0 {
		return Negatives(k), nil
	}
	return 0, fmt.Errorf("unknown negatives %q; want one of %s", name, strings.Join(negativesNames, ", "))
}

// mined tells whether a miner chooses them in the batch.
func (n Negatives) mined() bool { return n >= NegativesRandom && n <= NegativesDistance }

// Negatives returns what the loss can learn on, its default first.
func (k LossKind) Negatives() []Negatives {
	switch k {
	case LossSupCon, LossMultiSimilarity:
		return []Negatives{NegativesBatch, NegativesMemory, NegativesIndex}
	case LossArcFace:
		return []Negatives{NegativesBatch, NegativesIndex}
	case LossTriplet:
		return []Negatives{NegativesSemiHard, NegativesBatch, NegativesRandom, NegativesHard, NegativesDistance, NegativesMemory, NegativesIndex}
	case LossContrastive:
		return []Negatives{NegativesRandom, NegativesHard, NegativesSemiHard, NegativesDistance, NegativesIndex}
	}
	return []Negatives{NegativesBatch}
}

// choice returns the loss and the negatives that the options name.
func (o Options) choice() (LossKind, Negatives, error) {
	kind, err := ParseLoss(o.Loss)
	if err != nil {
		return 0, 0, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	can := kind.Negatives()
	if o.Negatives == "" {
		return kind, can[0], nil
	}
	n, err := ParseNegatives(o.Negatives)
	if err != nil {
		return 0, 0, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	if !slices.Contains(can, n) {
		return 0, 0, fmt.Errorf("%w: loss %v cannot learn on negatives %v: use %s", ErrOptions, kind, n, strings.Trim(strings.Join(strings.Fields(fmt.Sprint(can)), ", "), "[]"))
	}
	return kind, n, nil
}
