package train

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestWithLabels(t *testing.T) {
	d := Dataset{IDs: []string{"a/1.png", "2.png", "3.png", "odd,name.png"}, Raw: [][]byte{{1}, {2}, {3}, {4}}, Labels: []int{0, Unlabelled, Unlabelled, Unlabelled}, Classes: []string{"a"}}
	for content, want := range map[string]struct {
		labels  []int
		classes []string
		fault   string
	}{
		"file,class\n2.png,cat\na/1.png,ape\n":            {labels: []int{0, 1, Unlabelled, Unlabelled}, classes: []string{"ape", "cat"}},
		"\"odd,name.png\",cat\r\n2.png,\r\n3.png,cat\r\n": {labels: []int{Unlabelled, Unlabelled, 0, 0}, classes: []string{"cat"}},
		"path,label\n2.png,cat\n":                         {labels: []int{Unlabelled, 0, Unlabelled, Unlabelled}, classes: []string{"cat"}},
		"name,kind\n2.png,cat\n":                          {fault: `line 1: there is no item "name"; the items are named like "a/1.png"; write a heading as file,class`},
		"":                                                {labels: []int{Unlabelled, Unlabelled, Unlabelled, Unlabelled}, classes: []string{}},
		"2.png,cat\n5.png,cat\n":                          {fault: `line 2: there is no item "5.png"; the items are named like "a/1.png"`},
		"2.png,cat\n3.png,ape\n2.png,":                    {fault: `names item "2.png" in line 1 and again in line 3`},
		"2.png;cat\n":                                     {fault: "wrong number of fields"},
		"2.png,\"cat\n":                                   {fault: "want lines of file,class"},
	} {
		path := filepath.Join(t.TempDir(), "labels.csv")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := d.WithLabels(path)
		if want.fault != "" {
			if !errors.Is(err, ErrDataset) || !strings.Contains(err.Error(), want.fault) {
				t.Errorf("%q: %v, want %q", content, err, want.fault)
			}
			continue
		}
		if err != nil || !slices.Equal(got.Labels, want.labels) || !slices.Equal(got.Classes, want.classes) || got.Validate() != nil {
			t.Errorf("%q: labels %v of %q, %v", content, got.Labels, got.Classes, err)
		}
	}
	if d.Labels[0] != 0 {
		t.Error("the labels of the data set itself changed")
	}
	if _, err := d.WithLabels(filepath.Join(t.TempDir(), "none.csv")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// TestSplitLeavesFewLabels: in partly labelled data a class with few labels keeps them all, one with many keeps most.
func TestSplitLeavesFewLabels(t *testing.T) {
	d := stripes(900, 1)
	for i, l := range d.Labels {
		if l == 0 && i > 30 || l == 1 && i > 60 || l == 2 && i%2 == 0 {
			d.Labels[i] = Unlabelled
		}
	}
	rest, part, err := d.Split(0.3, 4)
	if err != nil {
		t.Fatal(err)
	}
	classes, unlabelled := itemsByClass(rest.Labels)
	if n := len(classes[0]); rest.Labels[classes[0][0]] != 0 || n != 11 {
		t.Errorf("the class of 11 labels keeps %d", n)
	}
	if n := len(classes[1]); n != 20 {
		t.Errorf("the class of 20 labels keeps %d", n)
	}
	if n := len(classes[2]); n < 90 || n > 120 {
		t.Errorf("the class of 150 labels keeps %d of them at a share of 0.3", n)
	}
	if n := len(unlabelled); n < 450 || n > 550 || rest.Len()+part.Len() != 900 {
		t.Errorf("%d of 719 unlabelled items are in the rest", n)
	}
}
