package train

import (
	"bytes"
	"fmt"
	"image"
	_ "image/jpeg" // registers the decoders whose headers Folder reads
	_ "image/png"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// maxIDBytes is the longest id that a collection takes.
const maxIDBytes = 1024

// Skipped is a file that Folder left out, and why.
type Skipped struct {
	Path   string // slash path relative to the folder
	Reason string
}

// Folder reads the .png, .jpg and .jpeg images (in any case) under dir into memory, in the order of their paths.
// The label of an image is the name of dir's sub-folder that it lies in, at whatever depth; an image directly in dir is unlabelled, so
// a flat folder is an unlabelled data set. The id is the slash path relative to dir.
//
// A file of another type, one that cannot be read, or one whose header is not that of a PNG or JPEG image is skipped and reported;
// names that begin with a dot are passed over. The header is all that is checked: a file cut short behind it shows when it is decoded.
// Symbolic links to files are followed, those to folders are skipped. No image at all is an error wrapping ErrDataset.
func Folder(dir string) (Dataset, []Skipped, error) {
	root, err := filepath.EvalSymlinks(dir) // WalkDir would not enter a root that is a link
	if err != nil {
		return Dataset{}, nil, err
	}
	if info, err := os.Stat(root); err != nil {
		return Dataset{}, nil, err
	} else if !info.IsDir() {
		return Dataset{}, nil, fmt.Errorf("%w: %s is a file, want a folder of images", ErrDataset, dir)
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
		raw, reason := readImage(path, rel)
		if reason != "" {
			return skip("%s", reason)
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
		first := ""
		if len(skipped) > 0 {
			first = fmt.Sprintf(" (%d files skipped, the first: %s: %s)", len(skipped), skipped[0].Path, skipped[0].Reason)
		}
		return Dataset{}, skipped, fmt.Errorf("%w: no .png, .jpg or .jpeg image in %s%s; want %s or, without labels, %s",
			ErrDataset, dir, first, filepath.Join(dir, "CLASS", "*.png"), filepath.Join(dir, "*.png"))
	}
	return d, skipped, nil
}

// readImage returns the file's bytes, or the reason to skip it.
func readImage(path, rel string) (raw []byte, reason string) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".png", ".jpg", ".jpeg":
	default:
		return nil, "not a .png, .jpg or .jpeg file"
	}
	if !utf8.ValidString(rel) {
		return nil, "the name is not valid UTF-8"
	}
	if len(rel) > maxIDBytes {
		return nil, fmt.Sprintf("the path is %d bytes long, an id may have %d", len(rel), maxIDBytes)
	}
	info, err := os.Stat(path) // follows a link
	if err != nil {
		return nil, err.Error()
	}
	if !info.Mode().IsRegular() {
		return nil, "not a regular file"
	}
	if raw, err = os.ReadFile(path); err != nil {
		return nil, err.Error()
	}
	_, format, err := image.DecodeConfig(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Sprintf("no PNG or JPEG header: %v", err)
	}
	if format != "png" && format != "jpeg" { // other packages of the program may have registered more formats
		return nil, fmt.Sprintf("holds %s, not PNG or JPEG", format)
	}
	return raw, ""
}
