package train_test

import (
	"fmt"

	"github.com/akin-search/akin/encoder/kernel"
	"github.com/akin-search/akin/train"
)

// Two classes in the plane, and one step down the gradient.
func ExampleSupCon() {
	embeddings := kernel.Matrix{Rows: 4, Cols: 2, Data: []float32{
		1, 0,
		0.8, 0.6,
		0, 1,
		-1, 0,
	}}
	gradient := kernel.NewMatrix(4, 2)
	loss := train.SupCon(0.5)
	fmt.Printf("loss %.3f\n", loss(embeddings, []int{0, 0, 1, 1}, gradient))
	for i := range gradient.Data {
		embeddings.Data[i] -= 0.1 * gradient.Data[i]
	}
	fmt.Printf("after a step %.3f\n", loss(embeddings, []int{0, 0, 1, 1}, gradient))
	// Output:
	// loss 0.676
	// after a step 0.485
}

// Two classes with two items each, from six items of three classes.
func ExampleNewPK() {
	labels := []int{0, 1, 2, 0, 1, 2}
	sampler, err := train.NewPK(labels, 2, 2, 7)
	if err != nil {
		fmt.Println(err)
		return
	}
	batch := train.NewBatch(sampler.Size())
	for range 3 {
		sampler.Next(batch)
		fmt.Println("items", batch.Items, "labels", batch.Labels)
	}
	// Output:
	// items [2 5 3 0] labels [2 2 0 0]
	// items [1 4 5 2] labels [1 1 2 2]
	// items [4 1 3 0] labels [1 1 0 0]
}

// Scores of known items against scores of unseen ones: one of the nine pairs is in the wrong order, and one ties.
func ExampleAUROC() {
	known := []float64{0.1, 0.2, 0.6}
	unseen := []float64{0.5, 0.6, 0.9}
	auroc, err := train.AUROC(known, unseen)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.3f\n", auroc)
	// Output:
	// 0.833
}
