package encoder

import (
	"bytes"
	"fmt"
	"math"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/akin-search/akin/encoder/kernel"
)

// ModalityText is the modality of texts.
const ModalityText = "text"

// textBytes is how much of an item IsText looks at.
const textBytes = 1 << 12

// MaxText is how many bytes a text may have.
const MaxText = 1 << 20

// Limits of what texts are cut into.
const (
	maxGap       = 16 // words
	maxCharacter = 8  // of a run of characters
)

// TextFields is how many values an entry of a text's features has: its row in the table, its weight, and the first and the last word that it is of.
const TextFields = 4

// Grams say what of a text is looked at besides its words. The zero value is the words alone.
type Grams struct {
	Gap      int `json:"gap,omitempty"`      // pairs of words in their order, up to so many places apart: 1 is bigrams; 0 is none
	Shortest int `json:"shortest,omitempty"` // runs of so many characters, from Shortest to Longest, of a word with a blank at each end; 0 is none
	Longest  int `json:"longest,omitempty"`
}

// Validate reports the first value out of range.
func (g Grams) Validate() error {
	if g.Gap < 0 || g.Gap > maxGap {
		return fmt.Errorf("%w: pairs of words %d places apart: 0 to %d", ErrSpec, g.Gap, maxGap)
	}
	if none := g.Shortest == 0 && g.Longest == 0; !none && (g.Shortest < 1 || g.Longest < g.Shortest || g.Longest > maxCharacter) {
		return fmt.Errorf("%w: runs of %d to %d characters: 1 to %d, the shortest first, or 0 for none", ErrSpec, g.Shortest, g.Longest, maxCharacter)
	}
	return nil
}

// String tells what is looked at.
func (g Grams) String() string {
	text := "words"
	switch {
	case g.Gap == 1:
		text += ", pairs of neighbours"
	case g.Gap > 1:
		text += fmt.Sprintf(", pairs of words in their order up to %d apart", g.Gap)
	}
	if g.Longest > 0 {
		text += fmt.Sprintf(", runs of %d to %d characters", g.Shortest, g.Longest)
	}
	return text
}

// IsText reports whether an item begins like a text: UTF-8 without a zero.
func IsText(raw []byte) bool {
	start := bytes.TrimPrefix(raw[:min(textBytes, len(raw))], byteOrderMark)
	for len(start) > 0 {
		r, n := utf8.DecodeRune(start)
		if r == utf8.RuneError && n == 1 {
			return len(raw) > textBytes && len(start) < utf8.UTFMax && !utf8.FullRune(start) // cut in the middle of a character
		}
		if r == 0 {
			return false
		}
		start = start[n:]
	}
	return len(raw) > 0
}

// Text says how texts become entries of a bag: what is looked at, and which of it has a row in the table.
type Text struct {
	Grams
	Vocabulary
}

// textScanner finds what is looked at in texts, one after the other.
type textScanner struct {
	grams Grams
	text  []byte   // normalised: words with a blank before, between and behind them
	words []int    // where in text each word begins; and where the blank behind the last one does, plus 1
	hash  []uint32 // of each word
	found []gram
	count map[uint32]int32
}

// gram is an occurrence of something in a text.
type gram struct {
	hash        uint32
	first, last int32 // words
}

func newTextScanner(g Grams) *textScanner { return &textScanner{grams: g, count: map[uint32]int32{}} }

// scan finds everything that is looked at, in the order of its last word; the word itself comes first. What it returns is valid until the next
// call. The error of a text that is none wraps ErrInput.
func (s *textScanner) scan(raw []byte) ([]gram, error) {
	if err := s.split(raw); err != nil {
		return nil, err
	}
	s.found, s.hash = s.found[:0], s.hash[:0]
	n := len(s.words) - 1
	for i := range n {
		word := s.text[s.words[i] : s.words[i+1]-1]
		h := hashOf(hashWord, word)
		s.hash = append(s.hash, h)
		at := int32(i)
		s.found = append(s.found, gram{h, at, at})
		if s.grams.Longest > 0 {
			s.runs(s.text[s.words[i]-1:s.words[i+1]], at)
		}
		if s.grams.Gap > 0 {
			s.pairs(at, n)
		}
	}
	clear(s.count)
	for _, g := range s.found {
		s.count[g.hash]++
	}
	return s.found, nil
}

