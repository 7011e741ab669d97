package kernel

import (
	"syscall"
	"unsafe"
)

// adviseHugePages asks Linux for huge pages where b spans whole ones. A system without them refuses, and only speed is lost.
func adviseHugePages(b []byte) {
	skip := int(-uintptr(unsafe.Pointer(&b[0])) % hugePage)
	whole := (len(b) - skip) / hugePage * hugePage
	_ = syscall.Madvise(b[skip:skip+whole], syscall.MADV_HUGEPAGE)
}
