package index

import "unsafe"

// newArena returns an empty slice with room for n elements, for memory that is read all over: in huge pages where the system
// has them, because a walk goes to another page with nearly every row, and the processor knows the way to few.
func newArena[T byte | uint32 | float32](n int) []T {
	a := make([]T, 0, n)
	wantHugePages(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(a))), n*int(unsafe.Sizeof(*new(T)))))
	return a
}