// runs adds the runs of characters of a word with its blanks.
func (s *textScanner) runs(word []byte, at int32) {
	for from := 0; from < len(word); {
		to := from
		for n := 1; n <= s.grams.Longest && to < len(word); n++ {
			to += runeLength(word[to])
			if n >= s.grams.Shortest {
				s.found = append(s.found, gram{hashOf(hashRun, word[from:to]), at, at})
			}
		}
		from += runeLength(word[from])
	}
}

// runeLength returns the bytes of the rune that begins with b, of valid UTF-8.
func runeLength(b byte) int {
	switch {
	case b < 0x80:
		return 1
	case b < 0xe0:
		return 2
	case b < 0xf0:
		return 3
	}
	return 4
}

// pairs adds the pairs whose second word is at, and the beginning and the end of the text as neighbours.
func (s *textScanner) pairs(at int32, words int) {
	for gap := int32(1); gap <= int32(s.grams.Gap) && gap <= at; gap++ {
		kind := uint32(hashApart)
		if gap == 1 {
			kind = hashPair
		}
		s.found = append(s.found, gram{mixed(kind, s.hash[at-gap], s.hash[at]), at - gap, at})
	}
	if at == 0 {
		s.found = append(s.found, gram{mixed(hashPair, 0, s.hash[at]), at, at})
	}
	if int(at) == words-1 {
		s.found = append(s.found, gram{mixed(hashPair, s.hash[at], 0), at, at})
	}
}

// Kinds of what is hashed.
const (
	hashWord = iota + 1
	hashRun
	hashPair
	hashApart
)

// hashOf is FNV-1a of a kind and bytes, stirred.
func hashOf(kind uint32, b []byte) uint32 {
	h := (2166136261 ^ kind) * 16777619
	for _, c := range b {
		h = (h ^ uint32(c)) * 16777619
	}
	return stirred(h)
}

// mixed is a hash of a kind and two hashes in their order.
func mixed(kind, a, b uint32) uint32 { return stirred(stirred(a*0x9e3779b1+kind)*0x85ebca77 + b) }

// stirred is the finaliser of MurmurHash3: every bit depends on every other.
func stirred(h uint32) uint32 {
	h = (h ^ h>>16) * 0x85ebca6b
	h = (h ^ h>>13) * 0xc2b2ae35
	return h ^ h>>16
}

// byteOrderMark is that of UTF-8.
var byteOrderMark = []byte("\xef\xbb\xbf")

// split normalises a text (Unicode NFKC and case folding) and finds its words: runs of letters, digits and marks, each symbol, and each character
// of scripts that put no blanks between words.
func (s *textScanner) split(raw []byte) error {
	raw = bytes.TrimPrefix(raw, byteOrderMark)
	if len(raw) > MaxText {
		return fmt.Errorf("%w: a text of %d bytes: at most %d: cut it into parts", ErrInput, len(raw), MaxText)
	}
	if !utf8.Valid(raw) {
		at := 0
		for at < len(raw) {
			r, n := utf8.DecodeRune(raw[at:])
			if r == utf8.RuneError && n == 1 {
				break
			}
			at += n
		}
		return fmt.Errorf("%w: it is no UTF-8 at byte %d: convert it", ErrInput, at)
	}
	s.text, s.words = append(s.text[:0], ' '), s.words[:0]
	if ascii(raw) {
		s.splitASCII(raw)
	} else {
		s.splitUnicode(cases.Fold().Bytes(norm.NFKC.Bytes(raw)))
	}
	if len(s.words) == 0 {
		return fmt.Errorf("%w: a text of %d bytes without a word: want letters, digits or symbols", ErrInput, len(raw))
	}
	if s.text[len(s.text)-1] != ' ' {
		s.text = append(s.text, ' ')
	}
	s.words = append(s.words, len(s.text))
	return nil
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func (s *textScanner) splitASCII(b []byte) {
	for _, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		switch {
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9':
			s.word()
			s.text = append(s.text, c)
		case c == '$' || c == '+' || c == '<' || c == '=' || c == '>' || c == '|' || c == '~': // the symbols among them, as in splitUnicode
			s.blank()
			s.word()
			s.text = append(s.text, c, ' ')
		default:
			s.blank()
		}
	}
}

