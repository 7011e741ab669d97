package benchmarks

import (
	"bytes"
	"image"
	"image/png"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/akin-search/akin/train"
)

// TestFolds: two classes that anyone can tell apart, in two folds; one fold alone is what it is among all.
func TestFolds(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	d := train.Dataset{Classes: []string{"upright", "lying"}}
	for i := range 40 {
		g := image.NewGray(image.Rect(0, 0, 8, 8))
		for p := range g.Pix {
			g.Pix[p] = uint8(rng.IntN(60))
			if at := p % 8; i%2 == 0 && at == 3 || i%2 == 1 && p/8 == 3 {
				g.Pix[p] = 220
			}
		}
		var b bytes.Buffer
		if err := png.Encode(&b, g); err != nil {
			t.Fatal(err)
		}
		d.IDs, d.Raw, d.Labels = append(d.IDs, strconv.Itoa(i)), append(d.Raw, b.Bytes()), append(d.Labels, i%2)
	}
	o := FoldsOptions{Data: d, Folds: 2, Train: train.Options{Holdout: 0.2, Epochs: 6, Batch: 8, Augmentation: &train.Augmentation{}, Threads: 1}}
	all, err := Folds(t.Context(), o)
	if err != nil || len(all.Folds) != 2 || *all.KNNAccuracy < 0.95 || all.Folds[0].Asked+all.Folds[1].Asked != 40 || all.Folds[0].Base+all.Folds[0].Asked != 40 {
		t.Fatalf("%+v, %v", all, err)
	}
	o.Fold = 2
	if one, err := Folds(t.Context(), o); err != nil || len(one.Folds) != 1 || *one.Folds[0].KNNAccuracy != *all.Folds[1].KNNAccuracy {
		t.Errorf("%+v, %v", one, err)
	}
	o.Fold = 3
	if _, err := Folds(t.Context(), o); err == nil {
		t.Error("fold 3 of 2 is taken")
	}
	for i := range d.Labels { // two classes more, of the same pictures: a fold of either kind of class is told apart by the other
		if d.Labels[i] += i / 20 * 2; i >= 20 {
			d.IDs[i] = "x" + d.IDs[i]
		}
	}
	d.Classes = append(d.Classes, "upright too", "lying too")
	o.Data = d
	o.Fold, o.Group = 0, func(id string) (string, error) {
		if id[0] == 'x' {
			return "x", nil
		}
		return "", nil
	}
	apart, err := Folds(t.Context(), o)
	if err != nil || apart.KNNAccuracy != nil || len(apart.Folds) != 2 || apart.Folds[0].Asked != 20 || *apart.PairEER > 0.3 || *apart.PairEER != (*apart.Folds[0].PairEER+*apart.Folds[1].PairEER)/2 {
		t.Errorf("%+v, %v", apart, err)
	}
}
