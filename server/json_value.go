package server

import (
	"unicode/utf16"
	"unicode/utf8"

	"github.com/akin-search/akin/index"
)

// maxDepth bounds the nesting of a payload.
const maxDepth = 64

// payload reads a JSON object of any content. Numbers become float64.
func (r *reader) payload() (map[string]any, error) {
	if r.peek() != '{' {
		return nil, r.unexpected("an object")
	}
	from := r.pos
	if _, err := r.value(maxDepth, false); err != nil {
		return nil, err
	}
	if n := r.pos - from; n > index.MaxPayload {
		return nil, badf("payload of %d bytes: use at most %d", n, index.MaxPayload)
	}
	r.pos = from
	v, err := r.value(maxDepth, true)
	if err != nil {
		return nil, err
	}
	return v.(map[string]any), nil
}

// value reads any value of at most depth levels. With keep false it only checks the text and makes nothing of it.
func (r *reader) value(depth int, keep bool) (any, error) {
	c := r.peek()
	if depth == 0 && (c == '{' || c == '[') {
		return nil, badf("nested deeper than %d levels at byte %d", maxDepth, r.pos)
	}
	switch {
	case c == '{':
		return r.mapValue(depth-1, keep)
	case c == '[':
		return r.listValue(depth-1, keep)
	case c == '"':
		b, err := r.stringBytes()
		if err != nil || !keep {
			return nil, err
		}
		return string(b), nil
	case c == '-' || c-'0' <= 9:
		v, err := r.float64()
		if err != nil || !keep {
			return nil, err
		}
		return v, nil
	case r.word("true"):
		return true, nil
	case r.word("false"):
		return false, nil
	case r.word("null"):
		return nil, nil
	}
	return nil, r.unexpected("a value")
}

func (r *reader) mapValue(depth int, keep bool) (any, error) {
	var m map[string]any
	if keep {
		m = map[string]any{}
	}
	if r.take('{'); r.take('}') {
		return m, nil
	}
	for {
		b, err := r.key()
		if err != nil {
			return nil, err
		}
		key := string(b)
		if _, twice := m[key]; twice {
			return nil, badf("field %s is given twice", quoted(b))
		}
		if !r.take(':') {
			return nil, r.unexpected(`":"`)
		}
		v, err := r.value(depth, keep)
		if err != nil {
			return nil, at(shown([]byte(key)), err)
		}
		if keep {
			m[key] = v
		}
		if r.take(',') {
			continue
		}
		if r.take('}') {
			return m, nil
		}
		return nil, r.unexpected(`"," or "}"`)
	}
}

func (r *reader) listValue(depth int, keep bool) (any, error) {
	list := []any{}
	err := r.array(func(int) error {
		v, err := r.value(depth, keep)
		if keep {
			list = append(list, v)
		}
		return err
	})
	return list, err
}

// stringBytes reads the string that begins here. The bytes are valid until the text changes.
func (r *reader) stringBytes() ([]byte, error) {
	start := r.pos
	i, ascii := start+1, true
	for ; i < len(r.buf); i++ {
		switch c := r.buf[i]; {
		case c == '"':
			b := r.buf[start+1 : i]
			if !ascii && !utf8.Valid(b) {
				return nil, badf("string %s at byte %d is not valid UTF-8", quoted(b), start)
			}
			r.pos = i + 1
			return b, nil
		case c == '\\':
			return r.unescape(i)
		case c < 0x20:
			return nil, badf("invalid JSON: control character %#02x in a string at byte %d: escape it", c, i)
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	r.pos = len(r.buf)
	return nil, r.unexpected("the end of a string")
}

// unescape reads on in the string that begins here from its first escape.
func (r *reader) unescape(i int) ([]byte, error) {
	start := r.pos
	out := append(make([]byte, 0, 2*(i-start)+16), r.buf[start+1:i]...)
	for i < len(r.buf) {
		c := r.buf[i]
		switch {
		case c == '"':
			if !utf8.Valid(out) {
				return nil, badf("string %s at byte %d is not valid UTF-8", quoted(out), start)
			}
			r.pos = i + 1
			return out, nil
		case c < 0x20:
			return nil, badf("invalid JSON: control character %#02x in a string at byte %d: escape it", c, i)
		case c != '\\':
			out = append(out, c)
			i++
			continue
		}
		if i+1 >= len(r.buf) {
			break
		}
		switch e := r.buf[i+1]; e {
		case '"', '\\', '/':
			out = append(out, e)
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			u, ok := hex4(r.buf, i+2)
			if ok && utf16.IsSurrogate(u) {
				low, pair := hex4(r.buf, i+8)
				pair = pair && r.buf[i+6] == '\\' && r.buf[i+7] == 'u'
				if u = utf16.DecodeRune(u, low); !pair || u == utf8.RuneError {
					return nil, badf("invalid JSON: half of a surrogate pair at byte %d", i)
				}
				i += 6
			}
			if !ok {
				return nil, badf(`invalid JSON: escape %s at byte %d: \u needs four hexadecimal digits`, quoted(r.buf[i:min(i+6, len(r.buf))]), i)
			}
			out = utf8.AppendRune(out, u)
			i += 4
		default:
			return nil, badf("invalid JSON: escape %s at byte %d", quoted(r.buf[i:i+2]), i)
		}
		i += 2
	}
	r.pos = len(r.buf)
	return nil, r.unexpected("the end of a string")
}

// hex4 reads four hexadecimal digits from b[i:].
func hex4(b []byte, i int) (u rune, ok bool) {
	if i+4 > len(b) {
		return 0, false
	}
	for _, c := range b[i : i+4] {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		u = u<<4 | rune(c)
	}
	return u, true
}
