package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/akin-search/akin/"

// allowed are the arrows of the house: what each room may import of the others. cmd/akin and benchmarks may import everything.
var allowed = map[string][]string{
	"server":                    {"index", "index/distance", "encoder", "encoder/op", "encoder/kernel", "train", "train/vectors"},
	"train":                     {"train/vectors", "encoder", "encoder/op", "encoder/kernel", "index", "index/distance"},
	"train/vectors":             {"index", "index/distance"},
	"train/vectors/vectorstest": {},
	"index":                     {"index/distance"},
	"index/indextest":           {"index", "index/distance"},
	"index/distance":            {},
	"encoder":                   {"encoder/op", "encoder/kernel"},
	"encoder/op":                {"encoder/kernel"},
	"encoder/kernel":            {},
}

// foreign are modules that only some rooms may import themselves.
var foreign = map[string][]string{
	"gorgonia.org/":               {"encoder", "encoder/op"},
	"github.com/gofiber/fiber":    {"server"},
	"github.com/dgraph-io/badger": {"index"},
	"github.com/coder/hnsw":       {"index"},
	"github.com/spf13/cobra":      {"cmd/akin"},
}

func goList(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("go list %v: %v\n%s", args, err, out)
	}
	return strings.Fields(string(out))
}

// TestArrows reads go list -deps and fails when a dependency turns round, or a package appears that the house does not know.
func TestArrows(t *testing.T) {
	packages := goList(t, module+"...")
	if len(packages) < len(allowed) {
		t.Fatalf("go list knows %d packages only: %v", len(packages), packages)
	}
	for _, path := range packages {
		room := strings.TrimPrefix(path, module)
		if may, ok := allowed[room]; ok {
			for _, dep := range goList(t, "-deps", path) {
				if other, ours := strings.CutPrefix(dep, module); ours && other != room && !slices.Contains(may, other) {
					t.Errorf("%s imports %s: it may import %v", room, other, may)
				}
			}
		} else if room != "cmd/akin" && room != "benchmarks" {
			t.Errorf("package %s has no place in the house: give it one in DESIGN and here", room)
		}
		for _, imported := range goList(t, "-f", `{{join .Imports "\n"}}`, path) {
			for prefix, rooms := range foreign {
				if strings.HasPrefix(imported, prefix) && !slices.Contains(rooms, room) {
					t.Errorf("%s imports %s: only %v may", room, imported, rooms)
				}
			}
		}
	}
}
