package benchmarks

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/akin-search/akin/train"
)

// Omniglot is the name of the data set of handwritten characters of many alphabets, each drawn by 20 people (Lake, Salakhutdinov,
// Tenenbaum 2015, "Human-level concept learning through probabilistic program induction").
const Omniglot = "omniglot"

const (
	maxDrawing  = 1 << 20 // bytes of one drawing in an archive, and
	maxDrawings = 1 << 20 // drawings of all archives

	// heldAlphabets are kept from training, to measure on.
	heldAlphabets = 2
)

// loadOmniglot reads the archives of drawings (images_background_small1.zip and so on) in dir. A drawing is ALPHABET/CHARACTER/FILE.png below
// one folder; those that several archives share count once. A class is ALPHABET/CHARACTER.
func loadOmniglot(dir string) (train.Dataset, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.zip"))
	if err != nil || dir == "" || len(paths) == 0 {
		return train.Dataset{}, errors.Join(err, fmt.Errorf("%s: %w: no .zip in folder %q; pass --data DIR with images_background_small1.zip, "+
			"images_background_small2.zip or others of github.com/brendenlake/omniglot", Omniglot, ErrInvalid, dir))
	}
	drawings := map[string][]byte{}
	for _, path := range paths {
		if err := readDrawings(path, drawings); err != nil {
			return train.Dataset{}, fmt.Errorf("%s: %w", path, err)
		}
	}
	var d train.Dataset
	for _, id := range slices.Sorted(maps.Keys(drawings)) {
		class := id[:strings.LastIndexByte(id, '/')]
		if n := len(d.Classes); n == 0 || d.Classes[n-1] != class {
			d.Classes = append(d.Classes, class)
		}
		d.IDs, d.Raw, d.Labels = append(d.IDs, id), append(d.Raw, drawings[id]), append(d.Labels, len(d.Classes)-1)
	}
	if d.Len() == 0 {
		return d, fmt.Errorf("%s: %w: no ALPHABET/CHARACTER/FILE.png in the archives", dir, ErrData)
	}
	return d, nil
}

// readDrawings adds the drawings of one archive, by alphabet, character and file.
func readDrawings(path string, drawings map[string][]byte) (err error) {
	z, err := zip.OpenReader(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, z.Close()) }()
	for _, f := range z.File {
		parts := strings.Split(f.Name, "/")
		if len(parts) != 4 || !strings.HasSuffix(f.Name, ".png") || strings.HasPrefix(f.Name, "__MACOSX/") {
			continue
		}
		raw, err := readDrawing(f)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		id := strings.Join(parts[1:], "/")
		if other, twice := drawings[id]; twice && !bytes.Equal(other, raw) {
			return fmt.Errorf("%s: %w: another archive has another drawing of that name", id, ErrData)
		}
		if drawings[id] = raw; len(drawings) > maxDrawings {
			return fmt.Errorf("%w: more than %d drawings", ErrData, maxDrawings)
		}
	}
	return nil
}

func readDrawing(f *zip.File) (raw []byte, err error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	raw, err = io.ReadAll(io.LimitReader(r, maxDrawing+1))
	if err == nil && len(raw) > maxDrawing {
		err = fmt.Errorf("%w: more than %d bytes", ErrData, maxDrawing)
	}
	return raw, err
}

// alphabet of a class of Omniglot.
func alphabet(class string) string {
	name, _, _ := strings.Cut(class, "/")
	return name
}

// holdOut parts d into the alphabets to learn from and those to measure on. Held out are those of at least way characters whose names
// come first by their SHA-256: an order that nobody chose. To choose by, the next ones play their part and the first are left out.
func holdOut(d train.Dataset, way int, validation bool) (rest, held train.Dataset, err error) {
	characters := map[string]int{}
	for _, c := range d.Classes {
		characters[alphabet(c)]++
	}
	var large []string
	for name, n := range characters {
		if n >= way {
			large = append(large, name)
		}
	}
	slices.SortFunc(large, func(a, b string) int {
		x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
		return bytes.Compare(x[:], y[:])
	})
	need := heldAlphabets
	if validation {
		need *= 2
	}
	if len(large) < need || len(characters) == need {
		return rest, held, fmt.Errorf("%w: %d alphabets, %d of them of %d characters or more: %d are held out, and one more is needed to learn from",
			ErrData, len(characters), len(large), way, need)
	}
	measured := large[need-heldAlphabets : need]
	var restItems, heldItems []int
	for i, l := range d.Labels {
		switch name := alphabet(d.Classes[l]); {
		case slices.Contains(measured, name):
			heldItems = append(heldItems, i)
		case !slices.Contains(large[:need], name):
			restItems = append(restItems, i)
		}
	}
	return d.Subset(restItems), d.Subset(heldItems), nil
}
