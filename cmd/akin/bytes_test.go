package main

import "testing"

func TestByteCount(t *testing.T) {
	for s, want := range map[string]byteCount{"0": 0, "17": 17, "17B": 17, "2KiB": 2048, "1.5 MiB": 3 << 19, "3GiB": 3 << 30, "1TiB": 1 << 40} {
		var b byteCount
		if err := b.Set(s); err != nil || b != want {
			t.Errorf("%q is %d, %v", s, b, err)
		}
	}
	for _, s := range []string{"", "GiB", "-1", "2GB", "NaN", "1e40", "x"} {
		var b byteCount
		if err := b.Set(s); err == nil {
			t.Errorf("%q is %d", s, b)
		}
	}
}
