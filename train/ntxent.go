package train

import (
	"fmt"

	"github.com/akin-search/akin/encoder/kernel"
)

// NTXent is the normalised temperature-scaled cross-entropy loss of Chen et al. 2020 (SimCLR), equation 1, also called InfoNCE, as the
// mean over all rows:
//
//	L = mean_i −log( exp(e_i·e_p(i)/τ) / Σ_{a≠i} exp(e_i·e_a/τ) )
//
// where p(i) is the one other row with the label of row i. Every label must come exactly twice in a batch, as the Views sampler has it:
// the Loss panics at any other, because a caller who has several positives means SupCon. The constructor panics at a temperature τ that
// is not positive.
func NTXent(temperature float32) Loss {
	core := newBatchwise("NTXent", newSimilaritySoftmax("NTXent", temperature))
	count := map[int]int{}
	return func(emb kernel.Matrix, labels []int, grad kernel.Matrix) float32 {
		clear(count)
		for _, l := range labels {
			count[l]++
		}
		for _, l := range labels {
			if count[l] != 2 {
				panic(fmt.Sprintf("train: NTXent: label %d comes %d times in a batch, want 2; use SupCon for classes", l, count[l]))
			}
		}
		return core.loss(emb, labels, grad)
	}
}
