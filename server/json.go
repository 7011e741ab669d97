package server

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/akin-search/akin/index"
)

// object is what a JSON object or a form is read into.
type object interface {
	// fields names the fields that there may be.
	fields() []string
	// read reads the value of one of them. A null never comes here: it counts as not given.
	read(field string, r *reader) error
}

// reader reads one JSON text (RFC 8259) to the letter: what a general decoder lets pass — unknown and repeated fields,
// invalid UTF-8, halves of surrogate pairs, trailing text, numbers that become infinite, any depth — is refused with the place
// where it stands, and vectors are read without going through an interface value. What it returns never shares memory with
// the text, which fasthttp uses again.
type reader struct {
	buf  []byte
	pos  int
	form formKind
}

// formKind says how a value of a form stands in the buffer.
type formKind uint8

const (
	notForm  formKind = iota // JSON
	formText                 // strings stand bare, other values as JSON
	formFile                 // bytes stand bare
)

// all reads the whole text into o.
func (r *reader) all(o object) error {
	if r.peek() == 0 && r.pos >= len(r.buf) {
		return badf("empty body: send a JSON object with some of the fields %s", strings.Join(o.fields(), ", "))
	}
	if err := r.object(o); err != nil {
		return err
	}
	return r.end()
}

// end refuses anything but white space.
func (r *reader) end() error {
	if r.peek(); r.pos < len(r.buf) {
		return r.unexpected("nothing more")
	}
	return nil
}

// peek skips white space and returns the byte that follows, 0 at the end.
func (r *reader) peek() byte {
	for r.pos < len(r.buf) {
		switch c := r.buf[r.pos]; c {
		case ' ', '\t', '\n', '\r':
			r.pos++
		default:
			return c
		}
	}
	return 0
}

// take skips white space and the byte c, or returns false.
func (r *reader) take(c byte) bool {
	if r.peek() != c || r.pos >= len(r.buf) {
		return false
	}
	r.pos++
	return true
}

// word skips a literal name.
func (r *reader) word(w string) bool {
	if r.peek(); !bytes.HasPrefix(r.buf[r.pos:], []byte(w)) {
		return false
	}
	r.pos += len(w)
	return true
}

// unexpected says what stands where something else belongs.
func (r *reader) unexpected(want string) error {
	r.peek()
	if r.pos >= len(r.buf) {
		return badf("invalid JSON: the text ends at byte %d where %s belongs", r.pos, want)
	}
	var have string
	switch c := r.buf[r.pos]; {
	case c == '{':
		have = "an object"
	case c == '[':
		have = "an array"
	case c == '"':
		have = "a string"
	case c-'0' <= 9 || c == '-' && r.pos+1 < len(r.buf) && r.buf[r.pos+1]-'0' <= 9:
		have = "a number"
	default:
		stop := r.pos + 1
		for stop < len(r.buf) && stop < r.pos+20 && (r.buf[stop]|0x20 >= 'a' && r.buf[stop]|0x20 <= 'z') {
			stop++
		}
		have = strconv.Quote(string(r.buf[r.pos:stop]))
	}
	return badf("%s at byte %d where %s belongs", have, r.pos, want)
}

// object reads an object into o.
func (r *reader) object(o object) error {
	if !r.take('{') {
		return r.unexpected("an object")
	}
	r.form = notForm // strings within stand in quotes
	if r.take('}') {
		return nil
	}
	fields, seen := o.fields(), uint64(0)
	for {
		key, err := r.key()
		if err != nil {
			return err
		}
		i, err := known(fields, key, &seen)
		if err != nil {
			return err
		}
		if !r.take(':') {
			return r.unexpected(`":"`)
		}
		if !r.word("null") {
			if err := o.read(fields[i], r); err != nil {
				return at(fields[i], err)
			}
		}
		if r.take(',') {
			continue
		}
		if r.take('}') {
			return nil
		}
		return r.unexpected(`"," or "}"`)
	}
}

// known returns the place of key among fields, of which there are at most 64, and refuses the second of its kind.
func known(fields []string, key []byte, seen *uint64) (int, error) {
	for i, f := range fields {
		if f != string(key) {
			continue
		}
		if *seen&(1<<i) != 0 {
			return 0, badf("field %q is given twice", key)
		}
		*seen |= 1 << i
		return i, nil
	}
	return 0, badf("unknown field %s: use %s", quoted(key), strings.Join(fields, ", "))
}

// key reads a string, valid until the text changes.
func (r *reader) key() ([]byte, error) {
	if r.peek() != '"' {
		return nil, r.unexpected("a field name")
	}
	return r.stringBytes()
}

// array calls item for each element of an array.
func (r *reader) array(item func(i int) error) error {
	if !r.take('[') {
		return r.unexpected("an array")
	}
	if r.take(']') {
		return nil
	}
	for i := 0; ; i++ {
		if err := item(i); err != nil {
			return at("["+strconv.Itoa(i)+"]", err)
		}
		if r.take(',') {
			continue
		}
		if r.take(']') {
			return nil
		}
		return r.unexpected(`"," or "]"`)
	}
}

