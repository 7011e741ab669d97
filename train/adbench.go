package train

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// adbenchFile are the names of ADBench's files: a number and the set's name.
var adbenchFile = regexp.MustCompile(`^\d+_(.+)\.npz$`)

// ADBenchFiles returns the files of the sets of ADBench (Han et al. 2022) in a folder by the names of the sets, as in "cardio" for 6_cardio.npz.
func ADBenchFiles(dir string) (map[string]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, e := range entries {
		if m := adbenchFile.FindStringSubmatch(e.Name()); m != nil {
			files[m[1]] = filepath.Join(dir, e.Name())
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%w: no file of ADBench, as in 6_cardio.npz, in %s", ErrDataset, dir)
	}
	return files, nil
}

// Classes of an ADBench set.
const (
	ADBenchNormal  = "normal"
	ADBenchAnomaly = "anomaly"
)

// ADBench reads a set of ADBench, a file of arrays X and y, and splits it as its one-class protocol here goes: training is the first half of the normal
// rows in file order, all of class ADBenchNormal (label 0), test the other normal rows and then all anomalies, which are of class ADBenchAnomaly (label
// 1). With shuffle it is any half of them: in some files the second half is unlike the first, and what is then unlike the known may be no
// anomaly. The items are rows of modality encoder.ModalityTable. No anomaly is in training, and nothing may be chosen by test.
//
//	training, test, err := train.ADBench("adbench/6_cardio.npz", nil)
//	m, err := train.Run(ctx, training, train.Dataset{}, train.Options{Seed: 1})
func ADBench(file string, shuffle *rand.Rand) (training, test Dataset, err error) {
	l, err := Table(file, TableOptions{})
	if err != nil {
		return training, test, err
	}
	d := l.Dataset
	var normal, anomalies []int
	for i := range d.Len() {
		switch name := d.Label(i); name {
		case "0":
			normal = append(normal, i)
		case "1":
			anomalies = append(anomalies, i)
		default:
			return training, test, fmt.Errorf("%w: %s: row %d has y %q: want 0, which is normal, or 1", ErrDataset, file, i, name)
		}
	}
	if len(normal) < 2 || len(anomalies) == 0 {
		return training, test, fmt.Errorf("%w: %s: %d normal rows and %d anomalies: want two and one at least", ErrDataset, file, len(normal), len(anomalies))
	}
	if shuffle != nil {
		shuffle.Shuffle(len(normal), func(i, j int) { normal[i], normal[j] = normal[j], normal[i] })
	}
	half := len(normal) / 2
	classed := func(items []int) Dataset {
		part := d.Subset(items)
		part.Classes = []string{ADBenchNormal, ADBenchAnomaly}
		for i := range part.Labels {
			part.Labels[i] = strings.Index("01", d.Label(items[i]))
		}
		return part
	}
	training, test = classed(normal[:half]), classed(append(normal[half:len(normal):len(normal)], anomalies...))
	training.Classes = training.Classes[:1]
	return training, test, nil
}
