package encoder

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// TestTextWords: what becomes of texts of several scripts.
func TestTextWords(t *testing.T) {
	for raw, want := range map[string]string{
		"Where is my CARD?":             " where is my card ",
		"  don't pay 5$ \t+ tax\n":      " don t pay 5 $ + tax ",
		"Straße ﬁne ＡＢＣ１":               " strasse fine abc1 ", // case folding and NFKC
		"\xef\xbb\xbfcafe\u0301 CAFÉ":   " café café ",
		"日本語 text":                      " 日 本 語 text ",
		"I ❤ Gophers":                   " i ❤ gophers ",
		"किताब पढ़ो":                    " किताब पढ़ो ",
		"a" + strings.Repeat(" ", 1000): " a ",
	} {
		s := newTextScanner(Grams{})
		found, err := s.scan([]byte(raw))
		if err != nil || string(s.text) != want || len(found) != len(strings.Fields(want)) {
			t.Errorf("%q: %q with %d words, %v; want %q", raw, s.text, len(found), err, want)
		}
	}
	for raw, want := range map[string]string{"": "without a word", " \n?!…": "without a word", "a\xffb": "no UTF-8 at byte 1", strings.Repeat("a ", MaxText): "at most"} {
		if _, err := newTextScanner(Grams{}).scan([]byte(raw)); !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", raw, err, want)
		}
	}
}

// TestTextASCII: the short way of ASCII is the long way of all texts.
func TestTextASCII(t *testing.T) {
	for c := range byte(0x80) {
		raw := []byte{'x', c, 'Y'}
		a, b := newTextScanner(Grams{}), newTextScanner(Grams{})
		a.text, b.text = []byte{' '}, []byte{' '}
		a.splitASCII(raw)
		b.splitUnicode([]byte(strings.ToLower(string(raw))))
		if string(a.text) != string(b.text) || !slices.Equal(a.words, b.words) {
			t.Errorf("%q: %q and %q", raw, a.text, b.text)
		}
	}
}

