package distance

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// guarded returns n float32s that end where unreadable memory begins.
func guarded(t *testing.T, n int) []float32 {
	t.Helper()
	page := unix.Getpagesize()
	size := (4*n+page-1)/page*page + page
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Munmap(b); err != nil {
			t.Error(err)
		}
	})
	if err := unix.Mprotect(b[size-page:], unix.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(&b[size-page-4*n])), n)
}

// TestNothingIsReadBehindTheEnd would die of a segmentation fault.
func TestNothingIsReadBehindTheEnd(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for dim := 1; dim < 140; dim++ {
		a, b, arena := guarded(t, dim), guarded(t, dim), guarded(t, 5*dim)
		fill(r, a)
		fill(r, b)
		fill(r, arena)
		rows, out := guarded(t, 7), guarded(t, 7)
		// Bytes that end where unreadable memory begins.
		end := func(n int) []byte {
			f := guarded(t, n/4+1)
			return unsafe.Slice((*byte)(unsafe.Pointer(&f[0])), 4*len(f))[4*len(f)-n:]
		}
		q := CodeQuery{Code: unsafe.Slice((*int8)(unsafe.Pointer(&end(dim)[0])), dim)}
		codes := end(5 * (dim + CodeTrailer))
		ids := unsafe.Slice((*uint32)(unsafe.Pointer(&rows[0])), 7)
		copy(ids, []uint32{4, 0, 4, 3, 1, 4, 4})
		for _, tr := range supported() {
			tr.dot(a, b)
			tr.l2(a, b)
			for n := 1; n <= 7; n++ {
				if !tr.codeRows(&q, codes, dim+CodeTrailer, len(codes)-dim-CodeTrailer, ids[7-n:], out[7-n:], nil) {
					t.Fatal("a row was refused")
				}
				if !tr.dotRows(a, arena, dim, 4*dim, ids[7-n:], out[7-n:], nil) || !tr.l2Rows(a, arena, dim, 4*dim, ids[7-n:], out[7-n:], nil) {
					t.Fatal("a row was refused")
				}
			}
		}
	}
}
