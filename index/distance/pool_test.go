package distance

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Insert equals sorting all keys and keeping ef, on every tier, for pools and batches of many lengths.
func TestInsertEqualsSorting(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for trial := range 4000 {
		ef := 1 + trial%70
		start := r.IntN(ef + 1)
		m := r.IntN(40)
		coarse := trial%3 == 0 // many equal distances, below zero too
		draw := func() float32 {
			if coarse {
				return float32(r.IntN(4) - 2)
			}
			return float32(r.NormFloat64())
		}
		var before []uint64
		for i := range start {
			before = append(before, Key[uint64](draw(), uint32(i))|uint64(r.IntN(2)))
		}
		slices.Sort(before)
		rows, dist := make([]uint32, m), make([]float32, m)
		for i := range rows {
			rows[i], dist[i] = uint32(1000+i), draw()
		}
		want := slices.Clone(before)
		for i, row := range rows {
			want = append(want, Key[uint64](dist[i], row))
		}
		slices.Sort(want)
		want = want[:min(ef, len(want))]
		first := math.MaxInt
		for i, k := range want {
			if !slices.Contains(before, k) {
				first = i
				break
			}
		}
		const beyond = 0x1234
		for _, tr := range supported() {
			keys := append(slices.Clone(before), slices.Repeat([]uint64{beyond}, ef-start+9)...)
			n, low := start, math.MaxInt
			if m > 0 {
				n, low = tr.insert(keys, start, ef, rows, dist)
			}
			if !slices.Equal(keys[:n], want) {
				t.Fatalf("trial %d, %v: pool %x, want %x", trial, tr, keys[:n], want)
			}
			if low != first {
				t.Fatalf("trial %d, %v: changes begin at %d, want %d", trial, tr, low, first)
			}
			for _, k := range keys[ef:] {
				if k != beyond {
					t.Fatalf("trial %d, %v: something was written behind the pool", trial, tr)
				}
			}
		}
	}
}

func TestOpen(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	for n := range 70 {
		for range 20 {
			keys := slices.Repeat([]uint64{0}, n+8) // open ones behind the end
			for i := range n {
				keys[i] = r.Uint64() | 1
			}
			if n > 0 && r.IntN(4) > 0 {
				keys[r.IntN(n)] &^= 1
			}
			keys = keys[:n]
			for at := range n + 1 {
				want := at
				for want < n && keys[want]&1 != 0 {
					want++
				}
				for _, tr := range supported() {
					if got := tr.open(keys, at); got != want {
						t.Fatalf("%v: %d of %x from %d, want %d", tr, got, keys, at, want)
					}
				}
			}
		}
	}
}

func TestKeysSort(t *testing.T) {
	d := []float32{float32(math.Inf(-1)), -3e38, -1, -1e-45, 0, 1e-45, 1, 1, 3e38, float32(math.Inf(1))}
	for i := 1; i < len(d); i++ {
		a, b := Key[uint64](d[i-1], uint32(i)), Key[uint64](d[i], uint32(i+1))
		if a >= b || a&1 != 0 || uint32(a)>>1 != uint32(i) {
			t.Errorf("%v and %v: %x, %x", d[i-1], d[i], a, b)
		}
	}
}

func TestUnseen(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for n := range 70 {
		for _, tr := range supported() {
			stamps := make([]uint16, 50)
			for i := range stamps {
				stamps[i] = uint16(r.IntN(2)) + 65534
			}
			list := make([]uint32, n)
			for i := range list {
				list[i] = uint32(r.IntN(len(stamps)))
			}
			var want []uint32
			after := slices.Clone(stamps)
			for _, v := range list {
				if after[v] != 65535 {
					want = append(want, v)
				}
				after[v] = 65535
			}
			near := make([]uint32, n+1)
			near[n] = 77
			got := 0
			if n > 0 {
				got = tr.unseen(list, stamps, 65535, near)
			}
			if !slices.Equal(near[:got], want) || !slices.Equal(stamps, after) || near[n] != 77 {
				t.Fatalf("%v: %v of %v, want %v", tr, near[:got], list, want)
			}
			if n > 0 {
				list[r.IntN(n)] = 50
				if got := tr.unseen(list, stamps, 1, near); got != -1 {
					t.Fatalf("%v: a row without a stamp gives %d", tr, got)
				}
			}
		}
	}
}
