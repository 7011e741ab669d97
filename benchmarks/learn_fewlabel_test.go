package benchmarks

import (
	"errors"
	"slices"
	"testing"

	"github.com/akin-search/akin/train"
)

// TestWithFewLabels: each class has so many labels, which are right, and another seed draws others.
func TestWithFewLabels(t *testing.T) {
	d := train.Dataset{Classes: []string{"a", "b"}}
	for i := range 40 {
		d.IDs, d.Raw, d.Labels = append(d.IDs, string(rune('A'+i))), append(d.Raw, []byte{1}), append(d.Labels, i%2)
	}
	few, err := withFewLabels(d, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	count := map[int]int{}
	for i, l := range few.Labels {
		if count[l]++; l != train.Unlabelled && l != d.Labels[i] {
			t.Errorf("item %d has label %d, it was %d", i, l, d.Labels[i])
		}
	}
	if count[0] != 3 || count[1] != 3 {
		t.Errorf("labels %v", count)
	}
	if other, err := withFewLabels(d, 3, 2); err != nil || slices.Equal(other.Labels, few.Labels) {
		t.Errorf("seeds 1 and 2 draw the same labels, or %v", err)
	}
	if _, err := withFewLabels(d, 21, 1); !errors.Is(err, ErrInvalid) {
		t.Errorf("more labels than images: %v", err)
	}
}

// TestLabelProtocols trains on some hundred images, with few labels and without any.
func TestLabelProtocols(t *testing.T) {
	set, _, err := train.MNIST("")
	if errors.Is(err, train.ErrNoMNIST) {
		t.Skipf("%v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	all := firstN(1000)
	task := task{Train: set.Subset(all[:800]), Test: set.Subset(all[800:]), LabelsPerClass: 5, Options: train.Options{Epochs: 3, Batch: 64, Threads: 1}, Status: func(string, ...any) {}}
	m, err := fewLabel(t.Context(), task)
	if err != nil {
		t.Fatal(err)
	}
	if m["epochs"] != 6 || m["labels_per_class"] != 5 || !(m["propagated_accuracy"] > 0.3) || !(m["given_accuracy"] > 0.3) || !(m["knn_accuracy"] > 0.3) {
		t.Errorf("few labels: %v", m)
	}
	if m, err = ssl(t.Context(), task); err != nil || m["epochs"] != 3 || !(m["knn_accuracy"] > 0.5) {
		t.Errorf("no labels: %v, %v", m, err)
	}
}
