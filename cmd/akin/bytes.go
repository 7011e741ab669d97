package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// byteCount is the value of a flag: a number with B, KiB, MiB, GiB or TiB; bytes where there is no unit.
type byteCount int64

var byteUnits = []struct {
	name  string
	bytes float64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"B", 1}}

func (b *byteCount) Set(s string) error {
	number, scale := s, 1.0
	for _, u := range byteUnits {
		if n, ok := strings.CutSuffix(s, u.name); ok {
			number, scale = n, u.bytes
			break
		}
	}
	x, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if x *= scale; err != nil || !(x >= 0 && x <= math.MaxInt64/2) {
		return fmt.Errorf("%q is no number of bytes: write it as 800MiB or 2GiB", s)
	}
	*b = byteCount(x)
	return nil
}

func (b *byteCount) String() string { return strconv.FormatInt(int64(*b), 10) }
func (b *byteCount) Type() string   { return "bytes" }