// bool reads true or false.
func (r *reader) bool() (bool, error) {
	switch {
	case r.word("true"):
		return true, nil
	case r.word("false"):
		return false, nil
	}
	return false, r.unexpected("true or false")
}

// vector reads an array of numbers, at least one.
func (r *reader) vector() ([]float32, error) {
	if !r.take('[') {
		return nil, r.unexpected("an array of finite numbers")
	}
	stop := bytes.IndexByte(r.buf[r.pos:], ']')
	if stop < 0 {
		r.pos = len(r.buf)
		return nil, r.unexpected(`"]"`)
	}
	n := bytes.Count(r.buf[r.pos:r.pos+stop], []byte{','}) + 1
	if n > index.MaxDimension {
		return nil, badf("vector of %d components: use 1 to %d", n, index.MaxDimension)
	}
	if r.peek() == ']' {
		return nil, badf("vector of 0 components: use 1 to %d", index.MaxDimension)
	}
	v := make([]float32, 0, n)
	for {
		x, err := r.float32()
		if err != nil {
			return nil, at("["+strconv.Itoa(len(v))+"]", err)
		}
		v = append(v, x)
		if r.take(',') {
			continue
		}
		if r.take(']') {
			return v, nil
		}
		return nil, r.unexpected(`"," or "]"`)
	}
}

// string reads a string of valid UTF-8.
func (r *reader) string() (string, error) {
	if r.form != notForm {
		b := r.rest()
		if !utf8.Valid(b) {
			return "", badf("%s is not valid UTF-8", quoted(b))
		}
		return string(b), nil
	}
	if r.peek() != '"' {
		return "", r.unexpected("a string")
	}
	b, err := r.stringBytes()
	return string(b), err
}

// text reads a string of at most limit bytes.
func (r *reader) text(limit int) (string, error) {
	s, err := r.string()
	if err == nil && len(s) > limit {
		err = badf("%d bytes: use at most %d", len(s), limit)
	}
	return s, err
}

// id reads the id of a point: a string, or an integer that becomes its decimal digits.
func (r *reader) id() (string, error) {
	var id string
	var err error
	if c := r.peek(); r.form == notForm && (c == '-' || c-'0' <= 9) {
		id, err = r.integerID()
	} else if r.form == notForm && c != '"' {
		return "", r.unexpected("an id (a string or an integer)")
	} else {
		id, err = r.string()
	}
	if err != nil {
		return "", err
	}
	if id == "" || len(id) > index.MaxID {
		return "", badf("id of %d bytes: use 1 to %d", len(id), index.MaxID)
	}
	return id, nil
}

func (r *reader) integerID() (string, error) {
	n, err := r.number()
	if err != nil {
		return "", err
	}
	if bytes.ContainsAny(n.text, ".eE") || string(n.text) == "-0" {
		return "", badf("id %s: use a string or an integer", shown(n.text))
	}
	return string(n.text), nil
}

// item reads the bytes of an input: a row as the JSON array or object that it is, anything else as bytes does.
func (r *reader) item() ([]byte, error) {
	if c := r.peek(); r.form == formFile || c != '{' && c != '[' {
		return r.bytes()
	}
	if r.form == formText {
		return bytes.Clone(r.rest()), nil
	}
	from := r.pos
	if _, err := r.value(maxDepth, false); err != nil {
		return nil, err
	}
	return bytes.Clone(r.buf[from:r.pos]), nil
}

// bytes reads base64 (RFC 4648, section 4), or the bytes of a form's file.
func (r *reader) bytes() ([]byte, error) {
	var text []byte
	switch {
	case r.form == formFile:
		return r.rest(), nil // read from the form for this request alone
	case r.form == formText:
		text = r.rest()
	case r.peek() != '"':
		return nil, r.unexpected("a string (base64)")
	default:
		var err error
		if text, err = r.stringBytes(); err != nil {
			return nil, err
		}
	}
	out := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(out, text)
	if err != nil {
		return nil, badf("%s: %v: use standard base64, padded, without a data: prefix", quoted(text), err)
	}
	return out[:n], nil
}

// rest returns everything to the end.
func (r *reader) rest() []byte {
	b := r.buf[r.pos:]
	r.pos = len(r.buf)
	return b
}

// shown cuts a literal for a message.
func shown(lit []byte) string {
	if len(lit) > 40 {
		return strings.ToValidUTF8(string(lit[:40]), "") + "…"
	}
	return string(lit)
}

// quoted cuts and quotes a text for a message.
func quoted(text []byte) string {
	if len(text) > 40 {
		return strconv.Quote(string(text[:40])) + "…"
	}
	return strconv.Quote(string(text))
}
