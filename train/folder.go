package train

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/akin-search/akin/encoder"
)

const (
	maxIDBytes   = 1024    // the longest id that a collection takes
	maxFileBytes = 1 << 29 // of a file: as much as the largest picture takes uncompressed
)

// Skipped is a file that was left out, and why.
type Skipped struct {
	Path   string // slash path relative to the folder or the manifest
	Reason string
}

// Folder reads the images and sounds under dir into memory, in the order of their paths: all files that begin like one of encoder.Formats or
// encoder.SoundFormats, whatever their names.
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
	var skipped []Skipped
	class := map[string]int{}
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
		raw, err := readItem(path, rel)
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
		d.Labels = append(d.Labels, label)
		return nil
	})
	if err != nil {
		return Dataset{}, nil, err
	}
	if d.Len() == 0 {
		return Dataset{}, skipped, fmt.Errorf("%w: no %s, %s in %s%s; want %s or, without labels, %s",
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

// readItem returns the bytes of a file that has the header of a picture or begins like a sound; its error is the reason to skip it.
func readItem(path, id string) (raw []byte, err error) {
	if !utf8.ValidString(id) {
		return nil, errors.New("the name is not valid UTF-8")
	}
	if len(id) > maxIDBytes {
		return nil, fmt.Errorf("the path is %d bytes long, an id may have %d", len(id), maxIDBytes)
	}
	info, err := os.Stat(path) // follows a link
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for a writer
		return nil, errors.New("not a regular file")
	}
	if info.Size() > maxFileBytes {
		return nil, fmt.Errorf("%d bytes: a file may have %d", info.Size(), maxFileBytes)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	raw = make([]byte, info.Size())
	start := raw[:min(encoder.FormatBytes, len(raw))]
	if _, err := io.ReadFull(f, start); err != nil {
		return nil, err
	}
	sound := encoder.SoundFormat(start) != ""
	if !sound && encoder.Format(start) == "" { // what else lies in the folder is not read to its end
		return nil, fmt.Errorf("no %s, %s by its first bytes", encoder.Formats, encoder.SoundFormats)
	}
	if _, err := io.ReadFull(f, raw[len(start):]); err != nil {
		return nil, err
	}
	if sound { // its header is part of what is decoded
		return raw, nil
	}
	if _, err := encoder.Probe(raw); err != nil {
		return nil, err
	}
	return raw, nil
}
