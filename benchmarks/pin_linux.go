package benchmarks

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// lastCore returns the last core that this process may run on: the first ones serve interrupts.
func lastCore() int {
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return -1 // no core is known to be ours: nothing is pinned
	}
	last, left := -1, allowed.Count()
	for core := 0; left > 0; core++ {
		if allowed.IsSet(core) {
			last = core
			left--
		}
	}
	return last
}

// pin keeps the calling goroutine on a core until unpin is called; -1 leaves it free.
func pin(core int) (unpin func(), err error) {
	if core < 0 {
		return func() {}, nil
	}
	runtime.LockOSThread()
	var before, one unix.CPUSet
	err = unix.SchedGetaffinity(0, &before)
	if err == nil {
		one.Set(core)
		err = unix.SchedSetaffinity(0, &one)
	}
	if err != nil {
		runtime.UnlockOSThread()
		return nil, fmt.Errorf("pinning to core %d: %w", core, err)
	}
	return func() {
		if unix.SchedSetaffinity(0, &before) == nil {
			runtime.UnlockOSThread() // a thread that stays pinned ends with its goroutine
		}
	}, nil
}
