package index

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugePage is the size of x86's and arm64's, in bytes.
const hugePage = 2 << 20

// wantHugePages asks for huge pages in all of b that they fit into. b holds zeros, and its old pages are given back: memory that
// the heap uses again would stay in small ones.
func wantHugePages(b []byte) {
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) % hugePage)
	whole := (len(b) - skip) / hugePage * hugePage
	if whole <= 0 {
		return
	}
	b = b[skip : skip+whole]
	// A system without huge pages says so, and goes on as it is.
	if unix.Madvise(b, unix.MADV_HUGEPAGE) == nil {
		_ = unix.Madvise(b, unix.MADV_DONTNEED)
	}
}
