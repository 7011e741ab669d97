package train

import (
	"fmt"
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
	LossSupCon      LossKind = iota // see SupCon
	LossNTXent                      // see NTXent; also known as InfoNCE
	LossContrastive                 // see Contrastive
)

const (
	// DefaultTemperature suits SupCon and NTXent at batches of some hundred rows.
	DefaultTemperature = 0.1
	// DefaultMargin pushes dissimilar pairs to an angle of 60° or more: there, unit vectors are 1 apart.
	DefaultMargin = 1.0

	minTemperature = 0.005
	maxTemperature = 10
	maxMargin      = 2 // unit vectors are at most 2 apart
)

var lossNames = []string{LossSupCon: "supcon", LossNTXent: "ntxent", LossContrastive: "contrastive"}

// String returns the name that ParseLoss takes.
func (k LossKind) String() string {
	if k < 0 || int(k) >= len(lossNames) {
		return fmt.Sprintf("LossKind(%d)", int(k))
	}
	return lossNames[k]
}

// ParseLoss returns the kind of the given name: "supcon", "ntxent" (or "infonce", the same loss) or "contrastive".
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

// New returns the loss, with a temperature (SupCon and NTXent, 0.005 to 10) or a margin (Contrastive, more than 0 to 2).
// Zero means DefaultTemperature and DefaultMargin; the value that the loss does not use must be zero or valid too.
func (k LossKind) New(temperature, margin float32) (Loss, error) {
	if temperature == 0 {
		temperature = DefaultTemperature
	}
	if margin == 0 {
		margin = DefaultMargin
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
	}
	return nil, fmt.Errorf("no loss of kind %v; want one of %s", k, strings.Join(lossNames, ", "))
}
