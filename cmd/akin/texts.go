package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/train"
)

// ofTexts reports whether a model is of texts.
func ofTexts(e *encoder.Encoder) bool {
	return e.Model().Preprocessing.Modality == encoder.ModalityText
}

// readInput returns the bytes of the file that an argument names; for a model of texts one that names none is the text itself, see isText.
func readInput(e *encoder.Encoder, arg string) ([]byte, error) {
	raw, err := os.ReadFile(arg)
	if err != nil && ofTexts(e) && isText(arg, err) {
		return []byte(arg), nil
	}
	return raw, err
}

// isText reports whether an argument that cannot be opened is a text: there is no such file, and it does not look like the name of one, as a word with an ending or
// a separator of folders does; or it cannot be a name.
func isText(arg string, err error) bool {
	var path *fs.PathError
	if errors.Is(err, fs.ErrNotExist) && !strings.ContainsFunc(arg, unicode.IsSpace) && (len(filepath.Ext(arg)) > 1 || strings.ContainsRune(arg, os.PathSeparator)) {
		return false
	}
	return errors.Is(err, fs.ErrNotExist) || errors.As(err, &path) && (strings.Contains(path.Err.Error(), "name too long") || strings.Contains(path.Err.Error(), "not a directory"))
}

// givenTexts returns the texts among arguments that are no files, and those in lists that are named, by the names to show for them; all other
// arguments are left as they are. Rows of lists that cannot be read are unread.
func (a *app) givenTexts(args []string) (names []string, texts map[string][]byte, unread []scored, err error) {
	texts = map[string][]byte{}
	for _, arg := range args {
		info, err := os.Stat(arg)
		switch {
		case err != nil && isText(arg, err):
			names, texts[arg] = append(names, arg), []byte(arg)
		case err == nil && !info.IsDir() && train.IsManifest(arg) && train.IsTextList(arg):
			l, err := train.TextList(arg, train.RowsTest)
			for _, s := range l.Skipped {
				unread = append(unread, scored{File: arg + ":" + s.Path, Error: s.Reason})
			}
			a.left(l.Left, arg)
			if err != nil {
				return nil, nil, nil, err
			}
			for i, id := range l.Dataset.IDs {
				name := arg + ":" + id
				names, texts[name] = append(names, name), l.Dataset.Raw[i]
			}
		default:
			names = append(names, arg)
		}
	}
	return names, texts, unread, nil
}

// excerpt is a text for a line on the terminal.
func excerpt(raw []byte) string {
	const most = 72
	text := strings.Join(strings.Fields(strings.ToValidUTF8(string(raw), "\uFFFD")), " ")
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}

// textsFound says what texts there are.
func textsFound(d train.Dataset) string {
	var bytes []int
	for _, raw := range d.Raw {
		bytes = append(bytes, len(raw))
	}
	slices.Sort(bytes)
	text := fmt.Sprintf("%d texts of %d to %d bytes, half of them %d or fewer", len(bytes), bytes[0], bytes[len(bytes)-1], bytes[len(bytes)/2])
	if len(d.Pairs) > 0 {
		kinds, similar := map[float64]bool{}, 0
		for _, p := range d.Pairs {
			kinds[p.Score] = true
			if p.Similar() {
				similar++
			}
		}
		text += fmt.Sprintf("; %d pairs of them, %d alike and %d not", len(d.Pairs), similar, len(d.Pairs)-similar)
		if similar == len(d.Pairs) && len(kinds) == 1 {
			text += ": all others count as not alike"
		}
		if len(kinds) > 2 {
			text += fmt.Sprintf(", in %d grades", len(kinds))
		}
	}
	return text
}
