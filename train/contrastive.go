package train

import (
	"fmt"
	"math"

	"github.com/akin-search/akin/encoder/kernel"
)

// Contrastive is the margin loss of Hadsell, Chopra, LeCun 2006, "Dimensionality reduction by learning an invariant mapping", equation 4,
// averaged over the pairs of rows (2i, 2i+1):
//
//	L = (1−Y)·½·D² + Y·½·max(0, margin−D)²
//
// where D is the Euclidean distance of the two rows and Y = 0 iff their labels are equal. At D = 0 a dissimilar pair has no direction
// to part in: its gradient is zero. The constructor panics at a margin that is not positive; the Loss at an odd number of rows.
func Contrastive(margin float32) Loss {
	if !(margin > 0) {
		panic(fmt.Sprintf("train: Contrastive: margin %v, want more than 0", margin))
	}
	return func(emb kernel.Matrix, labels []int, grad kernel.Matrix) float32 {
		checkLossShapes("Contrastive", emb, labels, grad)
		if emb.Rows%2 != 0 {
			panic(fmt.Sprintf("train: Contrastive: %d rows do not make pairs", emb.Rows))
		}
		clear(grad.Data)
		if emb.Rows == 0 {
			return 0
		}
		share := 1 / float64(emb.Rows/2)
		sum := 0.0
		for r := 0; r < emb.Rows; r += 2 {
			a, b := emb.Row(r), emb.Row(r+1)
			squared := 0.0
			for i, x := range a {
				d := float64(x - b[i])
				squared += d * d
			}
			var pull float64 // dL/da = pull·(a−b), dL/db = −pull·(a−b)
			if labels[r] == labels[r+1] {
				sum += squared / 2
				pull = share
			} else {
				distance := math.Sqrt(squared)
				gap := float64(margin) - distance
				if gap <= 0 {
					continue
				}
				sum += gap * gap / 2
				if distance == 0 {
					continue
				}
				pull = -share * gap / distance
			}
			ga, gb := grad.Row(r), grad.Row(r+1)
			for i, x := range a {
				g := float32(pull) * (x - b[i])
				ga[i], gb[i] = g, -g
			}
		}
		return float32(sum * share)
	}
}
