//go:build !amd64 || noasm

package kernel

func supportedBF16() []*bf16Tier { return nil }