// TestTextGrams counts what is looked at: n words have the runs of their characters, and a pair for each two places up to the gap apart and both ends.
func TestTextGrams(t *testing.T) {
	count := func(g Grams, text string) int {
		found, err := newTextScanner(g).scan([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range found {
			if i > 0 && f.last < found[i-1].last || f.first > f.last {
				t.Fatalf("%v: %v follows %v", g, f, found[i-1])
			}
		}
		return len(found)
	}
	for _, c := range []struct {
		g    Grams
		text string
		want int
	}{
		{Grams{}, "one two three", 3}, {Grams{Gap: 1}, "one two three", 3 + 2 + 2}, {Grams{Gap: 2}, "one two three", 3 + 2 + 1 + 2},
		{Grams{Shortest: 3, Longest: 5}, "one", 1 + 3 + 2 + 1}, {Grams{Shortest: 3, Longest: 5}, "é", 1 + 1},
	} {
		if got := count(c.g, c.text); got != c.want {
			t.Errorf("%v of %q: %d, want %d", c.g, c.text, got, c.want)
		}
	}
	ids := func(text string) (hashes []uint32) {
		found, _ := newTextScanner(Grams{Gap: 1}).scan([]byte(text))
		for _, f := range found {
			hashes = append(hashes, f.hash)
		}
		slices.Sort(hashes)
		return hashes
	}
	if slices.Equal(ids("dog bites man"), ids("man bites dog")) {
		t.Error("pairs do not tell the order of words")
	}
	for _, bad := range []Grams{{Gap: -1}, {Gap: maxGap + 1}, {Shortest: 2}, {Shortest: 5, Longest: 3}, {Shortest: 1, Longest: maxCharacter + 1}} {
		if err := bad.Validate(); !errors.Is(err, ErrSpec) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// textModel is an untrained model of some texts.
func textModel(t *testing.T, g Grams, dimension, width int, texts ...string) *Encoder {
	t.Helper()
	text, err := NewText(g, func(yield func([]byte) bool) {
		for _, s := range texts {
			if !yield([]byte(s)) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	p := Preprocessing{Modality: ModalityText, Size: Size{1, width, TextFields}, Text: text}
	e, err := NewEncoder(&Model{Network: ForTexts(p, dimension), Preprocessing: p, Weights: [][]float32{text.Table(dimension)}}, "test", 1)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

var phrases = []string{"where is my new card", "my card has not come", "how do I top up my account", "top up by bank transfer", "the exchange rate is wrong", "what is the exchange rate",
	"i lost my phone", "my phone was stolen", "cancel the transfer", "the transfer has failed", "please close my account", "is my card lost"}

// TestUntrainedIsTFIDF compares cosines with those of TF-IDF vectors, worked out word by word; a word that the vocabulary has not counts too.
func TestUntrainedIsTFIDF(t *testing.T) {
	e := textModel(t, Grams{}, 2048, 64, phrases...)
	in := map[string]float64{}
	for _, p := range phrases {
		for _, w := range slices.Compact(slices.Sorted(strings.FieldsSeq(strings.ToLower(p)))) {
			in[w]++
		}
	}
	vector := func(text string) (v map[string]float64, length float64) {
		v = map[string]float64{}
		for w := range strings.FieldsSeq(text) {
			v[w]++
		}
		for w, n := range v {
			texts := in[w]
			if texts < leastTexts { // it has no row
				texts = 0
			}
			v[w] = math.Sqrt(n) * (1 + math.Log((1+float64(len(phrases)))/(1+texts)))
			length += v[w] * v[w]
		}
		return v, math.Sqrt(length)
	}
	for _, pair := range [][2]string{{"where is my card", "is my card here"}, {"top up up up", "top up"}, {"nothing alike", "my phone"}, {"unheard words", "unheard again"}} {
		a, la := vector(pair[0])
		b, lb := vector(pair[1])
		want := 0.0
		for w, x := range a {
			want += x * b[w] / (la * lb)
		}
		rows, err := e.Encode(t.Context(), []byte(pair[0]), []byte(pair[1]))
		if err != nil {
			t.Fatal(err)
		}
		got := 0.0
		for i, v := range rows[0] {
			got += float64(v) * float64(rows[1][i])
		}
		if math.Abs(got-want) > 0.08 {
			t.Errorf("%q: cosine %.3f, TF-IDF %.3f", pair, got, want)
		}
	}
}

// TestLongTexts: parts follow each other and hold every word once, an embedding of a short text is that of its one part, and a view that loses all is
// whole.
func TestLongTexts(t *testing.T) {
	e := textModel(t, Grams{Gap: 2, Shortest: 3, Longest: 3}, 8, 40, phrases...)
	p := e.Model().Preprocessing
	for _, words := range []int{1, 3, 5, 60, 900} {
		var b strings.Builder
		for i := range words {
			fmt.Fprintf(&b, "word%d ", i)
		}
		f, err := e.decoder.Decode([]byte(b.String()))
		if err != nil {
			t.Fatal(err)
		}
		parts := p.textParts(f)
		seen := map[float32]bool{}
		for _, part := range parts {
			for at := 0; at < len(part.Data) && part.Data[at+1] != 0; at += TextFields {
				seen[part.Data[at+3]] = true
			}
		}
		if whole := len(parts) < maxParts; p.Words(f) != words || whole && len(seen) != words || len(parts) > maxParts || words <= 3 && len(parts) != 1 {
			t.Errorf("%d words: %d parts with %d words", words, len(parts), len(seen))
		}
		if last := p.LastPart(f); last < 0 || last >= words || words <= 3 && last > 0 {
			t.Errorf("%d words: the last part begins with %d", words, last)
		}
		if v, err := e.Encode(t.Context(), []byte(b.String())); err != nil || len(v[0]) != 8 {
			t.Errorf("%d words: %v", words, err)
		}
		dst, want := make([]float32, p.Size.values()), make([]float32, p.Size.values())
		p.View(dst, f, 0, func([]float32) bool { return true })
		if p.Part(want, f, 0); !slices.Equal(dst, want) || dst[1] == 0 {
			t.Errorf("%d words: a view without anything", words)
		}
	}
	giant, err := e.Encode(t.Context(), []byte(strings.Repeat("a", 5000)))
	if err != nil || math.IsNaN(float64(giant[0][0])) {
		t.Errorf("a word of 5000 letters: %v", err)
	}
}

// TestOmit: every word is left out once, in its place, and what is left has another embedding; the strange word changes it most.
func TestOmit(t *testing.T) {
	e := textModel(t, Grams{Shortest: 3, Longest: 4}, 64, 64, phrases...)
	raw := []byte("Where is my ZEBRA card?")
	whole, err := e.Encode(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	out, err := e.Omit(t.Context(), raw)
	if err != nil || len(out) != 5 || out[3].Words != "zebra" || out[3].From != 3 {
		t.Fatalf("%+v, %v", out, err)
	}
	for i, o := range out {
		if slices.Equal(o.Vector, whole[0]) || len(o.Vector) != 64 {
			t.Errorf("without %q: %v", out[i].Words, o.Vector[:3])
		}
	}
	if one, err := e.Omit(t.Context(), []byte("card")); err != nil || len(one) != 0 {
		t.Errorf("a text of one word: %v, %v", one, err)
	}
	if long, err := e.Omit(t.Context(), []byte(strings.Repeat("my card is here ", 50))); err != nil || len(long) != maxOmissions || !strings.Contains(long[0].Words, "my card") {
		t.Errorf("200 words: %d omissions, %v", len(long), err)
	}
	if _, err := e.Omit(t.Context(), []byte("\xff")); !errors.Is(err, ErrInput) {
		t.Errorf("no UTF-8: %v", err)
	}
}

// TestVocabulary: what is coded is read back, and damage is refused.
func TestVocabulary(t *testing.T) {
	v := textModel(t, Grams{Shortest: 3, Longest: 5}, 4, 64, phrases...).Model().Preprocessing.Text.Vocabulary
	entries, err := v.entries()
	if err != nil || len(entries) != v.Rows || v.Texts != len(phrases) {
		t.Fatalf("%d entries of %d, %v", len(entries), v.Rows, err)
	}
	for i, e := range entries {
		if i > 0 && e.hash <= entries[i-1].hash || e.texts < leastTexts || e.texts > v.Texts {
			t.Errorf("entry %d: %+v", i, e)
		}
	}
	for what, bad := range map[string]Vocabulary{
		"nothing": {}, "too many rows": {v.Texts, v.Rows + 1, v.Coded}, "too few": {v.Texts, v.Rows - 1, v.Coded}, "cut short": {v.Texts, v.Rows, v.Coded[:len(v.Coded)-1]},
		"fewer texts": {1, v.Rows, v.Coded}, "twice the same": {2, 2, []byte{1, 1, 0, 1}},
	} {
		if err := bad.Validate(); !errors.Is(err, ErrSpec) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := NewText(Grams{}, func(yield func([]byte) bool) { yield([]byte("?")) }); !errors.Is(err, ErrInput) {
		t.Errorf("no word at all: %v", err)
	}
}

func FuzzText(f *testing.F) {
	for _, s := range append(phrases, "日本", "\xff", "", "ﬁ Ⅷ ½ \u0301", "\xef\xbb\xbf") {
		f.Add([]byte(s))
	}
	text, err := NewText(Grams{Gap: 3, Shortest: 1, Longest: 4}, func(yield func([]byte) bool) { yield([]byte("some words to know")) })
	if err != nil {
		f.Fatal(err)
	}
	p := Preprocessing{Modality: ModalityText, Size: Size{1, 32, TextFields}, Text: text}
	d, err := p.Decoder()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		features, err := d.Decode(raw)
		if err != nil {
			if !errors.Is(err, ErrInput) {
				t.Fatal(err)
			}
			return
		}
		if !p.fitsText(features) || len(p.textParts(features)) == 0 {
			t.Fatalf("features of shape %v", features.Shape)
		}
		for at := 0; at < len(features.Data); at += TextFields {
			if e := features.Data[at:]; e[0] != float32(int(e[0])) || e[0] < 0 || e[0] > 1<<24-1 || !(e[1] > 0) || e[2] > e[3] {
				t.Fatalf("entry %v", e[:TextFields])
			}
		}
	})
}

// BenchmarkText decodes and embeds short texts.
func BenchmarkText(b *testing.B) {
	text, err := NewText(Grams{Shortest: 3, Longest: 5}, func(yield func([]byte) bool) {
		for _, s := range phrases {
			yield([]byte(s))
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	p := Preprocessing{Modality: ModalityText, Size: Size{1, 256, TextFields}, Text: text}
	e, err := NewEncoder(&Model{Network: ForTexts(p, 256), Preprocessing: p, Weights: [][]float32{text.Table(256)}}, "bench", 1)
	if err != nil {
		b.Fatal(err)
	}
	raw := make([][]byte, 64)
	for i := range raw {
		raw[i] = []byte(phrases[i%len(phrases)])
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Encode(b.Context(), raw...); err != nil {
			b.Fatal(err)
		}
	}
}
