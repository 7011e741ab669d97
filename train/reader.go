package train

import (
	"bytes"
	"errors"
	"fmt"
	"io"
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

// mostHeld is how many bytes of a data set's files stay in memory. A variable for tests.
var mostHeld int64 = 1 << 30

// reader reads the files of a data set.
type reader struct {
	held         int64 // bytes so far
	files, texts int   // that count was told of
}

// count tells of a file of the data set, before any is read: texts are read where they are most of the files, and else are notes about the others.
func (r *reader) count(path string) {
	r.files++
	if isTextFile(path) {
		r.texts++
	}
}

// read checks a file, and returns its bytes where there is room to hold them, else nil; its error is the reason to skip the file.
func (r *reader) read(path, id string) ([]byte, error) {
	raw, err := readItem(path, id, 2*r.texts > r.files)
	if err != nil || r.held+int64(len(raw)) > mostHeld {
		return nil, err
	}
	r.held += int64(len(raw))
	return raw, nil
}

// isTextFile reports whether a file is a text by its name, .txt: nothing in it says so.
func isTextFile(path string) bool { return strings.EqualFold(filepath.Ext(path), ".txt") }

// readItem returns the bytes of a file that has the header of a picture, begins like a sound, or, where texts are wanted, is one by its name; its error is the reason to skip it.
func readItem(path, id string, texts bool) (raw []byte, err error) {
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
	if len(start) == 0 {
		return nil, errors.New("an empty file")
	}
	if texts && isTextFile(path) && !sound && encoder.Format(start) == "" {
		if info.Size() > encoder.MaxText {
			return nil, fmt.Errorf("a text of %d bytes: at most %d: cut it into parts", info.Size(), encoder.MaxText)
		}
		if _, err := io.ReadFull(f, raw[len(start):]); err != nil {
			return nil, err
		}
		if len(bytes.TrimSpace(raw)) == 0 {
			return nil, errors.New("the text is empty")
		}
		if !encoder.IsText(raw) {
			return nil, errors.New("it is no text in UTF-8: convert it")
		}
		return raw, nil
	}
	if !sound && encoder.Format(start) == "" { // what else lies in the folder is not read to its end
		if name := encoder.OtherPicture(start); name != "" {
			return nil, fmt.Errorf("%s, which is not decoded: convert it to JPEG or PNG", name)
		}
		if name := encoder.OtherSound(start); name != "" {
			return nil, fmt.Errorf("%s, which is not decoded: convert it to FLAC or WAV", name)
		}
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
