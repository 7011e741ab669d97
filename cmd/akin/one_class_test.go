package main

import (
	"fmt"
	"image"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOneClass: a folder of one class is trained against shifted copies, and its collection calls another kind of picture an anomaly; bench anomaly
// measures the same of a folder with parts.
func TestOneClass(t *testing.T) {
	dir, data := t.TempDir(), t.TempDir()
	rng := rand.New(rand.NewPCG(5, 1))
	bars := func(folder string, n int, lies bool) {
		path := filepath.Join(data, filepath.FromSlash(folder))
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			g := image.NewGray(image.Rect(0, 0, 16, 16))
			at := 3 + rng.IntN(9)
			for y := 2 + rng.IntN(2); y < 13; y++ {
				for x := at; x < at+3; x++ {
					place := y*16 + x
					if lies {
						place = x*16 + y
					}
					g.Pix[place] = uint8(150 + rng.IntN(100))
				}
			}
			f, err := os.Create(filepath.Join(path, fmt.Sprintf("%03d.png", i)))
			if err != nil {
				t.Fatal(err)
			}
			if err := png.Encode(f, g); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	bars("train/upright", 160, false)
	bars("test/normal", 20, false)
	bars("test/anomaly", 20, true)
	code, _, errs := akin(t, "train", "--dir", dir, "--data", filepath.Join(data, "train"), "--holdout", "0.3", "--epochs", "4")
	if code != 0 || !strings.Contains(errs, "all items are taken for normal") || !strings.Contains(errs, "turn90") || !strings.Contains(errs, "one-class loss") {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	in := mustAkin[struct{ Score string }](t, "ingest", "--dir", dir, "--data", filepath.Join(data, "train"))
	if in.Score != "knn" {
		t.Errorf("score %q", in.Score)
	}
	got := mustAkin[struct {
		AUROC   float64 `json:"auroc"`
		Classes []struct {
			Score string `json:"score"`
			Known int    `json:"known_items"`
		} `json:"classes"`
	}](t, "bench", "anomaly", "--dataset", data, "--holdout", "0.3", "--epochs", "4")
	if got.AUROC < 0.95 || len(got.Classes) != 1 || got.Classes[0].Score != "knn" || got.Classes[0].Known > 130 {
		t.Errorf("%+v", got)
	}
	code, _, errs = akin(t, "train", "--dir", dir, "--force", "--data", filepath.Join(data, "train"), "--one-class", "--loss", "supcon")
	if code == 0 || !strings.Contains(errs, "--loss supcon and --one-class: leave one of them out") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}
