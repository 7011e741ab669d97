package distance

import (
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"unsafe"
)

// A walk through a graph keeps its candidates in a pool: keys in rising order, at most ef of them. A key is
//
//	bits 63…32 distance, order-preserving   bits 31…1 row   bit 0 the row's neighbours have been looked at
//
// so that keys sort by distance, then row.

// Key makes the key of a row below 2³¹; bit 0 is clear. d is not NaN.
func Key[K ~uint64](d float32, row uint32) K {
	b := math.Float32bits(d)
	b ^= uint32(int32(b)>>31) | 1<<31 // negative numbers sort backwards and first
	return K(b)<<32 | K(row)<<1
}

// Insert puts the rows and their distances into a pool that keeps the nearest ef, and has room for them: cap(pool) >= ef. It
// returns the pool and the first place where something new is, a number beyond the pool where nothing is.
func Insert[K ~uint64](pool []K, ef int, rows []uint32, dist []float32) ([]K, int) {
	if cap(pool) < ef || ef < 1 || len(dist) < len(rows) {
		panic(fmt.Sprintf("distance: a pool for %d keys with room for %d, %d rows, %d distances", ef, cap(pool), len(rows), len(dist)))
	}
	if len(rows) == 0 {
		return pool, math.MaxInt
	}
	keys := unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(pool))), cap(pool))
	n, low := active.insert(keys, len(pool), ef, rows, dist)
	return pool[:n], low
}

// Open returns the first place from at on whose key has a clear bit 0, len(pool) if there is none.
func Open[K ~uint64](pool []K, at int) int {
	if at < 0 || at > len(pool) {
		panic(fmt.Sprintf("distance: place %d in a pool of %d keys", at, len(pool)))
	}
	return active.open(unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(pool))), len(pool)), at)
}

// Unseen copies the rows of a list whose stamp is not gen, in order, and stamps them. It returns how many they are. The words of
// the list may be written meanwhile, by atomic stores. near has room for all of the list.
func Unseen(list []uint32, stamps []uint16, gen uint16, near []uint32) int {
	if len(near) < len(list) {
		panic(fmt.Sprintf("distance: a list of %d rows, room for %d", len(list), len(near)))
	}
	if len(list) == 0 {
		return 0
	}
	n := active.unseen(list, stamps, gen, near)
	if n < 0 {
		panic(fmt.Sprintf("distance: a row of the list %v is beyond the %d stamps", list, len(stamps)))
	}
	return n
}

// insertGeneric is Insert on the first n of keys; it returns the new n.
func insertGeneric(keys []uint64, n, ef int, rows []uint32, dist []float32) (length, low int) {
	low = math.MaxInt
	for i, row := range rows {
		k := Key[uint64](dist[i], row)
		if n >= ef {
			if k >= keys[n-1] {
				continue
			}
			n--
		}
		at, _ := slices.BinarySearch(keys[:n], k)
		n++
		copy(keys[at+1:n], keys[at:])
		keys[at] = k
		low = min(low, at)
	}
	return n, low
}

// unseenGeneric is Unseen, −1 for a row without a stamp.
func unseenGeneric(list []uint32, stamps []uint16, gen uint16, near []uint32) int {
	n := 0
	for i := range list {
		v := atomic.LoadUint32(&list[i])
		if int(v) >= len(stamps) {
			return -1
		}
		near[n] = v
		unseen := 0 // without a branch, which would be guessed wrong half the time
		if stamps[v] != gen {
			unseen = 1
		}
		stamps[v] = gen
		n += unseen
	}
	return n
}

// openGeneric is Open.
func openGeneric(keys []uint64, at int) int {
	for ; at < len(keys) && keys[at]&1 != 0; at++ {
	}
	return at
}
