package train

// SupCon is the supervised contrastive loss of Khosla et al. 2020, equation 2 (L_out), as the mean over the anchors:
//
//	L = mean_i −1/|P(i)| Σ_{p∈P(i)} log( exp(e_i·e_p/τ) / Σ_{a≠i} exp(e_i·e_a/τ) )
//
// where P(i) are the other rows with the label of row i. A row that is alone with its label is no anchor, but it is in the sums of the
// others. Without any anchor the loss and the gradient are zero. The constructor panics at a temperature τ that is not positive.
func SupCon(temperature float32) Loss {
	return newBatchwise("SupCon", newSimilaritySoftmax("SupCon", temperature)).loss
}
