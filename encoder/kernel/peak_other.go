//go:build !amd64 || noasm

package kernel

func peakLoop(*tier) func(n int) { return peakGeneric }
