package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akin-search/akin/train"
)

// The help names every loss and every source of negatives that there is.
func TestLossHelpIsComplete(t *testing.T) {
	for _, name := range train.LossNames() {
		kind, err := train.ParseLoss(name)
		if err != nil || !strings.Contains(lossHelp, "  "+name+" ") {
			t.Errorf("loss %s is not explained (%v)", name, err)
		}
		for _, n := range kind.Negatives() {
			if !strings.Contains(lossHelp, n.String()) {
				t.Errorf("negatives %v of %s are not explained", n, name)
			}
		}
	}
}

func TestReadPairs(t *testing.T) {
	d := train.Dataset{IDs: []string{"a.png", "b.png"}, Raw: [][]byte{{1}, {2}}, Labels: []int{train.Unlabelled, train.Unlabelled}}
	path := filepath.Join(t.TempDir(), "pairs.csv")
	for text, want := range map[string]string{"a.png,b.png,0\n": "", "a.png,c.png,1\n": `no item "c.png"; its ids are like "a.png"`, "a.png\n": path} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		pairs, err := readPairs(path, d)
		if want == "" && (err != nil || len(pairs) != 1) || want != "" && (!errors.Is(err, train.ErrDataset) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, %v", text, pairs, err)
		}
	}
	if _, err := readPairs(path+".none", d); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}
