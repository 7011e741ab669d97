package index

import "testing"

// An arena is zeros, whatever lay there before, and stays what is written.
func TestArena(t *testing.T) {
	for range 3 { // what is freed is used again
		for _, n := range []int{0, 1, 1000, 1 << 19, 3<<20 + 5} {
			a := newArena[uint32](n)
			if len(a) != 0 || cap(a) < n {
				t.Fatalf("%d: length %d, room for %d", n, len(a), cap(a))
			}
			a = a[:n]
			for i, x := range a {
				if x != 0 {
					t.Fatalf("%d: element %d is %d", n, i, x)
				}
				a[i] = uint32(i) ^ 0xa5a5a5a5
			}
			for i, x := range a {
				if x != uint32(i)^0xa5a5a5a5 {
					t.Fatalf("%d: element %d was %d, is %d", n, i, uint32(i)^0xa5a5a5a5, x)
				}
			}
		}
	}
}
