package train

import (
	"fmt"
	"slices"
	"strings"

	"github.com/akin-search/akin/encoder/kernel"
)

// Loss returns the loss of a batch of embeddings, rows of unit length, and overwrites grad, of the same shape, with dLoss/dEmbedding.
// Rows with equal labels belong together. The gradient is taken as if the rows were free to move in all directions; the network's
// normalisation projects it. A Loss keeps scratch memory from call to call, so it allocates only when a batch is larger than any
// before, and it is not for concurrent use. It panics when the shapes do not fit together.
// An embedding with a NaN gives a NaN.
type Loss func(emb kernel.Matrix, labels []int, grad kernel.Matrix) float32

func checkLossShapes(name string, emb kernel.Matrix, labels []int, grad kernel.Matrix) {
	if len(emb.Data) != emb.Rows*emb.Cols || len(grad.Data) != len(emb.Data) || grad.Rows != emb.Rows || len(labels) != emb.Rows {
		panic(fmt.Sprintf("train: %s: embeddings %v with %d values, gradient %v with %d values, %d labels; want one shape and a label a row",
			name, emb, len(emb.Data), grad, len(grad.Data), len(labels)))
	}
}

// LossKind names a loss.
type LossKind int

const (
	LossSupCon          LossKind = iota // see SupCon
	LossNTXent                          // see NTXent; also known as InfoNCE
	LossContrastive                     // see Contrastive and MinedContrastive
	LossTriplet                         // see TripletLoss
	LossMultiSimilarity                 // see MultiSimilarity
	LossArcFace                         // see NewArcFace
	LossVICReg                          // see VICReg
	LossMoCo                            // see NewMoCo
	LossPairs                           // see NewPairScores
	LossSemi                            // NTXent of all items and SupCon of those with a label, see NewSemi
	LossOneClass                        // NTXent of items and shifted copies, and which shift it is: all items are of one class, whatever their labels
)

const (
	// DefaultTemperature suits SupCon, NTXent and MoCo at batches of some hundred rows.
	DefaultTemperature = 0.1
	// DefaultMargin of Contrastive pushes dissimilar pairs to an angle of 60° or more: there, unit vectors are 1 apart.
	DefaultMargin = 1.0

	// DefaultMoCoEMA follows the weights within some hundred steps: small data has no more. The paper's 0.999 is for a million.
	DefaultMoCoEMA = 0.99

	minTemperature = 0.005
	maxTemperature = 10
	maxMargin      = 2 // unit vectors are at most 2 apart
)

var lossNames = []string{LossSupCon: "supcon", LossNTXent: "ntxent", LossContrastive: "contrastive", LossTriplet: "triplet",
	LossMultiSimilarity: "multi-similarity", LossArcFace: "arcface", LossVICReg: "vicreg", LossMoCo: "moco", LossPairs: "pairs", LossSemi: "semi", LossOneClass: "one-class"}

// LossNames lists what ParseLoss takes.
func LossNames() []string { return slices.Clone(lossNames) }

// Defaults returns the temperature and the margin of the loss where none is given; one that it does not use has the general default.
func (k LossKind) Defaults() (temperature, margin float64) {
	switch k {
	case LossSemi:
		return 0.2, DefaultMargin // docs/decisions/0014-few-labels.md
	case LossOneClass:
		return 0.5, DefaultMargin // docs/decisions/0023-one-class.md
	case LossTriplet:
		return DefaultTemperature, 0.2 // FaceNet's
	case LossMultiSimilarity:
		return 0.02, 0.5 // β = 50 as in the paper, λ as in its authors' program
	case LossArcFace:
		return 0.0625, 0.3 // s = 16: few classes need less than the paper's 64 for thousands of faces
	}
	return DefaultTemperature, DefaultMargin
}

// Labelled tells whether the loss learns from classes; the others take data without labels.
func (k LossKind) Labelled() bool {
	return k != LossNTXent && k != LossVICReg && k != LossMoCo && k != LossPairs && k != LossOneClass
}

// views tells whether the loss learns from views of single items and nothing else.
func (k LossKind) views() bool { return k == LossNTXent || k == LossVICReg || k == LossMoCo }

// String returns the name that ParseLoss takes.
func (k LossKind) String() string {
	if k < 0 || int(k) >= len(lossNames) {
		return fmt.Sprintf("LossKind(%d)", int(k))
	}
	return lossNames[k]
}

// ParseLoss returns the kind of the given name, one of LossNames; "infonce" is the same loss as "ntxent".
func ParseLoss(name string) (LossKind, error) {
	if name == "infonce" {
		return LossNTXent, nil
	}
	for k, n := range lossNames {
		if n == name {
			return LossKind(k), nil
		}
	}
	return 0, fmt.Errorf("unknown loss %q; want one of %s, infonce (= ntxent)", name, strings.Join(lossNames, ", "))
}

// New returns a loss that keeps no state, on its default negatives, with a temperature (0.005 to 10) or a margin (more than 0 to 2);
// what they mean says the loss's own comment. Zero means the default of the loss; the value that the loss does not use must be zero or
// valid too. ArcFace and MoCo keep state: NewArcFace, NewMoCo. Pairs have
// scores: NewPairScores.
func (k LossKind) New(temperature, margin float32) (Loss, error) {
	t, m := k.Defaults()
	if temperature == 0 {
		temperature = float32(t)
	}
	if margin == 0 {
		margin = float32(m)
	}
	if !(temperature >= minTemperature && temperature <= maxTemperature) { // also refuses NaN
		return nil, fmt.Errorf("temperature %v, want %v to %v", temperature, minTemperature, maxTemperature)
	}
	if !(margin > 0 && margin <= maxMargin) {
		return nil, fmt.Errorf("margin %v, want more than 0 and at most %v, the largest distance of two unit vectors", margin, maxMargin)
	}
	switch k {
	case LossSupCon:
		return SupCon(temperature), nil
	case LossNTXent:
		return NTXent(temperature), nil
	case LossContrastive:
		return Contrastive(margin), nil
	case LossTriplet:
		return TripletLoss(margin, NegativesSemiHard, 0), nil
	case LossMultiSimilarity:
		return MultiSimilarity(temperature, margin), nil
	case LossVICReg:
		return VICReg(), nil
	case LossArcFace, LossMoCo:
		return nil, fmt.Errorf("loss %v keeps state between steps: use NewArcFace or NewMoCo", k)
	case LossOneClass:
		return nil, fmt.Errorf("loss %v is a sum of two on copies that a run makes: use Sum", k)
	case LossPairs:
		return nil, fmt.Errorf("loss %v learns from scores, not from labels: use NewPairScores", k)
	case LossSemi:
		return nil, fmt.Errorf("loss %v is a sum of two on batches of NewSemi: use Sum", k)
	}
	return nil, fmt.Errorf("no loss of kind %v; want one of %s", k, strings.Join(lossNames, ", "))
}
