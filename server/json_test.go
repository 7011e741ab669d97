package server

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/akin-search/akin/index"
)

// anyObject takes one field "v", read by a func.
type anyObject func(r *reader) error

func (anyObject) fields() []string                 { return []string{"v", "w"} }
func (o anyObject) read(_ string, r *reader) error { return o(r) }

func readInto(text string, read func(r *reader) error) error {
	r := reader{buf: []byte(text)}
	return r.all(anyObject(read))
}

func TestReaderRefuses(t *testing.T) {
	vector := func(r *reader) error { _, err := r.vector(); return err }
	str := func(r *reader) error { _, err := r.string(); return err }
	id := func(r *reader) error { _, err := r.id(); return err }
	limit := func(r *reader) error { _, err := r.int(1, 100); return err }
	payload := func(r *reader) error { _, err := r.payload(); return err }
	input := func(r *reader) error { _, err := r.bytes(); return err }
	for _, c := range []struct {
		text string
		read func(*reader) error
		want string
	}{
		{``, vector, "empty body"},
		{" \n", vector, "empty body"},
		{`[1]`, vector, "an array at byte 0 where an object belongs"},
		{`{"v":[1]} x`, vector, `"x" at byte 10 where nothing more belongs`},
		{`{"v":[1]}{}`, vector, "an object at byte 9 where nothing more belongs"},
		{`{"v":[1],"v":[2]}`, vector, `field "v" is given twice`},
		{`{"k":3}`, vector, `unknown field "k": use v, w`},
		{`{"v":[1],}`, vector, `"}" at byte 9 where a field name belongs`},
		{`{"v" [1]}`, vector, `an array at byte 5 where ":" belongs`},
		{`{"v":[1]`, vector, "the text ends at byte 8"},
		{`{'v':[1]}`, vector, `"'v" at byte 1`},
		{`{"v":[1,"2"]}`, vector, "v[1]: a string at byte 8 where a finite number belongs"},
		{`{"v":[1,null]}`, vector, `v[1]: "null" at byte 8 where a finite number belongs`},
		{`{"v":[NaN]}`, vector, `v[0]: "NaN" at byte 6 where a finite number belongs`},
		{`{"v":[-Infinity]}`, vector, `v[0]: "-Infinity" at byte 6 where a finite number belongs`},
		{`{"v":[1e999]}`, vector, "v[0]: 1e999: beyond a float32"},
		{`{"v":[1e39]}`, vector, "v[0]: 1e39: beyond a float32"},
		{`{"v":[01]}`, vector, "v[0]: invalid JSON: number 01"},
		{`{"v":[1.]}`, vector, "invalid JSON: number 1."},
		{`{"v":[1e]}`, vector, "invalid JSON: number 1e"},
		{`{"v":[.5]}`, vector, `"." at byte 6 where a finite number belongs`},
		{`{"v":[+1]}`, vector, `"+" at byte 6`},
		{`{"v":[0x1]}`, vector, `"x" at byte 7`},
		{`{"v":[1_0]}`, vector, `"_" at byte 7`},
		{`{"v":[1,]}`, vector, `"]" at byte 8 where a finite number belongs`},
		{`{"v":[1 2]}`, vector, `a number at byte 8 where "," or "]" belongs`},
		{`{"v":[[1]]}`, vector, "an array at byte 6 where a finite number belongs"},
		{`{"v":[]}`, vector, "vector of 0 components: use 1 to 4096"},
		{`{"v":[ ]}`, vector, "vector of 0 components"},
		{`{"v":[` + strings.Repeat("1,", 4096) + `1]}`, vector, "vector of 4097 components: use 1 to 4096"},
		{`{"v":[1`, vector, `the text ends at byte 7 where "]" belongs`},
		{`{"v":{"x":1}}`, vector, "an object at byte 5 where an array of finite numbers belongs"},
		{`{"v":0}`, limit, "v: 0: use a whole number from 1 to 100"},
		{`{"v":-1}`, limit, "v: -1: use a whole number from 1 to 100"},
		{`{"v":1000000000}`, limit, "v: 1000000000: use a whole number from 1 to 100"},
		{`{"v":1e9}`, limit, "v: 1e9: use a whole number"},
		{`{"v":2.5}`, limit, "v: 2.5: use a whole number"},
		{`{"v":"5"}`, limit, "a string at byte 5 where a finite number belongs"},
		{`{"v":` + strings.Repeat("9", 5000) + `}`, limit, "9999…: use a whole number"},
		{`{"v":"a` + "\xff" + `"}`, str, "is not valid UTF-8"},
		{`{"v":"\n` + "\xff" + `"}`, str, "is not valid UTF-8"},
		{`{"v":"\ud800"}`, str, "half of a surrogate pair"},
		{`{"v":"\ud800A"}`, str, "half of a surrogate pair"},
		{`{"v":"\ud800\u0041"}`, str, "half of a surrogate pair"},
		{`{"v":"\udc00\ud800"}`, str, "half of a surrogate pair"},
		{`{"v":"\u12"}`, str, "four hexadecimal digits"},
		{`{"v":"\u12`, str, "four hexadecimal digits"},
		{`{"v":"\x"}`, str, `escape "\\x"`},
		{`{"v":"\`, str, "the text ends"},
		{`{"v":"a` + "\n" + `"}`, str, "control character 0x0a"},
		{`{"v":"\t` + "\x00" + `"}`, str, "control character 0x00"},
		{`{"v":"abc`, str, "the end of a string"},
		{`{"v":""}`, id, "id of 0 bytes: use 1 to 1024"},
		{`{"v":"` + strings.Repeat("x", 1025) + `"}`, id, "id of 1025 bytes: use 1 to 1024"},
		{`{"v":1.5}`, id, "id 1.5: use a string or an integer"},
		{`{"v":1e3}`, id, "id 1e3: use a string or an integer"},
		{`{"v":-0}`, id, "id -0"},
		{`{"v":true}`, id, `"true" at byte 5 where an id`},
		{`{"v":[1]}`, payload, "an array at byte 5 where an object belongs"},
		{`{"v":` + strings.Repeat(`{"a":`, 65) + `1` + strings.Repeat(`}`, 65) + `}`, payload, "nested deeper than 64 levels"},
		{`{"v":{"a":` + strings.Repeat(`[`, 1_000_000) + `}`, payload, "nested deeper than 64 levels"},
		{`{"v":{"a":1e999}}`, payload, "v.a: 1e999: beyond a float64"},
		{`{"v":{"a":1,"a":2}}`, payload, `field "a" is given twice`},
		{`{"v":{"":tru}}`, payload, `"tru" at byte 9 where a value belongs`},
		{`{"v":{"a":"` + strings.Repeat("x", index.MaxPayload) + `"}}`, payload, "payload of 1048584 bytes: use at most 1048576"},
		{`{"v":"####"}`, input, "illegal base64 data at input byte 0: use standard base64"},
		{`{"v":"data:image/png;base64,AAAA"}`, input, "without a data: prefix"},
		{`{"v":"AAA"}`, input, "padded"},
		{`{"v":5}`, input, "a number at byte 5 where a string (base64) belongs"},
	} {
		err := readInto(c.text, c.read)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60q: error %v, want one with %q", c.text, err, c.want)
			continue
		}
		if len(err.Error()) > 400 {
			t.Errorf("%.60q: a message of %d bytes", c.text, len(err.Error()))
		}
	}
}

func TestReaderReads(t *testing.T) {
	var v []float32
	text := `{ "w" : null , "v" : [ 1 , -2.5e-1, 3E2 ,0, -0, 1e-60, 3.4028235e38 ] } ` + "\r\n\t"
	if err := readInto(text, func(r *reader) (err error) { v, err = r.vector(); return err }); err != nil {
		t.Fatal(err)
	}
	if want := []float32{1, -0.25, 300, 0, float32(math.Copysign(0, -1)), 0, math.MaxFloat32}; !reflect.DeepEqual(v, want) {
		t.Errorf("vector %v, want %v", v, want)
	}
	for text, want := range map[string]string{
		`{"v":"a\"\\\/\b\f\n\r\t\u0041\u00e9\ud83d\ude00é😀"}`: "a\"\\/\b\f\n\r\tAé😀é😀",
		`{"\u0076":"plain"}`:            "plain",
		`{"v":12345678901234567890123}`: "12345678901234567890123",
		`{"v":-7}`:                      "-7",
	} {
		var s string
		if err := readInto(text, func(r *reader) (err error) { s, err = r.id(); return err }); err != nil || s != want {
			t.Errorf("%s: %q, %v", text, s, err)
		}
	}
	var b []byte
	if err := readInto(`{"v":"\/+8="}`, func(r *reader) (err error) { b, err = r.bytes(); return err }); err != nil || string(b) != "\xff\xef" {
		t.Errorf("base64 %x, %v", b, err)
	}
}

// FuzzPayload compares the reader with encoding/json: what it takes, that takes as the same value; what it refuses is
// refused there, too, or for one of the reasons that the reader documents.
func FuzzPayload(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":[1,2.5e-3,null,true,false,"x\u00e9\ud83d\ude00",{"b":[]}]}`, `{"a":1,"a":2}`, `{"a":"\ud800"}`, `{"":1e999}`, ` { } `,
		`{"a":01}`, `{"a":"` + "\xff" + `"}`, `{"a":` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + `}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r := reader{buf: text}
		have, err := r.payload()
		if err == nil {
			err = r.end()
		}
		var want map[string]any
		std := json.Unmarshal(text, &want)
		if err == nil && (std != nil || !reflect.DeepEqual(have, want)) {
			t.Fatalf("%q: read as %v, encoding/json has %v, %v", text, have, want, std)
		}
		if err != nil && std == nil && want != nil {
			for _, reason := range []string{"UTF-8", "given twice", "surrogate", "deeper", "payload of"} {
				if strings.Contains(err.Error(), reason) {
					return
				}
			}
			t.Fatalf("%q: refused with %v, encoding/json has %v", text, err, want)
		}
	})
}

// TestFloat32 compares with strconv on random numbers, in the forms that clients print, and near ties.
func TestFloat32(t *testing.T) {
	rnd := rand.New(rand.NewPCG(testSeed, 1))
	quick, all := 0, 0
	check := func(text string) {
		t.Helper()
		r := reader{buf: []byte(text)}
		have, err := r.float32()
		want, stdErr := strconv.ParseFloat(text, 32)
		if (err == nil) != (stdErr == nil) || err == nil && math.Float32bits(have) != math.Float32bits(float32(want)) {
			t.Fatalf("%s (seed %d): %v, %v, strconv has %v, %v", text, testSeed, have, err, float32(want), stdErr)
		}
		r = reader{buf: []byte(text)}
		if n, err := r.number(); err == nil {
			all++
			if _, ok := n.float32(); ok {
				quick++
			}
		}
	}
	for range 20_000 {
		x := rnd.NormFloat64() * math.Pow(10, float64(rnd.IntN(12)-8))
		for _, format := range []string{"%v", "%.6f", "%.9f", "%.12f", "%.17g", "%e"} {
			check(fmt.Sprintf(format, x))
		}
		check(fmt.Sprint(float32(x)))
		// The tie between two neighbours, and a digit to either side of it.
		lo := math.Float32frombits(rnd.Uint32N(0x7f7f_fff0))
		tie := strconv.FormatFloat((float64(lo)+float64(math.Nextafter32(lo, math.MaxFloat32)))/2, 'f', -1, 64)
		check(tie)
		check("-" + tie + "1")
		check(strings.TrimSuffix(tie[:len(tie)-1], "."))
	}
	for _, text := range []string{"0", "-0", "0.0", "0.000000000000000000000000000000001", "340282356779733661637539395458142568447", "340282346638528859811704183484516925440",
		"9007199254740992", "9007199254740993", "99999999999999999999", "1.17549435e-38", "0.0000000000000000000001", "16777217", "16777217.0000001"} {
		check(text)
	}
	if quick < all/3 {
		t.Errorf("only %d of %d numbers took the quick way", quick, all)
	}
}