func (s *textScanner) splitUnicode(b []byte) {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar) || unicode.In(r, unicode.Sm, unicode.Sc, unicode.So):
			s.blank()
			s.word()
			s.text = append(append(s.text, b[:n]...), ' ')
		case unicode.In(r, unicode.L, unicode.N, unicode.M):
			s.word()
			s.text = append(s.text, b[:n]...)
		default:
			s.blank()
		}
		b = b[n:]
	}
}

// word begins a word, unless one is in work; blank ends it.
func (s *textScanner) word() {
	if s.text[len(s.text)-1] == ' ' {
		s.words = append(s.words, len(s.text))
	}
}

func (s *textScanner) blank() {
	if s.text[len(s.text)-1] != ' ' {
		s.text = append(s.text, ' ')
	}
}

// textDecoder decodes UTF-8. The features are as long as the text: 1 × entries × TextFields. An entry that occurs n times has the weight 1/√n each
// time, so that together they weigh √n; one without a row in the table weighs as much as the table's would that no text had.
type textDecoder struct {
	pre  Preprocessing
	rows map[uint32]int32
	rare float32
	pool sync.Pool // of *textScanner
}

func newTextDecoder(p Preprocessing) Decoder {
	d := &textDecoder{pre: p, rows: p.Text.rows(), rare: p.Text.weight(0)}
	d.pool.New = func() any { return newTextScanner(p.Text.Grams) }
	return d
}

func (d *textDecoder) Decode(raw []byte) (Features, error) {
	s := d.pool.Get().(*textScanner)
	defer d.pool.Put(s)
	found, err := s.scan(raw)
	if err != nil {
		return Features{}, err
	}
	data := make([]float32, 0, len(found)*TextFields)
	for _, g := range found {
		weight := float32(1)
		if n := s.count[g.hash]; n > 1 {
			weight = float32(1 / math.Sqrt(float64(n)))
		}
		row, stored := d.rows[g.hash]
		if !stored {
			row, weight = unstored(g.hash, len(d.rows)), weight*d.rare
		}
		data = append(data, float32(row), weight, float32(g.first), float32(g.last))
	}
	return Features{Data: data, Shape: []int{1, len(found), TextFields}}, nil
}

// unstored is the number of the row of something that a table of so many rows does not have.
func unstored(hash uint32, rows int) int32 {
	return int32(rows) + int32(hash%uint32(kernel.MaxBagRow+1-rows))
}

// validateText is Validate of texts.
func (p Preprocessing) validateText() error {
	if p.Size.Height != 1 || p.Size.Width < 1 || p.Size.Width > MaxSide || p.Size.Channels != TextFields {
		return fmt.Errorf("%w: texts of %d×%d entries with %d values: use 1 × 1 to %d with %d", ErrSpec, p.Size.Height, p.Size.Width, p.Size.Channels, MaxSide, TextFields)
	}
	if p.Text == nil {
		return fmt.Errorf("%w: texts without a vocabulary", ErrSpec)
	}
	if err := p.Text.Grams.Validate(); err != nil {
		return err
	}
	return p.Text.Vocabulary.Validate()
}

// fitsText reports whether features are entries of a text.
func (p Preprocessing) fitsText(f Features) bool {
	return len(f.Shape) == 3 && f.Shape[0] == 1 && f.Shape[1] > 0 && f.Shape[2] == TextFields && len(f.Data) == f.Shape[1]*TextFields
}
