package benchmarks

import (
	"errors"
	"strings"
	"testing"

	"github.com/akin-search/akin/train"
)

// TestRobustProtocol trains on some hundred images: the keys are there, and come from the models that they name.
func TestRobustProtocol(t *testing.T) {
	set, _, err := train.MNIST("")
	if errors.Is(err, train.ErrNoMNIST) {
		t.Skipf("%v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	all := firstN(1300)
	task := task{Train: set.Subset(all[:1200]), Test: set.Subset(all[1200:]), Options: train.Options{Epochs: 3, Batch: 64, Threads: 1}, Status: func(string, ...any) {}}
	m, err := robust(t.Context(), task)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"knn_accuracy", "recall_at_1", "train_seconds", "plain_train_seconds", "epochs", "clean", "plain_clean", "severity_1", "severity_5",
		"plain_severity_3_held_out", "3_shift", "plain_3_gaussian_noise", "3_impulse_noise"} {
		if v, ok := m[key]; !ok || !(v > 0) {
			t.Errorf("%s is %v (there: %v)", key, v, ok)
		}
	}
	plain := 0
	for key := range m {
		other, ok := strings.CutPrefix(key, "plain_")
		if !ok {
			continue
		}
		plain++
		if _, ok := m[other]; !ok {
			t.Errorf("there is %s and no %s", key, other)
		}
	}
	if want := 1 + 1 + 2*5 + 12; plain != want {
		t.Errorf("%d measures of plain training, want %d: %v", plain, want, m)
	}
	if m["clean"] != m["knn_accuracy"] || m["clean_loss"] != m["plain_clean"]-m["clean"] {
		t.Errorf("clean %v and knn_accuracy %v, plain %v, loss %v", m["clean"], m["knn_accuracy"], m["plain_clean"], m["clean_loss"])
	}
	if m["3_contrast"] < m["plain_3_contrast"]+0.1 {
		t.Errorf("of poor contrast %v with robust training, %v without", m["3_contrast"], m["plain_3_contrast"])
	}
}
