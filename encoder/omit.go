package encoder

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Omission is a text with words left out: what the rest means tells what the words did.
type Omission struct {
	Words  string    // as they are normalised, with blanks between them
	From   int       // the first of them, from 0
	Vector []float32 // embedding of the text without them
}

// maxOmissions is how many times words are left out of a text, at most: one by one of a short text, as many neighbours each time of a longer one.
const maxOmissions = 32

// Omit leaves one word after another out of a text, or as many neighbours together as make maxOmissions of it, and embeds what is left (Li, Monroe &
// Jurafsky 2016, "Understanding neural networks through representation erasure"). A text of one word has none to leave out. The error of a text that
// cannot be decoded, or of a model that is not of texts, wraps ErrInput.
func (e *Encoder) Omit(ctx context.Context, raw []byte) ([]Omission, error) {
	d, ok := e.decoder.(*textDecoder)
	if !ok {
		return nil, fmt.Errorf("%w: words are left out of texts, and the model is of modality %q", ErrInput, e.model.Preprocessing.Modality)
	}
	f, err := d.Decode(raw)
	if err != nil {
		return nil, err
	}
	s := newTextScanner(Grams{})
	if _, err := s.scan(raw); err != nil {
		return nil, err
	}
	words := len(s.words) - 1
	n := min(maxOmissions, words)
	var out []Omission
	var parts []Features
	for i := range n {
		from, to := i*words/n, (i+1)*words/n
		var data []float32
		for entry := range slices.Chunk(f.Data, TextFields) {
			if !among(entry[2], from, to) && !among(entry[3], from, to) {
				data = append(data, entry...)
			}
		}
		if len(data) == 0 {
			continue
		}
		parts = append(parts, Features{Data: data, Shape: []int{1, len(data) / TextFields, TextFields}})
		out = append(out, Omission{Words: strings.TrimSpace(string(s.text[s.words[from]:s.words[to]])), From: from})
	}
	vectors, err := e.EncodeFeatures(ctx, parts)
	if err != nil {
		return nil, err
	}
	for i, v := range vectors {
		out[i].Vector = v
	}
	return out, nil
}

// among reports whether word number w is from ≤ w < to.
func among(w float32, from, to int) bool { return int(w) >= from && int(w) < to }
