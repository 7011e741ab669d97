//go:build !amd64 || noasm

package kernel

func supported() []*tier { return []*tier{generic} }
