package benchmarks

import (
	"errors"
	"testing"
)

func TestResidentBytes(t *testing.T) {
	before, err := residentBytes()
	if err != nil || before < 1<<20 {
		t.Fatal(before, err)
	}
	block := make([]byte, 64<<20)
	for i := range block {
		block[i] = byte(i)
	}
	after, err := residentBytes()
	if err != nil || after < before+48<<20 {
		t.Errorf("%d bytes, and after touching 64 MiB %d, %v", before, after, err)
	}
	if block[255] != 255 { // keeps the block alive
		t.Error(block[255])
	}
	for text, want := range map[string]int64{
		"Name:\takin\nVmHWM:\t   999 kB\nVmRSS:\t    12 kB\nThreads:\t3\n": 12 << 10,
		"VmRSS:\t12 MB\n": -1, "VmRSS:\n": -1, "VmRSS: x kB\n": -1, "VmRSS: -1 kB\n": -1, "Name: akin\n": -1, "": -1,
	} {
		got, err := parseRSS([]byte(text))
		if want < 0 && !errors.Is(err, ErrData) || want >= 0 && (err != nil || got != want) {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
	}
}
