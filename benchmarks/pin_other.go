//go:build !linux

package benchmarks

func lastCore() int { return -1 }

func pin(int) (unpin func(), err error) { return func() {}, nil }
