package train

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// labelHeading has the names that a column of files may have, and then those of a column of classes.
var labelHeading = []string{"file", "path", "class", "label"}

// WithLabels returns d with the labels of a CSV file in place of its own: lines of an item's id (in a folder the slash path relative to
// it) and its class. Items that the file does not name, or with an empty class, are unlabelled. A first line of "file" or "path", and "class" or "label" is a heading. The
// classes are those that occur, sorted. A line that is broken, names no item, or names one again is an error wrapping ErrDataset.
func (d Dataset) WithLabels(path string) (Dataset, error) {
	f, err := os.Open(path)
	if err != nil {
		return Dataset{}, err
	}
	defer f.Close() // read only: nothing to lose in closing
	at := make(map[string]int, d.Len())
	for i, id := range d.IDs {
		at[id] = i
	}
	r := csv.NewReader(f)
	r.FieldsPerRecord = 2
	names := make([]string, d.Len())
	lines := make([]int, d.Len()) // where an item is named; 0 = nowhere
	classes := map[string]bool{}
	for first := true; ; first = false {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Dataset{}, fmt.Errorf("%w: %s: %w; want lines of file,class", ErrDataset, path, err)
		}
		if first && slices.Contains(labelHeading[:2], fields[0]) && slices.Contains(labelHeading[2:], fields[1]) {
			continue
		}
		line, _ := r.FieldPos(0)
		i, known := at[fields[0]]
		if !known && first {
			return Dataset{}, fmt.Errorf("%w: %s, line %d: there is no item %q; the items are named like %q; write a heading as file,class", ErrDataset, path, line, fields[0], d.IDs[0])
		}
		if !known {
			return Dataset{}, fmt.Errorf("%w: %s, line %d: there is no item %q; the items are named like %q", ErrDataset, path, line, fields[0], d.IDs[0])
		}
		if lines[i] > 0 {
			return Dataset{}, fmt.Errorf("%w: %s names item %q in line %d and again in line %d", ErrDataset, path, fields[0], lines[i], line)
		}
		lines[i], names[i] = line, fields[1]
		if fields[1] != "" {
			classes[fields[1]] = true
		}
	}
	d.Classes = make([]string, 0, len(classes))
	for name := range classes {
		d.Classes = append(d.Classes, name)
	}
	slices.SortFunc(d.Classes, cmp.Compare[string])
	d.Labels = make([]int, d.Len())
	for i, name := range names {
		if d.Labels[i] = Unlabelled; name != "" {
			d.Labels[i], _ = slices.BinarySearch(d.Classes, name)
		}
	}
	return d, nil
}
