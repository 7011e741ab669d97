//go:build !linux

package index

func wantHugePages([]byte) {}
