package train

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/akin-search/akin/encoder"
)

// Skipped is a file that was left out, and why.
type Skipped struct {
	Path   string // slash path relative to the folder or the manifest
	Reason string
}

// Folder reads the images and sounds under dir, in the order of their paths: all files that begin like one of encoder.Formats or
// encoder.SoundFormats, whatever their names; or the texts, .txt, where these are most of them. A gigabyte of them stays in memory; what is beyond it is read again when it is wanted.
// The label of an item is the name of dir's sub-folder that it lies in, at whatever depth; one directly in dir is unlabelled, so
// a flat folder is an unlabelled data set. The id is the slash path relative to dir.
//
// A file of another type, one that cannot be read, or one whose header is broken or declares too many pixels is skipped and reported;
// names that begin with a dot are passed over. The header is all that is checked: a file cut short behind it shows when it is decoded.
// Symbolic links to files are followed, those to folders are skipped. No item at all is an error wrapping ErrDataset.
func Folder(dir string) (Dataset, []Skipped, error) {
	root, err := filepath.EvalSymlinks(dir) // WalkDir would not enter a root that is a link
	if err != nil {
		return Dataset{}, nil, err
	}
	if info, err := os.Stat(root); err != nil {
		return Dataset{}, nil, err
	} else if !info.IsDir() {
		return Dataset{}, nil, fmt.Errorf("%w: %s is a file, want a folder of images or sounds", ErrDataset, dir)
	}
	var d Dataset
	var files reader
	var skipped []Skipped
	class := map[string]int{}
	err = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil || path == root:
			return nil // what follows tells
		case e.IsDir() && strings.HasPrefix(e.Name(), "."):
			return filepath.SkipDir
		case !e.IsDir() && !strings.HasPrefix(e.Name(), "."):
			files.count(path)
		}
		return nil
	})
	if err != nil {
		return Dataset{}, nil, err
	}
	err = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if path == root {
			return err
		}
		rel, relErr := filepath.Rel(root, path)
		if relErr != nil {
			return relErr
		}
		rel = filepath.ToSlash(rel)
		skip := func(format string, args ...any) error {
			skipped = append(skipped, Skipped{Path: strings.ToValidUTF8(rel, "\uFFFD"), Reason: fmt.Sprintf(format, args...)})
			return nil
		}
		if err != nil { // a folder that cannot be listed
			return skip("%v", err)
		}
		if strings.HasPrefix(e.Name(), ".") {
			if e.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if e.IsDir() {
			return nil
		}
		raw, err := files.read(path, rel)
		if err != nil {
			return skip("%v", err)
		}
		label := Unlabelled
		if name, _, nested := strings.Cut(rel, "/"); nested {
			known := false
			if label, known = class[name]; !known { // the walk is in lexical order, and so are the classes
				label = len(d.Classes)
				class[name] = label
				d.Classes = append(d.Classes, name)
			}
		}
		d.IDs = append(d.IDs, rel)
		d.Raw = append(d.Raw, raw)
		d.Files = append(d.Files, path)
		d.Labels = append(d.Labels, label)
		return nil
	})
	if err != nil {
		return Dataset{}, nil, err
	}
	if d.Len() == 0 {
		return Dataset{}, skipped, fmt.Errorf("%w: no %s, %s in %s, and no .txt%s; want %s or, without labels, %s",
			ErrDataset, encoder.Formats, encoder.SoundFormats, dir, firstOf(skipped), filepath.Join(dir, "CLASS", "*.jpg"), filepath.Join(dir, "*.jpg"))
	}
	return d, skipped, nil
}

// firstOf tells in an error how many files were skipped, and why the first.
func firstOf(skipped []Skipped) string {
	if len(skipped) == 0 {
		return ""
	}
	return fmt.Sprintf(" (%d files skipped, the first: %s: %s)", len(skipped), skipped[0].Path, skipped[0].Reason)
}
