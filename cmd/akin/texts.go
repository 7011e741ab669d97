package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/akin-search/akin/encoder"
	"github.com/akin-search/akin/train"
)

// ofTexts reports whether a model is of texts.
func ofTexts(e *encoder.Encoder) bool {
	return e.Model().Preprocessing.Modality == encoder.ModalityText
}

// readInput returns the bytes of the file that an argument names; for a model of texts one that names none is the text itself.
func readInput(e *encoder.Encoder, arg string) ([]byte, error) {
	raw, err := os.ReadFile(arg)
	if err != nil && ofTexts(e) && noFile(err) {
		return []byte(arg), nil
	}
	return raw, err
}

// noFile reports whether an error of opening says that there is no such file, or that the name cannot be one.
func noFile(err error) bool {
	var path *fs.PathError
	return errors.Is(err, fs.ErrNotExist) || errors.As(err, &path) && (strings.Contains(path.Err.Error(), "name too long") || strings.Contains(path.Err.Error(), "not a directory"))
}

// givenTexts returns the texts among arguments that are no files, and those in lists that are named, by the names to show for them; all other
// arguments are left as they are.
func (a *app) givenTexts(e *encoder.Encoder, args []string) (names []string, texts map[string][]byte, err error) {
	texts = map[string][]byte{}
	for _, arg := range args {
		info, err := os.Stat(arg)
		switch {
		case err != nil && noFile(err):
			names, texts[arg] = append(names, arg), []byte(arg)
		case err == nil && !info.IsDir() && train.IsManifest(arg) && train.IsTextList(arg):
			l, err := train.TextList(arg, train.RowsTest)
			for _, s := range l.Skipped {
				a.skip(s)
			}
			if err != nil {
				return nil, nil, err
			}
			for i, id := range l.Dataset.IDs {
				name := arg + ":" + id
				names, texts[name] = append(names, name), l.Dataset.Raw[i]
			}
		default:
			names = append(names, arg)
		}
	}
	return names, texts, nil
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
