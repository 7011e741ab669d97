//go:build race

package indextest

// slow: the race detector is on, which makes walks thirty times slower.
const slow = true
