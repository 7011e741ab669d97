package train

import (
	"flag"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/encoder/kernel"
)

var fsdd = flag.String("fsdd", "", "folder of the recordings of the Free Spoken Digit Dataset, DIGIT_SPEAKER_INDEX.wav; empty skips its test")

// TestSpokenDigits trains on four speakers and asks with the digits of two others.
func TestSpokenDigits(t *testing.T) {
	if *fsdd == "" {
		t.Skip("no recordings: name their folder by -fsdd (github.com/Jakobovski/free-spoken-digit-dataset, recordings/)")
	}
	all, _, err := Folder(*fsdd)
	if err != nil {
		t.Fatal(err)
	}
	var known, others []int
	all.Classes = nil
	for i, id := range all.IDs {
		parts := strings.Split(filepath.Base(id), "_")
		if len(parts) != 3 {
			t.Fatalf("%s: want DIGIT_SPEAKER_INDEX.wav", id)
		}
		label := slices.Index(all.Classes, parts[0])
		if label < 0 {
			label, all.Classes = len(all.Classes), append(all.Classes, parts[0])
		}
		all.Labels[i] = label
		if parts[1] == "jackson" || parts[1] == "nicolas" {
			others = append(others, i)
		} else {
			known = append(known, i)
		}
	}
	data, queries := all.Subset(known), all.Subset(others)
	m, err := Run(t.Context(), data, Dataset{}, Options{Epochs: 10, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	e, err := encoder.NewEncoder(m, "test", 0)
	if err != nil {
		t.Fatal(err)
	}
	base, err := e.Encode(t.Context(), data.Raw...)
	if err != nil {
		t.Fatal(err)
	}
	asked, err := e.Encode(t.Context(), queries.Raw...)
	if err != nil {
		t.Fatal(err)
	}
	accuracy, err := KNNAccuracy(t.Context(), kernel.MatrixOf(base, e.Dimension()), data.Labels, kernel.MatrixOf(asked, e.Dimension()), queries.Labels, 5)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("kNN accuracy %.4f on %d digits of unseen speakers", accuracy, queries.Len())
	if accuracy < 0.75 {
		t.Errorf("kNN accuracy %.4f, want 0.75 or more", accuracy)
	}
}
