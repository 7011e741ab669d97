package benchmarks

import (
	"archive/zip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akin-search/akin/encoder/kernel"
	"github.com/akin-search/akin/train"
)

// archive writes a zip of drawings in the manner of Omniglot.
func archive(t *testing.T, path string, drawings map[string]string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	for name, raw := range drawings {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte(raw))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestLoadOmniglot(t *testing.T) {
	dir := t.TempDir()
	archive(t, filepath.Join(dir, "a.zip"), map[string]string{"a/Greek/character01/1.png": "α", "a/Greek/character02/1.png": "β", "a/readme.txt": "", "a/Greek/": ""})
	archive(t, filepath.Join(dir, "b.zip"), map[string]string{"b/Greek/character01/1.png": "α", "b/Latin/character01/1.png": "a", "b/Latin/character01/2.png": "a"})
	d, err := loadOmniglot(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Validate(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(d.IDs, " "); got != "Greek/character01/1.png Greek/character02/1.png Latin/character01/1.png Latin/character01/2.png" {
		t.Errorf("drawings %s", got)
	}
	if d.Label(0) != "Greek/character01" || d.Label(3) != "Latin/character01" || d.Labels[2] != d.Labels[3] {
		t.Errorf("labels %v of %v", d.Labels, d.Classes)
	}
	archive(t, filepath.Join(dir, "c.zip"), map[string]string{"c/Latin/character01/1.png": "A"})
	if _, err := loadOmniglot(dir); !errors.Is(err, ErrData) {
		t.Errorf("two drawings of one name: %v", err)
	}
	if _, err := loadOmniglot(t.TempDir()); !errors.Is(err, ErrInvalid) {
		t.Errorf("an empty folder: %v", err)
	}
}

// alphabets returns a data set of alphabets of the given numbers of characters, two drawings each.
func alphabets(characters ...int) (d train.Dataset) {
	for a, n := range characters {
		for c := range n {
			d.Classes = append(d.Classes, fmt.Sprintf("A%d/c%02d", a, c))
			for i := range 2 {
				d.IDs = append(d.IDs, fmt.Sprintf("%s/%d", d.Classes[len(d.Classes)-1], i))
				d.Raw, d.Labels = append(d.Raw, []byte{1}), append(d.Labels, len(d.Classes)-1)
			}
		}
	}
	return d
}

func TestHoldOut(t *testing.T) {
	d := alphabets(3, 4, 5, 3, 1, 3)
	names := func(d train.Dataset) map[string]bool {
		seen := map[string]bool{}
		for i := range d.Len() {
			seen[alphabet(d.Label(i))] = true
		}
		return seen
	}
	rest, held, err := holdOut(d, 3, false)
	if err != nil {
		t.Fatal(err)
	}
	vRest, vHeld, err := holdOut(d, 3, true)
	if err != nil {
		t.Fatal(err)
	}
	if len(names(held)) != 2 || len(names(rest)) != 4 || len(names(vHeld)) != 2 || len(names(vRest)) != 2 {
		t.Errorf("%v | %v, to choose by %v | %v", names(rest), names(held), names(vRest), names(vHeld))
	}
	for name := range names(held) {
		if names(rest)[name] || names(vRest)[name] || names(vHeld)[name] {
			t.Errorf("%s is held out and seen", name)
		}
	}
	if names(held)["A4"] || names(vHeld)["A4"] || !names(vRest)["A4"] {
		t.Error("an alphabet of one character is measured on")
	}
	for name := range names(vHeld) {
		if names(vRest)[name] || !names(rest)[name] {
			t.Errorf("%s, which choices are made by, is learned from: %v", name, names(vRest))
		}
	}
	if _, _, err := holdOut(alphabets(3, 3), 3, false); !errors.Is(err, ErrData) {
		t.Errorf("nothing left to learn from: %v", err)
	}
}

// TestOneShotError gives each character an axis of its own, and then makes them all the same.
func TestOneShotError(t *testing.T) {
	d := alphabets(3, 4)
	emb := kernel.Matrix{Rows: d.Len(), Cols: 7, Data: make([]float32, 7*d.Len())}
	for i, l := range d.Labels {
		emb.Row(i)[l] = 1
	}
	if got, err := oneShotError(emb, d, alphabet, 3, 40, 1); err != nil || got != 0 {
		t.Errorf("error %v of characters that are axes (%v)", got, err)
	}
	if got, err := oneShotError(emb, d, func(string) string { return "all" }, 7, 40, 1); err != nil || got != 0 {
		t.Errorf("error %v of characters that are axes, of all alphabets (%v)", got, err)
	}
	for i, l := range d.Labels {
		emb.Row(i)[l] = 0
		emb.Row(i)[0] = 1 // all alike: the first of an episode is always the answer
	}
	if got, err := oneShotError(emb, d, alphabet, 3, 40, 1); err != nil || got < 0.666 || got > 0.667 {
		t.Errorf("error %v of characters that are all alike, want 2/3 (%v)", got, err)
	}
	if _, err := oneShotError(emb, d, alphabet, 4, 40, 1); !errors.Is(err, ErrData) {
		t.Errorf("4 ways of an alphabet of 3: %v", err)
	}
}
